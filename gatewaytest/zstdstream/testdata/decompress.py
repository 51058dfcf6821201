"""Answers each message with what libzstd makes of it, in one context for all."""

import ctypes
import ctypes.util
import struct
import sys


class Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t)]


try:
    zstd = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
except OSError as missing:
    print(missing, file=sys.stderr)
    sys.exit(77)
zstd.ZSTD_createDStream.restype = ctypes.c_void_p
zstd.ZSTD_decompressStream.restype = ctypes.c_size_t
zstd.ZSTD_decompressStream.argtypes = [ctypes.c_void_p, ctypes.POINTER(Buffer), ctypes.POINTER(Buffer)]
zstd.ZSTD_isError.argtypes = [ctypes.c_size_t]
zstd.ZSTD_getErrorName.restype = ctypes.c_char_p
zstd.ZSTD_getErrorName.argtypes = [ctypes.c_size_t]

stream = zstd.ZSTD_createDStream()
space = ctypes.create_string_buffer(1 << 17)


def decompress(message):
    answer = bytearray()
    data = ctypes.create_string_buffer(message, len(message))
    source = Buffer(ctypes.addressof(data), len(message), 0)
    while True:
        sink = Buffer(ctypes.addressof(space), len(space), 0)
        result = zstd.ZSTD_decompressStream(stream, ctypes.byref(sink), ctypes.byref(source))
        assert not zstd.ZSTD_isError(result), zstd.ZSTD_getErrorName(result).decode()
        assert result != 0, "the frame has ended"
        answer += space.raw[: sink.pos]
        if source.pos == source.size and sink.pos < sink.size:
            return bytes(answer)


while header := sys.stdin.buffer.read(4):
    answer = decompress(sys.stdin.buffer.read(struct.unpack(">I", header)[0]))
    sys.stdout.buffer.write(struct.pack(">I", len(answer)) + answer)
