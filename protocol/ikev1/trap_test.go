package ikev1

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sallyport/internal/simnet"
	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// windowsFirst is what Windows sends first: five transforms and eight vendor
// IDs.
func windowsFirst(method suite.AuthMethod1) *isakmp.Message {
	transform := func(n uint8, cipher, bits, hash, group uint16) isakmp.Transform {
		as := []isakmp.Attribute{isakmp.Short(attrCipher1, cipher)}
		if bits != 0 {
			as = append(as, isakmp.Short(attrKeyBits1, bits))
		}
		return isakmp.Transform{Number: n, ID: keyIKE, Attributes: append(as, isakmp.Short(attrHash1, hash), isakmp.Short(attrGroup1, group),
			isakmp.Short(attrMethod1, uint16(method)), isakmp.Short(attrLifeType1, lifeSeconds), isakmp.Long(attrLife1, 28800))}
	}
	m := &isakmp.Message{Header: isakmp.Header{CookieI: 0x1122334455667788, Exchange: isakmp.ExchangeMain}, Payloads: []isakmp.Payload{
		offerOf(isakmp.ProtoISAKMP, nil, []isakmp.Transform{
			transform(1, 7, 256, 2, 20), transform(2, 7, 128, 2, 19), transform(3, 7, 256, 2, 14), transform(4, 5, 0, 2, 14), transform(5, 5, 0, 2, 2),
		}),
	}}
	for _, v := range []string{
		"\x01\x52\x8b\xbb\xc0\x06\x96\x12\x18\x49\xab\x9a\x1c\x5b\x2a\x51\x00\x00\x00\x01",
		"\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61\x00\x00\x00\x09",
		string(vidNATT), string(vidNATT02n), string(vidFragment[:16]),
		"\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20", "\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19",
		"\xe3\xa5\x96\x6a\x76\x37\x9f\xe7\x07\x22\x82\x31\xe5\xce\x86\x52",
	} {
		m.Payloads = append(m.Payloads, &isakmp.VendorID{Data: []byte(v)})
	}
	return m
}

func (w *world) respond(m *isakmp.Message) (*Session, *Out) {
	out := &Out{}
	b := must(m.Append(nil))
	if v := Front(Datagram{Data: b}); !v.Accept {
		w.t.Fatalf("the front drops it: %v", v.Reason)
	}
	return NewResponder(w.g.cfg, w.now(), Datagram{Local: w.g.addr, Remote: w.c.addr, Data: b}, out), out
}

func TestWindowsFirstMessage(t *testing.T) {
	w := newWorld(t, 1, false)
	s, out := w.respond(windowsFirst(suite.AuthRSA1))
	if s.PeerKind() != Windows || s.Suite().String() != "aes256-sha1-prfsha1-ecp384" || s.sa.dpd || !s.sa.fragment || s.sa.natt != nattRFC {
		t.Fatalf("%v %v dpd=%v fragment=%v natt=%v", s.PeerKind(), s.Suite(), s.sa.dpd, s.sa.fragment, s.sa.natt)
	}
	answer := must(isakmp.Parse(out.Send[0].Data))
	sa, _ := isakmp.Find[*isakmp.SA](answer.Payloads)
	if got := sa.Proposals[0].Transforms; len(got) != 1 || got[0].Number != 1 || len(got[0].Attributes) != 7 {
		t.Errorf("%+v", got)
	}
	if len(out.Send[0].Data) > len(must(windowsFirst(suite.AuthRSA1).Append(nil))) {
		t.Error("the answer is longer than the question")
	}
}

func TestWindowsWithoutSHA1IsToldWhatToDo(t *testing.T) {
	w := newWorld(t, 1, false)
	w.g.policy.Phase1 = phase1("aes256-sha256-ecp384")
	s, out := w.respond(windowsFirst(suite.AuthRSA1))
	if !s.Dead() {
		t.Fatal("not refused")
	}
	r := out.Events[0].(Refused).Record
	if r.PeerKind != Windows || r.WindowsError != 788 || r.Nearest != "aes256-sha256-ecp384" || len(r.Difference) != 1 ||
		r.Difference[0] != "integrity: sha1 offered, sha256 accepted" || !strings.Contains(r.Fix, "CRY-005") || r.Offer[4] != "3des-sha1-modp1024 rsa" {
		t.Errorf("%+v", r)
	}
	n, _ := isakmp.Find[*isakmp.Notify](must(isakmp.Parse(out.Send[0].Data)).Payloads)
	if n.Type != isakmp.NotifyNoProposalChosen {
		t.Errorf("%+v", n)
	}
}

// Windows names every root that it trusts, each in a payload of its own.
func TestManyCertificateRequests(t *testing.T) {
	hs := &handshake{}
	var ps []isakmp.Payload
	for range 200 {
		ps = append(ps, &isakmp.CertReq{Encoding: isakmp.CertX509Signature, Authority: make([]byte, 100)}, &isakmp.CertReq{Encoding: isakmp.CertCRL})
	}
	hs.readCertReqs(ps)
	if len(hs.certReqs) != maxCertReqs {
		t.Errorf("%d names are kept", len(hs.certReqs))
	}
	hs = &handshake{}
	hs.readCertReqs([]isakmp.Payload{&isakmp.CertReq{Encoding: isakmp.CertX509Signature, Authority: make([]byte, 60000)}})
	if len(hs.certReqs) != 0 {
		t.Error("a name of 60 KB is kept")
	}
}

func TestFingerprints(t *testing.T) {
	for _, c := range []struct {
		want PeerKind
		vids []string
	}{
		{Windows, []string{"\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61\x00\x00\x00\x09"}},
		{Racoon, []string{"\x70\x03\xcb\xc1\x09\x7d\xbe\x9c\x26\x00\xba\x69\x83\xbc\x8b\x35", string(vidNATT)}},
		{Apple, []string{string(vidNATT), "\x8f\x8d\x83\x82\x6d\x24\x6b\x6f\xc7\xa8\xa6\xa4\x28\xc1\x1d\xe8", string(vidNATT03), string(vidFragment), string(vidDPD)}},
		{StrongSwan, []string{"\x88\x2f\xe5\x6d\x6f\xd2\x0d\xbc\x22\x51\x61\x3b\x2e\xbe\x5b\xeb"}},
		{StrongSwan, []string{"\x09\x00\x26\x89\xdf\xd6\xb7\x12", string(vidDPD), string(vidFragment), string(vidNATT), string(vidNATT02n)}},
		{Libreswan, []string{"OE-Libreswan-4.10"}},
		{UnknownPeer, []string{string(vidNATT), string(vidDPD)}},
	} {
		var ps []isakmp.Payload
		for _, v := range c.vids {
			ps = append(ps, &isakmp.VendorID{Data: []byte(v)})
		}
		if got := judge(signsOf(ps)); got != c.want {
			t.Errorf("%v is taken for %v", c.want, got)
		}
	}
}

// ---- Trap 31: floating

func TestTrap31_AfterFloatingOnlyTheNewPairCounts(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	if local, _ := w.g.session().Path(); local.Port() != 4500 {
		t.Fatalf("the gateway is on %v", local)
	}
	// Quick mode and a Delete on port 500, with right hashes.
	offer := w.c.policy.offerPhase2([]byte{0, 1, 2, 3}, suite.Transform{}, true, nattRFC)
	id := isakmp.AddrID(w.c.addr.Addr())
	id.Protocol, id.Port = 17, 1701
	for _, d := range []Datagram{
		w.fromClient(isakmp.ExchangeQuick, 50, true, offer, &isakmp.Nonce{Data: make([]byte, 16)}, &id, &id),
		w.fromClient(isakmp.ExchangeInformational, 51, true, w.deleteESP()),
	} {
		d.Local = w.g.addr
		w.g.deliver(d)
	}
	if len(w.g.installed) != 1 {
		t.Errorf("%d SAs after messages on port 500", len(w.g.installed))
	}
	w.works()
}

func TestTrap31_ClientThatStaysOnPort500BehindANATIsRefused(t *testing.T) {
	w := newWorld(t, 1, true)
	w.c.connect.NATTLocal, w.c.connect.NATTRemote = 500, 500
	w.start()
	w.run(40 * time.Second)
	if len(w.g.est) > 0 || len(w.g.closed) != 1 || !strings.Contains(w.g.closed[0].Err.Error(), "4500") {
		t.Fatalf("%+v", w.g.closed)
	}
}

func TestTrap31_OldDraftsHaveTheirOwnNumbers(t *testing.T) {
	for _, draft := range [][]byte{vidNATT02, vidNATT02n, vidNATT03} {
		w := newWorld(t, 1, true)
		w.mangle = func(from *node, d Datagram) []Datagram {
			m, err := isakmp.Parse(d.Data)
			if err != nil || from != w.c || m.Header.CookieR != 0 {
				return []Datagram{d}
			}
			var ps []isakmp.Payload
			for _, p := range m.Payloads {
				if v, ok := p.(*isakmp.VendorID); ok && (bytes.Equal(v.Data, vidNATT) || bytes.Equal(v.Data, vidNATT03) || bytes.Equal(v.Data, vidNATT02n)) {
					continue
				}
				ps = append(ps, p)
			}
			m.Payloads = append(ps, &isakmp.VendorID{Data: draft})
			return []Datagram{{Local: d.Local, Remote: d.Remote, Data: must(m.Append(nil))}}
		}
		w.up()
		w.works()
		if w.g.session().sa.natt != nattDraft || w.c.session().sa.natt != nattDraft {
			t.Errorf("%x: %v and %v", draft, w.g.session().sa.natt, w.c.session().sa.natt)
		}
		q := w.c.session().quicks[0]
		if q.choice.mode != modeUDPDraft {
			t.Errorf("mode %d", q.choice.mode)
		}
		natD := 0
		for _, d := range w.log {
			if m, err := isakmp.Parse(d.Data); err == nil {
				for n := range isakmp.All[*isakmp.NATD](m.Payloads) {
					if !n.Draft {
						t.Error("NAT-D of the RFC")
					}
					natD++
				}
			}
		}
		if natD != 4 {
			t.Errorf("%d NAT-D payloads", natD)
		}
	}
}

// ---- Trap 32: deletes

func TestTrap32_DeletesInEveryForm(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	w.c.do(RekeyPhase2{})
	w.run(time.Second)
	if len(w.g.installed) != 2 {
		t.Fatalf("%d SAs", len(w.g.installed))
	}
	d := w.deleteESP()
	// The same SPI twice, unknown ones, both SAs, in one message.
	d.SPIs = append(d.SPIs, d.SPIs[0], []byte{9, 9, 9, 9}, []byte{0, 0, 0, 0})
	w.g.deliver(w.fromClient(isakmp.ExchangeInformational, 40, true, d, d))
	if len(w.g.installed) != 0 || w.g.session() == nil {
		t.Fatalf("%d SAs are left", len(w.g.installed))
	}
	// And once more: a duplicate Delete costs nothing.
	w.g.deliver(w.fromClient(isakmp.ExchangeInformational, 41, true, d))
	if w.g.session() == nil {
		t.Error("a second Delete ended the session")
	}
}

func TestTrap32_CiscoNamesOurSPI(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	d := &isakmp.Delete{DOI: 1, Protocol: isakmp.ProtoESP, SPIs: [][]byte{binary.BigEndian.AppendUint32(nil, w.g.outbound)}}
	w.g.deliver(w.fromClient(isakmp.ExchangeInformational, 40, true, d))
	if len(w.g.installed) != 0 {
		t.Error("the SA is still there")
	}
}

func TestTrap32_DeleteOfTheISAKMPSALeavesESP(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	w.g.deliver(w.fromClient(isakmp.ExchangeInformational, 40, true, w.deleteISAKMP()))
	s := w.g.session()
	if s == nil || s.sa != nil || len(w.g.installed) != 1 || len(w.g.cookies) != 0 {
		t.Fatalf("%+v", s)
	}
	w.works()
	// Quick mode under the dead SA does nothing; the lifetime of the ESP SA ends
	// it all.
	w.g.do(RekeyPhase2{})
	w.run(2 * time.Hour)
	if w.g.session() != nil || len(w.g.installed) > 0 {
		t.Errorf("%d SAs live for ever", len(w.g.installed))
	}
}

func TestTrap32_ClientComesBackAfterDeletingItsISAKMPSA(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	c := w.c.session()
	d := w.fromClient(isakmp.ExchangeInformational, 40, true, w.deleteISAKMP())
	c.dropISAKMP(w.now(), c.sa, &w.c.out)
	w.c.drain(c)
	w.g.deliver(d)
	w.c.do(RekeyPhase2{}) // it needs a new main mode for that
	w.run(20 * time.Second)
	w.settled(1)
	w.works()
	if len(w.g.est) != 2 || len(w.g.sessions) != 2 {
		t.Errorf("%d main modes", len(w.g.est))
	}
}

func TestTrap32_AESWithoutKeyLengthIsRefused(t *testing.T) {
	w := newWorld(t, 1, false)
	m := windowsFirst(suite.AuthRSA1)
	sa := m.Payloads[0].(*isakmp.SA)
	for i := range sa.Proposals[0].Transforms {
		var as []isakmp.Attribute
		for _, a := range sa.Proposals[0].Transforms[i].Attributes {
			if a.Type != attrKeyBits1 {
				as = append(as, a)
			}
		}
		sa.Proposals[0].Transforms[i].Attributes = as
	}
	s, out := w.respond(m)
	if !s.Dead() {
		t.Fatal("accepted")
	}
	if r := out.Events[0].(Refused).Record; r.Offer[0] != "aes without key length-sha1-ecp384 rsa" {
		t.Errorf("%q", r.Offer)
	}
}

// ---- Trap 33: identities of quick mode behind a NAT

func TestTrap33_IdentitiesOfQuickMode(t *testing.T) {
	ip := func(port uint16) *isakmp.ID {
		return &isakmp.ID{Type: isakmp.IDIPv4Addr, Protocol: 17, Port: port, Data: []byte{10, 1, 2, 3}}
	}
	other := func(protocol uint8) *isakmp.ID {
		return &isakmp.ID{Type: isakmp.IDIPv4Addr, Protocol: protocol, Port: 1701, Data: []byte{10, 1, 2, 3}}
	}
	subnet := &isakmp.ID{Type: isakmp.IDIPv4AddrSubnet, Protocol: 17, Port: 1701, Data: make([]byte, 8)}
	kb818043 := &isakmp.ID{Type: isakmp.IDFQDN, Protocol: 17, Port: 1701, Data: []byte("pc.lan")}
	for _, c := range []struct {
		name           string
		client, server *isakmp.ID
		ok             bool
	}{
		{"Windows", ip(1701), ip(1701), true},
		{"Windows before the fix of KB818043, at rekey", kb818043, ip(1701), true},
		{"macOS, any port", ip(0), ip(1701), true},
		{"macOS, a high port", ip(54321), ip(1701), true},
		{"both any", ip(0), ip(0), true},
		{"one address as a subnet", subnet, subnet, true},
		{"another port of ours", ip(1701), ip(53), false},
		{"TCP", other(6), other(6), false},
		{"any protocol", other(0), other(0), false},
		{"one of them any", ip(1701), other(0), false},
		{"none", nil, nil, false},
		{"one", ip(1701), nil, false},
	} {
		for _, nat := range []bool{false, true} {
			w := newWorld(t, 1, nat)
			w.up()
			offer := w.c.policy.offerPhase2([]byte{0, 1, 2, 3}, suite.Transform{}, nat, nattRFC)
			ps := []isakmp.Payload{offer, &isakmp.Nonce{Data: make([]byte, 16)}}
			for _, id := range []*isakmp.ID{c.client, c.server} {
				if id != nil {
					ps = append(ps, id)
				}
			}
			private := netip.MustParseAddr("10.1.2.3")
			if nat {
				ps = append(ps, &isakmp.NATOA{Addr: private}, &isakmp.NATOA{Addr: w.g.addr.Addr()})
			}
			w.g.deliver(w.fromClient(isakmp.ExchangeQuick, 50, true, ps...))
			if got := len(w.g.installed) == 2; got != c.ok {
				t.Errorf("%s, nat %v: installed %v, %+v", c.name, nat, got, w.g.records)
			}
			for _, sa := range w.g.installed {
				if sa.SPIOut != 0x010203 {
					continue
				}
				_, outer := w.g.session().Path()
				if sa.Remote != outer || sa.PeerPort != c.client.Port || nat && sa.NATOA != private {
					t.Errorf("%s: %+v", c.name, sa)
				}
			}
		}
	}
}

// ---- Trap 34: many clients

// Five clients, of which two share a NAT, two have the same private address
// behind two NATs, and one comes back on another's port after the NAT rebooted.
func TestTrap34_ClientsThatLookAlike(t *testing.T) {
	w := newWorld(t, 1, false)
	w.usePSK()
	w.g.admitted = func(a *Authenticate) string { return a.Remote.String() } // a group key proves nobody: the outer pair is all there is
	nats := []*simnet.NAT{w.net.NAT(netip.MustParseAddr("203.0.113.1")), w.net.NAT(netip.MustParseAddr("203.0.113.2"))}
	clients := []*node{
		w.node("one", "192.168.1.10:500", nats[0]), w.node("two", "192.168.1.11:500", nats[0]),
		w.node("three", "192.168.1.10:500", nats[1]), w.node("four", "192.168.1.12:500", nats[1]), w.c,
	}
	for _, c := range clients {
		c.connect = Connect{Local: c.addr, Remote: w.g.addr, InitialContact: true}
		s := NewInitiator(c.cfg, c.connect, w.now(), &c.out)
		c.sessions = append(c.sessions, s)
		c.drain(s)
		w.run(2 * time.Second)
	}
	alive := func() (n int) {
		for _, s := range w.g.sessions {
			if !s.Dead() && len(s.children) > 0 {
				n++
			}
		}
		return n
	}
	if len(w.g.est) != 5 || alive() != 5 || len(w.g.installed) != 5 {
		t.Fatalf("%d established, %d alive, %d SAs", len(w.g.est), alive(), len(w.g.installed))
	}
	remotes := map[netip.AddrPort]bool{}
	for _, sa := range w.g.installed {
		remotes[sa.Remote] = true
	}
	if len(remotes) != 5 {
		t.Errorf("outer pairs %v", remotes)
	}
	// The first NAT reboots and gives the ports anew, in another order.
	nats[0].Rebind(netip.Addr{}, 20000)
	for _, c := range []*node{clients[1], clients[0]} {
		s := c.session()
		s.Do(w.now(), Close{}, &Out{})
		c.cookies = map[uint64]*Session{}
		c.installed = map[uint32]SA{}
		s = NewInitiator(c.cfg, c.connect, w.now(), &c.out)
		c.sessions = append(c.sessions, s)
		c.drain(s)
		w.run(2 * time.Second)
	}
	for _, c := range clients {
		if c.session() == nil || len(c.installed) == 0 {
			t.Errorf("%s is down: %+v", c.name, c.closed)
		}
	}
	for _, s := range []*node{clients[2], clients[3], clients[4]} {
		if len(s.closed) > 0 {
			t.Errorf("%s was closed by another's return: %+v", s.name, s.closed)
		}
	}
}

func TestInitialContactAfterwardsIsAnEvent(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.g.deliver(w.fromClient(isakmp.ExchangeInformational, 40, true, &isakmp.Notify{DOI: 1, Protocol: 1, Type: isakmp.NotifyInitialContact}))
	_, remote := w.g.session().Path()
	if e, ok := w.g.events[len(w.g.events)-1].(InitialContact); !ok || e.Remote != remote {
		t.Errorf("%+v", w.g.events[len(w.g.events)-1])
	}
}

// ---- Trap 35: rekeys under L2TP

func TestTrap35_OldSATakesPacketsUntilTheDelete(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	old := w.g.outbound
	w.mangle = func(from *node, d Datagram) []Datagram { // message 3 is lost: the gateway must wait for the first packet
		h, _ := isakmp.ParseHeader(d.Data)
		if from == w.c && h.Exchange == isakmp.ExchangeQuick && len(w.c.installed) == 2 {
			return nil
		}
		return []Datagram{d}
	}
	w.c.do(RekeyPhase2{})
	w.run(500 * time.Millisecond)
	if len(w.g.installed) != 2 || w.g.outbound != old {
		t.Fatalf("the gateway has %d SAs and sends on %x, which was %x", len(w.g.installed), w.g.outbound, old)
	}
	w.g.traffic()
	w.c.traffic()
	w.run(500 * time.Millisecond)
	if w.g.outbound == old {
		t.Error("the first packet on the new SA did not move the gateway there")
	}
	w.mangle = nil
	w.run(20 * time.Second)
	w.settled(1)
	w.works()
}

// Windows as responder sends a fourth message; with the commit bit it is waited
// for, but not for ever.
func TestFourthMessageOfWindows(t *testing.T) {
	for _, connected := range []bool{true, false} {
		w := newWorld(t, 1, true)
		w.mangle = func(from *node, d Datagram) []Datagram {
			h, _ := isakmp.ParseHeader(d.Data)
			if from != w.g || h.Exchange != isakmp.ExchangeQuick {
				return []Datagram{d}
			}
			d.Data = bytes.Clone(d.Data)
			d.Data[19] |= byte(isakmp.FlagCommit)
			return []Datagram{d}
		}
		w.start()
		w.run(90 * time.Millisecond)
		if len(w.c.installed) != 1 || w.c.outbound != 0 {
			t.Fatalf("%d SAs, sends on %x", len(w.c.installed), w.c.outbound)
		}
		if connected {
			q, g := w.c.session().quicks[0], w.g.session()
			msg, _, err := g.sa.sealExchange(isakmp.ExchangeQuick, q.id, q.iv, []isakmp.Payload{&isakmp.Notify{DOI: 1, Protocol: 3, Type: isakmp.NotifyConnected}})
			if err != nil {
				t.Fatal(err)
			}
			w.c.deliver(Datagram{Local: w.c.session().path.local, Remote: w.c.session().path.remote, Data: msg})
			if w.c.outbound == 0 {
				t.Error("CONNECTED changes nothing")
			}
		} else if w.run(commitPatience + time.Second); w.c.outbound == 0 {
			t.Error("without CONNECTED it waits for ever")
		}
		w.run(time.Second)
		w.works()
	}
}

// ---- Trap 27 and 28

func TestTrap27_KEOfTheWrongLengthIsDropped(t *testing.T) {
	w := newWorld(t, 1, true)
	short := true
	w.mangle = func(_ *node, d Datagram) []Datagram {
		m, err := isakmp.Parse(d.Data)
		if ke, ok := findKE(m, err); ok && short {
			ke.Data = ke.Data[:len(ke.Data)-1]
			d.Data = must(m.Append(nil))
		}
		return []Datagram{d}
	}
	w.start()
	w.run(3500 * time.Millisecond)
	if len(w.g.est)+len(w.c.est) > 0 {
		t.Fatal("established")
	}
	short = false // copies come whole
	w.run(10 * time.Second)
	w.wantUp()
}

func TestTrap28_ExchangesOutOfPlace(t *testing.T) {
	w := newWorld(t, 1, false)
	w.start()
	w.run(15 * time.Millisecond) // the gateway has answered message 1
	g := w.g.session()
	for _, x := range []isakmp.ExchangeType{isakmp.ExchangeQuick, isakmp.ExchangeInformational, isakmp.ExchangeMain} {
		for _, flags := range []isakmp.Flags{0, isakmp.FlagEncryption, 0xff} {
			h := g.sa.header(x, 0)
			h.Flags, h.NextPayload = flags, isakmp.PayloadHash
			data := append(h.Append(nil, 32), make([]byte, 32)...)
			g.Receive(w.now(), Datagram{Local: w.g.addr, Remote: w.c.addr, Data: data}, &w.g.out)
			w.g.drain(g)
		}
	}
	w.run(5 * time.Second)
	w.wantUp()
	w.works()
}

// ---- Trap 46

func TestTrap46_OtherVersionsAreDropped(t *testing.T) {
	m := windowsFirst(suite.AuthRSA1)
	b := must(m.Append(nil))
	for version := range 256 {
		b[17] = byte(version)
		if got, want := Front(Datagram{Data: b}).Accept, version>>4 == 1; got != want {
			t.Errorf("version %#x: accepted %v", version, got)
		}
	}
}

// ---- NAT rebinding

func TestNATGivesAnotherPort(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	_, before := w.g.session().Path()
	w.nat.Rebind(netip.Addr{}, 0)
	w.c.traffic()
	w.run(time.Second)
	if _, after := w.g.session().Path(); after == before {
		t.Error("an authentic packet from the new port changes nothing")
	}
	w.works()
	// A new port again, and this time IKE is first.
	w.nat.Rebind(netip.Addr{}, 0)
	w.c.do(RekeyPhase2{})
	w.run(20 * time.Second)
	w.settled(1)
	w.works()
}

// A replayed message must not turn the gateway around (trap 20).
func TestReplayedMessagesMoveNobody(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	w.c.do(RekeyPhase2{})
	w.run(time.Minute)
	_, before := w.g.session().Path()
	sent := w.g.sent
	elsewhere := netip.MustParseAddrPort("203.0.113.99:4500")
	for _, d := range w.log {
		h, err := isakmp.ParseHeader(d.Data)
		if err == nil && d.Remote.Addr() == w.g.addr.Addr() && h.CookieR != 0 { // the first begins a session of its own
			w.g.deliver(Datagram{Local: d.Remote, Remote: elsewhere, Data: d.Data})
		}
	}
	if _, after := w.g.session().Path(); after != before {
		t.Errorf("the gateway went from %v to %v", before, after)
	}
	for _, d := range w.log[len(w.log)-(w.g.sent-sent):] {
		if d.Remote == elsewhere {
			t.Error("an answer to a replay")
		}
	}
	w.works()
}

func TestQuickModeCopiesAreAnsweredFromMemory(t *testing.T) {
	w := newWorld(t, 1, true)
	lost := 0
	w.mangle = func(from *node, d Datagram) []Datagram {
		h, _ := isakmp.ParseHeader(d.Data)
		if from == w.g && h.Exchange == isakmp.ExchangeQuick && lost < 2 {
			lost++
			return nil
		}
		return []Datagram{d}
	}
	w.start()
	w.run(8 * time.Second)
	w.wantUp()
	if len(w.g.installed) != 1 {
		t.Errorf("%d SAs for one quick mode", len(w.g.installed))
	}
	w.works()
}

// ---- Proposals

func TestPhase2Proposals(t *testing.T) {
	transform := func(id uint8, as ...isakmp.Attribute) isakmp.Transform {
		return isakmp.Transform{Number: 1, ID: id, Attributes: append([]isakmp.Attribute{isakmp.Short(attrMode2, modeTransport)}, as...)}
	}
	aes := []isakmp.Attribute{isakmp.Short(attrKeyBits2, 256), isakmp.Short(attrAuth2, 2)}
	with := func(as ...isakmp.Attribute) []isakmp.Attribute {
		return append(append([]isakmp.Attribute{}, aes...), as...)
	}
	for _, c := range []struct {
		name string
		t    isakmp.Transform
		want string // suite, or what a record says of it after "!"
	}{
		{"AES and SHA-1", transform(12, aes...), "aes256-sha1-noesn"},
		{"lifetimes in both forms", transform(12, with(isakmp.Short(1, 1), isakmp.Short(2, 3600), isakmp.Short(1, 2), isakmp.Long(2, 250000))...), "aes256-sha1-noesn"},
		{"no key length", transform(12, isakmp.Short(attrAuth2, 2)), "!aes without key length"},
		{"no integrity", transform(12, isakmp.Short(attrKeyBits2, 256)), "!integrity: none offered"},
		{"3DES", transform(3, isakmp.Short(attrAuth2, 2)), "!encryption: 3des offered"},
		{"NULL", transform(11, isakmp.Short(attrAuth2, 2)), "!encryption: null offered"},
		{"AES-GMAC", transform(23, isakmp.Short(attrKeyBits2, 256)), "!encryption: aes256gmac offered"},
		{"GCM not in the policy", transform(20, isakmp.Short(attrKeyBits2, 256)), "!encryption: aes256gcm16 offered"},
		{"MD5", transform(12, isakmp.Short(attrKeyBits2, 256), isakmp.Short(attrAuth2, 1)), "!integrity: md5 offered"},
		{"PFS with modp1024", transform(12, with(isakmp.Short(attrGroup2, 2))...), "!key exchange: modp1024 offered"},
		{"an unknown attribute", transform(12, with(isakmp.Short(99, 1))...), "!attribute is unknown"},
		{"key rounds", transform(12, with(isakmp.Short(7, 1))...), "!attribute is unknown"},
		{"the key length twice", transform(12, with(isakmp.Short(attrKeyBits2, 128))...), "!repeated"},
		{"a lifetime of nine octets", transform(12, with(isakmp.Short(1, 1), isakmp.Attribute{Type: 2, Value: make([]byte, 9)})...), "!longer than a number"},
		{"ESN that is not 1", transform(12, with(isakmp.Short(attrESN2, 2))...), "!ESN"},
		{"tunnel mode", isakmp.Transform{ID: 12, Attributes: with(isakmp.Short(attrMode2, 1))}, "!mode: tunnel offered, transport accepted"},
		{"no mode", isakmp.Transform{ID: 12, Attributes: aes}, "!mode: no mode offered"},
		{"UDP without a NAT", isakmp.Transform{ID: 12, Attributes: with(isakmp.Short(attrMode2, modeUDPTransport))}, "!mode: udp-transport offered"},
	} {
		w := newWorld(t, 1, false)
		w.up()
		w.g.policy.Phase2 = phase2("aes256-sha1")
		id := &isakmp.ID{Type: isakmp.IDIPv4Addr, Protocol: 17, Port: 1701, Data: []byte{192, 0, 2, 1}}
		offer := offerOf(isakmp.ProtoESP, []byte{0, 1, 2, 3}, []isakmp.Transform{c.t})
		w.g.deliver(w.fromClient(isakmp.ExchangeQuick, 50, true, offer, &isakmp.Nonce{Data: make([]byte, 16)}, id, id))
		why, refused := strings.CutPrefix(c.want, "!")
		if refused {
			if len(w.g.records) != 1 || !strings.Contains(strings.Join(w.g.records[0].Difference, "; "), why) {
				t.Errorf("%s: %+v", c.name, w.g.records)
			}
			continue
		}
		var got string
		for _, sa := range w.g.installed {
			if sa.SPIOut == 0x010203 {
				got = sa.Suite.String()
				if strings.Contains(c.name, "lifetimes") && sa.HardBytes != 250000<<10 {
					t.Errorf("%d octets", sa.HardBytes)
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, %+v", c.name, got, w.g.records)
		}
	}
}

// AH beside ESP under one number means both at once: never.
func TestBundlesAreNotNegotiated(t *testing.T) {
	esp := isakmp.Transform{Number: 1, ID: 12, Attributes: []isakmp.Attribute{isakmp.Short(attrMode2, modeTransport), isakmp.Short(attrKeyBits2, 256), isakmp.Short(attrAuth2, 2)}}
	p := func(number uint8, protocol isakmp.ProtocolID) isakmp.Proposal {
		return isakmp.Proposal{Number: number, Protocol: protocol, SPI: []byte{0, 0, 1, number}, Transforms: []isakmp.Transform{esp}}
	}
	policy := &Policy{Phase2: phase2("aes256-sha1")}
	for name, c := range map[string]struct {
		proposals []isakmp.Proposal
		want      int // number chosen, 0 = none
	}{
		"AH and ESP":              {[]isakmp.Proposal{p(1, isakmp.ProtoAH), p(1, isakmp.ProtoESP)}, 0},
		"ESP and IPComp":          {[]isakmp.Proposal{p(1, isakmp.ProtoESP), p(1, isakmp.ProtoIPComp)}, 0},
		"a bundle, then ESP":      {[]isakmp.Proposal{p(1, isakmp.ProtoESP), p(1, isakmp.ProtoIPComp), p(2, isakmp.ProtoESP)}, 2},
		"AH, then ESP":            {[]isakmp.Proposal{p(1, isakmp.ProtoAH), p(2, isakmp.ProtoESP)}, 2},
		"numbers that begin late": {[]isakmp.Proposal{p(7, isakmp.ProtoESP)}, 7},
	} {
		sa := &isakmp.SA{DOI: 1, Situation: 1, Proposals: c.proposals}
		got, ok := policy.choosePhase2(sa, understand(sa, isakmp.ProtoESP, readPhase2), false)
		if ok != (c.want != 0) || int(got.number) != c.want {
			t.Errorf("%s: %d %v", name, got.number, ok)
		}
	}
}

func TestOurPreferenceDecides(t *testing.T) {
	for _, c := range []struct{ ours, want string }{
		{"aes256-aes128-sha1-ecp384-ecp256-modp2048", "aes256-sha1-ecp384"},
		{"aes128-aes256-sha1-ecp384-ecp256-modp2048", "aes128-sha1-ecp256"},
		{"aes256-sha1-modp2048-ecp384", "aes256-sha1-modp2048"},
	} {
		m := windowsFirst(suite.AuthRSA1)
		sa := m.Payloads[0].(*isakmp.SA)
		p := &Policy{Phase1: phase1(c.ours)}
		got, ok := p.choosePhase1(sa, understand(sa, isakmp.ProtoISAKMP, readPhase1))
		if s := got.ike(); !ok || fmt.Sprintf("%v-%v-%v", s.Encr, s.Integ, s.KE) != c.want {
			t.Errorf("%s: %v", c.ours, s)
		}
	}
}

func TestInitiatorTakesOnlyWhatItOffered(t *testing.T) {
	p := &Policy{Phase1: phase1("aes256-sha256-ecp256")}
	offer := p.offerPhase1([]suite.AuthMethod1{suite.AuthRSA1})
	good := offer.Proposals[0].Transforms[0]
	for name, change := range map[string]func(*isakmp.SA){
		"the same":           func(*isakmp.SA) {},
		"another number":     func(sa *isakmp.SA) { sa.Proposals[0].Number, sa.Proposals[0].Transforms[0].Number = 9, 9 },
		"!a shorter key":     func(sa *isakmp.SA) { sa.Proposals[0].Transforms[0].Attributes[1] = isakmp.Short(attrKeyBits1, 128) },
		"!a weaker hash":     func(sa *isakmp.SA) { sa.Proposals[0].Transforms[0].Attributes[2] = isakmp.Short(attrHash1, 2) },
		"!an attribute less": func(sa *isakmp.SA) { sa.Proposals[0].Transforms[0].Attributes = good.Attributes[1:] },
		"!two transforms":    func(sa *isakmp.SA) { sa.Proposals[0].Transforms = []isakmp.Transform{good, good} },
		"!two proposals":     func(sa *isakmp.SA) { sa.Proposals = append(sa.Proposals, sa.Proposals[0]) },
		"!another protocol":  func(sa *isakmp.SA) { sa.Proposals[0].Protocol = isakmp.ProtoESP },
		"!another ID":        func(sa *isakmp.SA) { sa.Proposals[0].Transforms[0].ID = 2 },
		"!another method":    func(sa *isakmp.SA) { sa.Proposals[0].Transforms[0].Attributes[4] = isakmp.Short(attrMethod1, 1) },
		"!nothing":           func(sa *isakmp.SA) { sa.Proposals = nil },
	} {
		answer := &isakmp.SA{DOI: 1, Situation: 1, Proposals: []isakmp.Proposal{{Number: 1, Protocol: isakmp.ProtoISAKMP,
			Transforms: []isakmp.Transform{{Number: 1, ID: good.ID, Attributes: append([]isakmp.Attribute{}, good.Attributes...)}}}}}
		change(answer)
		if _, ok := accept(offer, answer, readPhase1); ok == strings.HasPrefix(name, "!") {
			t.Errorf("%s: accepted %v", name, ok)
		}
	}
}

func TestResponderLifetime(t *testing.T) {
	for name, c := range map[string]struct {
		hex  string
		want time.Duration
	}{
		"seconds, long form":    {"80010001 00020004 00000e10", time.Hour},
		"seconds, short form":   {"80010001 80020e10", time.Hour},
		"kilobytes":             {"80010002 00020004 00000e10", 0},
		"cut":                   {"80010001 00020004 0000", 0},
		"a length past the end": {"00020fff", 0},
		"nothing":               {"", 0},
	} {
		if got := responderLifetime(unhex(t, c.hex)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
