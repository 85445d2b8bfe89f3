// Package secret holds key material in a type that cannot be printed.
//
// Every key, shared secret, passphrase and derived key block in Sallyport is a
// [Bytes]. Formatting, marshalling and logging one yields "[secret]", so a
// careless %v in an error or a debug dump of a struct leaks nothing (risk R8).
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every printing path shows in place of the octets.
const redacted = "[secret]"

// Bytes is key material. It prints as "[secret]" through fmt (every verb),
// slog, JSON, YAML and text marshalling. The zero value is an empty secret.
type Bytes []byte

// Format implements [fmt.Formatter], which covers %v, %+v, %#v, %s, %q and %x.
func (b Bytes) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// String implements [fmt.Stringer].
func (b Bytes) String() string { return redacted }

// LogValue implements [slog.LogValuer].
func (b Bytes) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler]; JSON and YAML use it too.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText always fails: a secret never travels in a readable document.
func (b *Bytes) UnmarshalText([]byte) error {
	return errors.New("secret: a secret cannot be read from text")
}

// Equal compares two secrets in constant time for equal lengths.
func (b Bytes) Equal(o Bytes) bool { return subtle.ConstantTimeCompare(b, o) == 1 }

// Clear overwrites the octets with zeros. Copies made by the runtime are out
// of its reach, so it narrows the window of exposure and does not close it.
func (b Bytes) Clear() { clear(b) }

// Clone returns an independent copy.
func (b Bytes) Clone() Bytes { return append(Bytes(nil), b...) }
