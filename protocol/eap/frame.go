package eap

import (
	"fmt"

	"sallyport/protocol/eap/tlspump"
	"sallyport/protocol/wire"
)

// Flags of the methods that carry TLS (RFC 5216, Section 3.1; RFC 5281,
// Section 9.1; MS-PEAP, Section 2.2). The low three bits are the version of
// PEAP and TTLS, and reserved in EAP-TLS.
const (
	flagLength  = 0x80
	flagMore    = 0x40
	flagStart   = 0x20
	maskVersion = 0x07
)

// frame is the Data of one packet of EAP-TLS, PEAP or TTLS.
type frame struct {
	Flags  uint8
	Length uint32 // of the whole TLS message; with flagLength only
	TLS    []byte
}

func parseFrame(data []byte) (frame, error) {
	r := wire.NewReader("EAP-TLS data", data)
	f := frame{Flags: r.U8()}
	if f.Flags&flagLength != 0 {
		f.Length = r.U32()
	}
	f.TLS = r.Rest()
	return f, r.Finish()
}

func (f frame) append(b []byte) []byte {
	b = append(b, f.Flags)
	if f.Flags&flagLength != 0 {
		b = wire.AppendU32(b, f.Length)
	}
	return append(b, f.TLS...)
}

// maxFlight bounds one TLS message of the other end, joined from fragments.
const maxFlight = tlspump.MaxFlight

// fragments cuts TLS messages to the size of the carrier and joins those of
// the other end (RFC 5216, Section 2.1.5). Each fragment waits for an empty
// packet as its acknowledgement.
type fragments struct {
	version uint8 // what the flags say in every packet
	size    int   // octets of TLS data per packet

	out     []byte // what is still to be sent
	sending bool   // a fragment with flagMore is out, its acknowledgement is awaited

	in       []byte
	declared uint32 // the first fragment's Length
	joining  bool
}

// send begins a message and returns the Data of its first packet. The Length
// stands in each first packet, fragmented or not: Windows NPS takes the
// message for something else without it.
func (f *fragments) send(message []byte) []byte {
	if len(message) == 0 {
		return f.ack()
	}
	total := uint32(len(message))
	f.out = message
	part := f.take()
	part.Flags |= flagLength
	part.Length = total
	return part.append(nil)
}

func (f *fragments) take() frame {
	n := min(f.size, len(f.out))
	part := frame{Flags: f.version, TLS: f.out[:n]}
	f.out = f.out[n:]
	if f.sending = len(f.out) > 0; f.sending {
		part.Flags |= flagMore
	}
	return part
}

// ack is an empty packet.
func (f *fragments) ack() []byte { return frame{Flags: f.version}.append(nil) }

// receive takes a packet. When it answers itself, with the next fragment or an
// acknowledgement, reply is not nil; otherwise message is complete, and empty
// for an acknowledgement of our last fragment.
func (f *fragments) receive(p frame) (message, reply []byte, err error) {
	switch {
	case f.sending && (len(p.TLS) > 0 || p.Flags&flagMore != 0):
		return nil, nil, fmt.Errorf("%d octets of TLS data where an acknowledgement was due", len(p.TLS))
	case f.sending:
		return nil, f.take().append(nil), nil
	}
	if err := f.join(p); err != nil {
		return nil, nil, err
	}
	if p.Flags&flagMore != 0 {
		f.joining = true
		return nil, f.ack(), nil
	}
	message, f.in, f.joining = f.in, nil, false
	return message, nil, nil
}

// join adds a fragment. The Length bounds; it never allocates.
func (f *fragments) join(p frame) error {
	has := p.Flags&flagLength != 0
	more := p.Flags&flagMore != 0
	switch {
	case has && p.Length > maxFlight:
		return fmt.Errorf("TLS message length %d is over %d", p.Length, maxFlight)
	case !f.joining && more && !has:
		return fmt.Errorf("the first of several fragments has no TLS message length")
	case f.joining && has && p.Length != f.declared:
		return fmt.Errorf("TLS message length changes from %d to %d", f.declared, p.Length)
	case more && len(p.TLS) == 0:
		return fmt.Errorf("an empty fragment says that more follow")
	}
	if !f.joining {
		f.in = nil
		if f.declared = p.Length; !has {
			f.declared = uint32(len(p.TLS))
		}
	}
	f.in = append(f.in, p.TLS...)
	switch {
	case len(f.in) > maxFlight || uint32(len(f.in)) > f.declared:
		return fmt.Errorf("%d octets of TLS data exceed the declared length %d", len(f.in), f.declared)
	case !more && uint32(len(f.in)) != f.declared:
		return fmt.Errorf("%d octets of TLS data instead of the declared %d", len(f.in), f.declared)
	}
	return nil
}
