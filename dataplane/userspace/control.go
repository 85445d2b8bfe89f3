package userspace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"sallyport/dataplane"
	"sallyport/protocol/esp"
)

var (
	_ dataplane.Control = (*Plane)(nil)
	_ dataplane.Inner   = (*Plane)(nil)
)

// innerMax is more than any L2TP control message or PPP frame is: the largest
// MRU that is negotiated here, with room for the headers.
const innerMax = 2048

// SendInner implements [dataplane.Inner]. It allocates, and is meant for
// control messages and for PPP before there is a call.
func (p *Plane) SendInner(spiIn uint32, port uint16, msg []byte) error {
	sa := p.spis.lookup(spiIn)
	switch {
	case sa == nil || !sa.transport:
		return fmt.Errorf("userspace: no Child SA in transport mode with inbound SPI %08x", spiIn)
	case len(msg) == 0 || len(msg) > innerMax:
		return fmt.Errorf("userspace: an L2TP message of %d octets", len(msg))
	case !sa.usable(seconds(p.elapsed())):
		return fmt.Errorf("userspace: Child SA %08x is past its lifetime", spiIn)
	}
	pa := sa.path.Load()
	seq, ask, ok := sa.reserve(1)
	if !ok {
		p.hardLimit(sa)
		return fmt.Errorf("userspace: Child SA %08x has no sequence number left", spiIn)
	}
	pkt := sa.sealInner(pa, seq, port, msg)
	soft, hard := sa.spent(sa.out.packets.Add(1), sa.out.bytes.Add(uint64(len(msg))))
	p.limits(sa, soft || ask, hard)
	s, to := p.lanes[0].natt[pa.socket], pa.remote
	if pa.raw {
		s, to = p.rawS[pa.socket], netip.AddrPortFrom(to.Addr(), 0)
	}
	if err := s.sendTo(pa.local.Addr(), to, [][]byte{pkt}); err != nil {
		return fmt.Errorf("userspace: L2TP message to %v: %w", pa.remote, err)
	}
	return nil
}

// sealInner makes the ESP packet of one message. Its sealer is a copy of its
// own: those of the lanes belong to their workers.
func (s *childSA) sealInner(pa *path, seq uint64, port uint16, msg []byte) []byte {
	sealer := s.out.base.Clone()
	n := udpHeaderSize + len(msg)
	b := make([]byte, 0, n+esp.MaxTrailer)
	b = binary.BigEndian.AppendUint16(b, portL2TP)
	b = binary.BigEndian.AppendUint16(b, port)
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = append(b, 0, 0)
	b = append(b, msg...)
	s.numberInner(b[udpHeaderSize:])
	pa.finishUDP(b)
	return sealer.Seal(make([]byte, 0, sealer.Size(n)), seq, protoUDP, b)
}

// numberInner keeps the numbers of a session's data messages in one line (RFC
// 2661, Section 5.4): the event loop numbers those that it sends before the
// call opens, the plane all of them from then on.
func (s *childSA) numberInner(msg []byte) {
	if len(msg) < l2tpMinNumbered {
		return
	}
	flags := binary.BigEndian.Uint16(msg)
	if flags&(l2tpControl|l2tpSequence) != l2tpSequence {
		return
	}
	ns := msg[6:8]
	if flags&l2tpLength != 0 {
		ns = msg[8:10]
	}
	if g := s.cargo.Load(); g != nil && g.ns != nil {
		binary.BigEndian.PutUint16(ns, uint16(g.number(1)))
		return
	}
	s.out.ns.Store(uint32(binary.BigEndian.Uint16(ns)) + 1)
}

// l2tpMinNumbered is the header with every field up to Ns and Nr.
const l2tpMinNumbered = 12

// SendIKE implements [dataplane.Control]. From the NAT-T port the non-ESP
// marker goes in front (RFC 3948, Section 2.2); from every other port it does
// not.
func (p *Plane) SendIKE(local, remote netip.AddrPort, msg []byte) error {
	i, err := p.socketFor(local.Addr().Unmap(), remote.Addr().Unmap())
	if err != nil {
		return err
	}
	s := p.ike[i]
	parts := [][]byte{msg}
	if local.Port() == p.cfg.NATTPort {
		s = p.lanes[0].natt[i]
		parts = [][]byte{make([]byte, esp.MarkerSize), msg}
	}
	if err := s.sendTo(local.Addr().Unmap(), netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()), parts); err != nil {
		return fmt.Errorf("userspace: IKE message from %v to %v: %w", local, remote, err)
	}
	return nil
}

// SendKeepalive sends the one octet that keeps a NAT mapping alive (RFC 3948,
// Section 4) from local, which must be on the NAT-T port.
func (p *Plane) SendKeepalive(local, remote netip.AddrPort) error {
	i, err := p.socketFor(local.Addr().Unmap(), remote.Addr().Unmap())
	if err != nil {
		return err
	}
	to := netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	return p.lanes[0].natt[i].sendTo(local.Addr().Unmap(), to, [][]byte{{esp.Keepalive}})
}

// sendTo sends one datagram gathered from parts; it allocates, and is meant
// for IKE.
func (s *socket) sendTo(local netip.Addr, remote netip.AddrPort, parts [][]byte) error {
	var name [unix.SizeofSockaddrInet6]byte
	var control [controlSize]byte
	var sockErr error
	n := putPktinfo(control[:], local)
	nameLen := putSockaddr(name[:], remote)
	iov := make([]unix.Iovec, 0, len(parts))
	for _, part := range parts {
		if len(part) > 0 {
			iov = append(iov, unix.Iovec{})
			setIovec(&iov[len(iov)-1], part)
		}
	}
	if len(iov) == 0 {
		return errors.New("empty message")
	}
	msgs := make([]mmsghdr, 1)
	h := &msgs[0].hdr
	h.Name, h.Namelen, h.Iov = &name[0], nameLen, &iov[0]
	h.SetIovlen(len(iov))
	if n > 0 {
		h.Control = &control[0]
	}
	h.SetControllen(n)
	_, sockErr = s.send(newSendCall(), msgs)
	return sockErr
}
