// The payloads that the proxy itself sends, and what a token says.

package payload

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/etf"
)

// Heartbeat is a heartbeat to Discord of a session that has had no event yet. A
// client's names are binaries in ETF.
func Heartbeat(asETF bool) []byte {
	if asETF {
		return term(etf.Map{{Key: "op", Value: OpHeartbeat}, {Key: "d", Value: nil}})
	}
	return []byte(`{"op":1,"d":null}`)
}

// Ack answers a client's heartbeat. Discord's names are atoms in ETF.
func Ack(asETF bool) []byte {
	if asETF {
		return term(sent(11, nil))
	}
	return []byte(`{"t":null,"s":null,"op":11,"d":null}`)
}

// Hello is what a connection begins with.
func Hello(asETF bool, interval time.Duration) []byte {
	ms := interval.Milliseconds()
	if asETF {
		return term(sent(10, etf.Map{{Key: "heartbeat_interval", Value: ms}}))
	}
	return fmt.Appendf(nil, `{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":%d}}`, ms)
}

func sent(op int, d any) etf.Map {
	return etf.Map{
		{Key: etf.Atom("t"), Value: nil}, {Key: etf.Atom("s"), Value: nil},
		{Key: etf.Atom("op"), Value: op}, {Key: etf.Atom("d"), Value: d},
	}
}

func term(value any) []byte {
	b, err := etf.Encode(value)
	if err != nil {
		panic(err) // A value above is of a kind that terms have not.
	}
	return b
}

// App is the ID in the first part of a bot's token, which is that of its user and,
// but for bots of before 2016, of its application: decimal digits in base64, of
// either alphabet, padded or not.
func App(token string) (id string, ok bool) {
	first, _, parted := strings.Cut(token, ".")
	if !parted || strings.ContainsAny(first, "\r\n") { // Package base64 skips line ends.
		return "", false
	}
	first = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(first, "="))
	digits, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return "", false
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if id = string(digits); err != nil || n == 0 || id != strconv.FormatUint(n, 10) {
		return "", false
	}
	return id, true
}
