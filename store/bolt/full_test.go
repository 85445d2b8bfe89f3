package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sallyport/store"
)

func TestAFullDiskLosesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m,mode=0700"); err != nil {
		t.Skipf("a small file system needs root: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	path := filepath.Join(dir, "sallyport.db")
	s := mustOpen(t, path, Options{})

	value := strings.Repeat("x", 50_000)
	written := 0
	var err error
	for ; err == nil && written < 100; written++ {
		_, err = s.Txn(t.Context(), store.Txn{Then: []store.Op{store.Put{Key: key(written), Value: []byte(value)}}})
	}
	written--
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
		t.Fatalf("after %d writes: %v, want no space left in %s", written, err, path)
	}
	wantKeys(t, s, written)
	// What a deletion has freed is there again, unless bbolt takes pages for it that
	// were never written: its list of free pages is a map.
	left := written
	if _, err := s.Txn(t.Context(), store.Txn{Then: []store.Op{store.Delete{Key: key(0)}}}); err != nil {
		t.Logf("a deletion on the full disk: %v", err)
	} else if _, err := s.Txn(t.Context(), store.Txn{Then: []store.Op{store.Put{Key: key(0), Value: []byte(value)}}}); errors.Is(err, syscall.ENOSPC) {
		left--
	} else if err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s, left)

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=8m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path, Options{})
	wantKeys(t, s, left)
	put(t, s, key(written), value)
	wantKeys(t, s, left+1)
	if i, err := os.Stat(path); err != nil || i.Size() > 8<<20 {
		t.Errorf("the file has %d octets, %v", i.Size(), err)
	}
}

func key(i int) string { return fmt.Sprintf("/full/%03d", i) }

func wantKeys(t *testing.T, s *Store, n int) {
	t.Helper()
	page, err := s.Get(t.Context(), store.Prefix("/full/"))
	if err != nil || len(page.KVs) != n {
		t.Errorf("%d keys, %v, want %d", len(page.KVs), err, n)
	}
}
