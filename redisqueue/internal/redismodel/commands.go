package redismodel

import (
	"slices"
	"strconv"
)

// reply is what a command answers: a text, a number, a list of replies, status for
// OK, or nil for nothing.
type reply any

type status string

const ok = status("OK")

// command runs a command of a script.
func (s *Server) command(args []string) (reply, error) {
	if len(args) < 2 && args[0] != "TIME" && args[0] != "INFO" {
		return nil, Error("ERR wrong number of arguments")
	}
	switch args[0] {
	case "TIME":
		now := s.Now.UnixMicro()
		return []reply{strconv.FormatInt(now/1e6, 10), strconv.FormatInt(now%1e6, 10)}, nil
	case "INFO":
		return s.info()
	case "GET":
		e, err := s.find(args[1], aString)
		if e == nil {
			return nil, err
		}
		return e.text, nil
	case "SET":
		return s.set(args[1], args[2], args[3:])
	case "DEL":
		n := int64(0)
		for _, key := range args[1:] {
			if s.any(key) != nil {
				delete(s.keys, key)
				n++
			}
		}
		return n, nil
	case "INCR":
		return s.incr(args[1])
	case "PTTL":
		switch e := s.any(args[1]); {
		case e == nil:
			return int64(-2), nil
		case e.expires == 0:
			return int64(-1), nil
		default:
			return e.expires - s.ms, nil
		}
	case "PEXPIRE":
		return s.expire(args[1], args[2])
	case "HGET", "HMGET", "HGETALL", "HLEN":
		return s.readHash(args)
	case "HSET", "HDEL", "HINCRBY":
		return s.writeHash(args)
	case "ZADD", "ZREM", "ZREMRANGEBYSCORE":
		return s.writeZset(args)
	case "ZRANGE", "ZRANK", "ZSCORE", "ZCARD":
		return s.readZset(args)
	case "LPUSH", "LTRIM", "LRANGE":
		return s.list(args)
	}
	return nil, Error("ERR unknown command " + args[0])
}

func (s *Server) info() (reply, error) {
	if s.Blind {
		return nil, Error("ERR section (replication) is not known")
	}
	return "# Server\r\nrun_id:" + s.RunID + "\r\n# Replication\r\nmaster_replid:" + s.Replid + "\r\n", nil
}

func (s *Server) set(key, value string, options []string) (reply, error) {
	e := &entry{kind: aString, text: value}
	for i := 0; i < len(options); i++ {
		switch options[i] {
		case "PX":
			i++
			ms, is := whole(options[i])
			if !is {
				return nil, errInteger
			}
			if ms <= 0 {
				return nil, Error("ERR invalid expire time in 'set' command")
			}
			e.expires = s.ms + ms
		case "KEEPTTL":
			if old := s.any(key); old != nil {
				e.expires = old.expires
			}
		default:
			return nil, Error("ERR syntax error")
		}
	}
	s.keys[key] = e
	return ok, nil
}

func (s *Server) incr(key string) (reply, error) {
	e, err := s.of(key, aString)
	if err != nil {
		return nil, err
	}
	if e.text == "" {
		e.text = "0"
	}
	n, is := whole(e.text)
	if !is {
		return nil, errInteger
	}
	e.text = strconv.FormatInt(n+1, 10)
	return n + 1, nil
}

func (s *Server) expire(key, in string) (reply, error) {
	ms, is := whole(in)
	if !is {
		return nil, errInteger
	}
	e := s.any(key)
	if e == nil {
		return int64(0), nil
	}
	if ms <= 0 {
		delete(s.keys, key)
	} else {
		e.expires = s.ms + ms
	}
	return int64(1), nil
}

func (s *Server) readHash(args []string) (reply, error) {
	e, err := s.find(args[1], aHash)
	if err != nil {
		return nil, err
	}
	h := &hash{}
	if e != nil {
		h = e.fields
	}
	switch args[0] {
	case "HLEN":
		return int64(len(h.names)), nil
	case "HGET":
		if v, is := h.get(args[2]); is {
			return v, nil
		}
		return nil, nil
	case "HMGET":
		all := make([]reply, 0, len(args)-2)
		for _, name := range args[2:] {
			if v, is := h.get(name); is {
				all = append(all, v)
			} else {
				all = append(all, nil)
			}
		}
		return all, nil
	default:
		all := make([]reply, 0, 2*len(h.names))
		for i, name := range h.names {
			all = append(all, name, h.values[i])
		}
		return all, nil
	}
}

func (s *Server) writeHash(args []string) (reply, error) {
	if args[0] == "HDEL" {
		e, err := s.find(args[1], aHash)
		if e == nil {
			return int64(0), err
		}
		n := int64(0)
		for _, name := range args[2:] {
			if e.fields.del(name) {
				n++
			}
		}
		if len(e.fields.names) == 0 {
			delete(s.keys, args[1])
		}
		return n, nil
	}
	if len(args) < 4 || len(args)%2 != 0 {
		return nil, Error("ERR wrong number of arguments for 'hset' command")
	}
	e, err := s.of(args[1], aHash)
	if err != nil {
		return nil, err
	}
	if args[0] == "HINCRBY" {
		by, is := whole(args[3])
		old, _ := e.fields.get(args[2])
		n, number := whole(old)
		switch {
		case !is:
			return nil, errInteger
		case !number && old != "":
			return nil, errHash
		}
		e.fields.set(args[2], strconv.FormatInt(n+by, 10))
		return n + by, nil
	}
	n := int64(0)
	for i := 2; i < len(args); i += 2 {
		if e.fields.set(args[i], args[i+1]) {
			n++
		}
	}
	return n, nil
}

func (s *Server) list(args []string) (reply, error) {
	if args[0] == "LPUSH" {
		e, err := s.of(args[1], aList)
		if err != nil {
			return nil, err
		}
		for _, v := range args[2:] {
			e.items = slices.Insert(e.items, 0, v)
		}
		return int64(len(e.items)), nil
	}
	e, err := s.find(args[1], aList)
	if err != nil {
		return nil, err
	}
	from, one := whole(args[2])
	to, two := whole(args[3])
	if !one || !two {
		return nil, errInteger
	}
	if e == nil {
		e = &entry{}
	}
	i, j := between(from, to, len(e.items))
	if args[0] == "LTRIM" {
		e.items = e.items[i:j]
		if len(e.items) == 0 {
			delete(s.keys, args[1])
		}
		return ok, nil
	}
	var all []reply
	for _, v := range e.items[i:j] {
		all = append(all, v)
	}
	return all, nil
}
