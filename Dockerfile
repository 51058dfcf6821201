# The program as one static binary in an empty image, run by nobody in particular.
#
#   docker build -t gatewayqueue .
#   docker run --rm gatewayqueue demo

FROM golang:1.26 AS build
WORKDIR /src
# The modules first: they change less often than the code, and are kept.
COPY go.work go.work.sum go.mod go.sum ./
COPY promqueue/go.mod promqueue/go.sum promqueue/
COPY gatewaytest/zstdstream/go.mod gatewaytest/zstdstream/go.sum gatewaytest/zstdstream/
COPY cmd/gatewayqueue/go.mod cmd/gatewayqueue/go.sum cmd/gatewayqueue/
# A workspace of these alone: the others would have their dependencies fetched, too.
ENV GOWORK=/src/image.work CGO_ENABLED=0
RUN sed '/^\t\.\/\(bench\|examples\|internal\/.*\)$/d' go.work > image.work && cp go.work.sum image.work.sum && go mod download
COPY . /src
RUN go build -trimpath -ldflags='-s -w' -o /out/gatewayqueue ./cmd/gatewayqueue
RUN mkdir -p /out/data

FROM scratch
# For Discord and for rediss://. The image has no other file that the program did not bring.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/gatewayqueue /
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
