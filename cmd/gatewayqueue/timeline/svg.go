// What the picture is made of.

package timeline

import (
	"fmt"
	"strings"
)

// palette is Okabe and Ito's, which most colour-blind people can tell apart,
// without its yellow, which is hard to see on white.
var palette = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#5a5a5a"}

func colour(pod int) string { return palette[pod%len(palette)] }

// escape makes a text one of XML.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (d *drawing) begin() {
	fmt.Fprintf(&d.out, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0fpt" height="%.0fpt" viewBox="0 0 %.0f %.0f" `+
		`font-family="Liberation Sans, Arial, Helvetica, sans-serif" font-size="10">`+"\n", width, d.height, width, d.height)
	d.out.WriteString("<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n")
}

// text writes words whose baseline is at y.
func (d *drawing) text(x, y float64, attributes, words string) {
	fmt.Fprintf(&d.out, "<text x=\"%.2f\" y=\"%.2f\" %s>%s</text>\n", x, y, attributes, escape.Replace(words))
}

func (d *drawing) line(x1, y1, x2, y2 float64, attributes string) {
	fmt.Fprintf(&d.out, "<path d=\"M%.2f %.2fL%.2f %.2f\" stroke-width=\".6\" %s/>\n", x1, y1, x2, y2, attributes)
}

// glyph is the mark of a pod: its shape tells pods apart that share a colour.
func (d *drawing) glyph(pod int, x, y, r float64) {
	switch pod / len(palette) % 3 {
	case 0:
		fmt.Fprintf(&d.out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\" fill=\"%s\"/>\n", x, y, r, colour(pod))
	case 1:
		fmt.Fprintf(&d.out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n", x-r, y-r, 2*r, 2*r, colour(pod))
	default:
		fmt.Fprintf(&d.out, "<path d=\"M%.2f %.2fl%.2f %.2fh%.2fz\" fill=\"%s\"/>\n", x, y-r, r, 2*r, -2*r, colour(pod))
	}
}

// cross is the mark of a violation.
func (d *drawing) cross(x, y float64) {
	const r = 5.0
	fmt.Fprintf(&d.out, "<path d=\"M%.2f %.2fl%.2f %.2fm0 %.2fl%.2f %.2f\" stroke=\"#c80000\" stroke-width=\"1.6\" fill=\"none\"/>\n",
		x-r, y-r, 2*r, 2*r, -2*r, -2*r, 2*r)
}
