// Flags from the environment, and secrets, which are never flags: a list of
// processes shows those.

package cli

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// EnvPrefix begins the variable of every flag: --max-concurrency is also
// GATEWAYQUEUE_MAX_CONCURRENCY.
const EnvPrefix = "GATEWAYQUEUE_"

// EnvName is the variable of a flag.
func EnvName(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// ownEnv marks flags that FromEnv leaves to their command.
const ownEnv = "gatewayqueue_own_env"

// OwnEnv has FromEnv leave a flag alone: it is read by other rules.
func OwnEnv(flags *pflag.FlagSet, name string) {
	_ = flags.SetAnnotation(name, ownEnv, []string{"true"}) // It was defined just now.
}

// mayBeEmpty are variables that platforms set, also to nothing. Any other one
// that is set but empty was to be filled by somebody: by a secret that is
// missing, or a variable that is misspelt. It is refused, because the default
// in its place may be no password, or a queue that no other server shares.
var mayBeEmpty = []string{"HOST", "PORT"}

// Linked says that a variable is Kubernetes' or Docker's: for a Service called
// gatewayqueue they set GATEWAYQUEUE_PORT=tcp://10.0.0.1:80 in every pod beside
// it, for one called gatewayqueue-x GATEWAYQUEUE_X_PORT. No value of ours for
// such a name holds "://".
func Linked(name, value string) bool {
	return (name == "PORT" || strings.HasSuffix(name, "_PORT")) && strings.Contains(value, "://")
}

// Set is the value of a variable that is set, and not by a platform for itself.
// One that is empty, or blank, is an error, unless it may be; blanks around a value
// are cut off.
func Set(name string) (value string, set bool, err error) {
	value, set = os.LookupEnv(name)
	value = strings.TrimSpace(value)
	switch {
	case name == "" || !set || Linked(name, value), value == "" && slices.Contains(mayBeEmpty, name):
		return "", false, nil
	case value == "":
		return "", true, Usage("$%s is set but empty: give it a value, or unset it", name)
	}
	return value, true, nil
}

// LinkedNames are the variables of flags that a platform has set for itself.
func LinkedNames(flags *pflag.FlagSet, others map[string]string) (names []string) {
	flags.VisitAll(func(f *pflag.Flag) {
		for _, name := range []string{EnvName(f.Name), others[f.Name]} {
			if name != "" && Linked(name, os.Getenv(name)) {
				names = append(names, name)
			}
		}
	})
	return names
}

// FromEnv sets the flags that the command line has not, each from its variable,
// or from a second one that others know it by.
func FromEnv(flags *pflag.FlagSet, others map[string]string) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Annotations[ownEnv] != nil {
			return
		}
		for _, name := range []string{EnvName(f.Name), others[f.Name]} {
			value, set, err := Set(name)
			if err != nil {
				errs = append(errs, err)
			}
			if !set {
				continue
			}
			if err == nil {
				errs = append(errs, fromVariable(flags, f, name, value))
			}
			return
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func fromVariable(flags *pflag.FlagSet, f *pflag.Flag, name, value string) error {
	err := flags.Set(f.Name, value)
	if err == nil {
		return nil
	}
	want := purpose(f)
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		want = "want " + wanted(invalid)
	}
	return Usage("$%s is %q: %s", name, value, want)
}

// mostSecret is longer than any token or URL.
const mostSecret = 4096

// Secret reads what no list of processes may show from a file, or where none is
// named from the first variable that is set; without either it is empty. What
// is set but empty is an error. Blanks around it are cut off. flag is the name
// of the one that names the file.
func Secret(flag, file string, variables ...string) (string, error) {
	if file == "" {
		for _, name := range variables {
			value, set, err := Set(name)
			if set || err != nil {
				return oneWord("$"+name, value, err)
			}
		}
		return "", nil
	}
	in, err := os.Open(file)
	if err != nil {
		return "", Usage("--%s: %v", flag, err)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, mostSecret+1))
	if err != nil {
		return "", Usage("--%s: %v", flag, err)
	}
	return oneWord("--"+flag+": "+file, string(data), nil)
}

func oneWord(where, value string, err error) (string, error) {
	long := len(value) > mostSecret
	value = strings.TrimSpace(value)
	word := strings.TrimPrefix(value, "Bot ") // as Discord's header has it
	switch {
	case err != nil:
		return "", err
	case value == "":
		return "", Usage("%s is empty", where)
	case long || strings.ContainsAny(word, " \t\r\n"):
		return "", Usage("%s holds more than one word", where)
	case strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r >= 0x7f }): // no header carries it
		return "", Usage("%s holds what is no letter, digit or sign of ASCII: is it a file in UTF-16, or with a byte order mark?", where)
	}
	return value, nil
}

// Hide returns a writer that writes stars for secrets: the last line of defence,
// behind errors that do not hold any.
func Hide(to io.Writer, secrets ...string) io.Writer {
	var pairs []string
	for _, s := range slices.Compact(secrets) {
		if len(s) >= 4 { // a shorter one is no secret, and hiding it would make the log unreadable
			pairs = append(pairs, s, "*****")
		}
	}
	if len(pairs) == 0 {
		return to
	}
	return &hider{to: to, with: strings.NewReplacer(pairs...)}
}

type hider struct {
	to   io.Writer
	with *strings.Replacer
}

func (h *hider) Write(p []byte) (int, error) {
	if _, err := h.with.WriteString(h.to, string(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
