// Flags from the environment, and secrets, which are never flags: a list of
// processes shows those.

package cli

import (
	"errors"
	"fmt"
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

// FromEnv sets the flags that the command line has not, each from its variable,
// or from a second one that others know it by. An empty variable is none.
func FromEnv(flags *pflag.FlagSet, others map[string]string) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" {
			return
		}
		for _, name := range []string{EnvName(f.Name), others[f.Name]} {
			value := os.Getenv(name)
			if name == "" || value == "" {
				continue
			}
			if err := flags.Set(f.Name, value); err != nil {
				want := purpose(f)
				var invalid *pflag.InvalidValueError
				if errors.As(err, &invalid) {
					want = "want " + wanted(invalid)
				}
				errs = append(errs, Usage("$%s is %q: %s", name, value, want))
			}
			return
		}
	})
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

// mostSecret is longer than any token.
const mostSecret = 4096

// Secret reads one from a file, or where none is named from the first variable
// that is set. It may be empty. Blanks around it are cut off.
func Secret(file string, variables ...string) (string, error) {
	if file == "" {
		for _, name := range variables {
			if value := strings.TrimSpace(os.Getenv(name)); value != "" {
				return value, nil
			}
		}
		return "", nil
	}
	in, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, mostSecret+1))
	value := strings.TrimSpace(string(data))
	switch {
	case err != nil:
		return "", err
	case value == "":
		return "", fmt.Errorf("%s is empty", file)
	case len(data) > mostSecret || strings.ContainsAny(value, " \t\r\n"):
		return "", fmt.Errorf("%s holds more than one word", file)
	}
	return value, nil
}

// Hide returns a writer that writes stars for secrets: the last line of defence,
// behind errors that do not hold any.
func Hide(to io.Writer, secrets ...string) io.Writer {
	var pairs []string
	for _, s := range slices.Compact(secrets) {
		if len(s) >= 4 { // a shorter one would make the log unreadable, and is none
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
