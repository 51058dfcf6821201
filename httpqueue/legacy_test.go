package httpqueue_test

// The legacy route: what is answered, and that nothing else ever is.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

const granted = `{"message": "You're free to connect now! :)"}`

// say sends bytes on a connection of their own, and returns all that comes back
// until the server closes it, or nothing comes for a time.
func (s *site) say(t testing.TB, text string, patience time.Duration) string {
	t.Helper()
	conn := s.connect(t)
	go func() { _, _ = io.WriteString(conn, text) }() // a pipe blocks until all is read
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	answer, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, io.ErrClosedPipe) && !isTimeout(err) && !strings.Contains(err.Error(), "reset by peer") {
		require.NoError(t, err)
	}
	return string(answer)
}

func (s *site) connect(t testing.TB) net.Conn {
	t.Helper()
	var conn net.Conn
	var err error
	if s.pipes != nil {
		conn, err = s.pipes.Dial(t.Context(), "", "")
	} else {
		conn, err = net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestLegacyAnswersAsTheOriginal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, inMemory(t, full(100)), httpqueue.WithLenientLegacy())
		for i, request := range []string{
			"GET /?shard=0 HTTP/1.1\r\nHost: q\r\n\r\n",
			"POST /any/path?shard=1&x=y HTTP/1.1\r\nHost: q\r\nContent-Length: 5\r\n\r\nhello",
			"DELETE //?a=b&shard=2 HTTP/1.0\r\n\r\n",
			"OPTIONS * HTTP/1.1\r\nHost: q\r\n\r\n", // net/http would answer by itself
			"BREW /v2/?shard=4 HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		} {
			start := time.Now()
			resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(s.say(t, request, time.Minute))), nil)
			require.NoError(t, err, request)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, 200, resp.StatusCode)
			assert.Equal(t, granted, string(body)) //nolint:testifylint // to the letter
			assert.Empty(t, resp.Header["Content-Type"], "the original sends none")
			assert.Equal(t, int64(len(granted)), resp.ContentLength)
			if i == 3 { // OPTIONS * counts as shard 0, which was granted before
				assert.GreaterOrEqual(t, time.Since(start), gatewayqueue.IdentifyDelay)
			}
		}
	})
}

func TestLegacyShards(t *testing.T) {
	for query, want := range map[string]int{
		"shard=7": 7, "shard=007": 7, "shard=%37": 7, "shard=%2B7": 7, "a=b&shard=7&c": 7, "shard=2147483647": 2147483647,
		"": 0, "shard": 0, "shard=": 0, "shard=-1": 0, "shard=x": 0, "shard=7&shard=8": 0, "shard=7&shard=7": 0,
		"shard=1.5": 0, "shard=1e3": 0, "shard=0x7": 0, "Shard=7": 0, "shard=7;": 0, "shard=%zz": 0,
		"shard=99999999999999999999": 0, "shard=2147483648": 0, "shard=%20 7": 0, "shard=%00": 0,
	} {
		t.Run(query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				queue := &counted{PermitQueue: inMemory(t, full(0))}
				s := serve(t, queue, httpqueue.WithLenientLegacy())
				answer := s.say(t, "GET /?"+strings.ReplaceAll(query, " ", "")+" HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n", time.Minute)
				require.Contains(t, answer, granted)
				require.Equal(t, []int{want}, queue.grants())
			})
		})
	}
}

// What cannot be granted must leave nothing on the wire: not a byte.
func TestLegacyIsNeverAnsweredWithoutAGrant(t *testing.T) {
	never := gatewayqueue.SessionStartLimit{Total: 1, MaxConcurrency: 1, ResetAfter: 23 * time.Hour}
	big := strings.Repeat("x", 20<<10)
	for name, request := range map[string]string{
		"no turn yet":            "GET /?shard=0 HTTP/1.1\r\nHost: q\r\n\r\n",
		"HEAD":                   "HEAD /?shard=0 HTTP/1.1\r\nHost: q\r\n\r\n",
		"OPTIONS *":              "OPTIONS * HTTP/1.1\r\nHost: q\r\n\r\n",
		"CONNECT":                "CONNECT q:80 HTTP/1.1\r\nHost: q\r\n\r\n",
		"no host":                "GET /?shard=0 HTTP/1.1\r\n\r\n",
		"two hosts":              "GET /?shard=0 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"a bad host":             "GET /?shard=0 HTTP/1.1\r\nHost: a b\r\n\r\n",
		"a bad header":           "GET /?shard=0 HTTP/1.1\r\nHost: q\r\nbad header\r\n\r\n",
		"a bad request line":     "GET /?shard=0\r\n\r\n",
		"a bad escape":           "GET /%zz?shard=0 HTTP/1.1\r\nHost: q\r\n\r\n",
		"no HTTP":                "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS\r\n\r\n",
		"HTTP/9":                 "GET /?shard=0 HTTP/9.0\r\nHost: q\r\n\r\n",
		"HTTP/2":                 "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"an unknown expectation": "GET /?shard=0 HTTP/1.1\r\nHost: q\r\nExpect: the unexpected\r\n\r\n",
		"an unknown encoding":    "GET /?shard=0 HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: snail\r\n\r\n",
		"a bad length":           "GET /?shard=0 HTTP/1.1\r\nHost: q\r\nContent-Length: x\r\n\r\n",
		"two lengths":            "GET /?shard=0 HTTP/1.1\r\nHost: q\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"a large header":         "GET /?shard=0 HTTP/1.1\r\nHost: q\r\nX: " + big + "\r\n\r\n",
		"a long line":            "GET /?shard=0&x=" + big + " HTTP/1.1\r\nHost: q\r\n\r\n",
		"a large body":           "POST /?shard=0 HTTP/1.1\r\nHost: q\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat(big, 5),
		"a body cut short":       "POST /?shard=0 HTTP/1.1\r\nHost: q\r\nContent-Length: 10\r\n\r\nabc",
		"a bad chunk":            "POST /?shard=0 HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"an upgrade":             "GET /?shard=0 HTTP/1.1\r\nHost: q\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"half a request":         "GET /?shard=0 HT",
		"nothing":                "",
		"two at once":            "GET /?shard=0 HTTP/1.1\r\nHost: q\r\n\r\nGET /?shard=1 HTTP/1.1\r\nHost: q\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, inMemory(t, never))
				require.Empty(t, s.say(t, request, 3*time.Minute))
				time.Sleep(time.Second) // net/http holds on to some connections for half of it
			})
		})
	}
}

// A connection that has had its answer is as quiet as before.
func TestLegacySecondRequestOnAConnectionIsNotAnsweredEither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, inMemory(t, full(1)))
		answer := s.say(t, "GET /?shard=0 HTTP/1.1\r\nHost: q\r\n\r\nbad request\r\n\r\n", time.Minute)
		require.Equal(t, 1, strings.Count(answer, "HTTP/1.1"), answer)
		require.True(t, strings.HasSuffix(answer, granted), answer)
	})
}

// The answer has its time from its own first byte, not from that of an interim
// one, however long it is waited for in between.
func TestExpectContinueMayWaitAsLongAsAnybody(t *testing.T) {
	for path, body := range map[string]string{"/?shard=1": "hello", "/v1/permits": `{"shard":1}`, "/v1/identifies": `{"shard":1}`, "/v1/sandwich": `{"shard_id":1}`} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				queue := inMemory(t, full(1))
				s := serve(t, queue)
				for range 5 {
					go func() { _ = queue.Wait(t.Context(), 0) }()
				}
				synctest.Wait()
				conn := s.connect(t)
				say := func(text string) { _, _ = io.WriteString(conn, text) }
				go say(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: q\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", path, len(body)))
				answers := bufio.NewReader(conn)
				interim, err := answers.ReadString('\n')
				require.NoError(t, err)
				require.Contains(t, interim, "100 Continue")
				_, err = answers.ReadString('\n')
				require.NoError(t, err)
				start := time.Now()
				go say(body)
				answer, err := answers.ReadString('\n')
				require.NoError(t, err)
				require.Contains(t, answer, "HTTP/1.1 20")
				require.Greater(t, time.Since(start), 20*time.Second)
			})
		})
	}
}

// refusing is a queue that only fails.
type refusing struct{ err error }

func (q refusing) Wait(context.Context, int) error { return q.err }

func (q refusing) Acquire(context.Context, int) (gatewayqueue.Permit, error) { return nil, q.err }

func TestLegacyIsDroppedWhenTheQueueFails(t *testing.T) {
	for _, err := range []error{
		gatewayqueue.ErrClosed, gatewayqueue.ErrInvalid, context.DeadlineExceeded, errors.New("WRONGTYPE"),
		&gatewayqueue.ExhaustedError{ResetAfter: time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := serve(t, refusing{err})
			start := time.Now()
			require.Empty(t, s.say(t, "GET /?shard=0 HTTP/1.1\r\nHost: q\r\n\r\n", time.Minute))
			require.Equal(t, time.Second, time.Since(start), "the original's client comes again at once")
		})
	}
}

func TestLegacyIsDroppedWhenTooManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		require.NoError(t, queue.Wait(t.Context(), 0))
		s := serve(t, queue, httpqueue.WithMaxWaiters(1))
		first := make(chan string, 1)
		go func() {
			first <- s.say(t, "GET /?shard=0 HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n", time.Minute) //nolint:testifylint // on failure nobody waits for it
		}()
		synctest.Wait()
		require.Empty(t, s.say(t, "GET /?shard=0 HTTP/1.1\r\nHost: q\r\n\r\n", time.Second))
		require.Contains(t, <-first, granted)
	})
}

func TestLegacyClientThatHangsUpLeavesTheLineAtOnce(t *testing.T) {
	for name, request := range map[string]string{
		"without a body": "GET /?shard=1 HTTP/1.1\r\nHost: q\r\n\r\n",
		"with a body":    "POST /?shard=1 HTTP/1.1\r\nHost: q\r\nContent-Length: 3\r\n\r\nabc",
		"chunked":        "POST /?shard=1 HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"HTTP/1.0":       "GET /?shard=1 HTTP/1.0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				queue := inMemory(t, full(1))
				require.NoError(t, queue.Wait(t.Context(), 0))
				s := serve(t, queue)
				conn := s.connect(t)
				_, err := io.WriteString(conn, request)
				require.NoError(t, err)
				synctest.Wait()
				require.Equal(t, 1, waiting(t, queue))
				require.NoError(t, conn.Close())
				synctest.Wait()
				require.Equal(t, 0, waiting(t, queue))
				require.Equal(t, 99999, remaining(t, queue))
			})
		})
	}
}

func waiting(t testing.TB, queue gatewayqueue.StatusReader) int {
	t.Helper()
	status, err := queue.Status(context.Background())
	require.NoError(t, err)
	return status.Waiting()
}

func remaining(t testing.TB, queue gatewayqueue.StatusReader) int {
	t.Helper()
	status, err := queue.Status(context.Background())
	require.NoError(t, err)
	return status.Budget.Remaining
}

// deaf is a queue whose grants come when nobody listens any more.
type deaf struct {
	gatewayqueue.PermitQueue
	hangUp func()
}

func (q deaf) Acquire(ctx context.Context, shard int) (gatewayqueue.Permit, error) {
	p, err := q.PermitQueue.Acquire(context.WithoutCancel(ctx), shard)
	q.hangUp()
	<-ctx.Done()
	return p, err
}

func TestLegacyGrantThatNobodyHearsGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		var conn net.Conn
		s := serve(t, deaf{queue, func() { _ = conn.Close() }})
		conn = s.connect(t)
		_, err := io.WriteString(conn, "GET /?shard=1 HTTP/1.1\r\nHost: q\r\n\r\n")
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 100000, remaining(t, queue))
	})
}

func TestLegacyWindowsBeginAtTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judge := gatewaytest.NewJudge(full(2), gatewayqueue.IdentifyDelay)
		s := serve(t, inMemory(t, full(2)))
		start := time.Now()
		done := make(chan int)
		for shard := range 10 {
			go func() {
				resp, err := s.client.Get(s.url + "/?shard=" + fmt.Sprint(shard))
				if assert.NoError(t, err) {
					judge.Identify(shard)
					_ = resp.Body.Close()
				}
				done <- shard
			}()
		}
		for range 10 {
			<-done
		}
		require.True(t, judge.Verdict().OK(), judge.Verdict())
		assert.Equal(t, 4*(gatewayqueue.IdentifyDelay+gatewayqueue.GrantMargin), time.Since(start))
	})
}

// A server that was paused between a grant and its answer must not answer when
// the permit has ended: here a queue whose permits have, the first time.
type late struct {
	gatewayqueue.PermitQueue
	calls int
}

type expired struct{ gatewayqueue.Permit }

func (expired) Deadline() time.Time { return time.Now() }

func (q *late) Acquire(ctx context.Context, shard int) (gatewayqueue.Permit, error) {
	p, err := q.PermitQueue.Acquire(ctx, shard)
	if q.calls++; q.calls == 1 {
		p = expired{p}
	}
	return p, err
}

func TestLegacyGrantThatHasEndedIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := inMemory(t, full(1))
		queue := &late{PermitQueue: inner}
		s := serve(t, queue)
		require.Contains(t, s.say(t, "GET /?shard=1 HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n", time.Minute), granted)
		require.Equal(t, 2, queue.calls)
		require.Equal(t, 99999, remaining(t, inner), "the first went back")
	})
}

func TestShutdownDropsLegacyClientsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		require.NoError(t, queue.Wait(t.Context(), 0))
		s := serve(t, queue)
		answer := make(chan string, 1)
		go func() {
			answer <- s.say(t, "GET /?shard=0 HTTP/1.1\r\nHost: q\r\n\r\n", time.Minute) //nolint:testifylint // on failure nobody waits for it
		}()
		synctest.Wait()
		require.Equal(t, 1, s.handler.Waiting())
		start := time.Now()
		require.NoError(t, s.handler.Shutdown(t.Context()))
		require.Empty(t, <-answer)
		require.Empty(t, s.say(t, "GET /?shard=0 HTTP/1.1\r\nHost: q\r\n\r\n", time.Minute), "later ones, too")
		require.Zero(t, time.Since(start))
		require.Zero(t, s.handler.Waiting())
		require.Zero(t, waiting(t, queue))
	})
}

func TestShutdownWaitsForTheWindowsOfTheLastAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		s := serve(t, queue)
		require.Contains(t, s.say(t, "GET /?shard=0 HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n", time.Minute), granted)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.handler.Shutdown(ctx), context.DeadlineExceeded)
		start := time.Now()
		require.NoError(t, s.handler.Shutdown(t.Context()))
		require.Equal(t, httpqueue.DefaultGrantMargin-time.Millisecond, time.Since(start))
		status, err := queue.Status(t.Context())
		require.NoError(t, err)
		require.False(t, status.Buckets[0].Permit, "its window has begun")
	})
}

func TestLegacyCanBeSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, inMemory(t, full(1)), httpqueue.WithoutLegacy())
		require.Contains(t, s.say(t, "GET /?shard=0 HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n", time.Minute), "HTTP/1.1 404 Not Found")
	})
}

// A slow loris holds connections with requests that never end.
func TestASlowLorisIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, inMemory(t, full(0)))
		for name, start := range map[string]string{
			"header":      "GET /?shard=0 HTTP/1.1\r\nHost: q\r\nX: ",
			"legacy body": "POST /?shard=0 HTTP/1.1\r\nHost: q\r\nContent-Length: 100\r\n\r\n",
			"v1 body":     "POST /v1/permits HTTP/1.1\r\nHost: q\r\nContent-Length: 100\r\n\r\n",
			"chunks":      "POST /?shard=0 HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n",
		} {
			conn := s.connect(t)
			begin := time.Now()
			_, err := io.WriteString(conn, start)
			require.NoError(t, err, name)
			gone := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				close(gone)
			}()
			for err == nil { // a byte a second
				time.Sleep(time.Second)
				_, err = io.WriteString(conn, map[bool]string{true: "1\r\nx\r\n", false: "x"}[name == "chunks"])
			}
			<-gone
			assert.LessOrEqual(t, time.Since(begin), 12*time.Second, name)
		}
	})
}
