package audit

import (
	"fmt"
	"slices"

	"sallyport/assure/policy"
	"sallyport/posture"
	"sallyport/protocol/suite"
)

// rplRules are about replay and downgrade (risk R6).
var rplRules = []Rule{
	{
		ID: "RPL-001", Title: "Replayed packets are dropped", Severity: High, Risk: "R6", Checks: []string{"C3"}, Needs: Config,
		Why:  "Whoever recorded packets can send them again: an order, a login, a set of measurements arrives twice and is taken for new.",
		Refs: []string{"RFC 4303, Section 3.4.3"},
		Fix: fixes{
			posture.Swanctl: swanChild("replay_window = 128"), posture.Starter: conn("replay_window=128"), posture.Libreswan: conn("replay-window=128"),
			posture.IOS:     "no crypto ipsec security-association replay disable\ncrypto ipsec security-association replay window-size 1024\n! and where an entry of a crypto map or a profile has its own\n no set security-association replay disable",
			posture.FortiOS: phase2("set replay enable"),
			posture.VyOS:    vyosReplay,
		}, judge: judgeReplay,
	},
	{
		ID: "RPL-002", Title: "The replay window is wide enough to stay on", Severity: Low, Risk: "R6", Checks: []string{"C3"}, Needs: Config,
		Why:  "On fast or reordered paths good packets fall out of a small window and are lost, and the next thing somebody does is to turn the protection off.",
		Refs: []string{"RFC 4303, Section 3.4.3"},
		Fix: fixes{
			posture.Swanctl: swanChild("replay_window = 128"), posture.Starter: conn("replay_window=128"), posture.Libreswan: conn("replay-window=128"),
			posture.VyOS: vyosReplay,
		}, judge: judgeReplayWindow,
	},
	// The lines bound what one key sends, and ask for no extended numbers: the peer may
	// not have them, nor strongSwan's own ESP in user space (kernel-libipsec), which
	// then has no tunnel.
	{
		ID: "RPL-003", Title: "Sequence numbers do not run out", Severity: Low, Risk: "R6", Checks: []string{"C3"}, Needs: Config,
		Why:  "A fast link sends 2^32 packets within the life of an SA. At that point the tunnel stops, or, in bad implementations, numbers repeat and replay protection with them.",
		Refs: []string{"RFC 4303, Section 2.2.1", "RFC 4303, Section 3.3.3"},
		Fix: fixes{
			posture.Swanctl: swanChild("rekey_packets = 3500000000"), posture.Starter: conn("lifepackets=4000000000"),
			posture.Libreswan: conn("esn=either\n    # and in 5.0 and later, to bound what one key encrypts then: ipsec-max-bytes=64GiB\n    # before 5.0: salifetime=1h"),
		}, judge: judgeESN,
	},
	{
		ID: "RPL-004", Title: "One version of IKE is taken of a peer", Severity: High, Risk: "R6", Checks: []string{"C3"}, Needs: Config,
		Why:  "Where both versions are taken, who sits in between makes IKEv2 fail and waits for IKEv1, in which the strength of the exchange is not protected against downgrade.",
		Refs: []string{"RFC 7296, Section 2.5", "RFC 9395, Section 2"},
		Fix: fixes{
			posture.Swanctl: swanConn("version = 2"), posture.Starter: conn("keyexchange=ikev2"), posture.OPNsense: "VPN > IPsec > Connections > {conn}: Version IKEv2",
			posture.VyOS:    vyosIKEv2,
			posture.PfSense: "VPN > IPsec > Tunnels > {conn} > Edit Phase 1: Key Exchange version IKEv2", posture.Windows: `Set-VpnConnection -Name "{conn}" -TunnelType Ikev2`,
		}, judge: judgeVersions,
	},
	{
		ID: "RPL-005", Title: "Nothing leaves in the clear when the tunnel is down", Severity: High, Risk: "R7", Checks: []string{"C6"}, Needs: Config,
		Why:  "An attacker who can disturb the tunnel then reads and changes what was meant for it; users notice nothing, because everything goes on working.",
		Refs: []string{"RFC 4301, Section 5.1", "ipsec.conf(5) of Libreswan, failureshunt"},
		Fix: fixes{
			posture.Swanctl: swanChild("start_action = trap\n# and no mode = pass"), posture.Starter: conn("auto=route\n    # and no type=passthrough"),
			posture.VyOS:      "set vpn ipsec site-to-site peer {conn} connection-type respond",
			posture.RouterOS:  "/ip ipsec policy set [find peer=\"{conn}\"] level=require",
			posture.Libreswan: conn("failureshunt=drop\n    negotiationshunt=drop\n    # with auto=ondemand or auto=start, for auto=add has no policy that could drop\n    # and no conn of type=passthrough for what belongs inside"),
			posture.FortiOS:   "# REMOTE-NETWORK: what is behind the tunnel, or the clients' addresses\nconfig router static\n    edit 0\n        set dst REMOTE-NETWORK\n        set distance 254\n        set blackhole enable\n    next\nend",
			posture.PfSense:   "VPN > IPsec > Tunnels > {conn} > Edit Phase 1: Child SA Start Action Initiate on demand",
			posture.OPNsense:  "VPN > IPsec > Connections > {conn} > Children > {name}: Start action Trap, or Trap+start",
		}, judge: judgeFailOpen,
	},
	{
		ID: "RPL-006", Title: "Floods of half-open SAs are held off", Severity: Medium, Risk: "R6", Checks: []string{"C5"}, Needs: Config,
		Why:  "Without cookies a stranger with forged addresses makes the gateway compute and remember until no user gets in.",
		Refs: []string{"RFC 7296, Section 2.6", "RFC 8019, Section 4"},
		Fix: fixes{
			posture.Swanctl: charon("dos_protection = yes\ncookie_threshold = 30\nblock_threshold = 5"), posture.Libreswan: setup("ddos-mode=auto"),
			posture.IOS: "crypto ikev2 cookie-challenge 100",
		}, judge: judgeFloods,
	},
	{
		ID: "RPL-007", Title: "A weak offer is refused", Severity: High, Risk: "R6", Checks: []string{"C3"}, Needs: Scan,
		Why:  "What counts is what the endpoint chooses when a peer offers nothing but weak algorithms; it must answer NO_PROPOSAL_CHOSEN.",
		Refs: []string{"RFC 7296, Section 2.7"},
		Fix:  setProposals(ikeDialects...),
	},
	{
		ID: "RPL-008", Title: "No packet is seen and taken twice", Severity: High, Risk: "R6", Checks: []string{"C8"}, Needs: Capture,
		Why:  "A repeated sequence number or message id on the wire is an attack or a broken sender; if it was answered, the protection does not work.",
		Refs: []string{"RFC 4303, Section 3.4.3", "RFC 7296, Section 2.3"},
		Fix: fixes{
			posture.Swanctl: swanChild("replay_window = 128"), posture.Starter: conn("replay_window=128"), posture.Libreswan: conn("replay-window=128"),
			posture.IOS:     "no crypto ipsec security-association replay disable\ncrypto ipsec security-association replay window-size 1024",
			posture.FortiOS: phase2("set replay enable"),
			posture.VyOS:    vyosReplay,
		},
	},
	{
		ID: "RPL-009", Title: "No negotiation is steered to something weaker", Severity: High, Risk: "R6", Checks: []string{"C8"}, Needs: Capture,
		Why:  "A strong offer with a weak choice, or IKEv1 right after a failed IKEv2, is what a downgrade looks like from outside.",
		Refs: []string{"RFC 7296, Section 2.7", "RFC 9370, Section 5"},
		Fix:  setProposals(ikeDialects...),
	},
	{
		ID: "RPL-010", Title: "Post-quantum protection is insisted on where there is any", Severity: Low, Risk: "R6", Checks: []string{"C4"}, Needs: Config,
		Why:  "If the peer may leave the preshared key or ML-KEM out, who sits in between and plans for a quantum computer sees to it that it does.",
		Refs: []string{"RFC 8784, Section 3", "RFC 9370, Section 2.2.2"},
		Fix: fixes{
			posture.Swanctl:   swanConn("ppk_required = yes  # beside ppk_id\n# or, with ML-KEM, in every proposal\nproposals = {quantum}"),
			posture.Libreswan: conn("ppk=insist"),
			posture.IOS:       "crypto ikev2 keyring {id}-ppk\n peer PEER\n  address ADDRESS\n  ppk manual id ID key KEY required\ncrypto ikev2 profile {id}\n keyring ppk {id}-ppk\n! of ML-KEM, in crypto ikev2 proposal: pqc mlkem768, without optional",
			posture.FortiOS:   phase1("set ppk require"),
			posture.VyOS:      "set vpn ipsec site-to-site peer {conn} ppk required",
		}, judge: judgeInsists,
	},
	{
		ID: "RPL-011", Title: "A peer's weaker values are not obeyed", Severity: Medium, Risk: "R6", Checks: []string{"C3"}, Needs: Config,
		Why:  "A peer that may set longer lives or drop PFS decides how strong the connection is, and so does who speaks in its name.",
		Refs: []string{"RFC 2407, Section 4.5.4", "ipsec.conf(5) of Libreswan, ms-dh-downgrade"},
		Fix:  fixes{posture.RouterOS: profile("proposal-check=strict"), posture.Libreswan: conn("ms-dh-downgrade=no")},
		judge: func(j *judge) {
			j.onConnections(func(c *posture.Connection) posture.Value[bool] { return c.Obeys }, true, "the peer's values are taken as they come")
		},
	},
	{
		ID: "RPL-012", Title: "Strangers get no more than they send", Severity: Medium, Risk: "R6", Checks: []string{"C5"}, Needs: Scan,
		Why:  "A gateway that answers one small unverified packet with much, or again and again, is a weapon against whoever owns the forged source.",
		Refs: []string{"RFC 7296, Section 2.1", "RFC 5405, Section 3.1"},
		Fix: fixes{
			posture.Swanctl: swanConn("version = 2") + "\n" + charon("cookie_threshold = 30"), posture.Libreswan: setup("ikev1-policy=drop\n    ddos-mode=auto"),
			posture.IOS: "no crypto isakmp enable\ncrypto ikev2 cookie-challenge 100", posture.FortiOS: phase1("set ike-version 2"), posture.RouterOS: peer("exchange-mode=ike2"),
		},
	},
}

// filterForClients is for peers for which no policy can wait.
const filterForClients = "# no policy can wait for clients: in the packet filter\nnft insert rule inet filter forward ip daddr POOL rt ipsec missing drop"

// judgeReplay is RPL-001.
func judgeReplay(j *judge) {
	j.children(func(_ *posture.Connection, c *posture.Child) {
		switch {
		case !c.Replay.Known():
			j.unknown(c.Subject, "the files do not tell the replay window")
		case c.Replay.V <= 0:
			j.found(c.Subject, evidence(c.Replay), "replay protection is off")
		default:
			j.ok(c.Subject, evidence(c.Replay))
		}
	})
}

// judgeReplayWindow is RPL-002. A window of none is RPL-001's.
func judgeReplayWindow(j *judge) {
	least := j.policy.Number(policy.ReplayWindow)
	j.children(func(_ *posture.Connection, c *posture.Child) {
		switch {
		case !c.Replay.Known():
			j.unknown(c.Subject, "the files do not tell the replay window")
		case c.Replay.V > 0 && c.Replay.V < least:
			j.found(c.Subject, evidence(c.Replay), "the replay window has %d packets, and %d are wanted", c.Replay.V, least)
		default:
			j.ok(c.Subject, evidence(c.Replay))
		}
	})
}

// An SA of 32-bit sequence numbers ends after so many packets, and the smallest
// packets in ESP have about so many octets.
const (
	mostSequence   = 1 << 32
	smallestPacket = 64
)

// judgeESN is RPL-003: a limit that comes before the numbers run out will do.
func judgeESN(j *judge) {
	j.children(func(conn *posture.Connection, c *posture.Child) {
		packets := c.Packets.Known() && c.Packets.V > 0 && c.Packets.V < mostSequence
		bytes := c.Bytes.Known() && c.Bytes.V > 0 && c.Bytes.V < mostSequence*smallestPacket
		switch {
		case posture.Is(conn.V2, false):
			j.ok(c.Subject, evidence(conn.V2)) // hardly any IKEv1 has them: CRY-012
		case posture.Is(c.ESN, true):
			j.ok(c.Subject, evidence(c.ESN))
		case packets:
			j.ok(c.Subject, evidence(c.Packets))
		case bytes:
			j.ok(c.Subject, evidence(c.Bytes))
		case !c.ESN.Known():
			j.unknown(c.Subject, "the files do not tell whether extended sequence numbers are offered")
		default:
			j.found(c.Subject, evidence(c.ESN), "extended sequence numbers are not offered, and no limit of packets comes before the 32 bits run out")
		}
	})
}

// judgeVersions is RPL-004.
func judgeVersions(j *judge) {
	j.connections(func(c *posture.Connection) {
		switch {
		case posture.Is(c.V1, false):
			j.ok(c.Subject, evidence(c.V1))
		case j.otherVersion(c):
			j.found(c.Subject, evidence(c.V1), "IKEv1 is tried of the same peer where IKEv2 fails")
		case posture.Is(c.V2, false):
			j.ok(c.Subject, evidence(c.V2)) // IKEv1 alone cannot be downgraded to: CRY-012
		case provesByEAP(c) >= 0:
			j.ok(c.Subject, evidence(c.Remote[provesByEAP(c)].Method))
		case c.V1.Known() && c.V2.Known():
			j.found(c.Subject, evidence(c.V1), "IKEv1 and IKEv2 are both taken of the same peer")
		default:
			j.unknown(c.Subject, "the files do not tell which versions of IKE are taken")
		}
	})
}

// provesByEAP finds the peer's round of EAP, which IKEv1 does not have: nobody comes in
// by it. That it is answered is CRY-012.
func provesByEAP(c *posture.Connection) int {
	return slices.IndexFunc(c.Remote, func(a posture.Auth) bool { return posture.Is(a.Method, posture.MethodEAP) })
}

// judgeFailOpen is RPL-005. A packet filter that holds inner networks back makes
// up for a tunnel that does not.
func judgeFailOpen(j *judge) {
	filter := dropsClear(j.host)
	j.loaded(func(conn *posture.Connection) {
		for i := range conn.Children {
			switch c := &conn.Children[i]; {
			case conn.Shunt:
				j.flag(c.Subject, c.FailOpen, true, "packets are let past the tunnels in the clear")
			case posture.Is(filter, true):
				j.ok(c.Subject, evidence(filter))
			case givesAddresses(conn):
				j.gone(conn, c, filter)
			case !c.FailOpen.Known():
				j.unknown(c.Subject, "%s", untoldFailOpen(conn, c))
			default:
				j.flag(c.Subject, c.FailOpen, true, "packets for the tunnel leave in the clear while there is no SA")
			}
		}
	})
}

// dropsClear is what packet filters do with inner networks: one that holds them
// back is enough.
func dropsClear(h *posture.Host) posture.Value[bool] {
	var v posture.Value[bool]
	for i := range h.Firewalls {
		if f := &h.Firewalls[i]; !v.Known() || posture.Is(f.DropsClear, true) {
			v = f.DropsClear
		}
	}
	return v
}

// gone judges a child whose clients have their inner address for as long as their
// SA lives (RFC 7296, Section 3.15.1). No policy can wait for them, because the
// address of the gateway at their end is not known before they call; what is
// still on its way to one that has gone follows the routes. That is little: an
// answer that comes too late.
func (j *judge) gone(conn *posture.Connection, c *posture.Child, filter posture.Value[bool]) {
	const late = "packets for a client that has gone leave in the clear"
	switch {
	case posture.Is(c.FailOpen, false):
		j.ok(c.Subject, evidence(c.FailOpen))
	case c.FailOpen.Known():
		j.foundAt(j.scaled(Low), c.Subject, evidence(c.FailOpen), late)
	case filter.Known():
		j.foundAt(j.scaled(Low), c.Subject, evidence(filter), late+": the packet filter does not hold them back")
	default:
		j.unknown(c.Subject, "%s", untoldFailOpen(conn, c))
	}
}

// untoldFailOpen says why nothing is known of packets without an SA, and what
// would tell.
func untoldFailOpen(conn *posture.Connection, c *posture.Child) string {
	switch {
	case c.L2TP && posture.Is(conn.AnyPeer, false):
		return "until the SA is there nothing that was read holds back L2TP for the server: a policy that waits for packets does, or a packet filter for UDP 1701 in the way out, and a capture tells (LEAK-002)"
	case c.L2TP:
		return "no policy waits for a client of L2TP: what is still sent to one whose SA has gone, a packet filter for UDP 1701 in the way out must hold back, and a capture tells (LEAK-002)"
	case givesAddresses(conn):
		return "no policy waits for a client that gets its address from here: what is still sent to one that has gone, a packet filter or a blackhole route must hold back, and none that was read does"
	case posture.Is(conn.AnyPeer, true):
		return "no policy waits for a peer whose address is not known before it calls: a packet filter or a blackhole route must hold its packets back, and none that was read does"
	}
	return "neither a policy that waits for packets, nor a packet filter or a blackhole route that holds them back, was read"
}

// otherVersion tells whether a client has a second connection of the same name, by
// IKEv2 alone: Windows tries one after the other where the type is Automatic.
func (j *judge) otherVersion(c *posture.Connection) bool {
	return posture.Is(c.Role, posture.Initiates) && slices.ContainsFunc(j.host.Connections, func(o posture.Connection) bool {
		return o.Name == c.Name && o.Dialect == c.Dialect && o.At == c.At && posture.Is(o.V1, false) && posture.Is(o.V2, true)
	})
}

// judgeFloods is RPL-006.
func judgeFloods(j *judge) {
	each(j, j.host.Daemons, daemonSubject, func(d *posture.Daemon) {
		e, old := j.all(d.Product, func(c *posture.Connection) posture.Value[bool] { return c.V2 })
		switch {
		case posture.Is(d.Cookies, false):
			j.found(d.Subject, evidence(d.Cookies), "no cookie is asked for, however many SAs are half-open")
		case d.BlockLimit.Known() && d.BlockLimit.V == 0 && d.HalfOpenLimit.Known() && d.HalfOpenLimit.V == 0:
			j.foundAt(j.scaled(Low), d.Subject, evidence(d.BlockLimit), "neither one source nor all together are limited in half-open SAs")
		case !d.Cookies.Known() && old:
			j.ok(d.Subject, e) // IKEv1 has no such cookies: CRY-012
		case !d.Cookies.Known():
			j.unknown(d.Subject, "the files do not tell whether cookies are asked for under load")
		default:
			j.ok(d.Subject, evidence(d.Cookies))
		}
	})
}

// judgeInsists is RPL-010. Where nothing post-quantum is offered there is
// nothing to drop: that is CRY-022.
func judgeInsists(j *judge) {
	j.connections(func(c *posture.Connection) {
		word, e := droppable(c)
		switch {
		case posture.Is(c.PPK, posture.Optional):
			j.found(c.Subject, evidence(c.PPK), "the post-quantum preshared key may be left out by the peer")
		case posture.Is(c.PPK, posture.Always):
			j.ok(c.Subject, evidence(c.PPK))
		case word != "":
			j.found(c.Subject, e, "%s", word)
		case c.PPK.Known():
			j.ok(c.Subject, evidence(c.PPK))
		case c.IKE.Known():
			j.ok(c.Subject, evidence(c.IKE))
		default:
			j.unknown(c.Subject, "the files do not tell whether there is a post-quantum key exchange")
		}
	})
}

// droppable tells in words how a peer can leave ML-KEM out; empty: it cannot, or
// there is none.
func droppable(c *posture.Connection) (string, Evidence) {
	l := ikeList(c)
	if !slices.ContainsFunc(c.IKE.V, hybrid) {
		return "", Evidence{}
	}
	for _, p := range c.IKE.V {
		if slices.ContainsFunc(p.AddKE, func(t suite.Transform) bool { return t == noGroup }) {
			return "the additional key exchange may be none", l.evidence(p)
		}
		if !hybrid(p) {
			return fmt.Sprintf("a proposal without ML-KEM stands beside the one with it: %s", l.evidence(p).Value), l.evidence(p)
		}
	}
	return "", Evidence{}
}
