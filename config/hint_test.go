package config

import (
	"strings"
	"testing"
)

// wantHints holds every error to its half of the promise: what to do.
func wantHints(t *testing.T, name string, found Diagnostics) {
	t.Helper()
	for _, d := range found {
		if d.Severity == Error && d.Hint == "" {
			t.Errorf("%s: no hint what to do: %s", name, d)
		}
	}
}

func TestAnInvisibleCharacterIsAnErrorWithAHint(t *testing.T) {
	_, found := Parse("f", []byte("gateway: {name: a.example, state: /var\x0flib}\n"), today)
	if len(found) != 1 || !strings.Contains(found[0].Hint, "type it again") {
		t.Errorf("%+v", found)
	}
}

// TestEveryErrorOfADamagedFileHasAHint damages two files at every octet: a bit
// of it the other way, and the octet gone.
func TestEveryErrorOfADamagedFileHasAHint(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"the smallest": smallest, "everything": everything} {
		refused := 0
		try := func(damaged string) {
			c, found := Parse(name, []byte(damaged), today)
			if wantHints(t, damaged, found); c == nil {
				refused++
			}
		}
		for i := range len(text) {
			try(text[:i] + string([]byte{text[i] ^ 1<<(i%8)}) + text[i+1:])
			try(text[:i] + text[i+1:])
		}
		if refused < len(text)/2 {
			t.Errorf("%s: only %d of %d damages were refused", name, refused, 2*len(text))
		}
	}
}
