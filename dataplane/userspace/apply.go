package userspace

import (
	"errors"
	"fmt"
	"net/netip"

	"sallyport/dataplane"
	"sallyport/protocol/esp"
)

var _ dataplane.Plane = (*Plane)(nil)

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
		return p.with(c.SPIIn, func(sa *childSA) error { p.use(sa); return nil })
	case dataplane.Remove:
		return p.with(c.SPIIn, func(sa *childSA) error { p.drop(sa); return nil })
	case dataplane.Move:
		return p.with(c.SPIIn, func(sa *childSA) error { return p.setPath(sa, c.Local, c.Remote) })
	case dataplane.SetCall:
		return p.with(c.SPIIn, func(sa *childSA) error { return p.setCall(sa, c.Call) })
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
	d, err := p.device(c.Device)
	if err != nil {
		return err
	}
	sa, err := newChildSA(c, d, p.deadline(c.Limits.Expires))
	if err != nil {
		return fmt.Errorf("userspace: Child SA %08x: %w", c.SPIIn, err)
	}
	if err := p.setPath(sa, c.Local, c.Remote); err != nil {
		return err
	}
	if c.Call != nil {
		if err := p.setCall(sa, c.Call); err != nil {
			return err
		}
	}
	p.spis.insert(sa)
	if c.Outbound {
		p.use(sa)
	}
	return nil
}

// use puts sa first on the routes to what it carries, and on those of a call
// that opens later.
func (p *Plane) use(sa *childSA) {
	p.uses++
	sa.used = p.uses
	sa.device.routes.set(sa, nil, sa.cargo.Load().prefixes())
}

// setPath gives sa new outer addresses.
func (p *Plane) setPath(sa *childSA, local, remote netip.AddrPort) error {
	local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	i, err := p.socketFor(local.Addr(), remote.Addr())
	if err != nil {
		return err
	}
	if sa.transport && remote.Addr().Is6() && (!local.IsValid() || local.Addr().IsUnspecified()) {
		return fmt.Errorf("userspace: Child SA %08x: transport mode over IPv6 needs our address for its UDP checksum", sa.spiIn)
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
	g := sa.cargo.Load()
	sa.device.routes.set(sa, g.prefixes(), nil)
	p.release(g)
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
