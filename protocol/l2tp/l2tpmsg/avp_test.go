package l2tpmsg

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/secret"
	"sallyport/protocol/wire"
)

// TestCVE_2020_15173_LengthsUnderTheHead: accel-ppp subtracted 6 from the
// length of an AVP.
func TestCVE_2020_15173_LengthsUnderTheHead(t *testing.T) {
	for length := range byte(6) {
		for _, rest := range []int{0, 2, 4, 100} {
			body := append([]byte{0x80, length}, make([]byte, rest)...)
			avps, err := ParseAVPs(body)
			want := fmt.Sprintf("AVP 1 at 0: length %d is under 6", length)
			if err == nil || avps != nil || !strings.Contains(err.Error(), want) {
				t.Errorf("length %d, %d octets after it: %v %v", length, rest, avps, err)
			}
		}
	}
	for _, body := range []string{"80", "8007 0000 0007", "83ff 0000 0007 61", "8008 0000 0000 0001 80", "8008 0000 0000 0001 8006"} {
		if avps, err := ParseAVPs(fromHex(t, body)); err == nil {
			t.Errorf("%s is %v", body, avps)
		}
	}
}

// TestXL2TPD_LengthsNeverLoop: a hidden AVP with octets left over, and AVPs of
// no length, made old xl2tpd read for ever.
func TestXL2TPD_LengthsNeverLoop(t *testing.T) {
	zeros := make([]byte, 1000)
	if avps, err := ParseAVPs(zeros); err == nil {
		t.Errorf("zeros are %v", avps)
	}
	many := bytes.Repeat([]byte{0, 6, 0, 0, 0, 99}, maxAVPs)
	if avps, err := ParseAVPs(many); err != nil || len(avps) != maxAVPs {
		t.Errorf("%d AVPs: %d, %v", maxAVPs, len(avps), err)
	}
	if avps, err := ParseAVPs(append(many, many[:6]...)); err == nil {
		t.Errorf("%d AVPs pass", len(avps))
	}
}

// TestAccel_2bbf451b_LongStrings: a Calling Number of 1,017 octets went into a
// field of 254.
func TestAccel_2bbf451b_LongStrings(t *testing.T) {
	for _, n := range []int{0, 1, 253, 254, 255, MaxValue} {
		value := bytes.Repeat([]byte("7"), n)
		b, err := New(ControlHeader{}, ICRQ, Octets(CallingNumber, value), Octets(CalledNumber, value)).Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(b)
		if err != nil || len(m.AVPs) != 3 || !bytes.Equal(m.AVPs[1].Value, value) || !bytes.Equal(m.AVPs[2].Value, value) {
			t.Errorf("%d octets: %v %v", n, m, err)
		}
	}
	long := make([]byte, MaxValue+1)
	if a := Octets(HostName, long); len(a.Value) != MaxValue {
		t.Errorf("Octets makes a value of %d octets", len(a.Value))
	}
	if _, err := New(ControlHeader{}, SCCRQ, AVP{Type: HostName, Value: long}).Append(nil); err == nil {
		t.Error("a value that does not fit is encoded")
	}
}

func TestTooLongMessagesAreNotEncoded(t *testing.T) {
	big := Octets(HostName, make([]byte, MaxValue))
	if _, err := New(ControlHeader{}, SCCRQ, slices.Repeat([]AVP{big}, 65)...).Append(nil); err == nil {
		t.Error("66,000 octets are a message")
	}
}

func TestMessageTypeMustBeFirstAndClear(t *testing.T) {
	first := U16(MessageTypeAVP, uint16(HELLO))
	hidden, vendor, reserved, long := first, first, first, first
	hidden.Hidden, vendor.Vendor, reserved.Reserved, long.Value = true, 9, 1, []byte{0, 6, 0}
	for name, c := range map[string]struct {
		avps []AVP
		ok   bool
	}{
		"alone": {[]AVP{first}, true}, "first": {[]AVP{first, U16(AssignedTunnelID, 1)}, true},
		"second": {[]AVP{U16(AssignedTunnelID, 1), first}, false}, "hidden": {[]AVP{hidden}, false},
		"of a vendor": {[]AVP{vendor}, false}, "with reserved bits": {[]AVP{reserved}, false},
		"of three octets": {[]AVP{long}, false}, "nothing at all": {nil, false},
	} {
		kind, mandatory, err := Message{AVPs: c.avps}.Type()
		if (err == nil) != c.ok || c.ok && (kind != HELLO || !mandatory) {
			t.Errorf("%s: %v %v %v", name, kind, mandatory, err)
		}
	}
}

func TestResultCodes(t *testing.T) {
	for name, c := range map[string]struct {
		hex  string
		want Result
		bad  bool
	}{
		"alone":                 {hex: "0003", want: Result{Code: 3}},
		"with an error":         {hex: "0002 0006", want: Result{Code: 2, Error: ErrorVendor, HasError: true}},
		"with a text":           {hex: "0002 0008 6e6f", want: Result{Code: 2, Error: ErrorMandatoryAVP, HasError: true, Text: "no"}},
		"nothing":               {hex: "", bad: true},
		"one octet":             {hex: "00", bad: true},
		"half an error":         {hex: "0001 00", bad: true},
		"reserved":              {hex: "0000", want: Result{}},
		"unknown":               {hex: "0123", want: Result{Code: 0x123}},
		"Apple hangs up":        {hex: "0300", want: Result{Code: 3, Swapped: true}},
		"Apple, with an error":  {hex: "0200 0600", want: Result{Code: 2, Error: ErrorVendor, HasError: true, Swapped: true}},
		"Apple closes a tunnel": {hex: "0100 0000", want: Result{Code: 1, HasError: true, Swapped: true}},
	} {
		got, err := ParseResult(fromHex(t, c.hex))
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		if c.bad || got.Swapped {
			continue
		}
		if a := got.AVP(); !bytes.Equal(a.Value, fromHex(t, c.hex)) || !a.Mandatory {
			t.Errorf("%s: encodes as %+v", name, a)
		}
	}
}

// The vectors of hidden values were computed apart, with Python's hashlib.
func TestHiddenValues(t *testing.T) {
	key, vector := secret.Bytes("tunnel secret"), count(0, 16)
	for name, c := range map[string]struct {
		kind           AVPType
		value, padding string
		hidden         string
	}{
		"under 16 octets": {AssignedTunnelID, "\x12\x34", "", "9b7afb1f"},
		"16 octets":       {CallingNumber, "0123456789abcd", "", "e6eab790d95b46c37749efc9230c9f89"},
		"three blocks, with padding": {CallingNumber, "a number of more than 32 octets, 0123456789", "padding",
			"e6cfe681851d1f94240cf79f244e918276bf5d9e06dd83ea3df238bf6cfa0391ab39b5e187ce60bae96161c2ff9f458f94dd9bb3"},
	} {
		a, err := Hide(c.kind, []byte(c.value), []byte(c.padding), vector, key)
		if err != nil || !a.Hidden || !bytes.Equal(a.Value, fromHex(t, c.hidden)) {
			t.Errorf("%s: %+v %v", name, a, err)
		}
		plain, err := Reveal(a, vector, key)
		if err != nil || plain.Hidden || string(plain.Value) != c.value || plain.Type != c.kind {
			t.Errorf("%s: uncovered is %+v %v", name, plain, err)
		}
		if got, err := Reveal(a, vector, secret.Bytes("another")); err == nil && string(got.Value) == c.value {
			t.Errorf("%s: another secret uncovers it", name)
		}
	}
	if _, err := Hide(HostName, make([]byte, MaxValue-1), nil, vector, key); err == nil {
		t.Error("a hidden value of 1,018 octets is made")
	}
	if _, err := Hide(HostName, make([]byte, MaxValue-2), nil, vector, key); err != nil {
		t.Error(err)
	}
}

// TestAccel_9554ce05_InnerLengthOfHiddenValues: the length inside a hidden
// value was believed, and what lay behind it in memory read.
func TestAccel_9554ce05_InnerLengthOfHiddenValues(t *testing.T) {
	key, vector := secret.Bytes("tunnel secret"), []byte{}
	for room := range 40 {
		for _, claim := range []int{0, 1, room - 3, room - 2, room - 1, room, 1017, 0xffff} {
			if claim < 0 {
				continue
			}
			// Hide covers what looks like value and padding: the claim takes the
			// place of the length.
			plain := append(wire.AppendU16(nil, uint16(claim)), make([]byte, max(room-2, 0))...)[:room]
			a := AVP{Hidden: true, Type: HostName, Value: bytes.Clone(plain)}
			for i := 0; i < room; i += 16 {
				cover(a.Value[i:], block(HostName, a.Value[max(0, i-16):i], vector, key))
			}
			got, err := Reveal(a, vector, key)
			if fits := room >= 2 && claim <= room-2; (err == nil) != fits || fits && len(got.Value) != claim {
				t.Errorf("%d octets that claim %d: %d, %v", room, claim, len(got.Value), err)
			}
		}
	}
}

func TestChallengeResponses(t *testing.T) {
	key := secret.Bytes("tunnel secret")
	for kind, want := range map[MessageType]string{
		SCCRP: "8918ffa38acbbc319ed55e83ffe75948", SCCCN: "7659050c6a112c0a8356becbae97925b",
	} {
		if a := Respond(kind, []byte("challenge"), key); !bytes.Equal(a.Value, fromHex(t, want)) || a.Type != ChallengeResponse || !a.Mandatory {
			t.Errorf("%v: %+v", kind, a)
		}
	}
}

func TestTablesAgree(t *testing.T) {
	placed := map[AVPType]bool{MessageTypeAVP: true, RandomVector: true}
	for kind := range MessageType(20) {
		c := kind.Content()
		if (c == nil) != (strings.HasPrefix(kind.String(), "message type")) {
			t.Errorf("%v has a name or a row, not both", kind)
		}
		if c == nil {
			continue
		}
		all := append(slices.Clone(c.Required), c.Optional...)
		for i, a := range all {
			placed[a] = true
			if _, ok := a.Form(); !ok {
				t.Errorf("%v holds %v, which has no form", kind, a)
			}
			if slices.Contains(all[:i], a) || !c.Has(a) {
				t.Errorf("%v: %v stands twice or not at all", kind, a)
			}
		}
	}
	for a := range AVPType(50) {
		f, ok := a.Form()
		if ok != placed[a] || ok && (f.Min > f.Max || f.Max > MaxValue) {
			t.Errorf("%v: in a message %v, with a form %v: %+v", a, placed[a], ok, f)
		}
	}
}

func TestNamesOfNumbers(t *testing.T) {
	for got, want := range map[string]string{
		fmt.Sprint(SCCRQ, MessageType(5), MessageType(999)):        "SCCRQ message type 5 message type 999",
		fmt.Sprint(HostName, AVPType(20), AVPType(999)):            "Host Name AVP 20 AVP 999",
		fmt.Sprint(StopShutdown, StopCode(0), StopCode(99)):        "being shut down result 0 result 99",
		fmt.Sprint(CallBusy, CallCode(0), CallCode(12)):            "busy result 0 result 12",
		fmt.Sprint(ErrorNone, ErrorCode(9)):                        "no general error error 9",
		fmt.Sprint(AVP{Type: HostName}):                            "Host Name AVP",
		fmt.Sprint(AVP{Type: 99}):                                  "AVP 99",
		fmt.Sprint(AVP{Type: HostName, Vendor: 9}):                 "AVP 7 of vendor 9",
		fmt.Sprint(AVP{Type: HostName, Reserved: 1}):               "Host Name AVP with reserved bits",
		fmt.Sprint(ControlHeader{Tunnel: 1, Session: 2, Ns: 3}):    "tunnel 1 session 2 Ns 3 Nr 0",
		fmt.Sprint(AVP{Value: []byte{1}}.U16(), AVP{}.U32()):       "0 0",
		fmt.Sprint(U16(HostName, 258).U16(), U32(ACCM, 1e6).U32()): "258 1000000",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
