// Names that readers of JSON and of terms take for different things.

package payload

import "strings"

// names are the wanted names that an object has had so far.
type names [2]bool

// look reports whether name is first or second, and refuses one that some readers
// take for either and others do not: a name that comes twice, of which some take
// the first and some the last; one in other letters, as encoding/json matches; and
// one with a control character, since readers in C end at a NUL.
func (n *names) look(name, first, second string) (wanted bool, refusal *Refusal) {
	for i, want := range [2]string{first, second} {
		switch {
		case name == want && n[i]:
			return false, refuse(decodeError, "%s: it comes twice: want one", want)
		case name == want:
			n[i] = true
			return true, nil
		case strings.EqualFold(name, want):
			return false, refuse(decodeError, "%s: a name like it in other letters: want none", want)
		}
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return false, refuse(decodeError, "a name beside %s and %s with a control character: want none", first, second)
	}
	return false, nil
}
