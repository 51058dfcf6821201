package server

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithin_FilesAreDividedAmongThoseWhoNeedThem(t *testing.T) {
	for _, c := range []struct {
		files, redis, waiters int
		want                  Bounds
		refused               string
	}{
		{0, 40, 16384, Bounds{2*16384 + 256, mostSpare, 0}, ""},
		{1 << 20, 40, 16384, Bounds{2*16384 + 256, mostSpare, 1 << 20}, ""},
		{1 << 20, 40, 1, Bounds{258, mostSpare, 1 << 20}, ""},
		{1024, 40, 16384, Bounds{1024 - 40 - forDiscord - forProcess - mostSpare, mostSpare, 1024}, ""},
		{256, 34, 16384, Bounds{256 - 34 - forDiscord - forProcess - 16, 16, 256}, ""},
		{64, 0, 16384, Bounds{64 - forDiscord - forProcess - 4, 4, 64}, ""},
		{64, 34, 16384, Bounds{}, "only 64 files may be open: want 78 or more"},
	} {
		got, err := Within(c.files, c.redis, 2*c.waiters+256, 1)
		if c.refused != "" {
			assert.ErrorContains(t, err, c.refused)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, c.want, got)
		if c.files > 0 {
			assert.LessOrEqual(t, got.Connections+got.Spare+c.redis+forDiscord+forProcess, c.files)
		}
	}
}

// pipes is a listener without a network.
type pipes struct{ next chan net.Conn }

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p.next
	if !ok {
		return nil, net.ErrClosed
	}
	if conn == nil {
		return nil, errors.New("too many open files")
	}
	return conn, nil
}
func (p pipes) Close() error   { close(p.next); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestListener_WhoHasToGoForWhom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := pipes{make(chan net.Conn)}
		l := newListener(below, Bounds{Connections: 1, Spare: 2}, slog.New(slog.DiscardHandler))
		accepted := make(chan *conn, 10)
		go func() {
			for {
				c, err := l.Accept()
				if errors.Is(err, net.ErrClosed) {
					close(accepted)
					return
				}
				if err == nil {
					accepted <- c.(*conn)
				}
			}
		}()
		come := func() net.Conn {
			here, there := net.Pipe()
			below.next <- there
			synctest.Wait()
			return here
		}
		closed := func(c net.Conn) bool {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond)) // It may be closed.
			_, err := c.Read(make([]byte, 1))
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
		first := come()
		a := <-accepted
		assert.False(t, a.spare)
		probing, silent := come(), come()
		p, s := <-accepted, <-accepted
		assert.True(t, p.spare)
		assert.True(t, s.spare)
		p.is(probe)

		late := come()
		assert.Empty(t, accepted, "nobody can go: it waits in the system's queue")
		time.Sleep(2 * silentFor)
		synctest.Wait()
		require.Len(t, accepted, 1)
		<-accepted
		assert.True(t, closed(silent), "who said nothing had to go")
		assert.False(t, closed(probing), "who is answered stays")

		below.next <- nil // an error that passes
		require.NoError(t, a.Close())
		require.NoError(t, a.Close(), "twice is once")
		require.Equal(t, 0, l.open)
		come()
		b := <-accepted
		assert.False(t, b.spare, "a place of everybody is free again")
		for _, c := range []net.Conn{first, late} {
			_ = c.Close() // Of the test.
		}
		require.NoError(t, l.Close())
		require.NoError(t, l.Close())
		synctest.Wait()
		_, open := <-accepted
		assert.False(t, open)
		for _, c := range []*conn{p, b} {
			require.NoError(t, c.Close())
		}
	})
}

func TestListener_AnyNumberOfSilentConnectionsHoldUpNoProbe(t *testing.T) {
	const crowd = 2000
	synctest.Test(t, func(t *testing.T) {
		below := pipes{make(chan net.Conn, crowd+1)}
		l := newListener(below, Bounds{Connections: 1, Spare: 4}, slog.New(slog.DiscardHandler))
		var ends []net.Conn
		for range crowd + 1 { // the last is the prober's
			here, there := net.Pipe()
			ends = append(ends, here)
			below.next <- there
		}
		began := time.Now()
		for range crowd + 1 {
			c, err := l.Accept()
			require.NoError(t, err)
			defer c.Close()
		}
		assert.Less(t, time.Since(began), 20*time.Second, "each spare place is free again after a moment")
		for _, c := range ends {
			_ = c.Close() // Of the test.
		}
		require.NoError(t, l.Close())
	})
}

func TestUnread_IsWhatNobodyHasReadYet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	server, err := l.Accept()
	require.NoError(t, err)
	defer server.Close()
	assert.False(t, unread(server))
	_, err = client.Write([]byte("GET"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return unread(server) }, time.Minute, time.Millisecond)
	_, err = server.Read(make([]byte, 3))
	require.NoError(t, err)
	assert.False(t, unread(server))
	require.NoError(t, client.Close())
	_, err = server.Read(make([]byte, 1))
	require.Error(t, err)
	assert.False(t, unread(server), "who has gone says no more")
	here, there := net.Pipe()
	defer here.Close()
	assert.False(t, unread(there), "what cannot be looked at")
}

func TestQuota_SaysOnceInAWhileHowOften(t *testing.T) {
	var q quota
	start := time.Now()
	assert.Equal(t, 1, q.count(start))
	for i := range 5 {
		assert.Zero(t, q.count(start.Add(time.Duration(i)*time.Second)))
	}
	assert.Equal(t, 6, q.count(start.Add(sayEvery)))
}
