package ikemsg

import (
	"bytes"
	"net/netip"
	"testing"

	"sallyport/protocol/suite"
)

// transforms builds a list from {type, id, key bits} rows.
func transforms(rows ...[3]uint16) []Transform {
	var ts []Transform
	for _, r := range rows {
		ts = append(ts, Transform{Transform: suite.Transform{
			Type: suite.TransformType(r[0]), ID: r[1], KeyBits: r[2],
		}})
	}
	return ts
}

// windowsInit is shaped like the IKE_SA_INIT of a provisioned Windows 11
// client: a few suites, NAT detection, fragmentation, four vendor IDs.
func windowsInit() *Message {
	octets := func(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }
	return &Message{
		Header: Header{SPIi: 0x1122334455667788, Major: Version, Exchange: ExchangeIKESAInit, Flags: FlagInitiator},
		Payloads: []Payload{
			&SA{Proposals: []Proposal{
				{Number: 1, Protocol: ProtoIKE, Transforms: transforms(
					[3]uint16{1, 20, 256}, [3]uint16{1, 20, 128}, [3]uint16{2, 5, 0}, [3]uint16{2, 6, 0}, [3]uint16{4, 20, 0}, [3]uint16{4, 14, 0})},
				{Number: 2, Protocol: ProtoIKE, Transforms: transforms(
					[3]uint16{1, 12, 256}, [3]uint16{1, 12, 128}, [3]uint16{2, 5, 0}, [3]uint16{3, 12, 0}, [3]uint16{4, 20, 0}, [3]uint16{4, 14, 0})},
			}},
			&KE{Group: 20, Data: octets(7, 96)},
			&Nonce{Data: octets(9, 48)},
			&Notify{Type: NotifyFragmentationSupported},
			&Notify{Type: NotifyNATDetectionSourceIP, Data: octets(1, 20)},
			&Notify{Type: NotifyNATDetectionDestinationIP, Data: octets(2, 20)},
			&VendorID{Data: octets(3, 20)},
			&VendorID{Data: octets(4, 16)},
			&VendorID{Data: octets(5, 16)},
			&VendorID{Data: octets(6, 20)},
		},
	}
}

// authBody is shaped like the inside of a certificate IKE_AUTH request.
func authBody() []Payload {
	octets := func(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }
	any4 := PrefixSelector(netip.MustParsePrefix("0.0.0.0/0"))
	any6 := PrefixSelector(netip.MustParsePrefix("::/0"))
	return []Payload{
		&ID{Kind: IDFQDN, Data: []byte("laptop.example.org")},
		&Cert{Encoding: CertX509Signature, Data: octets(1, 900)},
		&CertReq{Encoding: CertX509Signature, Authorities: octets(2, 20*40)},
		&Auth{Method: AuthDigitalSignature, Data: octets(3, 120)},
		&Notify{Type: NotifyMOBIKESupported},
		&CP{Kind: CPRequest, Attributes: []CPAttribute{
			{Type: InternalIP4Address}, {Type: InternalIP4DNS}, {Type: InternalIP6Address}, {Type: InternalIP6DNS}, {Type: MSInternalIP4Server}}},
		&SA{Proposals: []Proposal{{Number: 1, Protocol: ProtoESP, SPI: []byte{1, 2, 3, 4},
			Transforms: transforms([3]uint16{1, 20, 256}, [3]uint16{5, 0, 0})}}},
		&TS{Selectors: []TrafficSelector{any4, any6}},
		&TS{Responder: true, Selectors: []TrafficSelector{any4, any6}},
	}
}

// A gateway parses thousands of handshakes a second: one allocation for each
// payload and a few for lists, not one for each field.
func TestParseAllocatesLittle(t *testing.T) {
	init, err := windowsInit().Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := AppendPayloads(nil, authBody())
	if err != nil {
		t.Fatal(err)
	}
	for name, parse := range map[string]func(){
		"IKE_SA_INIT": func() { Parse(init) },
		"IKE_AUTH":    func() { ParsePayloads(PayloadIDi, body) },
	} {
		if n := testing.AllocsPerRun(100, parse); n > 20 {
			t.Errorf("%s: %v allocations, over 20", name, n)
		}
	}
}

func BenchmarkParseHeader(b *testing.B) {
	wire, _ := windowsInit().Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		ParseHeader(wire)
	}
}

func BenchmarkParse(b *testing.B) {
	wire, err := windowsInit().Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(wire); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePayloads(b *testing.B) {
	body, err := AppendPayloads(nil, authBody())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePayloads(PayloadIDi, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	m := windowsInit()
	buf := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Append(buf); err != nil {
			b.Fatal(err)
		}
	}
}
