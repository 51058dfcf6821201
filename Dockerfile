# The program as one static binary in an empty image, run by nobody in particular.
#
#   docker build -t gatewayqueue .
#   docker run --rm gatewayqueue demo

# Go compiles for the other platform by itself, faster than an emulator of it would. A release brings this stage as a
# directory instead, with the programs of its archives: scripts/image-stage.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26 AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
# The modules first: they change less often than the code, and are kept.
COPY go.work go.work.sum go.mod go.sum ./
COPY promqueue/go.mod promqueue/go.sum promqueue/
COPY gatewaytest/zstdstream/go.mod gatewaytest/zstdstream/go.sum gatewaytest/zstdstream/
COPY cmd/gatewayqueue/go.mod cmd/gatewayqueue/go.sum cmd/gatewayqueue/
# A workspace of these alone: the others would have their dependencies fetched, too.
ENV GOWORK=/src/image.work CGO_ENABLED=0
RUN sed '/^\t\.\/\(bench\|examples\|otelqueue\|internal\/.*\)$/d' go.work > image.work && cp go.work.sum image.work.sum && go mod download
COPY . /src
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags='-s -w' -o /out/$TARGETOS/$TARGETARCH/gatewayqueue ./cmd/gatewayqueue
RUN mkdir -p /out/data

FROM scratch
ARG TARGETOS TARGETARCH
LABEL org.opencontainers.image.title="gatewayqueue" \
  org.opencontainers.image.description="The identify queue for sharded Discord bots, on Redis: server, proxy and tools" \
  org.opencontainers.image.source="https://github.com/gatewayqueue/gatewayqueue" \
  org.opencontainers.image.licenses="ISC"
# For Discord and for rediss://. The image has no other file that the program did not bring.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/$TARGETOS/$TARGETARCH/gatewayqueue /
# For fake-discord --tls, whose authority a volume keeps: -v gatewayqueue:/data
COPY --from=build --chown=65532:65532 /out/data /data
ENV XDG_CACHE_HOME=/data
USER 65532:65532
# serve listens on loopback unless told otherwise: in a container nobody else is there.
#   docker run --rm -p 127.0.0.1:8080:8080 gatewayqueue serve --host 0.0.0.0
# proxy and fake-discord, the same with their own ports: 7777 and 8090
EXPOSE 7777 8080 8090
ENTRYPOINT ["/gatewayqueue"]
CMD ["--help"]
