// Package redismodel is a small model of a Redis server: the commands that the
// scripts of package lua use, and the scripts themselves, run by an interpreter of
// Lua. It is for package sim, which makes thousands of calls in a second; a test
// holds it to real servers, reply by reply and key by key.
package redismodel

import (
	"math"
	"strconv"
	"time"
)

// Server is a server. It is used by one goroutine.
type Server struct {
	Now    time.Time // its clock, which stands still unless it is moved
	RunID  string    // who the process is
	Replid string    // whose data it has
	Blind  bool      // it does not tell scripts who it is, as miniredis and some services

	keys  map[string]*entry
	known map[string]bool // scripts, by their hash
	ms    int64           // Now, during a call
}

// New makes an empty server.
func New() *Server {
	return &Server{keys: make(map[string]*entry), known: make(map[string]bool)}
}

// Copy is a server of its own with the same keys: a replica, as of now. It knows no
// script.
func (s *Server) Copy() *Server {
	c := &Server{Now: s.Now, RunID: s.RunID, Replid: s.Replid, Blind: s.Blind, keys: make(map[string]*entry, len(s.keys)), known: make(map[string]bool)}
	for key, e := range s.keys {
		c.keys[key] = e.copy()
	}
	return c
}

// FlushAll deletes every key.
func (s *Server) FlushAll() { s.keys = make(map[string]*entry) }

// ForgetScripts makes every script unknown.
func (s *Server) ForgetScripts() { s.known = make(map[string]bool) }

// LearnScript makes a script known: Redis 6 copies scripts to replicas.
func (s *Server) LearnScript(hash string) { s.known[hash] = true }

// Delete deletes a key, as by hand.
func (s *Server) Delete(key string) { delete(s.keys, key) }

// Error is a reply that is an error, as go-redis has them.
type Error string

func (e Error) Error() string { return string(e) }

// RedisError is what makes it one for go-redis.
func (Error) RedisError() {}

const (
	errType     = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
	errInteger  = Error("ERR value is not an integer or out of range")
	errHash     = Error("ERR hash value is not an integer")
	errFloat    = Error("ERR value is not a valid float")
	errNoScript = Error("NOSCRIPT No matching script. Please use EVAL.")
)

// entry is what a key holds: one of the values below.
type entry struct {
	text    string
	fields  *hash
	members *zset
	items   []string // of a list
	kind    kind
	expires int64 // ms since 1970; 0 for never
}

type kind uint8

const (
	aString kind = iota
	aHash
	aZset
	aList
)

func (e *entry) copy() *entry {
	c := *e
	if e.fields != nil {
		c.fields = e.fields.copy()
	}
	if e.members != nil {
		c.members = e.members.copy()
	}
	c.items = append([]string(nil), e.items...)
	return &c
}

// find returns what a key holds, or nil. A key lives to the end of its last
// millisecond.
func (s *Server) find(key string, k kind) (*entry, error) {
	e := s.keys[key]
	if e == nil {
		return nil, nil
	}
	if e.expires != 0 && s.ms > e.expires {
		delete(s.keys, key)
		return nil, nil
	}
	if e.kind != k {
		return nil, errType
	}
	return e, nil
}

// of is find, which makes the key if need be.
func (s *Server) of(key string, k kind) (*entry, error) {
	e, err := s.find(key, k)
	if e == nil && err == nil {
		e = &entry{kind: k}
		switch k {
		case aHash:
			e.fields = &hash{at: make(map[string]int)}
		case aZset:
			e.members = &zset{scores: make(map[string]float64)}
		}
		s.keys[key] = e
	}
	return e, err
}

// any is what a key holds, whatever that is.
func (s *Server) any(key string) *entry {
	e := s.keys[key]
	if e != nil && e.expires != 0 && s.ms > e.expires {
		delete(s.keys, key)
		return nil
	}
	return e
}

// hash is a hash, in the order in which its fields came, as Redis has small ones.
type hash struct {
	names, values []string
	at            map[string]int
}

func (h *hash) copy() *hash {
	c := &hash{append([]string(nil), h.names...), append([]string(nil), h.values...), make(map[string]int, len(h.at))}
	for name, i := range h.at {
		c.at[name] = i
	}
	return c
}

func (h *hash) get(name string) (string, bool) {
	i, ok := h.at[name]
	if !ok {
		return "", false
	}
	return h.values[i], true
}

// set sets a field, and says if it is new.
func (h *hash) set(name, value string) bool {
	if i, ok := h.at[name]; ok {
		h.values[i] = value
		return false
	}
	h.at[name] = len(h.names)
	h.names, h.values = append(h.names, name), append(h.values, value)
	return true
}

func (h *hash) del(name string) bool {
	i, ok := h.at[name]
	if !ok {
		return false
	}
	delete(h.at, name)
	h.names, h.values = append(h.names[:i], h.names[i+1:]...), append(h.values[:i], h.values[i+1:]...)
	for ; i < len(h.names); i++ {
		h.at[h.names[i]] = i
	}
	return true
}

// whole reads a whole number as Redis does: no sign but a minus, no leading zeros.
func whole(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == text
}

// float reads a score.
func float(text string) (float64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	return f, (err == nil || math.IsInf(f, 0)) && !math.IsNaN(f)
}

// number writes one as Redis does.
func number(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f == math.Trunc(f) && math.Abs(f) < 1e17:
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', 17, 64)
}

// Field is a field of a hash, "" if it is not there.
func (s *Server) Field(key, name string) string {
	if e := s.peek(key, aHash); e != nil {
		text, _ := e.fields.get(name)
		return text
	}
	return ""
}

// Text is a string, "" if it is not there.
func (s *Server) Text(key string) string {
	if e := s.peek(key, aString); e != nil {
		return e.text
	}
	return ""
}

// Sum is the sum of a hash's values.
func (s *Server) Sum(key string) (sum int) {
	if e := s.peek(key, aHash); e != nil {
		for _, text := range e.fields.values {
			n, _ := strconv.Atoi(text)
			sum += n
		}
	}
	return sum
}

// Members are those of a sorted set, in its order, and their scores.
func (s *Server) Members(key string) (names []string, scores []float64) {
	if e := s.peek(key, aZset); e != nil {
		for _, m := range e.members.sorted {
			names, scores = append(names, m.name), append(scores, m.score)
		}
	}
	return names, scores
}

// Score is that of a member of a sorted set, 0 if it is not there.
func (s *Server) Score(key, name string) float64 {
	if e := s.peek(key, aZset); e != nil {
		return e.members.scores[name]
	}
	return 0
}

// peek is find, outside of a script.
func (s *Server) peek(key string, k kind) *entry {
	s.ms = s.Now.UnixMilli()
	e, err := s.find(key, k)
	if err != nil {
		return nil
	}
	return e
}

// LearnScripts makes known what another server knows.
func (s *Server) LearnScripts(from *Server) {
	for hash := range from.known {
		s.known[hash] = true
	}
}
