# Short names for scripts/, which need no make. "make help" lists them.

.DEFAULT_GOAL := help
SCRIPTS := quick test lint bench e2e soak sim model
.PHONY: help build demo redis tidy api release-dry $(SCRIPTS)

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## The program, into ./gatewayqueue
	go build -buildvcs=true -o gatewayqueue ./cmd/gatewayqueue

demo: ## Pods bring up 16 shards through one queue, on the screen
	go run -v ./cmd/gatewayqueue/demo

quick: ## What to run in between: tests without race detector, linters and container files
	scripts/test quick

test: ## Everything that must pass, as CI does
	scripts/test

lint: ## Formatting, linters, scripts and workflows
	scripts/test lint

redis: ## Real servers for the tests; then: eval "$(scripts/redis env)"
	scripts/redis install --all

bench: ## The promises of the core, measured, in 7 minutes
	scripts/bench --core

e2e: ## Real bots on the queue
	scripts/e2e

soak: ## Random faults for half an hour
	scripts/soak

sim: ## Search schedules of the real scripts in simulated time
	scripts/sim

model: ## Search the protocol's model
	scripts/model

tidy: ## go mod tidy for every module
	scripts/tidy

api: ## What has changed of the Go API since the last release
	scripts/api

release-dry: ## A whole release, published nowhere
	scripts/check-release
