// Command gatewayqueue serves the queue to bots in any language, holds every IDENTIFY
// between them and Discord, waits in the queue for one shard, shows it at work, looks
// at a running one, and is a Discord to try bots against:
//
//	gatewayqueue serve         the queue over HTTP, in memory or on Redis
//	gatewayqueue proxy         holds every IDENTIFY, whatever library the bot has
//	gatewayqueue wait          blocks until a shard may identify, then runs a command
//	gatewayqueue status        looks at a running queue
//	gatewayqueue history       shows the last 24 hours of one
//	gatewayqueue check         tells a monitoring system how a queue fares
//	gatewayqueue plan          says whether a fleet may be deployed now
//	gatewayqueue pause         stops the grants of a queue, for a while
//	gatewayqueue resume        lets it grant again
//	gatewayqueue audit         lists who has paused a queue, and why
//	gatewayqueue demo          shows pods at work under a judge
//	gatewayqueue fake-discord  is Discord for bots of any language, and judges them
//	gatewayqueue version       which commit it was built from
//	gatewayqueue completion    makes a shell complete its commands and flags
package main

import "github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"

func main() { cli.Main(root()) }
