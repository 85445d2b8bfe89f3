// Package people reads lists of users that other programs keep: CSV, and pppd's
// chap-secrets. Readers are total: whatever the file is, they end in entries or
// in one error with its line, and no error shows a secret.
package people

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a file. An organisation larger than this has a directory, and its
// users come by RADIUS.
const (
	MaxEntries = 100_000
	maxLine    = 4096 // octets
	maxFile    = 64 << 20
)

// Entry is one user of a list.
type Entry struct {
	Line   int // where it stands
	Name   string
	Secret string // the password; empty when Hash is set
	Hash   string // $argon2id$... or $nt$...
	Zone   string
	Groups []string
	Inner  []netip.Addr
}

// LineError is a fault of a file. Its text holds nothing of the line but names
// of columns.
type LineError struct {
	Line int
	What string
	Hint string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.What) }

func fault(line int, hint, format string, args ...any) error {
	return &LineError{Line: line, What: fmt.Sprintf(format, args...), Hint: hint}
}

// Formats are the names of the readers.
var Formats = []string{"csv", "chap-secrets"}

// Read reads a file of a format.
func Read(format string, r io.Reader) ([]Entry, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxFile:
		return nil, fmt.Errorf("the file is larger than %d MiB", maxFile>>20)
	case !utf8.Valid(text):
		bad := bytes.IndexRune(text, utf8.RuneError)
		return nil, fault(1+bytes.Count(text[:bad], []byte("\n")), "convert the file, for example: iconv -f latin1 -t utf-8", "it is not UTF-8")
	case format == "csv":
		return readCSV(text)
	case format == "chap-secrets":
		return readChapSecrets(text)
	}
	return nil, fmt.Errorf("%q is no format of ours: %s", format, strings.Join(Formats, ", "))
}

// columns of CSV, in any order; user is required.
var columns = []string{"user", "password", "password_hash", "zone", "groups", "address"}

func readCSV(text []byte) ([]Entry, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	c := csv.NewReader(bytes.NewReader(text))
	c.ReuseRecord, c.TrimLeadingSpace = true, true
	head, err := c.Read()
	if err != nil {
		return nil, fault(1, "begin with: user,password,groups", "there is no header")
	}
	head = slices.Clone(head)
	for i, name := range head {
		if head[i] = strings.ToLower(strings.TrimSpace(name)); !slices.Contains(columns, head[i]) {
			return nil, fault(1, "the columns are "+strings.Join(columns, ", "), "column %d has a name that is none of ours", i+1)
		}
		if slices.Contains(head[:i], head[i]) {
			return nil, fault(1, "", "the column %s is there twice", head[i])
		}
	}
	if !slices.Contains(head, "user") {
		return nil, fault(1, "the columns are "+strings.Join(columns, ", "), "the column user is missing")
	}
	return rows(c, head)
}

func rows(c *csv.Reader, head []string) (all []Entry, err error) {
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		var line int
		if err == nil {
			line, _ = c.FieldPos(0)
		} else {
			if p, ok := errors.AsType[*csv.ParseError](err); ok {
				line = p.Line
			}
			return nil, fault(line, "put quotes around a field with commas, and double the quotes inside", "it is not CSV with %d columns", len(head))
		}
		if len(all) == MaxEntries {
			return nil, fault(line, "split the file", "there are more than %d users", MaxEntries)
		}
		e, err := entryOf(line, head, row)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
}

func entryOf(line int, head, row []string) (Entry, error) {
	e := Entry{Line: line}
	for i, name := range head {
		value := row[i]
		if len(value) > maxLine {
			return e, fault(line, "", "the field %s is longer than %d octets", name, maxLine)
		}
		switch name {
		case "user":
			e.Name = strings.TrimSpace(value)
		case "password":
			e.Secret = value
		case "password_hash":
			e.Hash = strings.TrimSpace(value)
		case "zone":
			e.Zone = strings.TrimSpace(value)
		case "groups":
			e.Groups = strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ';' || r == ',' })
		case "address":
			inner, err := addresses(strings.Fields(value))
			if err != nil {
				return e, fault(line, "one IPv4 and one IPv6 address at the most, with a space between", "the field address holds no address")
			}
			e.Inner = inner
		}
	}
	switch {
	case e.Name == "":
		return e, fault(line, "", "the field user is empty")
	case e.Secret != "" && e.Hash != "":
		return e, fault(line, "leave one of the two empty", "there is a password and a password_hash")
	}
	return e, nil
}

func addresses(words []string) (addrs []netip.Addr, err error) {
	for _, w := range words {
		a, err := netip.ParseAddr(w)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

// readChapSecrets reads lines of client, server, secret and addresses, as
// pppd(8) does: words in quotes, backslashes before quotes, # begins a comment.
func readChapSecrets(text []byte) (all []Entry, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(make([]byte, maxLine+1), maxLine+1)
	n := 1
	for ; lines.Scan(); n++ {
		words, err := words(lines.Text())
		switch {
		case err != nil:
			return nil, fault(n, "close the quotation mark", "%v", err)
		case len(words) == 0:
			continue
		case len(words) < 3:
			return nil, fault(n, "each line is: client server secret addresses", "there are %d words, at least 3 are wanted", len(words))
		case len(all) == MaxEntries:
			return nil, fault(n, "split the file", "there are more than %d users", MaxEntries)
		}
		e, err := chapEntry(n, words)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if lines.Err() != nil {
		return nil, fault(n, "", "a line is longer than %d octets", maxLine)
	}
	return all, nil
}

// chapEntry is one line. Any server will do; what pppd reads in another way
// (a secret in a file, a program's output) is refused.
func chapEntry(line int, words []string) (Entry, error) {
	e := Entry{Line: line, Name: words[0], Secret: words[2]}
	switch {
	case e.Name == "*" || e.Name == "":
		return e, fault(line, "give each user a line of their own", "one secret is for every client")
	case strings.HasPrefix(e.Secret, "@"):
		return e, fault(line, "write the secret itself", "the secret is in another file")
	case e.Secret == "":
		return e, fault(line, "", "the secret is empty")
	}
	for _, w := range words[3:] {
		if w == "*" || w == "-" || w == "--" {
			continue
		}
		a, err := netip.ParseAddr(w)
		if err != nil {
			return e, fault(line, "write one address, or *", "an address is a network, a name or an option, which a user cannot have here")
		}
		e.Inner = append(e.Inner, a)
	}
	return e, nil
}

var errQuote = errors.New("a quotation mark is not closed")

// words splits a line.
func words(line string) (all []string, err error) {
	var word strings.Builder
	in, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			in = true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, in = c, true
		case c == '#' && !in:
			return all, nil
		case c == ' ' || c == '\t' || c == '\r':
			if in {
				all = append(all, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, errQuote
	}
	if in {
		all = append(all, word.String())
	}
	return all, nil
}
