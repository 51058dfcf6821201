package dashboard

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue"
)

func TestSights_AreCountedAndWhatWantsALookComesFirst(t *testing.T) {
	now := time.Now()
	told := func(state gatewayqueue.ShardState, ago time.Duration) gatewayqueue.Sight {
		return gatewayqueue.Sight{State: state, Told: now.Add(-ago), Since: now.Add(-time.Hour), Heartbeat: 41 * time.Millisecond}
	}
	s := sightsOf(map[int]gatewayqueue.Sight{
		0: told("ready", time.Second), 1: told("ready", time.Minute), 2: told("held", 0), 3: told("refused", 0),
		4: told("gone", time.Hour), 5: told("ready", 3*time.Minute), 6: told("resuming", 0),
	}, gatewayqueue.Storm{Refused: 12, Identified: 3, Since: now}, now)
	assert.Equal(t, [4]int{2, 2, 2, 1}, [4]int{s.Up, s.Coming, s.Down, s.Silent})
	assert.Equal(t, 12, s.Storm.Refused)
	var order []int
	for _, one := range s.Shards {
		order = append(order, one.Shard)
	}
	assert.Equal(t, []int{3, 4, 2, 6, 5, 0, 1}, order)
	assert.Equal(t, gatewayqueue.StandingSilent, s.Shards[4].Standing, "a proxy that tells no more")
	assert.EqualValues(t, 41, s.Shards[5].Heartbeat)
}
