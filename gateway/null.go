package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"sallyport/config"
	"sallyport/dataplane"
)

// nullPlane agrees on keys and moves no packet: real UDP sockets for IKE over
// [dataplane.Null]. It serves tests and measurements of IKE alone, and needs no
// TUN device.
type nullPlane struct {
	dataplane.Null
	up      dataplane.Upcalls
	natt    uint16
	sockets []*net.UDPConn
	readers sync.WaitGroup
}

// openNull binds both ports on each address; none means all.
func openNull(listen []netip.Addr, ports config.Ports, up dataplane.Upcalls) (*nullPlane, error) {
	p := &nullPlane{up: up, natt: ports.NATT}
	if len(listen) == 0 {
		listen = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	for _, a := range listen {
		for _, port := range []uint16{ports.IKE, ports.NATT} {
			network := "udp6"
			if a.Is4() {
				network = "udp4"
			}
			c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, port)))
			if err != nil {
				p.Close()
				return nil, fmt.Errorf("gateway: %w", err)
			}
			p.sockets = append(p.sockets, c)
			p.readers.Go(func() { p.read(c) })
		}
	}
	return p, nil
}

// marker is in front of IKE on port 4500 (RFC 3948, Section 2.2).
var marker = []byte{0, 0, 0, 0}

func (p *nullPlane) read(c *net.UDPConn) {
	local := c.LocalAddr().(*net.UDPAddr).AddrPort()
	buf := make([]byte, 64<<10)
	for {
		n, remote, err := c.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		msg := buf[:n]
		if local.Port() == p.natt {
			if n < len(marker) || [4]byte(msg) != [4]byte{} {
				continue // ESP or a keepalive
			}
			msg = msg[len(marker):]
		}
		p.up.IKE(local, netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()), msg)
	}
}

// SendIKE implements [dataplane.Control].
func (p *nullPlane) SendIKE(local, remote netip.AddrPort, msg []byte) error {
	for _, c := range p.sockets {
		if at := c.LocalAddr().(*net.UDPAddr).AddrPort(); at.Port() == local.Port() && at.Addr().Is4() == remote.Addr().Is4() {
			if local.Port() == p.natt {
				msg = append(marker[:len(marker):len(marker)], msg...)
			}
			_, err := c.WriteToUDPAddrPort(msg, remote)
			return err
		}
	}
	return fmt.Errorf("gateway: no socket for %v", local)
}

// Close implements [dataplane.Plane].
func (p *nullPlane) Close() error {
	for _, c := range p.sockets {
		c.Close()
	}
	p.readers.Wait()
	return nil
}
