package downstream

// Look reads a short message that passes, of a client without a compressed stream.
func (s *Stream) Look(opcode byte, p []byte) Seen {
	if s.client != None {
		return Seen{}
	}
	if opcode == opBinary && isZlib(p) { // as IDENTIFY's compress: true has some
		var err error
		if p, err = inflate(p); err != nil {
			return Seen{}
		}
	}
	seen, _ := s.look(p)
	return seen
}
