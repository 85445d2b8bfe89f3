package ikemsg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"sallyport/protocol/wire"
)

// generic puts a generic header in front of a body; nothing follows it.
func generic(body ...byte) []byte {
	n := genericLen + len(body)
	return append([]byte{0, 0, byte(n >> 8), byte(n)}, body...)
}

// one parses a single payload.
func one(kind PayloadType, body ...byte) (Payload, error) { return inChain(kind, generic(body...)) }

func repeat(t *testing.T, hexText string, n int) []byte {
	return bytes.Repeat(fromHex(t, hexText), n)
}

// Errors name the payload and where it begins, and then what is wrong in it.
func TestErrorsNamePayloadAndOffset(t *testing.T) {
	const nonce = `21 00 0014 404142434445464748494a4b4c4d4e4f` // followed by an SA at 20
	for _, c := range []struct {
		name  string
		first PayloadType
		hex   string
		want  string
	}{
		{"no payload where one is announced", PayloadNonce, ``,
			"decrypted body at 0: needs 4 octets, 0 are left"},
		{"payload shorter than its header", PayloadVendor, `00 00 0003 00`,
			"Vendor ID payload at 0: length 3 is under 4"},
		{"payload of length 0", PayloadVendor, `00 00 0000`,
			"Vendor ID payload at 0: length 0 is under 4"},
		{"payload longer than the rest", PayloadVendor, `00 00 0006 00`,
			"Vendor ID payload at 0: needs 6 octets, 5 are left"},
		{"unknown payload longer than the rest", 77, `00 00 0006 00`,
			"payload of type 77 at 0: needs 6 octets, 5 are left"},
		{"octets after the last payload", PayloadVendor, `00 00 0005 00 ff`,
			"decrypted body at 5: 1 octets are left over"},
		{"octets where there is no payload", PayloadNone, `00`,
			"decrypted body at 0: 1 octets are left over"},
		{"SK inside SK", PayloadNonce, `2e 00 0014 404142434445464748494a4b4c4d4e4f 00 00 0004`,
			"decrypted body at 20: an SK payload stands inside another"},
		{"SA without proposals", PayloadNonce, nonce + `00 00 0004`,
			"SA payload at 20: proposal 1: needs 4 octets, 0 are left"},
		{"proposal of length 0", PayloadNonce, nonce + `00 00 000c 00 00 0000 01 01 00 00`,
			"SA payload at 20: proposal 1: length 0 is under 8"},
		{"proposal without transforms", PayloadNonce, nonce + `00 00 000c 00 00 0008 01 01 00 00`,
			"SA payload at 20: proposal 1: there is no transform"},
		{"proposal past the payload", PayloadNonce, nonce + `00 00 0014 00 00 0011 01 01 00 01 00 00 0008 02 00 0005`,
			"SA payload at 20: proposal 1: needs 17 octets, 16 are left"},
		{"transform of length 3", PayloadNonce, nonce + `00 00 0014 00 00 0010 01 01 00 01 00 00 0003 02 00 0005`,
			"SA payload at 20: proposal 1: transform 1: length 3 is under 8"},
		{"second transform past its proposal", PayloadNonce, nonce + `
			00 00 001c 00 00 0018 01 01 00 02 03 00 0008 02 00 0005 00 00 0009 02 00 0006`,
			"SA payload at 20: proposal 1: transform 2: needs 9 octets, 8 are left"},
		{"more transforms announced than there are", PayloadNonce, nonce + `00 00 0014 00 00 0010 01 01 00 ff 00 00 0008 02 00 0005`,
			"SA payload at 20: proposal 1: 255 transforms are announced, 1 are there"},
		{"last transform that is not the last", PayloadNonce, nonce + `
			00 00 001c 00 00 0018 01 01 00 02 00 00 0008 02 00 0005 00 00 0008 02 00 0006`,
			"SA payload at 20: proposal 1: transform 1: Last Substruc is 0, not 3"},
		{"last proposal that announces another", PayloadNonce, nonce + `00 00 0014 02 00 0010 01 01 00 01 00 00 0008 02 00 0005`,
			"SA payload at 20: proposal 1: Last Substruc is 2, not 0"},
		{"ESP without an SPI", PayloadNonce, nonce + `00 00 0014 00 00 0010 01 03 00 01 00 00 0008 01 00 0014`,
			"SA payload at 20: proposal 1: an SPI of 0 octets is not one of protocol ESP"},
		{"attribute past its transform", PayloadNonce, nonce + `
			00 00 0018 00 00 0014 01 01 00 01 00 00 000c 01 00 0014 000e ffff`,
			"SA payload at 20: proposal 1: transform 1: needs 65535 octets, 0 are left"},
		{"nonce of 15", PayloadNonce, `00 00 0013 404142434445464748494a4b4c4d4e`,
			"Nonce payload at 0: 15 octets are not between 16 and 256"},
		{"notify whose SPI is not there", PayloadNotify, `00 00 0008 03 04 4009`,
			"Notify payload at 0: needs 4 octets, 0 are left"},
		{"delete that announces more", PayloadDelete, `00 00 000c 03 04 ffff 00000001`,
			"Delete payload at 0: 65535 SPIs of 4 octets are announced, 4 octets are there"},
		{"delete of an IKE SA by SPI", PayloadDelete, `00 00 0010 01 08 0001 0000000000000001`,
			"Delete payload at 0: SPIs of 8 octets do not belong to protocol IKE"},
		{"delete of odd SPIs", PayloadDelete, `00 00 000a 03 02 0001 0001`,
			"Delete payload at 0: SPIs of 2 octets do not belong to protocol ESP"},
		{"IPv4 identity of 5", PayloadIDi, `00 00 000d 01 000000 0102030405`,
			"IDi payload at 0: an ID_IPV4_ADDR of 5 octets, not 4"},
		{"IPv6 identity of 4", PayloadIDr, `00 00 000c 05 000000 01020304`,
			"IDr payload at 0: an ID_IPV6_ADDR of 4 octets, not 16"},
		{"selectors announced, none there", PayloadTSi, `00 00 0008 01 000000`,
			"TSi payload at 0: there is no selector"},
		{"selector that ends before it starts", PayloadTSr, `00 00 0018 01 000000 07 00 0010 0000 ffff 0a000002 0a000001`,
			"TSr payload at 0: selector 1: the range ends before it starts"},
		{"ports that end before they start", PayloadTSr, `00 00 0018 01 000000 07 06 0010 0002 0001 0a000001 0a000001`,
			"TSr payload at 0: selector 1: the ports end before they start"},
		{"attribute past its payload", PayloadCP, `00 00 000c 01 000000 0001 ffff`,
			"CP payload at 0: needs 65535 octets, 0 are left"},
		{"EAP length that is not the payload's", PayloadEAP, `00 00 0009 01 00 0004 01`,
			"EAP payload at 0: the EAP packet says 4 octets and has 5"},
		{"EAP of three octets", PayloadEAP, `00 00 0007 01 00 00`,
			"EAP payload at 0: an EAP packet has at least 4 octets"},
		{"CERTREQ of half a hash", PayloadCertReq, `00 00 000f 04 00010203040506070809`,
			"CERTREQ payload at 0: 10 octets are no list of SHA-1 hashes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParsePayloads(c.first, fromHex(t, c.hex))
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if _, ok := errors.AsType[*wire.Error](err); !ok {
				t.Errorf("%T is not a *wire.Error", err)
			}
		})
	}
}

func TestBodyOver64KiB(t *testing.T) {
	for n, fits := range map[int]bool{MaxMessage: true, MaxMessage + 1: false} {
		half := generic(make([]byte, 32000)...)
		half[0] = byte(PayloadVendor)
		body := append(half, generic(make([]byte, n-len(half)-genericLen)...)...)
		if _, err := ParsePayloads(PayloadVendor, body); (err == nil) != fits {
			t.Errorf("%d octets: %v", n, err)
		}
	}
}

func TestSKIsTheLastPayload(t *testing.T) {
	b := messageOf(PayloadSK, append(generic(1, 2, 3), generic(4)...))
	if _, err := Parse(b); err == nil || err.Error() != "IKE message at 35: 5 octets are left over" {
		t.Errorf("a payload after SK: %v", err)
	}
	m := Message{Header: Header{Major: 2}, Payloads: []Payload{&Encrypted{}, &VendorID{}}}
	if _, err := m.Append(nil); err == nil || !strings.Contains(err.Error(), "not the last") {
		t.Errorf("append: %v", err)
	}
}

func TestUnprotectedPayloadsMayPrecedeSKF(t *testing.T) { // RFC 7383, Section 2.5.3
	b := messageOf(PayloadNotify, append([]byte{byte(PayloadSKF), 0, 0, 8, 0, 0, 0x40, 6}, 35, 0, 0, 9, 0, 1, 0, 2, 0xee))
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	skf, ok := Find[*EncryptedFragment](m.Payloads)
	if !ok || skf.First != PayloadIDi || len(m.Payloads) != 2 {
		t.Errorf("parsed %+v", m.Payloads)
	}
}

// What cannot be parsed cannot be appended either.
func TestAppendRefusesWhatParseWould(t *testing.T) {
	a4, a6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1")
	many := func(n int) []byte { return make([]byte, n) }
	for name, p := range map[string]Payload{
		"SA of nothing":            &SA{},
		"proposal of nothing":      &SA{Proposals: []Proposal{{Protocol: ProtoIKE}}},
		"proposal of too much":     &SA{Proposals: []Proposal{{Transforms: make([]Transform, 256)}}},
		"ESP proposal without SPI": &SA{Proposals: []Proposal{{Protocol: ProtoESP, Transforms: make([]Transform, 1)}}},
		"long short attribute":     &SA{Proposals: []Proposal{{Transforms: []Transform{{Attributes: []Attribute{{TV: true, Value: many(3)}}}}}}},
		"endless attribute":        &SA{Proposals: []Proposal{{Transforms: []Transform{{Attributes: []Attribute{{Value: many(65536)}}}}}}},
		"endless transform":        &SA{Proposals: []Proposal{{Transforms: []Transform{{Attributes: []Attribute{{Value: many(65530)}}}}}}},
		"short nonce":              &Nonce{Data: many(15)},
		"long nonce":               &Nonce{Data: many(257)},
		"long identity":            &ID{Kind: IDFQDN, Data: many(maxID + 1)},
		"address of no family":     &ID{Kind: IDIPv4Addr, Data: many(16)},
		"half a hash":              &CertReq{Encoding: CertX509Signature, Authorities: many(21)},
		"long SPI":                 &Notify{SPI: many(256)},
		"IKE SA deleted by SPI":    &Delete{Protocol: ProtoIKE, SPIs: make([]uint32, 1)},
		"endless delete":           &Delete{Protocol: ProtoESP, SPIs: make([]uint32, maxSPIs+1)},
		"TS of nothing":            &TS{},
		"TS of too much":           &TS{Selectors: make([]TrafficSelector, 256)},
		"selector of nothing":      &TS{Selectors: make([]TrafficSelector, 1)},
		"selector of two families": &TS{Selectors: []TrafficSelector{{Start: a4, End: a6}}},
		"fragment 0":               &EncryptedFragment{Total: 1},
		"fragment 2 of 1":          &EncryptedFragment{Number: 2, Total: 1},
		"endless CP":               &CP{Attributes: make([]CPAttribute, maxCPAttributes+1)},
		"endless CP attribute":     &CP{Attributes: []CPAttribute{{Value: many(65536)}}},
		"CP attribute of 16 bits":  &CP{Attributes: []CPAttribute{{Type: 0x8000}}},
		"EAP without a length":     &EAP{Packet: many(5)},
		"endless payload":          &VendorID{Data: many(65532)},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := AppendPayloads(nil, []Payload{p})
			if err == nil {
				t.Fatalf("appended %d octets", len(b))
			}
			if !strings.HasPrefix(err.Error(), "ikemsg: "+p.PayloadType().String()+" payload: ") {
				t.Errorf("the error does not name the payload: %v", err)
			}
		})
	}
	m := Message{Header: Header{Major: 2}, Payloads: []Payload{&VendorID{Data: many(40000)}, &VendorID{Data: many(30000)}}}
	if _, err := m.Append(nil); err == nil {
		t.Error("a message of 70,000 octets was appended")
	}
	if _, err := (&Message{}).Append(nil); err == nil {
		t.Error("a message without a version was appended")
	}
}

// An attacker's octets buy a bounded amount of memory: the worst messages of
// 64 KiB, well-formed or not.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 256 << 10
	fill := func(head []byte, unit string) []byte {
		u := fromHex(t, unit)
		n := (65535 - genericLen - len(head)) / len(u)
		return generic(append(head, bytes.Repeat(u, n)...)...)
	}
	for _, c := range []struct {
		name  string
		first PayloadType
		body  []byte
	}{
		{"empty payloads", 200, repeat(t, `c8 00 0004`, 16000)},
		{"proposals of one transform", PayloadSA, fill(nil, `02 00 0010 01 01 00 01 00 00 0008 02 00 0005`)},
		{"transforms", PayloadSA, fill([]byte{0, 0, 0xff, 0xf0, 1, 1, 0, 255}, `03 00 0008 02 00 0005`)},
		{"attributes", PayloadSA, fill([]byte{0, 0, 0xff, 0xf0, 1, 1, 0, 1, 0, 0, 0xff, 0xe0, 1, 0, 0, 1}, `8001 0000`)},
		{"selectors", PayloadTSi, fill([]byte{255, 0, 0, 0}, `07 00 0010 0000 ffff 00000000 ffffffff`)},
		{"selectors of an unknown type", PayloadTSi, fill([]byte{255, 0, 0, 0}, `63 00 0004`)},
		{"configuration attributes", PayloadCP, fill([]byte{1, 0, 0, 0}, `0001 0000`)},
		{"SPIs", PayloadDelete, fill([]byte{3, 4, 0x3f, 0xfd}, `00000001`)},
		{"an identity", PayloadIDi, fill([]byte{2, 0, 0, 0}, `61`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			const runs = 8
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				if _, err := ParsePayloads(c.first, c.body); err == nil {
					t.Fatal("it parses")
				}
			}
			runtime.ReadMemStats(&after)
			if got := (after.TotalAlloc - before.TotalAlloc) / runs; got > limit {
				t.Errorf("one parse allocates %d octets, over %d", got, limit)
			}
		})
	}
}

func TestParseHeader(t *testing.T) {
	good := fromHex(t, `
		1122334455667788 99aabbccddeeff00   # SPIs
		2e 2f 25 ff                         # SK, version 2.15, INFORMATIONAL, all flags
		01020304 0000001c                   # message ID, length 28`)
	h, err := ParseHeader(good)
	want := Header{SPIi: 0x1122334455667788, SPIr: 0x99aabbccddeeff00, NextPayload: PayloadSK, Major: 2, Minor: 15,
		Exchange: ExchangeInformational, Flags: FlagInitiator | FlagVersion | FlagResponse, MessageID: 0x01020304, Length: 28}
	if err != nil || h != want {
		t.Errorf("got %+v (%v), want %+v", h, err, want)
	}
	change := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	long := append(bytes.Clone(good), make([]byte, 65536-28)...)
	binary.BigEndian.PutUint32(long[24:], 65536)
	for name, b := range map[string][]byte{
		"nothing": nil, "27 octets": good[:27], "an octet more": append(bytes.Clone(good), 0),
		"length 27": change(27, 27), "length 2^24+28": change(24, 1), "64 KiB": long,
	} {
		if h, err := ParseHeader(b); err == nil || h != (Header{}) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
		if _, err := Parse(b); err == nil {
			t.Errorf("%s: Parse takes it", name)
		}
		if n := testing.AllocsPerRun(10, func() { ParseHeader(b) }); n != 0 {
			t.Errorf("%s: ParseHeader allocates %v times", name, n)
		}
	}
}

// Trap 28: other major versions get past the header alone, which is all that
// an INVALID_MAJOR_VERSION needs.
func TestTrap28_VersionConfusion(t *testing.T) {
	for version := range 16 {
		b := messageOf(PayloadNone, nil)
		b[17] = byte(version << 4)
		h, err := ParseHeader(b)
		if err != nil || int(h.Major) != version {
			t.Errorf("version %d: header %+v, %v", version, h, err)
		}
		_, err = Parse(b)
		if (err == nil) != (version == 2) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	// A higher minor version is nothing to complain about (Section 2.5).
	b := messageOf(PayloadNone, nil)
	b[17] = 0x27
	if m, err := Parse(b); err != nil || m.Header.Minor != 7 {
		t.Errorf("version 2.7: %v", err)
	}
}

func TestSKPrefixIsTheStartOfTheMessage(t *testing.T) {
	h := Header{SPIi: 1, SPIr: 2, Major: 2, Exchange: ExchangeIKEAuth, Flags: FlagResponse, MessageID: 7}
	for _, c := range []struct {
		p      Payload
		prefix func(bodyLen int) ([]byte, error)
	}{
		{&Encrypted{First: PayloadIDr, Body: make([]byte, 77)},
			func(n int) ([]byte, error) { return SKPrefix(h, PayloadIDr, n) }},
		{&EncryptedFragment{First: PayloadIDr, Number: 1, Total: 3, Body: make([]byte, 77)},
			func(n int) ([]byte, error) { return SKFPrefix(h, PayloadIDr, 1, 3, n) }},
	} {
		m := Message{Header: h, Payloads: []Payload{c.p}}
		whole, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		prefix, err := c.prefix(77)
		if err != nil || !bytes.Equal(prefix, whole[:len(whole)-77]) {
			t.Errorf("%v: prefix %x (%v), message %x", c.p.PayloadType(), prefix, err, whole)
		}
		if cap(prefix) < len(whole) {
			t.Errorf("%v: no room for the body: %d of %d", c.p.PayloadType(), cap(prefix), len(whole))
		}
		for _, n := range []int{MaxMessage, -1} {
			if _, err := c.prefix(n); err == nil {
				t.Errorf("%v: a body of %d octets is taken", c.p.PayloadType(), n)
			}
		}
	}
}

func ExampleParse() {
	_, err := Parse([]byte("GET / HTTP/1.1\r\nHost: vpn.example.org\r\n\r\n"))
	fmt.Println(err)
	// Output: IKE header at 17: the major version is not 2
}
