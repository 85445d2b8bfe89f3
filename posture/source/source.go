// Package source gives the readers of other products' configuration their
// files: below one root that nothing leaves, in bounded size, number and depth.
//
// The files are not ours: a directory may hold links out of it, includes that
// go in circles, a file of a gigabyte without a line end, a device, a program.
// All of that ends in a [posture.Note] and never in an error or an endless read.
package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"sallyport/posture"
)

// What is read at most of one target. Real configurations stay far below.
const (
	MostFileSize = 16 << 20  // octets; a FortiGate's full configuration has a few million
	MostTotal    = 256 << 20 // octets of one host
	MostFiles    = 20_000    // files of one target
	MostDepth    = 24        // directories below the root
	MostIncludes = 4_000     // files that the includes of one host name, counting repeats
	MostNesting  = 16        // includes in includes
	MostLine     = 256 << 10 // octets; a certificate chain in one line fits
	MostNotes    = 1_000     // notes of one host; one more says that there were more
)

// Tree is the files of one target. Its methods are not safe for concurrent use.
type Tree struct {
	name   string // as given, and as shown before every path
	abs    string // where it is on this machine; empty: nowhere
	fsys   fs.FS
	closer io.Closer
	host   bool // it has an etc directory: absolute paths begin at its root
	modes  bool // permissions are those of the host itself
	only   string

	instead map[string][]byte // contents of files by their shown names, see With
}

// Open opens a directory, or a single file, as a target.
func Open(name string) (*Tree, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	dir, only := name, ""
	if !info.IsDir() {
		dir, only = filepath.Split(name)
		dir = path.Clean(filepath.ToSlash(dir))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = ""
	}
	t := &Tree{name: dir, abs: abs, fsys: rooted{root}, closer: root, modes: true, only: only}
	t.host = t.isDir("etc")
	return t, nil
}

// New makes a target of a file system, such as one in memory. Permissions
// count only if modes is set.
func New(name string, fsys fs.FS, modes bool) *Tree {
	t := &Tree{name: name, fsys: fsys, modes: modes}
	t.host = t.isDir("etc")
	return t
}

// Close closes the root.
func (t *Tree) Close() error {
	if t.closer == nil {
		return nil
	}
	return t.closer.Close()
}

func (t *Tree) isDir(name string) bool {
	info, err := t.stat(name)
	return err == nil && info.IsDir()
}

// Show is a path below the root as a person would write it.
func (t *Tree) Show(p string) string { return shownName(t.path(p)) }

func (t *Tree) path(p string) string {
	switch {
	case p == "." && t.name != "":
		return t.name
	case t.name == "" || t.name == ".":
		return p
	case t.name == "/":
		return "/" + p
	}
	return strings.TrimSuffix(t.name, "/") + "/" + p
}

// IsHost tells whether the target is the file system of a host, by its etc
// directory: absolute paths in its files begin at the root.
func (t *Tree) IsHost() bool { return t.host }

// With is the tree as it would be if files that are there had other contents, by
// the names that [Tree.Show] gives them. It need not be closed, and is good for as
// long as the tree is.
func (t *Tree) With(contents map[string][]byte) *Tree {
	w := *t
	w.closer, w.instead = nil, contents
	return &w
}

// Sub is the part of the tree below a directory, with the same modes. It need
// not be closed.
func (t *Tree) Sub(dir string) *Tree {
	if dir == "." {
		return t
	}
	fsys, err := sub(t.fsys, dir)
	if err != nil {
		return t
	}
	s := &Tree{name: t.path(dir), fsys: fsys, modes: t.modes, instead: t.instead}
	if t.abs != "" {
		s.abs = filepath.Join(t.abs, filepath.FromSlash(dir))
	}
	s.host = s.isDir("etc")
	return s
}

// Walk lists the regular files below a directory, sorted, and says what was left
// out. A link to a file below the root is listed, one that leads out is not. A
// directory that is not there has no files.
func (t *Tree) Walk(dir string) ([]string, []posture.Note) {
	if t.only != "" {
		return []string{t.only}, nil
	}
	if !t.isDir(dir) {
		return nil, nil
	}
	w := walker{tree: t}
	w.dir(dir, 0)
	return w.files, w.notes
}

type walker struct {
	tree  *Tree
	files []string
	notes []posture.Note
	full  bool
}

func (w *walker) note(kind posture.NoteKind, p, format string, args ...any) {
	if len(w.notes) < MostNotes {
		w.notes = append(w.notes, posture.Note{Kind: kind, At: posture.Pos{File: w.tree.Show(p)}, Text: fmt.Sprintf(format, args...)})
	}
}

func (w *walker) dir(p string, depth int) {
	if depth > MostDepth {
		w.note(posture.Limit, p, "more than %d directories deep: not entered", MostDepth)
		return
	}
	entries, err := fs.ReadDir(w.tree.fsys, p)
	if err != nil {
		w.note(posture.Unreadable, p, "cannot be listed: %v", cause(err))
		return
	}
	for _, e := range entries {
		child := path.Join(p, e.Name())
		switch {
		case e.IsDir():
			w.dir(child, depth+1)
		case e.Type().IsRegular():
			w.file(child)
		case e.Type()&fs.ModeSymlink != 0:
			w.link(child)
		default:
			w.note(posture.Unreadable, child, "is a %s, not a file", kindOf(e.Type()))
		}
		if w.full {
			return
		}
	}
}

func (w *walker) link(p string) {
	info, err := w.tree.stat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.note(posture.Outside, p, "is a link to nothing below what was given")
	case err != nil:
		w.note(posture.Outside, p, "is a link that leaves what was given: not followed")
	case info.Mode().IsRegular():
		w.file(p)
	}
}

func (w *walker) file(p string) {
	if IsBackup(p) {
		return
	}
	if len(w.files) == MostFiles {
		w.note(posture.Limit, ".", "more than %d files: the rest was not read", MostFiles)
		w.full = true
		return
	}
	w.files = append(w.files, p)
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// cause strips the path, which is in the note already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Head is the beginning of a file, for telling what it is: at most n octets,
// as text. It is empty for what cannot be read.
func (t *Tree) Head(p string, n int) []byte {
	f, err := t.open(p)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(n)))
	if err != nil {
		return nil
	}
	text, _ := decode(b)
	return text
}

// Unreadable says why a file cannot be read as text, by its size and its
// beginning; it is empty for one that can.
func (t *Tree) Unreadable(p string) string {
	info, err := t.stat(p)
	if err != nil {
		return fmt.Sprintf("cannot be read: %v", cause(err))
	}
	if info.Size() > MostFileSize {
		return fmt.Sprintf("has %d octets, more than %d: not read", info.Size(), MostFileSize)
	}
	f, err := t.open(p)
	if err != nil {
		return fmt.Sprintf("cannot be read: %v", cause(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err == nil {
		_, err = decode(b)
	}
	if err != nil {
		return fmt.Sprintf("cannot be read: %v", cause(err))
	}
	return ""
}

// mostLinks is how many links a path may lead through, as in Linux.
const mostLinks = 40

// stat looks at what a path leads to. In the file system of a host an absolute
// link begins at its root, wherever that is now; nothing leads out of it.
func (t *Tree) stat(p string) (fs.FileInfo, error) {
	info, err := fs.Stat(t.fsys, p)
	if err == nil || !t.host || errors.Is(err, fs.ErrPermission) {
		return info, err
	}
	if to, ok := t.follow(p); ok {
		return fs.Stat(t.fsys, to)
	}
	return info, err
}

// follow resolves the links of a path as the host itself would.
func (t *Tree) follow(p string) (string, bool) {
	todo, done := strings.Split(p, "/"), "."
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		next := path.Join(done, name)
		if next == ".." || strings.HasPrefix(next, "../") { // as at the root of a host
			next = "."
		}
		to, err := fs.ReadLink(t.fsys, next)
		if err != nil {
			done = next
			continue
		}
		if links++; links > mostLinks {
			return "", false
		}
		if path.IsAbs(to) {
			done = "."
		}
		todo = append(strings.Split(strings.Trim(path.Clean(to), "/"), "/"), todo...)
	}
	return done, valid(done)
}

// open opens a regular file; anything else could block or never end.
func (t *Tree) open(p string) (fs.File, error) {
	info, err := t.stat(p)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("is a %s, not a file", kindOf(info.Mode()))
	}
	if b, ok := t.instead[t.Show(p)]; ok {
		return &content{Reader: bytes.NewReader(b), info: info}, nil
	}
	f, err := t.fsys.Open(p)
	if to, ok := t.follow(p); err != nil && t.host && ok {
		return t.fsys.Open(to)
	}
	return f, err
}

// content is a file that has another content than its own.
type content struct {
	*bytes.Reader
	info fs.FileInfo
}

// Stat implements [fs.File].
func (c *content) Stat() (fs.FileInfo, error) { return sized{c.info, c.Size()}, nil }

// Close implements [fs.File].
func (c *content) Close() error { return nil }

// sized is what is known of a file, but for its size.
type sized struct {
	fs.FileInfo
	size int64
}

// Size implements [fs.FileInfo].
func (s sized) Size() int64 { return s.size }

// errBinary is for a file that is no text.
var errBinary = errors.New("is binary")

// mark is the byte order mark of UTF-8.
var mark = []byte{0xEF, 0xBB, 0xBF}

// decode makes text of a file: UTF-16 with a byte order mark, which Windows
// writes, becomes UTF-8; the mark of UTF-8 goes away. The line ends stay.
func decode(b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, mark):
		b = b[len(mark):]
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE}), bytes.HasPrefix(b, []byte{0xFE, 0xFF}):
		b = fromUTF16(b[2:], b[0] == 0xFE)
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return nil, errBinary
	}
	return b, nil
}

func fromUTF16(b []byte, big bool) []byte {
	units := make([]uint16, len(b)/2)
	for i := range units {
		lo, hi := b[2*i], b[2*i+1]
		if big {
			lo, hi = hi, lo
		}
		units[i] = uint16(hi)<<8 | uint16(lo)
	}
	out := make([]byte, 0, len(units))
	for _, r := range utf16.Decode(units) {
		out = utf8.AppendRune(out, r)
	}
	return out
}

// resolve turns a path that a file names into one below the root. Relative
// paths begin at dir.
func (t *Tree) resolve(dir, name string) (string, bool) {
	name = filepath.ToSlash(name)
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
		return name, valid(name)
	}
	name = path.Clean(name)
	if t.abs != "" {
		if rest, ok := strings.CutPrefix(name, strings.TrimSuffix(filepath.ToSlash(t.abs), "/")+"/"); ok {
			return rest, valid(rest)
		}
	}
	rest := strings.TrimPrefix(name, "/")
	return rest, t.host && valid(rest)
}

// Backup ends the names of what files were before "sallyport audit --fix --write"
// changed them.
const Backup = ".before-sallyport"

// IsBackup tells whether a file is such a backup: neither Walk nor a pattern finds
// it, because what it says is no longer in force.
func IsBackup(p string) bool { return strings.HasSuffix(p, Backup) }

// Glob lists the files of a pattern with *, ? and [] that a file below dir
// names, sorted, without backups that it does not name as such. ok is false when
// the pattern leaves the root.
func (t *Tree) Glob(dir, pattern string) (files []string, ok bool) {
	files, ok = t.glob(dir, pattern)
	if IsBackup(pattern) {
		return files, ok
	}
	return slices.DeleteFunc(files, IsBackup), ok
}

func (t *Tree) glob(dir, pattern string) (files []string, ok bool) {
	p, ok := t.resolve(dir, pattern)
	if !ok {
		return nil, false
	}
	if t.only != "" && !strings.ContainsAny(p, "*?[") {
		return []string{p}, true
	}
	found, err := fs.Glob(t.fsys, p)
	if err != nil {
		return nil, true
	}
	found = slices.DeleteFunc(found, func(f string) bool {
		info, err := t.stat(f)
		return err != nil || !info.Mode().IsRegular()
	})
	slices.Sort(found)
	return found, true
}

// Exists tells whether a path below the root is a regular file.
func (t *Tree) Exists(p string) bool {
	info, err := t.stat(p)
	return err == nil && info.Mode().IsRegular()
}
