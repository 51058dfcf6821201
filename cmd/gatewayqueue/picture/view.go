// What the user has chosen to see, and the keys that change it.

package picture

import (
	"strings"
	"unicode/utf8"
)

// View is what the user has chosen. Its zero value shows everything, from the top,
// in the first order.
type View struct {
	Sort   int    // index of the table's order
	Filter string // only rows that match
	Typing bool   // the filter is being typed
	Top    int    // the first row that is shown
	Help   bool   // help is shown rather than the picture
	Paused bool   // the picture stands still
	Mute   bool   // there are no keys: standard input is no terminal
	Final  bool   // the last picture, which stays: nothing is about keys

	helpTop int // the first line of help that is shown
	page    int // rows that were shown last
}

// Act is what a key asks of the program.
type Act int

// What a key asks for.
const (
	Nothing   Act = iota
	Quit          // the user has seen enough
	Interrupt     // Ctrl-C
	Suspend       // Ctrl-Z
)

// mostFilter is longer than any pod's name.
const mostFilter = 64

// Key is the view after a key, by its name as Bubble Tea has it; text is what it
// types, if anything. sorts is how many orders there are.
func (v View) Key(name, text string, sorts int) (View, Act) {
	switch name {
	case "ctrl+c":
		return v, Interrupt
	case "ctrl+z":
		return v, Suspend
	}
	if v.Typing {
		return v.typed(name, text), Nothing
	}
	switch name {
	case "q":
		return v, Quit
	case "?", "h", "f1":
		v.Help, v.helpTop = !v.Help, 0
	case "esc", "enter":
		switch {
		case v.Help:
			v.Help = false
		case name == "esc":
			v.Filter, v.Top = "", 0
		}
	case "p", "space":
		v.Paused = !v.Paused
	case "s":
		v.Sort, v.Top = (v.Sort+1)%max(1, sorts), 0
	case "S", "shift+s":
		v.Sort, v.Top = (v.Sort+max(1, sorts)-1)%max(1, sorts), 0
	case "/":
		v.Typing, v.Help = true, false
	default:
		v.scroll(name)
	}
	return v, Nothing
}

func (v *View) scroll(name string) {
	top := &v.Top
	if v.Help {
		top = &v.helpTop
	}
	switch name {
	case "down", "j":
		*top++
	case "up", "k":
		*top--
	case "pgdown", "ctrl+d", "ctrl+f":
		*top += max(1, v.page)
	case "pgup", "ctrl+u", "ctrl+b":
		*top -= max(1, v.page)
	case "home", "g":
		*top = 0
	case "end", "G", "shift+g":
		*top = 1 << 30 // the picture knows where it ends
	}
	*top = max(0, *top)
}

func (v View) typed(name, text string) View {
	switch name {
	case "enter":
		v.Typing = false
	case "esc":
		v.Typing, v.Filter = false, ""
	case "backspace", "ctrl+h":
		_, last := utf8.DecodeLastRuneInString(v.Filter)
		v.Filter = v.Filter[:len(v.Filter)-last]
	case "ctrl+u":
		v.Filter = ""
	default:
		if printable := strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return -1
			}
			return r
		}, text); len(v.Filter)+len(printable) <= mostFilter {
			v.Filter += printable
		}
	}
	v.Top = 0
	return v
}
