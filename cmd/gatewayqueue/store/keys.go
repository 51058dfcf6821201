// The keys of a queue, as far as the program must find or remove them.

package store

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
)

const (
	prefix = "identify:{"
	limits = "}:limits" // every queue that was ever filled has it
)

// Pattern matches the keys of an application, for SCAN and redis-cli --scan.
func Pattern(app string) string { return prefix + app + "}:*" }

// Apps lists the applications that have a queue in this Redis. A key whose name could
// not be an application's is somebody else's.
func (s *Store) Apps(ctx context.Context) ([]string, error) {
	keys, err := s.scan(ctx, prefix+"*"+limits)
	if err != nil {
		return nil, err
	}
	var apps []string
	for _, key := range keys {
		if app := strings.TrimSuffix(strings.TrimPrefix(key, prefix), limits); cli.IsName(app) {
			apps = append(apps, app)
		}
	}
	slices.Sort(apps)
	return slices.Compact(apps), nil
}

// Exists reports whether the application has any key.
func (s *Store) Exists(ctx context.Context, app string) (bool, error) {
	keys, err := s.scan(ctx, Pattern(app))
	return len(keys) > 0, err
}

// Remove deletes every key of the application.
func (s *Store) Remove(ctx context.Context, app string) (int, error) {
	keys, err := s.scan(ctx, Pattern(app))
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	if err := s.Client.Del(ctx, keys...).Err(); err != nil {
		return 0, s.Explain(err)
	}
	return len(keys), nil
}

func (s *Store) scan(ctx context.Context, pattern string) ([]string, error) {
	var mu sync.Mutex // nodes of a Cluster are looked at side by side
	var keys []string
	look := func(ctx context.Context, client *redis.Client) error {
		found := client.Scan(ctx, 0, pattern, 1000).Iterator()
		for found.Next(ctx) {
			mu.Lock()
			keys = append(keys, found.Val())
			mu.Unlock()
		}
		return found.Err()
	}
	var err error
	switch client := s.Client.(type) {
	case *redis.ClusterClient:
		err = client.ForEachMaster(ctx, look)
	case *redis.Client:
		err = look(ctx, client)
	}
	if err != nil {
		return nil, s.Explain(err)
	}
	return keys, nil
}

// HasQueue reports whether the application has a queue in this Redis.
func (s *Store) HasQueue(ctx context.Context, app string) (bool, error) {
	n, err := s.Client.HLen(ctx, prefix+app+limits).Result() // EXISTS is not one of the least rights
	if err != nil && strings.Contains(err.Error(), "WRONGTYPE") {
		return true, nil // it is there, and Status says what is wrong with it
	}
	return n > 0, s.Explain(err)
}
