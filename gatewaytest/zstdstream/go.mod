module github.com/gatewayqueue/gatewayqueue/gatewaytest/zstdstream

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	github.com/gatewayqueue/gatewayqueue v0.1.0
	github.com/klauspost/compress v1.20.4
	github.com/stretchr/testify v1.12.1
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect
