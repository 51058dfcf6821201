// What is said when --timeout has passed, or is known to pass first.

package wait

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
)

// tooLate is a wait that --timeout has ended. Nothing was spent.
type tooLate struct {
	text string
	err  error
}

func (e *tooLate) Error() string { return e.text }
func (e *tooLate) Unwrap() error { return e.err }

// closed is what a queue says of a bucket whose window is not over.
var closed = regexp.MustCompile(`^bucket (\d+) is closed`)

// late says what was in the way, for how long yet, and what to type.
func late(c *config, err error) error {
	var known *gatewayqueue.DeadlineError
	var blocked *gatewayqueue.BlockedError
	var why string
	switch {
	case errors.As(err, &known):
		if why = known.Reason; closed.MatchString(why) {
			why = closed.FindStringSubmatch(why)[0]
			why = strings.TrimSuffix(why, " is closed") + " opens in " + picture.Seconds(known.Wait)
		} else {
			why += ", for " + picture.Seconds(known.Wait) + " more"
		}
	case errors.As(err, &blocked):
		why = blocked.Text
		if blocked.Wait > 0 {
			why += ", for " + picture.Seconds(blocked.Wait) + " more"
		}
		if blocked.Cure != "" {
			why += " (" + blocked.Cure + ")"
		}
		if blocked.Err != nil {
			why += ": " + cli.OneLine(blocked.Err)
		}
	default:
		why = strings.TrimSuffix(cli.OneLine(err), context.DeadlineExceeded.Error())
		why = strings.TrimRight(why, ":; ")
	}
	if why == "" {
		why = "it had not had its turn"
	}
	return &tooLate{fmt.Sprintf("not within %s: %s (nothing was spent; without --timeout it waits for its turn)", cli.Short(c.Timeout), why), err}
}

// askWithin is how long the queue may take to say what was in the way.
const askWithin = 2 * time.Second

// told asks a queue what was in the way of a wait that --timeout has ended, where
// the error does not say it.
func told(ctx context.Context, q gatewayqueue.Queue, shard int, err error) error {
	known := errors.As(err, new(*gatewayqueue.DeadlineError)) || errors.As(err, new(*gatewayqueue.BlockedError))
	statuser, can := q.(gatewayqueue.StatusReader)
	if known || !can || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	status, failed := statuser.Status(ctx)
	switch {
	case failed != nil:
		return errors.Join(failed, err)
	case len(status.Buckets) == 0:
		return err
	}
	for _, blocked := range status.Blocked() {
		if blocked.Reason != gatewayqueue.ReasonBackoff {
			return errors.Join(blocked, err)
		}
	}
	b := status.Buckets[shard%len(status.Buckets)]
	why := &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonLine, Text: fmt.Sprintf("bucket %d opens in %s", b.Bucket, picture.Seconds(b.Closed))}
	if b.Waiting > 0 {
		why.Text += fmt.Sprintf(", and %d stand in line for it", b.Waiting)
	}
	return errors.Join(why, err)
}
