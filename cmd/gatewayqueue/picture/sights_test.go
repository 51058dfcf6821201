package picture

import (
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue"
)

func TestSightsRows(t *testing.T) {
	now := time.Now()
	told := func(state gatewayqueue.ShardState, ago time.Duration) gatewayqueue.Sight {
		return gatewayqueue.Sight{State: state, Told: now.Add(-ago)}
	}
	assert.Empty(t, SightsRows(nil, gatewayqueue.Storm{Refused: 3}, now), "no proxy, and no storm")
	rows := SightsRows(map[int]gatewayqueue.Sight{
		0: told("ready", 0), 1: told("ready", time.Minute), 2: told("held", 0), 9: told("gone", time.Hour), 3: told("refused", 0), 4: told("ready", time.Hour),
	}, gatewayqueue.Storm{Refused: 12, Since: now, Lasts: 70 * time.Second}, now)
	var lines []string
	for _, row := range rows {
		lines = append(lines, row.Label+": "+ansi.Strip(joined(row.Fields)))
	}
	assert.Equal(t, []string{
		"shards: 2 up, 1 on the way, 2 down: 3, 9, 1 not known, as their proxy tells no more: 4",
		"storm: Discord has refused 12 sessions in the last minute, for 1 min 10 s",
	}, lines)
}
