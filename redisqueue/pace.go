package redisqueue

import "time"

// unfelt is how late a grant of Wait may be without any margin for it: the way to
// Discord varies by more. So much sooner than its window an IDENTIFY may leave
// where the margin is less.
const unfelt = 5 * time.Millisecond

// mostForeseen bounds the margin that is added because answers have been slow.
// Where they are slower than that, a grant may have to be claimed again.
const mostForeseen = 100 * time.Millisecond

// pace is how long Redis takes to answer, waiters' goroutines included: what the
// last answer took, or three quarters of what it was before, for a slow one is
// often followed by another.
type pace time.Duration

func (p *pace) took(d time.Duration) { *p = max(pace(d), *p-*p/4) }

// marginFor is the margin with which the waiter's grant is not too late once it is
// here, as far as that can be foreseen. The caller holds mu.
func (q *RedisQueue) marginFor(w *waiter) time.Duration {
	margin := max(q.config.margin, w.patience)
	if slow := time.Duration(q.claims); slow > unfelt {
		margin = max(margin, min(slow+slow/2, mostForeseen)+q.config.marginLeft)
	}
	return min(margin, q.config.longestMargin())
}

// late says that a grant is, so long after its claim was sent. A part of the
// margin may be the caller's.
func (q *RedisQueue) late(w *waiter, after time.Duration) bool {
	return after > max(w.closes-q.config.window-q.config.marginLeft, unfelt)
}

// usable is for how long after an announcement its IDENTIFY may leave, so that
// the answer is hardly ever too late. The caller holds mu.
func (q *RedisQueue) usable() time.Duration {
	return max(q.config.announced(), min(2*time.Duration(q.announces), announceTimeout))
}
