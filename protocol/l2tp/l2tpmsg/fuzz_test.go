package l2tpmsg

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"sallyport/internal/secret"
	"sallyport/protocol/wire"
)

func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(fromHex(f, v.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			checkError(t, err, len(b))
			return
		}
		again, err := m.Append(nil)
		if err != nil {
			t.Fatalf("what was parsed does not append: %v", err)
		}
		back, err := Parse(again)
		if err != nil || !reflect.DeepEqual(m, back) {
			t.Fatalf("first\n%+v\nthen\n%+v (%v)", m, back, err)
		}
		m.Type()
		for _, a := range m.AVPs {
			_ = a.String()
			if a.Type == ResultCode {
				ParseResult(a.Value)
			}
		}
	})
}

// FuzzParseAVPs has the header right, and is what a peer can send.
func FuzzParseAVPs(f *testing.F) {
	for _, v := range vectors {
		f.Add(fromHex(f, v.hex)[ControlLen:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		avps, err := ParseAVPs(b)
		if err != nil {
			checkError(t, err, len(b))
			return
		}
		var again []byte
		for _, a := range avps {
			if again, err = a.append(again); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

func FuzzParseData(f *testing.F) {
	for _, flags := range bitsOfData() {
		f.Add(dataMessage(flags, 3, "\xff\x03\xc0\x21"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, frame, err := ParseData(b)
		if err != nil {
			if h != (DataHeader{}) || frame != nil {
				t.Fatalf("%v and yet %+v %x", err, h, frame)
			}
			return
		}
		back, again, err := ParseData(append(h.Append(nil), frame...))
		if err != nil || back != h || !bytes.Equal(again, frame) {
			t.Fatalf("%+v became %+v, %v", h, back, err)
		}
	})
}

func FuzzReveal(f *testing.F) {
	key := secret.Bytes("tunnel secret")
	for _, value := range []string{"", "a", "0123456789abcd", "a value that takes three blocks or so"} {
		a, err := Hide(CallingNumber, []byte(value), nil, []byte("vector"), key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Value, []byte("vector"))
	}
	f.Fuzz(func(t *testing.T, value, vector []byte) {
		plain, err := Reveal(AVP{Hidden: true, Type: CallingNumber, Value: value}, vector, key)
		if err != nil {
			return
		}
		if len(plain.Value) > len(value)-2 {
			t.Fatalf("%d octets from %d", len(plain.Value), len(value))
		}
	})
}

// checkError holds errors to naming a place within the input.
func checkError(t *testing.T, err error, size int) {
	t.Helper()
	e, ok := errors.AsType[*wire.Error](err)
	if !ok || e.What == "" || e.Reason == "" || e.Offset < 0 || e.Offset > max(size, ControlLen) {
		t.Fatalf("bad error %#v for %d octets", err, size)
	}
}
