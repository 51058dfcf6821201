// A connection that dies before its IDENTIFY has left: nothing is sent, and
// nothing is spent.

package discordgoqueue_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn/conntest"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// The window that is closed is over when the next one would be granted: who
// holds a bucket is asked for by what the others get.
func TestAHeldIdentify_LeavesTheLineWithItsConnection(t *testing.T) {
	for _, death := range conntest.Deaths {
		for _, reads := range []bool{false, true} { // discordgo does not, while it writes
			name := death.Name
			switch {
			case reads && death.Reader == conntest.Without, !reads && death.Reader == conntest.With:
				continue
			case reads:
				name += ", with a reader"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				queue := newQueue(t)
				other, err := queue.Acquire(t.Context(), 1) // the bucket is not ours
				require.NoError(t, err)
				gate := discordgoqueue.New(queue, 0)
				defer gate.Close()
				gate.Ready()
				ours, theirs := conntest.Pair(t, gate.DialContext)
				if reads {
					go func() { _, _ = io.Copy(io.Discard, ours) }()
				}
				held := make(chan error, 1)
				go func() {
					f := conntest.ClientFrame(0x01, conntest.IdentifyText[:9]) // in fragments, the second with a part missing
					_, _ = ours.Write(f)
					f = conntest.ClientFrame(0x80, conntest.IdentifyText[9:])
					_, _ = ours.Write(f[:10])
					_, err := ours.Write(f[10:])
					held <- err
				}()
				waits(t, queue, 1)
				death.Die(ours, theirs)
				assert.Error(t, <-held)
				waits(t, queue, 0)
				assert.False(t, theirs.SeesIdentify())
				require.NoError(t, other.Abandon(t.Context()))
				assert.Equal(t, 1000, remaining(t, queue), "no unit is gone")
				ctx, cancel := context.WithTimeout(t.Context(), gatewayqueue.IdentifyDelay/2)
				defer cancel()
				assert.NoError(t, queue.Wait(ctx, 1), "no window is gone")
			})
		}
	}
}

// Between the grant and the write: the permit was taken before the dial.
func TestAnIdentify_IsNotWrittenIntoADeadConnection(t *testing.T) {
	for _, death := range conntest.Deaths {
		for _, reads := range []bool{false, true} {
			name := death.Name
			switch {
			case death.Held, !reads && !death.Unread:
				continue // nobody knows yet
			case reads:
				name += ", which was read"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				queue := newQueue(t)
				gate := discordgoqueue.New(queue, 0)
				defer gate.Close()
				ours, theirs := conntest.Pair(t, gate.DialContext)
				death.Die(ours, theirs)
				if reads {
					_ = ours.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
					_, _ = io.Copy(io.Discard, ours)
					require.Eventually(t, func() bool { return remaining(t, queue) == 1000 }, 10*time.Second, time.Millisecond,
						"the permit goes back without anybody's doing")
				} else {
					time.Sleep(50 * time.Millisecond)
				}
				_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
				assert.Error(t, err)
				assert.False(t, theirs.SeesIdentify())
				gate.Close()
				assert.Equal(t, 1000, remaining(t, queue))
			})
		}
	}
}

// One chunk brings two refusals: the library answers each, and only one can be
// worth it.
func TestAnIdentify_IsNotWrittenWhereASecondRefusalWaits(t *testing.T) {
	queue := newQueue(t)
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	gate.Ready()
	twice := append(conntest.ServerFrame(0x81, conntest.InvalidSession), conntest.ServerFrame(0x81, conntest.InvalidSession)...)
	ours, theirs := conntest.Pair(t, gate.DialContext, twice)
	_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	assert.Error(t, err)
	assert.False(t, theirs.SeesIdentify())
	assert.Equal(t, 1000, remaining(t, queue))
}

func TestARefusedResume_IsAnsweredWithIdentify(t *testing.T) {
	queue := newQueue(t)
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	gate.Ready()
	ours, theirs := conntest.Pair(t, gate.DialContext)
	_, err := ours.Write(conntest.ClientFrame(0x81, conntest.ResumeText))
	require.NoError(t, err)
	theirs.Send(conntest.ServerFrame(0x81, conntest.InvalidSession))
	_, err = io.ReadFull(ours, make([]byte, len(conntest.ServerFrame(0x81, conntest.InvalidSession))))
	require.NoError(t, err)
	_, err = ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	require.NoError(t, err)
	assert.True(t, theirs.SeesIdentify())
}

// What the gateway had said before it closed the connection reaches the library.
func TestWhatWasReadAhead_IsThereAfterTheEnd(t *testing.T) {
	queue := newQueue(t)
	other, err := queue.Acquire(t.Context(), 1)
	require.NoError(t, err)
	defer func() { assert.NoError(t, other.Abandon(context.Background())) }()
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	gate.Ready()
	ours, theirs := conntest.Pair(t, gate.DialContext)
	held := make(chan error, 1)
	go func() { _, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText)); held <- err }()
	waits(t, queue, 1)
	theirs.Send(conntest.CloseFrame(4004))
	require.Error(t, <-held)
	got := make([]byte, len(conntest.CloseFrame(4004)))
	_, err = io.ReadFull(ours, got)
	require.NoError(t, err)
	assert.Equal(t, conntest.CloseFrame(4004), got)
	_, err = ours.Read(got)
	assert.Error(t, err)
}

// No packet says that the other end is gone: heartbeats are not answered.
func TestAHeldIdentify_LeavesTheLineOfASilentConnection(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	other, err := queue.Acquire(t.Context(), 1)
	require.NoError(t, err)
	defer func() { assert.NoError(t, other.Abandon(context.Background())) }()
	gate := discordgoqueue.New(queue, 0, discordgoqueue.WithHeartbeat(100*time.Millisecond))
	defer gate.Close()
	gate.Ready()
	ours, _ := conntest.Pair(t, gate.DialContext)
	_, err = ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	assert.ErrorContains(t, err, "heartbeats are not answered")
	waits(t, queue, 0)
}

// waits waits until n shards wait in the queue.
func waits(t *testing.T, queue *memqueue.Queue, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		status, err := queue.Status(t.Context())
		return err == nil && status.Waiting() == n
	}, 10*time.Second, time.Millisecond)
}
