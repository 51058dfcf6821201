package redismodel

import "fmt"

// Held is what a key holds, in words, and its TTL in ms, -1 for none.
type Held struct {
	Kind  string
	Words []string
	TTL   int64
}

// Dump is all that the server holds.
func (s *Server) Dump() map[string]Held {
	s.ms = s.Now.UnixMilli()
	all := make(map[string]Held)
	for key := range s.keys {
		e := s.any(key)
		if e == nil {
			continue
		}
		h := Held{TTL: -1}
		if e.expires != 0 {
			h.TTL = e.expires - s.ms
		}
		switch e.kind {
		case aString:
			h.Kind, h.Words = "string", []string{e.text}
		case aHash:
			h.Kind = "hash"
			for i, name := range e.fields.names {
				h.Words = append(h.Words, name, e.fields.values[i])
			}
		case aZset:
			h.Kind = "zset"
			for _, m := range e.members.sorted {
				h.Words = append(h.Words, m.name, number(m.score))
			}
		case aList:
			h.Kind, h.Words = "list", e.items
		}
		all[key] = h
	}
	return all
}

// SetHash sets a field of a hash.
func (s *Server) SetHash(key string, pairs ...any) {
	args := []string{"HSET", key}
	for _, p := range pairs {
		args = append(args, fmt.Sprint(p))
	}
	if _, err := s.command(args); err != nil {
		panic(err)
	}
}
