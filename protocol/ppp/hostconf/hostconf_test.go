package hostconf

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	now      = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	hostIPv4 = netip.MustParseAddr("10.70.0.9")
	hostLL   = netip.MustParseAddr("fe80::9")
	ourLL    = netip.MustParseAddr("fe80::1")
	anybody  = netip.IPv6Unspecified()
)

func newLink() *Link {
	return &Link{
		Config: &Config{
			Server: netip.MustParseAddr("10.70.0.1"),
			DNS:    []netip.Addr{netip.MustParseAddr("10.70.0.1"), netip.MustParseAddr("fd00:70::1"), netip.MustParseAddr("10.70.0.2")},
			Search: []string{"corp.example", "example.org"},
			Routes: []netip.Prefix{netip.MustParsePrefix("10.20.30.0/24"), netip.MustParsePrefix("192.168.0.0/17"), netip.MustParsePrefix("fd00::/16"), netip.MustParsePrefix("0.0.0.0/0")},
			MTU:    1400, RouterLifetime: 30 * time.Minute,
		},
		IPv4: hostIPv4, Prefix: netip.MustParsePrefix("fd00:70:0:9::/64"), InterfaceID: [8]byte{7: 1},
	}
}

func octets(text string) []byte {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(text))
	if err != nil {
		panic(err)
	}
	return b
}

// message is a DHCP message of a host.
func message(ciaddr netip.Addr, giaddr string, options string) []byte {
	b := make([]byte, bootOptions)
	copy(b, octets("01 08 06 01 11223344 0005 8000")) // Windows names hardware type 8 on its PPP adapters
	copy(b[12:], ciaddr.AsSlice())
	copy(b[24:], netip.MustParseAddr(giaddr).AsSlice())
	copy(b[28:], octets("005345000000"))
	return append(append(b, octets("63825363")...), octets(options)...)
}

// windows is the DHCPINFORM of Windows 10: it asks for 249 and not for 121.
const windows = "35 01 08  3d 07 08 005345000000  0c 04 4445534b  3c 08 4d53465420352e30  37 0c 01 06 0f 2c 03 21 f9 2b 77 1f 2e fc  ff"

func inform4(l *Link, payload []byte) []byte {
	return udp4(netip.AddrPortFrom(hostIPv4, 68), netip.AddrPortFrom(broadcast4, 67), payload)
}

// options reads the options of a reply.
func options(t *testing.T, b []byte) map[byte][]byte {
	t.Helper()
	all := map[byte][]byte{}
	for b = b[bootOptions+4:]; b[0] != optionEnd; b = b[2+int(b[1]):] {
		all[b[0]] = append(all[b[0]], b[2:2+int(b[1])]...)
	}
	return all
}

// reply4 checks an answer from IPv4 up, and gives its DHCP message.
func reply4(t *testing.T, packet []byte) []byte {
	t.Helper()
	d, ok := parseUDP4(packet)
	if !ok {
		t.Fatalf("the reply is no sound UDP datagram: %x", packet)
	}
	if d.from.String() != "10.70.0.1:67" || d.to.String() != "10.70.0.9:68" {
		t.Errorf("the reply goes from %v to %v", d.from, d.to)
	}
	return d.data
}

func TestWindowsIsToldRoutesInOption249(t *testing.T) {
	l := newLink()
	b := reply4(t, l.Answer(now, inform4(l, message(hostIPv4, "0.0.0.0", windows))))
	if want := octets("02 08 06 00 11223344 0000 8000 0a460009 00000000 00000000 00000000 005345000000"); !bytes.HasPrefix(b, want) {
		t.Errorf("the fixed part is %x", b[:bootFile])
	}
	got := options(t, b)
	for kind, want := range map[byte]string{
		optionMessageType: "05", optionServer: "0a460001", optionMask: "ffffffff", optionDNS: "0a460001 0a460002",
		optionDomain:   hex.EncodeToString([]byte("corp.example")),
		optionSearch:   "04636f7270076578616d706c6500 076578616d706c65036f726700",
		optionRoutesMS: "18 0a141e 0a460001  11 c0a800 0a460001  00 0a460001",
	} {
		if !bytes.Equal(got[kind], octets(want)) {
			t.Errorf("option %d is %x, want %s", kind, got[kind], want)
		}
	}
	if len(got) != 7 {
		t.Errorf("%d options, and 7 are wanted: %v", len(got), got)
	}
}

func TestMacOSIsToldRoutesInOption121(t *testing.T) {
	l := newLink()
	got := options(t, reply4(t, l.Answer(now, inform4(l, message(hostIPv4, "0.0.0.0", "35 01 08 37 02 79 06 ff")))))
	if len(got[optionRoutes]) == 0 || got[optionRoutesMS] != nil || got[optionDomain] != nil {
		t.Errorf("%v", got)
	}
}

func TestTrap45_InformFromTheAssignedAddressAlone(t *testing.T) {
	other := netip.MustParseAddr("10.70.0.10")
	server := netip.MustParseAddr("10.70.0.1")
	const inform = "35 01 08 37 01 06 ff"
	for _, c := range []struct {
		what     string
		from, to netip.AddrPort
		payload  []byte
		answered bool
	}{
		{"to everybody", netip.AddrPortFrom(hostIPv4, 68), netip.AddrPortFrom(broadcast4, 67), message(hostIPv4, "0.0.0.0", inform), true},
		{"to us", netip.AddrPortFrom(hostIPv4, 68), netip.AddrPortFrom(server, 67), message(hostIPv4, "0.0.0.0", inform), true},
		{"from another address", netip.AddrPortFrom(other, 68), netip.AddrPortFrom(broadcast4, 67), message(hostIPv4, "0.0.0.0", inform), false},
		{"for another address", netip.AddrPortFrom(hostIPv4, 68), netip.AddrPortFrom(broadcast4, 67), message(other, "0.0.0.0", inform), false},
		{"from no address", netip.AddrPortFrom(netip.IPv4Unspecified(), 68), netip.AddrPortFrom(broadcast4, 67), message(hostIPv4, "0.0.0.0", inform), false},
		{"from another port", netip.AddrPortFrom(hostIPv4, 6800), netip.AddrPortFrom(broadcast4, 67), message(hostIPv4, "0.0.0.0", inform), false},
		{"to another server", netip.AddrPortFrom(hostIPv4, 68), netip.AddrPortFrom(other, 67), message(hostIPv4, "0.0.0.0", inform), false},
		{"by a relay", netip.AddrPortFrom(hostIPv4, 68), netip.AddrPortFrom(server, 67), message(hostIPv4, "10.1.1.1", inform), false},
		{"DISCOVER", netip.AddrPortFrom(hostIPv4, 68), netip.AddrPortFrom(broadcast4, 67), message(hostIPv4, "0.0.0.0", "35 01 01 ff"), false},
		{"REQUEST", netip.AddrPortFrom(hostIPv4, 68), netip.AddrPortFrom(broadcast4, 67), message(hostIPv4, "0.0.0.0", "35 01 03 ff"), false},
		{"no type", netip.AddrPortFrom(hostIPv4, 68), netip.AddrPortFrom(broadcast4, 67), message(hostIPv4, "0.0.0.0", "ff"), false},
		{"a cut option", netip.AddrPortFrom(hostIPv4, 68), netip.AddrPortFrom(broadcast4, 67), message(hostIPv4, "0.0.0.0", "35 01 08 37 09 06"), false},
	} {
		if got := newLink().Answer(now, udp4(c.from, c.to, c.payload)); (got != nil) != c.answered {
			t.Errorf("%s: answered %t", c.what, got != nil)
		}
	}
}

func TestTrap45_OnceASecond(t *testing.T) {
	l := newLink()
	packet := inform4(l, message(hostIPv4, "0.0.0.0", windows))
	answers := 0
	for i := range 100 {
		if l.Answer(now.Add(time.Duration(i)*100*time.Millisecond), packet) != nil {
			answers++
		}
	}
	if answers != 10 {
		t.Errorf("%d answers in ten seconds", answers)
	}
}

func TestTrap45_TheReplyIsBounded(t *testing.T) {
	l := newLink()
	for i := range 2000 {
		l.Routes = append(l.Routes, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24))
	}
	b := l.Answer(now, inform4(l, message(hostIPv4, "0.0.0.0", windows)))
	if len(b) == 0 || len(b) > maxDHCP+28 {
		t.Errorf("%d octets", len(b))
	}
	l = newLink()
	for i := range 40 {
		l.Routes = append(l.Routes, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 99, byte(i), 0}), 24))
	}
	got := options(t, reply4(t, l.Answer(now, inform4(l, message(hostIPv4, "0.0.0.0", windows)))))
	if len(got[optionRoutesMS]) != 8+8+5+40*8 {
		t.Errorf("routes over 255 octets: %d octets came in pieces", len(got[optionRoutesMS]))
	}
}

func TestIPv4ThatIsNotSound(t *testing.T) {
	l := newLink()
	good := inform4(l, message(hostIPv4, "0.0.0.0", windows))
	for _, c := range []struct {
		what   string
		change func(b []byte)
	}{
		{"the header checksum", func(b []byte) { b[10] ^= 1 }},
		{"the UDP checksum", func(b []byte) { b[26] ^= 1 }},
		{"a fragment", func(b []byte) { b[6] = 0x20; b[10], b[11] = 0, 0; binary.BigEndian.PutUint16(b[10:], ^sum(0, b[:20])) }},
		{"TCP", func(b []byte) { b[9] = 6; b[10], b[11] = 0, 0; binary.BigEndian.PutUint16(b[10:], ^sum(0, b[:20])) }},
		{"a length that is too long", func(b []byte) {
			b[2], b[3] = 0xff, 0xff
			b[10], b[11] = 0, 0
			binary.BigEndian.PutUint16(b[10:], ^sum(0, b[:20]))
		}},
	} {
		b := slices.Clone(good)
		c.change(b)
		if newLink().Answer(now, b) != nil {
			t.Errorf("%s is wrong, and there is an answer", c.what)
		}
	}
	for n := range good {
		if newLink().Answer(now, good[:n]) != nil {
			t.Errorf("the first %d octets are answered", n)
		}
	}
	absent := slices.Clone(good)
	absent[26], absent[27] = 0, 0
	if l.Answer(now, absent) == nil {
		t.Error("UDP over IPv4 without a checksum is not answered")
	}
	l = newLink()
	l.IPv4 = netip.Addr{}
	if l.Answer(now, good) != nil {
		t.Error("an answer without IPv4")
	}
}

// nd makes an ICMPv6 message of the host.
func nd(from, to netip.Addr, text string) []byte { return icmp6(from, to, octets(text)) }

var (
	allRouters = netip.MustParseAddr("ff02::2")
	solicit    = nd(hostLL, allRouters, "85 00 0000 00000000")
)

func TestRouterAdvertisementByTheOctet(t *testing.T) {
	want := octets(`60000000 0078 3a ff fe800000000000000000000000000001 ff020000000000000000000000000001
		86 00 0000 40 40 0708 00000000 00000000
		03 04 40 40 00278d00 00093a80 00000000 fd000070000000090000000000000000
		05 01 0000 00000578
		19 03 0000 00000708 fd000070000000000000000000000001
		1f 05 0000 00000708 04636f7270076578616d706c6500 076578616d706c65036f726700 0000000000`)
	got := newLink().Advertise()
	if len(got) != len(want) {
		t.Fatalf("%d octets, want %d:\n%x", len(got), len(want), got)
	}
	copy(want[42:44], got[42:44])
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%x, want\n%x", got, want)
	}
	if h, ok := parseIPv6(got); !ok || sum(pseudo(h.from, h.to, protocolICMPv6, len(h.body)), h.body) != 0xffff {
		t.Error("the checksum is wrong")
	}
}

func TestRouterSolicitation(t *testing.T) {
	for _, c := range []struct {
		what   string
		packet []byte
		to     string // of the answer; empty = none
	}{
		{"from a link-local address", solicit, "fe80::9"},
		{"from nobody", nd(anybody, allRouters, "85 00 0000 00000000"), "ff02::1"},
		{"from its prefix", nd(netip.MustParseAddr("fd00:70:0:9::5"), allRouters, "85 00 0000 00000000"), "fd00:70:0:9::5"},
		{"with an option", nd(hostLL, allRouters, "85 00 0000 00000000 0e01 000000000000"), "fe80::9"},
		{"from another's prefix", nd(netip.MustParseAddr("fd00:70:0:8::5"), allRouters, "85 00 0000 00000000"), ""},
		{"from our own address", nd(ourLL, allRouters, "85 00 0000 00000000"), ""},
		{"with an option of length 0", nd(hostLL, allRouters, "85 00 0000 00000000 0100 000000000000"), ""},
		{"with an option cut short", nd(hostLL, allRouters, "85 00 0000 00000000 0102 000000000000"), ""},
		{"with code 1", nd(hostLL, allRouters, "85 01 0000 00000000"), ""},
		{"that was forwarded", func() []byte { b := slices.Clone(solicit); b[7] = 254; return b }(), ""},
		{"with a wrong checksum", func() []byte { b := slices.Clone(solicit); b[42] ^= 1; return b }(), ""},
		{"an advertisement of the host's", nd(hostLL, allNodes, "86 00 0000 40 00 0708 00000000 00000000"), ""},
		{"an echo request", nd(hostLL, ourLL, "80 00 0000 00010001"), ""},
	} {
		got := newLink().Answer(now, c.packet)
		switch h, ok := parseIPv6(got); {
		case c.to == "" && got != nil, c.to != "" && (!ok || h.to.String() != c.to || h.body[0] != routerAdvertisement):
			t.Errorf("%s: the answer is %x", c.what, got)
		}
	}
	l := newLink()
	if l.Answer(now, solicit) == nil || l.Answer(now.Add(500*time.Millisecond), solicit) != nil || l.Answer(now.Add(time.Second), solicit) == nil {
		t.Error("solicitations are answered once a second")
	}
	l.Prefix = netip.Prefix{}
	if l.Answer(now.Add(time.Hour), solicit) != nil || l.Advertise() != nil {
		t.Error("an advertisement without IPv6")
	}
}

func TestNeighborSolicitation(t *testing.T) {
	const ours = "87 00 0000 00000000 fe800000000000000000000000000001"
	got := newLink().Answer(now, nd(hostLL, netip.MustParseAddr("ff02::1:ff00:1"), ours))
	if want := octets("88 00 0000 e0000000 fe800000000000000000000000000001"); len(got) != 64 || !bytes.Equal(got[44:], want[4:]) || got[40] != 136 {
		t.Errorf("the answer is %x", got)
	}
	h, ok := parseIPv6(got)
	if !ok || h.from != ourLL || h.to != hostLL || h.hops != 255 || sum(pseudo(h.from, h.to, protocolICMPv6, len(h.body)), h.body) != 0xffff {
		t.Errorf("%+v", h)
	}
	if h, ok := parseIPv6(newLink().Answer(now, nd(anybody, netip.MustParseAddr("ff02::1:ff00:1"), ours))); !ok || h.to != allNodes || h.body[4] != 0xa0 {
		t.Errorf("who wants our address hears %+v", h)
	}
	if newLink().Answer(now, nd(hostLL, allNodes, "87 00 0000 00000000 fe800000000000000000000000000002")) != nil {
		t.Error("an answer for somebody else")
	}
}

// ask6 is an Information-Request.
func ask6(to netip.Addr, options string) []byte {
	return udp6(netip.AddrPortFrom(hostLL, 546), netip.AddrPortFrom(to, 547), octets("0b 0a0b0c"+options))
}

func TestInformationRequestIsAnsweredWithNameServers(t *testing.T) {
	got := newLink().Answer(now, ask6(allDHCPServers, "0001 000a 00030001 005345000000  0006 0004 0017 0018  0008 0002 0000"))
	h, ok := parseIPv6(got)
	d, sound := parseUDP(h.from, h.to, h.body, false)
	if !ok || !sound || d.from.String() != "[fe80::1]:547" || d.to.String() != "[fe80::9]:546" {
		t.Fatalf("the answer is %x", got)
	}
	want := octets(`07 0a0b0c 0001 000a 00030001 005345000000 0002 000c 0003001b 0000000000000001
		0017 0010 fd000070000000000000000000000001 0018 001b 04636f7270076578616d706c6500 076578616d706c65036f726700`)
	if !bytes.Equal(d.data, want) {
		t.Errorf("got\n%x, want\n%x", d.data, want)
	}
}

func TestInformationRequestsThatGetNoAnswer(t *testing.T) {
	for what, packet := range map[string][]byte{
		"for an address":            ask6(allDHCPServers, "0003 000c 00000001 00000000 00000000"),
		"for a prefix":              ask6(allDHCPServers, "0019 000c 00000001 00000000 00000000"),
		"for another server":        ask6(allDHCPServers, "0002 000c 0003001b 0000000000000002"),
		"to another address":        ask6(netip.MustParseAddr("fd00::1"), ""),
		"with an option cut short":  ask6(allDHCPServers, "0006 0004 0017"),
		"with an endless client ID": ask6(allDHCPServers, "0001 0083"+strings.Repeat("00", 0x83)),
		"solicit":                   udp6(netip.AddrPortFrom(hostLL, 546), netip.AddrPortFrom(allDHCPServers, 547), octets("01 0a0b0c")),
		"from another port":         udp6(netip.AddrPortFrom(hostLL, 500), netip.AddrPortFrom(allDHCPServers, 547), octets("0b 0a0b0c")),
		"from nobody":               udp6(netip.AddrPortFrom(anybody, 546), netip.AddrPortFrom(allDHCPServers, 547), octets("0b 0a0b0c")),
	} {
		if got := newLink().Answer(now, packet); got != nil {
			t.Errorf("%s: %x", what, got)
		}
	}
}

func TestDomainNamesThatHaveNoForm(t *testing.T) {
	for _, name := range []string{"", ".", "a..b", strings.Repeat("a", 64) + ".example", strings.Repeat("abcdefg.", 40)} {
		if b := domainNames([]string{name}); b != nil {
			t.Errorf("%q became %x", name, b)
		}
	}
}

func TestCheckFindsWhatDoesNotFit(t *testing.T) {
	if err := newLink().Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(c *Config){
		`hostconf: "a..b" is no domain name to search`: func(c *Config) { c.Search = []string{"a..b"} },
		"hostconf: the search domains take 546 octets, and 512 fit: leave some out": func(c *Config) {
			c.Search = slices.Repeat([]string{"example.org"}, 42)
		},
		"hostconf: 200 routes take 1600 octets, and 791 are left for them: join some of them, or send everything through the tunnel": func(c *Config) {
			c.Routes = slices.Repeat([]netip.Prefix{netip.MustParsePrefix("10.1.2.0/24")}, 200)
		},
	} {
		l := newLink()
		change(l.Config)
		if err := l.Check(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestChecksumOfRFC1071(t *testing.T) {
	if s := sum(0, octets("0001 f203 f4f5 f6f7")); s != 0xddf2 {
		t.Errorf("%#04x, and Section 3 has 0xddf2", s)
	}
}

// FuzzAnswer: whatever the host sends, an answer goes to the host alone, is
// bounded and is sound.
func FuzzAnswer(f *testing.F) {
	l := newLink()
	f.Add(inform4(l, message(hostIPv4, "0.0.0.0", windows)))
	f.Add(solicit)
	f.Add(nd(hostLL, allNodes, "87 00 0000 00000000 fe800000000000000000000000000001"))
	f.Add(ask6(allDHCPServers, "0001 000a 00030001 005345000000  0006 0004 0017 0018"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		repair(packet)
		answer := newLink().Answer(now, packet)
		switch {
		case answer == nil:
		case !Asks(packet):
			t.Error("an answer to what Asks does not divert")
		case len(answer) > 1280:
			t.Errorf("%d octets", len(answer))
		case answer[0]>>4 == 4:
			if d, ok := parseUDP4(answer); !ok || d.to.Addr() != hostIPv4 {
				t.Errorf("%x", answer)
			}
		default:
			if h, ok := parseIPv6(answer); !ok || h.from != ourLL {
				t.Errorf("%x", answer)
			}
		}
	})
}

// repair makes checksums right, so that fuzzing comes behind them.
func repair(b []byte) {
	if len(b) < 60 {
		return
	}
	switch b[0] >> 4 {
	case 4:
		b[0] = 0x45
		b[10], b[11], b[26], b[27] = 0, 0, 0, 0
		binary.BigEndian.PutUint16(b[10:], ^sum(0, b[:20]))
	case 6:
		h, ok := parseIPv6(b)
		at := 2
		if h.protocol == protocolUDP {
			at = 6
		}
		if ok && len(h.body) > at+1 {
			binary.BigEndian.PutUint16(h.body[at:], 0)
			binary.BigEndian.PutUint16(h.body[at:], ^sum(pseudo(h.from, h.to, h.protocol, len(h.body)), h.body))
		}
	}
}
