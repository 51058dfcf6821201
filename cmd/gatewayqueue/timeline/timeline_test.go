package timeline_test

import (
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/timeline"
)

func sample() timeline.Timeline {
	t := timeline.Timeline{
		Title: "6 of 6 shards up", Window: 5 * time.Second, Buckets: 2,
		Pods:    []string{"pod-1", "pod-2"},
		Moments: []timeline.Moment{{At: 6 * time.Second, Text: "pod-2 killed"}, {At: 7 * time.Second, Text: "pod-1 takes over"}},
	}
	for shard := range 6 {
		t.Marks = append(t.Marks, timeline.Mark{
			Shard: 40 + shard, Bucket: shard % 2, Pod: t.Pods[shard%2],
			At: time.Duration(shard/2) * 5 * time.Second, Violation: shard == 5,
		})
	}
	return t
}

// texts of a picture that is XML.
func texts(t *testing.T, file string) []string {
	t.Helper()
	in, err := os.Open(file)
	require.NoError(t, err)
	defer in.Close()
	var all []string
	for read := xml.NewDecoder(in); ; {
		token, err := read.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err, "it is not XML")
		if words, ok := token.(xml.CharData); ok && strings.TrimSpace(string(words)) != "" {
			all = append(all, strings.TrimSpace(string(words)))
		}
	}
}

func TestSVGSaysWhoIdentifiedAndWhenPodsDied(t *testing.T) {
	file := filepath.Join(t.TempDir(), "timeline.svg")
	require.NoError(t, sample().Save(file))
	assert.Subset(t, texts(t, file), []string{
		"6 of 6 shards up", "bucket", "seconds since the start; a bar is the window of 5s that an IDENTIFY closes",
		"pod-1", "pod-2", "violation", "40", "41", "42", "43", "44", "45", "pod-2 killed", "pod-1 takes over",
	})
}

func TestPNGGrowsWithTheBuckets(t *testing.T) {
	size := func(buckets int) (width, height int) {
		file := filepath.Join(t.TempDir(), "timeline.PNG")
		line := sample()
		line.Buckets = buckets
		require.NoError(t, line.Save(file))
		in, err := os.Open(file)
		require.NoError(t, err)
		defer in.Close()
		got, err := png.DecodeConfig(in)
		require.NoError(t, err)
		return got.Width, got.Height
	}
	width, low := size(2)
	_, high := size(20)
	_, highest := size(2000)
	assert.Equal(t, 1476, width)
	assert.Less(t, low, high)
	assert.Less(t, highest, 3000, "a picture that can still be looked at")
}

func TestAnEmptyTimelineIsAPicture(t *testing.T) {
	assert.NoError(t, timeline.Timeline{Buckets: 1, Window: time.Second}.Save(filepath.Join(t.TempDir(), "empty.svg")))
}

func TestOnlySVGAndPNGAreWritten(t *testing.T) {
	assert.ErrorContains(t, sample().Save("timeline.gif"), `".gif"`)
	assert.ErrorIs(t, sample().Save(filepath.Join(t.TempDir(), "missing", "x.svg")), os.ErrNotExist)
}
