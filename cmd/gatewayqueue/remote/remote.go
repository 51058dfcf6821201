// Package remote words what goes wrong with a server, for those who have typed a
// command: where it is, and what to type.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/gatewayqueue/gatewayqueue"
)

// Shown is an address without user, password and query.
func Shown(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "the address of --url"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// Explain says of an error of a server where that is, and what to do; token says that
// one was sent. What a queue has said, rather than a server or its network, stays.
func Explain(err error, address string, token bool) error {
	if err == nil || errors.As(err, new(*explained)) || errors.As(err, new(*gatewayqueue.DeadlineError)) || errors.As(err, new(*gatewayqueue.BlockedError)) {
		return err
	}
	text := err.Error()
	var do string
	var invalid *gatewayqueue.InvalidError
	var dns *net.DNSError
	switch {
	case errors.As(err, &invalid) && invalid.Field == "address":
		return &explained{fmt.Sprintf("--url is no address of a server: want %s", invalid.Want), err}
	case strings.Contains(text, "answers 401") && token:
		do = "the server refuses the token: is it the one that gatewayqueue serve was given (401)?"
	case strings.Contains(text, "answers 401"):
		do = "the server asks for a token (401): put it into $GATEWAYQUEUE_AUTH_TOKEN, or type --auth-token-file FILE"
	case strings.Contains(text, "answers 501"):
		do = "this server's queue cannot be looked at (501)"
	case errors.Is(err, syscall.ECONNREFUSED):
		do = "nothing listens there: start gatewayqueue serve, or correct --url"
	case errors.As(err, &dns):
		do = "there is no such host: correct --url"
	case errors.Is(err, context.DeadlineExceeded) && strings.Contains(text, "no answer"):
		do = "no answer in time: is it the right address, and no firewall between?"
	case strings.Contains(text, "tls: "), strings.HasSuffix(text, "EOF"), strings.Contains(text, "malformed HTTP"), strings.Contains(text, "HTTP response to HTTPS"):
		do = "is it http:// or https://? " + bare(text)
	case strings.Contains(text, "not the server but something"), strings.Contains(text, "the answer is not that of"):
		do = "what answers there is not gatewayqueue serve: correct --url (" + bare(text) + ")"
	case strings.Contains(text, "answers 404"):
		do = "there is no queue at this path: --url is the address without one (404)"
	case strings.HasPrefix(text, "httpqueue: "):
		do = bare(text)
	default: // the end of a wait, or a signal
		return err
	}
	return &explained{fmt.Sprintf("server at %s: %s", Shown(address), do), err}
}

// bare is the text of an error without the name of the package that it is of.
func bare(text string) string { return strings.TrimPrefix(text, "httpqueue: ") }

type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }
