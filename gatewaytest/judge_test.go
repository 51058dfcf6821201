// What the judge rules, in virtual time.

package gatewaytest_test

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

const window = 5 * time.Second

func limit(remaining, concurrency int) gatewayqueue.SessionStartLimit {
	return gatewayqueue.SessionStartLimit{Total: 1000, Remaining: remaining, ResetAfter: time.Hour, MaxConcurrency: concurrency}
}

func TestIdentifyIsAcceptedExactlyOneWindowAfterThePreviousOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := gatewaytest.NewJudge(limit(10, 1), window)
		assert.Equal(t, gatewaytest.Ruling{Accepted: true}, j.Identify(0))
		time.Sleep(window)
		assert.Equal(t, gatewaytest.Ruling{Accepted: true, Gap: window}, j.Identify(1))
		assert.True(t, j.Verdict().OK())
	})
}

func TestIdentifyInsideTheWindowIsAViolation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := gatewaytest.NewJudge(limit(10, 1), window)
		j.Identify(0)
		time.Sleep(window - time.Nanosecond)
		assert.Equal(t, gatewaytest.Ruling{Early: true, Gap: window - 1}, j.Identify(1))
		time.Sleep(window - time.Millisecond)
		assert.True(t, j.Identify(1).Early, "an early identify starts a window of its own")

		v := j.Verdict()
		assert.False(t, v.OK())
		assert.Equal(t, 2, v.Violations)
		assert.Equal(t, window-time.Millisecond, v.LeastGap)
		assert.Equal(t, time.Millisecond, v.WorstShortfall)
		assert.Equal(t, 7, v.Remaining, "an early identify spends a unit")
	})
}

func TestTwoIdentifiesInOneInstantAreAViolation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := gatewaytest.NewJudge(limit(10, 1), window)
		j.Identify(0)
		assert.True(t, j.Identify(0).Early)
		v := j.Verdict()
		assert.Equal(t, time.Duration(0), v.LeastGap)
		assert.Equal(t, window, v.WorstShortfall)
		assert.Equal(t, []time.Duration{-window}, j.Handoffs(window))
	})
}

func TestBucketsDoNotShareAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := gatewaytest.NewJudge(limit(10, 4), window)
		for shard := range 4 {
			assert.True(t, j.Identify(shard).Accepted)
		}
		time.Sleep(window / 2)
		assert.True(t, j.Identify(6).Early, "shard 6 is in bucket 2")
		record := j.Record()
		require.Len(t, record, 5)
		assert.Equal(t, gatewaytest.Identify{Shard: 6, Bucket: 2, At: window / 2, Gap: window / 2, Early: true}, record[4])
		assert.True(t, record[3].First())
		assert.False(t, record[4].First())
	})
}

func TestIdentifyPastTheBudgetIsADisaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := gatewaytest.NewJudge(limit(1, 2), window)
		assert.True(t, j.Identify(0).Accepted)
		assert.Equal(t, gatewaytest.Ruling{Over: true}, j.Identify(1))
		v := j.Verdict()
		assert.False(t, v.OK())
		assert.Equal(t, 1, v.OverBudget)
		assert.Zero(t, v.Violations)
	})
}

func TestBudgetIsFullAgainAfterTheReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := gatewaytest.NewJudge(gatewayqueue.SessionStartLimit{Total: 2, ResetAfter: time.Minute, MaxConcurrency: 1}, window)
		assert.True(t, j.Identify(0).Over)
		time.Sleep(time.Minute)
		assert.Equal(t, gatewayqueue.SessionStartLimit{Total: 2, Remaining: 2, MaxConcurrency: 1}, j.Limit())
		time.Sleep(time.Minute)
		assert.True(t, j.Identify(0).Accepted)
		assert.Equal(t, gatewayqueue.LimitPeriod, j.Limit().ResetAfter, "a period begins with its first identify")
		time.Sleep(gatewayqueue.LimitPeriod - 1)
		assert.Equal(t, 1, j.Verdict().Remaining)
		time.Sleep(time.Nanosecond)
		assert.Equal(t, 2, j.Verdict().Remaining)
	})
}

func TestWithoutALimitEverythingIsAcceptedAndNothingIsCounted(t *testing.T) {
	j := gatewaytest.NewJudge(gatewayqueue.SessionStartLimit{}, window)
	for range 3 {
		assert.True(t, j.Identify(0).Accepted)
	}
	assert.True(t, j.Verdict().OK())
	assert.Equal(t, 3, j.Verdict().Identifies)
}

func TestNewMaxConcurrencyCountsGapsByTheNewMapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := gatewaytest.NewJudge(limit(10, 4), window)
		j.Identify(0)
		time.Sleep(time.Second)
		j.Identify(1)
		time.Sleep(time.Second)
		j.SetLimit(limit(10, 2))
		// Of the new bucket 1 only shard 1 has identified, 1 s ago; of
		// bucket 0, shard 0, 2 s ago.
		assert.Equal(t, gatewaytest.Ruling{Early: true, Gap: time.Second}, j.Identify(3))
		assert.Equal(t, gatewaytest.Ruling{Early: true, Gap: 2 * time.Second}, j.Identify(2))
		time.Sleep(time.Second)
		j.SetLimit(limit(10, 3))
		assert.Equal(t, time.Second, j.Identify(0).Gap, "shards 0 and 3 share bucket 0 now, and shard 3 was 1 s ago")
	})
}

func TestNegativeShardIsNotAccepted(t *testing.T) {
	j := gatewaytest.NewJudge(limit(10, 4), window)
	assert.Equal(t, gatewaytest.Ruling{}, j.Identify(-1))
	assert.Empty(t, j.Record())
}

func TestBadLimitsPanic(t *testing.T) {
	assert.Panics(t, func() { gatewaytest.NewJudge(gatewayqueue.SessionStartLimit{Remaining: 1}, window) })
	assert.Panics(t, func() { gatewaytest.NewJudge(limit(1, 1), -1) })
}

func TestHandoffsAreWhatTheQueueAddsToTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := gatewaytest.NewJudge(limit(10, 2), window)
		j.Identify(0)
		j.Identify(1)
		time.Sleep(window + 3*time.Millisecond)
		j.Identify(2)
		time.Sleep(time.Millisecond)
		j.Identify(3)
		assert.Equal(t, []time.Duration{3 * time.Millisecond, 4 * time.Millisecond}, j.Handoffs(window))
	})
}

func TestVerdictIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := gatewaytest.NewJudge(limit(10, 1), window)
		assert.Equal(t, "0 identifies of 0 shards: 0 violations, 0 over budget, 10 remaining", j.Verdict().String())
		j.Identify(0)
		assert.Equal(t, "1 identify of 1 shard: 0 violations, 0 over budget, 9 remaining", j.Verdict().String())
		time.Sleep(window - 12*time.Millisecond)
		j.Identify(1)
		assert.Equal(t, "2 identifies of 2 shards: 1 violation (worst 12ms short), 0 over budget, least gap 4.988s (window 5s), 8 remaining",
			j.Verdict().String())
	})
}

func TestManyCallersAtOnceAreAllRecorded(t *testing.T) {
	j := gatewaytest.NewJudge(limit(1000, 1), time.Hour)
	var callers sync.WaitGroup
	for shard := range 100 {
		callers.Go(func() { j.Identify(shard) })
	}
	callers.Wait()
	v := j.Verdict()
	assert.Equal(t, 100, v.Identifies)
	assert.Equal(t, 99, v.Violations, "all but the first, in whatever order they came")
	assert.Equal(t, 900, v.Remaining)
}

func TestPodsReportToAJudgeOverHTTP(t *testing.T) {
	j := gatewaytest.NewJudge(limit(10, 1), time.Hour)
	served := httptest.NewServer(j)
	defer served.Close()

	ruling, err := gatewaytest.Report(t.Context(), served.Client(), served.URL, 3)
	require.NoError(t, err)
	assert.True(t, ruling.Accepted)
	ruling, err = gatewaytest.Report(t.Context(), served.Client(), served.URL+"/", 4)
	require.NoError(t, err)
	assert.True(t, ruling.Early)
	assert.Positive(t, ruling.Gap)

	_, err = gatewaytest.Report(t.Context(), nil, served.URL, -1)
	assert.ErrorContains(t, err, "400 Bad Request: shard: want an integer")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = gatewaytest.Report(cancelled, nil, served.URL, 0)
	assert.ErrorIs(t, err, context.Canceled)

	var verdict gatewaytest.Verdict
	getJSON(t, served.URL+"/verdict", &verdict)
	assert.Equal(t, j.Verdict(), verdict)
	var record []gatewaytest.Identify
	getJSON(t, served.URL+"/record", &record)
	assert.Equal(t, j.Record(), record)
	var now gatewayqueue.SessionStartLimit
	getJSON(t, served.URL+"/limit", &now)
	assert.Equal(t, 8, now.Remaining)
}
