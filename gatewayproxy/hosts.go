// Which gateways bots are connected to: the proxy is no open relay.

package gatewayproxy

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/gatewayqueue/gatewayqueue"
)

// gateway is one host of Discord's, or of a test's.
type gateway struct {
	host   string // as a URL has it: with its port, if that is not the scheme's own
	addr   string // to dial
	secure bool
}

// parseGateway reads the address of a gateway, without a path.
func parseGateway(field, address string) (gateway, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "wss" && u.Scheme != "ws") || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return gateway{}, &gatewayqueue.InvalidError{Field: field, Value: fmt.Sprintf("%q", address), Want: "such as " + DefaultGateway + ", without a path"}
	}
	g := gateway{host: strings.ToLower(u.Host), secure: u.Scheme == "wss"}
	port := u.Port()
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return gateway{}, &gatewayqueue.InvalidError{Field: field, Value: fmt.Sprintf("%q", address), Want: "a port from 1 to 65535"}
	}
	if port == "" {
		port = map[bool]string{true: "443", false: "80"}[g.secure]
	}
	g.addr = net.JoinHostPort(u.Hostname(), port)
	return g, nil
}

// discords are the gateways of Discord, as READY has named them:
// gateway-us-east1-b.discord.gg.
var discords = regexp.MustCompile(`^gateway(-[a-z0-9]+)*\.discord\.gg$`)

// hosts says who may be reached.
type hosts struct {
	front    gateway            // for those who do not resume
	discords bool               // all of Discord's may
	also     map[string]gateway // by host
}

// find returns the gateway of a host, as a URL or a path names it.
func (h *hosts) find(host string) (gateway, bool) {
	host = strings.ToLower(host)
	if g, ok := h.also[host]; ok {
		return g, true
	}
	if h.discords && discords.MatchString(host) {
		return gateway{host: host, addr: net.JoinHostPort(host, "443"), secure: true}, true
	}
	return gateway{}, false
}

// resumePath is what a resume_gateway_url of ours begins with; the gateway's host
// follows it, and the shard.
const resumePath = "/resume/"

// way is what a path says: which gateway, and of a session that resumes which shard
// it is of, or -1.
type way struct {
	to    gateway
	shard int
}

// wayOf reads the path of a bot's connection.
func (h *hosts) wayOf(path string) (way, bool) {
	rest, resumes := strings.CutPrefix(path, resumePath)
	if !resumes {
		return way{h.front, -1}, true
	}
	host, shard, named := strings.Cut(strings.Trim(rest, "/"), "/")
	to, ok := h.find(host)
	n := -1
	if named {
		var err error
		if n, err = strconv.Atoi(shard); err != nil || n < 0 {
			return way{}, false
		}
	}
	return way{to, n}, ok
}

// rewritten is what READY's resume_gateway_url becomes for a shard, so that its
// RESUME comes through the proxy, and is known for that shard's. ok is false for a
// host that nobody may be connected to: then nothing is changed.
func (h *hosts) rewritten(external, address string, shard int) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "wss" && u.Scheme != "ws") {
		return address, false
	}
	g, ok := h.find(strings.TrimSuffix(strings.ToLower(u.Host), ":443"))
	if !ok {
		return address, false
	}
	return external + resumePath + g.host + "/" + strconv.Itoa(shard), true
}
