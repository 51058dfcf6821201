package stored_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/stored"
	"github.com/gatewayqueue/gatewayqueue/internal/wiretest"
)

// texts are of lengths around all bounds of blocks.
func texts() [][]byte {
	var list [][]byte
	for _, n := range []int{0, 1, 65534, 65535, 65536, 131069, 131070, 131071, 131072, 131073, 262144, 300000} {
		list = append(list, bytes.Repeat([]byte{'a' + byte(n%25)}, n))
	}
	return list
}

// A length that needs another block costs a block's five bytes, and no empty ones.
func TestAppendDeflate_IsAStreamOfMessages(t *testing.T) {
	stream := stored.AppendZlibHeader(nil)
	var all []byte
	var messages [][]byte
	for _, text := range texts() {
		message := stored.AppendDeflate(nil, text)
		assert.True(t, bytes.HasSuffix(message, stored.Flush))
		assert.Len(t, message, len(text)+5*((len(text)+65534)/65535+1))
		all, stream, messages = append(all, text...), append(stream, message...), append(messages, message)
	}
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(append(bytes.Clone(stream[2:]), 1, 0, 0, 0xff, 0xff))))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(all, text))

	messages[0] = append(stored.AppendZlibHeader(nil), messages[0]...)
	for name, reader := range map[string][]string{"Python": {"python3", "inflate.py"}, "Node": {"node", "inflate.mjs"}} {
		t.Run(name, func(t *testing.T) {
			for i, text := range wiretest.Exchange(t, messages, reader[0], "../../gatewaytest/testdata/"+reader[1], "stream") {
				assert.True(t, bytes.Equal(texts()[i], text), "message %d", i)
			}
		})
	}
}

func TestAppendZlib_IsAStreamOfItsOwn(t *testing.T) {
	for _, text := range texts() {
		r, err := zlib.NewReader(bytes.NewReader(stored.AppendZlib(nil, text)))
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err, "the checksum, too")
		assert.True(t, bytes.Equal(text, got))
	}
}

func TestAppendZstd_IsAStreamOfMessages(t *testing.T) {
	var messages [][]byte
	for _, text := range texts() {
		messages = append(messages, stored.AppendZstd(nil, text))
	}
	messages[0] = append(stored.AppendZstdHeader(nil), messages[0]...)
	for i, text := range wiretest.Exchange(t, messages, "python3", "../../gatewaytest/zstdstream/testdata/decompress.py") {
		assert.True(t, bytes.Equal(texts()[i], text), "message %d", i)
	}
}
