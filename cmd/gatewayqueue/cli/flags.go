// Flag values that know their range, so that --help, a refused value and the
// check itself say the same.

package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue/rollout"
)

// rangeError says what a flag would have accepted.
type rangeError struct{ want string }

func (e *rangeError) Error() string { return "want " + e.want }

// value is a flag of any type. Blanks around its text are cut off.
type value[T any] struct {
	to    *T
	kind  string // as --help shows it
	parse func(string) (T, bool)
	text  func(T) string
	want  string
}

func (v *value[T]) String() string {
	if v.to == nil { // pflag asks a zero value for its default
		return ""
	}
	return v.text(*v.to)
}

func (v *value[T]) Type() string { return v.kind }

func (v *value[T]) Set(s string) error {
	parsed, ok := v.parse(strings.TrimSpace(s))
	if !ok {
		return &rangeError{v.want}
	}
	*v.to = parsed
	return nil
}

// Int defines a whole number from least to most. *to holds its default.
func Int(flags *pflag.FlagSet, to *int, name string, least, most int, usage string) {
	flags.Var(&value[int]{
		to: to, kind: "N", text: strconv.Itoa,
		parse: func(s string) (int, bool) {
			n, err := strconv.Atoi(s)
			return n, err == nil && n >= least && n <= most
		},
		want: fmt.Sprintf("a whole number from %d to %d", least, most),
	}, name, usage)
}

// Duration defines a time from least to most, such as 500ms. *to holds its
// default.
func Duration(flags *pflag.FlagSet, to *time.Duration, name string, least, most time.Duration, usage string) {
	flags.Var(&value[time.Duration]{
		to: to, kind: "TIME", text: Short,
		parse: func(s string) (time.Duration, bool) {
			d, err := time.ParseDuration(s)
			return d, err == nil && d >= least && d <= most
		},
		want: fmt.Sprintf("a time with its unit from %s to %s, such as %s", Short(least), Short(most), Short(max(*to, least))),
	}, name, usage)
}

// Every defines how often to do something again: --name alone is once a second,
// --name=TIME something else. *to holds 0, for only once.
func Every(flags *pflag.FlagSet, to *time.Duration, name string, least, most time.Duration, usage string) {
	*to = time.Second
	Duration(flags, to, name, least, most, usage)
	*to = 0
	flag := flags.Lookup(name)
	flag.NoOptDefVal, flag.DefValue = "1s", ""
}

// Text defines a file, an address or anything else that only its user can check.
// It may not be blank. *to holds its default.
func Text(flags *pflag.FlagSet, to *string, name, usage string) {
	flags.Var(&value[string]{
		to: to, kind: "string", text: func(s string) string { return s },
		parse: func(s string) (string, bool) { return s, s != "" },
		want:  "a value",
	}, name, usage)
}

// Checked defines a text of which check says whether it will do. *to holds its
// default.
func Checked(flags *pflag.FlagSet, to *string, name, kind, usage, want string, check func(string) bool) {
	flags.Var(&value[string]{
		to: to, kind: kind, text: func(s string) string { return s },
		parse: func(s string) (string, bool) { return s, s != "" && check(s) }, want: want,
	}, name, usage)
}

// List defines texts with commas between them, each of which parse reads; each time
// that the flag is given adds to them.
func List(flags *pflag.FlagSet, to *[]string, name, kind, usage, want string, parse func(string) (string, bool)) {
	flags.Var(&value[[]string]{
		to: to, kind: kind, text: func(all []string) string { return strings.Join(all, ",") },
		parse: func(s string) ([]string, bool) {
			all := slices.Clone(*to)
			for one := range strings.SplitSeq(s, ",") {
				one, ok := parse(strings.TrimSpace(one))
				if !ok {
					return nil, false
				}
				all = append(all, one)
			}
			return all, true
		},
		want: want,
	}, name, usage)
}

// Choice defines one of several words. *to holds its default.
func Choice(flags *pflag.FlagSet, to *string, name string, words []string, usage string) {
	flags.Var(&value[string]{
		to: to, kind: strings.Join(words, "|"), text: func(s string) string { return s },
		parse: func(s string) (string, bool) { return s, slices.Contains(words, s) },
		want:  strings.Join(words, " or "),
	}, name, usage)
}

// name is what redisqueue allows for applications and pods.
var name = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// IsName says that an application or a pod may have that name.
func IsName(s string) bool { return name.MatchString(s) }

// App defines the application ID. *to holds its default.
func App(flags *pflag.FlagSet, to *string, usage string) { Name(flags, to, "app", "ID", usage) }

// Name defines the name of an application or a pod. *to holds its default.
func Name(flags *pflag.FlagSet, to *string, flag, kind, usage string) {
	flags.Var(&value[string]{
		to: to, kind: kind, text: func(s string) string { return s },
		parse: func(s string) (string, bool) { return s, name.MatchString(s) },
		want:  "1 to 64 letters, digits, dots, dashes or underscores",
	}, flag, usage)
}

// Amount defines a part of a budget. *to holds its default.
func Amount(flags *pflag.FlagSet, to *rollout.Amount, name, usage string) {
	flags.Var(&value[rollout.Amount]{
		to: to, kind: "N|P%", text: rollout.Amount.String, want: rollout.AmountForms,
		parse: func(s string) (rollout.Amount, bool) {
			a, err := rollout.ParseAmount(s)
			return a, err == nil
		},
	}, name, usage)
}

// Short writes a duration without the zero units that Duration.String ends in:
// 5m rather than 5m0s.
func Short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
