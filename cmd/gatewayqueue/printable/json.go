package printable

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// JSON returns an encoder whose strings do nothing to a terminal: what encoding/json
// leaves as it is, such as DEL, C1 controls and marks of direction, is written as an
// escape of JSON. A reader of JSON gets the same text.
func JSON(out io.Writer) *json.Encoder { return json.NewEncoder(escaper{out}) }

type escaper struct{ to io.Writer }

// Write gets a whole value: an Encoder writes it at once.
func (e escaper) Write(p []byte) (int, error) {
	if !bytes.ContainsFunc(p, actsInJSON) {
		return e.to.Write(p)
	}
	var b bytes.Buffer
	for rest := p; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if actsInJSON(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.Write(rest[:size])
		}
		rest = rest[size:]
	}
	if _, err := e.to.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// actsInJSON leaves out the blanks between values: in a string those are escaped already.
func actsInJSON(r rune) bool { return r > ' ' && acts(r) }
