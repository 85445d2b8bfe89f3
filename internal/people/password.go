package people

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"sallyport/internal/secret"
	"sallyport/protocol/eap/mschapv2"
	"sallyport/protocol/eap/password"
)

// minPassword is NIST SP 800-63B's least of 8 characters, and two more.
const minPassword = 10

// worst are passwords that every guesser tries first and that are long enough.
var worst = []string{"1234567890", "0987654321", "qwertyuiop", "1q2w3e4r5t", "password12", "password123", "passw0rd123", "letmein123", "administrator", "sallyport1", "welcome123", "changeme123"}

// Unhashable says why a password cannot be kept, whatever it is worth; empty: it
// can.
func Unhashable(p secret.Bytes) string {
	if len(p) > password.MaxLength || len(utf16.Encode([]rune(string(p)))) > mschapv2.MaxPassword {
		return fmt.Sprintf("it is longer than %d characters, or %d octets", mschapv2.MaxPassword, password.MaxLength)
	}
	return ""
}

// Weak says why a user's password cannot be kept, or would be guessed; empty: it
// is taken. The gateway and the import of other products' users judge by it alike.
func Weak(user string, p secret.Bytes) string {
	text := strings.ToLower(string(p))
	if why := Unhashable(p); why != "" {
		return why
	}
	switch {
	case len(p) < minPassword:
		return fmt.Sprintf("it is shorter than %d characters", minPassword)
	case slices.Contains(worst, text):
		return "it is among the first that anybody tries"
	case strings.Trim(text, text[:1]) == "":
		return "it is one character again and again"
	case len(user) > 2 && strings.Contains(text, user):
		return "the user's name is in it"
	}
	return ""
}
