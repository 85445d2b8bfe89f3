package threat

import (
	"net"
	"slices"
	"strings"

	"sallyport/posture"
)

// entries enters where something can be sent to the host, and by whom.
func (k *keeper) entries() {
	k.ike()
	k.l2tp()
	k.services()
	for i := range k.h.Tunnels {
		t := &k.h.Tunnels[i]
		k.entry(EntryPoint{Kind: atWireGuard, Name: "UDP of " + clean(quote(t.Name)), Reach: NotKnown, Because: "packets of strangers are not answered; what the packet filter lets through is not known"}, t.At)
	}
	k.radius()
	if k.f.traits[clients] || k.f.traits[ike] || k.f.traits[wireguard] {
		k.entry(EntryPoint{Kind: atTunnel, Name: "inside the tunnels", Reach: Known, Because: "peers that have proved themselves, as far as they must"}, posture.Pos{})
	}
	k.entry(EntryPoint{Kind: atManagement, Name: "management", Reach: NotKnown, Because: "SSH, web interface and console are not part of a VPN's configuration"}, posture.Pos{})
	k.files()
}

// any joins what several packet filters say: one that does it is enough.
func (k *keeper) any(fact func(*posture.Firewall) posture.Value[bool]) posture.Value[bool] {
	var all posture.Value[bool]
	for i := range k.h.Firewalls {
		if v := fact(&k.h.Firewalls[i]); v.Known() && (!all.Known() || v.V && !all.V) {
			all = v
		}
	}
	return all
}

// ike enters the ports of a daemon that answers. The addresses that it listens
// at are not part of a connection.
func (k *keeper) ike() {
	if !k.f.traits[answers] {
		return
	}
	open := k.any(func(f *posture.Firewall) posture.Value[bool] { return f.IKEOpen })
	for _, port := range []struct {
		kind    EntryKind
		name    string
		reached func(*posture.Firewall) posture.Value[bool]
	}{
		{atIKE, "UDP 500", func(f *posture.Firewall) posture.Value[bool] { return f.IKEReachable }},
		{atIKE, "UDP 4500", func(f *posture.Firewall) posture.Value[bool] { return f.NATTReachable }},
		{atESP, "ESP (IP protocol 50)", func(f *posture.Firewall) posture.Value[bool] { return f.ESPReachable }},
	} {
		e, at := EntryPoint{Kind: port.kind, Name: port.name, Reach: NotKnown, Because: k.ikePeers()}, posture.Pos{}
		reached := k.any(port.reached)
		switch {
		case posture.Is(reached, false):
			e.Reach, e.Because, at = Nobody, "the packet filter drops it", reached.At
		case port.kind == atESP && open.Known():
			// Filters are known to be open for IKE; of ESP only that it passes.
			if reached.Known() {
				e.Because, at = "the packet filter lets it through; from where is not known", reached.At
			}
		case posture.Is(open, true):
			e.Reach, e.Because, at = Anyone, "the packet filter takes it from anywhere", open.At
		case posture.Is(open, false):
			e.Reach, e.Because, at = Known, "the packet filter takes it from named addresses", open.At
		}
		k.entry(e, at)
	}
}

// ikePeers says whom the daemon is configured for, where no filter tells more.
func (k *keeper) ikePeers() string {
	filter := "no packet filter is known"
	if len(k.h.Firewalls) > 0 {
		filter = "the packet filter does not tell"
	}
	takesAny := slices.ContainsFunc(k.h.Connections, func(c posture.Connection) bool { return !c.Disabled && posture.Is(c.AnyPeer, true) })
	if takesAny {
		return filter + "; the daemon is set up for peers at any address"
	}
	return filter + "; that a connection takes peers at any address is not known"
}

func (k *keeper) l2tp() {
	for i := range k.h.L2TP {
		l := &k.h.L2TP[i]
		if !on(l.Enabled) || posture.Is(l.Server, false) {
			continue
		}
		reach, because, at := k.l2tpReach(l)
		listen := l.Listen.V
		if len(listen) == 0 {
			listen = []string{""}
		}
		for _, address := range listen {
			k.entry(EntryPoint{Kind: atL2TP, Name: "UDP 1701", Address: address, Reach: reach, Because: because}, at)
		}
	}
}

// l2tpReach is who can send to an L2TP listener.
func (k *keeper) l2tpReach(l *posture.L2TP) (Reach, string, posture.Pos) {
	open := k.any(func(f *posture.Firewall) posture.Value[bool] { return f.L2TPOpen })
	needs := k.any(func(f *posture.Firewall) posture.Value[bool] { return f.L2TPNeedsIPsec })
	loopback := func(a string) bool { return net.ParseIP(a).IsLoopback() }
	switch {
	case posture.Is(l.IPsec, posture.Always):
		return InIPsec, "the product itself insists on IPsec", l.IPsec.At
	case len(l.Listen.V) > 0 && !slices.ContainsFunc(l.Listen.V, func(a string) bool { return !loopback(a) }):
		return Local, "it listens on the loopback address alone", l.Listen.At
	case posture.Is(open, true):
		return Anyone, "the packet filter takes it from anywhere", open.At
	case posture.Is(needs, true):
		return InIPsec, "the packet filter takes it from IPsec alone", needs.At
	}
	return NotKnown, "nothing is known that holds it inside IPsec", l.At
}

// ports of the other services, as their protocols have them.
var ports = map[string]string{"pptp": "TCP 1723 and GRE (PPTP)", "sstp": "TCP 443 (SSTP)", "openvpn": "OpenVPN"}

func (k *keeper) services() {
	for i := range k.h.Services {
		s := &k.h.Services[i]
		if !on(s.Enabled) {
			continue
		}
		name := ports[strings.ToLower(s.Protocol)]
		if name == "" {
			name = clean(s.Protocol)
		}
		k.entry(EntryPoint{Kind: atService, Name: name, Reach: NotKnown, Because: "what the packet filter lets through is not known"}, s.At)
	}
}

func (k *keeper) radius() {
	for i := range k.h.RADIUS {
		r := &k.h.RADIUS[i]
		e := EntryPoint{Kind: atRADIUS, Name: "answers of the RADIUS server", Address: r.Address.V, Reach: NotKnown, Because: "whoever is on the path to the server"}
		if posture.Is(r.Server, true) {
			e.Name = "RADIUS (UDP 1812 and 1813)"
			e.Reach, e.Because = Known, "clients are listed by address"
			if posture.Is(r.WildcardPeers, true) {
				e.Reach, e.Because, e.Address = NotKnown, "any address may use the secret", ""
			}
		}
		if posture.Is(r.TLS, true) {
			e.Because += "; over TLS"
		}
		k.entry(e, r.At)
	}
}

// files enters the files with secrets as one way in for local users, and their
// copies as another.
func (k *keeper) files() {
	because := "no file with secrets is known"
	if k.f.traits[secrets] {
		because = "there are files with secrets"
	}
	k.entry(EntryPoint{Kind: atFiles, Name: "configuration, keys and records", Reach: Local, Because: because}, posture.Pos{})
	k.entry(EntryPoint{Kind: atBackup, Name: "backups and exports", Reach: NotKnown, Because: "who reads them is not in the files"}, posture.Pos{})
}

// boundaries enters what is known of what holds them.
func (k *keeper) boundaries() {
	for i := range k.h.Firewalls {
		f := &k.h.Firewalls[i]
		k.holds(outside, f.IKEOpen, "IKE is taken from anywhere", "IKE is taken from named addresses")
		k.holds(intoL2TP, f.L2TPNeedsIPsec, "UDP 1701 is taken from IPsec alone", "UDP 1701 is not held inside IPsec")
		k.holds(intoL2TP, f.L2TPOpen, "UDP 1701 is taken from anywhere", "")
		k.holds(ikeInner, f.ForwardDrop, "what is not allowed is not forwarded", "what is not forbidden is forwarded")
		k.holds(ikeInner, f.DropsClear, "inner networks cannot leave in the clear", "inner networks can leave in the clear")
		k.holds(amongPeers, f.ClientToClient, "clients reach each other", "clients do not reach each other")
	}
	for i := range k.h.L2TP {
		l := &k.h.L2TP[i]
		k.holds(intoL2TP, posture.Value[bool]{V: l.IPsec.V == posture.Always, Origin: l.IPsec.Origin, At: l.IPsec.At, Why: l.IPsec.Why}, "the product insists on IPsec", "the product does not insist on IPsec")
	}
	for i := range k.h.PPP {
		p := &k.h.PPP[i]
		k.holds(pppInner, p.AuthNeeded, "peers must prove themselves", "peers need not prove themselves")
		k.holds(amongPeers, p.ProxyARP, "clients are in the inner network (proxy ARP)", "")
	}
	for i := range k.h.RADIUS {
		r := &k.h.RADIUS[i]
		k.holds(toRADIUS, posture.Value[bool]{V: r.MessageAuth.V == posture.Always, Origin: r.MessageAuth.Origin, At: r.MessageAuth.At, Why: r.MessageAuth.Why}, "answers need a Message-Authenticator", "answers need no Message-Authenticator")
		k.holds(toRADIUS, r.TLS, "it runs over TLS", "it runs without TLS")
	}
	for i := range k.h.Logs {
		l := &k.h.Logs[i]
		k.holds(toRecords, l.OffHost, "records are also kept on another host", "records are on this host alone")
		k.holds(toRecords, l.Readable, "everybody reads the records", "")
	}
}
