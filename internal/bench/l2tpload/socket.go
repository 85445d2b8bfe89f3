package l2tpload

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// socket is a UDP socket of one client, or of clients with different addresses
// and the same port.
type socket struct {
	conn *net.UDPConn
	at   map[netip.Addr]*member // does not change while it is read
	only *member                // of one client
}

// datagram is what came for a client.
type datagram struct {
	to   *member
	from uint16 // the gateway's port
	data []byte
}

const (
	maxDatagram  = 4096
	sharedBuffer = 8 << 20 // thousands of answers may come at once
)

// bind opens the sockets.
func (c *Crowd) bind(places []netip.AddrPort) error {
	sharing := map[uint16][]*member{}
	for i, m := range c.members {
		if port := places[i].Port(); port != 0 {
			sharing[port] = append(sharing[port], m)
			continue
		}
		if err := c.listen(places[i], m); err != nil {
			return err
		}
	}
	for port, members := range sharing {
		at := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
		if len(members) == 1 {
			at = netip.AddrPortFrom(members[0].source, port)
		}
		if err := c.listen(at, members...); err != nil {
			return err
		}
	}
	return nil
}

func (c *Crowd) listen(at netip.AddrPort, members ...*member) error {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("l2tpload: %w", err)
	}
	s := &socket{conn: conn, at: make(map[netip.Addr]*member)}
	c.sockets = append(c.sockets, s)
	if len(members) == 1 {
		s.only = members[0]
	} else {
		conn.SetReadBuffer(sharedBuffer)
		if err := ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst, true); err != nil {
			return fmt.Errorf("l2tpload: %w", err)
		}
	}
	for _, m := range members {
		if s.at[m.source] != nil {
			return fmt.Errorf("l2tpload: two clients at %v", netip.AddrPortFrom(m.source, at.Port()))
		}
		s.at[m.source], m.socket = m, s
		if s.only == nil {
			m.from = (&ipv4.ControlMessage{Src: m.source.AsSlice()}).Marshal()
		}
	}
	go s.read(c)
	return nil
}

// read passes on what comes until the socket is closed. A full inbox makes it
// wait, and then the kernel drops.
func (s *socket) read(c *Crowd) {
	buf, control := make([]byte, maxDatagram), make([]byte, 64)
	for {
		n, k, _, from, err := s.conn.ReadMsgUDPAddrPort(buf, control)
		switch {
		case err != nil && s.closed(c):
			return
		case err != nil || from.Addr().Unmap() != c.cfg.Gateway:
			continue // an ICMP error of an earlier datagram, or a stranger
		}
		if m := s.owner(control[:k]); m != nil {
			select {
			case c.inbox <- datagram{m, from.Port(), append([]byte(nil), buf[:n]...)}:
			case <-c.ended:
				return
			}
		}
	}
}

func (s *socket) closed(c *Crowd) bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func (s *socket) owner(control []byte) *member {
	if s.only != nil {
		return s.only
	}
	var m ipv4.ControlMessage
	if err := m.Parse(control); err != nil {
		return nil
	}
	to, _ := netip.AddrFromSlice(m.Dst)
	return s.at[to.Unmap()]
}

func (c *Crowd) closeSockets() {
	for _, s := range c.sockets {
		s.conn.Close()
	}
}

// write sends a datagram to the gateway. A full buffer is loss, which all
// layers repair.
func (m *member) write(b []byte, port uint16) {
	m.crowd.sent++
	m.socket.conn.WriteMsgUDPAddrPort(b, m.from, netip.AddrPortFrom(m.crowd.cfg.Gateway, port))
}
