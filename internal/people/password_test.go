package people

import (
	"strings"
	"testing"

	"sallyport/internal/secret"
)

func TestAPasswordThatWouldBeGuessedIsNotTaken(t *testing.T) {
	for p, want := range map[string]string{
		"short": "shorter than 10", "Password123": "first that anybody tries", "aaaaaaaaaaaa": "one character", "my-Carol-2026": "name is in it",
		strings.Repeat("x1", 200): "longer than", "Hut Tasse Fenster": "", "ääääääääää!": "",
	} {
		if got := Weak("carol", secret.Bytes(p)); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", p, got, want)
		}
	}
}
