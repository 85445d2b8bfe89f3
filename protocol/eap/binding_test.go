package eap

import (
	"bytes"
	"crypto/tls"
	"testing"

	"sallyport/internal/secret"
)

// relay is an attacker inside PEAP. It has no password: it passes the server's
// challenge on to a victim that speaks EAP-MSCHAPv2 to it elsewhere, and the
// victim's response back.
type relay struct {
	victim *mschapPeer
	outer  *tlsEnd
	binds  bool // it makes up a crypto-binding
	proven *bool
}

func (r *relay) begin() step      { return step{} }
func (r *relay) done(Result) step { return step{} }
func (r *relay) close()           {}
func (r *relay) inner() Inner     { return InnerEAPMSCHAPv2 }

func (r *relay) receive(identifier uint8, plain []byte) step {
	switch {
	case len(plain) == 1: // a request for the Identity
		return step{send: append([]byte{byte(TypeIdentity)}, testUser...)}
	case Type(plain[0]) == TypeMSCHAPv2:
		st := r.victim.receive(identifier, plain[1:])
		*r.proven = st.success != nil
		return step{send: append([]byte{byte(TypeMSCHAPv2)}, st.send...)}
	}
	x := extensions{Result: resultSuccess}
	if r.binds {
		keys, err := r.outer.keyMaterial()
		must(err)
		_, cmk := compoundKeys(keys, nil) // it has the tunnel's keys, and not the victim's
		x.Binding = newBinding(bindingResponse, make([]byte, nonceSize), cmk)
	}
	p, err := Parse(plain)
	must(err)
	return step{send: Packet{CodeResponse, p.Identifier, TypeExtensions, x.append(nil)}.Append(nil)}
}

func TestRelayedMSCHAPv2IsCaughtByCryptoBinding(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, binds := range []bool{false, true} {
			c := combination{TypePEAP, InnerEAPMSCHAPv2, version}
			sc, pc := c.configs()
			l := newLink(t, sc, pc)
			victim := &PeerConfig{Identity: testUser, Password: secret.Bytes(testPassword)}
			method := newTunnelPeer(pc, c.offers()[0], DefaultMTU)
			proven := false
			method.tunnel = &relay{victim: &mschapPeer{cfg: victim}, outer: &method.tlsEnd, binds: binds, proven: &proven}
			l.peer.method, l.peer.current = method, TypePEAP
			// The attacker skips Identity: its method is there already.
			var out Out
			l.peer.Start(l.now)
			l.server.StartWith(l.now, testUser, 7, &out)
			l.drain(&out, true)
			for len(l.toPeer)+len(l.toServer) > 0 {
				if len(l.toPeer) > 0 {
					b := l.toPeer[0]
					l.toPeer = l.toPeer[1:]
					l.peer.Receive(l.now, b, &out)
					l.drain(&out, false)
					continue
				}
				b := l.toServer[0]
				l.toServer = l.toServer[1:]
				l.server.Receive(l.now, b, &out)
				l.drain(&out, true)
			}
			if !proven {
				t.Fatal("the relay did not get as far as the server's proof")
			}
			f, ok := outcome[Failure](l.serverEvents)
			if !ok || f.Reason != ReasonCryptoBinding {
				t.Errorf("binds %v: the server reports %+v", binds, l.serverEvents)
			}
		}
	}
}

// An inner EAP-TLS is as good without binding; MSCHAPv2 is not.
func TestPEAPServerWithoutCryptoBindingIsRefused(t *testing.T) {
	for _, c := range []struct {
		inner Inner
		ok    bool
	}{{InnerEAPMSCHAPv2, false}, {InnerEAPTLS, true}} {
		_, pc := combination{TypePEAP, c.inner, 0}.configs()
		m := &peapPeer{cfg: pc, allowed: []Inner{c.inner}}
		_, peer := tunnels()
		m.outer = peer
		m.nested = newNestedPeer(pc, m.allowed)
		m.nested.current, m.nested.ready = c.inner.eapType(), &Success{MSK: make(secret.Bytes, mskSize)}
		st := m.receive(1, Packet{CodeRequest, 9, TypeExtensions, extensions{Result: resultSuccess}.append(nil)}.Append(nil))
		if (st.success != nil) != c.ok || !c.ok && st.failure.Reason != ReasonCryptoBinding {
			t.Errorf("%v: %+v", c.inner, st)
		}
		answer, err := Parse(st.send)
		must(err)
		x, err := parseExtensions(answer.Data)
		if err != nil || (x.Result == resultSuccess) != c.ok || x.Binding != nil {
			t.Errorf("%v: answered by %+v, %v", c.inner, x, err)
		}
		// Without binding the keys are the tunnel's own.
		if keys, _ := peer.keyMaterial(); c.ok && !bytes.Equal(st.success.MSK, keys[:mskSize]) {
			t.Error("the keys are not the tunnel's")
		}
	}
}

// The same success, before the inner method has succeeded (the early Success
// of CVE-2021-45079, inside).
func TestPEAPSuccessBeforeTheInnerMethodIsRefused(t *testing.T) {
	_, pc := combination{TypePEAP, InnerEAPMSCHAPv2, 0}.configs()
	_, peer := tunnels()
	keys, err := peer.keyMaterial()
	must(err)
	_, cmk := compoundKeys(keys, nil)
	for _, x := range []extensions{{Result: resultSuccess}, {Result: resultSuccess, Binding: newBinding(bindingRequest, make([]byte, nonceSize), cmk)}} {
		m := &peapPeer{cfg: pc, allowed: []Inner{InnerEAPMSCHAPv2}, outer: peer}
		st := m.receive(1, Packet{CodeRequest, 9, TypeExtensions, x.append(nil)}.Append(nil))
		if st.success != nil || st.failure == nil || st.failure.Reason != ReasonEarlySuccess {
			t.Errorf("%+v", st)
		}
	}
}

// MSCHAPv2 inside TTLS answers the tunnel's own challenge and no other.
func TestTTLSResponseToAnotherChallengeIsRefused(t *testing.T) {
	sc, pc := combination{TypeTTLS, InnerMSCHAPv2, 0}.configs()
	server, peer := tunnels()
	for name, change := range map[string]func(plain []byte){
		"nothing":   func([]byte) {},
		"challenge": func(b []byte) { b[bytes.Index(b, unhex("0000000b c0"))+avpVendorHeader] ^= 1 },
		"ident":     func(b []byte) { b[bytes.Index(b, unhex("00000019 c0"))+avpVendorHeader] ^= 1 },
	} {
		tp := &ttlsPeer{cfg: pc, offers: []Inner{InnerMSCHAPv2}, outer: peer}
		plain := tp.begin().send
		change(plain)
		ts := &ttlsServer{cfg: sc, allowed: []Inner{InnerMSCHAPv2}, outer: server}
		st := ts.receive(plain)
		if name == "nothing" {
			if _, ok := st.task.(LookupPassword); !ok {
				t.Errorf("%+v", st)
			}
		} else if st.failure == nil || st.failure.Reason != ReasonProtocol {
			t.Errorf("%s: %+v", name, st)
		}
	}
}

// The success indication of EAP-TLS over TLS 1.3 is one octet 0, and nothing
// else (RFC 9190, Section 2.5).
func TestOnlyTheIndicationIsTakenForSuccess(t *testing.T) {
	_, peer := tunnels()
	m := &tlsPeer{tlsEnd: *peer, phase: phaseTunnel}
	for _, plain := range [][]byte{{1}, {0, 0}, []byte("success")} {
		if st := m.indicated(plain); st.success != nil || st.failure == nil {
			t.Errorf("% x: %+v", plain, st)
		}
	}
	if st := m.indicated(nil); st.success != nil || st.failure != nil || st.send == nil {
		t.Errorf("nothing: %+v", st)
	}
	if st := m.indicated([]byte{0}); st.success == nil {
		t.Errorf("the indication: %+v", st)
	}
}
