package l2tpmsg

import (
	"bytes"
	"fmt"
	"testing"

	"sallyport/protocol/wire"
)

// dataMessage builds a data message with any bits; nothing else here can.
func dataMessage(flags uint16, padding int, frame string) []byte {
	b := wire.AppendU16(nil, flags|Version)
	if flags&bitLength != 0 {
		b = wire.AppendU16(b, 0)
	}
	b = wire.AppendU16(wire.AppendU16(b, 0x1234), 0x0102)
	if flags&bitSequence != 0 {
		b = wire.AppendU16(wire.AppendU16(b, 0xfffe), 0xdead)
	}
	if flags&bitOffset != 0 {
		b = wire.AppendU16(b, uint16(padding))
		b = append(b, bytes.Repeat([]byte{0xee}, padding)...)
	}
	b = append(b, frame...)
	if flags&bitLength != 0 {
		b[2], b[3] = byte(len(b)>>8), byte(len(b))
	}
	return b
}

// bitsOfData are the 16 combinations, each with reserved bits too.
func bitsOfData() (all []uint16) {
	for i := range uint16(32) {
		flags := i&1*bitLength | i>>1&1*bitSequence | i>>2&1*bitOffset | i>>3&1*bitPriority
		all = append(all, flags|i>>4&1*0x34f0)
	}
	return all
}

func TestDataMessagesInEveryCombination(t *testing.T) {
	for _, flags := range bitsOfData() {
		for _, padding := range []int{0, 1, 7, 300} {
			for _, frame := range []string{"", "\xff\x03\xc0\x21", "\x21E"} {
				name := fmt.Sprintf("flags %04x, %d octets of padding, frame %q", flags, padding, frame)
				b := dataMessage(flags, padding, frame)
				want := DataHeader{Tunnel: 0x1234, Session: 0x0102, Priority: flags&bitPriority != 0}
				if flags&bitSequence != 0 {
					want.Sequenced, want.Ns = true, 0xfffe
				}
				h, got, err := ParseData(b)
				if err != nil || h != want || string(got) != frame {
					t.Errorf("%s: %+v %q %v", name, h, got, err)
				}
				for n := range len(b) - len(frame) {
					if h, got, err := ParseData(b[:n]); err == nil {
						t.Errorf("%s: the first %d octets give %+v %q", name, n, h, got)
					}
				}
				h, got, err = ParseData(append(b, "after it"...))
				wantFrame := frame + "after it"
				if flags&bitLength != 0 {
					wantFrame = frame
				}
				if err != nil || string(got) != wantFrame || h != want {
					t.Errorf("%s: with octets after it, %q %v", name, got, err)
				}
			}
		}
	}
}

func TestDataMessagesThatAreNone(t *testing.T) {
	for name, hex := range map[string]string{
		"nothing":                      "",
		"one octet":                    "00",
		"a control message":            "c802 000c 0007 0000 0001 0002",
		"version 1":                    "0001 1234 0102 21",
		"version 3":                    "0003 1234 0102 21",
		"an offset past the end":       "0202 1234 0102 0002 21",
		"the longest offset":           "0202 1234 0102 ffff 21",
		"a length under the header":    "4002 0007 1234 0102 21",
		"a length of 0":                "4002 0000 1234 0102 21",
		"a length under its own field": "4002 0003 1234 0102 21",
		"a length past the end":        "4002 000a 1234 0102 21",
		"a length inside Ns":           "4802 000a 1234 0102 0001 0000 21",
	} {
		if h, frame, err := ParseData(fromHex(t, hex)); err == nil || frame != nil || h != (DataHeader{}) {
			t.Errorf("%s: %+v %x %v", name, h, frame, err)
		}
	}
}

func TestDataHeaderRoundTrip(t *testing.T) {
	for _, h := range []DataHeader{
		{Tunnel: 1, Session: 2}, {Tunnel: 0xffff, Session: 0xfffe, Priority: true},
		{Tunnel: 1, Session: 2, Sequenced: true, Ns: 0xffff}, {Tunnel: 1, Session: 2, Sequenced: true, Ns: 7, Priority: true},
	} {
		b := h.Append(nil)
		if len(b) > MaxDataHeader {
			t.Errorf("%+v takes %d octets", h, len(b))
		}
		back, frame, err := ParseData(append(b, "frame"...))
		if err != nil || back != h || string(frame) != "frame" {
			t.Errorf("%+v became %+v %q %v", h, back, frame, err)
		}
		if h.Sequenced && (b[6] != byte(h.Ns>>8) || b[7] != byte(h.Ns)) {
			t.Errorf("Ns is not at octet 6 of %x", b)
		}
	}
	if b := (DataHeader{Tunnel: 0x1234, Session: 0x0102}).Append(nil); !bytes.Equal(b, []byte{0, 2, 0x12, 0x34, 1, 2}) {
		t.Errorf("the shortest header is %x", b)
	}
}

func TestDataMessagesAllocateNothing(t *testing.T) {
	good := dataMessage(bitLength|bitSequence|bitOffset, 3, "frame")
	bad := []byte{0x02, 0x02, 0, 1, 0, 2, 0xff, 0xff}
	room := make([]byte, 0, MaxDataHeader)
	h := DataHeader{Tunnel: 1, Session: 2, Sequenced: true}
	n := testing.AllocsPerRun(100, func() {
		ParseData(good)
		ParseData(bad)
		ParseControlHeader(good)
		IsControl(good)
		h.Append(room)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
