package ike

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
)

// The traps of IKE_AUTH, and what is left of the set-up.

func TestTrap11_ReservedBitsOfTheIDAreSigned(t *testing.T) {
	w := newWorld(t, 11)
	w.intercept(w.i, ikemsg.ExchangeIKEAuth, false, func(ps []ikemsg.Payload) []ikemsg.Payload {
		s := w.i.session
		id, _ := ikemsg.FindID(ps, false)
		id.Body = slices.Clone(id.Body)
		copy(id.Body[1:4], []byte{0xab, 0xcd, 0xef})
		octets := must(signedOctets(s.sa.suite, s.hs.initRequest, s.hs.nonceR, s.hs.authKeys.pi, id))
		signed := must(w.i.work(&Sign{Identity: w.i.cred.identity, Hashes: s.hs.hashes, Octets: octets})).(Signed)
		for i, p := range ps {
			if _, ok := p.(*ikemsg.Auth); ok {
				ps[i] = &ikemsg.Auth{Method: ikemsg.AuthMethod(signed.Method), Data: signed.Data}
			}
		}
		return ps
	})
	w.up()
}

func TestTrap12_NoTunnelBeforeTheServerProvedItself(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(w *world, ps []ikemsg.Payload) []ikemsg.Payload
	}{
		{"no AUTH", func(_ *world, ps []ikemsg.Payload) []ikemsg.Payload {
			return slices.DeleteFunc(ps, func(p ikemsg.Payload) bool { _, ok := p.(*ikemsg.Auth); return ok })
		}},
		{"another server's certificate", func(_ *world, ps []ikemsg.Payload) []ikemsg.Payload {
			for _, p := range ps {
				if c, ok := p.(*ikemsg.Cert); ok {
					c.Data = pkiOf().credential("ecdsa256", "evil.example").identity.Chain[0]
				}
			}
			return ps
		}},
		{"an AUTH that is not a signature", func(_ *world, ps []ikemsg.Payload) []ikemsg.Payload {
			for _, p := range ps {
				if a, ok := p.(*ikemsg.Auth); ok {
					a.Data = slices.Clone(a.Data)
					a.Data[len(a.Data)-1] ^= 1
				}
			}
			return ps
		}},
		{"another IDr", func(_ *world, ps []ikemsg.Payload) []ikemsg.Payload {
			for i, p := range ps {
				if id, ok := p.(*ikemsg.ID); ok {
					ps[i] = &ikemsg.ID{Responder: id.Responder, Kind: id.Kind, Data: []byte("other.example")}
				}
			}
			return ps
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, 12)
			w.intercept(w.r, ikemsg.ExchangeIKEAuth, true, func(ps []ikemsg.Payload) []ikemsg.Payload { return c.change(w, ps) })
			w.connect()
			w.run(time.Minute)
			if w.i.est != nil || len(w.i.installed) > 0 {
				t.Error("the initiator is established")
			}
			if w.i.closed == nil || w.i.closed.Reason != ClosedRefused || len(w.i.records) != 1 || w.i.records[0].Reason == "" {
				t.Errorf("closed %+v, records %+v", w.i.closed, w.i.records)
			}
			if w.r.closed == nil || w.r.closed.Reason != ClosedByPeer {
				t.Errorf("the server was not told: %+v", w.r.closed)
			}
		})
	}
}

func TestTrap12_NoTunnelForAClientThatIsNotAdmitted(t *testing.T) {
	w := newWorld(t, 12)
	w.r.refusal = &Refusal{Reason: `certificate of "client.example" is revoked`, Hint: "enrol the device again"}
	w.connect()
	w.run(time.Minute)
	if w.i.est != nil || w.r.est != nil || len(w.r.installed) > 0 {
		t.Fatal("established")
	}
	if len(w.r.records) != 1 || w.r.records[0].Reason != `certificate of "client.example" is revoked` || w.r.records[0].Notify != ikemsg.NotifyAuthenticationFailed ||
		w.r.records[0].PeerID != `"client.example"` || w.r.records[0].Fix == "" || w.r.records[0].Stage != StageAuth {
		t.Errorf("server's records %+v", w.r.records)
	}
	if len(w.i.records) != 1 || !w.i.records[0].ByPeer || w.i.records[0].Fix == "" {
		t.Errorf("client's records %+v", w.i.records)
	}
}

func TestTrap13_EAPIsRefusedWithAReason(t *testing.T) {
	w := newWorld(t, 13)
	w.intercept(w.i, ikemsg.ExchangeIKEAuth, false, func(ps []ikemsg.Payload) []ikemsg.Payload {
		return slices.DeleteFunc(ps, func(p ikemsg.Payload) bool { _, ok := p.(*ikemsg.Auth); return ok })
	})
	w.connect()
	w.run(time.Second)
	if w.r.est != nil || len(w.r.records) != 1 || !strings.Contains(w.r.records[0].Reason, "EAP") {
		t.Errorf("established %v, records %+v", w.r.est, w.r.records)
	}
	if w.i.closed == nil || len(w.i.records) != 1 || w.i.records[0].Notify != ikemsg.NotifyAuthenticationFailed {
		t.Errorf("client: %+v", w.i.records)
	}
}

func TestTrap14_TheSessionBelongsToTheAuthenticatedIdentity(t *testing.T) {
	w := newWorld(t, 14)
	w.r.tamper = func(a *Admission) { a.Identity, a.Device = "alice", "laptop-7" }
	w.up()
	if a := w.r.est.Admission; a.Identity != "alice" || a.Device != "laptop-7" || w.r.session.Admission() != a {
		t.Errorf("admission %+v: the name must be what Authenticate proved, not IDi", a)
	}
	if id := w.r.est.PeerID; id.String() != `"client.example"` {
		t.Errorf("peer ID %v", &id)
	}
}

func TestTrap15_InitialContactCountsOnlyAfterAuth(t *testing.T) {
	w := newWorld(t, 15)
	w.r.refusal = &Refusal{Reason: "no"}
	w.connect()
	w.run(time.Second)
	for _, e := range w.r.events {
		if est, ok := e.(Established); ok {
			t.Fatalf("an unauthenticated INITIAL_CONTACT got through: %+v", est)
		}
	}
	w = newWorld(t, 15)
	w.up()
	if !w.r.est.InitialContact {
		t.Error("an authenticated INITIAL_CONTACT is not told")
	}
	// Nothing of the session itself reacts: whom to close is the gateway's
	// decision, since a live sibling may be Apple's second path.
	if w.r.session.Dead() {
		t.Error("the session ended itself")
	}
}

func TestTrap18_Certificates(t *testing.T) {
	w := newWorld(t, 18)
	w.r.cfg.Authorities, w.i.cfg.Authorities = nil, nil // nobody sends CERTREQ
	intermediate := pkiOf().credential("ecdsa384", "not-in-use.example").identity.Chain[0]
	id := *w.i.cred.identity
	for range 20 {
		id.Chain = append(id.Chain[:len(id.Chain):len(id.Chain)], intermediate)
	}
	w.i.cred = &credential{&id, w.i.cred.signer}
	w.intercept(w.i, ikemsg.ExchangeIKEAuth, false, func(ps []ikemsg.Payload) []ikemsg.Payload {
		// A Windows list of trust anchors, and a URL that must not be fetched.
		return append(ps, &ikemsg.CertReq{Encoding: ikemsg.CertX509Signature, Authorities: make([]byte, 20*2000)},
			&ikemsg.Cert{Encoding: ikemsg.CertHashURL, Data: []byte("....................http://192.0.2.66/evil")})
	})
	w.i.policy.FragmentSize = 60000 // it is re-sealed in one piece
	w.up()
	for _, task := range w.r.tasks {
		if a, ok := task.(*Authenticate); ok {
			if len(a.Chain) != maxChain || !bytes.Equal(a.Chain[0], id.Chain[0]) {
				t.Errorf("chain of %d, want the first %d as sent", len(a.Chain), maxChain)
			}
			if len(a.CertReqs) != 20*maxCertReqs {
				t.Errorf("%d octets of CERTREQ kept", len(a.CertReqs))
			}
		}
	}
	for _, task := range w.i.tasks {
		if a, ok := task.(*Authenticate); ok && len(a.Chain) == 0 {
			t.Error("the server sent no chain because there was no CERTREQ")
		}
	}
}

func TestTrap26_IntermediateExchangesAreNotOurs(t *testing.T) {
	w := newWorld(t, 26)
	answer := w.initAnswer(initMessage(func(m *ikemsg.Message) {
		m.Payloads = append(m.Payloads, &ikemsg.Notify{Type: ikemsg.NotifyIntermediateExchangeSupported})
	}))
	if _, ok := ikemsg.FindNotify(answer.Payloads, ikemsg.NotifyIntermediateExchangeSupported); ok {
		t.Fatal("IKE_INTERMEDIATE was promised")
	}
	h := answer.Header
	h.Exchange, h.MessageID, h.Flags = ikemsg.ExchangeIntermediate, 1, ikemsg.FlagInitiator
	if w.raw(w.i, append(must(ikemsg.SKPrefix(h, ikemsg.PayloadKE, 64)), make([]byte, 64)...)) != nil {
		t.Error("IKE_INTERMEDIATE was answered")
	}
	for _, task := range w.r.tasks {
		if _, ok := task.(SharedSecret); ok {
			t.Error("IKE_INTERMEDIATE cost a key agreement")
		}
	}
}

func TestTrap27_BadPublicValues(t *testing.T) {
	w := newWorld(t, 27)
	w.r.policy.IKE = ikeProposals("aes256gcm16-prfsha256-ecp256-x25519-modp2048")
	for _, c := range []struct {
		what  string
		group uint16
		data  []byte
	}{
		{"too short", 19, make([]byte, 63)},
		{"too long: CVE-2023-41913", 19, make([]byte, 20000)},
		{"empty", 19, nil},
		{"of another group", 19, make([]byte, 32)},
	} {
		msg := initMessage(func(m *ikemsg.Message) { m.Payloads[1] = &ikemsg.KE{Group: c.group, Data: c.data} })
		if w.initAnswer(msg) != nil {
			t.Errorf("KE %s was answered", c.what)
		}
	}
	one, pMinus1 := append(make([]byte, 255), 1), slices.Repeat([]byte{0xff}, 256)
	for _, c := range []struct {
		what  string
		group uint16
		data  []byte
	}{
		{"X25519 of low order", 31, make([]byte, 32)},
		{"zero: CVE-2015-3240", 14, make([]byte, 256)},
		{"one", 14, one},
		{"over the prime", 14, pMinus1},
		{"off the curve", 19, slices.Repeat([]byte{2}, 64)},
	} {
		answer := w.initAnswer(initMessage(func(m *ikemsg.Message) {
			m.Payloads[0] = offer(w.r.policy.IKE, ikemsg.ProtoIKE, nil, false)
			m.Payloads[1] = &ikemsg.KE{Group: c.group, Data: c.data}
			m.Payloads = append(m.Payloads, &ikemsg.VendorID{Data: make([]byte, 500)})
		}))
		if answer == nil {
			t.Errorf("%s: no answer to judge", c.what)
			continue
		}
		h := answer.Header
		h.Exchange, h.MessageID, h.Flags = ikemsg.ExchangeIKEAuth, 1, ikemsg.FlagInitiator
		w.raw(w.i, append(must(ikemsg.SKPrefix(h, ikemsg.PayloadIDi, 64)), make([]byte, 64)...))
		if !w.r.session.Dead() || w.r.closed.Reason != ClosedProtocol {
			t.Errorf("%s: the session lives on", c.what)
		}
	}
}

func TestTrap28_VersionsFlagsAndRoles(t *testing.T) {
	w := newWorld(t, 28)
	judge := func(data []byte) Verdict {
		return w.r.front.Receive(w.now(), Datagram{Local: w.r.addr, Remote: w.i.addr, Data: data}, Load{})
	}
	v1 := initMessage(nil)
	v1[17] = 0x10
	if v := judge(v1); v.Action != Drop || v.Reason != DropVersion1 {
		t.Errorf("IKEv1: %+v", v)
	}
	v3 := initMessage(nil)
	v3[17] = 0x30
	if v := judge(v3); v.Action != Reply {
		t.Errorf("IKEv3: %+v", v)
	} else if m := must(ikemsg.Parse(v.Reply)); m.Header.Exchange != ikemsg.ExchangeIKESAInit || m.Header.SPIi != 0x1122334455667788 {
		t.Errorf("INVALID_MAJOR_VERSION in %+v", m.Header)
	} else {
		wantNotify(t, "IKEv3", m.Payloads, ikemsg.NotifyInvalidMajorVersion)
	}
	minor := initMessage(nil)
	minor[17] = 0x21
	if v := judge(minor); v.Action != Accept {
		t.Errorf("a higher minor version: %+v", v)
	}
	for what, change := range map[string]func(h *ikemsg.Header){
		"SPIr set":         func(h *ikemsg.Header) { h.SPIr = 7 },
		"SPIi zero":        func(h *ikemsg.Header) { h.SPIi = 0 },
		"response":         func(h *ikemsg.Header) { h.Flags |= ikemsg.FlagResponse },
		"not by initiator": func(h *ikemsg.Header) { h.Flags = 0 },
		"message ID 1":     func(h *ikemsg.Header) { h.MessageID = 1 },
	} {
		if v := judge(initMessage(func(m *ikemsg.Message) { change(&m.Header) })); v.Action != Drop {
			t.Errorf("%s: %+v", what, v)
		}
	}
	critical := w.initAnswer(initMessage(func(m *ikemsg.Message) {
		m.Payloads = append(m.Payloads, &ikemsg.Unknown{Type: 130, Critical: true, Body: []byte{1}})
	}))
	wantNotify(t, "critical payload of unknown type", critical.Payloads, ikemsg.NotifyUnsupportedCriticalPayload)

	w = newWorld(t, 28)
	w.up()
	sa := *w.i.session.sa
	sa.initiator = false // the I flag lies about the sender
	if w.raw(w.i, must(w.i.session.seal(&sa, sa.header(ikemsg.ExchangeInformational, 2, false), nil, 0))[0]) != nil {
		t.Error("a message with the wrong I flag was answered")
	}
	if w.says(w.i, ikemsg.ExchangeIKEAuth) == nil {
		t.Error("IKE_AUTH on an established SA was not answered")
	}
	wantNotify(t, "unknown critical payload", w.says(w.i, ikemsg.ExchangeInformational, &ikemsg.Unknown{Type: 130, Critical: true}), ikemsg.NotifyUnsupportedCriticalPayload)
	wantEmpty(t, "unknown payload", w.says(w.i, ikemsg.ExchangeInformational, &ikemsg.Unknown{Type: 130}))
	w.settled(1)
}

func TestTrap29_TheIDrOfTheClientIsAWish(t *testing.T) {
	w := newWorld(t, 29)
	w.connect()
	w.run(time.Second)
	found := false
	for _, task := range w.r.tasks {
		if a, ok := task.(*Authenticate); ok {
			found = a.WantID != nil && string(a.WantID.Data) == "gateway.example"
		}
	}
	if !found {
		t.Error("Authenticate did not hear which IDr the client wants")
	}
	w = newWorld(t, 29)
	w.r.refusal = &Refusal{Reason: `no identity "other.example" here`}
	w.connect()
	w.run(time.Second)
	if w.i.est != nil || len(w.i.records) != 1 || w.i.records[0].Notify != ikemsg.NotifyAuthenticationFailed {
		t.Errorf("records %+v", w.i.records)
	}
}

func TestTrap30_FailedChildKeepsTheIKESAForAWhile(t *testing.T) {
	for _, c := range []struct {
		what string
		set  func(w *world)
		want ikemsg.NotifyType
	}{
		{"no common ESP suite", func(w *world) { w.r.child.ESP = espProposals("chacha20poly1305") }, ikemsg.NotifyNoProposalChosen},
		{"no common selectors", func(w *world) {
			w.i.child.Remote = []ikemsg.TrafficSelector{ikemsg.PrefixSelector(netip.MustParsePrefix("10.0.0.0/8"))}
			w.r.child.Local = []ikemsg.TrafficSelector{ikemsg.PrefixSelector(netip.MustParsePrefix("172.16.0.0/12"))}
		}, ikemsg.NotifyTSUnacceptable},
		{"no address left", func(w *world) { w.r.pool = Leased{} }, ikemsg.NotifyInternalAddressFailure},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, 30)
			c.set(w)
			// A client that just hangs: it hears nothing of the answer's contents.
			w.connect()
			hold := w.i.session
			w.mangle = func(p *peer, d Datagram) []Datagram {
				if h, _ := ikemsg.ParseHeader(d.Data); p == w.i && h.Exchange == ikemsg.ExchangeInformational {
					return nil
				}
				return []Datagram{d}
			}
			w.run(5 * time.Second)
			if w.r.est == nil || w.r.session.Dead() {
				t.Fatalf("the IKE SA did not survive: %+v", w.r.closed)
			}
			if len(w.r.records) != 1 || w.r.records[0].Notify != c.want || w.r.records[0].Reason == "" {
				t.Errorf("records %+v, want one of %v", w.r.records, c.want)
			}
			if len(w.i.records) != 1 || w.i.records[0].Notify != c.want || !w.i.records[0].ByPeer {
				t.Errorf("client's records %+v", w.i.records)
			}
			if hold.phase != phaseClosing {
				t.Errorf("our own client does not give up: phase %d", hold.phase)
			}
			w.run(70 * time.Second)
			if w.r.session.phase != phaseClosing && !w.r.session.Dead() {
				t.Error("a childless IKE SA is kept for ever")
			}
		})
	}
}
