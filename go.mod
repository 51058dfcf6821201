module github.com/gatewayqueue/gatewayqueue

go 1.25.0
