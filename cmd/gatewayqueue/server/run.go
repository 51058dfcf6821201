// From listening to the end, as every server does it.

package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
)

// Address is where a server listens.
type Address struct {
	Host string
	Port int
}

// DefineAddress defines it.
func (a *Address) DefineAddress(flags *pflag.FlagSet) {
	cli.Host(flags, &a.Host, "host", "port", "address to listen on; 0.0.0.0 is all of this\nmachine's, :: with those of IPv6")
	cli.Int(flags, &a.Port, "port", 0, 65535, "port to listen on; 0 is a free one, which the\nlog tells")
}

// WarnLinked names the variables that are Kubernetes' own, and may have been meant as
// settings.
func WarnLinked(log *slog.Logger, variables []string) {
	for _, name := range variables {
		log.Warn("a variable is Kubernetes' link to a Service, and no setting: enableServiceLinks: false removes it", "variable", name)
	}
}

// StoppedAtStart reports whether a signal has ended ctx while the server started, which
// is as good as one later, and says so.
func StoppedAtStart(ctx context.Context, log *slog.Logger) bool {
	if ctx.Err() == nil {
		return false
	}
	log.Info("stopped", "reason", context.Cause(ctx).Error())
	return true
}

// Serve serves on listener until ctx ends. An end before that is an error; what names
// the server in it.
func Serve(ctx context.Context, s *http.Server, listener net.Listener, log *slog.Logger, what string) error {
	s.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("the %s has ended: %w", what, err)
	case <-ctx.Done():
		return nil
	}
}

// Shut ends a server whose requests have ended or are about to, within ctx.
func Shut(ctx context.Context, s *http.Server, log *slog.Logger) {
	if err := s.Shutdown(ctx); err != nil {
		log.Warn("connections were cut", "error", err)
		_ = s.Close() // There is nothing left to lose.
	}
	log.Info("stopped")
}
