package wire

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

var sightScript = newScript(lua.Sight)

// sightsKept is for how long sights are kept after the last of them came.
const sightsKept = time.Hour

// Sight tells what a proxy has seen, and asks how the fleet fares.
type Sight struct {
	News gatewayqueue.SightNews
	List bool // every shard's sight is asked for
}

// Sights is the answer to a Sight.
type Sights struct {
	Shards map[int]gatewayqueue.Sight
	Storm  gatewayqueue.Storm
}

// Encode encodes the call.
func (s Sight) Encode(keys Keys) Call {
	var each []any
	for shard, sight := range s.News.Shards {
		text, _ := json.Marshal(sight) // texts, numbers and times: it cannot fail
		each = append(each, shard, string(text))
	}
	return Call{sightScript, keys.of(sightScript.Keys, 0, ""), sightScript.Order(lua.Values{
		"refused": s.News.Refused, "identified": s.News.Identified, "many": max(s.News.Many, 1),
		"lasts": gatewayqueue.StormLasts, "keep": sightsKept, "list": s.List,
	}, each...)}
}

// Decode decodes the answer.
func (s Sight) Decode(_ Keys, raw any) (Sights, error) {
	r := newReply(raw).named(sightScript)
	now := r.at("now").int64()
	storm := gatewayqueue.Storm{Refused: r.at("refused").int(), Identified: r.at("identified").int()}
	if since := r.at("since").int64(); since > 0 {
		storm.Since = time.UnixMilli(since)
		storm.Lasts = inMilliseconds(now - since)
	}
	shards := make(map[int]gatewayqueue.Sight)
	for shard, text := range r.at("sights").list().pairs() {
		id, err := strconv.Atoi(shard)
		var sight gatewayqueue.Sight
		if err == nil && json.Unmarshal([]byte(text), &sight) == nil { // else of another version
			shards[id] = sight
		}
	}
	return Sights{shards, storm}, r.done()
}
