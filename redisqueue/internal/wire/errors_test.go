package wire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The table for operators says of each error that it names what becomes of callers,
// and that is what the code does.
func TestTroubles_AreThoseOfTheOperationsPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operations.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "### When Redis answers with an error")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n### ")
	named := ""
	for _, row := range strings.Split(section, "\n") {
		cells := strings.Split(row, "|")
		if len(cells) != 5 || strings.HasPrefix(cells[1], "-") {
			continue
		}
		named += cells[1]
		for _, quoted := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			class := ClassOf(fmt.Errorf("%s of something", quoted[1]))
			switch {
			case strings.HasPrefix(cells[2], " returned"):
				assert.Equal(t, Returned, class, quoted[1])
			case strings.Contains(cells[2], "0.25 to 0.5 s"):
				assert.Equal(t, RetriedSlowly, class, quoted[1])
			default:
				assert.Equal(t, Retried, class, quoted[1])
			}
		}
	}
	for _, trouble := range Troubles {
		if word := strings.TrimSpace(trouble.Text); word == strings.ToUpper(word) { // Redis's own codes
			assert.Contains(t, named, word, "docs/operations.md says what it does")
		}
	}
}

func TestClassOf_ErrorsOfTheWay(t *testing.T) {
	for err, want := range map[error]Class{
		errors.New("dial tcp 127.0.0.1:6379: connect: connection refused"): Retried,
		errors.New("EOF"):           Retried,
		context.DeadlineExceeded:    Retried,
		context.Canceled:            Retried,
		redis.ErrPoolTimeout:        Retried,
		redis.ErrClosed:             Returned,
		ErrUnexpectedReply:          Returned,
		ErrMoving:                   Retried,
		new(UnacknowledgedError):    RetriedSlowly,
		errors.New("ERR no reason"): Returned,
		errors.New("ERR Error running script: @user_script: READONLY a replica"): Retried,
	} {
		assert.Equal(t, want, ClassOf(err), "%v", err)
	}
}

func TestParseTicket_IsTheInverseOfFormatTicket(t *testing.T) {
	for ticket, ok := range map[string]bool{
		"00003@web-1-a300d883#17":        true,
		"00003@web-1-a300d883#17~abc":    true,
		"00003@web-1-a300d883#17~abc~":   true,
		"3@web#1":                        false,
		"00003@web":                      false,
		"00003@web#x":                    false,
		"-0003@web#1":                    false,
		"maintenance":                    false,
		"":                               false,
		"00003@web#1#2":                  false,
		"00003@web#18446744073709551616": false,
	} {
		shard, pod, n, got := ParseTicket(ticket)
		assert.Equal(t, ok, got, ticket)
		if got {
			assert.Equal(t, ticket, FormatTicket(shard, pod, n)+EndOf(ticket))
		}
	}
}
