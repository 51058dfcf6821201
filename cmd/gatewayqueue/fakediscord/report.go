// The verdict at the end.

package fakediscord

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// report is the verdict, and what led to it.
type report struct {
	OK bool `json:"ok"`
	// Error is why it is not.
	Error   string                    `json:"error,omitempty"`
	Verdict gatewaytest.Verdict       `json:"verdict"`
	Ready   []int                     `json:"ready"` // shards, at the end
	Stats   gatewaytest.Stats         `json:"stats"`
	Shards  []gatewaytest.ShardReport `json:"shards"`
	Wrong   []gatewaytest.Identify    `json:"wrong"` // identifies that came early, or over the budget
}

// report sums up; short is why it has ended too early, or nil.
func (c *config) report(server *gatewaytest.Server, short error) report {
	r := report{
		Verdict: server.Judge().Verdict(), Ready: append([]int{}, server.ReadyShards()...),
		Stats: server.Stats(), Shards: named(server.Shards()), Wrong: []gatewaytest.Identify{},
	}
	for _, one := range server.Judge().Record() {
		if one.Early || one.Over {
			r.Wrong = append(r.Wrong, one)
		}
	}
	var wrong []string
	if v := r.Verdict; !v.OK() {
		wrong = append(wrong, fmt.Sprintf("Discord would have punished %s of the window and %s over the budget", picture.Count(v.Violations, "violation"), picture.Count(v.OverBudget, "IDENTIFY")))
	}
	if short != nil {
		wrong = append(wrong, short.Error())
	}
	r.OK, r.Error = len(wrong) == 0, strings.Join(wrong, "; ")
	return r
}

// named leaves out the report of connections that have not said which shard they are
// where there are none.
func named(all []gatewaytest.ShardReport) []gatewaytest.ShardReport {
	return slices.DeleteFunc(all, func(r gatewaytest.ShardReport) bool { return r.Shard < 0 && r.Connections == 0 })
}

func (r report) failure() error {
	if r.OK {
		return nil
	}
	return errors.New(r.Error)
}

// shown is how many of those that were wrong are listed for people.
const shown = 10

func (r report) print(out io.Writer, asJSON bool) error {
	if asJSON {
		encoder := printable.JSON(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	_, err := io.WriteString(out, picture.Wrapped(printable.Styled(r.text()), out))
	return err
}

// text is the report for people.
func (r report) text() string {
	text := "\n" + r.Verdict.String() + "\n"
	for n, one := range r.Wrong {
		if n == shown {
			text += fmt.Sprintf("  and %d more\n", len(r.Wrong)-n)
			break
		}
		text += fmt.Sprintf("  at %.3f s  shard %d  %s\n", one.At.Seconds(), one.Shard, identifyText(one))
	}
	s := r.Stats
	text += fmt.Sprintf("%d READY, %d RESUMED, %d RESUME refused, op 7 %d times, op 9 %d times, %s; ready at the end: %d\n",
		s.Readies, s.Resumes, s.RefusedResumes, s.Reconnects, s.InvalidSessions, picture.Count(s.Connections, "connection"), len(r.Ready))
	return text
}
