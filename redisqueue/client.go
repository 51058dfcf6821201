package redisqueue

// Which clients can hold a queue.

import (
	"fmt"
	"reflect"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
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
