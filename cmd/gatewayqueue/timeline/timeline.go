// Package timeline draws who identified when, as SVG: one row per bucket, one mark
// per IDENTIFY, coloured by pod, and the window that it closes behind it.
package timeline

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Mark is one IDENTIFY.
type Mark struct {
	Shard, Bucket int
	Pod           string
	At            time.Duration
	Violation     bool
}

// Moment is a line through all buckets, with a word.
type Moment struct {
	At   time.Duration
	Text string
}

// Timeline is what is drawn.
type Timeline struct {
	Title   string
	Window  time.Duration
	Buckets int
	Pods    []string // in the order of the legend
	Marks   []Mark
	Moments []Moment
}

// Sizes of the picture, in points.
const (
	width      = 708.0
	left       = 40.0  // of the rows
	right      = 616.0 // of the rows; behind them is the legend
	top        = 36.0
	bottom     = 48.0 // the axis, from the lower edge
	leastRows  = 113.0
	mostRows   = 1134.0
	perRow     = 25.5
	perLegend  = 15.6
	momentRoom = 10.0 // for the words of moments, above the rows
	mostBar    = 14.0
	markRadius = 3.2
	leastLabel = 10.0 // a row lower than this has no room for shard numbers
)

// Save writes the picture, whose file ends in .svg.
func (t Timeline) Save(file string) error {
	if ext := strings.ToLower(filepath.Ext(file)); ext != ".svg" {
		return fmt.Errorf("a timeline is drawn as .svg, not %q", ext)
	}
	out, err := os.Create(file) // The user names the file.
	if err != nil {
		return err
	}
	if _, err := out.WriteString(t.SVG()); err != nil {
		_ = out.Close() // The first error counts.
		return err
	}
	return out.Close()
}

// SVG is the picture.
func (t Timeline) SVG() string {
	wanted := max(leastRows, float64(t.Buckets)*perRow, float64(len(t.Pods)+1)*perLegend)
	rows := min(mostRows, wanted)
	d := drawing{Timeline: t, height: top + rows + bottom, end: t.end().Seconds()}
	d.begin()
	d.axes()
	d.marks()
	d.moments()
	d.legend(int(rows / perLegend))
	d.out.WriteString("</svg>\n")
	return d.out.String()
}

// end is where the time axis ends: the last window is shown in part only, it
// keeps nobody waiting.
func (t Timeline) end() time.Duration {
	last := t.Window
	for _, m := range t.Marks {
		last = max(last, m.At)
	}
	return last + last/20
}

// drawing is a picture half-way.
type drawing struct {
	Timeline
	out    strings.Builder
	height float64
	end    float64 // of the time axis, in seconds
}

func (d *drawing) x(seconds float64) float64 { return left + (right-left)*seconds/d.end }

// y is the middle of a bucket's row: bucket 0 is on top.
func (d *drawing) y(bucket int) float64 {
	first := top
	if len(d.Moments) > 0 {
		first += momentRoom
	}
	return first + (float64(bucket)+0.5)*d.row()
}

// row is how high a bucket's row is.
func (d *drawing) row() float64 {
	room := d.height - top - bottom
	if len(d.Moments) > 0 {
		room -= momentRoom
	}
	return room / float64(max(1, d.Buckets))
}

func (d *drawing) axes() {
	axis, middle := d.height-bottom+4, (left+right)/2
	d.text(middle, 22, `text-anchor="middle" font-size="14"`, d.Title)
	d.text(middle, d.height-11, `text-anchor="middle" font-size="12"`,
		fmt.Sprintf("seconds since the start; a bar is the window of %v that an IDENTIFY closes", d.Window))
	d.line(left, axis, right, axis, `stroke="#000"`)
	step := tickStep(d.end)
	for i := 0; float64(i)*step <= d.end; i++ {
		x := d.x(float64(i) * step)
		d.line(x, top, x, d.height-bottom, `stroke="#e1e1e1"`)
		d.line(x, axis, x, axis+5, `stroke="#000"`)
		d.text(x, axis+16, `text-anchor="middle"`, fmt.Sprintf("%.6g", float64(i)*step))
	}
	y := (top + d.height - bottom) / 2
	d.text(17, y, fmt.Sprintf(`text-anchor="middle" font-size="12" transform="rotate(-90 17 %.2f)"`, y), "bucket")
	every := 1 // as many numbers of buckets as fit
	for d.Buckets/every > 40 {
		every *= 2
	}
	for bucket := 0; bucket < d.Buckets; bucket += every {
		d.text(left-7, d.y(bucket)+3.5, `text-anchor="end"`, fmt.Sprint(bucket))
	}
}

// tickStep is the least of 1, 2 and 5 times a power of ten that has 10 steps or fewer
// until end.
func tickStep(end float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(end/10)))
	for _, times := range []float64{1, 2, 5} {
		if end/(times*power) <= 10 {
			return times * power
		}
	}
	return 10 * power
}

func (d *drawing) marks() {
	row := d.row()
	bar := min(row*0.6, mostBar)
	for _, m := range d.Marks {
		from, to := d.x(m.At.Seconds()), min(d.x((m.At+d.Window).Seconds()), right)
		fmt.Fprintf(&d.out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\" fill-opacity=\".27\"/>\n",
			from, d.y(m.Bucket)-bar/2, to-from, bar, colour(d.pod(m)))
	}
	for _, m := range d.Marks {
		x, y := d.x(m.At.Seconds()), d.y(m.Bucket)
		d.glyph(d.pod(m), x, y, min(markRadius, row/3))
		if m.Violation {
			d.cross(x, y)
		}
		if row >= leastLabel {
			d.text(x+2*markRadius, y+2.8, `fill="#464646" font-size="8"`, fmt.Sprint(m.Shard))
		}
	}
}

func (d *drawing) moments() {
	for i, m := range d.Moments {
		x := d.x(m.At.Seconds())
		d.line(x, top, x, d.height-bottom, `stroke="#3c3c3c" stroke-dasharray="3 2"`)
		// Two that are close together have their words on either side.
		side, word := "start", x+3
		if i%2 == 0 {
			side, word = "end", x-3
		}
		d.text(word, top+7, `fill="#464646" font-size="8" text-anchor="`+side+`"`, m.Text)
	}
}

// legend names so many pods.
func (d *drawing) legend(most int) {
	const thumb = right + 20
	line := 0
	entry := func(draw func(y float64), text string) {
		y := top + 8 + float64(line)*perLegend
		line++
		draw(y)
		d.text(thumb+9, y+3.5, "", text)
	}
	for i, pod := range d.Pods {
		if i == most {
			entry(func(float64) {}, fmt.Sprintf("and %d more", len(d.Pods)-most))
			break
		}
		entry(func(y float64) { d.glyph(i, thumb, y, markRadius) }, pod)
	}
	if slices.ContainsFunc(d.Marks, func(m Mark) bool { return m.Violation }) {
		entry(func(y float64) { d.cross(thumb, y) }, "violation")
	}
}

func (d *drawing) pod(m Mark) int { return max(0, slices.Index(d.Pods, m.Pod)) }
