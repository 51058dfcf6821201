// Where to listen, in all the ways in which people write it.

package cli

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$`)

// ParseHost reads a name or an address without a port, IPv6 with or without its
// brackets, and returns it without.
func ParseHost(s string) (string, bool) {
	inner, open := strings.CutPrefix(s, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	ip, err := netip.ParseAddr(inner)
	switch {
	case open != closed:
		return "", false
	case err == nil:
		return inner, !open || ip.Is6()
	}
	// 127.0.0.256 is no name that anybody has.
	numbers := strings.Trim(s, "0123456789.") == ""
	return s, !open && !numbers && len(s) <= 253 && hostName.MatchString(s)
}

// Hosts defines names and addresses, with commas between them; each time that the
// flag is given adds to them.
func Hosts(flags *pflag.FlagSet, to *[]string, name, usage string) {
	List(flags, to, name, "NAMES", usage, "names or addresses without a port, with commas between them, such as queue.example.org,10.0.0.7", ParseHost)
}

// Listen listens where Host says. An address of IPv4 is that alone: 0.0.0.0 would
// else be all addresses of IPv6, too.
func Listen(ctx context.Context, host string, port int) (net.Listener, error) {
	network := "tcp"
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		network = "tcp4"
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	listener, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	return listener, nil
}

// Host defines where to listen. *to holds its default.
func Host(flags *pflag.FlagSet, to *string, name, port, usage string) {
	flags.Var(&value[string]{
		to: to, kind: "ADDRESS", parse: ParseHost,
		text: func(s string) string { return s },
		want: "a name or an address, such as localhost, 0.0.0.0 or ::1; the port is --" + port,
	}, name, usage)
}
