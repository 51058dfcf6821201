package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/redismodel"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// redisServer is what pods take for Redis: a master, and what becomes of it.
type redisServer struct {
	world   *world
	master  *redismodel.Server
	ahead   time.Duration // by how much its clock is
	old     *redismodel.Server
	oldAway time.Duration      // by how much the clock of the old one is ahead
	replica *redismodel.Server // that lags: a copy of before; nil for one that has everything
	away    time.Time          // until when nobody answers
	servers int                // that there have been
	lost    bool               // state was lost, or a grant
}

func newRedis(w *world) *redisServer {
	r := &redisServer{world: w, master: redismodel.New(), servers: 1}
	r.master.Blind = w.plan.blind
	if w.plan.blind {
		w.reach(Blind)
	}
	r.master.RunID, r.master.Replid = serverName(1), replid(1)
	return r
}

func serverName(n int) string { return fmt.Sprintf("a%039x", n) }
func replid(n int) string     { return fmt.Sprintf("b%039x", n) }

// of is the server that a pod's calls come to.
func (r *redisServer) of(p *simPod) *redismodel.Server {
	if p.oldMaster && r.old != nil {
		r.old.Now = r.world.now.Add(r.oldAway)
		return r.old
	}
	r.master.Now = r.world.now.Add(r.ahead)
	return r.master
}

// acked is how many replicas have what was just written.
func (r *redisServer) acked(p *simPod) int {
	if r.replica != nil || p.oldMaster && r.old != nil {
		return 0
	}
	return 1
}

// execute runs a call on the server, now.
func (w *world) execute(p *simPod, s pod.Send) (any, error) {
	server := w.redis.of(p)
	w.verdict.Calls++
	call := s.Request.Encode(keys)
	source := w.mutant.applied(call.Script.Source)
	period := server.Field(keys.Limits(), "period")
	claim, isClaim := s.Request.(wire.Claim)
	paid, arrival := false, 0.0
	if isClaim {
		paid, arrival = server.Text(keys.Paid(claim.Ticket)) != "", server.Score(queueKey(claim.Bucket), claim.Ticket)
	}
	raw, err := server.EvalSha(call.Script.Hash, source, call.Keys, call.Args)
	if wire.NoScript(err) && (s.Whole || !isClaim) {
		server.LearnScript(call.Script.Hash)
		raw, err = server.EvalSha(call.Script.Hash, source, call.Keys, call.Args)
	}
	code := codeOf(raw)
	w.reach(Point(call.Script.Name + ": " + code))
	if w.telling {
		w.tell("%s: %s", p.name, told(call, code, raw, err))
	}
	if now := server.Field(keys.Limits(), "period"); now != period && period != "" && len(w.permits()) > 0 {
		w.reach(PeriodBegan)
	}
	if isClaim && err == nil {
		w.judgeHead(server, claim, raw)
	}
	if isClaim && code == "granted" {
		if w.redis.replica != nil {
			w.redis.lost = true
		}
		if until, _ := strconv.ParseFloat(server.Field(keys.Limits(), "paused_until"), 64); until > float64(server.Now.UnixMilli()) {
			w.broken(rulePause, "%s is granted in a pause", claim.Ticket)
		}
		if !paid {
			w.judgeOrder(server, claim, arrival)
		}
	}
	return raw, err
}

func codeOf(raw any) string {
	if list, is := raw.([]any); is && len(list) > 0 {
		if code, is := list[0].(string); is {
			return code
		}
		return codeOf(list[0])
	}
	return ""
}

// told is a call in a line of the story.
func told(call wire.Call, code string, raw any, err error) string {
	about := ""
	if len(call.Args) > 0 {
		about = fmt.Sprint(" ", call.Args[0])
	}
	if err != nil {
		return call.Script.Name + about + " -> " + err.Error()
	}
	rest := fmt.Sprint(raw)
	rest = strings.TrimSuffix(strings.TrimPrefix(rest, "["+code), "]")
	return call.Script.Name + about + " -> " + code + rest
}
