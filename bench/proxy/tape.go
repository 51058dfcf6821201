package proxy

// What the gateway says: recorded before it is played, so that the gateway costs
// little while it plays.

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// tape is one connection's stream, in frames.
type tape struct {
	hello, ready []byte      // ready has the guilds that follow it
	parts        [2][][]byte // what is measured
	plain        [2][][]byte // the same before it was compressed
}

// prologue is how many messages come before those that are measured, with HELLO:
// READY, and enough text behind it that gatewayproxy may stop to read.
const (
	guilds   = 3
	prologue = 2 + guilds
)

// stampAt is where a message has 19 digits that the gateway may overwrite: the time,
// or a number.
const (
	head     = `{"t":"MESSAGE_CREATE","s":1000000,"op":0,"d":{"id":"`
	stampAt  = len(head)
	stampLen = 19
)

// mixedSizes bounds the lengths where they are many.
var mixedSizes = [2]int{130, 2000}

// record makes a tape. Two with the same seed are the same.
func record(s sourceSettings, seed uint64, address string) (*tape, error) {
	random := rand.New(rand.NewPCG(seed, 12)) //nolint:gosec // Nothing is secured by it.
	var packed bytes.Buffer
	deflate, err := zlib.NewWriterLevel(&packed, zlib.DefaultCompression)
	if err != nil {
		return nil, err
	}
	frame := func(text []byte) ([]byte, error) {
		if !s.Zlib {
			return wsframe.Append(nil, wsframe.Text, text), nil
		}
		packed.Reset()
		if _, err := deflate.Write(text); err != nil {
			return nil, err
		}
		if err := deflate.Flush(); err != nil {
			return nil, err
		}
		return wsframe.Append(nil, wsframe.Binary, packed.Bytes()), nil
	}
	t := &tape{}
	if t.hello, err = frame([]byte(`{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250,"_trace":["[\"gateway-bench\",{\"micros\":0.0}]"]}}`)); err != nil {
		return nil, err
	}
	texts := [][]byte{fmt.Appendf(nil, `{"t":"READY","s":1,"op":0,"d":{"v":10,"user":{"id":"123456789012345678","username":"bench","bot":true},"guilds":[],`+
		`"session_id":"0123456789abcdef0123456789abcdef","session_type":"normal","resume_gateway_url":"wss://%s","shard":[0,1],"application":{"id":"123456789012345678","flags":8953856}}}`, address)}
	for i := range guilds {
		texts = append(texts, fmt.Appendf(nil, `{"t":"GUILD_CREATE","s":%d,"op":0,"d":{"id":"%d","name":%q}}`, i+2, random.Uint64(), prose(random, 20_000)))
	}
	for _, text := range texts {
		f, err := frame(text)
		if err != nil {
			return nil, err
		}
		t.ready = append(t.ready, f...)
	}
	for part, count := range s.Counts {
		for range count {
			size := sizes[part]
			if s.Mixed {
				size = mixedSizes[0] + random.IntN(mixedSizes[1]-mixedSizes[0])
			}
			text := message(random, size)
			f, err := frame(text)
			if err != nil {
				return nil, err
			}
			t.parts[part], t.plain[part] = append(t.parts[part], f), append(t.plain[part], text)
		}
	}
	return t, nil
}

// message is one of exactly size bytes.
func message(random *rand.Rand, size int) []byte {
	b := fmt.Appendf(nil, `%s%019d","channel_id":"%d","content":"`, head, random.Int64N(1e18), random.Int64())
	const tail = `"}}`
	b = append(b, prose(random, size-len(b)-len(tail))...)
	return append(b, tail...)
}

var words = strings.Fields("the a of to and in is it you that he was for on are with as I his they be at one have this from or had by hot but some what there we can " +
	"out other were all your when up use word how said an each she which do their time if will way about many then them would write like so these her long make thing see him two has look")

// prose compresses about as chat does.
func prose(random *rand.Rand, size int) []byte {
	b := make([]byte, 0, size+16)
	for len(b) < size {
		if random.IntN(6) == 0 {
			b = fmt.Appendf(b, "%d ", random.Uint32())
		}
		b = append(append(b, words[random.IntN(len(words))]...), ' ')
	}
	return b[:size]
}
