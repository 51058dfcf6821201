// What proxies see of shards, in a row.

package picture

import (
	"fmt"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// SightsRows say how many shards are up, as proxies see them, which are down, and of a
// storm; none where no proxy has told of any.
func SightsRows(sights map[int]gatewayqueue.Sight, storm gatewayqueue.Storm, now time.Time) (rows []Row) {
	shards := make(map[gatewayqueue.Standing][]int)
	for shard, s := range sights {
		standing := s.Standing(now)
		shards[standing] = append(shards[standing], shard)
	}
	if len(sights) > 0 {
		row := Row{Label: "shards", Rank: 1, Fields: []Field{{Text: fmt.Sprintf("%d up", len(shards[gatewayqueue.StandingUp]))}}}
		if n := len(shards[gatewayqueue.StandingComing]); n > 0 {
			row.Fields = append(row.Fields, Field{Text: fmt.Sprintf("%d on the way", n)})
		}
		for _, of := range []struct {
			standing gatewayqueue.Standing
			words    string
		}{{gatewayqueue.StandingDown, "down"}, {gatewayqueue.StandingSilent, "not known, as their proxy tells no more"}} {
			ids := shards[of.standing]
			if len(ids) == 0 {
				continue
			}
			slices.Sort(ids)
			names := make([]string, len(ids))
			for i, id := range ids {
				names[i] = fmt.Sprint(id)
			}
			row.Fields = append(row.Fields, Field{Text: fmt.Sprintf("%d %s", len(ids), of.words), Style: Bad},
				Field{Text: Names(names, mostNames), Style: Dim, Rank: 2, Glue: ": "})
		}
		rows = append(rows, row)
	}
	if !storm.Since.IsZero() {
		rows = append(rows, Row{Label: "storm", Fields: []Field{
			{Text: fmt.Sprintf("Discord has refused %s in the last minute", Count(storm.Refused, "session")), Style: Bad},
			{Text: "for " + Seconds(storm.Lasts), Style: Dim, Rank: 1},
		}})
	}
	return rows
}
