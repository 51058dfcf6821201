package downstream

// Look reads a short message that passes, of a client without compression.
func (s *Stream) Look(opcode byte, p []byte) Seen {
	if s.client != None || opcode != s.format.opcode() {
		return Seen{}
	}
	seen, _ := s.look(p)
	return seen
}
