package eap

import (
	"bytes"
	"strings"
	"testing"
)

func TestFrameVectors(t *testing.T) {
	for _, v := range []struct {
		name, octets string
		frame        frame
		least        int // octets that make a frame, however short
	}{
		{"start", "20", frame{Flags: 0x20}, 1},
		{"acknowledgement", "00", frame{}, 1},
		{"whole", "80 00000003 aabbcc", frame{Flags: 0x80, Length: 3, TLS: unhex("aabbcc")}, 5},
		{"first fragment", "c0 00001000 aabb", frame{Flags: 0xc0, Length: 4096, TLS: unhex("aabb")}, 5},
		{"last fragment", "00 cc", frame{TLS: unhex("cc")}, 1},
	} {
		b := unhex(v.octets)
		f, err := parseFrame(b)
		if err != nil || f.Flags != v.frame.Flags || f.Length != v.frame.Length || !bytes.Equal(f.TLS, v.frame.TLS) {
			t.Errorf("%s: %+v, %v", v.name, f, err)
		}
		if got := v.frame.append(nil); !bytes.Equal(got, b) {
			t.Errorf("%s: appended % x", v.name, got)
		}
		for n := range v.least {
			if f, err := parseFrame(b[:n]); err == nil {
				t.Errorf("%s: the first %d octets are %+v", v.name, n, f)
			}
		}
	}
}

// feed hands frames to a joiner and returns the message, or the first error.
func feed(frames ...frame) ([]byte, error) {
	f := fragments{size: 100}
	for i, p := range frames {
		message, reply, err := f.receive(p)
		if err != nil || (reply == nil) != (i == len(frames)-1) {
			return message, err
		}
		if i == len(frames)-1 {
			return message, nil
		}
	}
	return nil, nil
}

func TestFragmentsJoin(t *testing.T) {
	a, b, c := bytes.Repeat([]byte{1}, 300), bytes.Repeat([]byte{2}, 300), []byte{3}
	want := append(append(append([]byte{}, a...), b...), c...)
	for name, frames := range map[string][]frame{
		"length first":      {{Flags: 0xc0, Length: 601, TLS: a}, {Flags: 0x40, TLS: b}, {TLS: c}},
		"length everywhere": {{Flags: 0xc0, Length: 601, TLS: a}, {Flags: 0xc0, Length: 601, TLS: b}, {Flags: 0x80, Length: 601, TLS: c}},
		"whole":             {{Flags: 0x80, Length: 601, TLS: want}},
		"whole, no length":  {{TLS: want}},
	} {
		if got, err := feed(frames...); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d octets, %v", name, len(got), err)
		}
	}
}

// Trap 44: what fragments get wrong.
func TestBadFragmentsAreErrors(t *testing.T) {
	big := bytes.Repeat([]byte{1}, 16000)
	for name, frames := range map[string][]frame{
		"more without length at first":   {{Flags: 0x40, TLS: big}},
		"length changes":                 {{Flags: 0xc0, Length: 32000, TLS: big}, {Flags: 0x80, Length: 32001, TLS: big}},
		"length over the cap":            {{Flags: 0xc0, Length: maxFlight + 1, TLS: big}},
		"length of 4 GiB":                {{Flags: 0xc0, Length: 0xffffffff, TLS: big}},
		"more data than declared":        {{Flags: 0xc0, Length: 16001, TLS: big}, {TLS: big}},
		"more data than declared, whole": {{Flags: 0x80, Length: 15999, TLS: big}},
		"less data than declared":        {{Flags: 0xc0, Length: 64000, TLS: big}, {TLS: big}},
		"less data than declared, whole": {{Flags: 0x80, Length: 16001, TLS: big}},
		"empty with more":                {{Flags: 0xc0, Length: 16000}},
		"empty with more, later":         {{Flags: 0xc0, Length: 32000, TLS: big}, {Flags: 0x40}},
		"declared empty, more follows":   {{Flags: 0xc0, Length: 0, TLS: big}},
	} {
		if message, err := feed(frames...); err == nil {
			t.Errorf("%s: a message of %d octets", name, len(message))
		}
	}
}

func TestFragmentsAreCut(t *testing.T) {
	message := bytes.Repeat([]byte("0123456789"), 25)
	sender, receiver := fragments{size: 100}, fragments{size: 100}
	data := sender.send(message)
	for n := 1; ; n++ {
		p, err := parseFrame(data)
		if err != nil || len(p.TLS) > 100 || (p.Flags&flagLength != 0) != (n == 1) {
			t.Fatalf("fragment %d: %+v, %v", n, p, err)
		}
		got, ack, err := receiver.receive(p)
		if err != nil {
			t.Fatal(err)
		}
		if ack == nil {
			if n != 3 || !bytes.Equal(got, message) {
				t.Fatalf("%d octets in %d fragments", len(got), n)
			}
			break
		}
		p, _ = parseFrame(ack)
		if _, data, err = sender.receive(p); err != nil || data == nil {
			t.Fatalf("no fragment after %d: %v", n, err)
		}
	}
	// The last fragment's acknowledgement, or the answer, is a message.
	if message, reply, err := sender.receive(frame{}); err != nil || reply != nil || len(message) != 0 {
		t.Errorf("% x, % x, %v", message, reply, err)
	}
}

func TestDataInsteadOfAnAcknowledgementIsAnError(t *testing.T) {
	for _, p := range []frame{{TLS: []byte{1}}, {Flags: flagMore}, {Flags: flagMore | flagLength, Length: 9, TLS: []byte{1}}} {
		f := fragments{size: 100}
		f.send(make([]byte, 250))
		if _, _, err := f.receive(p); err == nil || !strings.Contains(err.Error(), "acknowledgement was due") {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(unhex("20"), unhex("00"))
	f.Add(unhex("c000000004aabb"), unhex("00ccdd"))
	f.Add(unhex("c0ffffffffaabb"), unhex("40"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		joiner := fragments{size: 100}
		for _, data := range [][]byte{a, b, a} {
			p, err := parseFrame(data)
			if err != nil {
				return
			}
			again, err := parseFrame(p.append(nil))
			if err != nil || again.Flags != p.Flags || again.Length != p.Length || !bytes.Equal(again.TLS, p.TLS) {
				t.Fatalf("%+v became %+v, %v", p, again, err)
			}
			message, _, err := joiner.receive(p)
			if len(message) > len(a)*2+len(b) || len(joiner.in) > maxFlight {
				t.Fatalf("%d octets from %d", len(message), len(a)*2+len(b))
			}
			if err != nil {
				return
			}
		}
	})
}
