package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt trusts the pages it maps: a wrong page number or length makes it read
// beyond the map, which ends the process, also from its own Check. So the file
// is walked here before bbolt touches it, with plain reads and every number
// checked. The format is bbolt's version 2, little-endian:
//
//	page     id (8) | flags (2) | count (2) | overflow pages (4) | elements
//	branch   position (4) | key size (4) | page (8)
//	leaf     flags (4) | position (4) | key size (4) | value size (4)
//	bucket   root page (8) | sequence (8) | if root is 0: its only page
//	meta     magic, version, page size, flags (4 each) | root bucket (16) |
//	         freelist page | end of pages | transaction | checksum (8 each)
const (
	pageHeader   = 16
	element      = 16
	bucketHeader = 16
	metaSize     = 64

	magic   = 0xED0CDAED
	version = 2

	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageFreelist = 0x10
	leafBucket   = 0x01 // flag of an element whose value is a bucket
	manyFree     = 0xffff
)

var le = binary.LittleEndian

// inspect reads the whole file and returns a [*CorruptError] for the first
// damage, a [*NewerError] for a format from the future.
func inspect(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	w := &walker{path: path, file: f}
	for _, step := range []func() error{w.meta, w.buckets, w.freelist, w.format} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

type walker struct {
	path string
	file *os.File
	page int64 // size

	root, free, end uint64 // from the newer meta
	txid            uint64

	used    []bool // pages that something refers to
	found   map[string]bool
	version uint64 // of our format
}

func (w *walker) damage(format string, args ...any) error {
	return &CorruptError{File: w.path, Detail: fmt.Sprintf(format, args...)}
}

// meta chooses between the two meta pages as bbolt does: the newer one that is
// whole. One may be torn by a crash.
func (w *walker) meta() error {
	i, err := w.file.Stat()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if i.Size() == 0 {
		return w.damage("it is empty")
	}
	// Ours are made with the page size of the machine; a file from another one
	// may differ, so the sizes of all machines are tried.
	for size := int64(4 << 10); size <= 64<<10 && w.page == 0; size *= 2 {
		w.readMeta(0, size)
		w.readMeta(1, size)
	}
	if w.page == 0 {
		return w.damage("it has no valid meta page: not a sallyport state file, or its beginning is lost")
	}
	if want := int64(w.end) * w.page; w.end > 1<<40 || i.Size() < want {
		return w.damage("it has %d octets of %d", i.Size(), want)
	}
	w.used = make([]bool, w.end)
	return nil
}

func (w *walker) readMeta(n, size int64) {
	b := make([]byte, metaSize)
	if _, err := w.file.ReadAt(b, n*size+pageHeader); err != nil {
		return
	}
	h := fnv.New64a()
	h.Write(b[:metaSize-8])
	if le.Uint32(b) != magic || le.Uint32(b[4:]) != version || int64(le.Uint32(b[8:])) != size || le.Uint64(b[56:]) != h.Sum64() {
		return
	}
	if txid := le.Uint64(b[48:]); w.page == 0 || txid > w.txid {
		w.page, w.txid = size, txid
		w.root, w.free, w.end = le.Uint64(b[16:]), le.Uint64(b[32:]), le.Uint64(b[40:])
	}
}

// claim reads a page with its overflow and notes that it is in use.
func (w *walker) claim(id uint64) ([]byte, error) {
	header := make([]byte, pageHeader)
	if id < 2 || id >= w.end {
		return nil, w.damage("it refers to page %d of %d", id, w.end)
	}
	if _, err := w.file.ReadAt(header, int64(id)*w.page); err != nil {
		return nil, w.unreadable(id, err)
	}
	pages := 1 + uint64(le.Uint32(header[12:]))
	if le.Uint64(header) != id || pages > w.end-id {
		return nil, w.damage("page %d is damaged", id)
	}
	for p := id; p < id+pages; p++ {
		if w.used[p] {
			return nil, w.damage("page %d is used twice", p)
		}
		w.used[p] = true
	}
	b := make([]byte, int64(pages)*w.page)
	if _, err := w.file.ReadAt(b, int64(id)*w.page); err != nil && err != io.EOF {
		return nil, w.unreadable(id, err)
	}
	return b, nil
}

func (w *walker) unreadable(id uint64, err error) error {
	return w.damage("page %d cannot be read: %v", id, err)
}

// buckets walks everything from the root bucket down.
func (w *walker) buckets() error {
	w.found = make(map[string]bool)
	return w.tree(w.root, nil, &tree{value: func(key []byte, bucket bool, v []byte) error {
		w.found[string(key)] = true
		if !bucket {
			return w.damage("it has a stray key %q", key)
		}
		return w.bucket(string(key), v)
	}})
}

// tree is one bucket's, with what was seen last: keys must ascend across pages.
type tree struct {
	last, floor []byte
	value       func(key []byte, bucket bool, v []byte) error
}

func (w *walker) bucket(name string, b []byte) error {
	if len(b) < bucketHeader {
		return w.damage("bucket %q is damaged", name)
	}
	t := &tree{value: func(key []byte, bucket bool, v []byte) error {
		switch {
		case bucket:
			return w.damage("it has a bucket %q in %q", key, name)
		case name == string(bucketKV):
			_, err := decode(w.path, key, v)
			return err
		case name == string(bucketMeta) && string(key) == string(keyFormat):
			w.version = number(v)
		case name != string(bucketLeaseKeys) && len(v) != 8:
			return w.damage("%q in %q is damaged", key, name)
		}
		return nil
	}}
	if root := le.Uint64(b); root != 0 {
		return w.tree(root, nil, t)
	}
	return w.tree(0, b[bucketHeader:], t)
}

// tree walks a page, read by its number or given inline.
func (w *walker) tree(id uint64, b []byte, t *tree) (err error) {
	inline := b != nil
	if !inline {
		if b, err = w.claim(id); err != nil {
			return err
		}
	}
	if len(b) < pageHeader {
		return w.damage("page %d is damaged", id)
	}
	kind, count := le.Uint16(b[8:]), int(le.Uint16(b[10:]))
	switch {
	case pageHeader+count*element > len(b):
		return w.damage("page %d is damaged", id)
	case inline && (kind != pageLeaf || le.Uint64(b) != 0 || le.Uint32(b[12:]) != 0):
		return w.damage("a small bucket is damaged")
	case kind != pageLeaf && (kind != pageBranch || count == 0):
		return w.damage("page %d is of an unexpected kind", id)
	}
	for i := range count {
		e := b[pageHeader+i*element:]
		if kind == pageBranch {
			err = w.branch(id, i, e, t)
		} else {
			err = w.leaf(id, e, t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// branch goes down, and sees to it that a search for any key would end where
// the key is.
func (w *walker) branch(id uint64, i int, e []byte, t *tree) error {
	key, ok := part(e, le.Uint32(e), 0, le.Uint32(e[4:]))
	if !ok {
		return w.damage("page %d is damaged", id)
	}
	if i > 0 {
		if bytes.Compare(t.last, key) >= 0 {
			return w.damage("page %d is out of order", id)
		}
		t.floor = key
	}
	return w.tree(le.Uint64(e[8:]), nil, t)
}

func (w *walker) leaf(id uint64, e []byte, t *tree) error {
	pos, ksize, vsize := le.Uint32(e[4:]), le.Uint32(e[8:]), le.Uint32(e[12:])
	key, ok := part(e, pos, 0, ksize)
	value, ok2 := part(e, pos, ksize, vsize)
	if !ok || !ok2 {
		return w.damage("page %d is damaged", id)
	}
	if t.last != nil && bytes.Compare(t.last, key) >= 0 || bytes.Compare(key, t.floor) < 0 {
		return w.damage("page %d is out of order", id)
	}
	t.last = append(t.last[:0], key...)
	flags := le.Uint32(e)
	if flags > leafBucket {
		return w.damage("page %d is damaged", id)
	}
	return t.value(key, flags == leafBucket, value)
}

// part is e[pos+skip:][:n], if it is inside.
func part(e []byte, pos, skip, n uint32) ([]byte, bool) {
	from := uint64(pos) + uint64(skip)
	if from+uint64(n) > uint64(len(e)) {
		return nil, false
	}
	return e[from : from+uint64(n)], true
}

// freelist must name no page that is in use: the next write would overwrite it.
func (w *walker) freelist() error {
	b, err := w.claim(w.free)
	if err != nil {
		return err
	}
	if le.Uint16(b[8:]) != pageFreelist {
		return w.damage("its list of free pages is damaged")
	}
	n, ids := uint64(le.Uint16(b[10:])), b[pageHeader:]
	if n == manyFree {
		n, ids = le.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids))/8 {
		return w.damage("its list of free pages is damaged")
	}
	for i := range n {
		id := le.Uint64(ids[8*i:])
		if id < 2 || id >= w.end || w.used[id] {
			return w.damage("its list of free pages has page %d, which is in use", id)
		}
		w.used[id] = true
	}
	return nil
}

// format checks that the file is ours, and of a format that we know.
func (w *walker) format() error {
	for _, name := range [][]byte{bucketKV, bucketLeases, bucketLeaseKeys, bucketMeta} {
		if !w.found[string(name)] {
			return w.damage("it has no %q: not a sallyport state file", name)
		}
	}
	switch {
	case w.version > format:
		return &NewerError{File: w.path, Format: w.version}
	case w.version < format:
		return w.damage("its format number is damaged")
	}
	return nil
}
