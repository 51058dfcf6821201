package redisqueue

// Which clients can hold a queue, and how a grant is made to survive a failover.

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

// checkClient refuses clients with which a queue cannot keep its promises.
func checkClient(client redis.Scripter, replicas int) error {
	bad := func(want string) error {
		return &gatewayqueue.InvalidError{Field: "client", Value: fmt.Sprintf("a %T", client), Want: want}
	}
	if v := reflect.ValueOf(client); client == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return &gatewayqueue.InvalidError{Field: "client", Value: "nil", Want: "a Redis client"}
	}
	if isRing(client) {
		return bad("a client of one server, of Sentinels or of a Redis Cluster (redis.NewClient, NewFailoverClient, NewClusterClient): " +
			"clients of a redis.Ring that cannot reach a node go on with another one, and have two queues then")
	}
	if _, is := client.(redis.Pipeliner); is {
		return bad("a client that sends each call at once: those of a pipeline or transaction wait for Exec")
	}
	if replicas > 0 && !canAskReplicas(client) {
		return bad("a *redis.Client or *redis.ClusterClient where WithReplicas is given: WAIT has to follow a grant on its connection")
	}
	return nil
}

// canAskReplicas says that WAIT can be sent on the connection of a call.
func canAskReplicas(client redis.Scripter) bool {
	switch client.(type) {
	case *redis.Client, *redis.ClusterClient:
		return true
	}
	return false
}

// isRing says that a client is a redis.Ring, or has nothing but one to send its
// calls with.
func isRing(client redis.Scripter) bool {
	if _, is := client.(interface{ SetAddrs(map[string]string) }); is { // its method, also where it is embedded
		return true
	}
	found := clientsIn(reflect.ValueOf(client), 4)
	return found.rings > 0 && found.others == 0
}

type clients struct{ rings, others int }

// clientsIn counts the clients of go-redis that a value is or holds, so many
// pointers, interfaces and structs deep.
func clientsIn(v reflect.Value, deep int) (found clients) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if deep == 0 || v.Kind() != reflect.Struct {
		return found
	}
	switch v.Type() {
	case reflect.TypeFor[redis.Ring]():
		return clients{rings: 1}
	case reflect.TypeFor[redis.Client](), reflect.TypeFor[redis.ClusterClient]():
		return clients{others: 1}
	}
	for i := range v.NumField() {
		in := clientsIn(v.Field(i), deep-1)
		found.rings, found.others = found.rings+in.rings, found.others+in.others
	}
	return found
}

// replicaTimeout bounds how long a grant waits for its replicas: less than the
// margin for which a grant of Wait is good. Where they answer, they do so as fast
// as the network.
const replicaTimeout = 200 * time.Millisecond

// eval sends a script by its hash, or whole. Where a grant has to be acknowledged
// it returns by how many replicas the script's writes were.
func (s *store) eval(ctx context.Context, whole bool, script script, keys []string, args []any) (raw any, acked int, err error) {
	send := script.redis.EvalSha
	if whole {
		send = script.redis.Eval
	}
	node, err := s.node(ctx, keys[0])
	switch {
	case err != nil:
		return nil, 0, err
	case node == nil:
		raw, err = send(ctx, s.client, keys, args...).Result()
		return raw, 0, err
	}
	pipe := node.Pipeline()
	sent := send(ctx, pipe, keys, args...)
	wait := pipe.Do(ctx, "WAIT", s.replicas.Load(), lua.Milliseconds(replicaTimeout)) // Wait of go-redis takes whole seconds
	_, _ = pipe.Exec(ctx)                                                             // each call has its own error
	if raw, err = sent.Result(); err != nil {
		return nil, 0, err
	}
	acked, err = wait.Int()
	if err != nil && strings.Contains(err.Error(), "WAIT cannot be used with replica") {
		err = fmt.Errorf("READONLY the server became a replica: %w", err)
	}
	return raw, acked, err
}

// node is the client of the server that has a key, nil if nobody has to
// acknowledge anything, or the client is none that can ask for it. WAIT is about
// the connection that it is sent on, and has no key that would send it to the
// right node.
func (s *store) node(ctx context.Context, key string) (*redis.Client, error) {
	if s.replicas.Load() == 0 {
		return nil, nil
	}
	switch client := s.client.(type) {
	case *redis.Client:
		return client, nil
	case *redis.ClusterClient:
		return client.MasterForKey(ctx, key)
	}
	return nil, nil
}

// acknowledged is an error if a grant may not survive a failover: to its holder it
// is none, and the ticket, which has paid, is granted again once replicas answer.
func (s *store) acknowledged(acked int) error {
	want := int(s.replicas.Load())
	if acked >= want {
		return nil
	}
	return &unacknowledgedError{acked, want, time.Now()}
}

// unacknowledgedError is NOREPLICAS, as a server says it by itself that has been
// told to want some. Other calls are answered as ever.
type unacknowledgedError struct {
	acked, want int
	at          time.Time
}

func (e *unacknowledgedError) Error() string {
	return fmt.Sprintf("NOREPLICAS %d of %d replicas have acknowledged the grant within %v (WithReplicas)", e.acked, e.want, replicaTimeout)
}

// unacknowledged notes that a grant does not count, or with nil that one does.
func (q *RedisQueue) unacknowledged(err *unacknowledgedError) {
	if before := q.known.alone.Swap(err); (before == nil) == (err == nil) { // said already
		return
	}
	if err == nil {
		q.config.log.Info("Redis's replicas acknowledge grants again")
		return
	}
	q.config.log.Warn("Redis's replicas do not acknowledge grants: none counts until they do", "acknowledged", err.acked, "want", err.want)
	q.blockSaid("alone", storeBlocks(err), func() {})
}
