// Package file puts files on disk so that a crash or a full disk leaves the
// old content or the new, never a mixture, and so that private content is
// readable by its owner alone.
package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Modes of what this package makes.
const (
	Private  fs.FileMode = 0o600 // keys, state, bundles with keys
	Public   fs.FileMode = 0o644 // certificates
	privateD fs.FileMode = 0o700
)

// Write replaces path with data: a temporary file in the same directory is
// written, synced and renamed over it, then the directory is synced.
func Write(path string, data []byte, mode fs.FileMode) error {
	return place(path, data, mode, os.Rename)
}

// Create is [Write] for a file that must not exist yet. An existing one is
// left alone and the error is [fs.ErrExist].
func Create(path string, data []byte, mode fs.FileMode) error {
	return place(path, data, mode, Publish)
}

// Publish gives the finished file at temp its name, which must be free; the
// error is [fs.ErrExist] otherwise. Unlike a rename, two processes that do this
// at once cannot overwrite each other.
func Publish(temp, path string) error {
	if err := os.Link(temp, path); err != nil {
		return err
	}
	return os.Remove(temp)
}

func place(path string, data []byte, mode fs.FileMode, put func(temp, path string) error) (err error) {
	if i, err := os.Lstat(path); err == nil && i.IsDir() {
		return &DirError{Path: path}
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if err = put(f.Name(), path); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	return SyncDir(filepath.Dir(path))
}

// DirError says that a directory stands where a file belongs.
type DirError struct{ Path string }

// Error names the directory.
func (e *DirError) Error() string { return fmt.Sprintf("file: %s is a directory, not a file", e.Path) }

// Hint says what to do with it.
func (e *DirError) Hint() string { return "move it away; the file is written anew" }

// SyncDir makes names created, renamed or removed in dir survive a power loss.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	return nil
}

// PrivateDir makes sure that dir exists and that nobody but its owner can enter
// it. A missing one is created with mode 0700, parents with 0755. An existing
// open one is refused, not changed: it may be /tmp.
func PrivateDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if err := os.Mkdir(dir, privateD); err == nil {
		return SyncDir(filepath.Dir(dir))
	} else if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("file: %w", err)
	}
	return CheckPrivate(dir)
}

// CheckPrivate returns an [*OpenError] when others than the owner may use the
// file or directory at path.
func CheckPrivate(path string) error {
	i, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if i.Mode().Perm()&0o077 == 0 {
		return nil
	}
	want := Private
	if i.IsDir() {
		want = privateD
	}
	return &OpenError{Path: path, Mode: i.Mode().Perm(), Want: want}
}

// CheckOwn is [CheckPrivate] for what nobody but this program writes: an
// [*OwnerError] says that it belongs to a user who could change it or take it
// away, and is neither root nor the one who runs this.
func CheckOwn(path string) error {
	if err := CheckPrivate(path); err != nil {
		return err
	}
	i, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	st, ok := i.Sys().(*syscall.Stat_t)
	if ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return &OwnerError{Path: path, Owner: int(st.Uid)}
	}
	return nil
}

// OwnerError says that a private file or directory belongs to somebody else.
type OwnerError struct {
	Path  string
	Owner int // user ID
}

// Error names the path and the owner found.
func (e *OwnerError) Error() string {
	return fmt.Sprintf("file: %s belongs to user %d, who could change it", e.Path, e.Owner)
}

// Hint is the command that takes it back.
func (e *OwnerError) Hint() string {
	return fmt.Sprintf("find out how that came about, then: chown %d %s", os.Geteuid(), e.Path)
}

// OpenError says that a private file or directory is open to other users.
type OpenError struct {
	Path       string
	Mode, Want fs.FileMode
}

// Error names the path and the mode found.
func (e *OpenError) Error() string {
	return fmt.Sprintf("file: %s is open to other users (mode %04o)", e.Path, e.Mode)
}

// Hint is the command that closes it.
func (e *OpenError) Hint() string { return fmt.Sprintf("chmod %04o %s", e.Want, e.Path) }
