package file

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const rewriteEnv = "FILE_TEST_REWRITE"

// TestMain lets the test binary be the process that is killed while writing.
func TestMain(m *testing.M) {
	if path := os.Getenv(rewriteEnv); path != "" {
		for i := 0; ; i++ {
			if err := Write(path, version(i), Private); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
	os.Exit(m.Run())
}

// version is content whose completeness shows: one octet, repeated.
func version(i int) []byte { return bytes.Repeat([]byte{'a' + byte(i%26)}, 100_000+i%26) }

func complete(b []byte) bool {
	return len(b) > 0 && bytes.Equal(b, version(int(b[0]-'a')))
}

func TestKilledWriterLeavesAWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := Write(path, version(0), Private); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), rewriteEnv+"="+path)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(5+rand.IntN(25)) * time.Millisecond)
		c.Process.Kill()
		c.Wait()
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !complete(got) {
			t.Fatalf("after kill -9 the file has %d octets that are no version of it", len(got))
		}
	}
}

func TestFailedWriteLeavesTheOldFileAndNoRest(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := Write(path, []byte("old"), Private); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left")
	if err := place(path, []byte("new"), Private, func(string, string) error { return full }); !errors.Is(err, full) {
		t.Fatalf("error = %v, want the one of the rename", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("content = %q, want the old one", b)
	}
	if e, _ := os.ReadDir(dir); len(e) != 1 {
		t.Errorf("%d files in the directory, want only the old one", len(e))
	}
}

func TestCreateKeepsAnExistingFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := Create(path, []byte("first"), Private); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, []byte("second"), Private); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: %v, want fs.ErrExist", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "first" {
		t.Errorf("content = %q, want the first one", b)
	}
	if e, _ := os.ReadDir(dir); len(e) != 1 {
		t.Errorf("%d files in the directory, want one", len(e))
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := PrivateDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := PrivateDir(dir); err != nil {
		t.Errorf("an existing private directory is refused: %v", err)
	}
	wantMode(t, dir, 0o700)
	for _, mode := range []fs.FileMode{Private, Public} {
		p := filepath.Join(dir, mode.String())
		if err := Write(p, nil, mode); err != nil {
			t.Fatal(err)
		}
		wantMode(t, p, mode)
	}
}

func TestOpenDirectoryIsRefusedAndNotChanged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "open")
	os.Mkdir(dir, 0o700)
	os.Chmod(dir, 0o755)
	err := PrivateDir(dir)
	var open *OpenError
	if !errors.As(err, &open) {
		t.Fatalf("error = %v, want *OpenError", err)
	}
	if want := "chmod 0700 " + dir; open.Hint() != want {
		t.Errorf("hint = %q, want %q", open.Hint(), want)
	}
	wantMode(t, dir, 0o755)
}

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	i, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if i.Mode().Perm() != want {
		t.Errorf("%s has mode %04o, want %04o", path, i.Mode().Perm(), want)
	}
}

// TestStateOfAnotherUserIsRefused: whoever owns a key file can read it again
// whenever he likes, whatever its mode is now.
func TestStateOfAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving a file away needs root")
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, nil, Private); err != nil {
		t.Fatal(err)
	}
	if err := CheckOwn(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	var owner *OwnerError
	if err := CheckOwn(path); !errors.As(err, &owner) || owner.Owner != 65534 {
		t.Errorf("error = %v, want *OwnerError of user 65534", err)
	}
}

func TestADirectoryInTheWayIsNamed(t *testing.T) {
	path := t.TempDir()
	var dir *DirError
	if err := Write(path, []byte("x"), Public); !errors.As(err, &dir) || dir.Path != path {
		t.Errorf("error = %v, want *DirError of %s", err, path)
	}
}
