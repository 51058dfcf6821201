// Package gatewaytest is the other side for tests: what Discord would say to
// the identifies of a bot.
package gatewaytest
