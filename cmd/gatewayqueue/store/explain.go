// What to do about an error of Redis.

package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// Explain adds to an error of Redis which server it is and what to do. What the
// queue has explained already, and errors that are not Redis's, stay as they are.
func (s *Store) Explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || strings.HasPrefix(err.Error(), "redisqueue: ") || errors.As(err, new(*advised)) {
		return err
	}
	if other := s.otherKind(err); other != nil {
		return other
	}
	do := s.advice(err)
	if do == "" {
		return err
	}
	return &explained{err, s.String(), do}
}

type explained struct {
	err    error
	server string
	do     string
}

func (e *explained) Error() string {
	return fmt.Sprintf("Redis at %s: %s: %s", e.server, strings.TrimSuffix(e.err.Error(), "."), e.do)
}
func (e *explained) Unwrap() error { return e.err }

// advice by the code that Redis's error begins with. They are looked for
// anywhere in the text: miniredis and wrapping errors put words in front.
var advices = []struct{ code, do string }{
	{"NOAUTH", "put the password into the URL, redis://:PASSWORD@HOST:PORT"},
	{"WRONGPASS", "user or password in the URL are not this server's"},
	{"invalid password", "the password in the URL is not this server's"},
	{"NOPERM", "allow this user what \"The least rights\" in docs/operations.md lists (ACL SETUSER), and +scan where queues are listed"},
	{"MOVED ", asCluster},
	{"READONLY", asPrimary},
	{"MASTERDOWN", "this is a replica without its primary: give the URL of the primary"},
	{"all sentinels specified in configuration are unreachable", "is the name of the master right, and do the Sentinels know it? Is the port theirs?"},
	{"LOADING", "it is still reading its data: try again in a moment"},
	{"OOM", "its memory is full: raise maxmemory"},
	{"DB index", "the number at the end of the URL is not a database that this server has"},
	{"value is out of range", "the number at the end of the URL is not a database that this server has"},
	{"does not look like a TLS handshake", "the server speaks no TLS: use redis:// rather than rediss://"},
}

func (s *Store) advice(err error) string {
	text := err.Error()
	for _, a := range advices {
		if strings.Contains(text, a.code) {
			return a.do
		}
	}
	var dns *net.DNSError
	var bad *url.Error
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: start redis-server, or correct host and port"
	case errors.As(err, &dns):
		return "there is no such host: correct the URL"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &network) && network.Timeout():
		return "no answer in time: is it the right address, the right scheme (rediss:// is with TLS), and is no firewall between?"
	case errors.As(err, &bad), errors.As(err, &network), strings.Contains(text, "EOF"), strings.Contains(text, "parse"):
		return "is it a Redis, and the right port (rediss:// where it wants TLS)?"
	}
	return ""
}
