// Package libraries tests real bot libraries of JavaScript and Python, unmodified:
// processes of each, two servers of gatewayqueue serve behind a balancer, a real
// Redis, and the strict fake gateway of package gatewaytest. What a bot consists
// of is read from docs/libraries.md, so that the page cannot be wrong.
//
// The same programs, less what the queue adds, also run through two proxies
// (gatewayqueue proxy), with nothing but another address.
//
// go test runs a selection, in windows shorter than Discord's; scripts/e2e
// libraries and scripts/e2e proxy run all of it at Discord's pace and write their
// tables into docs.
package libraries
