package ikemsg

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"sallyport/protocol/suite"
)

// fromHex reads hex with spaces, line breaks and comments after a '#'.
func fromHex(t testing.TB, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vector is one payload, with its generic header, as it stands at the end of
// a chain.
type vector struct {
	name string
	kind PayloadType
	hex  string
	want Payload
	tail int // octets at the end that the format allows to be missing
}

var vectors = []vector{
	{
		// The example of RFC 7296, Section 3.3, as the RFC draws it.
		name: "SA with two ESP proposals", kind: PayloadSA,
		hex: `
			00 00 0088             # no next payload, length 136
			02 00 0050             # more proposals follow, length 80
			01 03 04 07            # proposal 1, ESP, SPI of 4, 7 transforms
			052357bb               # SPI
			03 00 000c 01 00 000c 800e 0080   # ENCR_AES_CBC, Key Length 128
			03 00 000c 01 00 000c 800e 00c0   # ENCR_AES_CBC, Key Length 192
			03 00 000c 01 00 000c 800e 0100   # ENCR_AES_CBC, Key Length 256
			03 00 0008 03 00 0002  # AUTH_HMAC_SHA1_96
			03 00 0008 03 00 0005  # AUTH_AES_XCBC_96
			03 00 0008 05 00 0001  # ESNs
			00 00 0008 05 00 0000  # no ESNs, last
			00 00 0034             # last proposal, length 52
			02 03 04 04            # proposal 2, ESP, SPI of 4, 4 transforms
			35a1d6f2               # SPI
			03 00 000c 01 00 0012 800e 0080   # AES-GCM with an 8 octet ICV, 128
			03 00 000c 01 00 0012 800e 0100   # AES-GCM with an 8 octet ICV, 256
			03 00 0008 05 00 0001  # ESNs
			00 00 0008 05 00 0000  # no ESNs, last`,
		want: &SA{Proposals: []Proposal{
			{Number: 1, Protocol: ProtoESP, SPI: []byte{0x05, 0x23, 0x57, 0xbb}, Transforms: transforms(
				[3]uint16{1, 12, 128}, [3]uint16{1, 12, 192}, [3]uint16{1, 12, 256},
				[3]uint16{3, 2}, [3]uint16{3, 5}, [3]uint16{5, 1}, [3]uint16{5, 0})},
			{Number: 2, Protocol: ProtoESP, SPI: []byte{0x35, 0xa1, 0xd6, 0xf2}, Transforms: transforms(
				[3]uint16{1, 18, 128}, [3]uint16{1, 18, 256}, [3]uint16{5, 1}, [3]uint16{5, 0})},
		}},
	},
	{
		name: "SA with attributes we do not know", kind: PayloadSA,
		hex: `
			00 00 0030             # length 48
			00 00 002c 01 01 08 02 # one proposal of 44: IKE, SPI of 8 (a rekey), 2 transforms
			0102030405060708
			03 00 0014 01 00 0014  # ENCR_AES_GCM_16, length 20
			800e 0100              # Key Length 256
			0063 0000              # attribute 99, long form, empty
			8064 abcd              # attribute 100, short form
			00 00 0008 f1 00 0007  # transform type 241`,
		want: &SA{Proposals: []Proposal{{Number: 1, Protocol: ProtoIKE, SPI: []byte{1, 2, 3, 4, 5, 6, 7, 8},
			Transforms: []Transform{
				{Transform: suite.Transform{Type: suite.Encr, ID: 20, KeyBits: 256}, Attributes: []Attribute{
					{Type: 99, Value: []byte{}}, {Type: 100, TV: true, Value: []byte{0xab, 0xcd}}}},
				{Transform: suite.Transform{Type: 241, ID: 7}},
			}}}},
	},
	{
		name: "KE", kind: PayloadKE, tail: 5,
		hex: `
			00 00 000d 001f 0000   # length 13, group 31 (X25519)
			aabbccddee`,
		want: &KE{Group: 31, Data: []byte{0xaa, 0xbb, 0xcc, 0xdd, 0xee}},
	},
	{
		name: "IDi of a name", kind: PayloadIDi, tail: 7,
		hex: `
			00 00 000f 02 000000   # length 15, ID_FQDN
			76706e2e6f7267         # vpn.org`,
		want: &ID{Kind: IDFQDN, Data: []byte("vpn.org"), Body: []byte("\x02\x00\x00\x00vpn.org")},
	},
	{
		name: "IDr of an address", kind: PayloadIDr,
		hex: `
			00 00 000c 01 000000   # length 12, ID_IPV4_ADDR
			c0000201               # 192.0.2.1`,
		want: &ID{Responder: true, Kind: IDIPv4Addr, Data: []byte{192, 0, 2, 1}, Body: []byte{1, 0, 0, 0, 192, 0, 2, 1}},
	},
	{
		name: "CERT", kind: PayloadCert, tail: 3,
		hex: `
			00 00 0008 04          # length 8, X.509 certificate - signature
			308201`,
		want: &Cert{Encoding: CertX509Signature, Data: []byte{0x30, 0x82, 0x01}},
	},
	{
		name: "CERTREQ for anybody", kind: PayloadCertReq,
		hex:  `00 00 0005 04 # length 5, X.509 certificate - signature, no authority`,
		want: &CertReq{Encoding: CertX509Signature, Authorities: []byte{}},
	},
	{
		name: "CERTREQ of a kind without hashes", kind: PayloadCertReq, tail: 2,
		hex: `
			00 00 0007 0e          # length 7, OCSP (RFC 4806)
			beef`,
		want: &CertReq{Encoding: CertOCSP, Authorities: []byte{0xbe, 0xef}},
	},
	{
		name: "AUTH", kind: PayloadAuth, tail: 4,
		hex: `
			00 00 000c 0e 000000   # length 12, digital signature
			0a300506`,
		want: &Auth{Method: AuthDigitalSignature, Data: []byte{0x0a, 0x30, 0x05, 0x06}},
	},
	{
		name: "Nonce", kind: PayloadNonce,
		hex: `
			00 00 0014             # length 20: the shortest nonce
			000102030405060708090a0b0c0d0e0f`,
		want: &Nonce{Data: []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
	},
	{
		name: "Notify COOKIE", kind: PayloadNotify, tail: 4,
		hex: `
			00 00 000c 00 00 4006  # length 12, no protocol, no SPI, COOKIE
			deadbeef`,
		want: &Notify{Type: NotifyCookie, Data: []byte{0xde, 0xad, 0xbe, 0xef}},
	},
	{
		name: "Notify REKEY_SA", kind: PayloadNotify,
		hex: `
			00 00 000c 03 04 4009  # length 12, ESP, SPI of 4, REKEY_SA
			c0ffee01`,
		want: &Notify{Protocol: ProtoESP, SPI: []byte{0xc0, 0xff, 0xee, 0x01}, Type: NotifyRekeySA, Data: []byte{}},
	},
	{
		name: "Delete of two Child SAs", kind: PayloadDelete,
		hex: `
			00 00 0010 03 04 0002  # length 16, ESP, SPIs of 4, two
			00000101 00000202`,
		want: &Delete{Protocol: ProtoESP, SPIs: []uint32{0x101, 0x202}},
	},
	{
		name: "Delete of the IKE SA", kind: PayloadDelete,
		hex:  `00 00 0008 01 00 0000 # length 8, IKE, no SPI`,
		want: &Delete{Protocol: ProtoIKE},
	},
	{
		name: "Vendor ID", kind: PayloadVendor, tail: 20,
		hex: `
			00 00 0018             # length 24: MS NT5 ISAKMPOAKLEY, version 9
			1e2b516905991c7d7c96fcbfb587e461 00000009`,
		want: &VendorID{Data: []byte("\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61\x00\x00\x00\x09")},
	},
	{
		name: "TSi", kind: PayloadTSi,
		hex: `
			00 00 0040 02 000000   # length 64, two selectors
			07 00 0010 0000 ffff   # TS_IPV4_ADDR_RANGE, any protocol, length 16, any port
			00000000 ffffffff
			08 11 0028 01f4 01f4   # TS_IPV6_ADDR_RANGE, UDP, length 40, port 500
			20010db8000000000000000000000000
			20010db8ffffffffffffffffffffffff`,
		want: &TS{Selectors: []TrafficSelector{
			{EndPort: 65535, Start: netip.MustParseAddr("0.0.0.0"), End: netip.MustParseAddr("255.255.255.255")},
			{Protocol: 17, StartPort: 500, EndPort: 500, Start: netip.MustParseAddr("2001:db8::"),
				End: netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")},
		}},
	},
	{
		name: "TSr of opaque ports", kind: PayloadTSr,
		hex: `
			00 00 0018 01 000000   # length 24, one selector
			07 06 0010 ffff 0000   # TS_IPV4_ADDR_RANGE, TCP, length 16, OPAQUE
			0a000001 0a000009`,
		want: &TS{Responder: true, Selectors: []TrafficSelector{{Protocol: 6, StartPort: 65535,
			Start: netip.MustParseAddr("10.0.0.1"), End: netip.MustParseAddr("10.0.0.9")}}},
	},
	{
		name: "SK", kind: PayloadSK, tail: 6,
		hex: `
			23 00 000a             # IDi is the first inside; length 10
			a0a1a2a3a4a5`,
		want: &Encrypted{First: PayloadIDi, Body: []byte{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5}},
	},
	{
		name: "SKF", kind: PayloadSKF, tail: 2,
		hex: `
			00 00 000a 0002 0003   # length 10, fragment 2 of 3
			b0b1`,
		want: &EncryptedFragment{Number: 2, Total: 3, Body: []byte{0xb0, 0xb1}},
	},
	{
		name: "CP request", kind: PayloadCP, tail: 12, // every attribute may be the last
		hex: `
			00 00 0014 01 000000   # length 20, CFG_REQUEST
			0001 0000              # INTERNAL_IP4_ADDRESS, empty
			0003 0000              # INTERNAL_IP4_DNS, empty
			5ba0 0000              # 23456, Windows' own`,
		want: &CP{Kind: CPRequest, Attributes: []CPAttribute{
			{Type: InternalIP4Address, Value: []byte{}}, {Type: InternalIP4DNS, Value: []byte{}},
			{Type: MSInternalIP4Server, Value: []byte{}}}},
	},
	{
		name: "CP reply", kind: PayloadCP, tail: 29, // likewise
		hex: `
			00 00 0025 02 000000   # length 37, CFG_REPLY
			0001 0004 0a3c0007     # INTERNAL_IP4_ADDRESS 10.60.0.7
			0008 0011 fd000060000000000000000000000007 80  # INTERNAL_IP6_ADDRESS fd00:60::7/128`,
		want: &CP{Kind: CPReply, Attributes: []CPAttribute{
			{Type: InternalIP4Address, Value: []byte{10, 60, 0, 7}},
			{Type: InternalIP6Address, Value: []byte("\xfd\x00\x00\x60\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x80")}}},
	},
	{
		name: "EAP success", kind: PayloadEAP,
		hex: `
			00 00 0008             # length 8
			03 05 0004             # Success, identifier 5, length 4`,
		want: &EAP{Packet: []byte{3, 5, 0, 4}},
	},
	{
		name: "unknown and critical", kind: 200, tail: 3,
		hex: `
			00 80 0007             # critical, length 7
			010203`,
		want: &Unknown{Type: 200, Critical: true, Body: []byte{1, 2, 3}},
	},
}

// inChain parses a vector where its type may stand: Encrypted payloads only in
// a message.
func inChain(kind PayloadType, b []byte) (Payload, error) {
	var ps []Payload
	var err error
	if kind == PayloadSK || kind == PayloadSKF {
		var m *Message
		if m, err = Parse(messageOf(kind, b)); err == nil {
			ps = m.Payloads
		}
	} else {
		ps, err = ParsePayloads(kind, b)
	}
	if err != nil {
		return nil, err
	}
	return ps[0], nil
}

// messageOf puts a header in front of a chain, with the length it has.
func messageOf(first PayloadType, chain []byte) []byte {
	n := HeaderLen + len(chain)
	b := []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, byte(first), 0x20, byte(ExchangeInformational), 0x08,
		0, 0, 0, 3, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	return append(b, chain...)
}

func TestVectorsParseAndAppend(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			b := fromHex(t, v.hex)
			got, err := inChain(v.kind, b)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, v.want) {
				t.Errorf("parsed\n%#v, want\n%#v", got, v.want)
			}
			if got.PayloadType() != v.kind {
				t.Errorf("type %v, want %v", got.PayloadType(), v.kind)
			}
			back, err := AppendPayloads(nil, []Payload{v.want})
			if err != nil || !bytes.Equal(back, b) {
				t.Errorf("appended\n%x (%v), want\n%x", back, err, b)
			}
		})
	}
}

func TestEveryPrefixFails(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			b := fromHex(t, v.hex)
			for n := range b {
				if _, err := inChain(v.kind, b[:n]); err == nil {
					t.Errorf("the first %d of %d octets parse", n, len(b))
				}
			}
		})
	}
}

// A prefix whose Payload Length was made to fit is told apart only by what is
// inside.
func TestEveryShorterPayloadFails(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			b := fromHex(t, v.hex)
			for n := genericLen; n < len(b)-v.tail; n++ {
				short := bytes.Clone(b[:n])
				short[2], short[3] = byte(n>>8), byte(n)
				if _, err := inChain(v.kind, short); err == nil {
					t.Errorf("cut to %d of %d octets it parses", n, len(b))
				}
			}
		})
	}
}

// One octet too many inside a payload that knows its own size.
func TestLeftoversFail(t *testing.T) {
	for _, v := range vectors {
		switch v.kind {
		case PayloadSA, PayloadDelete, PayloadTSi, PayloadTSr, PayloadCP, PayloadEAP:
		default:
			continue // it ends in octets of any number
		}
		t.Run(v.name, func(t *testing.T) {
			b := append(fromHex(t, v.hex), 0)
			b[2], b[3] = byte(len(b)>>8), byte(len(b))
			if _, err := inChain(v.kind, b); err == nil {
				t.Error("an octet more parses")
			}
		})
	}
}

// Section 2.5: reserved fields and the critical bit of known payloads are
// ignored. The only place they are kept is the body of an ID (trap 11).
func TestReservedBitsAreIgnored(t *testing.T) {
	reserved := map[PayloadType][]int{ // offsets of RESERVED octets by payload
		PayloadSA: {5, 17, 21}, PayloadKE: {6, 7}, PayloadAuth: {5, 6, 7}, PayloadTSi: {5, 6, 7}, PayloadTSr: {5, 6, 7},
		PayloadCP: {5, 6, 7},
	}
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			b := fromHex(t, v.hex)
			b[1] |= 0x7f
			if v.kind != 200 {
				b[1] |= 0x80
			}
			for _, at := range reserved[v.kind] {
				if v.name == "SA with attributes we do not know" && at > 5 {
					continue // its transforms begin elsewhere
				}
				b[at] = 0xff
			}
			got, err := inChain(v.kind, b)
			if err != nil || !reflect.DeepEqual(got, v.want) {
				t.Errorf("parsed %#v (%v), want %#v", got, err, v.want)
			}
		})
	}
	t.Run("configuration attribute", func(t *testing.T) {
		ps, err := ParsePayloads(PayloadCP, fromHex(t, "00 00 000c 01 000000 8001 0000"))
		if err != nil || ps[0].(*CP).Attributes[0].Type != InternalIP4Address {
			t.Errorf("the R bit is not ignored: %v", err)
		}
	})
}

func TestWholeMessage(t *testing.T) {
	b := fromHex(t, `
		1122334455667788 0000000000000000   # SPIi, no SPIr yet
		29 20 22 08                         # Notify first, version 2.0, IKE_SA_INIT, Initiator
		00000000 00000038                   # message ID 0, length 56
		28 00 0008 00 00 402e               # IKEV2_FRAGMENTATION_SUPPORTED, then a Nonce
		00 00 0014 404142434445464748494a4b4c4d4e4f`)
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	want := &Message{
		Header: Header{SPIi: 0x1122334455667788, NextPayload: PayloadNotify, Major: 2, Exchange: ExchangeIKESAInit,
			Flags: FlagInitiator, Length: 56},
		Payloads: []Payload{
			&Notify{Type: NotifyFragmentationSupported, Data: []byte{}},
			&Nonce{Data: []byte("@ABCDEFGHIJKLMNO")},
		},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("parsed %+v, want %+v", m, want)
	}
	back, err := m.Append([]byte("before"))
	if err != nil || string(back) != "before"+string(b) {
		t.Errorf("appended %x (%v), want %x", back, err, b)
	}
	for n := range b {
		if _, err := Parse(b[:n]); err == nil {
			t.Errorf("the first %d of %d octets parse", n, len(b))
		}
	}
}
