package userspace

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"sallyport/dataplane"
	"sallyport/protocol/esp"
)

var (
	_ dataplane.Plane   = (*Plane)(nil)
	_ dataplane.Control = (*Plane)(nil)
)

// Apply implements [dataplane.Plane].
func (p *Plane) Apply(changes ...dataplane.Change) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range changes {
		if err := p.apply(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plane) apply(c dataplane.Change) error {
	if p.closed.Load() {
		return errors.New("userspace: the plane is closed")
	}
	switch c := c.(type) {
	case dataplane.Add:
		return p.add(&c.SA)
	case dataplane.UseOutbound:
		return p.with(c.SPIIn, func(sa *childSA) error { p.routes.use(sa); return nil })
	case dataplane.Remove:
		return p.with(c.SPIIn, func(sa *childSA) error { p.drop(sa); return nil })
	case dataplane.Move:
		return p.with(c.SPIIn, func(sa *childSA) error { return p.setPath(sa, c.Local, c.Remote) })
	default:
		return fmt.Errorf("userspace: unknown change %T", c)
	}
}

func (p *Plane) with(spi uint32, f func(*childSA) error) error {
	sa := p.spis.lookup(spi)
	if sa == nil {
		return fmt.Errorf("userspace: no Child SA with inbound SPI %08x", spi)
	}
	return f(sa)
}

// add installs a Child SA, inbound half first.
func (p *Plane) add(c *dataplane.ChildSA) error {
	switch {
	case c.SPIIn < esp.MinSPI || c.SPIOut < esp.MinSPI:
		return fmt.Errorf("userspace: SPI %08x or %08x is reserved (RFC 4303, Section 2.1)", c.SPIIn, c.SPIOut)
	case p.spis.lookup(c.SPIIn) != nil:
		return fmt.Errorf("userspace: inbound SPI %08x is in use", c.SPIIn)
	case c.Encap == dataplane.Raw && len(p.rawS) == 0:
		return errors.New("userspace: the peer wants ESP without UDP, and raw sockets are off")
	}
	sa, err := newChildSA(c, len(p.lanes), p.deadline(c.Limits.Expires))
	if err != nil {
		return fmt.Errorf("userspace: Child SA %08x: %w", c.SPIIn, err)
	}
	if err := p.setPath(sa, c.Local, c.Remote); err != nil {
		return err
	}
	p.spis.insert(sa)
	if c.Outbound {
		p.routes.use(sa)
	}
	return nil
}

// setPath gives sa new outer addresses.
func (p *Plane) setPath(sa *childSA, local, remote netip.AddrPort) error {
	local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	i, err := p.socketFor(local.Addr(), remote.Addr())
	if err != nil {
		return err
	}
	mtu := p.meter.measure(local.Addr(), remote.Addr())
	sa.path.Store(newPath(local, remote, sa.raw, i, mtu, sa.out.base))
	return nil
}

// socketFor is the index of the sockets that send from local to remote.
func (p *Plane) socketFor(local, remote netip.Addr) (int, error) {
	wild := -1
	for i, s := range p.ike {
		bound := s.local.Addr()
		if bound == local && local.BitLen() == remote.BitLen() {
			return i, nil
		}
		if bound.BitLen() == remote.BitLen() && (bound.IsUnspecified() || !local.IsValid() || local.IsUnspecified()) {
			wild = i
		}
	}
	if wild < 0 || (local.IsValid() && local.BitLen() != remote.BitLen()) {
		return 0, fmt.Errorf("userspace: no socket sends from %v to %v", local, remote)
	}
	return wild, nil
}

// drop removes a Child SA. Workers that hold it still see that it has stopped.
// The expanded keys inside Go's ciphers cannot be cleared; they go with the
// garbage collector, soon after the last worker lets go.
func (p *Plane) drop(sa *childSA) {
	sa.hardSent.Store(true) // nobody wants to hear about it any more
	sa.softSent.Store(true)
	sa.stopped.Store(true)
	p.routes.remove(sa)
	p.spis.remove(sa.spiIn)
	sa.keyIn.Clear()
	sa.keyOut.Clear()
}

// Stats implements [dataplane.Plane].
func (p *Plane) Stats(spiIn uint32) (dataplane.Stats, bool) {
	sa := p.spis.lookup(spiIn)
	if sa == nil {
		return dataplane.Stats{}, false
	}
	return sa.stats(p.epoch), true
}

// limits sends the events of spent lifetimes, each once.
func (p *Plane) limits(sa *childSA, soft, hard bool) {
	if soft && !sa.softSent.Load() && sa.softSent.CompareAndSwap(false, true) {
		p.up.Event(dataplane.Event{Kind: dataplane.SoftLimit, SPIIn: sa.spiIn})
	}
	if hard {
		p.hardLimit(sa)
	}
}

func (p *Plane) hardLimit(sa *childSA) {
	sa.stopped.Store(true)
	if sa.hardSent.CompareAndSwap(false, true) {
		p.up.Event(dataplane.Event{Kind: dataplane.HardLimit, SPIIn: sa.spiIn})
	}
}

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
