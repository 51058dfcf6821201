package gatewayqueue_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
)

// The example of Discord's documentation.
// https://discord.com/developers/docs/events/gateway#get-gateway-bot
const fromDiscord = `{
  "total": 1000,
  "remaining": 999,
  "reset_after": 14400000,
  "max_concurrency": 1
}`

func TestSessionStartLimitIsReadAndWrittenAsDiscordDoes(t *testing.T) {
	var limit gatewayqueue.SessionStartLimit
	require.NoError(t, json.Unmarshal([]byte(fromDiscord), &limit))
	require.Equal(t, gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 999, ResetAfter: 4 * time.Hour, MaxConcurrency: 1}, limit)
	written, err := json.Marshal(limit)
	require.NoError(t, err)
	require.JSONEq(t, fromDiscord, string(written))
}

func TestSessionStartLimitThatIsNoneIsRefusedAndChangesNothing(t *testing.T) {
	for text, want := range map[string]string{
		`{"total":-1}`:                     "gatewayqueue: total is -1: want 0 or more",
		`{"total":1,"remaining":-1}`:       "gatewayqueue: remaining is -1: want 0 or more",
		`{"total":1,"remaining":2}`:        "gatewayqueue: remaining is 2: want at most total, 1",
		`{"reset_after":-1}`:               "gatewayqueue: reset_after is -1ms: want 0 or more",
		`{"reset_after":9223372036855}`:    "gatewayqueue: reset_after is 9223372036855: want milliseconds, at most 292 years of them",
		`{"max_concurrency":-1}`:           "gatewayqueue: max_concurrency is -1: want 0 to 65536",
		`{"max_concurrency":65537}`:        "gatewayqueue: max_concurrency is 65537: want 0 to 65536",
		`{"total":"1000"}`:                 "gatewayqueue: session_start_limit: json: cannot unmarshal string into Go struct field sessionStartLimit.total of type int",
		`{"total":1.5}`:                    "gatewayqueue: session_start_limit: json: cannot unmarshal number 1.5 into Go struct field sessionStartLimit.total of type int",
		`[]`:                               "gatewayqueue: session_start_limit: json: cannot unmarshal array into Go value of type gatewayqueue.sessionStartLimit",
		`{"reset_after":1e30}`:             "gatewayqueue: session_start_limit: json: cannot unmarshal number 1e30 into Go struct field sessionStartLimit.reset_after of type int64",
		`{"total":99999999999999999999}`:   "gatewayqueue: session_start_limit: json: cannot unmarshal number 99999999999999999999 into Go struct field sessionStartLimit.total of type int",
		`{"total":1,"max_concurrency":{}}`: "gatewayqueue: session_start_limit: json: cannot unmarshal object into Go struct field sessionStartLimit.max_concurrency of type int",
	} {
		limit := gatewayqueue.DefaultLimit()
		err := json.Unmarshal([]byte(text), &limit)
		require.EqualError(t, err, want, text)
		require.Equal(t, gatewayqueue.DefaultLimit(), limit)
	}
}

func TestSessionStartLimit_AbsentFieldIsNoFigure(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "gatewayqueue: total is missing: want 0 or more",
		`{"remaining":999,"reset_after":14400000,"max_concurrency":1}`:                                   "gatewayqueue: total is missing: want 0 or more",
		`{"total":1000,"reset_after":14400000,"max_concurrency":1}`:                                      "gatewayqueue: remaining is missing: want 0 or more",
		`{"total":1000,"remaining":999,"max_concurrency":1}`:                                             "gatewayqueue: reset_after is missing: want milliseconds, 0 or more",
		`{"total":1000,"remaining":999,"reset_after":14400000}`:                                          "gatewayqueue: max_concurrency is missing: want 1 to 65536",
		`{"total":null,"remaining":999,"reset_after":14400000,"max_concurrency":1}`:                      "gatewayqueue: total is missing: want 0 or more",
		`{"total":1000,"remaining":null,"reset_after":14400000,"max_concurrency":1}`:                     "gatewayqueue: remaining is missing: want 0 or more",
		`{"total":1000,"remaining":999,"reset_after":null,"max_concurrency":1}`:                          "gatewayqueue: reset_after is missing: want milliseconds, 0 or more",
		`{"total":1000,"remaining":999,"reset_after":14400000,"max_concurrency":null}`:                   "gatewayqueue: max_concurrency is missing: want 1 to 65536",
		`{"total":1000,"remaining":999,"reset_after":14400000,"maxConcurrency":1}`:                       "gatewayqueue: max_concurrency is missing: want 1 to 65536",
		`{"total":1000,"remaining":999,"reset_after":14400000,"max_concurrency":1,"max_concurrency":16}`: "gatewayqueue: max_concurrency is given twice: want one value",
		"\tnull\n": "gatewayqueue: session_start_limit is null: want an object",
	} {
		limit := gatewayqueue.DefaultLimit()
		err := limit.UnmarshalJSON([]byte(text))
		require.EqualError(t, err, want, text)
		require.ErrorIs(t, err, gatewayqueue.ErrInvalid)
		require.Equal(t, gatewayqueue.DefaultLimit(), limit, "refused figures change nothing")
	}
	var answer struct {
		Limit gatewayqueue.SessionStartLimit `json:"session_start_limit"`
	}
	require.ErrorIs(t, json.Unmarshal([]byte(`{"session_start_limit":null}`), &answer), gatewayqueue.ErrInvalid)

	unlimited := gatewayqueue.SessionStartLimit{Total: 1, Remaining: 1}
	written, err := json.Marshal(unlimited)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(written, &answer.Limit), "a zero that is written is one")
	require.Equal(t, unlimited, answer.Limit)
}

func TestValidateNamesTheFieldThatIsOutOfRange(t *testing.T) {
	require.NoError(t, gatewayqueue.DefaultLimit().Validate())
	require.NoError(t, gatewayqueue.SessionStartLimit{}.Validate())
	for field, change := range map[string]func(*gatewayqueue.SessionStartLimit){
		"total":           func(l *gatewayqueue.SessionStartLimit) { l.Total = -1 },
		"remaining":       func(l *gatewayqueue.SessionStartLimit) { l.Remaining = l.Total + 1 },
		"reset_after":     func(l *gatewayqueue.SessionStartLimit) { l.ResetAfter = -1 },
		"max_concurrency": func(l *gatewayqueue.SessionStartLimit) { l.MaxConcurrency = -1 },
	} {
		limit := gatewayqueue.DefaultLimit()
		change(&limit)
		err := limit.Validate()
		require.ErrorIs(t, err, gatewayqueue.ErrInvalid)
		var invalid *gatewayqueue.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
}

func TestBucketIsDiscordsRateLimitKey(t *testing.T) {
	for _, c := range []struct{ mc, shard, want int }{{1, 7, 0}, {16, 0, 0}, {16, 15, 15}, {16, 16, 0}, {16, 33, 1}, {0, 5, 0}, {-1, 5, 0}} {
		require.Equal(t, c.want, gatewayqueue.SessionStartLimit{MaxConcurrency: c.mc}.Bucket(c.shard), c)
	}
}

func FuzzSessionStartLimit(f *testing.F) {
	for _, seed := range []string{fromDiscord, "", "null", "{}", `{"total":1,"remaining":1,"max_concurrency":16}`, `{"reset_after":9223372036854}`, `{"reset_after":-9223372036854775807}`, `{"total":1,"remaining":1,"reset_after":null,"max_concurrency":1}`, `{"total":0,"remaining":0,"reset_after":0,"max_concurrency":0,"Total":1}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var limit gatewayqueue.SessionStartLimit
		if json.Unmarshal([]byte(text), &limit) != nil {
			require.Zero(t, limit)
			return
		}
		require.NoError(t, limit.Validate())
		written, err := json.Marshal(limit)
		require.NoError(t, err)
		var again gatewayqueue.SessionStartLimit
		require.NoError(t, json.Unmarshal(written, &again))
		require.Equal(t, limit, again)
	})
}
