package source

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// rooted is a directory of this machine that nothing leaves. Unlike the file
// system of [os.Root] it takes names that are no UTF-8: a daemon reads the files
// of an include whatever their names are.
type rooted struct{ *os.Root }

// valid is fs.ValidPath for octets.
func valid(name string) bool { return fs.ValidPath(strings.ToValidUTF8(name, "?")) }

func (r rooted) check(op, name string) error {
	if !valid(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

// Open implements [fs.FS].
func (r rooted) Open(name string) (fs.File, error) {
	if err := r.check("open", name); err != nil {
		return nil, err
	}
	f, err := r.Root.Open(name)
	if err != nil { // not a nil *os.File in an interface
		return nil, err
	}
	return f, nil
}

// Stat implements [fs.StatFS].
func (r rooted) Stat(name string) (fs.FileInfo, error) {
	if err := r.check("stat", name); err != nil {
		return nil, err
	}
	return r.Root.Stat(name)
}

// Lstat is one half of [fs.ReadLinkFS].
func (r rooted) Lstat(name string) (fs.FileInfo, error) {
	if err := r.check("lstat", name); err != nil {
		return nil, err
	}
	return r.Root.Lstat(name)
}

// ReadLink is the other.
func (r rooted) ReadLink(name string) (string, error) {
	if err := r.check("readlink", name); err != nil {
		return "", err
	}
	return r.Root.Readlink(name)
}

// ReadDir implements [fs.ReadDirFS].
func (r rooted) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := r.check("readdir", name); err != nil {
		return nil, err
	}
	d, err := r.Root.Open(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// part is the file system below a directory of another. fs.Sub refuses names that
// are no UTF-8.
type part struct {
	rooted
	dir string
}

func (p part) full(name string) string {
	switch {
	case !valid(name):
		return name // refused there
	case name == ".":
		return p.dir
	}
	return p.dir + "/" + name
}

// Open implements [fs.FS].
func (p part) Open(name string) (fs.File, error) { return p.rooted.Open(p.full(name)) }

// Stat implements [fs.StatFS].
func (p part) Stat(name string) (fs.FileInfo, error) { return p.rooted.Stat(p.full(name)) }

// Lstat is one half of [fs.ReadLinkFS].
func (p part) Lstat(name string) (fs.FileInfo, error) { return p.rooted.Lstat(p.full(name)) }

// ReadLink is the other.
func (p part) ReadLink(name string) (string, error) { return p.rooted.ReadLink(p.full(name)) }

// ReadDir implements [fs.ReadDirFS].
func (p part) ReadDir(name string) ([]fs.DirEntry, error) { return p.rooted.ReadDir(p.full(name)) }

// sub is fs.Sub.
func sub(fsys fs.FS, dir string) (fs.FS, error) {
	switch f := fsys.(type) {
	case rooted:
		if valid(dir) {
			return part{f, dir}, nil
		}
	case part:
		if valid(dir) {
			return part{f.rooted, f.full(dir)}, nil
		}
	}
	return fs.Sub(fsys, dir)
}

// shownName is a name as a line can hold it: octets that are no UTF-8 are escaped.
func shownName(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, name[0])
		} else {
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}
