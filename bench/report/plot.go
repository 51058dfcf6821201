package report

// Pictures.

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Line is a contestant's figure as something grows.
type Line struct {
	Name   string
	points plotter.XYs
	errors plotter.YErrors
}

// Add adds a point with its spread. Nothing is drawn below floor: the axes are
// logarithmic.
func (l *Line) Add(x float64, y Spread, floor float64) {
	mid := max(y.Median, floor)
	l.points = append(l.points, plotter.XY{X: x, Y: mid})
	l.errors = append(l.errors, struct{ Low, High float64 }{mid - max(y.Min, floor), max(y.Max, floor) - mid})
}

// XY is one of its points: with Len and YError it makes a Line a plotter's data.
func (l *Line) XY(i int) (x, y float64) { return l.points.XY(i) }

// Len is how many points it has.
func (l *Line) Len() int { return l.points.Len() }

// YError is how far the runs of a point spread.
func (l *Line) YError(i int) (low, high float64) { return l.errors.YError(i) }

// palette tells the lines apart, also for the colour-blind (Okabe and Ito).
var palette = []color.Color{
	color.RGBA{0, 114, 178, 255}, color.RGBA{0, 158, 115, 255}, color.RGBA{213, 94, 0, 255},
	color.RGBA{204, 121, 167, 255}, color.RGBA{86, 180, 233, 255}, color.RGBA{230, 159, 0, 255},
}

// Plot writes the lines to an SVG file, on logarithmic axes.
func Plot(file, title, x, y string, lines []*Line) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.BackgroundColor = color.White // also where a page is dark
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.Title.Padding = vg.Points(8)
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs, p.Legend.YOffs, p.Legend.Padding = vg.Points(8), -vg.Points(4), vg.Points(2)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{230}, color.Gray{230}
	p.Add(grid)
	low, high := math.Inf(1), 0.0
	var sizes plot.ConstantTicks
	for i, l := range lines {
		line, dots, err := plotter.NewLinePoints(l)
		if err != nil {
			return err
		}
		bars, err := plotter.NewYErrorBars(l)
		if err != nil {
			return err
		}
		c := palette[i%len(palette)]
		line.Color, dots.Color, bars.Color = c, c, c
		line.Width, dots.Shape = vg.Points(1.5), draw.CircleGlyph{}
		p.Add(line, dots, bars)
		p.Legend.Add(l.Name, line, dots)
		if len(l.points) > len(sizes) {
			sizes = sizes[:0]
			for _, pt := range l.points {
				sizes = append(sizes, plot.Tick{Value: pt.X, Label: Number(pt.X)})
			}
		}
		for j, pt := range l.points {
			low, high = min(low, pt.Y-l.errors[j].Low), max(high, pt.Y+l.errors[j].High)
		}
	}
	p.X.Tick.Marker = sizes
	p.X.Max *= 1.05 // room for the last label
	p.Y.Tick.Marker = decades{}
	p.Y.Min = math.Pow(10, math.Floor(math.Log10(low)))
	p.Y.Max = math.Pow(10, math.Ceil(math.Log10(high)+0.3)) // room for the legend
	return p.Save(14*vg.Centimeter, 9*vg.Centimeter, file)
}

// decades marks the powers of ten.
type decades struct{}

func (decades) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		v := math.Pow(10, e)
		ticks = append(ticks, plot.Tick{Value: v, Label: Number(v)})
		for m := 2.0; m < 10; m++ {
			ticks = append(ticks, plot.Tick{Value: m * v})
		}
	}
	return ticks
}
