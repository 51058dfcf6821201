package gatewaytest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// A client that has the close frame and identifies all the same: its unit is
// spent, and nobody is up for it.
func TestServer_IdentifyAfterTheCloseFrameCounts(t *testing.T) {
	srv := gatewaytest.NewServer()
	defer srv.Close()
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL(), "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /?v=10 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	require.NoError(t, err)
	r := bufio.NewReader(conn)
	readTo(t, r, "heartbeat_interval")
	srv.Restart()
	readTo(t, r, "\x03\xe9Going away.") // 1001
	identify := fmt.Sprintf(`{"op":2,"d":{"token":%q,"shard":[3,16]}}`, srv.Token())
	_, err = conn.Write(append([]byte{0x81, 0x80 | byte(len(identify)), 0, 0, 0, 0}, identify...))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return srv.Stats().IdentifiesInVain == 1 }, 2*time.Minute, time.Millisecond)
	verdict := srv.Judge().Verdict()
	assert.Equal(t, 1, verdict.Identifies)
	assert.Empty(t, srv.Sessions())
	assert.Equal(t, 999, srv.Judge().Limit().Remaining)
}

func readTo(t *testing.T, r *bufio.Reader, what string) {
	t.Helper()
	var got strings.Builder
	for !strings.Contains(got.String(), what) {
		b, err := r.ReadByte()
		require.NoError(t, err, "%q, and not yet %q", got.String(), what)
		got.WriteByte(b)
	}
}

// What discord.py and eris cannot do without.
func TestServer_ReadyHasWhatLibrariesRelyOn(t *testing.T) {
	srv := gatewaytest.NewServer()
	defer srv.Close()
	c := dial(t, srv.GatewayURL())
	c.identify(0, 1)
	p := c.read()
	var data map[string]any
	require.NoError(t, json.Unmarshal(p.D, &data))
	for _, list := range []string{"guilds", "private_channels", "presences", "relationships"} {
		assert.Equal(t, []any{}, data[list], list)
	}
	assert.NotEmpty(t, data["_trace"])
	for _, absent := range []string{"avatar", "global_name"} {
		value, there := data["user"].(map[string]any)[absent]
		assert.True(t, there && value == nil, absent)
	}
}
