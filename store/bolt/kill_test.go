package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sallyport/store"
)

const (
	childEnv = "STORE_TEST_CHILD"
	pathEnv  = "STORE_TEST_PATH"
	writers  = 8
)

// TestMain lets the test binary be a second process.
func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "write":
		err = writeForever(os.Getenv(pathEnv))
	case "hold":
		err = hold(os.Getenv(pathEnv))
	case "create":
		err = create(os.Getenv(pathEnv))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func startChild(t *testing.T, what, path string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childEnv+"="+what, pathEnv+"="+path)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return c, bufio.NewReader(out)
}

func hold(path string) error {
	if _, err := Open(path, Options{}); err != nil {
		return err
	}
	fmt.Println("holding")
	time.Sleep(time.Minute)
	return nil
}

// create opens a store that several make at once, each writing a key.
func create(path string) error {
	for {
		s, err := Open(path, Options{Create: true})
		var used *InUseError
		if errors.As(err, &used) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = s.Txn(context.Background(), store.Txn{Then: []store.Op{store.Put{Key: fmt.Sprintf("/child/%d", os.Getpid())}}})
		return errors.Join(err, s.Close())
	}
}

// writeForever counts up in several goroutines, each number in two keys of one
// transaction, and says each number after it was acknowledged.
func writeForever(path string) error {
	s, err := Open(path, Options{Create: true})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for {
				if err := countUp(s, w); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

func countUp(s *Store, w int) error {
	ctx := context.Background()
	a, b := counters(w)
	page, err := s.Get(ctx, store.Key(a))
	if err != nil {
		return err
	}
	kv, _ := page.First()
	n := kv.Version + 1
	value := fmt.Appendf(nil, "%d %0*d", n, rand.IntN(3000), 0)
	r, err := s.Txn(ctx, store.Txn{
		If:   []store.Compare{{Key: a, Target: store.Version, Is: store.Equal, Number: kv.Version}},
		Then: []store.Op{store.Put{Key: a, Value: value}, store.Put{Key: b, Value: value}},
	})
	if err != nil || !r.Succeeded {
		return fmt.Errorf("writer %d at %d: %v, %w", w, n, r.Succeeded, err)
	}
	_, err = fmt.Printf("%d %d\n", w, n)
	return err
}

func counters(w int) (a, b string) {
	return fmt.Sprintf("/count/%d/a", w), fmt.Sprintf("/count/%d/b", w)
}

func TestKillLosesNothingAcknowledged(t *testing.T) {
	const kills = 25
	path := newPath(t)
	acknowledged := make([]int64, writers)
	for range kills {
		c, out := startChild(t, "write", path)
		time.AfterFunc(time.Duration(60+rand.IntN(120))*time.Millisecond, func() { c.Process.Kill() })
		for {
			var w int
			var n int64
			if _, err := fmt.Fscanf(out, "%d %d\n", &w, &n); err != nil {
				break // killed; a half line was not said
			}
			acknowledged[w] = n
		}
		c.Wait()
		wantCounters(t, path, acknowledged)
	}
	total := int64(0)
	for _, n := range acknowledged {
		total += n
	}
	if total < kills {
		t.Errorf("only %d writes were acknowledged: the test tests nothing", total)
	}
	t.Logf("%d acknowledged writes, %d kills", total, kills)
}

func wantCounters(t *testing.T, path string, acknowledged []int64) {
	t.Helper()
	s, err := Open(path, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for w, n := range acknowledged {
		ka, kb := counters(w)
		a, errA := s.Get(t.Context(), store.Key(ka))
		b, errB := s.Get(t.Context(), store.Key(kb))
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		kvA, _ := a.First()
		kvB, _ := b.First()
		if kvA.Version < n {
			t.Errorf("writer %d: %d is there, %d was acknowledged", w, kvA.Version, n)
		}
		if kvA.Version != kvB.Version || string(kvA.Value) != string(kvB.Value) {
			t.Errorf("writer %d: half a transaction: %d and %d", w, kvA.Version, kvB.Version)
		}
	}
}

func TestWaitingWritesShareAnFsync(t *testing.T) {
	s := mustOpen(t, newPath(t), Options{})
	before := commits(s)
	var wg sync.WaitGroup
	const n = 200
	for i := range n {
		wg.Go(func() { put(t, s, fmt.Sprintf("/k/%d", i), "v") })
	}
	wg.Wait()
	if c := commits(s) - before; c > n/2 {
		t.Errorf("%d writes at once took %d commits", n, c)
	}
}

// commits is the number of bbolt's last transaction: each has one fsync.
func commits(s *Store) (n int) {
	s.db.View(func(b *bbolt.Tx) error { n = b.ID(); return nil })
	return n
}

func BenchmarkTxn(b *testing.B) {
	for _, p := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d-callers", p), func(b *testing.B) {
			s := mustOpen(b, newPath(b), Options{})
			b.SetParallelism(p)
			if p == 1 {
				for i := 0; b.Loop(); i++ {
					put(b, s, fmt.Sprintf("/k/%d", i%10000), "value")
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					put(b, s, fmt.Sprintf("/k/%d", rand.IntN(10000)), "value")
				}
			})
		})
	}
}
