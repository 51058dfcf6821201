// The hidden command: one pod, in a process of its own.

package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sync"

	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

const podCommand = "pod"

func childCommand() *cobra.Command {
	return &cobra.Command{
		Use: podCommand, Hidden: true, Args: cli.NoArgs,
		Short: "One pod of a demo with --processes; reads its orders from standard input",
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Ctrl-C goes to the whole process group. The demo decides who
			// ends, and how.
			signal.Ignore(os.Interrupt)
			return runChild(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

// runChild reads a spec from input, then a line to start. The end of input ends
// it: so it never outlives the demo.
func runChild(ctx context.Context, input io.Reader, output io.Writer) error {
	orders := bufio.NewReader(input)
	line, err := orders.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no orders: this command is for demo --processes: %w", err)
	}
	var s spec
	if err := json.Unmarshal(line, &s); err != nil {
		return fmt.Errorf("bad orders: %w", err)
	}
	redis, err := store.Open(ctx, s.Redis)
	if err != nil {
		return err
	}
	defer redis.Close() // The process ends.
	meter := &store.Meter{}
	redis.Client.AddHook(meter)
	queue, err := newQueue(s, redis.Client)
	if err != nil {
		return err
	}
	told := &teller{to: json.NewEncoder(output)}
	p := pod{spec: s, queue: queue, meter: meter, explain: redis.Explain, tell: told.tell}
	p.identify = func(ctx context.Context, shard int) (gatewaytest.Ruling, error) {
		return gatewaytest.Report(ctx, http.DefaultClient, s.Judge, shard)
	}

	p.report(event{Kind: ready})
	if _, err := orders.ReadBytes('\n'); err != nil {
		return queue.Close() // stopped before the start
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, orders) // Any end is the end.
		cancel()
	}()
	p.bringUp(ctx)
	<-ctx.Done() // a bot goes on running; its pod goes on being part of the queue
	err = queue.Close()
	p.report(event{Kind: ended})
	return err
}

// teller writes events, one a line.
type teller struct {
	mu sync.Mutex
	to *json.Encoder
}

func (t *teller) tell(e event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.to.Encode(e) // Nobody listens any more: the end of input follows.
}
