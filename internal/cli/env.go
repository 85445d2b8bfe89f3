package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Env is everything a verb takes from the world outside, so that tests run
// verbs in process.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer // the answer
	Stderr io.Writer // the talk: errors, hints, warnings, progress
	Getenv func(string) string
	Now    func() time.Time
}

// System is the Env of a real process.
func System() *Env {
	return &Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Now: time.Now}
}

// Say writes one line of talk.
func (e *Env) Say(format string, args ...any) {
	fmt.Fprintf(e.Stderr, "sallyport: "+format+"\n", args...)
}

// Warn writes a warning, and its hint when there is one.
func (e *Env) Warn(message, hint string) {
	e.Say("%s: %s", e.paint(e.Stderr, yellow, "warning"), message)
	e.hint(hint)
}

func (e *Env) hint(hint string) {
	if hint != "" {
		e.Say("%s: %s", e.paint(e.Stderr, bold, "hint"), strings.ReplaceAll(hint, "\n", "\n  "))
	}
}

// colour is an SGR sequence (ECMA-48, Section 8.3.117).
type colour string

const (
	bold   colour = "\x1b[1m"
	red    colour = "\x1b[1;31m"
	green  colour = "\x1b[32m"
	yellow colour = "\x1b[33m"
	reset         = "\x1b[0m"
)

// paint colours text that goes to a terminal, and no other text.
func (e *Env) paint(w io.Writer, c colour, text string) string {
	if !e.colourful(w) {
		return text
	}
	return string(c) + text + reset
}

// colourful follows no-color.org: any non-empty NO_COLOR turns colour off.
func (e *Env) colourful(w io.Writer) bool {
	return e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb" && isTerminal(w)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// columns is the width of a terminal, as COLUMNS or the terminal itself says, and
// at most what is easily read; 0 where the text goes elsewhere.
func (e *Env) columns(w io.Writer) int {
	const widest = 120
	if !isTerminal(w) {
		return 0
	}
	if n, err := strconv.Atoi(e.Getenv("COLUMNS")); err == nil && n > 0 {
		return min(n, widest)
	}
	size, err := unix.IoctlGetWinsize(int(w.(*os.File).Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return min(int(size.Col), widest)
}
