package eap

import (
	"bytes"
	"crypto/tls"
	"sync"
	"testing"

	"sallyport/internal/secret"
)

// FuzzServerPackets gives a server of every method two packets of anything,
// with the identifier that it waits for.
func FuzzServerPackets(f *testing.F) {
	f.Add(byte(TypeTLS), frame{TLS: clientHello(unhex("002b 0003 020304"))}.append(nil), []byte{0})
	f.Add(byte(TypeMSCHAPv2), mschapMessage{Op: opResponse, Challenge: make([]byte, 16), NTResponse: make([]byte, 24), Text: []byte("x")}.append(nil), []byte{opSuccess})
	f.Add(byte(TypeNak), []byte{25}, []byte{0x80, 0, 0, 0, 1, 1})
	f.Add(byte(TypeExpanded), unhex("000000 00000003 fe 000000 00000015"), []byte{0xc0, 0, 1, 0, 0, 1})
	cfg := &ServerConfig{Offers: everything(TypeMSCHAPv2, TypeTLS, TypePEAP, TypeTTLS), TLS: thePKI().serverTLS(0), BareMSCHAPv2: true}
	f.Fuzz(func(t *testing.T, kind byte, a, b []byte) {
		for _, offers := range [][]Offer{cfg.Offers, cfg.Offers[1:], cfg.Offers[2:], cfg.Offers[3:]} {
			c := *cfg
			c.Offers = offers
			s, identity := soloServer(t, &c)
			request := s.answer(identity, TypeIdentity, []byte("fuzz"))
			for _, data := range [][]byte{a, b} {
				if len(data) > MaxPacket {
					return
				}
				s.give(Packet{CodeResponse, request.Identifier, Type(kind), data}.Append(nil))
				request.Identifier = s.server.id
			}
			if _, ok := outcome[Success](s.events); ok {
				t.Fatal("success for noise")
			}
			s.server.Close()
		}
	})
}

// FuzzPeerPackets gives a peer of every method two packets of anything.
func FuzzPeerPackets(f *testing.F) {
	f.Add(byte(TypeTLS), []byte{flagStart}, unhex("80 00000007 15 0303 0002 0228"))
	f.Add(byte(TypeMSCHAPv2), mschapMessage{Op: opChallenge, Challenge: make([]byte, 16)}.append(nil), mschapMessage{Op: opSuccess, Text: []byte("S=")}.append(nil))
	f.Add(byte(TypeNotification), []byte("hello"), []byte{})
	f.Add(byte(TypeExpanded), unhex("000137 00000001"), []byte{})
	cfg := &PeerConfig{Identity: "fuzz", Offers: everything(TypeMSCHAPv2, TypeTLS, TypePEAP, TypeTTLS), TLS: thePKI().peerTLS(0), BareMSCHAPv2: true, Password: secret.Bytes("x")}
	f.Fuzz(func(t *testing.T, kind byte, a, b []byte) {
		if len(a)+len(b) > MaxPacket {
			return
		}
		p := soloPeer(t, cfg)
		p.give(Packet{CodeRequest, 1, Type(kind), a}.Append(nil))
		p.give(Packet{CodeRequest, 2, Type(kind), b}.Append(nil))
		p.give(Packet{Code: CodeSuccess, Identifier: 2}.Append(nil))
		if _, ok := outcome[Success](p.events); ok {
			t.Fatal("success for noise")
		}
		p.peer.Close()
	})
}

// tunnels are both ends of an established TLS connection.
var tunnels = sync.OnceValues(func() (server, peer *tlsEnd) {
	s, p := newTLSEnd(TypePEAP, DefaultMTU), newTLSEnd(TypePEAP, DefaultMTU)
	s.serve(thePKI().serverTLS(tls.VersionTLS13), false)
	p.connect(thePKI().peerTLS(0), false)
	var flight []byte
	for _, e := range []*tlsEnd{&p, &s, &p, &s} {
		must(e.pump.Feed(flight))
		var err error
		flight, _, err = e.pump.Flight()
		must(err)
	}
	return &s, &p
})

// inside drives what is inside a tunnel with plaintexts.
func inside(t *testing.T, plains [][]byte, receive func([]byte) step, done func(Result) step) {
	for _, plain := range plains {
		st := receive(plain)
		for st.task != nil {
			v, err := accounts(st.task)
			st = done(Result{Value: v, Err: err})
		}
		if len(st.send) > 2*MaxPacket {
			t.Fatalf("%d octets to send", len(st.send))
		}
		if st.success != nil {
			t.Fatal("success for noise")
		}
		if st.failure != nil && st.send == nil {
			return
		}
	}
}

// FuzzInside gives both ends of what is inside PEAP and TTLS three plaintexts
// of anything: octets that a peer had to encrypt, but nobody had to believe.
func FuzzInside(f *testing.F) {
	name := appendAVP(nil, avpUserName, []byte(testUser))
	f.Add([]byte("\x01bob"), []byte{byte(TypeMSCHAPv2), opSuccess}, unhex("02 09 000b 21 8003 0002 0001"))
	f.Add(appendAVP(name, avpUserPassword, []byte("wrong")), []byte{}, []byte{})
	f.Add(appendAVP(appendAVP(name, avpMSChallenge, make([]byte, 16)), avpMSCHAP2Answer, make([]byte, ms2ResponseSize)), []byte{}, []byte{})
	f.Add(appendAVP(nil, avpEAPMessage, unhex("02 00 0008 01 626f62")), appendAVP(nil, avpEAPMessage, unhex("02 01 0006 0d 00")), []byte{})
	f.Add([]byte{1}, append([]byte{byte(TypeMSCHAPv2)}, mschapMessage{Op: opChallenge, Challenge: make([]byte, 16)}.append(nil)...), unhex("01 09 000b 21 8003 0002 0001"))
	f.Add(appendAVP(nil, avpMSCHAP2Proof, []byte("\x00S=00")), appendAVP(nil, avpMSCHAPError, []byte("\x00E=691")), []byte{})
	p := thePKI()
	sc := &ServerConfig{TLS: p.serverTLS(0)}
	pc := &PeerConfig{Identity: "x", TLS: p.peerTLS(0), User: testUser, Password: secret.Bytes("x")}
	all := []Inner{InnerEAPMSCHAPv2, InnerEAPTLS, InnerMSCHAPv2, InnerPAP}
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		plains := [][]byte{a, b, c}
		server, peer := tunnels()
		ps := newPEAPServer(sc, all, server)
		ps.begin()
		inside(t, plains, ps.receive, ps.done)
		ps.close()
		ts := &ttlsServer{cfg: sc, allowed: all, outer: server}
		inside(t, plains, ts.receive, ts.done)
		ts.close()
		pp := &peapPeer{cfg: pc, allowed: all, outer: peer}
		inside(t, plains, func(b []byte) step { return pp.receive(1, b) }, pp.done)
		pp.close()
		for _, i := range []Inner{InnerMSCHAPv2, InnerEAPMSCHAPv2} {
			tp := &ttlsPeer{cfg: pc, offers: []Inner{i}, outer: peer}
			tp.begin()
			inside(t, plains, func(b []byte) step { return tp.receive(1, b) }, tp.done)
			tp.close()
		}
	})
}

// FuzzTampering changes one octet of one packet of a conversation: then the
// ends either notice or end with the same keys.
func FuzzTampering(f *testing.F) {
	list := combinations()
	for i := range list {
		f.Add(byte(i), byte(3), uint16(9), byte(0x40))
		f.Add(byte(i), byte(6), uint16(5), byte(0xff))
	}
	f.Fuzz(func(t *testing.T, which, packet byte, at uint16, change byte) {
		c := list[int(which)%len(list)]
		sc, pc := c.configs()
		l := newLink(t, sc, pc)
		n := 0
		l.tap = func(_ bool, b []byte) []byte {
			if n++; n == int(packet) {
				b = bytes.Clone(b)
				b[int(at)%len(b)] ^= change
			}
			return b
		}
		l.run()
		s, ok1 := outcome[Success](l.serverEvents)
		p, ok2 := outcome[Success](l.peerEvents)
		if ok1 && ok2 && (!s.MSK.Equal(p.MSK) || s.Identity != c.identity()) {
			t.Fatalf("%v: packet %d, octet %d changed by %#x: both ends succeed and disagree", c, packet, at, change)
		}
	})
}
