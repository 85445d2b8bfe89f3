package ikev1

import (
	"net/netip"
	"time"

	"sallyport/protocol/ikev1/isakmp"
)

// Limits of reassembly. Fragments are not authenticated, each for itself or at
// all, so one set at a time is kept, and only of the peer's own address.
const (
	maxFragments     = 64
	maxReassembled   = 24 << 10 // a long chain of certificates and some fifty CERTREQ
	fragmentPatience = 10 * time.Second
)

// fragments is a message of which some parts have come. Each part is stored
// under its number and joined once, so that no order of arrival costs more than
// another (CVE-2016-10396).
type fragments struct {
	cookieI, cookieR isakmp.Cookie
	id               uint16
	from             netip.AddrPort
	parts            [maxFragments][]byte
	have, size       int
	last             int // number of the last one; 0 = not seen
	since            time.Time
}

// reassemble gives the whole message when d completes it.
func (s *Session) reassemble(now time.Time, h isakmp.Header, d Datagram) []byte {
	m, err := isakmp.Parse(d.Data)
	if err != nil || len(m.Payloads) != 1 || s.find(h) == nil {
		s.counts.Malformed++
		return nil
	}
	f, ok := m.Payloads[0].(*isakmp.Fragment)
	if !ok || f.Number == 0 || int(f.Number) > maxFragments || len(f.Data) == 0 {
		s.counts.Malformed++
		return nil
	}
	if s.parts == nil || !s.parts.of(h, f, d.Remote) {
		s.parts = &fragments{cookieI: h.CookieI, cookieR: h.CookieR, id: f.ID, from: d.Remote, since: now}
	}
	if !s.parts.add(f) {
		return nil
	}
	whole := s.parts.join()
	s.parts = nil
	return whole
}

func (p *fragments) of(h isakmp.Header, f *isakmp.Fragment, from netip.AddrPort) bool {
	return p.cookieI == h.CookieI && p.cookieR == h.CookieR && p.id == f.ID && p.from == from
}

// add stores a part and tells whether all are there. The first copy of a part
// stays; what contradicts it is dropped.
func (p *fragments) add(f *isakmp.Fragment) bool {
	n := int(f.Number)
	switch {
	case p.parts[n-1] != nil, p.last != 0 && (n > p.last || f.Last), p.size+len(f.Data) > maxReassembled:
		return false
	case f.Last && p.beyond(n):
		return false
	}
	p.parts[n-1] = append([]byte(nil), f.Data...)
	p.have++
	p.size += len(f.Data)
	if f.Last {
		p.last = n
	}
	return p.have == p.last
}

// beyond tells whether there is a part after number n.
func (p *fragments) beyond(n int) bool {
	for _, part := range p.parts[n:] {
		if part != nil {
			return true
		}
	}
	return false
}

func (p *fragments) join() []byte {
	whole := make([]byte, 0, p.size)
	for _, part := range p.parts[:p.last] {
		whole = append(whole, part...)
	}
	return whole
}

// split makes fragments of a message that is too long, when the peer can join
// them.
func (s *Session) split(sa *isakmpSA, msg []byte) [][]byte {
	size := s.cfg.Policy.fragmentSize()
	if !sa.fragment || len(msg) <= size {
		return [][]byte{msg}
	}
	h, err := isakmp.ParseHeader(msg)
	if err != nil {
		return [][]byte{msg}
	}
	const overhead = isakmp.HeaderLen + 8 // generic header, ID, number, flags
	room := max(size-overhead, len(msg)/maxFragments+1)
	sa.fragmentID++
	h.Flags &^= isakmp.FlagEncryption
	var all [][]byte
	for number := 1; len(msg) > 0; number++ {
		n := min(room, len(msg))
		f := &isakmp.Fragment{ID: sa.fragmentID, Number: uint8(number), Last: n == len(msg), Data: msg[:n]}
		part := isakmp.Message{Header: h, Payloads: []isakmp.Payload{f}}
		b, err := part.Append(nil)
		if err != nil {
			return nil
		}
		all, msg = append(all, b), msg[n:]
	}
	return all
}
