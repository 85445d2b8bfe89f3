// Package labtest joins package lab to Go tests: a lab that ends with the
// test, and certificates made for it.
package labtest

import (
	"errors"
	"testing"

	"sallyport/internal/lab"
)

// Open draws a lab that is closed when the test ends. An ordinary user's run
// skips the test and says so; a missing program fails it with the line that
// installs it.
func Open(t testing.TB, drawing string, programs ...string) *lab.Lab {
	t.Helper()
	l, err := lab.Open()
	if errors.Is(err, lab.ErrNotRoot) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := lab.Missing(programs...); err != nil {
		t.Fatal(err)
	}
	if err := l.Draw(drawing); err != nil {
		t.Fatal(err)
	}
	return l
}
