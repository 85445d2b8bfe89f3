// Package wire reads and writes the nested, length-prefixed formats of the
// network protocols in Sallyport: big-endian numbers, octet strings, and
// structures inside structures.
//
// A Reader is sticky: its first error stays, and every read after it yields
// zero values, so a parser reads field after field as the RFC draws them and
// checks once at the end. Nothing here allocates in proportion to a number
// that a peer wrote.
package wire

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// Error says which structure of a message is malformed, where it begins, and
// why, as in "SA payload at 28: proposal 2: length 3 is under 8".
type Error struct {
	What   string // the outermost named structure that holds the fault
	Offset int    // octets from the beginning of the input to that structure
	Reason string // the inner structures by name, and the fault
}

// Error joins the three parts into one line.
func (e *Error) Error() string {
	return e.What + " at " + strconv.Itoa(e.Offset) + ": " + e.Reason
}

// Reader takes fields off the front of a byte slice. It is for one goroutine.
// The zero Reader is empty. What it hands out aliases the input.
type Reader struct {
	b      []byte // what is left
	off    int    // absolute offset of b[0]
	start  int    // absolute offset at which this reader began
	what   string
	number int // shown after what when positive
	parent *Reader
	err    *Error
	slab   *[]Reader // room for further Subs, shared by all of one input
}

// slabSize is how many Subs are made at once: messages have dozens, and one
// allocation each would cost more than the parsing.
const slabSize = 8

// NewReader reads b from offset 0. The name what stands in errors that arise
// outside of any Sub.
func NewReader(what string, b []byte) *Reader {
	return &Reader{what: what, b: b}
}

// Sub takes the next n octets as a structure of their own, named what in
// errors. A failure inside it is also a failure of r.
func (r *Reader) Sub(n int, what string) *Reader { return r.Item(n, what, 0) }

// Item is Sub for one of several alike; errors show a positive number after
// the name.
func (r *Reader) Item(n int, what string, number int) *Reader {
	c := r.spare()
	*c = Reader{what: what, number: number, parent: r, off: r.off, start: r.off, err: r.err, slab: r.slab}
	switch {
	case r.err != nil:
	case n < 0 || n > len(r.b):
		c.Fail("needs %d octets, %d are left", n, len(r.b))
	default:
		c.b = r.b[:n:n]
		r.b = r.b[n:]
		r.off += n
	}
	return c
}

func (r *Reader) spare() *Reader {
	if r.slab == nil {
		r.slab = new([]Reader)
	}
	if len(*r.slab) == 0 {
		*r.slab = make([]Reader, slabSize)
	}
	c := &(*r.slab)[0]
	*r.slab = (*r.slab)[1:]
	return c
}

// U8 reads one octet.
func (r *Reader) U8() uint8 {
	if b := r.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// U16 reads two octets.
func (r *Reader) U16() uint16 {
	if b := r.Bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// U24 reads three octets.
func (r *Reader) U24() uint32 {
	if b := r.Bytes(3); b != nil {
		return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
	}
	return 0
}

// U32 reads four octets.
func (r *Reader) U32() uint32 {
	if b := r.Bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// U64 reads eight octets.
func (r *Reader) U64() uint64 {
	if b := r.Bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Bytes reads n octets. The result aliases the input, has no spare capacity,
// and is nil when r has failed or holds fewer than n.
func (r *Reader) Bytes(n int) []byte {
	p := r.Peek(n)
	if p != nil {
		r.b = r.b[n:]
		r.off += n
	}
	return p
}

// Peek is Bytes without moving on.
func (r *Reader) Peek(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.Fail("needs %d octets, %d are left", n, len(r.b))
	}
	if r.err != nil {
		return nil
	}
	if n == 0 {
		return []byte{}
	}
	return r.b[:n:n]
}

// Rest reads everything that is left; it may be empty, and is nil after a
// failure.
func (r *Reader) Rest() []byte { return r.Bytes(len(r.b)) }

// Len is the number of octets left, 0 after a failure: a loop over Len ends.
func (r *Reader) Len() int { return len(r.b) }

// Offset is where the next read begins, in octets from the beginning of the
// input of the outermost reader.
func (r *Reader) Offset() int { return r.off }

// Fail makes r and the readers it was taken from fail, unless they have
// already. The text continues "SA payload at 28: ".
func (r *Reader) Fail(format string, args ...any) {
	if r.err != nil {
		return
	}
	e := r.fault(fmt.Sprintf(format, args...))
	for p := r; p != nil; p = p.parent {
		if p.err == nil {
			p.err = e
		}
		p.b = nil
	}
}

// fault places a reason: the outermost Sub gives name and offset, the ones
// inside it lead the reason, the root speaks only for itself.
func (r *Reader) fault(reason string) *Error {
	if r.parent == nil {
		return &Error{What: r.what, Offset: r.off, Reason: reason}
	}
	p := r
	for ; p.parent.parent != nil; p = p.parent {
		reason = p.name() + ": " + reason
	}
	return &Error{What: p.name(), Offset: p.start, Reason: reason}
}

func (r *Reader) name() string {
	if r.number > 0 {
		return r.what + " " + strconv.Itoa(r.number)
	}
	return r.what
}

// Err is the first failure, an *Error, or nil.
func (r *Reader) Err() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// Finish ends the reading of a structure: octets left over are a failure.
func (r *Reader) Finish() error {
	if len(r.b) > 0 {
		r.Fail("%d octets are left over", len(r.b))
	}
	return r.Err()
}

// AppendU16 appends v in two octets.
func AppendU16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }

// AppendU24 appends the low three octets of v.
func AppendU24(b []byte, v uint32) []byte { return append(b, byte(v>>16), byte(v>>8), byte(v)) }

// AppendU32 appends v in four octets.
func AppendU32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// AppendU64 appends v in eight octets.
func AppendU64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// SetLen16 writes the number of octets from b[from:] to the end of b into the
// two octets at b[field:]. It closes a structure whose length was not known
// when its first octets were appended. More than 65,535 octets is an error.
func SetLen16(b []byte, field, from int) error {
	n := len(b) - from
	if n > 0xffff {
		return fmt.Errorf("%d octets do not fit a 16-bit length", n)
	}
	binary.BigEndian.PutUint16(b[field:], uint16(n))
	return nil
}
