package eap

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/wire"
)

// The flaws that other implementations had where EAP passes, each as what must
// hold here.

var bareMSCHAP = combination{method: TypeMSCHAPv2}

// strongSwan took EAP-Success before the method had run.
func TestCVE_2021_45079_EarlySuccessIsRefused(t *testing.T) {
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			_, pc := c.configs()
			for _, at := range []string{"first", "after identity", "in the method"} {
				m := soloPeer(t, pc)
				id := uint8(1)
				if at != "first" {
					m.say(Packet{CodeRequest, id, TypeIdentity, nil})
				}
				if at == "in the method" {
					id++
					first := []byte{flagStart}
					if c.method == TypeMSCHAPv2 {
						first = mschapMessage{Op: opChallenge, Challenge: make([]byte, 16)}.append(nil)
					}
					m.say(Packet{CodeRequest, id, c.method, first})
				}
				if sent := m.give(Packet{Code: CodeSuccess, Identifier: id}.Append(nil)); len(sent) > 0 {
					t.Errorf("%s: answered by % x", at, sent)
				}
				m.want(ReasonEarlySuccess)
				if !m.peer.Over() {
					t.Errorf("%s: the peer goes on", at)
				}
			}
		})
	}
}

// The same at every point of a real conversation: wherever the server's next
// packet is replaced by Success, only the true end is accepted.
func TestCVE_2021_45079_SuccessCountsOnlyAtTheEnd(t *testing.T) {
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			for at := 0; ; at++ {
				sc, pc := c.configs()
				l := newLink(t, sc, pc)
				n, last := -1, false
				l.tap = func(toPeer bool, b []byte) []byte {
					if !toPeer {
						return b
					}
					if n++; n != at {
						return b
					}
					last = Code(b[0]) == CodeSuccess
					return Packet{Code: CodeSuccess, Identifier: b[1]}.Append(nil)
				}
				l.run()
				_, ok := outcome[Success](l.peerEvents)
				server, serverDone := outcome[Success](l.serverEvents)
				if ok && !last {
					t.Fatalf("Success instead of request %d is taken: %+v, %v", at, server, serverDone)
				}
				if last || n < at {
					if !last {
						t.Fatal("the conversation ended before its end")
					}
					break
				}
			}
		})
	}
}

// strongSwan took an EAP-MSCHAPv2 Success response in any state.
func TestCVE_2015_8023_MSCHAPv2SuccessOutOfTurnIsRefused(t *testing.T) {
	for name, data := range map[string][]byte{"success": {opSuccess}, "failure": {opFailure}, "long success": {opSuccess, 1, 0, 4}} {
		t.Run(name, func(t *testing.T) {
			m, challenge := began(t, bareMSCHAP)
			m.answer(challenge, TypeMSCHAPv2, data)
			m.want(ReasonProtocol)
		})
	}
	t.Run("after a wrong password", func(t *testing.T) {
		m, challenge := began(t, bareMSCHAP)
		failed := m.answer(challenge, TypeMSCHAPv2, mschapMessage{Op: opResponse, Challenge: make([]byte, 16), NTResponse: make([]byte, 24), Text: []byte(testUser)}.append(nil))
		if p := m.answer(failed, TypeMSCHAPv2, []byte{opSuccess}); p.Code != CodeFailure {
			t.Errorf("answered by %+v", p)
		}
		m.want(ReasonWrongPassword)
	})
	t.Run("at the peer", func(t *testing.T) {
		_, pc := bareMSCHAP.configs()
		m := soloPeer(t, pc)
		m.give(Packet{CodeRequest, 1, TypeMSCHAPv2, mschapMessage{Op: opSuccess, Text: []byte("S=00")}.append(nil)}.Append(nil))
		m.want(ReasonProtocol)
	})
}

// strongSwan's client gave a password to any server that had a certificate of
// a trusted authority, before its name was checked.
func TestCVE_2015_4171_NameIsCheckedBeforeCredentialsLeave(t *testing.T) {
	p := thePKI()
	for _, c := range combinations() {
		if c.method == TypeMSCHAPv2 {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			sc, pc := c.configs()
			other := *sc.TLS
			other.Certificates = []tls.Certificate{p.ca.issue("evil.example.org", true, time.Now().Add(time.Hour), p.server.PrivateKey.(crypto.Signer))}
			sc.TLS = &other
			l := newLink(t, sc, pc)
			l.answer = func(task Task) (any, error) {
				if _, ok := task.(*Handshake); !ok {
					t.Errorf("the server got as far as %T", task)
				}
				return accounts(task)
			}
			l.run()
			l.wantFailure(ReasonTLSAlert, ReasonCertificate)
		})
	}
}

// strongSwan's server took a certificate whose chain it could not trust.
func TestCVE_2023_26463_UntrustedChainIsRefused(t *testing.T) {
	for _, c := range combinations() {
		if c.byPassword() {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			sc, pc := c.configs()
			client := *pc.TLS
			// The right authority is in the message, but it has not signed this.
			own := thePKI().untrusted
			own.Certificate = append(own.Certificate[:1:1], thePKI().ca.cert.Raw)
			client.Certificates = []tls.Certificate{own}
			pc.TLS = &client
			l := newLink(t, sc, pc)
			l.run()
			l.wantFailure(ReasonCertificateUntrusted, ReasonTLSAlert)
		})
	}
}

// A VerifyChain that accepts without saying whom is a fault that must not let
// anybody in.
func TestCVE_2023_26463_AcceptanceWithoutIdentityIsRefused(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		sc, pc := combination{TypeTLS, InnerNone, v}.configs()
		careless := *sc.TLS
		careless.Verify = func([][]byte) (Verified, error) { return Verified{}, nil }
		sc.TLS = &careless
		l := newLink(t, sc, pc)
		l.run()
		l.wantFailure(ReasonBackend, ReasonRefused)
	}
}

// SoftEther died of a huge TLS Message Length.
func TestCVE_2026_39312_HugeTLSMessageLengthIsRefused(t *testing.T) {
	for _, c := range combinations() {
		if c.method == TypeMSCHAPv2 {
			continue
		}
		for _, length := range []uint32{0xffffffff, 0x80000000, 0x7fffffff, maxFlight + 1} {
			m, request := began(t, c)
			m.answer(request, c.method, frame{Flags: flagLength | flagMore, Length: length, TLS: make([]byte, 100)}.append(nil))
			m.want(ReasonProtocol)
			_, pc := c.configs()
			p := soloPeer(t, pc)
			hello := p.say(Packet{CodeRequest, 1, c.method, []byte{flagStart}})
			for n := uint8(2); hello.Data[0]&flagMore != 0; n++ {
				hello = p.say(Packet{CodeRequest, n, c.method, []byte{0}})
			}
			p.give(Packet{CodeRequest, 99, c.method, frame{Flags: flagLength | flagMore, Length: length, TLS: make([]byte, 100)}.append(nil)}.Append(nil))
			p.want(ReasonProtocol)
		}
	}
}

// A TLS message that never ends is cut off at its cap.
func TestCVE_2026_39312_EndlessFragmentsAreCutOff(t *testing.T) {
	m, request := began(t, combination{method: TypeTLS})
	f := frame{Flags: flagLength | flagMore, Length: maxFlight, TLS: make([]byte, 1000)}
	for n := 0; !m.server.Over(); n++ {
		if n > maxFlight/1000+1 {
			t.Fatalf("%d fragments were taken", n)
		}
		request = m.answer(request, TypeTLS, f.append(nil))
	}
	m.want(ReasonProtocol)
}

// The EAP-TLS patch of pppd computed lengths of packets that were too short.
func TestCVE_2018_11574_ShortTLSPacketsAreRefused(t *testing.T) {
	for _, data := range []string{"", "80", "8000", "800000", "80000000", "c0000000", "c000000001", "8000000001", "80ffffffff", "40", "20", "a0", "e0", "ff"} {
		m, request := began(t, combination{method: TypeTLS})
		m.give(Packet{CodeResponse, request.Identifier, TypeTLS, unhex(data)}.Append(nil))
		m.want(ReasonProtocol)
	}
}

// pppd copied a peer's name into a buffer that was too small.
func TestCVE_2020_8597_LongNamesAreRefused(t *testing.T) {
	sc, _ := bareMSCHAP.configs()
	for _, n := range []int{MaxIdentity + 1, 1024, 16000} {
		m, identity := soloServer(t, sc)
		m.answer(identity, TypeIdentity, bytes.Repeat([]byte("a"), n))
		m.want(ReasonProtocol)
		m, challenge := began(t, bareMSCHAP)
		m.answer(challenge, TypeMSCHAPv2, mschapMessage{Op: opResponse, Challenge: make([]byte, 16), NTResponse: make([]byte, 24), Text: bytes.Repeat([]byte("a"), n)}.append(nil))
		m.want(ReasonProtocol)
	}
	m, identity := soloServer(t, sc)
	if p := m.answer(identity, TypeIdentity, bytes.Repeat([]byte("a"), MaxIdentity)); p.Type != TypeMSCHAPv2 {
		t.Errorf("the longest name is answered by %+v", p)
	}
}

// strongSwan's server allocated by AVP lengths that were less than a header.
func TestCVE_2026_25075_BadAVPLengthsAreRefused(t *testing.T) {
	for length := range uint32(8) {
		if list, err := parseAVPs(append(wire.AppendU24(unhex("00000001 40"), length), make([]byte, 64)...)); err == nil {
			t.Errorf("length %d: %+v", length, list)
		}
	}
	for length := range uint32(12) {
		if list, err := parseAVPs(append(wire.AppendU24(unhex("0000000b c0"), length), make([]byte, 64)...)); err == nil {
			t.Errorf("length %d with a vendor: %+v", length, list)
		}
	}
	for _, length := range []uint32{73, 0xffff, 0xffffff} {
		if list, err := parseAVPs(append(wire.AppendU24(unhex("00000001 40"), length), make([]byte, 64)...)); err == nil {
			t.Errorf("length %d in 72 octets: %+v", length, list)
		}
	}
}

// strongSwan's EAP-SIM walked over attributes of length 0 for ever: no walker
// here stands still.
func TestCVE_2026_35330_ZeroLengthsDoNotLoop(t *testing.T) {
	zeros := make([]byte, 16000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		parseExtensions(zeros)
		parseAVPs(zeros)
		parseNak(Packet{Type: TypeNak, Data: zeros})
		parseNak(Packet{Type: TypeExpanded, Data: append(unhex("000000 00000003"), zeros...)})
		parseMSCHAP(CodeRequest, zeros)
		parseFrame(zeros)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("a walker stands still")
	}
}

// strongSwan's client read past the end of a short Failure request.
func TestCVE_2025_62291_ShortFailureRequestIsHarmless(t *testing.T) {
	_, pc := bareMSCHAP.configs()
	whole := mschapMessage{Op: opFailure, ID: 1, Text: []byte(wrongPassword(make([]byte, 16)))}.append(nil)
	for n := range len(whole) {
		for _, fixed := range []bool{false, true} {
			short := bytes.Clone(whole[:n])
			if fixed && n >= mschapHeaderSize { // with a length that is right
				short[2], short[3] = 0, byte(n)
			}
			m := soloPeer(t, pc)
			m.say(Packet{CodeRequest, 1, TypeMSCHAPv2, mschapMessage{Op: opChallenge, Challenge: make([]byte, 16)}.append(nil)})
			m.give(Packet{CodeRequest, 2, TypeMSCHAPv2, short}.Append(nil))
			if f := m.failure(); f.Reason == 0 {
				t.Errorf("%d octets: %+v", n, f)
			}
		}
	}
}

// pppd's PEAP client wrote past its buffer when it answered: whatever the
// server asks, no packet of ours is larger than the MTU.
func TestCVE_2026_75883_AnswersStayWithinTheMTU(t *testing.T) {
	c := combination{TypePEAP, InnerEAPMSCHAPv2, 0}
	sc, pc := c.configs()
	pc.MTU, pc.User = MinMTU, strings.Repeat("u", MaxIdentity)
	l := newLink(t, sc, pc)
	l.tap = func(toPeer bool, b []byte) []byte {
		if !toPeer && len(b) > MinMTU {
			t.Errorf("a packet of %d octets", len(b))
		}
		return b
	}
	l.run()
	l.wantFailure(ReasonUnknownUser, ReasonWrongPassword)
}

// strongSwan's TLS looped over a supported_versions extension.
func TestCVE_2026_35328_SupportedVersionsDoNotLoop(t *testing.T) {
	for _, extension := range []string{"002b 0000", "002b 0001 00", "002b 0002 0103", "002b 0003 020304", "002b 0003 ff0304", "002b 0002 0000", "002b ffff 020304"} {
		t.Run(extension, func(t *testing.T) {
			m, request := began(t, combination{method: TypeTLS})
			begun := time.Now()
			p := m.answer(request, TypeTLS, frame{TLS: clientHello(unhex(extension))}.append(nil))
			if m.want(ReasonTLS); p.Code == CodeSuccess || time.Since(begun) > 5*time.Second {
				t.Errorf("%+v after %v", p, time.Since(begun))
			}
		})
	}
}

// clientHello is a TLS ClientHello with these extensions and nothing else.
func clientHello(extensions []byte) []byte {
	body := append(unhex("0303"), make([]byte, 32)...)
	body = append(body, unhex("00 0002 1301 01 00")...)
	body = append(wire.AppendU16(body, uint16(len(extensions))), extensions...)
	message := append(wire.AppendU24([]byte{1}, uint32(len(body))), body...)
	return append(wire.AppendU16(unhex("16 0301"), uint16(len(message))), message...)
}

// strongSwan's TLS before 1.3 used ECDH points that are on no curve.
func TestCVE_2026_35332_BadECDHPointIsRefused(t *testing.T) {
	for _, fill := range []byte{0x00, 0xff, 0x04} {
		sc, pc := combination{TypeTLS, InnerNone, tls.VersionTLS12}.configs()
		l := newLink(t, sc, pc)
		changed := false
		l.tap = func(toPeer bool, b []byte) []byte {
			// ClientKeyExchange: a handshake record, type 16, one point.
			at := bytes.Index(b, unhex("10 000021 20"))
			if toPeer || at < 0 {
				return b
			}
			b = bytes.Clone(b)
			for i := range 32 {
				b[at+5+i] = fill
			}
			changed = true
			return b
		}
		l.run()
		if !changed {
			t.Fatal("no ClientKeyExchange was seen")
		}
		f, ok := outcome[Failure](l.serverEvents)
		if !ok || f.Reason != ReasonTLS {
			t.Errorf("%+v", l.serverEvents)
		}
		if _, ok := outcome[Success](l.peerEvents); ok {
			t.Error("the peer succeeded")
		}
	}
}

// pppd (pull requests 625 and 626) freed its state twice when EAP-TLS packets
// came after the end.
func TestPPP625_PacketsAfterTheEndAreDropped(t *testing.T) {
	for _, c := range combinations() {
		sc, pc := c.configs()
		l := newLink(t, sc, pc)
		var seen [][]byte
		l.tap = func(toPeer bool, b []byte) []byte { seen = append(seen, bytes.Clone(b)); return b }
		l.run()
		l.wantSuccess()
		for _, b := range append(seen, Packet{CodeResponse, l.server.id, c.method, []byte{0}}.Append(nil), Packet{CodeRequest, l.peer.id + 1, c.method, []byte{0}}.Append(nil)) {
			var out Out
			l.server.Receive(l.now, b, &out)
			l.peer.Receive(l.now, b, &out)
			if len(out.Send)+len(out.Events)+len(out.Jobs) > 0 {
				t.Errorf("%v: % .20x is answered after the end: %+v", c, b, out)
			}
		}
	}
}

// SoftEther (GHSA-7437-282p-7465) and pppd 626: a malformed acknowledgement
// and then a good one.
func TestGHSA_7437_MalformedThenGoodAcknowledgement(t *testing.T) {
	sc, pc := combination{TypeTLS, InnerNone, tls.VersionTLS12}.configs()
	sc.MTU = MinMTU // the server has many fragments
	l := newLink(t, sc, pc)
	sentBad := false
	l.tap = func(toPeer bool, b []byte) []byte {
		if !toPeer && len(b) == 6 && !sentBad {
			sentBad = true
			l.toServer = append(l.toServer, Packet{CodeResponse, b[1], TypeTLS, unhex("80")}.Append(nil))
		}
		return b
	}
	l.run()
	if !sentBad {
		t.Fatal("there was no acknowledgement")
	}
	l.wantFailure(ReasonProtocol, ReasonRefused)
}

// strongSwan freed an EAP-Identity twice: answers to Identity may repeat.
func TestCVE_2026_47895_RepeatedIdentityIsDropped(t *testing.T) {
	sc, _ := bareMSCHAP.configs()
	m, identity := soloServer(t, sc)
	response := Packet{CodeResponse, identity.Identifier, TypeIdentity, []byte("bob")}
	challenge := m.say(response)
	m.wantNothing(response.Append(nil))
	m.wantNothing(Packet{CodeResponse, challenge.Identifier, TypeIdentity, []byte("eve")}.Append(nil))
	if m.server.claim != "bob" {
		t.Errorf("the claim is now %q", m.server.claim)
	}
}

// Text of the other end reaches records quoted or as a field of its own, never
// as it came inside a sentence (CVE-2023-28771 went through the log).
func TestCVE_2023_28771_PeerTextIsQuoted(t *testing.T) {
	evil := "a\n$(reboot)\x1b[2J\"'`"
	sc, pc := bareMSCHAP.configs()
	pc.User, pc.Password = evil, secret.Bytes("x")
	l := newLink(t, sc, pc)
	l.answer = func(task Task) (any, error) {
		return Account{Identity: "x", NTHash: make(secret.Bytes, 16)}, nil
	}
	l.run()
	f, _ := outcome[Failure](l.serverEvents)
	if strings.ContainsAny(f.Text, "\n\x1b") || !strings.Contains(f.Text, fmt.Sprintf("%q", evil)) {
		t.Errorf("the record says %q", f.Text)
	}
}

func TestCVE_2023_28771_ErrorsOfCertificatesAreQuoted(t *testing.T) {
	evil := "name\n$(reboot)\x1b[2J" + strings.Repeat("x", 10_000)
	sc, pc := combination{method: TypeTLS}.configs()
	own := *sc.TLS
	own.Verify = func([][]byte) (Verified, error) { return Verified{}, errors.New(evil) }
	sc.TLS = &own
	l := newLink(t, sc, pc)
	l.run()
	l.wantFailure(ReasonCertificate, ReasonTLSAlert)
	if f, _ := outcome[Failure](l.serverEvents); strings.ContainsAny(f.Text, "\n\x1b") || len(f.Text) > 2*maxText {
		t.Errorf("the record says %.400q", f.Text)
	}
}
