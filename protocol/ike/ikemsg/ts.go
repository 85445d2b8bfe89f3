package ikemsg

import (
	"fmt"
	"net/netip"
	"strconv"

	"sallyport/protocol/wire"
)

// Traffic Selector types and their fixed lengths (RFC 7296, Section 3.13.1).
const (
	tsIPv4AddrRange = 7
	tsIPv6AddrRange = 8

	selectorLen4 = 16
	selectorLen6 = 40
)

// PayloadType is PayloadTSi or PayloadTSr.
func (t *TS) PayloadType() PayloadType {
	if t.Responder {
		return PayloadTSr
	}
	return PayloadTSi
}

func parseTS(responder bool, r *wire.Reader) Payload {
	ts := &TS{Responder: responder}
	announced := int(r.U8())
	r.Bytes(3) // RESERVED
	n := 0
	for ; r.Len() > 0; n++ {
		if n == 255 {
			break // Finish reports the rest
		}
		if s, known := parseSelector(r, n+1); known {
			if ts.Selectors == nil {
				ts.Selectors = make([]TrafficSelector, 0, min(r.Len()/selectorLen4+1, 255))
			}
			ts.Selectors = append(ts.Selectors, s)
		}
	}
	if n == 0 {
		r.Fail("there is no selector")
	} else if n != announced {
		r.Fail("%d selectors are announced, %d are there", announced, n)
	}
	return ts
}

// parseSelector reads one selector and says whether it is of a known type.
// Its length is judged against its type: CVE-2023-23009 was a length that the
// rest of the code did not believe.
func parseSelector(r *wire.Reader, n int) (s TrafficSelector, known bool) {
	head := r.Peek(4)
	if head == nil {
		return s, false
	}
	kind, length := head[0], int(head[2])<<8|int(head[3])
	r = r.Item(max(length, 4), "selector", n)
	r.U8()
	s.Protocol = r.U8()
	r.U16()
	want := length
	switch kind {
	case tsIPv4AddrRange:
		want = selectorLen4
	case tsIPv6AddrRange:
		want = selectorLen6
	}
	if length != want || length < 4 {
		r.Fail("length %d is not that of type %d", length, kind)
	}
	if kind != tsIPv4AddrRange && kind != tsIPv6AddrRange {
		r.Rest()
		return s, false
	}
	s.StartPort, s.EndPort = r.U16(), r.U16()
	half := r.Len() / 2
	s.Start, _ = netip.AddrFromSlice(r.Bytes(half))
	s.End, _ = netip.AddrFromSlice(r.Bytes(half))
	if s.Start.Compare(s.End) > 0 {
		r.Fail("the range ends before it starts")
	}
	if s.StartPort > s.EndPort && !s.Opaque() {
		r.Fail("the ports end before they start")
	}
	r.Finish()
	return s, true
}

func (t *TS) appendBody(b []byte) ([]byte, error) {
	if len(t.Selectors) == 0 || len(t.Selectors) > 255 {
		return b, fmt.Errorf("%d selectors are not between 1 and 255", len(t.Selectors))
	}
	b = append(b, byte(len(t.Selectors)), 0, 0, 0)
	for i, s := range t.Selectors {
		if !s.Start.IsValid() || s.Start.BitLen() != s.End.BitLen() {
			return b, fmt.Errorf("selector %d: %v and %v are not of one family", i+1, s.Start, s.End)
		}
		kind, length := byte(tsIPv4AddrRange), uint16(selectorLen4)
		if s.Start.BitLen() == 128 {
			kind, length = tsIPv6AddrRange, selectorLen6
		}
		b = append(b, kind, s.Protocol)
		b = wire.AppendU16(b, length)
		b = wire.AppendU16(b, s.StartPort)
		b = wire.AppendU16(b, s.EndPort)
		b = append(b, s.Start.AsSlice()...)
		b = append(b, s.End.AsSlice()...)
	}
	return b, nil
}

// PrefixSelector selects every packet of the prefix: any protocol, any port.
func PrefixSelector(p netip.Prefix) TrafficSelector {
	p = p.Masked()
	end := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(end); bit++ {
		end[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(end)
	return TrafficSelector{EndPort: 65535, Start: p.Addr(), End: last}
}

// Opaque says whether the ports are "OPAQUE": hidden in the packet, such as in
// a later fragment (RFC 7296, Section 3.13.1).
func (s TrafficSelector) Opaque() bool { return s.StartPort == 65535 && s.EndPort == 0 }

// Contains says whether a packet with this address, protocol and port at the
// selector's end matches. For ICMP the port is type<<8|code. A selector of
// opaque ports contains no packet whose port is known.
func (s TrafficSelector) Contains(addr netip.Addr, proto uint8, port uint16) bool {
	return addr.IsValid() && s.Start.BitLen() == addr.BitLen() &&
		s.Start.Compare(addr) <= 0 && addr.Compare(s.End) <= 0 &&
		(s.Protocol == 0 || s.Protocol == proto) &&
		s.StartPort <= port && port <= s.EndPort
}

// Prefix is the range as a prefix, if it is one.
func (s TrafficSelector) Prefix() (netip.Prefix, bool) {
	if !s.Start.IsValid() || s.Start.BitLen() != s.End.BitLen() {
		return netip.Prefix{}, false
	}
	a, b := s.Start.AsSlice(), s.End.AsSlice()
	bits := 0
	for bits < 8*len(a) && (a[bits/8]^b[bits/8])&(0x80>>(bits%8)) == 0 {
		bits++
	}
	p := netip.PrefixFrom(s.Start, bits)
	whole := PrefixSelector(p)
	return p, whole.Start == s.Start && whole.End == s.End
}

// String is the range as address, prefix or "first-last", and the protocol and
// ports in brackets unless they are any: "10.0.0.0/8", "192.0.2.1[17/500]",
// "2001:db8::1-2001:db8::9[6/1-1023]".
func (s TrafficSelector) String() string {
	text := s.Start.String()
	if p, ok := s.Prefix(); !ok {
		text += "-" + s.End.String()
	} else if !p.IsSingleIP() {
		text = p.String()
	}
	ports := strconv.Itoa(int(s.StartPort))
	switch {
	case s.Opaque():
		ports = "opaque"
	case s.StartPort == 0 && s.EndPort == 65535:
		if ports = "any"; s.Protocol == 0 {
			return text
		}
	case s.StartPort != s.EndPort:
		ports += "-" + strconv.Itoa(int(s.EndPort))
	}
	return fmt.Sprintf("%s[%d/%s]", text, s.Protocol, ports)
}
