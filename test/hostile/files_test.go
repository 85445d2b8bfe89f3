package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/gateway"
	"sallyport/internal/lab"
)

// damage is one way in which a file is not what it was.
type damage struct {
	name string
	do   func(path string, whole []byte) error
	// mild damage may go unnoticed, if everything stored is still there.
	mild func(path string) bool
}

// Which files may bear a damage. ca.crt and ca.crl are copies for others,
// written anew from the key file and the store at each start; half a
// configuration can still be one; and the store has room and a spare header.
var (
	none   = func(string) bool { return false }
	all    = func(string) bool { return true }
	copies = func(path string) bool { return strings.HasSuffix(path, "ca.crt") || strings.HasSuffix(path, "ca.crl") }
	public = func(path string) bool { return copies(path) || strings.HasSuffix(path, ".yaml") }
	roomy  = func(path string) bool { return public(path) || strings.HasSuffix(path, "state.db") }
)

var damages = []damage{
	{"is empty", overwrite(func(b []byte) []byte { return nil }), copies},
	{"lost its second half", overwrite(func(b []byte) []byte { return b[:len(b)/2] }), roomy},
	{"lost its last octets", overwrite(func(b []byte) []byte { return b[:len(b)-7] }), all},
	{"is noise", overwrite(func(b []byte) []byte { return octets(len(b)) }), copies},
	{"has a block of zeros at its start", overwrite(func(b []byte) []byte { clear(b[:min(len(b), 512)]); return b }), func(path string) bool { return copies(path) || strings.HasSuffix(path, "state.db") }},
	{"lost its first header", overwrite(func(b []byte) []byte { clear(b[:min(len(b), 4096)]); return b }), roomy},
	{"lost its second header", overwrite(func(b []byte) []byte { clear(b[min(len(b), 4096):min(len(b), 8192)]); return b }), all},
	{"is a directory", func(path string, _ []byte) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, none},
	{"is open to everybody", func(path string, _ []byte) error { return os.Chmod(path, 0o666) }, public},
	{"belongs to somebody else", func(path string, _ []byte) error { return os.Chown(path, 65534, 65534) }, public},
	{"is missing", func(path string, _ []byte) error { return os.Remove(path) }, all},
}

func overwrite(change func([]byte) []byte) func(string, []byte) error {
	return func(path string, whole []byte) error { return os.WriteFile(path, change(bytes.Clone(whole)), 0o600) }
}

// flips makes a few single-bit errors at places that differ from run to run.
func flips(n int) (list []damage) {
	for range n {
		seed := rand.Uint64()
		list = append(list, damage{fmt.Sprintf("has a flipped bit, seed %d", seed), overwrite(func(b []byte) []byte {
			r := rand.New(rand.NewPCG(seed, seed))
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			return b
		}), all})
	}
	return list
}

// TestBrokenFilesGiveOneClearErrorAndLoseNothing damages each file of a
// gateway in turn. A command that needs it must say which file and what to do,
// in one error, and must not touch anything; with the file back, everything is
// as before.
func TestBrokenFilesGiveOneClearErrorAndLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.enrol("alice", "laptop")
	w.enrol("bob", "phone")
	w.sallyport("device", "revoke", "phone")
	p := w.newPeer(w.keyOf(device{name: "laptop", identity: "laptop@alice"}))
	if err := p.connect(); err != nil {
		t.Log("no lease is stored:", err)
	}
	w.server.Stop()
	w.sallyport("user", "add", "last") // a store that falls back by one change loses it
	before := w.account()
	files := w.tree()
	if len(files) < 5 {
		t.Fatalf("only %d files: %v", len(files), slices.Sorted(maps.Keys(files)))
	}

	for _, path := range slices.Sorted(maps.Keys(files)) {
		t.Run(strings.ReplaceAll(strings.TrimPrefix(path, "/run/"), "/", "_"), func(t *testing.T) {
			w := w.on(t)
			list := slices.Concat(damages, flips(3))
			if strings.HasSuffix(path, "state.db") {
				list = slices.Concat(damages, flips(20))
			}
			for _, d := range list {
				w.damaged(path, d, files, before)
			}
		})
	}

	w.serve()
	if now := w.account(); now != before {
		t.Errorf("before:\n%s\nafter all repairs:\n%s", before, now)
	}
	if err := w.newPeer(w.keyOf(device{name: "laptop", identity: "laptop@alice"})).connect(); err != nil {
		t.Errorf("the good device no longer comes in: %v", err)
	}
	w.unharmed()
}

// account is everything an administrator sees of what is stored.
func (w *world) account() string {
	w.Helper()
	return w.sallyport("user", "list") + w.sallyport("device", "list")
}

// tree reads every file of the gateway: configuration and state.
func (w *world) tree() map[string][]byte {
	w.Helper()
	files := map[string][]byte{}
	w.must(w.gateway().Do(func() error {
		for _, top := range []string{filepath.Dir(configFile), stateDir} {
			err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
				if err == nil && e.Type().IsRegular() {
					files[path], err = os.ReadFile(path)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return files
}

// restore puts a file back, as it was made.
func (w *world) restore(path string, whole []byte, mode fs.FileMode) {
	w.Helper()
	w.must(w.gateway().Do(func() error {
		os.RemoveAll(path)
		return errors.Join(os.WriteFile(path, whole, mode), os.Chmod(path, mode))
	}))
}

func (w *world) damaged(path string, d damage, files map[string][]byte, before string) {
	w.Helper()
	var mode fs.FileMode
	w.must(w.gateway().Do(func() error {
		i, err := os.Stat(path)
		if err != nil {
			return err
		}
		mode = i.Mode().Perm()
		return d.do(path, files[path])
	}))
	defer w.restore(path, files[path], mode)
	others := w.tree()
	delete(others, path)

	out, err := w.serveBriefly()
	if strings.Contains(out, "goroutine ") || strings.Contains(out, "panic:") {
		w.Errorf("%s %s: a panic:\n%s", path, d.name, lastOf(out, 3000))
		return
	}
	if err == nil { // it came up: then nothing may be missing
		if !d.mild(path) {
			w.Errorf("%s %s: and the server starts as if nothing was", path, d.name)
		} else if out != before {
			w.Errorf("%s %s: the server starts, and what it stored has changed:\n%s", path, d.name, out)
		}
	} else {
		w.clear(path, d, out)
	}
	after := w.tree()
	for name, data := range others {
		if !bytes.Equal(after[name], data) && err != nil && !copies(name) {
			w.Errorf("%s %s: the failed start changed %s", path, d.name, name)
		}
	}
}

// clear holds an error against what a person needs at night: one error, the
// file, a hint.
func (w *world) clear(path string, d damage, out string) {
	w.Helper()
	short := filepath.Base(path)
	switch {
	case strings.Count(out, "sallyport: error:") != 1 && !strings.HasSuffix(path, ".yaml"):
		w.Errorf("%s %s: not one error:\n%s", path, d.name, out)
	case !strings.Contains(out, short) && !strings.HasSuffix(path, ".yaml"): // a flip there may name another, wrong file
		w.Errorf("%s %s: the error does not name the file:\n%s", path, d.name, out)
	case !strings.Contains(out, "sallyport: hint:"):
		w.Errorf("%s %s: there is no hint what to do:\n%s", path, d.name, out)
	}
}

// serveBriefly starts the server and stops it again. It returns the account of
// a server that came up, or what one that did not has said.
func (w *world) serveBriefly() (string, error) {
	w.Helper()
	p, err := w.gateway().Start(lab.Command{Program: w.program, Args: []string{"serve", "--config", configFile}})
	w.must(err)
	defer p.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.Done():
			return p.Output(), errors.New("it ended")
		default:
		}
		if strings.Contains(p.Output(), "msg=serving") {
			var users, devices string
			if users, err = w.try("user", "list"); err == nil {
				devices, err = w.try("device", "list")
			}
			if err != nil {
				return err.Error(), nil
			}
			return users + devices, nil
		}
	}
	w.Fatalf("the server neither comes up nor ends:\n%s", p.Output())
	return "", nil
}

// TestAFullDiskRefusesChangesAndLosesNothing fills the state's file system.
func TestAFullDiskRefusesChangesAndLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, "", func(w *world) {
		w.must(w.gateway().Do(func() error {
			return errors.Join(os.MkdirAll(stateDir, 0o700), unix.Mount("tmpfs", stateDir, "tmpfs", 0, "size=1m,mode=0700"))
		}))
	})
	good := w.enrol("alice", "laptop")
	p := w.newPeer(good).mustConnect()
	before := w.account()
	filler := stateDir + "/filler"
	w.must(w.gateway().Do(func() error {
		f, err := os.Create(filler)
		if err != nil {
			return err
		}
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		f.Close()
		if errors.Is(err, unix.ENOSPC) {
			return nil
		}
		return err
	}))
	refused := 0
	for n := range 60 { // the store may have some room of its own left
		if out, err := w.try("user", "add", fmt.Sprintf("crowd-%d", n)); err != nil {
			refused++
			if !strings.Contains(err.Error(), "space") && !strings.Contains(err.Error(), "full") {
				t.Errorf("the error does not say that the disk is full: %s%v", out, err)
			}
			break
		}
	}
	_, err := w.try("device", "add", "tablet", "--user", "alice", "--out", deviceDir)
	if err == nil && refused == 0 {
		t.Fatal("a full disk refuses nothing: the test proves nothing")
	}
	users, devices := 0, 0
	if list, err := ask[[]gateway.User](w, "user", "list"); err != nil {
		t.Error("nothing can be read any more:", err)
	} else {
		users = len(list)
	}
	if list, err := ask[[]gateway.Device](w, "device", "list"); err == nil {
		devices = len(list)
	}
	if !p.ping(p.leased, 5*time.Second) {
		t.Error("the live tunnel suffers from the full disk")
	}
	if err := w.newPeer(good).connect(); err != nil {
		t.Errorf("a device with a lease cannot come in: %v", err)
	}
	w.server.Kill()
	<-w.server.Done()
	w.must(w.gateway().Do(func() error { return os.Remove(filler) }))
	w.serve()
	list, err := ask[[]gateway.User](w, "user", "list")
	w.must(err)
	all, err := ask[[]gateway.Device](w, "device", "list")
	w.must(err)
	if len(list) != users || len(all) != devices {
		t.Errorf("%d users and %d devices before the crash on the full disk, %d and %d after", users, devices, len(list), len(all))
	}
	for line := range strings.Lines(before) {
		if strings.Contains(line, "laptop") && !strings.Contains(w.account(), strings.TrimSpace(line)) {
			t.Errorf("this is lost: %s", line)
		}
	}
	w.sallyport("user", "add", "afterwards")
	w.newPeer(good).mustConnect().gone()
	w.unharmed()
}
