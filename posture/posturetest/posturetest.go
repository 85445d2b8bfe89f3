// Package posturetest is what tests of readers share: how a host that was read is
// compared with what it should be.
package posturetest

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// Quiet fails for every note: the reader should know all of what it was given. It
// returns the host.
func Quiet(t testing.TB, h *posture.Host) *posture.Host {
	t.Helper()
	for _, n := range h.Notes {
		t.Errorf("note %s %s:%d:%d %s", n.Kind, n.At.File, n.At.Line, n.At.Col, n.Text)
	}
	return h
}

// Is compares a value with what it should be, and whence.
func Is[T any](t testing.TB, what string, v posture.Value[T], want T, origin posture.Origin) {
	t.Helper()
	if fmt.Sprint(v.V) != fmt.Sprint(want) || v.Origin != origin {
		t.Errorf("%s is %v (%v, %s), want %v (%v)", what, v.V, v.Origin, v.Why, want, origin)
	}
}

// Names are the keywords of algorithms, with spaces between them.
func Names(ts []suite.Transform) string {
	var words []string
	for _, t := range ts {
		a, _ := suite.Lookup(t)
		words = append(words, a.Keyword)
	}
	return strings.Join(words, " ")
}
