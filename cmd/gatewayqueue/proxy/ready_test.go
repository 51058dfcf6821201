package proxy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
)

func TestLookAt_SaysWhatAShardWaitsFor(t *testing.T) {
	now := time.Now()
	shard := func(app string, id int, state gatewayproxy.State) gatewayproxy.Shard {
		return gatewayproxy.Shard{App: app, ID: id, State: state, Since: now.Add(-1500 * time.Millisecond)}
	}
	all := []gatewayproxy.Shard{
		shard("1", 0, gatewayproxy.StateReady), shard("1", 1, gatewayproxy.StateHeld), shard("1", 2, gatewayproxy.StateIdentifying),
		shard("1", 3, gatewayproxy.StateResuming), shard("1", 4, gatewayproxy.StateRefused), shard("1", 5, gatewayproxy.StateGone),
		shard("1", 6, gatewayproxy.StateGone), shard("1", 7, gatewayproxy.StateReady), shard("2", 7, gatewayproxy.StateHeld),
	}
	all[5].LastClose, all[5].LastCloseBy = 4014, "discord"
	all[6].LastCloseBy = "bot"
	for _, c := range []struct {
		id   string
		code int
		text string
	}{
		{"0", 200, "ready"},
		{"1", 503, "not ready: shard 1 waits for its turn: its IDENTIFY is held since 1.5s"},
		{"2", 503, "not ready: shard 2 has identified 1.5s ago: READY has not come"},
		{"3", 503, "not ready: shard 3 has asked to resume 1.5s ago: RESUMED has not come"},
		{"4", 503, "not ready: shard 4 has no session: Discord has called it invalid 1.5s ago (op 9)"},
		{"5", 503, "not ready: shard 5 has no connection: the last has ended 1.5s ago, with 4014, by Discord"},
		{"6", 503, "not ready: shard 6 has no connection: the last has ended 1.5s ago, without a code, by the bot"},
		{"7", 400, "several applications have a shard 7 here: name one, as in /readyz/shard/7?app=1"},
		{"8", 503, "not ready: shard 8 has not come through this proxy"},
		{"", 400, `shard is "": want a whole number from 0, as in /readyz/shard/0`},
		{"-1", 400, `shard is "-1": want a whole number from 0, as in /readyz/shard/0`},
		{"0/x", 400, `shard is "0/x": want a whole number from 0, as in /readyz/shard/0`},
	} {
		code, text := lookAt(append([]gatewayproxy.Shard(nil), all...), c.id, now)
		assert.Equal(t, c.code, code, c.id)
		assert.Equal(t, c.text, text)
	}
}
