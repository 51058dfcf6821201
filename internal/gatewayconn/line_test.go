package gatewayconn

import (
	"context"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed/elapsedtest"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn/conntest"
)

// until is a permit that ends.
type until struct {
	gatewayqueue.Permit
	end        time.Time
	identified chan struct{}
}

func (u until) Deadline() time.Time              { return u.end }
func (u until) Identified(context.Context) error { close(u.identified); return nil }

func untilIn(d time.Duration) until {
	return until{end: time.Now().Add(d), identified: make(chan struct{})}
}

// sender is a connection whose IDENTIFY is sent under one permit.
type sender struct {
	permit  gatewayqueue.Permit
	open    context.Context
	sends   Sends
	reports Reports
	sent    bool
	conn    *Conn
}

func (s *sender) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	_ = conn.(*net.TCPConn).SetWriteBuffer(1 << 20)
	s.conn = Wrap(conn, time.Hour, Hooks{Identify: func(ctx context.Context, c *Conn, _ int, send Send) error {
		var err error
		if s.sent, err = s.sends.Do(ctx, s.open, send, s.permit); s.sent {
			s.reports.Identified(s.permit, c.Line, func(error) {})
		}
		return err
	}})
	return s.conn, nil
}

// fill writes below the Conn until the other end's buffers are full, and then
// either the own one as well or not.
func fill(t *testing.T, c *Conn, own bool) {
	t.Helper()
	for size := 64 << 10; size > 0; {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		_, err := c.Conn.Write(make([]byte, size))
		_ = c.Conn.SetWriteDeadline(time.Time{})
		if err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			size /= 64 // there may still be room for a short message
		}
		if n, _ := unacknowledged(TCP(c.Conn)); !own && n > 0 {
			time.Sleep(100 * time.Millisecond)
			if n, _ := unacknowledged(TCP(c.Conn)); n > 0 {
				return
			}
		}
	}
}

func TestSend_AWriteThatBlocksEndsWithThePermit(t *testing.T) {
	s := &sender{open: t.Context()}
	ours, theirs := conntest.Pair(t, s.dial)
	fill(t, s.conn, true)
	permit := untilIn(2 * time.Second)
	s.permit = permit
	_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
	assert.True(t, s.sent, "a part of it may be in the socket")
	<-permit.identified
	assert.False(t, time.Now().Before(permit.end))
	never(t, theirs)
}

func TestSend_AWriteThatBlocksEndsWithItsOwner(t *testing.T) {
	open, shut := context.WithCancelCause(t.Context())
	permit := untilIn(time.Hour)
	s := &sender{permit: permit, open: open}
	ours, theirs := conntest.Pair(t, s.dial)
	fill(t, s.conn, true)
	time.AfterFunc(100*time.Millisecond, func() { shut(gatewayqueue.ErrClosed) })
	_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	assert.Error(t, err)
	s.sends.Wait()
	<-permit.identified
	never(t, theirs)
}

// The system has taken the IDENTIFY, and the other end does not.
func TestSend_WhatHasNotArrivedInTimeNeverDoes(t *testing.T) {
	for name, suspended := range map[string]time.Duration{"the permit ends": 0, "the machine was suspended": time.Minute} {
		t.Run(name, func(t *testing.T) {
			s := &sender{open: t.Context()}
			ours, theirs := conntest.Pair(t, s.dial)
			fill(t, s.conn, false)
			permit := untilIn(4 * time.Second)
			s.permit = permit
			_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
			require.NoError(t, err)
			if suspended > 0 {
				elapsedtest.Suspend(t, suspended)
				<-permit.identified
			} else {
				<-permit.identified
				assert.False(t, time.Now().Before(permit.end), "it had not arrived")
			}
			never(t, theirs)
		})
	}
}

// never checks that no IDENTIFY comes, and that the connection is reset.
func never(t *testing.T, theirs conntest.End) {
	t.Helper()
	_ = theirs.SetReadDeadline(time.Now().Add(10 * time.Second))
	all, err := io.ReadAll(theirs)
	assert.Error(t, err, "not closed in an orderly way, which would deliver all")
	assert.NotErrorIs(t, err, os.ErrDeadlineExceeded, "closed at all")
	assert.NotContains(t, string(all), `"op":2`)
}

func TestSend_LooksAtTheDeadlineLast(t *testing.T) {
	for name, permit := range map[string]until{"over": untilIn(-time.Millisecond), "over for long": untilIn(-time.Hour)} {
		s := &sender{permit: permit, open: t.Context()}
		ours, theirs := conntest.Pair(t, s.dial)
		_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
		assert.ErrorIs(t, err, gatewayqueue.ErrPermitExpired, name)
		assert.False(t, s.sent, name)
		assert.False(t, theirs.SeesIdentify(), name)
	}
}

// turning is a permit that ends between two looks.
type turning struct {
	gatewayqueue.Permit
	looks *int
}

func (p turning) Deadline() time.Time {
	if *p.looks++; *p.looks > 1 {
		return time.Now().Add(-time.Millisecond)
	}
	return time.Now().Add(time.Hour)
}

func TestSend_LooksAgainRightBeforeTheWrite(t *testing.T) {
	s := &sender{permit: turning{looks: new(int)}, open: t.Context()}
	ours, theirs := conntest.Pair(t, s.dial)
	_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	assert.ErrorIs(t, err, gatewayqueue.ErrPermitExpired)
	assert.False(t, s.sent)
	assert.False(t, theirs.SeesIdentify())
}

// The library gave its writes less time than the wait took.
func TestSend_KeepsTheOwnersDeadline(t *testing.T) {
	s := &sender{permit: untilIn(time.Hour), open: t.Context()}
	ours, theirs := conntest.Pair(t, s.dial)
	require.NoError(t, ours.SetWriteDeadline(time.Now().Add(-time.Second)))
	_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
	assert.False(t, s.sent)
	assert.False(t, theirs.SeesIdentify())
}

// A deadline for reads is the owner's: reading ahead neither breaks it nor the
// connection.
func TestReadAhead_KeepsTheOwnersDeadline(t *testing.T) {
	s := &sender{permit: untilIn(time.Hour), open: t.Context()}
	leave := make(chan struct{})
	var held *Conn
	ours, theirs := conntest.Pair(t, func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		held = Wrap(conn, time.Hour, Hooks{Identify: func(ctx context.Context, _ *Conn, _ int, send Send) error {
			<-leave
			_, err := send(ctx, s.permit)
			return err
		}})
		return held, nil
	})
	require.NoError(t, ours.SetReadDeadline(time.Now().Add(50*time.Millisecond))) // and it passes while nobody reads
	errs := make(chan error, 1)
	go func() {
		_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
		errs <- err
	}()
	time.Sleep(200 * time.Millisecond)
	close(leave)
	require.NoError(t, <-errs)

	_, err := ours.Read(make([]byte, 1))
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, ours.SetReadDeadline(time.Time{}))
	theirs.Send([]byte("after it"))
	got := make([]byte, 8)
	_, err = io.ReadFull(ours, got)
	require.NoError(t, err)
	assert.Equal(t, "after it", string(got))
}
