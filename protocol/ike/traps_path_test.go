package ike

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// The traps of selectors, configuration, fragments, paths and lifetimes.

func TestTrap16_SelectorsAreNarrowedNeverWidened(t *testing.T) {
	p := func(s string) ikemsg.TrafficSelector { return ikemsg.PrefixSelector(netip.MustParsePrefix(s)) }
	tcp := p("10.0.0.0/8")
	tcp.Protocol, tcp.StartPort, tcp.EndPort = 6, 80, 90
	opaque := p("10.0.0.0/8")
	opaque.StartPort, opaque.EndPort = 65535, 0
	for _, c := range []struct {
		what                   string
		offer, allowed, expect []ikemsg.TrafficSelector
	}{
		{"all and assigned", anywhere, []ikemsg.TrafficSelector{p("10.60.0.7/32")}, []ikemsg.TrafficSelector{p("10.60.0.7/32")}},
		{"smaller than allowed", []ikemsg.TrafficSelector{p("10.1.0.0/16")}, []ikemsg.TrafficSelector{p("10.0.0.0/8")}, []ikemsg.TrafficSelector{p("10.1.0.0/16")}},
		{"nothing in common", []ikemsg.TrafficSelector{p("10.1.0.0/16")}, []ikemsg.TrafficSelector{p("172.16.0.0/12")}, nil},
		{"other family", []ikemsg.TrafficSelector{p("::/0")}, []ikemsg.TrafficSelector{p("0.0.0.0/0")}, nil},
		{"ports and protocol kept", []ikemsg.TrafficSelector{tcp}, anywhere, []ikemsg.TrafficSelector{tcp}},
		{"opaque ports kept", []ikemsg.TrafficSelector{opaque}, anywhere, []ikemsg.TrafficSelector{opaque}},
		{"opaque ports are not port 80", []ikemsg.TrafficSelector{opaque}, []ikemsg.TrafficSelector{tcp}, nil},
		{"the packet first, then its net", []ikemsg.TrafficSelector{p("10.1.1.1/32"), p("10.0.0.0/8")}, anywhere, []ikemsg.TrafficSelector{p("10.1.1.1/32"), p("10.0.0.0/8")}},
		{"duplicates once", []ikemsg.TrafficSelector{p("10.0.0.0/8"), p("10.0.0.0/8")}, anywhere, []ikemsg.TrafficSelector{p("10.0.0.0/8")}},
	} {
		if got := narrow(c.offer, c.allowed); !slices.Equal(got, c.expect) {
			t.Errorf("%s: %v, want %v", c.what, got, c.expect)
		}
	}
	// The client asks for 0/0 and ::/0 and gets no IPv6 address.
	w := newWorld(t, 16)
	w.r.pool.IPv6 = netip.Prefix{}
	w.up()
	for _, ts := range [][]ikemsg.TrafficSelector{w.i.installed[w.i.onlyChild()].TSLocal, w.i.installed[w.i.onlyChild()].TSRemote} {
		if len(ts) != 1 || !ts[0].Start.Is4() {
			t.Errorf("selectors %v, want IPv4 only", ts)
		}
	}
	// A rekey with the wide selectors is narrowed again to the old ones.
	answer := w.says(w.i, ikemsg.ExchangeCreateChildSA, childRequest("aes256gcm16", anywhere, anywhere, rekeySA(w.i.onlyChild()))...)
	wantNotify(t, "no PFS", answer, ikemsg.NotifyNoProposalChosen)
	w.r.child.PFSOptional = true
	answer = w.says(w.i, ikemsg.ExchangeCreateChildSA, childRequest("aes256gcm16", anywhere, anywhere, rekeySA(w.i.onlyChild()))...)
	tsi, ok := ikemsg.FindTS(answer, false)
	if !ok || !slices.Equal(tsi.Selectors, []ikemsg.TrafficSelector{p("10.60.0.7/32")}) {
		t.Errorf("rekey answered %s with TSi %+v", describe(answer), tsi)
	}
	// A responder that widens is refused.
	w = newWorld(t, 16)
	w.i.child.Remote = []ikemsg.TrafficSelector{p("10.0.0.0/8")}
	w.intercept(w.r, ikemsg.ExchangeIKEAuth, true, func(ps []ikemsg.Payload) []ikemsg.Payload {
		for _, x := range ps {
			if ts, ok := x.(*ikemsg.TS); ok && ts.Responder {
				ts.Selectors = anywhere
			}
		}
		return ps
	})
	w.connect()
	w.run(time.Second)
	if len(w.i.installed) != 0 || len(w.i.records) != 1 {
		t.Errorf("a widened answer: installed %d, records %+v", len(w.i.installed), w.i.records)
	}
}

func TestTrap17_ConfigurationAnswersOnlyWhatWasAsked(t *testing.T) {
	all := Leased{IPv4: netip.MustParseAddr("10.0.0.5"), IPv6: netip.MustParsePrefix("fd00::5/64"),
		DNS: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}, Domains: []string{"corp.example"}}
	ask := func(ts ...ikemsg.CPAttributeType) *ikemsg.CP {
		cp := &ikemsg.CP{Kind: ikemsg.CPRequest}
		for _, t := range ts {
			cp.Attributes = append(cp.Attributes, ikemsg.CPAttribute{Type: t})
		}
		return cp
	}
	for _, c := range []struct {
		what string
		ask  *ikemsg.CP
		have Leased
		want []ikemsg.CPAttributeType
	}{
		{"only an address", ask(ikemsg.InternalIP4Address), all, []ikemsg.CPAttributeType{ikemsg.InternalIP4Address}},
		{"Windows", ask(ikemsg.InternalIP4Address, ikemsg.InternalIP4DNS, ikemsg.InternalIP4NBNS, ikemsg.MSInternalIP4Server, ikemsg.InternalIP6Address, ikemsg.InternalIP6DNS, ikemsg.MSInternalIP6Server), all,
			[]ikemsg.CPAttributeType{ikemsg.InternalIP4Address, ikemsg.InternalIP6Address, ikemsg.InternalIP4DNS, ikemsg.InternalIP6DNS}},
		{"domains without DNS", ask(ikemsg.InternalIP4Address, ikemsg.InternalDNSDomain), all, []ikemsg.CPAttributeType{ikemsg.InternalIP4Address}},
		{"domains with DNS", ask(ikemsg.InternalIP4DNS, ikemsg.InternalDNSDomain), all, []ikemsg.CPAttributeType{ikemsg.InternalIP4DNS, ikemsg.InternalDNSDomain}},
		{"no IPv6 to give", ask(ikemsg.InternalIP4Address, ikemsg.InternalIP6Address), Leased{IPv4: all.IPv4}, []ikemsg.CPAttributeType{ikemsg.InternalIP4Address}},
		{"only old IPv6 asked", ask(ikemsg.InternalIP6Address), all, []ikemsg.CPAttributeType{ikemsg.InternalIP6Address}},
	} {
		var got []ikemsg.CPAttributeType
		for _, a := range cfgReply(c.ask, c.have).Attributes {
			got = append(got, a.Type)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
	// A broken reply costs nothing but the broken attribute.
	got := readReply(Request{IPv4: true, DNS: true, Domains: true}, &ikemsg.CP{Kind: ikemsg.CPReply, Attributes: []ikemsg.CPAttribute{
		{Type: ikemsg.InternalIP4Address, Value: []byte{10, 0, 0}}, {Type: ikemsg.InternalIP4Address, Value: []byte{10, 0, 0, 9}},
		{Type: ikemsg.InternalIP4DNS}, {Type: ikemsg.InternalDNSDomain, Value: []byte("evil.example\noptions rotate")}, {Type: ikemsg.InternalDNSDomain, Value: []byte("corp.example")},
	}})
	if got.IPv4 != netip.MustParseAddr("10.0.0.9") || len(got.DNS) != 0 || !slices.Equal(got.Domains, []string{"corp.example"}) {
		t.Errorf("read %+v", got)
	}
	// MikroTik sends CP in CREATE_CHILD_SA.
	w := newWorld(t, 17)
	w.r.child.PFSOptional = true
	w.up()
	answer := w.says(w.i, ikemsg.ExchangeCreateChildSA, childRequest("aes256gcm16", anywhere, anywhere, rekeySA(w.i.onlyChild()), ask(ikemsg.InternalIP4Address))...)
	if _, ok := ikemsg.Find[*ikemsg.SA](answer); !ok {
		t.Errorf("CFG_REQUEST in CREATE_CHILD_SA: %s", describe(answer))
	}
}

func TestTrap19_Fragments(t *testing.T) {
	big := []ikemsg.Payload{&ikemsg.VendorID{Data: make([]byte, 3000)}}
	fragments := func(w *world, size int) [][]byte {
		sa := w.i.session.sa
		return must(w.i.session.seal(sa, sa.header(ikemsg.ExchangeInformational, sa.nextOut, false), big, size))
	}
	feed := func(w *world, parts ...[]byte) (answers int) {
		for _, p := range parts {
			answers += len(w.rawAll(w.i, p))
		}
		return answers
	}
	fresh := func() *world {
		w := newWorld(t, 19)
		w.up()
		return w
	}
	w := fresh()
	parts := fragments(w, 1000)
	slices.Reverse(parts)
	if n := feed(w, parts...); n != 1 {
		t.Errorf("fragment 1 last: %d answers", n)
	}
	w = fresh()
	parts = fragments(w, 1000)
	if n := feed(w, parts[0], parts[0], parts[1], parts[0], parts[1]); n != 0 {
		t.Errorf("duplicates completed an incomplete set: %d answers", n)
	}
	if n := feed(w, parts[2:]...); n != 1 {
		t.Errorf("after duplicates: %d answers", n)
	}
	w = fresh()
	large, small := fragments(w, 1000), fragments(w, 600)
	if n := feed(w, large[0], large[1], small[0], large[2]); n != 0 {
		t.Errorf("sets of different totals were mixed: %d answers", n)
	}
	if n := feed(w, small[1:]...); n != 1 {
		t.Errorf("smaller fragments: %d answers", n)
	}
	w = fresh()
	sa := w.i.session.sa
	one := fragments(w, 60000) // a single message: make it a set of one
	c := must(sa.cipher(sa.keys.out))
	plain := must(ikemsg.AppendPayloads(nil, big))
	h := sa.header(ikemsg.ExchangeInformational, sa.nextOut, false)
	makeFragment := func(number, total uint16) []byte {
		prefix := must(ikemsg.SKFPrefix(h, ikemsg.PayloadVendor, number, total, sealedSize(c, len(plain))))
		return w.i.session.sealBody(sa, c, prefix, plain)
	}
	if n := feed(w, makeFragment(1, 65535), makeFragment(65535, 65535), makeFragment(1, maxFragments+1)); n != 0 || w.r.session.sa.parts != nil {
		t.Errorf("totals over the limit: %d answers, parts %+v", n, w.r.session.sa.parts)
	}
	zero := makeFragment(1, 1)
	for _, field := range []struct{ number, total uint16 }{{0, 1}, {2, 1}, {0, 0}, {1, 0}} {
		broken := slices.Clone(zero)
		binary.BigEndian.PutUint16(broken[32:], field.number)
		binary.BigEndian.PutUint16(broken[34:], field.total)
		if n := feed(w, broken); n != 0 {
			t.Errorf("fragment %d of %d was taken", field.number, field.total)
		}
	}
	forged := slices.Clone(zero)
	forged[len(forged)-1] ^= 1
	if feed(w, forged); w.r.session.sa.parts != nil {
		t.Error("a fragment was stored before it authenticated")
	}
	if n := feed(w, zero); n != 1 {
		t.Errorf("a set of one: %d answers", n)
	}
	if n := feed(w, one...); n != 0 {
		t.Errorf("SK after SKF of the same message ID: %d answers", n)
	}
	w = fresh()
	if n := feed(w, append(fragments(w, 1000)[:2], fragments(w, 60000)...)...); n != 1 || w.r.session.sa.parts != nil {
		t.Errorf("SK after part of a set: %d answers", n)
	}
	if n := feed(w, fragments(w, 1000)[2:]...); n != 0 {
		t.Error("SKF after SK of the same message ID was taken")
	}
	w = fresh()
	feed(w, fragments(w, 1000)[:2]...)
	w.run(fragmentPatience + time.Second)
	if w.r.session.sa.parts != nil {
		t.Error("an incomplete set is kept for ever")
	}
	w = newWorld(t, 19)
	w.i.policy.NoFragmentation = true
	w.up()
	if n := feed(w, fragments(w, 1000)...); n != 0 {
		t.Error("fragments were taken that were not negotiated")
	}
}

func TestTrap19_LongChainsArriveWhereIPFragmentsAreDropped(t *testing.T) {
	for _, mtu := range []int{1280 - 48, 548} {
		w := newWorld(t, 19)
		w.i.policy.FragmentSize, w.r.policy.FragmentSize = mtu, mtu
		w.i.cred, w.r.cred = pkiOf().credential("big", w.i.name), pkiOf().credential("big", w.r.name)
		w.net.Link.MTU = mtu
		w.up()
		w.settled(1)
	}
}

func TestTrap20_RebindingIsFollowedOnlyWhenItMayBe(t *testing.T) {
	// Behind a NAT without MOBIKE: an authentic new request moves the peer.
	w := newWorld(t, 20)
	w.i.policy.NoMOBIKE = true
	nat := w.net.NAT(netip.MustParseAddr("203.0.113.77"))
	w.i.move("192.168.1.2:500", nat)
	w.up()
	_, before := w.r.session.Path()
	sa := w.i.session.sa
	old := must(w.i.session.seal(sa, sa.header(ikemsg.ExchangeInformational, sa.nextOut, false), nil, 0))[0]
	w.r.deliver(Datagram{Local: w.r.addr, Remote: before, Data: old})
	w.i.session.sa.nextOut++
	nat.Rebind(netip.Addr{}, 40000)
	w.run(2 * time.Minute)
	_, after := w.r.session.Path()
	if after == before || after.Port() < 40000 {
		t.Fatalf("path %v after the NAT rebooted, before %v", after, before)
	}
	if m := lastMoved(w.r); m == nil || m.Remote != after || len(m.Children) != 1 {
		t.Errorf("moved: %+v", m)
	}
	w.r.deliver(Datagram{Local: w.r.addr, Remote: before, Data: old}) // replayed
	if _, now := w.r.session.Path(); now != after {
		t.Error("a replayed message moved the peer back")
	}
	forged := slices.Clone(old)
	binary.BigEndian.PutUint32(forged[20:], w.r.session.sa.nextIn)
	w.r.deliver(Datagram{Local: w.r.addr, Remote: addr("192.0.2.66:4500"), Data: forged})
	if _, now := w.r.session.Path(); now != after {
		t.Error("a forged message moved the peer")
	}
	// ESP may be first to see it.
	w.r.do(PlaneEvent{Kind: PeerMoved, SPIIn: w.r.onlyChild(), Remote: addr("203.0.113.77:50000")})
	if _, now := w.r.session.Path(); now != addr("203.0.113.77:50000") {
		t.Errorf("path %v after ESP moved", now)
	}

	stays := func(what string, set func(w *world)) {
		w := newWorld(t, 20)
		set(w)
		w.up()
		_, before := w.r.session.Path()
		w.r.do(PlaneEvent{Kind: PeerMoved, SPIIn: w.r.onlyChild(), Remote: addr("192.0.2.66:4500")})
		sa := w.i.session.sa
		w.r.deliver(Datagram{Local: w.r.addr, Remote: addr("192.0.2.66:4500"), Data: must(w.i.session.seal(sa, sa.header(ikemsg.ExchangeInformational, sa.nextOut, false), nil, 0))[0]})
		if _, now := w.r.session.Path(); now != before {
			t.Errorf("%s: moved from %v to %v", what, before, now)
		}
	}
	stays("peer without NAT", func(w *world) { w.i.policy.NoMOBIKE = true })
	stays("MOBIKE", func(w *world) { w.i.move("192.168.1.2:500", w.net.NAT(netip.MustParseAddr("203.0.113.77"))) })
}

func TestTrap21_FloatingPorts(t *testing.T) {
	// The initiator may start at 4500.
	w := newWorld(t, 21)
	w.i.start(Connect{Local: addr("192.0.2.1:4500"), Remote: addr("198.51.100.1:4500"), Identity: w.i.cred.identity, Child: w.i.child, Request: Request{IPv4: true}})
	w.run(time.Second)
	w.settled(1)
	// Without NAT and MOBIKE it stays on 500, and ESP is not encapsulated.
	w = newWorld(t, 21)
	w.i.policy.NoMOBIKE = true
	w.up()
	if l, r := w.i.session.Path(); l.Port() != 500 || r.Port() != 500 || w.i.installed[w.i.onlyChild()].Encap {
		t.Errorf("path %v %v", l, r)
	}
	// Nobody behind a NAT: nobody sends keepalives.
	w.run(5 * time.Minute)
	for _, d := range w.log {
		if d.Keepalive {
			t.Fatal("a keepalive without NAT")
		}
	}
	// A keepalive, a marker or an SPI of zero is nothing to the machine.
	for _, junk := range [][]byte{{0xff}, {0, 0, 0, 0}, nil, make([]byte, 28), make([]byte, 100)} {
		if w.raw(w.i, junk) != nil {
			t.Errorf("%x was answered", junk)
		}
		if junk != nil {
			if v := w.r.front.Receive(w.now(), Datagram{Remote: w.i.addr, Data: junk}, Load{}); v.Action != Drop {
				t.Errorf("%x: %+v", junk, v)
			}
		}
	}
}

func TestTrap22_MOBIKE(t *testing.T) {
	w := newWorld(t, 22)
	w.up()
	// ESP moves only after the new address has answered COOKIE2.
	w.intercept(w.i, ikemsg.ExchangeInformational, true, func(ps []ikemsg.Payload) []ikemsg.Payload { return nil })
	w.i.move("203.0.113.9:4500", nil)
	w.i.do(LocalAddressChanged{Local: w.i.addr})
	w.run(500 * time.Millisecond)
	if lastMoved(w.r) != nil {
		t.Error("the responder moved ESP before the return check")
	}
	w.mangle = nil
	w.run(2 * time.Second)
	if m := lastMoved(w.r); m == nil || m.Remote != w.i.addr {
		t.Errorf("after the return check: %+v", m)
	}
	w.settled(1)

	// A wrong COOKIE2 closes the IKE SA.
	w = newWorld(t, 22)
	w.up()
	w.intercept(w.i, ikemsg.ExchangeInformational, true, func(ps []ikemsg.Payload) []ikemsg.Payload {
		return []ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifyCookie2, Data: make([]byte, 16)}}
	})
	w.i.move("203.0.113.9:4500", nil)
	w.i.do(LocalAddressChanged{Local: w.i.addr})
	w.run(time.Minute)
	if w.r.closed == nil || w.r.closed.Reason != ClosedProtocol {
		t.Errorf("wrong COOKIE2: %+v", w.r.closed)
	}

	// A move during a rekey: the pending request goes out again from the new
	// address with the same octets, then the update follows.
	w = newWorld(t, 22)
	w.up()
	w.net.Link.Loss = 1
	w.i.do(RekeyChild{w.i.onlyChild()})
	lost := w.log[len(w.log)-1]
	w.net.Link.Loss = 0
	w.i.move("203.0.113.9:4500", nil)
	w.i.do(LocalAddressChanged{Local: w.i.addr})
	again := w.log[len(w.log)-1]
	if string(again.Data) != string(lost.Data) || again.Local != w.i.addr {
		t.Error("the pending request did not go out again at once from the new address")
	}
	w.run(time.Minute)
	w.settled(1)
	if _, remote := w.r.session.Path(); remote != w.i.addr {
		t.Errorf("responder's path ends at %v", remote)
	}

	// NO_NATS_ALLOWED with other addresses than those of the packet.
	w = newWorld(t, 22)
	w.up()
	answer := w.says(w.i, ikemsg.ExchangeInformational, &ikemsg.Notify{Type: ikemsg.NotifyUpdateSAAddresses}, &ikemsg.Notify{Type: ikemsg.NotifyNoNATsAllowed, Data: make([]byte, 12)})
	wantNotify(t, "NO_NATS_ALLOWED through a NAT", answer, ikemsg.NotifyUnexpectedNATDetected)

	// Behind a NAT that reboots, the initiator notices by its liveness check.
	w = newWorld(t, 22)
	nat := w.net.NAT(netip.MustParseAddr("203.0.113.77"))
	w.i.move("192.168.1.2:500", nat)
	w.up()
	w.run(3 * time.Minute)
	nat.Rebind(netip.Addr{}, 40000)
	w.run(3 * time.Minute)
	if _, remote := w.r.session.Path(); remote.Port() < 40000 {
		t.Errorf("responder's path ends at %v, the NAT has new ports", remote)
	}

	// Without MOBIKE a new address means a new session.
	w = newWorld(t, 22)
	w.i.policy.NoMOBIKE = true
	w.up()
	w.i.do(LocalAddressChanged{Local: addr("203.0.113.9:4500")})
	w.run(time.Second)
	if w.i.closed == nil || w.i.closed.Err == nil {
		t.Errorf("%+v", w.i.closed)
	}
}

func TestTrap23_Liveness(t *testing.T) {
	// ESP counts as a sign of life.
	w := newWorld(t, 23)
	espAt := time.Time{}
	w.r.cfg.Heard = func(uint32) time.Time { return espAt }
	w.i.policy.DPD = -1
	w.up()
	sent := w.r.sent
	for range 10 {
		w.run(50 * time.Second)
		espAt = w.now()
	}
	if w.r.sent != sent {
		t.Errorf("%d liveness checks while ESP flows", w.r.sent-sent)
	}
	w.run(2 * time.Minute)
	if w.r.sent == sent {
		t.Error("no liveness check in two minutes of silence")
	}
	// Retransmissions grow, and a sleeping laptop has two minutes.
	w.net.Link.Loss = 1
	w.run(time.Minute)
	if w.r.session.Dead() {
		t.Error("dead within a minute")
	}
	w.run(4 * time.Minute)
	if w.r.closed == nil || w.r.closed.Reason != ClosedTimeout {
		t.Errorf("%+v", w.r.closed)
	}
	// While a request is out there is no second one.
	w = newWorld(t, 23)
	w.up()
	w.net.Link.Loss = 1
	w.i.do(RekeyChild{w.i.onlyChild()})
	from := len(w.log)
	w.run(100 * time.Second)
	for _, d := range w.log[from:] {
		if h := must(ikemsg.ParseHeader(d.Data)); d.Local.Addr() == w.i.addr.Addr() && h.Exchange != ikemsg.ExchangeCreateChildSA {
			t.Errorf("an %v beside the pending request", h.Exchange)
		}
	}
}

func TestTrap24_ReauthenticationMakesBeforeItBreaks(t *testing.T) {
	w := newWorld(t, 24)
	w.r.lifetime = time.Hour
	w.up()
	old, oldR := w.i.session, w.r.session
	w.run(56 * time.Minute)
	if _, due := w.i.events[len(w.i.events)-1].(ReauthDue); !due {
		due = slices.ContainsFunc(w.i.events, func(e Event) bool { _, ok := e.(ReauthDue); return ok })
		if !due {
			t.Fatal("no ReauthDue")
		}
	}
	// The runtime connects anew beside the old session; the backend gives the
	// same address again.
	w.r.session = nil
	w.connect()
	w.run(time.Second)
	if w.i.session.Leased().IPv4 != old.Leased().IPv4 || old.Dead() || oldR.Dead() || len(w.i.installed) != 2 {
		t.Errorf("the second session is not beside the first: %d Child SAs", len(w.i.installed))
	}
}

func TestTrap25_EveryClientAtRekeyWithShortLifetimes(t *testing.T) {
	for _, c := range []struct {
		client   PeerKind
		ike, esp string // the client's
		policy   string // the server's built-in policy
		nat      bool
	}{
		{Windows, "aes256-sha384-ecp384", "aes256gcm16-ecp384", "strong", true},
		{Windows, "aes256-sha256-modp2048", "aes256-sha256", "compatible", true},
		{Apple, "aes256gcm16-prfsha256-ecp256", "aes256gcm16", "strong", true},
		{Apple, "aes256-sha256-modp2048", "aes256-sha256", "compatible", false},
		{Android, "aes256gcm16-prfsha512-modp4096-x25519", "aes256gcm16-modp4096", "strong", true},
		{StrongSwan, "aes256gcm16-prfsha256-ecp256", "aes256gcm16-x25519-modpnone", "strong", true},
		{StrongSwan, "aes256-sha256-x25519", "aes256-sha256-x25519", "strong", false},
	} {
		t.Run(c.client.String()+" "+c.esp, func(t *testing.T) {
			w := newWorld(t, 25)
			p, _ := suite.Policy(c.policy)
			w.r.policy.IKE, w.r.child.ESP = ikeProposals(p.IKE...), espProposals(p.ESP...)
			w.i.policy.IKE, w.i.child.ESP = ikeProposals(c.ike), espProposals(c.esp)
			w.i.policy.Lifetime = Lifetime{Soft: 150 * time.Second, Hard: 300 * time.Second}
			w.i.child.Lifetime = Lifetime{Soft: 60 * time.Second, Hard: 120 * time.Second}
			w.r.child.Lifetime = Lifetime{Soft: 70 * time.Second, Hard: 120 * time.Second}
			if c.nat {
				w.i.move("192.168.1.2:500", w.net.NAT(netip.MustParseAddr("203.0.113.77")))
			}
			w.up()
			w.r.session.kind = c.client
			w.run(140 * time.Second)
			w.run(160 * time.Second)
			for n := 0; w.busy() && n < 10; n++ {
				w.run(2 * time.Second)
			}
			w.settled(1)
			rekeys, server := 0, 0
			for _, e := range w.r.events {
				if up, ok := e.(ChildUp); ok && up.Child.Replaces != 0 {
					if rekeys++; up.Child.Outbound {
						server++
					}
				}
			}
			if rekeys < 3 || w.r.session.sa.spiI == 0 || len(w.r.records) > 0 {
				t.Errorf("%d child rekeys, records %+v", rekeys, w.r.records)
			}
			if c.client == Windows && c.nat && server > 0 {
				t.Errorf("the server led %d child rekeys of Windows behind a NAT", server)
			}
		})
	}
	// An IKE rekey with the one proposal chosen before, under its old number.
	w := newWorld(t, 25)
	w.up()
	ps := ikeRekeyRequest(w.i)
	ps[0].(*ikemsg.SA).Proposals[0].Number = 3
	answer := w.says(w.i, ikemsg.ExchangeCreateChildSA, ps...)
	if sa, ok := ikemsg.Find[*ikemsg.SA](answer); !ok || sa.Proposals[0].Number != 3 {
		t.Errorf("macOS' rekey with proposal 3: %s", describe(answer))
	}
	// Windows goes back to MODP-1024: refused with its reason.
	w = newWorld(t, 25)
	w.up()
	w.r.session.kind = Windows
	ps = ikeRekeyRequest(w.i)
	for i := range ps[0].(*ikemsg.SA).Proposals[0].Transforms {
		if tr := &ps[0].(*ikemsg.SA).Proposals[0].Transforms[i]; tr.Type == suite.KE {
			tr.ID = 2
		}
	}
	wantNotify(t, "MODP-1024 at rekey", w.says(w.i, ikemsg.ExchangeCreateChildSA, ps...), ikemsg.NotifyNoProposalChosen)
	if r := w.r.records; len(r) != 1 || r[0].WindowsError != 13868 || len(r[0].Difference) != 1 || r[0].Fix == "" {
		t.Errorf("records %+v", r)
	}
	// Windows sends two rekeys of one Child SA before its DELETE.
	w = newWorld(t, 25)
	w.r.child.PFSOptional = true
	w.up()
	for range 2 {
		answer := w.says(w.i, ikemsg.ExchangeCreateChildSA, childRequest("aes256gcm16", anywhere, anywhere, rekeySA(w.i.onlyChild()))...)
		if _, ok := ikemsg.Find[*ikemsg.SA](answer); !ok {
			t.Errorf("repeated rekey: %s", describe(answer))
		}
	}
}
