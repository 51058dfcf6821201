// Package httpqueue is the queue over HTTP: a handler that serves any
// [gatewayqueue.PermitQueue], and clients for it.
//
// # The server
//
// [NewHandler] serves two protocols. The legacy route is that of twilight's
// gateway-queue: any request with ?shard=N blocks until that shard may send
// IDENTIFY, and is then answered. Its clients take any answer for permission,
// so nothing but a grant is ever answered there: whatever else happens, the
// connection is dropped. Under /v1 is an API with permits, status codes and
// problem bodies; /v1/openapi.json describes it, and docs/http.md shows it.
//
//	queue, err := redisqueue.New(client)
//	handler, err := httpqueue.NewHandler(queue)
//	server := httpqueue.NewServer(handler)
//	listener, err := net.Listen("tcp", "127.0.0.1:8080")
//	err = server.Serve(httpqueue.Quiet(listener))
//
// Over a redisqueue a handler keeps nothing that another one needs: any number
// of them share one Redis, a permit taken from one can be reported to another,
// and a caller that moves from one to another keeps its place in line.
//
// # The clients
//
// [NewClient] returns a [gatewayqueue.PermitQueue] over /v1; [NewLegacyClient]
// a plain [gatewayqueue.Queue] over any gateway-queue, including the original.
// Both wait, with growing pauses, while no server answers.
package httpqueue

// Files of the server begin with server_, those of the clients with client_. problem.go
// is both sides': one writes what the other reads.
