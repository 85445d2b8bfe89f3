package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"sallyport/posture"
)

// Input is what a reader works on: the files of its dialect in a tree, and the
// host that it fills in.
type Input struct {
	*Tree
	Host    *posture.Host
	Dialect posture.Dialect
	Files   []string  // paths of the dialect's own files, sorted
	Now     time.Time // the day that counts for what ends on a day; zero: today

	budget *budget
}

// budget is what may still be read for one host, by all readers together.
type budget struct {
	octets   int64
	includes int
	seen     map[string]int // index in Host.Files
	muted    bool
}

// NewInput begins the reading of one host.
func NewInput(t *Tree, h *posture.Host) *Input {
	return &Input{Tree: t, Host: h, budget: &budget{octets: MostTotal, includes: MostIncludes, seen: map[string]int{}}}
}

// For is the same host and budget for the files of one dialect.
func (in *Input) For(d posture.Dialect, files []string) *Input {
	next := *in
	next.Dialect, next.Files = d, files
	return &next
}

// Text is a file's content.
type Text struct {
	Path string // below the root
	Show string // as shown, for positions
	Data []byte // UTF-8, as far as the file is; never with NUL
	BOM  bool   // the file begins with the byte order mark of UTF-8, which Data lacks

	Template bool // lines of a template were left out of Data, and a note says so
}

// At is a position in the text.
func (t *Text) At(line, col int) posture.Pos { return posture.Pos{File: t.Show, Line: line, Col: col} }

// Lines yields the lines with their numbers, without line ends. A line that is
// too long is left out and noted.
func (in *Input) Lines(t *Text) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range bytes.Lines(t.Data) {
			n++
			line = bytes.TrimRight(line, "\r\n")
			if len(line) > MostLine {
				in.Note(posture.Limit, t.At(n, 1), "the line has %d octets, more than %d: left out", len(line), MostLine)
				continue
			}
			if !yield(n, string(line)) {
				return
			}
		}
	}
}

// Read reads a file and enters it in the host's list. secrets tells that it is
// one that holds secrets by its purpose. When it cannot be read, the host has a
// note of the reason and Read returns nil.
func (in *Input) Read(p string, secrets bool) *Text {
	at := posture.Pos{File: in.Show(p)}
	b, info, err := in.raw(p)
	if info != nil {
		in.enter(p, info, secrets)
	}
	var data []byte
	if err == nil {
		data, err = decode(b)
	}
	if err != nil {
		in.unreadable(at, info, err)
		return nil
	}
	return in.untemplated(&Text{Path: p, Show: at.File, Data: data, BOM: bytes.HasPrefix(b, mark)})
}

// Raw reads a file that need not be text, such as a compressed one, as Read
// does.
func (in *Input) Raw(p string, secrets bool) []byte {
	data, info, err := in.raw(p)
	if info != nil {
		in.enter(p, info, secrets)
	}
	if err != nil {
		in.unreadable(posture.Pos{File: in.Show(p)}, info, err)
		return nil
	}
	return data
}

func (in *Input) unreadable(at posture.Pos, info fs.FileInfo, err error) {
	kind := posture.Unreadable
	if errors.As(err, new(*limitError)) {
		kind = posture.Limit
	}
	if info == nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		kind = posture.Outside
	}
	in.Note(kind, at, "%v", cause(err))
}

type limitError struct{ text string }

func (e *limitError) Error() string { return e.text }

// raw is the file's octets.
func (in *Input) raw(p string) ([]byte, fs.FileInfo, error) {
	info, err := in.stat(p)
	if err != nil {
		return nil, nil, err
	}
	if info.Size() > MostFileSize {
		return nil, info, &limitError{fmt.Sprintf("has %d octets, more than %d: not read", info.Size(), MostFileSize)}
	}
	if info.Size() > in.budget.octets {
		return nil, info, &limitError{fmt.Sprintf("more than %d octets of one host: not read", MostTotal)}
	}
	f, err := in.open(p)
	if err != nil {
		return nil, info, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MostFileSize))
	if err != nil {
		return nil, info, err
	}
	in.budget.octets -= int64(len(b))
	return b, info, nil
}

// enter puts a file in the host's list, once.
func (in *Input) enter(p string, info fs.FileInfo, secrets bool) {
	if i, ok := in.budget.seen[p]; ok {
		in.Host.Files[i].Secrets = in.Host.Files[i].Secrets || secrets
		return
	}
	f := posture.File{Path: in.Show(p), Dialect: in.Dialect, Size: info.Size(), Mode: info.Mode().Perm(), HasMode: in.modes, ModTime: info.ModTime(), Secrets: secrets}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		f.UID, f.GID = s.Uid, s.Gid
	}
	in.budget.seen[p] = len(in.Host.Files)
	in.Host.Files = append(in.Host.Files, f)
}

// HoldsSecrets marks a file that turned out to hold some.
func (in *Input) HoldsSecrets(t *Text) {
	if i, ok := in.budget.seen[t.Path]; ok {
		in.Host.Files[i].Secrets = true
	}
}

// Include lists the files that a directive names: a path or a pattern,
// relative to the file it stands in. chain is the files that led here, the
// outermost first; it keeps includes from going in circles.
func (in *Input) Include(chain []string, at posture.Pos, pattern string) []string {
	if len(chain) > MostNesting {
		in.Note(posture.Limit, at, "more than %d includes inside each other: not followed", MostNesting)
		return nil
	}
	dir := "."
	if len(chain) > 0 {
		dir = path.Dir(chain[len(chain)-1])
	}
	found, ok := in.glob(dir, pattern)
	if !IsBackup(pattern) {
		found = slices.DeleteFunc(found, func(f string) bool { return in.backup(at, f) })
	}
	if !ok {
		in.Note(posture.Outside, at, "%q leaves what was given: not followed", Quote(pattern))
		return nil
	}
	if len(found) == 0 && !strings.ContainsAny(pattern, "*?[") {
		in.Note(posture.Unreadable, at, "%q does not exist", Quote(pattern))
	}
	var files []string
	for _, f := range found {
		switch {
		case slices.Contains(chain, f):
			in.Note(posture.Limit, at, "%q includes itself: not followed", Quote(shownName(f)))
		case in.budget.includes == 0:
			in.Note(posture.Limit, at, "more than %d includes: not followed", MostIncludes)
			return files
		default:
			in.budget.includes--
			files = append(files, f)
		}
	}
	return files
}

// backup says of a backup that a pattern matches that it is left out here and not
// by the product, unless it is hidden: * matches no dot at the begin (glob(7)).
func (in *Input) backup(at posture.Pos, f string) bool {
	if !IsBackup(f) {
		return false
	}
	if !strings.HasPrefix(path.Base(f), ".") {
		in.Note(posture.Unparsed, at, "%q is a backup and is not judged, but the product itself would read it: move it away", Quote(shownName(f)))
	}
	return true
}

// Quote shortens what a file says so that a note stays a line.
func Quote(s string) string {
	const most = 80
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "..."
		}
	}
	return s
}

// Note records what could not be read. Notes beyond a bound are counted as one.
func (in *Input) Note(kind posture.NoteKind, at posture.Pos, format string, args ...any) {
	if len(in.Host.Notes) >= MostNotes {
		if !in.budget.muted {
			in.budget.muted = true
			in.Host.Notes = append(in.Host.Notes, posture.Note{Kind: posture.Limit, Dialect: in.Dialect, At: at, Text: fmt.Sprintf("more than %d notes: the rest is left out", MostNotes)})
		}
		return
	}
	in.Host.Notes = append(in.Host.Notes, posture.Note{Kind: kind, Dialect: in.Dialect, At: at, Text: fmt.Sprintf(format, args...)})
}

// Version is what is known of a product's version, from what was read before
// or from an installed package.
func (in *Input) Version(product string) posture.Value[string] {
	for _, p := range in.Host.Products {
		if strings.EqualFold(p.Name, product) && p.Version.Known() {
			return p.Version
		}
	}
	return posture.Value[string]{}
}

// Product enters a product, once; a version that is known wins.
func (in *Input) Product(name string, version posture.Value[string]) {
	for i, p := range in.Host.Products {
		if strings.EqualFold(p.Name, name) {
			if !p.Version.Known() {
				in.Host.Products[i].Version = version
			}
			return
		}
	}
	in.Host.Products = append(in.Host.Products, posture.Product{Dialect: in.Dialect, Name: name, Version: version})
}
