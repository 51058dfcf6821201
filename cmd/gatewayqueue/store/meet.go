// What stands behind a URL, and whether that is what the URL says.

package store

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Meet looks once whether the queue of an application can work with this Redis.
// An error is one that no waiting will end. What may pass, or works by chance,
// is told to warn: servers and Redis may start in any order.
func (s *Store) Meet(ctx context.Context, app string, warn func(message string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	client := s.Impatient()
	defer client.Close() // It only looked.
	err := Answers(ctx, client)
	var answer redis.Error
	switch {
	case err == nil:
	case s.otherKind(err) != nil:
		return s.otherKind(err)
	case errors.As(err, &answer) && !comesBack(answer):
		return s.Explain(err)
	default:
		warn("Redis is away: nothing is granted until it answers", s.Explain(err))
		return nil
	}
	if err := s.mistaken(ctx); err != nil {
		return err
	}
	if s.at.kind() != single {
		return nil
	}
	// Reading a key shows whether this node of a Cluster has the application's.
	err = client.HGet(ctx, prefix+app+limits, "epoch").Err()
	if err != nil && strings.Contains(err.Error(), "MOVED ") {
		return s.Explain(err)
	}
	switch about(ctx, client) {
	case aNode:
		warn("Redis is a node of a Cluster: it works until the slot of this application moves", s.advise(asCluster))
	case aReplica:
		warn("Redis is a replica: nothing is granted until it is the primary", s.advise(asPrimary))
	}
	return nil
}

// Answers is nil where the server that client asks answers. It asks with INFO, which
// is one of the least rights, unlike PING; a refusal of that is an answer too.
func Answers(ctx context.Context, client redis.UniversalClient) error {
	err := client.Info(ctx).Err()
	if err != nil && (strings.Contains(err.Error(), "NOPERM") || unknown(err.Error(), "info")) {
		return nil
	}
	return err
}

// comesBack says whether an answer of Redis is one that passes. Other answers are
// wrong settings.
func comesBack(answer redis.Error) bool {
	for _, code := range []string{"LOADING", "MASTERDOWN", "BUSY", "READONLY", "CLUSTERDOWN", "max number of clients"} {
		if strings.Contains(answer.Error(), code) {
			return true
		}
	}
	return false
}

// Advice to those who gave the URL of another kind of server.
const (
	asSentinel = "this is a Sentinel: write redis-sentinel://HOST:PORT/MASTER"
	asCluster  = "this is a node of a Cluster: write redis-cluster://HOST:PORT"
	asSingle   = "this is no Cluster: write redis://HOST:PORT"
	asServer   = "this is no Sentinel: write redis://HOST:PORT, or the port of the Sentinels, mostly 26379"
	asPrimary  = "this is a replica: give the URL of its primary, or redis-sentinel://HOST:PORT/MASTER, which follows it"
)

// mistaken is an error where the server is of a kind on which nothing can ever
// be granted by this URL.
func (s *Store) mistaken(ctx context.Context) error {
	if s.at.kind() == single {
		if about(ctx, s.Client) == aSentinel {
			return s.advise(asSentinel)
		}
		return nil
	}
	return nil // go-redis could not have had an answer
}

// otherKind words what a client of Sentinels or of a Cluster says of a server
// that is neither.
func (s *Store) otherKind(err error) error {
	text := err.Error()
	switch {
	case s.at.kind() == cluster && strings.Contains(text, "cluster support disabled"):
		return s.advise(asSingle)
	case s.at.kind() == cluster && unknown(text, "cluster"):
		return s.advise(asSentinel)
	case s.at.kind() == sentinel && unknown(text, "sentinel"):
		return s.advise(asServer)
	}
	return nil
}

func unknown(text, command string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "unknown command") && strings.Contains(text, command)
}

type advised struct {
	server, do string
}

func (s *Store) advise(do string) error { return &advised{s.String(), do} }

func (a *advised) Error() string { return "Redis at " + a.server + ": " + a.do }

// What a server says of itself.
const (
	aServer = iota // or does not say
	aReplica
	aNode
	aSentinel
)

var (
	modeLine = regexp.MustCompile(`(?m)^(?:redis|valkey|server)_mode:(\w+)`)
	roleLine = regexp.MustCompile(`(?m)^role:(\w+)`)
)

// IsReplica says whether client, which is of this store, asks a replica. Clients
// of Sentinels and of a Cluster ask primaries.
func (s *Store) IsReplica(ctx context.Context, client redis.UniversalClient) bool {
	return s.at.kind() == single && about(ctx, client) == aReplica
}

// about asks what the server is. Not all users may ask, and not all services
// answer: then it is a server.
func about(ctx context.Context, client redis.UniversalClient) int {
	info, err := client.Info(ctx).Result()
	if err != nil {
		return aServer
	}
	if m := modeLine.FindStringSubmatch(info); m != nil && m[1] == "sentinel" {
		return aSentinel
	}
	if m := roleLine.FindStringSubmatch(info); m != nil && m[1] == "slave" {
		return aReplica
	}
	if m := modeLine.FindStringSubmatch(info); m != nil && m[1] == "cluster" {
		return aNode
	}
	return aServer
}
