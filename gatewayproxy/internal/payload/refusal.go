// Why a message is refused, as its client is told.

package payload

import "fmt"

// Close codes of Discord's gateway.
// https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes
const (
	unknownOpcode        = 4001
	decodeError          = 4002
	authenticationFailed = 4004
	invalidShard         = 4010
)

// maxReason is how many bytes of a reason fit into a close frame (RFC 6455, 5.5).
const maxReason = 123

// Refusal is why a message is not passed on: the close code that Discord gives for
// it, and a reason for people, in ASCII and of at most 123 bytes, which holds no
// part of a string that the client sent.
type Refusal struct {
	Code   int
	Reason string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d %s", r.Code, r.Reason) }

func refuse(code int, format string, args ...any) *Refusal {
	reason := fmt.Sprintf(format, args...)
	return &Refusal{Code: code, Reason: reason[:min(len(reason), maxReason)]}
}
