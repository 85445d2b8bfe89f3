package l2tpmsg

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// The vectors were made by hand from RFC 2661's pictures; tshark reads them
// too, in TestTsharkReadsTheVectors.

// vector is a control message, in lines of hex with comments after "#".
type vector struct {
	name   string
	hex    string
	want   Message
	tshark []string // what tshark must say: field=value; of a hidden AVP it reads no type
}

var vectors = []vector{
	{"SCCRQ like Windows", `
		c802 0062 0000 0000 0000 0000  # T L S, version 2; 98 octets; tunnel 0, session 0; Ns 0, Nr 0
		8008 0000 0000 0001            # M, 8 octets, IETF, Message Type 1
		8008 0000 0002 0100            # Protocol Version 1.0
		800a 0000 0003 00000001        # Framing Capabilities: synchronous
		800a 0000 0004 00000000        # Bearer Capabilities: none
		0008 0000 0006 0a00            # Firmware Revision
		800b 0000 0007 50432d3137      # Host Name PC-17
		000f 0000 0008 4d6963726f736f6674  # Vendor Name Microsoft
		8008 0000 0009 0007            # Assigned Tunnel ID 7
		8008 0000 000a 0008            # Receive Window Size 8`,
		New(ControlHeader{}, SCCRQ, U16(ProtocolVersion, 0x0100), U32(FramingCapability, FramingSync), U32(BearerCapability, 0),
			U16(FirmwareRevision, 0x0a00), Octets(HostName, []byte("PC-17")), Octets(VendorName, []byte("Microsoft")),
			U16(AssignedTunnelID, 7), U16(ReceiveWindowSize, 8)),
		[]string{"l2tp.length=98", "l2tp.avp.message_type=1", "l2tp.avp.host_name=PC-17", "l2tp.avp.vendor_name=Microsoft",
			"l2tp.avp.assigned_tunnel_id=7", "l2tp.avp.receive_window_size=8", "l2tp.avp.firmware_revision=2560",
			"l2tp.avp.protocol_version=1", "l2tp.avp.mandatory=1,1,1,1,0,1,0,1,1"}},
	{"SCCRP with a challenge", `
		c802 0071 0007 0000 0000 0001
		8008 0000 0000 0002
		8008 0000 0002 0100
		800a 0000 0003 00000003
		8009 0000 0007 6c6e73                          # Host Name lns
		8008 0000 0009 1234
		8016 0000 000b 000102030405060708090a0b0c0d0e0f  # Challenge
		8016 0000 000d 101112131415161718191a1b1c1d1e1f  # Challenge Response
		000e 0000 0005 0102030405060708                # Tie Breaker, which has no place here`,
		New(ControlHeader{Tunnel: 7, Nr: 1}, SCCRP, U16(ProtocolVersion, 0x0100), U32(FramingCapability, FramingSync|FramingAsync),
			Octets(HostName, []byte("lns")), U16(AssignedTunnelID, 0x1234), Octets(Challenge, count(0, 16)),
			Octets(ChallengeResponse, count(16, 16)), Octets(TieBreaker, count(1, 8))),
		[]string{"l2tp.tunnel=7", "l2tp.avp.chap_challenge=000102030405060708090a0b0c0d0e0f",
			"l2tp.avp.chap_challenge_response=101112131415161718191a1b1c1d1e1f", "l2tp.tie_breaker=0x0102030405060708"}},
	{"SCCCN", "c802 0014 1234 0000 0001 0001  8008 0000 0000 0003",
		New(ControlHeader{Tunnel: 0x1234, Ns: 1, Nr: 1}, SCCCN), []string{"l2tp.avp.message_type=3", "l2tp.Ns=1", "l2tp.Nr=1"}},
	{"ZLB", "c802 000c 0007 0000 0001 0002",
		Message{Header: ControlHeader{Tunnel: 7, Ns: 1, Nr: 2}}, []string{"l2tp.length=12", "l2tp.Nr=2", "l2tp.avp.message_type="}},
	{"HELLO", "c802 0014 1234 0000 ffff 8000  8008 0000 0000 0006",
		New(ControlHeader{Tunnel: 0x1234, Ns: 0xffff, Nr: 0x8000}, HELLO), []string{"l2tp.avp.message_type=6", "l2tp.Ns=65535", "l2tp.Nr=32768"}},
	{"ICRQ with numbers", `
		c802 0050 1234 0000 0002 0001
		8008 0000 0000 000a
		8008 0000 000e 0001            # Assigned Session ID 1
		800a 0000 000f 00000002        # Call Serial Number
		800a 0000 0012 00000002        # Bearer Type: analog
		800b 0000 0015 3132333435      # Called Number
		800b 0000 0016 3637383930      # Calling Number
		000a 0000 0019 00000009        # Physical Channel ID`,
		New(ControlHeader{Tunnel: 0x1234, Ns: 2, Nr: 1}, ICRQ, U16(AssignedSessionID, 1), U32(CallSerialNumber, 2), U32(BearerType, BearerAnalog),
			Octets(CalledNumber, []byte("12345")), Octets(CallingNumber, []byte("67890")), U32(PhysicalChannelID, 9)),
		[]string{"l2tp.avp.assigned_session_id=1", "l2tp.avp.call_serial_number=2", "l2tp.avp.called_number=12345", "l2tp.avp.calling_number=67890"}},
	{"ICRP", "c802 001c 0007 0001 0001 0003  8008 0000 0000 000b  8008 0000 000e 0102",
		New(ControlHeader{Tunnel: 7, Session: 1, Ns: 1, Nr: 3}, ICRP, U16(AssignedSessionID, 0x0102)), []string{"l2tp.session=1", "l2tp.avp.assigned_session_id=258"}},
	{"ICCN with sequencing", `
		c802 0038 1234 0102 0003 0002
		8008 0000 0000 000c
		800a 0000 0018 05f5e100        # (Tx) Connect Speed
		000a 0000 0026 000f4240        # Rx Connect Speed
		800a 0000 0013 00000001        # Framing Type: synchronous
		8006 0000 0027                 # Sequencing Required`,
		New(ControlHeader{Tunnel: 0x1234, Session: 0x0102, Ns: 3, Nr: 2}, ICCN, U32(TxConnectSpeed, 100_000_000), U32(RxConnectSpeed, 1_000_000),
			U32(FramingType, FramingSync), Octets(SequencingRequired, []byte{})),
		[]string{"l2tp.avp.connect_speed=100000000", "l2tp.avp.rx_connect_speed=1000000", "l2tp.avp.type=0,24,38,19,39"}},
	{"CDN with a text", `
		c802 002c 0007 0001 0002 0004
		8008 0000 0000 000e
		8010 0000 0001 0002 0006 7175 6f74 6120  # Result Code 2, Error 6, "quota "
		8008 0000 000e 0102`,
		New(ControlHeader{Tunnel: 7, Session: 1, Ns: 2, Nr: 4}, CDN,
			Result{Code: uint16(CallError), Error: ErrorVendor, Text: "quota "}.AVP(), U16(AssignedSessionID, 0x0102)),
		[]string{"l2tp.result_code=2", "l2tp.avp.error_code=6", "l2tp.avp.error_message=quota "}},
	{"StopCCN", "c802 0024 0007 0000 0003 0004  8008 0000 0000 0004  8008 0000 0009 1234  8008 0000 0001 0006",
		New(ControlHeader{Tunnel: 7, Ns: 3, Nr: 4}, StopCCN, U16(AssignedTunnelID, 0x1234), Result{Code: uint16(StopShutdown)}.AVP()),
		[]string{"l2tp.result_code=6", "l2tp.avp.assigned_tunnel_id=4660"}},
	{"SLI", "c802 0024 0007 0001 0003 0004  8008 0000 0000 0010  8010 0000 0023 0000 ffffffff 000a0000",
		New(ControlHeader{Tunnel: 7, Session: 1, Ns: 3, Nr: 4}, SLI, Octets(ACCM, []byte{0, 0, 255, 255, 255, 255, 0, 10, 0, 0})),
		[]string{"l2tp.avp.message_type=16", "l2tp.avp.send_accm=4294967295", "l2tp.avp.receive_accm=655360"}},
	{"WEN", `
		c802 0034 0007 0001 0003 0004
		8008 0000 0000 000f
		8020 0000 0022 0000 00000001 00000002 00000003 00000004 00000005 00000006`,
		New(ControlHeader{Tunnel: 7, Session: 1, Ns: 3, Nr: 4}, WEN,
			Octets(CallErrors, []byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6})),
		[]string{"l2tp.avp.crc_errors=1", "l2tp.avp.alignment_errors=6"}},
	{"OCRQ", `
		c802 0058 0007 0000 0001 0002
		8008 0000 0000 0007
		8008 0000 000e 0001
		800a 0000 000f 00000001
		800a 0000 0010 00002580
		800a 0000 0011 0000fa00
		800a 0000 0012 00000003
		800a 0000 0013 00000003
		800a 0000 0015 35353530`,
		New(ControlHeader{Tunnel: 7, Ns: 1, Nr: 2}, OCRQ, U16(AssignedSessionID, 1), U32(CallSerialNumber, 1), U32(MinimumBPS, 9600),
			U32(MaximumBPS, 64000), U32(BearerType, 3), U32(FramingType, 3), Octets(CalledNumber, []byte("5550"))),
		[]string{"l2tp.avp.minimum_bps=9600", "l2tp.avp.maximum_bps=64000", "l2tp.avp.called_number=5550"}},
	{"unknown, of a vendor, hidden and with reserved bits", `
		c802 003a 0007 0000 0001 0002
		8008 0000 0000 0006
		8006 0000 03e7                 # AVP 999
		c009 0009 0001 010203          # M and H, vendor 9
		3c0a 0000 0024 deadbeef        # reserved bits, Random Vector
		4007 0000 0008 ff              # H, Vendor Name
		0006 0000 0014                 # AVP 20, never assigned`,
		Message{ControlHeader{Tunnel: 7, Ns: 1, Nr: 2}, []AVP{
			U16(MessageTypeAVP, uint16(HELLO)), {Mandatory: true, Type: 999, Value: []byte{}},
			{Mandatory: true, Hidden: true, Vendor: 9, Type: 1, Value: []byte{1, 2, 3}},
			{Reserved: 0xf, Type: RandomVector, Value: []byte{0xde, 0xad, 0xbe, 0xef}},
			{Hidden: true, Type: VendorName, Value: []byte{0xff}}, {Type: 20, Value: []byte{}},
		}}, []string{"l2tp.avp.hidden=0,0,1,0,1,0", "l2tp.avp.type=0,999,36,20"}},
}

// fromHex reads lines of hex with comments.
func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		b.WriteString(strings.Join(strings.Fields(line), ""))
	}
	data, err := hex.DecodeString(b.String())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// count is n octets that count upwards from one.
func count(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			data := fromHex(t, v.hex)
			m, err := Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(m, v.want) {
				t.Errorf("got\n%+v\nwant\n%+v", m, v.want)
			}
			back, err := v.want.Append([]byte("before"))
			if err != nil || !bytes.Equal(back, append([]byte("before"), data...)) {
				t.Errorf("encodes as\n%x (%v), not\n%x", back, err, data)
			}
		})
	}
}

func TestEveryPrefixOfAControlMessageFails(t *testing.T) {
	for _, v := range vectors {
		data := fromHex(t, v.hex)
		for n := range data {
			if m, err := Parse(data[:n]); err == nil {
				t.Errorf("%s: %d of %d octets parse as %+v", v.name, n, len(data), m)
			}
			// The same, but a length that agrees: only whole AVPs may pass.
			if n < ControlLen {
				continue
			}
			short := bytes.Clone(data[:n])
			short[2], short[3] = byte(n>>8), byte(n)
			if m, err := Parse(short); err == nil {
				if back, _ := m.Append(nil); !bytes.Equal(back, short) {
					t.Errorf("%s: %d octets parse as what encodes as %x", v.name, n, back)
				}
			}
		}
		if _, err := Parse(append(data, 0)); err == nil {
			t.Errorf("%s: an octet too many is not noticed", v.name)
		}
	}
}

func TestControlHeaderRules(t *testing.T) {
	good := fromHex(t, "c802 000c 0007 0000 0001 0002")
	for name, c := range map[string]struct {
		flags uint16
		ok    bool
	}{
		"as it should be":        {0xc802, true},
		"reserved bits set":      {0xc802 | 0x34f0, true},
		"P, which has no use":    {0xc902, true},
		"without L":              {0x8802, false},
		"without S":              {0xc002, false},
		"with O":                 {0xca02, false},
		"a data message":         {0x4802, false},
		"version 1, L2F":         {0xc801, false},
		"version 3, L2TPv3":      {0xc803, false},
		"version 0 and all else": {0xcff0, false},
	} {
		b := bytes.Clone(good)
		b[0], b[1] = byte(c.flags>>8), byte(c.flags)
		h, body, err := ParseControlHeader(b)
		if (err == nil) != c.ok || c.ok && (h != ControlHeader{7, 0, 1, 2} || len(body) != 0) {
			t.Errorf("%s: %v %x %v", name, h, body, err)
		}
	}
	for _, length := range []byte{0, 11, 13, 255} {
		b := bytes.Clone(good)
		b[3] = length
		if _, _, err := ParseControlHeader(b); err == nil {
			t.Errorf("length %d of 12 octets passes", length)
		}
	}
	SetNr(good, 0xabcd)
	if h, _, _ := ParseControlHeader(good); h.Nr != 0xabcd {
		t.Errorf("Nr is %#x", h.Nr)
	}
	SetNr(good[:5], 1) // nothing to write to, and nothing happens
}
