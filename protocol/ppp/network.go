package ppp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

// The network phase: IPCP (RFC 1332, RFC 1877) and IPV6CP (RFC 5072), and the
// refusal of every other protocol.

// addresses is what the network phase is about.
type addresses struct {
	client     netip.Addr   // IPv4, of the client
	local      netip.Addr   // IPv4, of the server, as a client was told
	prefix     netip.Prefix // server: the client's /64
	own, peer  InterfaceID  // peer: as acknowledged
	suggestion InterfaceID  // for a peer without one
	dns        []netip.Addr // server: assigned
	told       [2]netip.Addr
	lost       string // why a network protocol was given up
}

// ipcpLayers are by role: a server has everything, a client nothing.
var ipcpLayers = [...]*layer{
	Server: ipcpLayer([]option{
		{
			kind: pppmsg.IPCPAddress, size: 4, must: true, firm: true,
			judge:   func(l *Link, data []byte) verdict { return equals(data, l.client) },
			suggest: func(l *Link) []byte { return l.client.AsSlice() },
			ask: func(l *Link) []byte {
				if l.cfg.Local.Is4() {
					return l.cfg.Local.AsSlice()
				}
				return nil
			},
		},
		serverDNS(pppmsg.IPCPDNS1, 0), serverDNS(pppmsg.IPCPDNS2, 1),
	}),
	Client: ipcpLayer([]option{
		{
			kind: pppmsg.IPCPAddress, size: 4,
			judge: func(_ *Link, data []byte) verdict {
				if usable(data) {
					return ack
				}
				return reject
			},
			keep: func(l *Link, data []byte) { l.local, _ = netip.AddrFromSlice(data) },
			ask: func(l *Link) []byte {
				if !l.client.IsValid() {
					return orZero(l.cfg.Address)
				}
				return orZero(l.client)
			},
			nakked: func(l *Link, data []byte) *failure {
				if usable(data) && !l.cfg.Insist {
					l.client, _ = netip.AddrFromSlice(data)
				}
				return nil
			},
			rejected: func(*Link) *failure {
				return &failure{refused: true, reason: "the server gives no IPv4 address"}
			},
		},
		clientDNS(pppmsg.IPCPDNS1, 0), clientDNS(pppmsg.IPCPDNS2, 1),
	}),
}

func ipcpLayer(options []option) *layer {
	return &layer{
		protocol: pppmsg.IPCP, options: options,
		reset: func(l *Link) { l.local = netip.Addr{} },
		up:    (*Link).networkUp, down: (*Link).networkDown, finished: (*Link).networkFinished,
	}
}

// serverDNS announces the nth name server of IPv4; if there is none, the
// option is rejected.
func serverDNS(kind pppmsg.OptionType, n int) option {
	return option{
		kind: kind, size: 4,
		judge:   func(l *Link, data []byte) verdict { return equals(data, l.nameServer(n)) },
		suggest: func(l *Link) []byte { return l.nameServer(n).AsSlice() },
	}
}

func clientDNS(kind pppmsg.OptionType, n int) option {
	return option{
		kind: kind, size: 4,
		ask: func(l *Link) []byte {
			if l.cfg.DNS {
				return orZero(l.told[n])
			}
			return nil
		},
		nakked: func(l *Link, data []byte) *failure {
			if usable(data) {
				l.told[n], _ = netip.AddrFromSlice(data)
			}
			return nil
		},
	}
}

var ipv6cpLayer = layer{
	protocol: pppmsg.IPV6CP,
	reset:    func(l *Link) { l.peer = InterfaceID{} },
	up:       (*Link).networkUp, down: (*Link).networkDown, finished: (*Link).networkFinished,
	options: []option{{
		// RFC 5072, Section 4.1: zero, and what we have ourselves, is refused; all
		// else is the peer's choice.
		kind: pppmsg.IPV6CPInterfaceID, size: 8, must: true, firm: true,
		judge: func(l *Link, data []byte) verdict {
			if id := InterfaceID(data); id == (InterfaceID{}) || id == l.own {
				return nak
			}
			return ack
		},
		suggest: func(l *Link) []byte { return bytes.Clone(l.suggestion[:]) },
		keep:    func(l *Link, data []byte) { l.peer = InterfaceID(data) },
		ask:     func(l *Link) []byte { return bytes.Clone(l.own[:]) },
		nakked: func(l *Link, data []byte) *failure {
			if id := InterfaceID(data); id != (InterfaceID{}) && id != l.suggestion && id != l.peer {
				l.own = id
			}
			return nil
		},
		rejected: func(*Link) *failure {
			return &failure{refused: true, reason: "the peer takes no IPv6 interface identifier"}
		},
	}},
}

func equals(data []byte, a netip.Addr) verdict {
	if a.Is4() && bytes.Equal(data, a.AsSlice()) {
		return ack
	}
	return nak
}

// usable addresses can be a host's.
func usable(data []byte) bool {
	a, ok := netip.AddrFromSlice(data)
	return ok && a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func orZero(a netip.Addr) []byte {
	if !a.Is4() {
		return make([]byte, 4)
	}
	return a.AsSlice()
}

// nameServer is the nth of IPv4 among those assigned, or no address.
func (l *Link) nameServer(n int) netip.Addr {
	for _, a := range l.dns {
		if a.Is4() {
			if n == 0 {
				return a
			}
			n--
		}
	}
	return netip.Addr{}
}

// minIPv6 is the least MRU, in octets, of a link that carries IPv6 (RFC 5072,
// Section 2). Some Android releases take 1270.
const minIPv6 = 1280

// assigned takes the answer to Assign, and goes on with the frames that came
// meanwhile.
func (l *Link) assigned(now time.Time, a Assigned, err error, out *Out) {
	a.IPv4 = a.IPv4.Unmap()
	switch {
	case err != nil:
		l.refuse(now, err, "no address is free", out)
		return
	case !a.IPv4.Is4() && !a.IPv6.IsValid():
		l.refuse(now, errors.New("no address was assigned"), "no address is free", out)
		return
	case a.IPv4.IsValid() && !a.IPv4.Is4(), a.IPv6.IsValid() && (a.IPv6.Bits() != 64 || !a.IPv6.Addr().Is6()):
		l.refuse(now, errors.New("what was assigned is no IPv4 address, or no /64 of IPv6"), "no address is free", out)
		return
	}
	if !l.cfg.NoIPv4 {
		l.client = a.IPv4
	}
	if !l.cfg.NoIPv6 {
		l.prefix = a.IPv6
	}
	l.own, l.suggestion, l.dns = a.InterfaceID, a.PeerInterfaceID, a.DNS
	ipv4, ipv6 := l.client.IsValid(), l.prefix.IsValid() && l.peerMRU >= minIPv6
	if !ipv4 && !ipv6 {
		l.refuse(now, l.nothingToOpen(), "no network protocol is left", out)
		return
	}
	held := l.held
	l.held = nil
	l.startNetwork(now, ipv4, ipv6, out)
	for _, frame := range held {
		l.Receive(now, frame, out)
	}
}

// nothingToOpen says why the addresses are of no use on this link.
func (l *Link) nothingToOpen() error {
	if l.prefix.IsValid() {
		return &Refusal{Reason: fmt.Sprintf("IPv6 needs an MRU of %d, the peer's is %d, and there is no IPv4 address for it", minIPv6, l.peerMRU),
			Hint: "raise the MRU of the client, or give the zone a pool of IPv4"}
	}
	return errors.New("no address was assigned of the protocols that the link may carry")
}

// startNetwork opens the network protocols (RFC 1661, Section 3.6).
func (l *Link) startNetwork(now time.Time, ipv4, ipv6 bool, out *Out) {
	l.phase = network
	for l.own == (InterfaceID{}) {
		l.own = l.newInterfaceID()
	}
	for l.suggestion == (InterfaceID{}) || l.suggestion == l.own {
		l.suggestion = l.newInterfaceID()
	}
	if ipv4 {
		l.fire(now, &l.ipcp, open, occasion{}, out)
		l.fire(now, &l.ipcp, up, occasion{}, out)
	}
	if ipv6 {
		l.fire(now, &l.ipv6cp, open, occasion{}, out)
		l.fire(now, &l.ipv6cp, up, occasion{}, out)
	}
}

// newInterfaceID is a random one, with the bit clear that would claim that it
// is unique in the world (RFC 5072, Section 4.1).
func (l *Link) newInterfaceID() InterfaceID {
	var id InterfaceID
	l.random(id[:])
	id[0] &^= 2
	return id
}

// receiveNetwork takes a frame of any protocol but LCP and EAP.
func (l *Link) receiveNetwork(now time.Time, f pppmsg.Frame, out *Out) {
	if f.Protocol >= 0x8000 {
		l.eap = nil // whoever negotiates this has had EAP-Success
	}
	switch {
	case f.Protocol == pppmsg.IPv4 || f.Protocol == pppmsg.IPv6: // the data plane has those that are allowed
	case f.Protocol == pppmsg.IPCP && l.ipcp.offered():
		l.receiveNCP(now, &l.ipcp, f, out)
	case f.Protocol == pppmsg.IPV6CP && l.ipv6cp.offered():
		l.receiveNCP(now, &l.ipv6cp, f, out)
	default:
		l.mppe = l.mppe || !l.announced && wantsMPPE(f) // who is in has come to terms with it
		l.rejectProtocol(f, out)
	}
}

func (l *Link) receiveNCP(now time.Time, c *control, f pppmsg.Frame, out *Out) {
	if p, err := pppmsg.ParsePacket(f.Data); err == nil {
		l.receiveControl(now, c, p, out)
	}
}

// wantsMPPE finds Microsoft's encryption in a request of CCP.
func wantsMPPE(f pppmsg.Frame) bool {
	if f.Protocol != pppmsg.CCP {
		return false
	}
	p, err := pppmsg.ParsePacket(f.Data)
	if err != nil || p.Code != pppmsg.ConfigureRequest {
		return false
	}
	options, err := pppmsg.ParseOptions(p.Data)
	for _, o := range options {
		if o.Type == pppmsg.CCPMPPE {
			return err == nil
		}
	}
	return false
}

// explainMPPE makes a record when a peer that has asked for MPPE leaves.
// Windows only asks; pppd with require-mppe hangs up. The keys of EAP could feed
// MPPE, but IPsec encrypts every frame already.
func (l *Link) explainMPPE(out *Out) {
	if l.mppe {
		l.mppe = false
		out.Events = append(out.Events, Refused{Wanted: "mppe", Reason: "the client asked for MPPE, was refused, and did not stay",
			Hint: "IPsec encrypts the link already: remove require-mppe (pppd) or \"require encryption\" of PPP from the client"})
	}
}

// networkUp tells what is open.
func (l *Link) networkUp(_ time.Time, out *Out) {
	l.upBy, l.mppe = time.Time{}, false
	l.tellNetwork(out)
}

func (l *Link) tellNetwork(out *Out) {
	e := NetworkUp{InterfaceID: l.own, PeerInterfaceID: l.peer, DNS: l.dns}
	if l.ipcp.state == opened {
		e.IPv4, e.LocalIPv4 = l.client, l.local
		switch {
		case l.cfg.Role == Server:
			e.LocalIPv4 = l.cfg.Local
		case !l.client.IsValid():
			e.IPv4 = l.cfg.Address
		}
	}
	if l.ipv6cp.state == opened {
		e.IPv6, e.IPv6Open = l.prefix, true
	}
	for _, a := range l.told {
		if a.IsValid() {
			e.DNS = append(e.DNS, a)
		}
	}
	l.announced = true
	out.Events = append(out.Events, e)
}

// sayDown follows what tellNetwork has told, once.
func (l *Link) sayDown(out *Out) {
	if l.announced {
		l.announced = false
		out.Events = append(out.Events, NetworkDown{})
	}
}

// networkDown tells what is left. When LCP goes down, it says so itself.
func (l *Link) networkDown(now time.Time, out *Out) {
	switch {
	case l.phase != network:
	case l.ipcp.state == opened || l.ipv6cp.state == opened:
		l.tellNetwork(out)
	default:
		l.upBy = now.Add(l.patience())
		l.sayDown(out)
	}
}

// networkFinished ends a link that has nothing to carry.
func (l *Link) networkFinished(now time.Time, out *Out) {
	if l.phase != network || l.ipcp.alive() || l.ipv6cp.alive() {
		return
	}
	reason := "no network protocol is left"
	if l.lost != "" {
		reason += ": " + l.lost
	}
	l.close(now, "no network protocol is left", reason, out)
}

// offered tells whether the NCP belongs to this network phase: Starting is one
// that was up before LCP began anew, and is left out now.
func (c *control) offered() bool { return c.state > starting }

func (c *control) alive() bool { return c.state == opened || c.state.timed() }
