package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"sallyport/config"
)

// The exit codes of every verb. Verbs that judge something use those from
// ExitWarnings on; all others end with ExitOK or ExitError.
const (
	ExitOK         = 0
	ExitError      = 1 // wrong usage, wrong configuration, or the verb could not do its work
	ExitWarnings   = 2 // what was judged has warnings
	ExitFailures   = 3 // what was judged has failures
	ExitUnreadable = 4 // the target or the input could not be read
	ExitNothing    = 5 // nothing was there to be judged
)

// Error is an error for a person: what happened, and what to do about it.
type Error struct {
	Err  error
	Hint string // empty: nothing useful to say
	Code int    // exit code; 0 stands for ExitError
}

// Error returns the message without the hint.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// failure makes an Error from a message.
func failure(hint, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Hint: hint}
}

// silent ends a verb with a code after it has said all there is to say.
type silent int

func (s silent) Error() string { return fmt.Sprintf("exit code %d", int(s)) }

// configError is a configuration that cannot be used; each diagnostic is
// printed with its own hint.
type configError struct{ found config.Diagnostics }

func (e *configError) Error() string { return e.found.Err().Error() }

// exit prints an error, with its hint, and returns the exit code.
func (e *Env) exit(err error) int {
	var known *Error
	var quiet silent
	var wrong *configError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &quiet):
		return int(quiet)
	case errors.As(err, &wrong):
		for _, d := range wrong.found {
			e.diagnostic(d)
		}
		return ExitError
	case errors.As(err, &known):
		e.fail(known.Err, known.Hint)
		return max(known.Code, ExitError)
	}
	e.fail(err, "")
	return ExitError
}

func (e *Env) diagnostic(d config.Diagnostic) {
	if d.Severity == config.Warning {
		e.Warn(d.String(), d.Hint)
		return
	}
	e.fail(errors.New(d.String()), d.Hint)
}

// fail prints one line per joined error.
func (e *Env) fail(err error, hint string) {
	for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
		e.Say("%s: %s", e.paint(e.Stderr, red, "error"), line)
	}
	e.hint(hint)
}

// flagError turns pflag's errors into ours, with the flag that was meant.
func flagError(path string, flags *pflag.FlagSet, err error) error {
	help := path + " --help shows the flags"
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return &Error{Err: err, Hint: help}
	}
	name := unknown.GetSpecifiedName()
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := config.Nearest(name, names); near != "" {
		help = fmt.Sprintf("did you mean --%s?", near)
	}
	return failure(help, "%s: unknown flag %s", path, dashed(name))
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
