// Package timeline draws who identified when: one row per bucket, one mark per
// IDENTIFY, coloured by pod, and the window that it closes behind it.
package timeline

import (
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
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

// Sizes of the picture.
const (
	mm = vg.Inch / 25.4

	width       = 250 * mm
	legendWidth = 29 * mm
	frameHeight = 30 * mm // title and axis
	leastRows   = 40 * mm
	mostRows    = 400 * mm
	perRow      = 9 * mm
	edge        = 3.5 * mm
	dpi         = 150
	perLegend   = 5.5 * mm
)

// Save writes the picture. The file's ending, .svg or .png, says how.
func (t Timeline) Save(file string) error {
	wanted := max(leastRows, vg.Length(t.Buckets)*perRow, vg.Length(len(t.Pods)+1)*perLegend)
	height := frameHeight + min(mostRows, wanted)
	var canvas interface {
		vg.CanvasSizer
		io.WriterTo
	}
	switch ext := strings.ToLower(filepath.Ext(file)); ext {
	case ".svg":
		canvas = vgsvg.New(width, height)
	case ".png":
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(dpi))}
	default:
		return fmt.Errorf("a timeline is drawn as .svg or .png, not %q", ext)
	}
	t.draw(draw.New(canvas))
	out, err := os.Create(file) // The user names the file.
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(out); err != nil {
		_ = out.Close() // The first error counts.
		return err
	}
	return out.Close()
}

func (t Timeline) draw(c draw.Canvas) {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text = t.Title
	p.Title.TextStyle.Font.Size = 14
	p.Title.Padding = 3 * mm
	p.X.Label.Text = fmt.Sprintf("seconds since the start; a bar is the window of %v that an IDENTIFY closes", t.Window)
	p.Y.Label.Text = "bucket"
	p.X.Min, p.X.Max = 0, t.end().Seconds()
	p.Y.Min, p.Y.Max = -0.5, float64(t.Buckets)-0.5
	if len(t.Moments) > 0 {
		p.Y.Min -= 0.4 // room for their words
	}
	p.Y.Scale = plot.InvertedScale{Normalizer: plot.LinearScale{}} // bucket 0 on top
	p.Y.Tick.Marker = plot.ConstantTicks(bucketTicks(t.Buckets))
	p.Y.Width, p.Y.Tick.LineStyle.Width = 0, 0
	p.Y.Padding = 2 * mm
	p.Add(rows{t})

	legend := plot.NewLegend()
	legend.Top, legend.Left = true, true
	legend.Padding = 1 * mm
	legend.ThumbnailWidth = 4 * mm
	most := int((c.Max.Y - c.Min.Y - frameHeight) / perLegend)
	for i, pod := range t.Pods {
		if i == most {
			legend.Add(fmt.Sprintf("and %d more", len(t.Pods)-most))
			break
		}
		legend.Add(pod, glyph{podGlyph(i)})
	}
	if slices.ContainsFunc(t.Marks, func(m Mark) bool { return m.Violation }) {
		legend.Add("violation", glyph{violation})
	}
	inner := draw.Crop(c, edge, -edge, edge, -edge)
	p.Draw(draw.Crop(inner, 0, -legendWidth, 0, 0))
	legend.Draw(draw.Crop(inner, inner.Max.X-inner.Min.X-legendWidth+3*mm, 0, 0, -11*mm))
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

// bucketTicks labels every bucket, or as many as fit.
func bucketTicks(buckets int) []plot.Tick {
	every := 1
	for buckets/every > 40 {
		every *= 2
	}
	var ticks []plot.Tick
	for b := 0; b < buckets; b += every {
		ticks = append(ticks, plot.Tick{Value: float64(b), Label: fmt.Sprint(b)})
	}
	return ticks
}

// palette is Okabe and Ito's, which most colour-blind people can tell apart,
// without its yellow, which is hard to see on white.
var palette = []color.NRGBA{
	{0, 114, 178, 255}, {230, 159, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255},
	{213, 94, 0, 255}, {86, 180, 233, 255}, {90, 90, 90, 255},
}

// shapes tell pods apart that share a colour.
var shapes = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}}

func podGlyph(i int) draw.GlyphStyle {
	return draw.GlyphStyle{Color: podColour(i), Radius: markRadius, Shape: shapes[i/len(palette)%len(shapes)]}
}

func podColour(i int) color.NRGBA { return palette[i%len(palette)] }

func faint(c color.NRGBA) color.NRGBA { c.A = 70; return c }
