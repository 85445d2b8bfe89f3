package ppp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	cryptotls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/eap"
	"sallyport/protocol/eap/mschapv2"
	"sallyport/protocol/ppp/pppmsg"
)

// The real machines of package eap behind the EAP job, as the runtime has them.

const (
	vpnName  = "vpn.example.org"
	userName = "alice@example.org"
	password = "correct horse battery staple"
)

type credentials struct {
	roots          *x509.CertPool
	server, client cryptotls.Certificate
}

var theCredentials = sync.OnceValue(func() credentials {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	}
	root := template(1, "Test CA")
	root.IsCA, root.KeyUsage, root.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
	ca := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, root, root, key.Public(), key))))
	issue := func(serial int64, name string) cryptotls.Certificate {
		k := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		return cryptotls.Certificate{Certificate: [][]byte{must(x509.CreateCertificate(rand.Reader, template(serial, name), ca, k.Public(), key))}, PrivateKey: crypto.Signer(k)}
	}
	c := credentials{roots: x509.NewCertPool(), server: issue(2, vpnName), client: issue(3, "alice.example.org")}
	c.roots.AddCert(ca)
	return c
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (c credentials) verify(chain [][]byte) (eap.Verified, error) {
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return eap.Verified{}, err
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: c.roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return eap.Verified{Identity: leaf.Subject.CommonName}, err
}

// machine is what the two ends of package eap have in common.
type machine interface {
	Receive(now time.Time, packet []byte, out *eap.Out)
	Done(now time.Time, r eap.Result, out *eap.Out)
}

// realEAP is an end of package eap behind the EAP job.
type realEAP struct {
	machine
	start func(out *eap.Out)
	msk   secret.Bytes
}

func realServer(offer eap.Offer) *realEAP {
	c := theCredentials()
	r := &realEAP{}
	r.start = func(out *eap.Out) {
		s := must(eap.NewServer(&eap.ServerConfig{Offers: []eap.Offer{offer}, TLS: &eap.TLS{Certificates: []cryptotls.Certificate{c.server}, Verify: c.verify}}))
		r.machine = s
		s.Start(begin, out)
	}
	return r
}

func realClient(offer eap.Offer) *realEAP {
	c := theCredentials()
	p := must(eap.NewPeer(&eap.PeerConfig{Identity: userName, Offers: []eap.Offer{offer}, Password: secret.Bytes(password),
		TLS: &eap.TLS{Certificates: []cryptotls.Certificate{c.client}, Verify: c.verify}}))
	p.Start(begin)
	return &realEAP{machine: p}
}

// step is the seam that a runtime needs between the two packages.
func (r *realEAP) step(t EAP) (EAPStep, error) {
	var out eap.Out
	if t.Packet == nil {
		r.start(&out)
	} else {
		r.Receive(begin, t.Packet, &out)
	}
	for len(out.Jobs) > 0 {
		j := out.Jobs[0]
		out.Jobs = nil
		v, err := backend(j.Task)
		r.Done(begin, eap.Result{ID: j.ID, Value: v, Err: err}, &out)
	}
	var s EAPStep
	if len(out.Send) > 0 {
		s.Packet = out.Send[len(out.Send)-1]
	}
	for _, e := range out.Events {
		switch e := e.(type) {
		case eap.Success:
			s.Success, s.Value, r.msk = true, e.Identity, e.MSK
		case eap.Failure:
			s.Failure = &Refusal{Reason: e.Reason.String() + ": " + e.Text, Hint: e.Hint}
		}
	}
	return s, nil
}

func backend(t eap.Task) (any, error) {
	switch t := t.(type) {
	case *eap.Handshake:
		return t.Run()
	case eap.LookupPassword:
		hash, err := mschapv2.NTHash(secret.Bytes(password))
		return eap.Account{Identity: "alice@directory", NTHash: hash}, err
	}
	return nil, errors.New("unknown task")
}

func TestRealLogins(t *testing.T) {
	for _, c := range []struct {
		name     string
		offer    eap.Offer
		identity string
	}{
		{"EAP-TLS", eap.Offer{Method: eap.TypeTLS}, "alice.example.org"},
		{"PEAP with EAP-MSCHAPv2", eap.Offer{Method: eap.TypePEAP, Inner: []eap.Inner{eap.InnerEAPMSCHAPv2}}, "alice@directory"},
	} {
		for _, loss := range []float64{0, 0.2} {
			t.Run(c.name, func(t *testing.T) {
				w := newWorld(t, 11)
				w.net.Link.Loss = loss
				server, client := realServer(c.offer), realClient(c.offer)
				w.server.eap, w.client.eap = server.step, client.step
				w.connect(3 * time.Minute)
				w.wantUp(true, true)
				i := slices.IndexFunc(w.server.events, func(e Event) bool { return e == Authenticated{Value: c.identity} })
				if i < 0 || len(server.msk) != 64 || !server.msk.Equal(client.msk) {
					t.Errorf("%+v, keys of %d octets", w.server.events, len(server.msk))
				}
			})
		}
	}
}

func TestALoginWithAnUntrustedServerFails(t *testing.T) {
	w := newWorld(t, 1)
	offer := eap.Offer{Method: eap.TypeTLS}
	c := theCredentials()
	p := must(eap.NewPeer(&eap.PeerConfig{Identity: userName, Offers: []eap.Offer{offer},
		TLS: &eap.TLS{Certificates: []cryptotls.Certificate{c.client}, Verify: credentials{roots: x509.NewCertPool()}.verify}}))
	p.Start(begin)
	w.server.eap, w.client.eap = realServer(offer).step, (&realEAP{machine: p}).step
	w.connect(3 * time.Minute)
	for _, e := range []*end{w.server, w.client} {
		if e.down == nil || len(e.refused) != 1 || e.logins != 0 {
			t.Errorf("%+v, down as %+v", e.refused, e.down)
		}
	}
}

// pry is a script whose conversation is a real server of EAP-TLS, and which has
// come to its Start.
func pry(t *testing.T) *script {
	t.Helper()
	s := newScript(t)
	s.eap = realServer(eap.Offer{Method: eap.TypeTLS}).step
	s.openLCP("0506 11223344")
	s.respond(1, []byte(userName))
	if id, kind, data := s.request(); id == 0 || kind != 13 || len(data) != 1 || data[0] != 0x20 {
		t.Fatalf("EAP-TLS did not start: %d %x", kind, data)
	}
	s.frames()
	return s
}

// request is the last EAP packet of the link.
func (s *script) request() (id, kind uint8, data []byte) {
	for _, frame := range s.sent {
		if f, _ := pppmsg.ParseFrame(frame); f.Protocol == pppmsg.EAP {
			if p, _ := pppmsg.ParseEAP(f.Data); p.Code == pppmsg.EAPRequest {
				id, kind, data = p.Identifier, p.Data[0], p.Data[1:]
			}
		}
	}
	return id, kind, data
}

// respond answers the last request.
func (s *script) respond(kind uint8, data []byte) {
	id, _, _ := s.request()
	s.receive(pppmsg.Frame{Protocol: pppmsg.EAP, Data: pppmsg.EAPPacket{Code: pppmsg.EAPResponse, Identifier: id, Data: append([]byte{kind}, data...)}.Append(nil)}.Append(nil))
}

// wantNothingWon checks that no login came of it, and that the link ends.
func (s *script) wantNothingWon() {
	s.t.Helper()
	s.wait(3 * time.Minute)
	if s.logins != 0 || s.up != nil || s.down == nil {
		s.t.Errorf("%d logins, down as %+v", s.logins, s.down)
	}
}

// The name of an EAP-MD5 response was copied into 256 octets of stack, even if
// the server had not asked for MD5.
func TestCVE_2020_8597_LongNamesInEAPMD5(t *testing.T) {
	s := pry(t)
	s.respond(4, append([]byte{16}, make([]byte, 16+1400)...))
	s.want("it is no answer to what was asked")
	s.wantNothingWon()
}

// Short EAP-TLS packets made a length wrap, and were taken for success.
func TestCVE_2018_11574_ShortEAPTLS(t *testing.T) {
	for _, data := range [][]byte{{}, {0x80}, {0x80, 0}, {0x80, 0, 0, 0}, {0xc0, 0, 0, 0}, {0}, {0x40}} {
		s := pry(t)
		s.respond(13, data)
		s.wantNothingWon()
	}
}

// A huge TLS Message Length ended the process.
func TestCVE_2026_39312_HugeTLSMessageLength(t *testing.T) {
	for _, length := range []uint32{1 << 17, 1 << 24, 0x7fffffff, 0xffffffff} {
		s := pry(t)
		s.respond(13, append(binary.BigEndian.AppendUint32([]byte{0xc0}, length), make([]byte, 100)...))
		s.wantNothingWon()
	}
}

// A PEAP client answered into a buffer that its server could make too small.
func TestCVE_2026_75883_AClientsAnswersAreBounded(t *testing.T) {
	w := newWorld(t, 1)
	offer := eap.Offer{Method: eap.TypePEAP, Inner: []eap.Inner{eap.InnerEAPMSCHAPv2}}
	w.server.eap, w.client.eap = realServer(offer).step, realClient(offer).step
	w.server.cfg.MRU = 1200
	longest := 0
	w.mangle = func(_ *end, frame []byte) [][]byte { longest = max(longest, len(frame)); return [][]byte{frame} }
	w.connect(time.Minute)
	w.wantUp(true, true)
	if longest > 1204 || longest < 500 {
		t.Errorf("a frame of %d octets", longest)
	}
}

// One acknowledgement more than EAP-TLS has, after Success, was a use after free
// in pppd (pull requests 625 and 626) and in SoftEther.
func TestCVE_PPPPullRequest625_ExtraAckAfterSuccess(t *testing.T) {
	s := newScript(t)
	s.openLCP("0506 11223344")
	s.login()
	jobs := s.jobs
	s.frames()
	for range 3 {
		s.answerEAP() // the last response again
	}
	s.want("Success is said again, since it may be lost", "EAP-Success", "EAP-Success", "EAP-Success")
	s.receive(octets("ff03 c227 02 aa 0006 0d00"))
	s.receive(octets("ff03 c227 01 aa 0006 0d00"))
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 1, "0306 0a460009")
	s.frames()
	s.answerEAP()
	s.want("the conversation is over")
	if s.jobs != jobs || s.logins != 1 {
		t.Errorf("%d jobs and %d logins more", s.jobs-jobs, s.logins-1)
	}
}

// A malformed acknowledgement and then a good one released a session twice.
func TestCVE_GHSA_7437_MalformedThenGoodAck(t *testing.T) {
	s := newScript(t)
	s.openLCP("0506 11223344")
	s.receive(octets("ff03 c227 02 28 0003"))
	s.receive(octets("ff03 c227 02 28 ffff 0d00"))
	s.login()
	s.openIPCP()
}

// Success before any method is nobody's word.
func TestCVE_2021_45079_EarlySuccess(t *testing.T) {
	w := newWorld(t, 1)
	w.client.eap = realClient(eap.Offer{Method: eap.TypeTLS}).step
	w.server.eap = func(EAP) (EAPStep, error) {
		return EAPStep{Packet: pppmsg.EAPPacket{Code: pppmsg.EAPSuccess, Identifier: 1}.Append(nil), Success: true}, nil
	}
	w.connect(3 * time.Minute)
	if w.client.up != nil || w.client.logins != 0 || len(w.client.refused) != 1 {
		t.Errorf("%+v", w.client.events)
	}
}

// A peer that leaves between authentication and addresses crashed accel-ppp.
func TestCVE_2021_42054_PeerLeavesRightAfterAuthentication(t *testing.T) {
	s, finish := assigning(t)
	s.packet(pppmsg.LCP, pppmsg.TerminateRequest, 9, "")
	finish() // the addresses come when nobody is there
	if s.up != nil || s.link.ipcp.state != initial {
		t.Errorf("the network is in %v", s.link.ipcp.state)
	}
	s.wait(10 * time.Second)
	if s.down == nil || !s.down.ByPeer {
		t.Errorf("down as %+v", s.down)
	}
}

// LCP loops: requests without end, answers to answers.
func TestCVE_LCPLoops(t *testing.T) {
	for what, say := range map[string]func(s *script){
		"requests that can only be rejected": func(s *script) { s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 1, "0d0306") },
		"requests that get a Nak":            func(s *script) { s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 1, "0104 0001") },
		"rejects of nothing": func(s *script) {
			s.packet(pppmsg.LCP, pppmsg.ConfigureReject, s.link.lcp.id, "")
		},
		"acks of nothing":     func(s *script) { s.packet(pppmsg.LCP, pppmsg.ConfigureAck, s.link.lcp.id, "") },
		"what we say ourself": func(s *script) { s.receive(s.sent[len(s.sent)-1]) },
		"terminate acks":      func(s *script) { s.packet(pppmsg.LCP, pppmsg.TerminateAck, 1, "") },
	} {
		s := newScript(t)
		for range 10_000 {
			say(s)
		}
		if len(s.sent) > 2*maxTurns+4 {
			t.Errorf("%s: %d frames were sent", what, len(s.sent))
		}
		s.wait(2 * time.Minute)
		if s.down == nil {
			t.Errorf("%s: the link lives", what)
		}
	}
}

// A flood is answered one for one at most, and with little more than it brought.
func TestCVE_LCPFloods(t *testing.T) {
	for what, frame := range map[string]string{
		"echoes":             "ff03 c021 09 01 000c 11223344 00000000",
		"answers to echoes":  "ff03 c021 0a 01 0008 11223344",
		"unknown codes":      "ff03 c021 0e 01 0008 11223344",
		"rejects of echoes":  "ff03 c021 07 01 0008 09010008",
		"rejects of nothing": "ff03 c021 08 01 0008 80fd0101",
		"terminate acks":     "ff03 8021 06 01 0004",
	} {
		s := ready(t)
		s.openIPCP()
		const n = 10_000
		octetsIn, octetsOut := n*len(octets(frame)), 0
		for range n {
			s.say(frame)
		}
		answers := s.sent[s.read:]
		for _, b := range answers {
			octetsOut += len(b)
		}
		if len(answers) > n || octetsOut > 2*octetsIn {
			t.Errorf("%s: %d frames of %d octets answer %d of %d", what, len(answers), octetsOut, n, octetsIn)
		}
	}
}

// What the peer says reaches the log, which somebody's shell may read: it is
// quoted, and cut.
func TestCVE_2023_28771_PeerTextIsQuoted(t *testing.T) {
	s := ready(t)
	s.openIPCP()
	s.receive(pppmsg.Frame{Protocol: pppmsg.LCP, Data: pppmsg.Packet{
		Code: pppmsg.TerminateRequest, Identifier: 1, Data: []byte("\x1b]0;$(reboot)\n" + strings.Repeat("x", 1000)),
	}.Append(nil)}.Append(nil))
	s.wait(10 * time.Second)
	if s.down == nil || !strings.HasPrefix(s.down.Reason, `the peer hung up: "\x1b]0;$(reboot)\nxxx`) || len(s.down.Reason) > maxText+40 {
		t.Errorf("down as %+v", s.down)
	}
}

func TestALoopedLinkIsFound(t *testing.T) {
	s := newScript(t)
	for i := 0; i < len(s.sent) && i < 1000; i++ {
		s.receive(s.sent[i])
	}
	s.wait(time.Minute)
	if s.down == nil || len(s.sent) > 100 || !strings.HasPrefix(s.down.Reason, "our own packets come back") {
		t.Errorf("down as %+v after %d frames", s.down, len(s.sent))
	}
}
