package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"sallyport/config"
)

// testEnv is an Env whose answer and talk can be read.
func testEnv(vars map[string]string) (env *Env, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	env = System()
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), stdout, stderr
	env.Getenv = func(name string) string { return vars[name] }
	return env, stdout, stderr
}

func TestErrorsEndWithTheirCodeAndHint(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
		talk string
	}{
		"nothing wrong": {nil, ExitOK, ""},
		"plain":         {errors.New("disk full"), ExitError, "sallyport: error: disk full\n"},
		"with a hint":   {failure("make room", "disk full"), ExitError, "sallyport: error: disk full\nsallyport: hint: make room\n"},
		"with a code":   {&Error{Err: errors.New("no answer"), Code: ExitUnreadable}, ExitUnreadable, "sallyport: error: no answer\n"},
		"not allowed":   {explained(fmt.Errorf("file: %w", fs.ErrPermission)), ExitError, "sallyport: error: file: permission denied\nsallyport: hint: run it as root: sudo sallyport ...\n"},
		"said already":  {silent(ExitFailures), ExitFailures, ""},
		"several":       {errors.Join(errors.New("a"), errors.New("b")), ExitError, "sallyport: error: a\nsallyport: error: b\n"},
		"configuration": {&configError{config.Diagnostics{
			{File: "f", Line: 1, Col: 2, Severity: config.Warning, Message: "odd"},
			{File: "f", Line: 3, Col: 4, Severity: config.Error, Message: "bad", Hint: "good"},
		}}, ExitError, "sallyport: warning: f:1:2: odd\nsallyport: error: f:3:4: bad\nsallyport: hint: good\n"},
	} {
		env, stdout, stderr := testEnv(nil)
		if code := env.exit(c.err); code != c.code {
			t.Errorf("%s: code %d, want %d", name, code, c.code)
		}
		if stderr.String() != c.talk || stdout.Len() > 0 {
			t.Errorf("%s: stderr %q, want %q; stdout %q", name, stderr, c.talk, stdout)
		}
	}
}

func TestColourIsForTerminalsAlone(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("needs a pseudo-terminal, a device of the kernel that no package brings: " + err.Error())
	}
	defer terminal.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	env, buffer, _ := testEnv(nil)
	if !env.colourful(terminal) {
		t.Error("a terminal gets no colour")
	}
	if env.colourful(buffer) || env.colourful(null) {
		t.Error("what is no terminal gets colour")
	}
	for _, vars := range []map[string]string{{"NO_COLOR": "1"}, {"TERM": "dumb"}} {
		if env, _, _ := testEnv(vars); env.colourful(terminal) {
			t.Errorf("%v does not turn colour off", vars)
		}
	}
}

// eachVerb visits every command that a user can see.
func eachVerb(c *cobra.Command, visit func(*cobra.Command)) {
	if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
		return
	}
	visit(c)
	for _, sub := range c.Commands() {
		eachVerb(sub, visit)
	}
}

func TestEveryVerbIsDescribedAndInAGroup(t *testing.T) {
	env, _, _ := testEnv(nil)
	eachVerb(newRoot(env), func(c *cobra.Command) {
		switch {
		case c.Short == "" || strings.HasSuffix(c.Short, "."):
			t.Errorf("%s: %q is not a short description without full stop", c.CommandPath(), c.Short)
		case c.HasParent() && !c.Parent().HasParent() && c.GroupID == "":
			t.Errorf("%s is in no group of the help", c.CommandPath())
		case c.Args == nil:
			t.Errorf("%s takes any arguments in silence", c.CommandPath())
		}
	})
}

func TestAnswersGoToStdoutAndFailuresOfItAreSeen(t *testing.T) {
	env, _, stderr := testEnv(nil)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full, a device of the kernel that no package brings: " + err.Error())
	}
	defer full.Close()
	env.Stdout = full
	for _, args := range [][]string{{"version"}, {"version", "--json"}, {"config", "example"}, {"config", "explain"}} {
		stderr.Reset()
		if code := Main(t.Context(), env, args); code != ExitError || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%v on a full disk: code %d, stderr %q", args, code, stderr)
		}
	}
}
