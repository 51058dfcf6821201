// Package cli is what every command of the program shares: exit codes, the
// wording of refused flags, and flag values that know their range.
package cli

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
)

// Exit codes. A command that is ended by a signal exits with 128 + its number,
// as a shell would report it.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// usageError is a command line that was refused.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

// Usage makes an error of a command line that cannot be run as it is.
func Usage(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// BadFlag refuses the value of a flag.
func BadFlag(flag string, value any, want string) error {
	return Usage("--%s is %v: want %s", flag, value, want)
}

// Signalled is the cause of a context that a signal has ended.
type Signalled struct{ Signal os.Signal }

func (e Signalled) Error() string { return "stopped (" + e.Signal.String() + ")" }

// packages begin errors of the library, which tells their callers in Go where to
// look. A user of the program has no use for them.
var packages = regexp.MustCompile(`(^|[:;(] ?)(?:(?:redisqueue|gatewayqueue|httpqueue): )+`)

// OneLine is the text of an error, also of one that joins several, in words of a
// user of the program.
func OneLine(err error) string {
	return printable.Text(packages.ReplaceAllString(strings.ReplaceAll(err.Error(), "\n", "; "), "$1"))
}

// ExitCode is what the program exits with after err.
func ExitCode(err error) int {
	var usage *usageError
	var signalled Signalled
	var own *coded
	var judged *verdict
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &judged):
		return judged.code
	case errors.As(err, &usage): // whatever code the command has for its failures
		return ExitUsage
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &signalled):
		if number, ok := signalled.Signal.(syscall.Signal); ok {
			return 128 + int(number)
		}
		return ExitFailed
	default:
		return ExitFailed
	}
}

// FlagError rewords what pflag reports, in one line that names the flag, its
// value and what it may be. It is a cobra FlagErrorFunc.
func FlagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &value) && strings.TrimSpace(value.GetValue()) == "":
		return Usage("--%s is empty: give it a value, or leave it out", value.GetFlag().Name)
	case errors.As(err, &value):
		// The cause of an out-of-range value says what is wanted.
		return BadFlag(value.GetFlag().Name, fmt.Sprintf("%q", value.GetValue()), wanted(value))
	case errors.As(err, &missing):
		return Usage("--%s has no value: %s", missing.GetSpecifiedName(), purpose(missing.GetFlag()))
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			name = "-" + short
		}
		return Usage("there is no flag %s: %s --help lists them", name, cmd.CommandPath())
	}
	return Usage("%v", err)
}

// purpose is a flag's usage without the quotes that name its value in --help.
func purpose(f *pflag.Flag) string { return "want " + strings.ReplaceAll(f.Usage, "`", "") }

func wanted(e *pflag.InvalidValueError) string {
	var r *rangeError
	if errors.As(e, &r) {
		return r.want
	}
	if e.GetFlag().Value.Type() == "bool" {
		return "true or false"
	}
	return e.Unwrap().Error()
}

// NoArgs refuses arguments of a command that takes only flags.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Usage("argument %q is not wanted: %s takes only flags", args[0], cmd.CommandPath())
	}
	return nil
}

// coded is an error with an exit code of its own.
type coded struct {
	code int
	err  error
}

func (e *coded) Error() string { return e.err.Error() }
func (e *coded) Unwrap() error { return e.err }

// WithCode has the program exit with code after err. nil stays nil.
func WithCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &coded{code, err}
}

// Interrupted is what Ctrl-C makes the cause of a context.
var Interrupted = Signalled{os.Interrupt}

// verdict ends a command whose exit code is its answer.
type verdict struct {
	code int
	err  error
}

func (v *verdict) Error() string {
	if v.err == nil {
		return ""
	}
	return v.err.Error()
}
func (v *verdict) Unwrap() error { return v.err }

// Verdict has the program exit with code, also if err is of a refused command line:
// for commands whose codes answer a question, so that 2 cannot be a usage. Where err
// is nil everything is said already, and nothing is printed.
func Verdict(code int, err error) error { return &verdict{code, err} }
