package gatewaytest

// Waiting is how many requests wait for shards.
func (s *Server) Waiting() int { return int(s.waiting.Load()) }
