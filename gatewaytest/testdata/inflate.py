"""Answers each message with what Python's zlib makes of it: "stream" has one
context for all of them, as zlib-stream needs it; "each" has one for each."""

import struct
import sys
import zlib

source, sink = sys.stdin.buffer, sys.stdout.buffer
stream = zlib.decompressobj()
while header := source.read(4):
    message = source.read(struct.unpack(">I", header)[0])
    if sys.argv[1] == "stream":
        assert message.endswith(b"\x00\x00\xff\xff"), "no flush at the end"
        answer = stream.decompress(message)
        assert not stream.eof, "the stream has ended"
    else:
        answer = zlib.decompress(message)
    sink.write(struct.pack(">I", len(answer)) + answer)
