// The live picture, and how it is kept fresh.

package status

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
)

// seen is what the last look has shown, and when that was.
type seen struct {
	mu     sync.Mutex
	status snapshot
	at     time.Time
	err    error // why there is nothing newer
	past   history
}

func (l *seen) take(s snapshot, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err = err; err == nil {
		s.Status = printable.All(s.Status)
		l.status, l.at = s, time.Now()
		l.past.see(s.Status)
	}
}

// screen is the picture of the moment: between two looks windows go on.
func (l *seen) screen() picture.Screen {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.status
	age := time.Since(l.at)
	now.Status = picture.Later(now.Status, age)
	screen := now.screen()
	screen.Below = l.past.below(now.Time)
	if l.err != nil {
		screen.Rows = append(screen.Rows, picture.Row{Label: "trouble", Fields: []picture.Field{
			{Text: cli.OneLine(l.err), Style: picture.Bad},
			{Text: "this picture is " + picture.Seconds(age) + " old", Style: picture.Bad},
		}})
	}
	return screen
}

var errEnough = errors.New("the user has seen enough")

// watch shows a live picture until ctx ends or the user has seen enough. The last
// one stays.
func watch(parent context.Context, out io.Writer, c config, take func(context.Context) error, screen func() picture.Screen) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	if err := take(ctx); err != nil { // one that is there from the start ends the command
		return err
	}
	live := picture.NewLive(out, screen, func(enough bool) {
		if enough {
			cancel(errEnough)
		} else {
			cancel(cli.Interrupted)
		}
	})
	live.Show(c.view())
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		_ = repeat(ctx, c.Watch, func() error { // It ends with ctx.
			_ = take(ctx) // The screen says what is wrong.
			return nil
		})
		live.Stop()
	}()
	if err := live.Run(); err != nil {
		return err
	}
	cancel(errEnough) // whatever has ended it
	<-looked
	if err := live.Leave(screen(), live.View(), 0); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, errEnough) {
		return cause
	}
	return nil
}
