package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sallyport/internal/file"
	"sallyport/store"
)

const (
	format = 1 // of buckets and records; a newer one is refused

	// lockWait bridges a restart: the old process may still be ending.
	lockWait = time.Second

	// mapSize is address space, not memory. Readers hold up a writer that has
	// to enlarge the map, so it starts larger than a gateway's state gets.
	mapSize = 256 << 20

	// growSize is by how much the file grows: a gateway's state is small, and a
	// backup need not copy 16 MiB of zeros.
	growSize = 1 << 20
)

// Options of [Open]. The zero value opens an existing file.
type Options struct {
	// Create makes the file, and its directory with mode 0700, if it is not
	// there. Without it a missing file is an error: a gateway that silently
	// began anew would have forgotten who is revoked.
	Create bool

	// Clock is for tests. Nil is the real one.
	Clock Clock
}

// Open opens the state file at path and locks it. The errors are
// [*MissingError], [*InUseError], [*CorruptError], [*NewerError] and
// [*file.OpenError] (others may read it); each has a Hint. Nothing is written
// to a file that is refused.
func Open(path string, o Options) (*Store, error) {
	if o.Clock == nil {
		o.Clock = wallClock{}
	}
	if err := prepare(path, o.Create); err != nil {
		return nil, err
	}
	if err := inspectLocked(path); err != nil {
		return nil, err
	}
	db, err := openDB(path, false)
	if err != nil {
		return nil, err
	}
	s := &Store{
		path:    path,
		db:      db,
		clock:   o.Clock,
		leases:  newLeases(),
		queue:   make(chan *write, maxQueue),
		closing: make(chan struct{}),
	}
	if err := guard(path, s.load); err != nil {
		db.Close()
		return nil, err
	}
	s.running.Go(s.writer)
	s.running.Go(s.expire)
	return s, nil
}

// prepare makes sure that there is a file and that it is private.
func prepare(path string, create bool) error {
	dir := filepath.Dir(path)
	if create {
		if err := file.PrivateDir(dir); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return &MissingError{File: path}
		}
		err = makeFile(path)
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return errors.Join(file.CheckOwn(dir), file.CheckOwn(path))
}

// makeFile builds an empty store beside path and gives it its name when it is
// complete, so that a crash leaves no half-made file. bbolt would take an empty
// file for a new store; here an empty file is a damaged one.
func makeFile(path string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	temp := f.Name()
	f.Close()
	defer os.Remove(temp)
	db, err := bbolt.Open(temp, file.Private, &bbolt.Options{Timeout: lockWait})
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(makeBuckets), db.Close()); err != nil {
		return err
	}
	// Another process may have been faster; its file is as good.
	if err := file.Publish(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return file.SyncDir(dir)
}

func makeBuckets(b *bbolt.Tx) error {
	for _, name := range [][]byte{bucketKV, bucketLeases, bucketLeaseKeys, bucketMeta} {
		if _, err := b.CreateBucket(name); err != nil {
			return err
		}
	}
	meta := b.Bucket(bucketMeta)
	// As in etcd the first change gets revision 2, so that 1 is a state that
	// can be watched from.
	return errors.Join(meta.Put(keyFormat, octets(format)), meta.Put(keyRevision, octets(1)))
}

// inspectLocked inspects the file while nobody writes to it. Opened read-only,
// bbolt itself reads no more than the meta pages.
func inspectLocked(path string) error {
	db, err := openDB(path, true)
	if err != nil {
		return err
	}
	return errors.Join(inspect(path), db.Close())
}

// load takes revision and leases from the file. Every lease begins its TTL
// anew: while the store was closed nobody could keep it alive.
func (s *Store) load() error {
	now := s.clock.Now()
	return s.db.View(func(b *bbolt.Tx) error {
		s.history = newHistory(int64(number(b.Bucket(bucketMeta).Get(keyRevision))) + 1)
		return b.Bucket(bucketLeases).ForEach(func(id, ttl []byte) error {
			s.leases.add(store.LeaseID(number(id)), time.Duration(number(ttl)), now)
			return nil
		})
	})
}

// openDB opens and locks the file. bbolt panics on some damage; then the file
// it opened must be closed here, or its lock would outlive the attempt.
func openDB(path string, readOnly bool) (db *bbolt.DB, err error) {
	if i, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	} else if i.Size() == 0 {
		return nil, &CorruptError{File: path, Detail: "it is empty"}
	}
	var f *os.File
	options := &bbolt.Options{
		Timeout:         lockWait,
		ReadOnly:        readOnly,
		InitialMmapSize: mapSize,
		FreelistType:    bbolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode fs.FileMode) (_ *os.File, err error) {
			f, err = os.OpenFile(name, flag&^os.O_CREATE, mode)
			return f, err
		},
	}
	err = guard(path, func() (err error) {
		db, err = bbolt.Open(path, file.Private, options)
		return err
	})
	var corrupt *CorruptError
	switch {
	case err == nil:
		db.AllocSize = growSize
		return db, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, inUse(path)
	case errors.As(err, &corrupt):
		f.Close()
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch), f != nil && !isPathError(err):
		err = &CorruptError{File: path, Detail: err.Error()}
	default:
		err = fmt.Errorf("store: %w", err)
	}
	return nil, err
}

func isPathError(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p)
}

// guard turns a panic of bbolt, or a fault on its memory map, into an error
// about the file: damage that appears on disk while the gateway runs must not
// take the tunnels down.
func guard(path string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &CorruptError{File: path, Detail: fmt.Sprint(p)}
		}
	}()
	return f()
}
