package downstream

// SetReach makes the stream believe that deflate refers no further back.
func (s *Stream) SetReach(n int) { s.reach = n }

// Forgotten reports whether the stream keeps nothing of what it has read.
func (s *Stream) Forgotten() bool { return s.in == nil && s.out == nil }
