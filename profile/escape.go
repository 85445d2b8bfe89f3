package profile

import (
	"fmt"
	"strings"
)

// powerShell writes a string of PowerShell in ASCII alone: Windows PowerShell
// 5.1 reads a file without byte order mark in the local code page, in which
// octets of UTF-8 may become quotation marks. PowerShell takes four typographic
// marks for an apostrophe, so anything beyond ASCII is written by number.
func powerShell(s string) string {
	var parts []string
	var run strings.Builder
	flush := func() {
		if run.Len() > 0 {
			parts = append(parts, "'"+run.String()+"'")
			run.Reset()
		}
	}
	for _, r := range s {
		switch {
		case r == '\'':
			run.WriteString("''")
		case r >= ' ' && r < 0x7f:
			run.WriteRune(r)
		default:
			flush()
			parts = append(parts, fmt.Sprintf("[char]::ConvertFromUtf32(0x%X)", r))
		}
	}
	flush()
	switch len(parts) {
	case 0:
		return "''"
	case 1:
		return parts[0]
	}
	if !strings.HasPrefix(parts[0], "'") {
		parts = append([]string{"''"}, parts...) // a string on the left makes + join
	}
	return "(" + strings.Join(parts, " + ") + ")"
}

// powerShellList writes an array of strings.
func powerShellList(ss []string) string {
	quoted := make([]string, len(ss))
	for i, s := range ss {
		quoted[i] = powerShell(s)
	}
	return "@(" + strings.Join(quoted, ", ") + ")"
}

// routerOS writes a string of RouterOS. In quotes, backslash, dollar and
// question mark mean something; every octet that is not plain is written by
// number.
func routerOS(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		if plainLetter(c) || c == ' ' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "\\%02X", c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plainLetter is what no syntax here gives a meaning.
func plainLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._/:@,", c) >= 0
}

// swanctl writes a value of swanctl.conf, in quotes where it must be.
func swanctl(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:%, ") == "" && !strings.HasPrefix(s, " ") && !strings.HasSuffix(s, " ") {
		return s
	}
	return swanctlQuoted(s)
}

func swanctlQuoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// keyfile writes a value of a GLib key file; an item of a list must not hold
// the separator.
func keyfile(s string) string {
	s = strings.ReplaceAll(s, `\`, `\\`)
	if strings.HasPrefix(s, " ") {
		s = `\s` + s[1:]
	}
	return s
}

func keyfileList(items []string) string {
	out := make([]string, len(items))
	for i, s := range items {
		out[i] = strings.ReplaceAll(keyfile(s), ";", `\;`)
	}
	return strings.Join(out, ";")
}
