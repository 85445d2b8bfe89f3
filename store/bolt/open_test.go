package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sallyport/internal/file"
	"sallyport/store"
	"sallyport/store/storetest"
)

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "state", "sallyport.db") }

func mustOpen(t testing.TB, path string, o Options) *Store {
	t.Helper()
	o.Create = true
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Store, key, value string) {
	t.Helper()
	if _, err := s.Txn(t.Context(), store.Txn{Then: []store.Op{store.Put{Key: key, Value: []byte(value)}}}); err != nil {
		t.Fatal(err)
	}
}

// filled is a closed state file with n keys.
func filled(t testing.TB, n int) string {
	t.Helper()
	path := newPath(t)
	s := mustOpen(t, path, Options{})
	var wg sync.WaitGroup // writes at once share an fsync
	for i := range n {
		wg.Go(func() { put(t, s, fmt.Sprintf("/key/%04d", i), strings.Repeat("v", i%900)) })
	}
	wg.Wait()
	var used int64
	s.db.View(func(b *bbolt.Tx) error { used = b.Size(); return nil })
	if err := errors.Join(s.Close(), os.Truncate(path, used)); err != nil { // without room to grow
		t.Fatal(err)
	}
	return path
}

// wantIntact wants every key of filled.
func wantIntact(t *testing.T, s *Store, n int) {
	t.Helper()
	page, err := s.Get(t.Context(), store.Prefix("/key/"))
	if err != nil {
		t.Error(err)
		return
	}
	if len(page.KVs) != n {
		t.Errorf("%d keys, want %d", len(page.KVs), n)
	}
	for i, kv := range page.KVs {
		if kv.Key != fmt.Sprintf("/key/%04d", i) || string(kv.Value) != strings.Repeat("v", i%900) {
			t.Errorf("key %d is %q with %d octets", i, kv.Key, len(kv.Value))
		}
	}
}

func hint(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func TestModes(t *testing.T) {
	path := newPath(t)
	mustOpen(t, path, Options{})
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if i, err := os.Stat(p); err != nil || i.Mode().Perm() != want {
			t.Errorf("%s: mode %04o, %v, want %04o", p, i.Mode().Perm(), err, want)
		}
	}
	if e, _ := os.ReadDir(filepath.Dir(path)); len(e) != 1 {
		t.Errorf("%d files beside the store, want none", len(e)-1)
	}
}

func TestAFileThatOthersCanReadIsRefused(t *testing.T) {
	path := filled(t, 1)
	os.Chmod(path, 0o640)
	_, err := Open(path, Options{})
	var open *file.OpenError
	if !errors.As(err, &open) || open.Path != path {
		t.Errorf("error %v", err)
	}
}

func TestAMissingFileIsNotMadeByAccident(t *testing.T) {
	path := newPath(t)
	_, err := Open(path, Options{})
	var missing *MissingError
	if !errors.As(err, &missing) || !strings.Contains(hint(err), "sallyport init") {
		t.Errorf("error %v, hint %q", err, hint(err))
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was made")
	}
}

func TestDamagedFilesAreRefusedAndKept(t *testing.T) {
	const n = 400
	for name, damage := range map[string]func(b []byte) []byte{
		"empty":           func([]byte) []byte { return nil },
		"one octet":       func([]byte) []byte { return []byte("x") },
		"text":            func([]byte) []byte { return []byte(strings.Repeat("this is no database\n", 1000)) },
		"zeros":           func(b []byte) []byte { return make([]byte, len(b)) },
		"half":            func(b []byte) []byte { return b[:len(b)/2] },
		"one page short":  func(b []byte) []byte { return b[:len(b)-os.Getpagesize()] },
		"one octet short": func(b []byte) []byte { return b[:len(b)-1] },
		"no metas":        func(b []byte) []byte { return append(make([]byte, 2*os.Getpagesize()), b[2*os.Getpagesize():]...) },
		"metas only": func(b []byte) []byte {
			return append(b[:2*os.Getpagesize()], make([]byte, len(b)-2*os.Getpagesize())...)
		},
		"changed value": func(b []byte) []byte { return bytes.Replace(b, []byte("vvvvvvvvvv"), []byte("vvvvvVvvvv"), -1) },
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			path := filled(t, n)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b = damage(b)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // a refused file is not left locked
				_, err = Open(path, Options{Create: true})
				var corrupt *CorruptError
				if !errors.As(err, &corrupt) || corrupt.File != path || hint(err) == "" {
					t.Fatalf("error %v, hint %q", err, hint(err))
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(after, b) {
				t.Error("the damaged file was changed")
			}
		})
	}
}

// TestADamagedHeaderForgetsNothing: bbolt falls back on its other header, and
// the last change before the damage must be there, too.
func TestADamagedHeaderForgetsNothing(t *testing.T) {
	const n = 20
	whole, err := os.ReadFile(filled(t, n))
	if err != nil {
		t.Fatal(err)
	}
	for header := range 2 {
		path := filepath.Join(t.TempDir(), "state.db")
		b := bytes.Clone(whole)
		clear(b[header*os.Getpagesize() : (header+1)*os.Getpagesize()])
		if err := errors.Join(os.Chmod(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, Options{})
		if err != nil {
			t.Errorf("header %d damaged: %v", header, err)
			continue
		}
		wantIntact(t, s, n)
		s.Close()
	}
}

func TestRandomDamageIsFoundOrHarmless(t *testing.T) {
	const n = 200
	path := filled(t, n)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	metas := 2 * os.Getpagesize() // bbolt checks these two and falls back on the older
	refused := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := bytes.Clone(whole)
		for range 1 + r.IntN(4) {
			b[metas+r.IntN(len(b)-metas)] ^= byte(1 + r.IntN(255))
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, Options{})
		var corrupt *CorruptError
		switch {
		case err == nil:
			wantIntact(t, s, n)
			put(t, s, "/more", "x")
			s.Close()
		case errors.As(err, &corrupt):
			refused++
		default:
			t.Errorf("seed %d: %v", seed, err)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if refused == 0 {
		t.Error("no damage was found: the test damages nothing")
	}
	t.Logf("%d of 300 damaged files refused, the others were damaged in unused octets", refused)
}

func TestANewerFormatIsRefused(t *testing.T) {
	path := filled(t, 1)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(b *bbolt.Tx) error { return b.Bucket(bucketMeta).Put(keyFormat, octets(format+1)) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, Options{})
	var newer *NewerError
	if !errors.As(err, &newer) || hint(err) == "" {
		t.Errorf("error %v", err)
	}
}

func TestAnotherDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	os.Chmod(filepath.Dir(path), 0o700)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	_, err = Open(path, Options{})
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || !strings.Contains(err.Error(), "not a sallyport state file") {
		t.Errorf("error %v", err)
	}
}

func TestTheHolderOfTheLockIsNamed(t *testing.T) {
	path := filled(t, 1)
	c, out := startChild(t, "hold", path)
	if line, err := out.ReadString('\n'); line != "holding\n" {
		t.Fatalf("child: %q, %v", line, err)
	}
	_, err := Open(path, Options{})
	var used *InUseError
	if !errors.As(err, &used) {
		t.Fatalf("error %v, want *InUseError", err)
	}
	if used.PID != c.Process.Pid || used.File != path {
		t.Errorf("named process %d, the holder is %d", used.PID, c.Process.Pid)
	}
	if !strings.Contains(err.Error(), path) || !strings.Contains(hint(err), fmt.Sprint(c.Process.Pid)) {
		t.Errorf("error %q, hint %q", err, hint(err))
	}
	c.Process.Kill()
	c.Wait()
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatalf("after the holder's death: %v", err)
	}
	s.Close()
}

func TestInUseErrorsRead(t *testing.T) {
	for want, e := range map[string]*InUseError{
		"store: another sallyport is using /s.db":             {File: "/s.db"},
		"store: another sallyport (process 7) is using /s.db": {File: "/s.db", PID: 7, Command: "sallyport"},
		`store: process 7 ("evil\nname") is using /s.db`:      {File: "/s.db", PID: 7, Command: "evil\nname"},
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e.Error(), want)
		}
	}
}

func TestTwoProcessesCreateOneStore(t *testing.T) {
	path := newPath(t)
	var cs []*exec.Cmd
	for range 4 {
		c, _ := startChild(t, "create", path)
		cs = append(cs, c)
	}
	for _, c := range cs {
		if err := c.Wait(); err != nil {
			t.Errorf("child: %v", err)
		}
	}
	s := mustOpen(t, path, Options{})
	page, err := s.Get(t.Context(), store.Prefix("/child/"))
	if err != nil || len(page.KVs) != len(cs) {
		t.Errorf("%d of %d children's keys, %v", len(page.KVs), len(cs), err)
	}
}

func TestLeasesOutliveARestart(t *testing.T) {
	path := newPath(t)
	clock := new(storetest.Clock)
	s := mustOpen(t, path, Options{Clock: clock})
	id, err := s.Grant(t.Context(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Txn(t.Context(), store.Txn{Then: []store.Op{store.Put{Key: "/leased", Lease: id}}}); err != nil {
		t.Fatal(err)
	}
	clock.Advance(8 * time.Second)
	s.Close()
	clock.Advance(time.Hour) // nobody could keep it alive meanwhile

	s = mustOpen(t, path, Options{Clock: clock})
	clock.Advance(9 * time.Second)
	if err := s.KeepAlive(t.Context(), id); err != nil {
		t.Fatalf("KeepAlive within a new TTL: %v", err)
	}
	watch, err := s.Watch(t.Context(), "/", 0)
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(11 * time.Second)
	select {
	case u := <-watch:
		if len(u.Events) != 1 || !u.Events[0].Deleted || u.Events[0].KV.Key != "/leased" {
			t.Errorf("got %+v", u)
		}
	case <-time.After(10 * time.Second):
		t.Error("the lease did not end")
	}
	again, err := s.Grant(t.Context(), time.Hour)
	if err != nil || again == id {
		t.Errorf("lease %d was given twice, %v", again, err)
	}
}

func TestRevisionsGoOnAfterARestart(t *testing.T) {
	path := filled(t, 10)
	s := mustOpen(t, path, Options{})
	page, err := s.Get(t.Context(), store.Key("/key/0009"))
	if err != nil || page.Revision != 11 {
		t.Fatalf("revision %d, %v, want 11", page.Revision, err)
	}
	watch, err := s.Watch(t.Context(), "/key/", 3)
	if err != nil {
		t.Fatal(err)
	}
	var behind *store.FellBehindError
	if u := <-watch; !errors.As(u.Err, &behind) || behind.Oldest != 12 {
		t.Errorf("a watch from before the restart: %+v", u)
	}
	put(t, s, "/key/0010", "x")
	watch, err = s.Watch(t.Context(), "/key/", 12)
	if err != nil {
		t.Fatal(err)
	}
	if u := <-watch; u.Revision != 12 {
		t.Errorf("got %+v, want revision 12", u)
	}
}

// FuzzOpen opens any file whose beginning and end are damaged in any way.
func FuzzOpen(f *testing.F) {
	path := filled(f, 60)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), []byte{1}, uint32(len(whole)))
	f.Add(uint32(3*os.Getpagesize()+8), []byte{0xff, 0xff, 0xff, 0xff}, uint32(len(whole)))
	f.Add(uint32(4*os.Getpagesize()+16), []byte{2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, uint32(len(whole)))
	f.Add(uint32(0), []byte{}, uint32(3*os.Getpagesize()))
	// An empty bucket whose page is no leaf sent bbolt round in circles, with
	// all memory.
	f.Add(uint32(16554), []byte("0"), uint32(45065))
	f.Fuzz(func(t *testing.T, at uint32, damage []byte, size uint32) {
		b := bytes.Clone(whole[:min(int(size), len(whole))])
		if int(at) < len(b) {
			copy(b[at:], damage)
		}
		path := filepath.Join(t.TempDir(), "s.db")
		if err := errors.Join(os.Chmod(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, Options{})
		var corrupt *CorruptError
		var newer *NewerError
		switch {
		case err == nil:
			put(t, s, "/more", "x")
			s.Close()
		case !errors.As(err, &corrupt) && !errors.As(err, &newer):
			t.Errorf("error %v", err)
		}
	})
}
