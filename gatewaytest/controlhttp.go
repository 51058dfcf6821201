// The control over HTTP, for tests in other processes and languages: a table of
// what can be done to the server, and of what can be asked.

package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// control is one route below /control.
type control struct {
	Method     string   `json:"method"`
	Path       string   `json:"path"`
	Parameters []string `json:"parameters,omitempty"` // those in brackets may be left out
	What       string   `json:"what"`
	do         func(*Server, *parameters) (any, error)
}

// told is the answer to what ends sessions or says something to them.
type told struct {
	Sessions int `json:"sessions"` // how many; those without a connection included, where they end
}

// done is the answer to everything else.
type done struct{}

// state is the server at a glance.
type state struct {
	OK       bool    `json:"ok"` // as the verdict's OK
	Verdict  Verdict `json:"verdict"`
	Ready    []int   `json:"ready"`    // shards
	Sessions int     `json:"sessions"` // those that can be resumed included
	Stats    Stats   `json:"stats"`
}

func (s *Server) state() state {
	v := s.judge.Verdict()
	return state{v.OK(), v, append([]int{}, s.ReadyShards()...), len(s.Sessions()), s.Stats()}
}

// errViolated is a verdict that is not OK.
var errViolated = errors.New("violated")

const (
	defaultWait = time.Minute
	longestWait = time.Hour
)

func controls() []control {
	return []control{
		{"GET", "/control/state", nil, "the verdict, the ready shards, and counts of what happened", func(s *Server, _ *parameters) (any, error) {
			return s.state(), nil
		}},
		{"GET", "/control/verdict", nil, "as state; answered with 409 if there was a violation or an IDENTIFY over the budget", func(s *Server, _ *parameters) (any, error) {
			now := s.state()
			if !now.OK {
				return now, errViolated
			}
			return now, nil
		}},
		{"GET", "/control/wait", []string{"ready", "[within]"}, "answers when so many shards are ready at once, with 504 if they are not within a minute, or a time of up to an hour", func(s *Server, p *parameters) (any, error) {
			ready, within := p.number("ready", 0, 1<<30, required), p.duration("within", time.Millisecond, longestWait, defaultWait)
			if err := p.err(); err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeoutCause(p.r.Context(), within, fmt.Errorf("%v are over", within))
			defer cancel()
			s.waiting.Add(1)
			defer s.waiting.Add(-1)
			err := s.WaitReady(ctx, ready)
			return s.state(), err
		}},
		{"POST", "/control/restart", nil, "all gateways restart: every session ends, every connection is closed (1001)", func(s *Server, _ *parameters) (any, error) {
			n := len(s.Sessions())
			s.Restart()
			return told{n}, nil
		}},
		{"POST", "/control/drop", []string{"[resumable]"}, "every connection is severed without a close frame; sessions can be resumed, unless resumable=false", func(s *Server, p *parameters) (any, error) {
			resumable := p.yes("resumable", true)
			if err := p.err(); err != nil {
				return nil, err
			}
			n := len(s.Sessions())
			s.Drop(resumable)
			return told{n}, nil
		}},
		{"POST", "/control/reconnect", []string{"[shards]"}, "op 7 to ready shards: all, or those given, such as 0,1,2", func(s *Server, p *parameters) (any, error) {
			return p.tell(func(shards []int) int { return s.Reconnect(shards...) })
		}},
		{"POST", "/control/invalidate", []string{"[shards]", "[resumable]"}, "op 9 to ready shards; their sessions end, unless resumable=true", func(s *Server, p *parameters) (any, error) {
			resumable := p.yes("resumable", false)
			return p.tell(func(shards []int) int { return s.Invalidate(resumable, shards...) })
		}},
		{"POST", "/control/close", []string{"code", "[shards]"}, "closes the connections of ready shards with 1000, 1001, 4000 to 4005, or 4007 to 4014", func(s *Server, p *parameters) (any, error) {
			code, shards := p.number("code", 1000, 4999, required), p.shards()
			if err := p.err(); err != nil {
				return nil, err
			}
			n, err := s.CloseShards(code, shards...)
			return told{n}, err
		}},
		{"POST", "/control/heartbeat", []string{"[shards]"}, "op 1 to ready shards, which should answer with a heartbeat at once", func(s *Server, p *parameters) (any, error) {
			return p.tell(func(shards []int) int { return s.RequestHeartbeats(shards...) })
		}},
		{"POST", "/control/refuse-resumes", []string{"for"}, "op 9 to every RESUME for so long; 0 ends that", func(s *Server, p *parameters) (any, error) {
			lasts := p.duration("for", 0, 24*time.Hour, required)
			return p.done(func() { s.RefuseResumes(lasts) })
		}},
		{"POST", "/control/limit-gateway-bot", []string{"for"}, "429 to every GET /gateway/bot for so long; 0 ends that", func(s *Server, p *parameters) (any, error) {
			lasts := p.duration("for", 0, 24*time.Hour, required)
			return p.done(func() { s.LimitGatewayBot(lasts) })
		}},
		{"POST", "/control/delay", []string{"[hello]", "[frames]", "[ready]"}, "how long it takes from now on until HELLO, of a client's frames, and from IDENTIFY to READY: 300ms, 100ms-2s or never; what is on its way already keeps its time", func(s *Server, p *parameters) (any, error) {
			hello, frames, ready := p.delay("hello"), p.delay("frames"), p.delay("ready")
			return p.done(func() {
				for _, one := range []struct {
					set func(Delay)
					to  Delay
				}{{s.DelayHello, hello}, {s.DelayFrames, frames}, {s.DelayReady, ready}} {
					if one.to != nil {
						one.set(one.to)
					}
				}
			})
		}},
		{"POST", "/control/fail", []string{"kind", "[first]", "[chance]"}, "something goes wrong from now on, for the first N of each shard or by chance, 0 to 1: " + strings.Join(failureNames, ", "), (*Server).controlFail},
		{"POST", "/control/host", []string{"host", "[up]", "[resumable]"}, "a gateway host goes down, and its sessions can be resumed elsewhere, unless resumable=false; or it comes up again (up=true)", func(s *Server, p *parameters) (any, error) {
			host, up, resumable := p.number("host", 0, maxHosts-1, required), p.yes("up", false), p.yes("resumable", true)
			if err := p.err(); err != nil {
				return nil, err
			}
			if up {
				return done{}, s.StartHost(host)
			}
			n, err := s.StopHost(host, resumable)
			return told{n}, err
		}},
		{"POST", "/control/limits", []string{"[total]", "[remaining]", "[max_concurrency]", "[reset_after]"}, "other limits from now on; what is not given stays as it is, but that no more can remain than the total; answers with Discord's session_start_limit", (*Server).controlLimits},
	}
}

func (s *Server) controlFail(p *parameters) (any, error) {
	kind := p.choice("kind", failureNames)
	first, chance := p.number("first", 1, 1<<30, 0), p.fraction("chance")
	if err := p.err(); err != nil {
		return nil, err
	}
	failure := Failure(slices.Index(failureNames, kind)) + RefuseConnection
	switch {
	case first > 0 && p.given("chance"):
		return nil, &gatewayqueue.InvalidError{Field: "chance", Value: chance, Want: "either first or chance"}
	case first > 0:
		s.Fail(failure, First(first))
	case p.given("chance"):
		s.Fail(failure, Chance(chance, uint64(time.Now().UnixNano())))
	default:
		return nil, &gatewayqueue.InvalidError{Field: "first", Value: "missing", Want: "either first or chance; chance=0 ends the failure"}
	}
	return done{}, nil
}

// mostUnits is the largest budget that can be set.
const mostUnits = 10_000_000

func (s *Server) controlLimits(p *parameters) (any, error) {
	return s.judge.changeLimit(func(limit *gatewayqueue.SessionStartLimit) error {
		limit.Total = p.number("total", 1, mostUnits, limit.Total)
		limit.Remaining = p.number("remaining", 0, mostUnits, min(limit.Remaining, limit.Total))
		limit.MaxConcurrency = p.number("max_concurrency", 1, gatewayqueue.MaxBuckets, limit.MaxConcurrency)
		limit.ResetAfter = p.duration("reset_after", 0, gatewayqueue.LimitPeriod, limit.ResetAfter)
		return p.err()
	})
}

// controlRoutes is the handler of /control and what is below.
func controlRoutes(s *Server) http.Handler {
	all := controls()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var methods []string
		for _, c := range all {
			if c.Path == r.URL.Path {
				if c.Method == r.Method {
					c.serve(s, w, r)
					return
				}
				methods = append(methods, c.Method)
			}
		}
		switch {
		case len(methods) > 0:
			w.Header().Set("Allow", strings.Join(methods, ", "))
			controlError(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s takes %s, not %s", r.URL.Path, strings.Join(methods, ", "), r.Method))
		case r.URL.Path == "/control" && r.Method == http.MethodGet:
			writeJSON(w, http.StatusOK, all)
		default:
			controlError(w, http.StatusNotFound, "there is no "+r.URL.Path+": GET /control lists what there is")
		}
	})
}

func (c control) serve(s *Server, w http.ResponseWriter, r *http.Request) {
	p, err := readParameters(r, c.Parameters)
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	answer, err := c.do(s, p)
	switch invalid := (*gatewayqueue.InvalidError)(nil); {
	case errors.Is(err, errViolated):
		writeJSON(w, http.StatusConflict, answer)
	case errors.As(err, &invalid):
		controlError(w, http.StatusBadRequest, err.Error())
	case err != nil:
		controlError(w, http.StatusGatewayTimeout, err.Error())
	default:
		writeJSON(w, http.StatusOK, answer)
	}
}

func controlError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"error": message})
}
