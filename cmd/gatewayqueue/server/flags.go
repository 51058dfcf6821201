// Package server is what the servers of the program share: the connections that they
// accept, who may ask them what, what they say of themselves, and how Discord gives
// their limits.
package server

import (
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
)

const leastAuth = 16 // characters of a token that is worth the name

// Settings are what every server has: who may look, its log, and how it ends.
type Settings struct {
	AuthFile     string
	Log, Level   string
	Drain, Grace time.Duration
	Auth         string // the token itself, or empty
}

// DefaultSettings are those of which nobody has said anything.
func DefaultSettings() Settings {
	return Settings{Log: "text", Level: "info", Grace: 10 * time.Second}
}

// DefineAuth defines the token that guards what operators see; who says which asks for
// it.
func (f *Settings) DefineAuth(flags *pflag.FlagSet, who string) {
	cli.Text(flags, &f.AuthFile, "auth-token-file", "`FILE` with the token that "+who+" (or the token itself in\n$GATEWAYQUEUE_AUTH_TOKEN; default: none)")
}

// DefineLog defines how the log looks.
func (f *Settings) DefineLog(flags *pflag.FlagSet) {
	cli.Choice(flags, &f.Log, "log", []string{"text", "json"}, "`FORMAT` of the log on standard error: text or\njson")
	cli.Choice(flags, &f.Level, "log-level", []string{"debug", "info", "warn", "error"}, "least `LEVEL` that is logged: debug, info, warn or\nerror")
}

// DefineEnd defines how the server ends.
func (f *Settings) DefineEnd(flags *pflag.FlagSet) {
	cli.Duration(flags, &f.Drain, "drain", 0, 10*time.Minute, "after a signal, go on serving for so long while\n/readyz says no (default: not at all)")
	cli.Duration(flags, &f.Grace, "grace", time.Second, 10*time.Minute, "then, how long ending may take")
	flags.Lookup("drain").DefValue = "" // said in words
}

// SettleAuth reads the token.
func (f *Settings) SettleAuth() (err error) {
	if f.Auth, err = cli.Secret("auth-token-file", f.AuthFile, cli.EnvName("auth-token")); err != nil {
		return err
	}
	if f.Auth != "" && len(f.Auth) < leastAuth {
		return cli.Usage("the token that guards the server has %d characters: want %d or more, such as openssl rand -hex 24 makes", len(f.Auth), leastAuth)
	}
	return nil
}

// IsAPI says whether an address can be the base of Discord's API.
func IsAPI(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// Logger writes to standard error. No secret gets past it, from any package.
func (f *Settings) Logger(secrets ...string) *slog.Logger {
	out := cli.Hide(os.Stderr, append(secrets, f.Auth)...)
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.Level)) // It is one of the four.
	options := &slog.HandlerOptions{Level: level}
	if f.Log == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}
