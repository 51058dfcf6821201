package timeline_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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

func TestSVGGrowsWithTheBucketsUpToWhatCanBeLookedAt(t *testing.T) {
	height := func(buckets int) float64 {
		line := sample()
		line.Buckets = buckets
		found := regexp.MustCompile(`^<svg [^>]* height="(\d+)pt"`).FindStringSubmatch(line.SVG())
		require.NotNil(t, found)
		h, err := strconv.ParseFloat(found[1], 64)
		require.NoError(t, err)
		return h
	}
	assert.Less(t, height(2), height(20))
	assert.Less(t, height(20), height(200))
	assert.InDelta(t, height(200), height(2000), 0)
	assert.Less(t, height(2000), 1300.0)
}

func TestSVGEscapesNames(t *testing.T) {
	line := sample()
	line.Pods = []string{"<&>", "pod-2"}
	line.Title = "a < b"
	file := filepath.Join(t.TempDir(), "timeline.svg")
	require.NoError(t, line.Save(file))
	assert.Subset(t, texts(t, file), []string{"<&>", "a < b"})
}

func TestLegendHasRoomForSoManyPods(t *testing.T) {
	line := sample()
	for i := range 200 {
		line.Pods = append(line.Pods, fmt.Sprint("more-", i))
	}
	file := filepath.Join(t.TempDir(), "timeline.svg")
	require.NoError(t, line.Save(file))
	all := texts(t, file)
	assert.Contains(t, all, "and 130 more", "%d texts", len(all))
	assert.Contains(t, all, "more-69")
	assert.NotContains(t, all, "more-70")
}

func TestAnEmptyTimelineIsAPicture(t *testing.T) {
	assert.NoError(t, timeline.Timeline{Buckets: 1, Window: time.Second}.Save(filepath.Join(t.TempDir(), "empty.svg")))
}

func TestOnlySVGIsWritten(t *testing.T) {
	assert.ErrorContains(t, sample().Save("timeline.PNG"), `".png"`)
	assert.ErrorIs(t, sample().Save(filepath.Join(t.TempDir(), "missing", "x.svg")), os.ErrNotExist)
}
