package ikemsg

import (
	"errors"
	"reflect"
	"testing"

	"sallyport/protocol/wire"
)

func FuzzHeader(f *testing.F) {
	f.Add(messageOf(PayloadNone, nil))
	f.Add([]byte("too short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			if h != (Header{}) {
				t.Fatalf("%v and yet %+v", err, h)
			}
			return
		}
		if h.Major != Version {
			return
		}
		again, err := h.append(nil, h.NextPayload, int(h.Length))
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseHeader(append(again, make([]byte, len(b)-HeaderLen)...))
		if err != nil || back != h {
			t.Fatalf("%+v became %+v, %v", h, back, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(messageOf(v.kind, fromHex(f, v.hex)))
	}
	init, err := windowsInit().Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(init)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			checkError(t, err, len(b))
			return
		}
		show(m.Payloads)
		checkSecondParse(t, m)
	})
}

// FuzzParsePayloads has the length fields of the chain right more often than
// FuzzParse, and is what a peer with keys can send.
func FuzzParsePayloads(f *testing.F) {
	for _, v := range vectors {
		f.Add(byte(v.kind), fromHex(f, v.hex))
	}
	body, err := AppendPayloads(nil, authBody())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(byte(PayloadIDi), body)
	f.Fuzz(func(t *testing.T, first byte, b []byte) {
		ps, err := ParsePayloads(PayloadType(first), b)
		if err != nil {
			checkError(t, err, len(b))
			return
		}
		show(ps)
		if len(ps) > maxPayloads {
			t.Fatalf("%d payloads", len(ps))
		}
		if hasEmptyTS(ps) {
			return
		}
		again, err := AppendPayloads(nil, ps)
		if err != nil {
			t.Fatalf("what was parsed does not append: %v", err)
		}
		back, err := ParsePayloads(PayloadType(first), again)
		if err != nil || !reflect.DeepEqual(ps, back) {
			t.Fatalf("first\n%+v\nthen\n%+v (%v)", ps, back, err)
		}
	})
}

// checkError holds errors to naming a place within the input.
func checkError(t *testing.T, err error, size int) {
	t.Helper()
	e, ok := errors.AsType[*wire.Error](err)
	if !ok || e.What == "" || e.Reason == "" || e.Offset < 0 || e.Offset > max(size, HeaderLen) {
		t.Fatalf("bad error %#v for %d octets", err, size)
	}
}

// show prints what a log or a report would.
func show(ps []Payload) {
	for _, p := range ps {
		_ = p.PayloadType().String()
		switch p := p.(type) {
		case *ID:
			_ = p.String()
		case *TS:
			for _, s := range p.Selectors {
				_ = s.String()
			}
		case *CertReq:
			p.Asks([hashLen]byte{})
		}
	}
}
