// After Close no IDENTIFY leaves, whenever it comes; and a place in line that
// outlives its connection.

package discordgoqueue_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn/conntest"
)

func TestClose_LetsNoIdentifyLeaveThatHadItsPermit(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	gate := discordgoqueue.New(queue, 0)
	ours, theirs := conntest.Pair(t, gate.DialContext)
	gate.Close()
	assert.Equal(t, 1000, remaining(t, queue), "Close has given the permit back")
	gate.Close()
	_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	assert.ErrorIs(t, err, gatewayqueue.ErrClosed)
	assert.False(t, theirs.SeesIdentify())
	assert.Equal(t, 1000, remaining(t, queue))
}

func TestClose_EndsADial(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	dialling := make(chan struct{})
	gate := discordgoqueue.New(queue, 0, discordgoqueue.WithNetDial(func(ctx context.Context, _, _ string) (net.Conn, error) {
		close(dialling)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}))
	errs := make(chan error)
	go func() { _, err := gate.DialContext(t.Context(), "tcp", "gateway.invalid:443"); errs <- err }()
	<-dialling
	gate.Close()
	assert.ErrorIs(t, <-errs, gatewayqueue.ErrClosed)
	assert.Equal(t, 1000, remaining(t, queue))
}

// A dial that does not hear of it: its connection is there after Close.
func TestClose_IsNotOutrunByADial(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	closed := make(chan struct{})
	var gate *discordgoqueue.Gate
	gate = discordgoqueue.New(queue, 0, discordgoqueue.WithNetDial(func(_ context.Context, network, addr string) (net.Conn, error) {
		go func() { gate.Close(); close(closed) }()
		<-closed
		return new(net.Dialer).DialContext(context.Background(), network, addr)
	}))
	ours, theirs := conntest.Pair(t, gate.DialContext)
	_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	assert.ErrorIs(t, err, gatewayqueue.ErrClosed)
	assert.False(t, theirs.SeesIdentify())
	gate.Close()
	assert.Equal(t, 1000, remaining(t, queue))
}

// As from a handler of the session's events, which runs where it reads.
func TestClose_FromWhereTheConnectionIsRead(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	other, err := queue.Acquire(t.Context(), 1)
	require.NoError(t, err)
	defer func() { assert.NoError(t, other.Abandon(context.Background())) }()
	gate := discordgoqueue.New(queue, 0)
	gate.Ready()
	ours, theirs := conntest.Pair(t, gate.DialContext)
	errs := make(chan error, 1)
	go func() { _, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText)); errs <- err }()
	waits(t, queue, 1)
	theirs.Send(conntest.ServerFrame(0x81, `{"op":11,"d":null}`))
	_, err = ours.Read(make([]byte, 100))
	require.NoError(t, err)
	gate.Close()
	assert.ErrorIs(t, <-errs, gatewayqueue.ErrClosed)
	assert.False(t, theirs.SeesIdentify())
	waits(t, queue, 0)
}

func TestClose_OfManyGatesAtOnce(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	var gates []*discordgoqueue.Gate
	var dials sync.WaitGroup
	for range 50 { // one bucket: one is granted
		gate := discordgoqueue.New(queue, 0)
		gates = append(gates, gate)
		dials.Go(func() {
			conn, err := gate.DialContext(t.Context(), "tcp", "127.0.0.1:1") // nobody listens
			if assert.Error(t, err) {
				return
			}
			_ = conn.Close()
		})
	}
	var closes sync.WaitGroup
	for _, gate := range gates {
		closes.Go(gate.Close)
		closes.Go(gate.Close)
	}
	closes.Wait()
	dials.Wait()
	assert.Equal(t, 1000, remaining(t, queue))
	waits(t, queue, 0)
}

// shortHello asks for heartbeats so often that an IDENTIFY is held for 2 s.
const shortHello = `{"op":10,"d":{"heartbeat_interval":50}}`

// discordgo would take the connection for dead once IDENTIFY has left: the next
// one has its place instead.
func TestAHeldIdentify_KeepsItsPlaceForTheNextConnection(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	other, err := queue.Acquire(t.Context(), 1)
	require.NoError(t, err)
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	gate.Ready()
	ours, theirs := conntest.Pair(t, gate.DialContext, conntest.ServerFrame(0x81, shortHello))
	errs := make(chan error, 1)
	go func() { _, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText)); errs <- err }()
	waits(t, queue, 1)
	behind := make(chan error, 1)
	go func() { behind <- queue.Wait(t.Context(), 1) }()
	waits(t, queue, 2)
	assert.ErrorContains(t, <-errs, "keeps its place")
	assert.False(t, theirs.SeesIdentify())
	waits(t, queue, 2)

	time.AfterFunc(300*time.Millisecond, func() { assert.NoError(t, other.Abandon(context.Background())) })
	ours, theirs = conntest.Pair(t, gate.DialContext) // waits before it dials
	_, err = ours.Write(conntest.ClientFrame(0x81, conntest.ResumeText))
	require.NoError(t, err)
	theirs.Send(conntest.ServerFrame(0x81, conntest.InvalidSession))
	_, err = io.ReadFull(ours, make([]byte, len(conntest.ServerFrame(0x81, conntest.InvalidSession))))
	require.NoError(t, err)
	_, err = ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	require.NoError(t, err)
	assert.True(t, theirs.SeesIdentify(), "it did not wait again")
	select {
	case err := <-behind:
		t.Error("the next in line was let in before", err)
	default:
	}
	_ = ours.Close()

	ours, _ = conntest.Pair(t, gate.DialContext) // the new session resumes
	_ = ours.Close()
	require.NoError(t, <-behind)
	assert.Equal(t, 998, remaining(t, queue))
}

// The RESUME that was to be refused is not, after all.
func TestAHeldIdentify_GivesThePermitBackIfTheSessionResumes(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	other, err := queue.Acquire(t.Context(), 1)
	require.NoError(t, err)
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	gate.Ready()
	ours, _ := conntest.Pair(t, gate.DialContext, conntest.ServerFrame(0x81, shortHello))
	_, err = ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	require.ErrorContains(t, err, "keeps its place")
	require.NoError(t, other.Abandon(t.Context()))
	ours, theirs := conntest.Pair(t, gate.DialContext)
	assert.Equal(t, 999, remaining(t, queue))
	_, err = ours.Write(conntest.ClientFrame(0x81, conntest.ResumeText))
	require.NoError(t, err)
	theirs.Send(conntest.ServerFrame(0x81, `{"op":0,"t":"RESUMED","s":2,"d":{}}`))
	go func() { _, _ = io.Copy(io.Discard, ours) }()
	assert.Eventually(t, func() bool { return remaining(t, queue) == 1000 }, 10*time.Second, time.Millisecond)
}

// Nobody comes for it.
func TestAHeldIdentify_KeepsAGrantedPlaceForAMomentOnly(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	other, err := queue.Acquire(t.Context(), 1)
	require.NoError(t, err)
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	gate.Ready()
	ours, _ := conntest.Pair(t, gate.DialContext, conntest.ServerFrame(0x81, shortHello))
	_, err = ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	require.ErrorContains(t, err, "keeps its place")
	require.NoError(t, other.Abandon(t.Context()))
	require.NoError(t, queue.Wait(t.Context(), 1))
	assert.Equal(t, 999, remaining(t, queue))
}

// Voice is dialled with the same Dialer, at any time, and needs no permit.
func TestVoice_NeitherWaitsNorKeepsAPermit(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	gate := discordgoqueue.New(queue, 0, discordgoqueue.WithNetDial(func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { _ = theirs.Close() })
		return ours, nil
	}))
	defer gate.Close()
	conn, err := gate.DialContext(t.Context(), "tcp", "rotterdam1234.discord.media:443")
	require.NoError(t, err)
	assert.Equal(t, 1000, remaining(t, queue))
	_ = conn.Close()

	other := discordgoqueue.New(queue, 0) // a voice server of another name
	defer other.Close()
	ours, _ := conntest.Pair(t, other.DialContext, conntest.ServerFrame(0x81, `{"op":8,"d":{"v":4,"heartbeat_interval":41250.0}}`))
	assert.Eventually(t, func() bool { return remaining(t, queue) == 1000 }, 10*time.Second, time.Millisecond)
	_ = ours.Close()
}

// discordgo closes a connection that has just identified in place of the one
// before it, and would go on so: its next try is refused, once.
func TestADial_IsRefusedOnceAfterACloseInError(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	ours, _ := conntest.Pair(t, gate.DialContext)
	_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	require.NoError(t, err)
	gate.Ready()
	_, err = ours.Write(conntest.ClientFrame(0x88, "\x03\xe8"))
	require.NoError(t, err)
	time.Sleep(time.Second) // as discordgo does
	_ = ours.Close()
	_, err = gate.DialContext(t.Context(), "tcp", "127.0.0.1:1")
	require.ErrorContains(t, err, "issues/406")
	ours, _ = conntest.Pair(t, gate.DialContext)
	_ = ours.Close()
}
