// What is drawn inside the axes.

package timeline

import (
	"fmt"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	markRadius = 3.2 * vg.Length(1)
	labelSize  = 8
	leastLabel = 10 // a row lower than this has no room for shard numbers
)

var (
	grid      = draw.LineStyle{Color: color.Gray{225}, Width: 0.5}
	deathLine = draw.LineStyle{Color: color.Gray{60}, Width: 0.8, Dashes: []vg.Length{3, 2}}
	violation = draw.GlyphStyle{Color: color.NRGBA{200, 0, 0, 255}, Radius: 5, Shape: cross{}}
)

// rows is a plot.Plotter.
type rows struct{ Timeline }

func (t rows) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	row := y(0) - y(1) // bucket 0 is on top
	bar := min(row*0.6, 14)
	for _, tick := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if !tick.IsMinor() {
			c.StrokeLine2(grid, x(tick.Value), c.Min.Y, x(tick.Value), c.Max.Y)
		}
	}
	for _, m := range t.Marks {
		left, right := x(m.At.Seconds()), min(x((m.At+t.Window).Seconds()), c.Max.X)
		middle := y(float64(m.Bucket))
		c.FillPolygon(faint(podColour(t.pod(m))), []vg.Point{
			{X: left, Y: middle - bar/2}, {X: right, Y: middle - bar/2},
			{X: right, Y: middle + bar/2}, {X: left, Y: middle + bar/2},
		})
	}
	label := text.Style{Color: color.Gray{70}, Font: p.X.Tick.Label.Font, Handler: p.TextHandler, YAlign: draw.YCenter}
	label.Font.Size = labelSize
	for _, m := range t.Marks {
		at := vg.Point{X: x(m.At.Seconds()), Y: y(float64(m.Bucket))}
		mark := podGlyph(t.pod(m))
		mark.Radius = min(mark.Radius, row/3)
		c.DrawGlyph(mark, at)
		if m.Violation {
			c.DrawGlyph(violation, at)
		}
		if row >= leastLabel {
			c.FillText(label, vg.Point{X: at.X + 2*markRadius, Y: at.Y}, fmt.Sprint(m.Shard))
		}
	}
	label.YAlign = draw.YTop
	for i, m := range t.Moments {
		at := x(m.At.Seconds())
		c.StrokeLine2(deathLine, at, c.Min.Y, at, c.Max.Y)
		// Two that are close together have their words on either side.
		word := vg.Point{X: at + 3, Y: c.Max.Y}
		if label.XAlign = draw.XLeft; i%2 == 0 {
			label.XAlign, word.X = draw.XRight, at-3
		}
		c.FillText(label, word, m.Text)
	}
}

func (t rows) pod(m Mark) int { return max(0, slices.Index(t.Pods, m.Pod)) }

// cross is gonum's CrossGlyph in a thicker line.
type cross struct{}

func (cross) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	line := draw.LineStyle{Color: style.Color, Width: 1.6}
	r := style.Radius
	c.StrokeLine2(line, at.X-r, at.Y-r, at.X+r, at.Y+r)
	c.StrokeLine2(line, at.X-r, at.Y+r, at.X+r, at.Y-r)
}

// glyph is a plot.Thumbnailer.
type glyph struct{ draw.GlyphStyle }

func (g glyph) Thumbnail(c *draw.Canvas) { c.DrawGlyph(g.GlyphStyle, c.Center()) }
