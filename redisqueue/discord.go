package redisqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

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
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return none, errors.New("401: Discord refuses the bot token")
	case http.StatusTooManyRequests:
		return none, fmt.Errorf("429: rate limited for %s s", resp.Header.Get("Retry-After"))
	default:
		return none, errors.New(resp.Status)
	}
	var body struct {
		Limit *gatewayqueue.SessionStartLimit `json:"session_start_limit"`
	}
	const most = 1 << 20 // the real answer has some 200 bytes
	if err := json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(&body); err != nil {
		return none, err
	}
	switch {
	case body.Limit == nil:
		return none, errors.New("the answer has no session_start_limit")
	case body.Limit.MaxConcurrency == 0: // it would mean no limit
		return none, &gatewayqueue.InvalidError{Field: "max_concurrency", Value: 0, Want: fmt.Sprintf("1 to %d", gatewayqueue.MaxConcurrencyBound)}
	}
	return *body.Limit, nil
}

// withoutAddress is an error without the address, which may hold a secret.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
