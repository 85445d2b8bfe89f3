package hostconf

import (
	"net/netip"
	"slices"

	"sallyport/protocol/wire"
)

// DHCPINFORM (RFC 2131, Section 4.3.5): the host has an address and wants to
// know the rest. Windows asks for routes in option 249, macOS in 121.

const (
	portDHCPServer = 67
	portDHCPClient = 68
)

// Options of RFC 2132, RFC 3397 and RFC 3442.
const (
	optionPad         = 0
	optionMask        = 1
	optionDNS         = 6
	optionDomain      = 15
	optionMessageType = 53
	optionServer      = 54
	optionParameters  = 55
	optionSearch      = 119
	optionRoutes      = 121
	optionRoutesMS    = 249
	optionEnd         = 255
)

// Message types of RFC 2132, Section 9.6.
const (
	dhcpACK    = 5
	dhcpInform = 8
)

const (
	bootRequest = 1
	bootReply   = 2
	magicCookie = 0x63825363
	// bootFile is where the two text fields of BOOTP begin, and bootOptions where
	// the cookie stands.
	bootFile    = 44
	bootOptions = 236
	// maxDHCP bounds the reply: every host takes 576 octets of IP, which is 548 of
	// DHCP, and those with routes to ask for take what their MTU allows; this is
	// the PPP MTU over a path of 1280.
	maxDHCP = 1100
)

// inform is what matters of a DHCPINFORM.
type inform struct {
	fixed      []byte // the message up to the text fields
	client     netip.Addr
	relay      bool
	kind       byte
	parameters []byte // option 55
}

// parseInform reads a message of a client. Overloaded text fields (option 52)
// are not looked at: nothing that matters is long.
func parseInform(b []byte) (inform, bool) {
	r := wire.NewReader("DHCP message", b)
	var m inform
	m.fixed = r.Bytes(bootFile)
	r.Bytes(bootOptions - bootFile)
	cookie := r.U32()
	if r.Err() != nil || m.fixed[0] != bootRequest || m.fixed[2] > 16 || cookie != magicCookie {
		return m, false
	}
	m.client = addr(m.fixed[12:16])
	m.relay = addr(m.fixed[24:28]) != netip.IPv4Unspecified()
	for r.Len() > 0 {
		switch t := r.U8(); t {
		case optionPad:
		case optionEnd:
			return m, r.Err() == nil
		default:
			m.option(t, r.Bytes(int(r.U8())))
		}
	}
	return m, r.Err() == nil
}

func (m *inform) option(t uint8, data []byte) {
	switch {
	case t == optionMessageType && len(data) == 1:
		m.kind = data[0]
	case t == optionParameters:
		m.parameters = data
	}
}

// dhcpInform answers a DHCPINFORM of the host itself. One that came by a relay
// is not of the host.
func (l *Link) dhcpInform(data []byte) []byte {
	m, ok := parseInform(data)
	if !ok || m.kind != dhcpInform || m.relay || m.client != l.IPv4 {
		return nil
	}
	return udp4(netip.AddrPortFrom(l.Server, portDHCPServer), netip.AddrPortFrom(l.IPv4, portDHCPClient), l.dhcpACK(m))
}

// dhcpACK has neither an address for the host nor a lease time (RFC 2131,
// Section 4.3.5).
func (l *Link) dhcpACK(m inform) []byte {
	b := make([]byte, bootOptions, maxDHCP)
	copy(b, m.fixed)
	b[0], b[3] = bootReply, 0 // hops
	clear(b[8:10])            // seconds
	clear(b[16:28])           // yiaddr, siaddr, giaddr
	b = wire.AppendU32(b, magicCookie)
	b = append(b, optionMessageType, 1, dhcpACK)
	b = append(append(b, optionServer, 4), l.Server.AsSlice()...)
	for _, o := range []struct {
		kind byte
		data []byte
	}{
		{optionMask, net4Mask},
		{optionDNS, l.dns4()},
		{optionDomain, l.domain()},
		{optionSearch, l.search()},
		{optionRoutes, l.routes()},
		{optionRoutesMS, l.routes()},
	} {
		if slices.Contains(m.parameters, o.kind) {
			b = appendOption(b, o.kind, o.data)
		}
	}
	return append(b, optionEnd)
}

// net4Mask is that of a link with one host.
var net4Mask = []byte{255, 255, 255, 255}

// appendOption appends an option, in pieces where it is long (RFC 3396), unless
// it is empty or the message would get too long.
func appendOption(b []byte, kind byte, data []byte) []byte {
	const piece = 255
	if len(b)+len(data)+2*(len(data)/piece+1) >= maxDHCP {
		return b
	}
	for p := range slices.Chunk(data, piece) {
		b = append(append(b, kind, byte(len(p))), p...)
	}
	return b
}

func (l *Link) dns4() []byte {
	var b []byte
	for _, a := range l.servers(true) {
		b = append(b, a.AsSlice()...)
	}
	return b
}

func (l *Link) domain() []byte {
	if len(l.Search) == 0 {
		return nil
	}
	return []byte(l.Search[0])
}

// search is the list without compression (RFC 3397).
func (l *Link) search() []byte { return domainNames(l.Search) }

// routes are destination descriptors and router (RFC 3442).
func (l *Link) routes() []byte {
	var b []byte
	for _, p := range l.Routes {
		if !p.Addr().Is4() {
			continue
		}
		width := p.Bits()
		b = append(append(b, byte(width)), p.Masked().Addr().AsSlice()[:(width+7)/8]...)
		b = append(b, l.Server.AsSlice()...)
	}
	return b
}
