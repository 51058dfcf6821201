// Sparklines: a column of one cell for each value.

package picture

import "strings"

// Spark draws values from 0 on; one of most, or the largest of all where that is 0, is
// a full cell. What is not 0 shows something.
func Spark(values []float64, most float64) string {
	const cells = "▁▂▃▄▅▆▇█"
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	for _, v := range values {
		if v <= 0 || most <= 0 {
			b.WriteRune(' ')
			continue
		}
		steps := []rune(cells)
		b.WriteRune(steps[min(len(steps)-1, int(v/most*float64(len(steps))))])
	}
	return b.String()
}
