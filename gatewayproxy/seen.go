// What Discord's messages say of a connection, as far as they are read.

package gatewayproxy

import (
	"net/url"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/downstream"
)

// rewrite is where READY's resume_gateway_url is changed.
func (c *conn) rewrite(address string) string {
	ours, ok := c.p.hosts.rewritten(c.external, address, max(c.sight.shardID(), 0))
	if !ok {
		c.log.Warn("READY names a gateway that nobody may be connected to: its URL is left as it is, and the session resumes past the proxy", "host", hostOf(address))
	}
	return ours
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// sees notes what a message of Discord's has said. The caller holds writing.
func (c *conn) sees(seen downstream.Seen) {
	if seen.Problem != "" {
		c.log.Warn("a payload of Discord's passes as it is, and its session resumes past the proxy", "why", seen.Problem)
	}
	if !seen.Readable {
		return
	}
	c.mu.Lock()
	was := c.phase
	switch {
	case seen.Op == 10 && seen.Interval > 0:
		c.interval = seen.Interval
	case seen.Op == 9:
		c.phase = fresh
	case seen.Event == "READY", seen.Event == "RESUMED":
		c.phase = ready
	}
	c.mu.Unlock()
	c.sight.sees(seen, was)
}

// looks reads a short message that was copied.
func (c *conn) looks(opcode byte, message []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.sees(c.stream.Look(opcode, message))
}
