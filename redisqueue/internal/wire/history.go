package wire

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

var (
	recordScript  = newScript(lua.Record)
	historyScript = newScript(lua.History)
)

// Record adds what a pod granted to the history.
type Record struct {
	Pod     string
	Keep    time.Duration // after the last grant
	Replay  time.Duration // for how long it is known what this pod has told, so that none of it counts twice
	Tallies []Tally
}

// Tally is what a pod granted in one minute.
type Tally struct {
	Number int           // of this pod's tallies
	Ago    time.Duration // when its first event was
	Counts string        // as lua/record.lua adds them
}

// Encode encodes the call.
func (r Record) Encode(keys Keys) Call {
	list := keys.of(recordScript.Keys, 0, "")
	list[slices.Index(recordScript.Keys, "recorded")] += ":" + r.Pod
	var each []any
	for _, t := range r.Tallies {
		each = append(each, t.Number, t.Ago.Milliseconds(), t.Counts)
	}
	return Call{recordScript, list, recordScript.Order(lua.Values{"keep": r.Keep, "replay": r.Replay}, each...)}
}

// Decode decodes the answer: Redis's clock (ms).
func (r Record) Decode(_ Keys, raw any) (clock int64, err error) {
	reply := newReply(raw).named(recordScript)
	return reply.at("now").int64(), reply.done()
}

// History asks for what all pods granted in the last day.
type History struct{}

// Encode encodes the call.
func (History) Encode(keys Keys) Call {
	return Call{historyScript, keys.of(historyScript.Keys, 0, ""), historyScript.Order(nil)}
}

// Decode decodes the answer: minutes in their order.
func (History) Decode(_ Keys, raw any) (minutes []gatewayqueue.Minute, err error) {
	r := newReply(raw).named(historyScript)
	now := r.at("now").int64() / time.Minute.Milliseconds()
	for _, text := range r.at("minutes").list().pairs() {
		minute, m, ok := parseMinute(text)
		if ok && minute < now && minute >= now-gatewayqueue.HistoryMinutes { // else of the day before, or of another version
			minutes = append(minutes, m)
		}
	}
	slices.SortFunc(minutes, func(a, b gatewayqueue.Minute) int { return a.Start.Compare(b.Start) })
	return minutes, r.done()
}

// parseMinute reads what record.lua writes: <minute> <left>/<total> name=count ..., with
// - for a budget that is not known.
func parseMinute(text string) (minute int64, m gatewayqueue.Minute, ok bool) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return 0, m, false
	}
	minute, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return 0, m, false
	}
	m = gatewayqueue.Minute{Start: time.UnixMilli(minute * time.Minute.Milliseconds()), Waits: make(gatewayqueue.Waits)}
	left, total, found := strings.Cut(words[1], "/")
	var bad1, bad2 error
	m.Remaining, bad1 = strconv.Atoi(left)
	m.Total, bad2 = strconv.Atoi(total)
	if !found || bad1 != nil || bad2 != nil {
		m.Remaining, m.Total, m.Unknown = 0, 0, true
	}
	for _, word := range words[2:] {
		name, count, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(count)
		if err != nil {
			return 0, m, false
		}
		switch class, err := strconv.Atoi(name); {
		case name == "granted":
			m.Granted = n
		case name == "returned":
			m.Returned = n
		case err == nil:
			m.Waits[class] = n
		}
	}
	m.P50, m.P99 = m.Waits.Quantile(0.5), m.Waits.Quantile(0.99)
	return minute, m, true
}
