package redismodel

import (
	"cmp"
	"slices"
	"strings"
)

// zset is a sorted set: its members by their scores, equal ones by their text.
type zset struct {
	sorted []member
	scores map[string]float64
}

type member struct {
	name  string
	score float64
}

func (m member) compare(o member) int {
	if c := cmp.Compare(m.score, o.score); c != 0 {
		return c
	}
	return cmp.Compare(m.name, o.name)
}

func (z *zset) copy() *zset {
	c := &zset{append([]member(nil), z.sorted...), make(map[string]float64, len(z.scores))}
	for name, score := range z.scores {
		c.scores[name] = score
	}
	return c
}

// add adds a member, or moves it, and says if it is new.
func (z *zset) add(name string, score float64) bool {
	old, is := z.scores[name]
	if is && old == score {
		return false
	}
	if is {
		z.del(name)
	}
	m := member{name, score}
	i, _ := slices.BinarySearchFunc(z.sorted, m, member.compare)
	z.sorted = slices.Insert(z.sorted, i, m)
	z.scores[name] = score
	return !is
}

func (z *zset) del(name string) bool {
	i, is := z.rank(name)
	if is {
		z.sorted = slices.Delete(z.sorted, i, i+1)
		delete(z.scores, name)
	}
	return is
}

func (z *zset) rank(name string) (int, bool) {
	score, is := z.scores[name]
	if !is {
		return 0, false
	}
	return slices.BinarySearchFunc(z.sorted, member{name, score}, member.compare)
}

// between are the bounds of a range of ranks, as Redis counts them: below 0 from the
// end.
func between(from, to int64, size int) (int, int) {
	n := int64(size)
	if from < 0 {
		from = max(from+n, 0)
	}
	if to < 0 {
		to += n
	}
	to = min(to, n-1)
	if from > to || from >= n {
		return 0, 0
	}
	return int(from), int(to) + 1
}

func (s *Server) writeZset(args []string) (reply, error) {
	if args[0] == "ZADD" {
		return s.zadd(args)
	}
	e, err := s.find(args[1], aZset)
	if e == nil {
		return int64(0), err
	}
	n := int64(0)
	if args[0] == "ZREM" {
		for _, name := range args[2:] {
			if e.members.del(name) {
				n++
			}
		}
	} else {
		to, is := float(args[3])
		if args[2] != "-inf" || !is {
			return nil, Error("ERR min or max is not a float")
		}
		for len(e.members.sorted) > 0 && e.members.sorted[0].score <= to {
			e.members.del(e.members.sorted[0].name)
			n++
		}
	}
	if len(e.members.sorted) == 0 {
		delete(s.keys, args[1])
	}
	return n, nil
}

func (s *Server) zadd(args []string) (reply, error) {
	rest, only := args[2:], ""
	if rest[0] == "NX" || rest[0] == "XX" {
		only, rest = rest[0], rest[1:]
	}
	score, is := float(rest[0])
	if !is {
		return nil, errFloat
	}
	if e, err := s.find(args[1], aZset); only == "XX" && (e == nil || err != nil) {
		return int64(0), err
	}
	e, err := s.of(args[1], aZset)
	if err != nil {
		return nil, err
	}
	if _, there := e.members.scores[rest[1]]; there && only == "NX" || !there && only == "XX" {
		return int64(0), nil
	}
	if e.members.add(rest[1], score) {
		return int64(1), nil
	}
	return int64(0), nil
}

func (s *Server) readZset(args []string) (reply, error) {
	e, err := s.find(args[1], aZset)
	if err != nil {
		return nil, err
	}
	z := &zset{}
	if e != nil {
		z = e.members
	}
	switch args[0] {
	case "ZCARD":
		return int64(len(z.sorted)), nil
	case "ZSCORE":
		if score, is := z.scores[args[2]]; is {
			return number(score), nil
		}
		return nil, nil
	case "ZRANK":
		if i, is := z.rank(args[2]); is {
			return int64(i), nil
		}
		return nil, nil
	}
	from, one := whole(args[2])
	to, two := whole(args[3])
	if !one || !two {
		return nil, errInteger
	}
	scores := len(args) > 4 && strings.EqualFold(args[4], "WITHSCORES")
	i, j := between(from, to, len(z.sorted))
	var all []reply
	for _, m := range z.sorted[i:j] {
		all = append(all, m.name)
		if scores {
			all = append(all, number(m.score))
		}
	}
	return all, nil
}
