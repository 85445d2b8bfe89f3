package config

import (
	"errors"
	"fmt"
	"strings"
)

// Severity says whether a diagnostic stops the configuration from being used.
type Severity uint8

// A Warning is shown and the configuration used; an Error stops it.
const (
	Warning Severity = iota + 1
	Error
)

// String returns "warning" or "error".
func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// MarshalText makes reports say "error" and not 2.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote; all but "error" is a warning.
func (s *Severity) UnmarshalText(text []byte) error {
	*s = Warning
	if string(text) == Error.String() {
		*s = Error
	}
	return nil
}

// Diagnostic is one thing that is wrong, where, and what to do about it. Line
// and Col count from 1; zero means the file as a whole.
type Diagnostic struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Col      int      `json:"column"`
	Severity Severity `json:"severity"`
	Key      string   `json:"key,omitempty"` // full key, such as zones.staff.pool.ipv4
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
}

// String returns "file:line:col: key: message".
func (d Diagnostic) String() string {
	var b strings.Builder
	b.WriteString(d.File)
	if d.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", d.Line, d.Col)
	}
	b.WriteString(": ")
	if d.Key != "" {
		b.WriteString(d.Key + ": ")
	}
	b.WriteString(d.Message)
	return b.String()
}

// Diagnostics are in the order of the file.
type Diagnostics []Diagnostic

// Err joins the errors, and is nil when there are only warnings.
func (ds Diagnostics) Err() error {
	var errs []error
	for _, d := range ds {
		if d.Severity == Error {
			errs = append(errs, errors.New(d.String()))
		}
	}
	return errors.Join(errs...)
}
