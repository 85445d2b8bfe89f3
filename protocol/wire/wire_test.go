package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestReaderReadsFieldsInOrder(t *testing.T) {
	r := NewReader("thing", []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21})
	if got := r.U8(); got != 0x01 {
		t.Errorf("U8 = %#x", got)
	}
	if got := r.U16(); got != 0x0203 {
		t.Errorf("U16 = %#x", got)
	}
	if got := r.U24(); got != 0x040506 {
		t.Errorf("U24 = %#x", got)
	}
	if got := r.U32(); got != 0x0708090a {
		t.Errorf("U32 = %#x", got)
	}
	if got := r.U64(); got != 0x0b0c0d0e0f101112 {
		t.Errorf("U64 = %#x", got)
	}
	if got := r.Offset(); got != 18 {
		t.Errorf("Offset = %d, want 18", got)
	}
	if got := r.Peek(2); !bytes.Equal(got, []byte{19, 20}) || r.Len() != 3 {
		t.Errorf("Peek = %v with %d left", got, r.Len())
	}
	if got := r.Bytes(1); !bytes.Equal(got, []byte{19}) {
		t.Errorf("Bytes = %v", got)
	}
	if got := r.Rest(); !bytes.Equal(got, []byte{20, 21}) {
		t.Errorf("Rest = %v", got)
	}
	if err := r.Finish(); err != nil {
		t.Errorf("Finish: %v", err)
	}
}

func TestBytesHaveNoSpareCapacity(t *testing.T) {
	in := []byte{1, 2, 3}
	got := append(NewReader("thing", in).Bytes(1), 9)
	if in[1] != 2 {
		t.Errorf("appending to %v changed the input to %v", got, in)
	}
}

func TestFirstErrorStays(t *testing.T) {
	r := NewReader("thing", []byte{1, 2})
	if got := r.U32(); got != 0 {
		t.Errorf("short U32 = %d, want 0", got)
	}
	first := r.Err()
	if first == nil {
		t.Fatal("a short read left no error")
	}
	r.Fail("something else")
	for _, got := range []uint64{uint64(r.U8()), uint64(r.U16()), uint64(r.U24()), uint64(r.U32()), r.U64()} {
		if got != 0 {
			t.Errorf("a read after the error gave %d", got)
		}
	}
	if r.Bytes(0) != nil || r.Rest() != nil || r.Peek(1) != nil || r.Len() != 0 {
		t.Error("a failed reader still hands out octets")
	}
	if r.Finish() != first {
		t.Errorf("error changed from %q to %q", first, r.Err())
	}
}

func TestErrorText(t *testing.T) {
	input := make([]byte, 40)
	for _, c := range []struct {
		name string
		read func(r *Reader)
		want string
	}{
		{"in the root", func(r *Reader) { r.Bytes(39); r.U16() },
			"message at 39: needs 2 octets, 1 are left"},
		{"left over in the root", func(r *Reader) { r.Bytes(37) },
			"message at 37: 3 octets are left over"},
		{"in a structure", func(r *Reader) { r.Bytes(28); r.Sub(3, "SA payload").U32() },
			"SA payload at 28: needs 4 octets, 3 are left"},
		{"left over in a structure", func(r *Reader) { r.Bytes(28); s := r.Sub(3, "SA payload"); s.U8(); s.Finish() },
			"SA payload at 28: 2 octets are left over"},
		{"deeper", func(r *Reader) {
			r.Bytes(28)
			sa := r.Sub(12, "SA payload")
			sa.U32()
			sa.Item(8, "proposal", 2).Item(4, "transform", 1).Fail("length %d is under 8", 3)
		}, "SA payload at 28: proposal 2: transform 1: length 3 is under 8"},
		{"a structure longer than its parent", func(r *Reader) { r.Sub(20, "outer").Item(21, "inner", 7) },
			"outer at 0: inner 7: needs 21 octets, 20 are left"},
		{"a negative length", func(r *Reader) { r.Sub(-1, "outer") },
			"outer at 0: needs -1 octets, 40 are left"},
		{"a structure of a failed reader", func(r *Reader) { r.Fail("no"); r.Sub(1, "outer").Fail("later") },
			"message at 0: no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader("message", input)
			c.read(r)
			err := r.Finish()
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("%T is not an *Error", err)
			}
		})
	}
}

func TestFailureStopsEveryLoop(t *testing.T) {
	r := NewReader("message", make([]byte, 100))
	outer := r.Sub(50, "outer")
	for inner := outer.Sub(10, "inner"); inner.Len() > 0; {
		inner.Fail("no")
	}
	if outer.Len() != 0 || r.Len() != 0 {
		t.Errorf("outer has %d and root %d octets left after the failure", outer.Len(), r.Len())
	}
	if outer.Err() == nil || outer.Err() != r.Err() {
		t.Errorf("outer says %v, root says %v", outer.Err(), r.Err())
	}
}

func TestLaterFailureInsideChangesNothingOutside(t *testing.T) {
	r := NewReader("message", make([]byte, 8))
	inner := r.Sub(4, "inner")
	r.Fail("first")
	inner.Fail("second")
	if got := r.Err().Error(); got != "message at 4: first" {
		t.Errorf("the outer error is now %q", got)
	}
	if got := inner.Err().Error(); got != "inner at 0: second" {
		t.Errorf("the inner error is %q", got)
	}
}

func TestSiblingsKeepTheirOwnState(t *testing.T) {
	r := NewReader("message", []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	var subs []*Reader
	for n := range 12 {
		subs = append(subs, r.Item(1, "octet", n+1))
	}
	for n, s := range subs {
		if got := s.U8(); int(got) != n+1 || s.Offset() != n+1 {
			t.Errorf("reader %d read %d and stands at %d", n+1, got, s.Offset())
		}
	}
	if err := r.Finish(); err != nil {
		t.Error(err)
	}
}

func TestAppend(t *testing.T) {
	b := AppendU16(nil, 0x0102)
	b = AppendU24(b, 0xff030405)
	b = AppendU32(b, 0x06070809)
	b = AppendU64(b, 0x0a0b0c0d0e0f1011)
	want := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}
	if !bytes.Equal(b, want) {
		t.Errorf("got %v, want %v", b, want)
	}
}

func TestSetLen16(t *testing.T) {
	b := []byte{0xaa, 1, 0xff, 0xff, 5, 6, 7}
	if err := SetLen16(b, 2, 1); err != nil {
		t.Fatal(err)
	}
	if want := []byte{0xaa, 1, 0, 6, 5, 6, 7}; !bytes.Equal(b, want) {
		t.Errorf("got %v, want %v", b, want)
	}
	if err := SetLen16(make([]byte, 65535), 0, 0); err != nil {
		t.Errorf("65535 octets: %v", err)
	}
	if err := SetLen16(make([]byte, 65536), 0, 0); err == nil || !strings.Contains(err.Error(), "65536") {
		t.Errorf("65536 octets: %v", err)
	}
}

// FuzzReader drives a reader by a program of its own octets: whatever it is
// asked, it hands out each octet of the input at most once and in order.
func FuzzReader(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5}, []byte{0, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte{0xff, 0xff}, []byte{3, 3})
	f.Fuzz(func(t *testing.T, input, program []byte) {
		r := NewReader("input", input)
		stack := []*Reader{r}
		at := 0
		take := func(b []byte) {
			if !bytes.Equal(b, input[at:at+len(b)]) {
				t.Fatalf("read %x at %d of %x", b, at, input)
			}
			at += len(b)
		}
		for _, op := range program {
			top := stack[len(stack)-1]
			n := int(op >> 3)
			switch op & 7 {
			case 0, 1, 2:
				take(top.Bytes(n))
			case 3:
				take(top.Bytes(-n))
			case 4:
				stack = append(stack, top.Sub(n, "sub"))
			case 5:
				take(top.Rest())
			default:
				if len(stack) > 1 {
					top.Finish()
					stack = stack[:len(stack)-1]
				}
			}
			if r.Err() == nil && stack[len(stack)-1].Offset() != at {
				t.Fatalf("stands at %d after %d octets", stack[len(stack)-1].Offset(), at)
			}
		}
	})
}
