package redisqueue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// discordAPI is the base address of Discord's API, version 10.
const discordAPI = "https://discord.com/api/v10"

// DiscordLimits is a [LimitSource] that reads session_start_limit from
// Discord's GET /gateway/bot. The token is the bot's, with or without "Bot " in
// front; it appears in no error and no log. A nil client is
// [http.DefaultClient].
func DiscordLimits(client *http.Client, token string) LimitSource {
	return DiscordLimitsAt(discordAPI, client, token)
}

// DiscordLimitsAt is [DiscordLimits] for another base address than Discord's: a
// proxy, or a fake in tests.
func DiscordLimitsAt(base string, client *http.Client, token string) LimitSource {
	if client == nil {
		client = http.DefaultClient
	}
	token = strings.TrimPrefix(token, "Bot ")
	return func(ctx context.Context) (gatewayqueue.SessionStartLimit, error) {
		limit, err := askDiscord(ctx, client, strings.TrimSuffix(base, "/")+"/gateway/bot", token)
		if err != nil {
			return limit, fmt.Errorf("redisqueue: GET /gateway/bot: %w", err)
		}
		return limit, nil
	}
}

func askDiscord(ctx context.Context, client *http.Client, address, token string) (gatewayqueue.SessionStartLimit, error) {
	var none gatewayqueue.SessionStartLimit
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return none, withoutAddress(err)
	}
	req.Header.Set("Authorization", "Bot "+token)
	req.Header.Set("User-Agent", "DiscordBot (https://github.com/gatewayqueue/gatewayqueue, 0)")
	resp, err := client.Do(req)
	if err != nil {
		return none, withoutAddress(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	const most = 1 << 20    // the real answer has some 200 bytes
	text, err := io.ReadAll(io.LimitReader(resp.Body, most))
	switch {
	case resp.StatusCode != http.StatusOK:
		return none, refusal(resp, text)
	case err != nil:
		return none, err
	}
	limit, err := figures(text)
	if err != nil {
		return none, &SourceError{Status: resp.StatusCode, Err: err}
	}
	return limit, nil
}

// figures are those in an answer. An absent one is unknown.
func figures(text []byte) (gatewayqueue.SessionStartLimit, error) {
	var none gatewayqueue.SessionStartLimit
	var body struct {
		Limit *gatewayqueue.SessionStartLimit `json:"session_start_limit"`
	}
	err := json.NewDecoder(bytes.NewReader(text)).Decode(&body)
	switch {
	case err != nil:
		return none, err
	case body.Limit == nil:
		return none, errors.New("the answer has no session_start_limit")
	case body.Limit.MaxConcurrency == 0: // it would mean no limit
		return none, &gatewayqueue.InvalidError{Field: "max_concurrency", Value: 0, Want: fmt.Sprintf("1 to %d", gatewayqueue.MaxBuckets)}
	}
	return *body.Limit, nil
}

// refusal is an answer that is no success: Discord's, or a page of the
// Cloudflare in front of it.
func refusal(resp *http.Response, text []byte) *SourceError {
	e := &SourceError{Status: resp.StatusCode, RetryAfter: saidRetryAfter(resp, text)}
	page := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || bytes.HasPrefix(bytes.TrimSpace(text), []byte("<"))
	blocking := resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
	again := " for " + strconv.FormatFloat(e.RetryAfter.Seconds(), 'g', -1, 64) + " s"
	if e.RetryAfter == 0 {
		again = ", and does not say for how long"
	}
	switch {
	case page && blocking:
		e.Err = fmt.Errorf("%d: a page of Cloudflare, not an answer of Discord: this address is %w%s", resp.StatusCode, ErrRateLimited, again)
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		e.Err = fmt.Errorf("%d: %w", resp.StatusCode, ErrUnauthorized)
	case resp.StatusCode == http.StatusTooManyRequests:
		e.Err = fmt.Errorf("429: %w%s", ErrRateLimited, again)
	default:
		e.Err = errors.New(resp.Status)
	}
	return e
}

// saidRetryAfter is for how long an answer wants nobody to ask again, 0 if it
// does not say: the longest of what its header and its body say, which may have
// decimals. https://discord.com/developers/docs/topics/rate-limits
func saidRetryAfter(resp *http.Response, text []byte) time.Duration {
	var body struct {
		RetryAfter float64 `json:"retry_after"`
	}
	_ = json.Unmarshal(text, &body) // It may be a page.
	header := resp.Header.Get("Retry-After")
	said := max(seconds(body.RetryAfter), secondsOf(header))
	if at, err := http.ParseTime(header); err == nil {
		now, err := http.ParseTime(resp.Header.Get("Date")) // by the clock of who says so
		if err != nil {
			now = time.Now()
		}
		said = max(said, seconds(at.Sub(now).Seconds()))
	}
	if resp.StatusCode == http.StatusTooManyRequests { // on other answers it only tells how the route stands
		said = max(said, secondsOf(resp.Header.Get("X-RateLimit-Reset-After")))
	}
	return said
}

func secondsOf(text string) time.Duration {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return 0
	}
	return seconds(n)
}

// seconds keeps to what may be believed; what is negative or no number is 0.
func seconds(n float64) time.Duration {
	if !(n > 0) {
		return 0
	}
	return time.Duration(min(n, longestRetryAfter.Seconds()) * float64(time.Second))
}

// withoutAddress is an error without the address, which may hold a secret.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
