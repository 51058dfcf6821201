// Package e2e tests the queue where it is used: in real bots (disgo and
// discordgo), in pods that are processes, on a real Redis, against the strict
// fake gateway of package gatewaytest. It is a module of its own, so that no
// bot that imports the library gets another bot library.
//
// Its tests run by `go test ./...`, or many times in a row by scripts/e2e.
// With -race they run without it: disgo has data races of its own.
package e2e
