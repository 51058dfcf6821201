// The bots that come: each has a queue, which is found by the token in IDENTIFY.

package gatewayproxy

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
)

// ErrToken is what a [Queues] returns where Discord refuses the token. The bot is
// sent away with 4004, as Discord would, and nothing is spent.
var ErrToken = errors.New("gatewayproxy: Discord refuses the bot token")

// Bot is who identifies.
type Bot struct {
	App   string // its application's ID, as the token's first part says
	Token string // without "Bot " in front; it is for asking Discord, and for nothing else
}

// Queues finds the queue of a bot. It is called once for each token, may block, and
// is called again after an error, for as long as the bot's IDENTIFY is held; after
// [ErrToken] not for a minute. A queue that is an [io.Closer] is closed once the bot
// has had no connection for ten minutes, or with the proxy.
type Queues func(ctx context.Context, bot Bot) (gatewayqueue.PermitQueue, error)

// One is the queue of every connection, for a proxy of one bot: tokens are not looked
// at. It is not closed.
func One(queue gatewayqueue.PermitQueue) Queues {
	return func(context.Context, Bot) (gatewayqueue.PermitQueue, error) { return kept{queue}, nil }
}

// kept is a queue that is its maker's to close.
type kept struct{ gatewayqueue.PermitQueue }

const (
	refusedFor   = time.Minute      // for how long a token is not asked about again that Discord refuses
	unusedFor    = 10 * time.Minute // after which a bot's queue is closed
	firstRetry   = time.Second      // after a queue could not be had
	mostRetry    = 15 * time.Second
	mostUnproven = 64 // tokens that are asked about at a time: each costs a request to Discord
)

// placed is a queue in which a caller may leave the line and come back to its
// place. Both queues of this module are.
type placed interface {
	AcquireSince(ctx context.Context, shardID int, since time.Time, placed func(since time.Time) bool) (gatewayqueue.Permit, error)
}

// bot is one token's.
type bot struct {
	app   string
	queue gatewayqueue.PermitQueue
	close func() error       // ends the queue; nil if that is not ours to do
	stop  context.CancelFunc // ends watch

	mu     sync.Mutex
	places map[int]place // by shard, of those who left
	storm  gatewayqueue.Storm
}

// place is one in line whose bot has hung up.
type place struct {
	since time.Time
	until time.Time // kept until then
}

// entry is a bot whose queue is there, or on its way.
type entry struct {
	ready   chan struct{} // closed with what follows
	bot     *bot
	err     error
	users   int // who hold it, under bots' mu
	expires *time.Timer
}

// bots are all that have come, by a hash of their tokens.
type bots struct {
	p        *Proxy
	find     Queues
	ctx      context.Context // ends with the proxy
	unproven chan struct{}

	mu      sync.Mutex
	entries map[[sha256.Size]byte]*entry
}

// use returns the bot of a token, and what gives it back. It fails as find does.
func (b *bots) use(ctx context.Context, token string) (*bot, func(), error) {
	key := sha256.Sum256([]byte(token))
	b.mu.Lock()
	e := b.entries[key]
	if e == nil {
		e = &entry{ready: make(chan struct{})}
		b.entries[key] = e
		go b.open(key, e, token)
	}
	e.users++
	if e.expires != nil {
		e.expires.Stop()
	}
	b.mu.Unlock()
	done := sync.OnceFunc(func() { b.giveBack(key, e) })
	select {
	case <-e.ready:
	case <-ctx.Done():
		done()
		return nil, nil, context.Cause(ctx)
	}
	if e.err != nil {
		done()
		return nil, nil, e.err
	}
	return e.bot, done, nil
}

// open finds the queue.
func (b *bots) open(key [sha256.Size]byte, e *entry, token string) {
	defer close(e.ready)
	b.unproven <- struct{}{}
	defer func() { <-b.unproven }()
	app, _ := payload.App(token) // it was looked at before
	queue, err := b.find(b.ctx, Bot{App: app, Token: token})
	e.err = err
	if err == nil {
		ctx, stop := context.WithCancel(b.ctx)
		e.bot = &bot{app: app, queue: queue, stop: stop, places: make(map[int]place)}
		if k, ok := queue.(kept); ok {
			e.bot.queue = k.PermitQueue
		} else if q, ok := queue.(io.Closer); ok {
			e.bot.close = q.Close
		}
		go e.bot.watch(ctx, b.p)
		return
	}
	forget := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.entries[key] == e {
			delete(b.entries, key)
		}
	}
	if errors.Is(err, ErrToken) {
		time.AfterFunc(refusedFor, forget)
	} else {
		forget()
	}
}

// giveBack notes that one less holds the bot.
func (b *bots) giveBack(key [sha256.Size]byte, e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.users--; e.users > 0 || b.entries[key] != e {
		return
	}
	e.expires = time.AfterFunc(unusedFor, func() {
		b.mu.Lock()
		unused := e.users == 0 && b.entries[key] == e
		if unused {
			delete(b.entries, key)
		}
		b.mu.Unlock()
		if unused {
			<-e.ready
			e.close()
		}
	})
}

func (e *entry) close() {
	if e.bot == nil {
		return
	}
	e.bot.stop()
	if e.bot.close != nil {
		_ = e.bot.close() // Nobody uses it.
	}
}

// closeAll closes every queue.
func (b *bots) closeAll() {
	b.mu.Lock()
	all := b.entries
	b.entries = make(map[[sha256.Size]byte]*entry)
	b.mu.Unlock()
	var closing sync.WaitGroup
	for _, e := range all {
		select {
		case <-e.ready:
			closing.Go(e.close) // one may wait for its store
		default:
			go func() { <-e.ready; e.close() }()
		}
	}
	closing.Wait()
}

// acquire waits for a permit of a shard. If ctx ends meanwhile the place is kept for
// linger, for a bot that comes back as that shard. since is the place that a permit was
// granted from, or zero where that is not known, as after a grant at once.
func (b *bot) acquire(ctx context.Context, shard int, linger time.Duration) (permit gatewayqueue.Permit, since time.Time, err error) {
	q, ok := b.queue.(placed)
	if !ok {
		permit, err = b.queue.Acquire(ctx, shard)
		return permit, since, err
	}
	since = b.comesBack(shard)
	permit, err = q.AcquireSince(ctx, shard, since, func(at time.Time) bool { since = at; return true })
	if err != nil && ctx.Err() != nil {
		b.leaves(shard, since, linger)
	}
	return permit, since, err
}

// comesBack takes the place that a shard has left; zero if it has none.
func (b *bot) comesBack(shard int) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.places[shard]
	delete(b.places, shard)
	if time.Now().After(p.until) {
		return time.Time{}
	}
	return p.since
}

// leaves keeps the place of a shard.
func (b *bot) leaves(shard int, since time.Time, linger time.Duration) {
	if linger <= 0 || since.IsZero() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for s, p := range b.places { // there are few, and each is there for a minute
		if now.After(p.until) {
			delete(b.places, s)
		}
	}
	if p, ok := b.places[shard]; ok && p.since.Before(since) {
		since = p.since
	}
	b.places[shard] = place{since, now.Add(linger)}
}
