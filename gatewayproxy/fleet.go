// What proxies tell each other through the queue: what they see of shards, and how
// many sessions Discord refuses. Many at once are a storm: the whole fleet comes back
// by IDENTIFY, and one line says so, rather than one for each shard.

package gatewayproxy

import (
	"context"
	"log/slog"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

const (
	// tellEvery is how often news are told, and storms noticed; repeatEvery how often
	// what has not changed is told again, so that readers know what is old.
	tellEvery   = time.Second
	repeatEvery = 45 * time.Second

	// mostNews is how many shards are told of at once.
	mostNews = 512

	// tellTimeout bounds one call. What was not told goes with the next.
	tellTimeout = 5 * time.Second
)

// Defaults of [WithStorm].
const DefaultStorm = 10

// WithStorm sets how many refused sessions in a minute, of the whole fleet, are a
// storm; [DefaultStorm] by default, 1 or more. While there is one, floor units of the
// budget are not granted by this proxy: they are left for what comes after it. 0, the
// default, is no floor; it takes a queue that has SetFloor, as a RedisQueue does.
func WithStorm(refused, floor int) Option {
	return func(p *Proxy) error {
		switch {
		case refused < 1:
			return &gatewayqueue.InvalidError{Field: "storm", Value: refused, Want: "1 refused session a minute, or more"}
		case floor < 0:
			return &gatewayqueue.InvalidError{Field: "storm floor", Value: floor, Want: "0 units or more"}
		}
		p.many, p.floor = refused, floor
		return nil
	}
}

// WithName sets by which name this proxy tells others what it sees. By default it
// has no name.
func WithName(name string) Option { return func(p *Proxy) error { p.name = name; return nil } }

// teller is a queue through which proxies tell each other. A RedisQueue is one.
type teller interface {
	TellSight(ctx context.Context, news gatewayqueue.SightNews) (gatewayqueue.Storm, error)
}

// alone is the teller of a queue that no other proxy shares. It is for one goroutine.
type alone struct {
	refused, identified []time.Time // of the last minute, one for each
	since, last         time.Time
}

func (a *alone) TellSight(_ context.Context, news gatewayqueue.SightNews) (gatewayqueue.Storm, error) {
	now := time.Now()
	recent := func(of []time.Time, more int) []time.Time {
		for len(of) > 0 && now.Sub(of[0]) > time.Minute {
			of = of[1:]
		}
		for range min(more, 1<<16) {
			of = append(of, now)
		}
		return of
	}
	a.refused, a.identified = recent(a.refused, news.Refused), recent(a.identified, news.Identified)
	if news.Refused > 0 {
		a.last = now
	}
	switch {
	case !a.since.IsZero() && now.Sub(a.last) > gatewayqueue.StormLasts:
		a.since = time.Time{}
	case a.since.IsZero() && len(a.refused) >= news.Many:
		a.since = now
	}
	storm := gatewayqueue.Storm{Refused: len(a.refused), Identified: len(a.identified), Since: a.since}
	if !a.since.IsZero() {
		storm.Lasts = now.Sub(a.since)
	}
	return storm, nil
}

// watch tells what happens to a bot's shards, and notices storms, until the bot's
// queue is closed.
func (b *bot) watch(ctx context.Context, p *Proxy) {
	tell, ok := b.queue.(teller)
	if !ok {
		tell = &alone{}
	}
	told := make(map[int]toldOf)
	var pending gatewayqueue.SightNews
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for asked := time.Now(); ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		news := p.sights.news(b.app, p.name, told)
		pending.Shards, pending.Many = news.Shards, p.many
		pending.Refused += news.Refused
		pending.Identified += news.Identified
		// In a storm every proxy asks, so that each hears of its end.
		if len(pending.Shards) == 0 && pending.Refused+pending.Identified == 0 && time.Since(asked) < tellEvery*5 {
			continue
		}
		asked = time.Now()
		calling, cancel := context.WithTimeout(ctx, tellTimeout)
		storm, err := tell.TellSight(calling, pending)
		cancel()
		if err != nil {
			p.log.Debug("the fleet could not be told what happens to shards", "app", b.app, "error", err)
			for shard := range pending.Shards {
				delete(told, shard) // again with the next
			}
			continue
		}
		pending = gatewayqueue.SightNews{}
		b.weather(ctx, p, storm)
	}
}

// weather says once that a storm has begun, or is over, and keeps the floor.
func (b *bot) weather(ctx context.Context, p *Proxy, storm gatewayqueue.Storm) {
	b.mu.Lock()
	before := b.storm
	b.storm = storm
	b.mu.Unlock()
	if before.Since.Equal(storm.Since) {
		return
	}
	floor, canKeep := b.queue.(interface{ SetFloor(units int) })
	if storm.Since.IsZero() {
		if canKeep {
			floor.SetFloor(0)
		}
		p.log.Info("the storm is over: Discord has refused no session for two minutes", "app", b.app)
		p.observe(Event{Kind: EventStormOver, App: b.app, Shard: -1, Elapsed: before.Lasts})
		return
	}
	if canKeep && p.floor > 0 {
		floor.SetFloor(p.floor)
	}
	attrs := []any{
		"app", b.app, "refused_last_minute", storm.Refused, "identified_last_minute", storm.Identified, "held_here", p.sights.held(b.app),
		"cause", "Discord refuses sessions that resume (op 9), as after a restart of its gateways",
	}
	attrs = append(attrs, b.outlook(ctx)...)
	p.log.Log(ctx, slog.LevelWarn, "a storm: many sessions have to identify again", attrs...)
	p.observe(Event{Kind: EventStorm, App: b.app, Shard: -1})
}

// outlook is how long the line is, when it is through, and what is left of the budget,
// where the queue can be looked at.
func (b *bot) outlook(ctx context.Context) []any {
	q, ok := b.queue.(gatewayqueue.StatusReader)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	s, err := q.Status(ctx)
	if err != nil {
		return nil
	}
	waiting, through := s.Waiting(), s.Drained(gatewayqueue.IdentifyDelay+gatewayqueue.IdentifiedMargin, nil)
	attrs := []any{"waiting", waiting, "through_in", through.Round(time.Second), "left", s.Budget.Remaining, "reserve", s.Budget.Reserve}
	if short := waiting - s.Budget.Grantable(); short > 0 && s.Budget.MaxConcurrency > 0 {
		attrs = append(attrs, "wait_for_the_reset", short, "reset", s.Budget.Reset)
	}
	return attrs
}

// Storm is how many sessions of an application Discord refuses, as last heard.
func (p *Proxy) Storm(app string) gatewayqueue.Storm {
	p.bots.mu.Lock()
	defer p.bots.mu.Unlock()
	var worst gatewayqueue.Storm
	for _, e := range p.bots.entries {
		select {
		case <-e.ready:
		default:
			continue
		}
		if e.bot == nil || app != "" && e.bot.app != app {
			continue
		}
		e.bot.mu.Lock()
		if s := e.bot.storm; s.Refused >= worst.Refused || !s.Since.IsZero() {
			worst = s
		}
		e.bot.mu.Unlock()
	}
	return worst
}

// toldOf is what was told of a shard.
type toldOf struct {
	version int
	at      time.Time
}

// news are what has changed of an application's shards since it was told, and what
// has not, if that is long ago.
func (s *sights) news(app, name string, told map[int]toldOf) gatewayqueue.SightNews {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	news := gatewayqueue.SightNews{Shards: make(map[int]gatewayqueue.Sight), Refused: s.refused[app], Identified: s.identified[app]}
	delete(s.refused, app)
	delete(s.identified, app)
	for k, one := range s.shards {
		if k.app != app || len(news.Shards) >= mostNews {
			continue
		}
		last, was := told[k.id]
		if was && last.version == one.version && (one.owner == nil || now.Sub(last.at) < repeatEvery) {
			continue // of a shard that is gone the last word is enough
		}
		told[k.id] = toldOf{one.version, now}
		news.Shards[k.id] = gatewayqueue.Sight{
			State: one.State, Since: one.Since, Told: now, By: name, Bot: one.Remote,
			Identifies: one.Identifies, Resumes: one.Resumes, Invalid: one.Refused, LastClose: one.LastClose,
			Heartbeat: time.Duration(one.Heartbeat * float64(time.Second)),
		}
	}
	return news
}

// held is how many of an application's shards are held here.
func (s *sights) held(app string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, one := range s.shards {
		if k.app == app && one.State == StateHeld {
			n++
		}
	}
	return n
}
