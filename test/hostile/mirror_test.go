package hostile

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// TestTheClientSurvivesARogueGateway is the mirror: the real client against a
// gateway that forges, mangles and lies.
func TestTheClientSurvivesARogueGateway(t *testing.T) {
	t.Parallel()
	r := newRogue(t)
	on := func(name string, f func(t *testing.T, r *rogue)) {
		t.Run(name, func(t *testing.T) {
			before := *r.w
			r.w = r.w.on(t)
			defer func() { r.w = &before }()
			f(t, r)
		})
	}
	on("AnHonestOneIsBelieved", func(t *testing.T, r *rogue) {
		c := r.meets(plan{})
		r.mustConnect(c)
		r.farewell(c)
	})
	on("ForgedAnswersToTheFirstRequestDoNotSpoilTheTrueOne", forgedInits)
	on("CookiesForEverMakeNoLoop", endlessCookies)
	on("ADowngradedAnswerIsNotTaken", downgrades)
	on("NobodyElseIsTheGateway", impostors)
	on("MalformedIKE_AUTHAnswersEndTheAttempt", malformedAnswers)
	on("AnAnswerThatIsNotWhatWasOfferedMakesNoTunnel", wrongAnswers)
	on("AddressesThatAreNoneAreNotAssigned", badAddresses)
	on("MalformedRequestsEndTheSessionAndNotTheClient", malformedRequests)
	on("AMuteRogueDoesNotHoldTheClient", muteRogue)
}

// mustConnect waits for the tunnel.
func (r *rogue) mustConnect(c *tunnel) {
	r.w.Helper()
	for end := time.Now().Add(15 * time.Second); c.reports.count(`"connected"`) == 0; time.Sleep(5 * time.Millisecond) {
		select {
		case <-c.process.Done():
			r.w.Fatalf("the client gave up:\n%s", lastOf(c.process.Output(), 3000))
		default:
		}
		if time.Now().After(end) {
			r.w.Fatalf("the client does not connect:\n%s", lastOf(c.process.Output(), 3000))
		}
	}
}

// mustRefuse waits until the client has given up: with a reason, without a
// panic, without a tunnel, and with the host as it was.
func (r *rogue) mustRefuse(name string, c *tunnel, patience time.Duration) {
	r.w.Helper()
	defer c.process.Stop()
	if !c.ends(patience) {
		r.w.Errorf("%s: the client neither connects nor gives up in %v:\n%s", name, patience, lastOf(c.process.Output(), 1500))
		return
	}
	r.clean(name, c)
	if c.reports.count(`"connected"`) > 0 {
		r.w.Errorf("%s: the client was connected:\n%s", name, lastOf(c.process.Output(), 1500))
	}
	if c.reports.count("sallyport: error:") == 0 && c.reports.count("refused") == 0 {
		r.w.Errorf("%s: the client does not say why:\n%s", name, lastOf(c.process.Output(), 1500))
	}
}

// clean is what holds however an attempt ended.
func (r *rogue) clean(name string, c *tunnel) {
	r.w.Helper()
	if out := c.process.Output(); strings.Contains(out, "panic") || strings.Contains(out, "goroutine ") {
		r.w.Errorf("%s: a panic:\n%s", name, lastOf(out, 4000))
	}
	if out, err := r.w.lab.At("friend").Run(context.Background(), "ip", "route", "get", inside4.String()); err == nil && strings.Contains(out, "sallyport") {
		r.w.Errorf("%s: a route into the tunnel is left: %s", name, out)
	}
}

func (r *rogue) farewell(c *tunnel) {
	r.w.Helper()
	c.process.Stop()
	r.clean("after its end", c)
}

// unprotected is one payload from the rogue's SPI, in an IKE_SA_INIT answer.
func unprotected(request *ikemsg.Message, spiR ikemsg.SPI, ps ...ikemsg.Payload) []byte {
	m := ikemsg.Message{Header: ikemsg.Header{
		SPIi: request.Header.SPIi, SPIr: spiR, Major: 2, Exchange: ikemsg.ExchangeIKESAInit, Flags: ikemsg.FlagResponse,
	}, Payloads: ps}
	b, err := m.Append(nil)
	if err != nil {
		panic(err)
	}
	return b
}

func forgedInits(t *testing.T, r *rogue) {
	c := r.meets(plan{forge: func(r *rogue, n int, request *ikemsg.Message) [][]byte {
		if n > 1 {
			return nil
		}
		honest, sa, _, _, ok := r.honestInit(request)
		if !ok {
			return nil
		}
		whole := unprotected(request, sa.spiR, honest...)
		forged := [][]byte{{}, {0}, octets(28), octets(500), bytes.Repeat([]byte{0xff}, 900)}
		for n := 0; n < len(whole); n += 7 {
			cut := bytes.Clone(whole[:n])
			forged = append(forged, whole[:n])
			if n >= ikemsg.HeaderLen {
				binary.BigEndian.PutUint32(cut[24:], uint32(n))
				forged = append(forged, cut)
			}
			flipped := bytes.Clone(whole)
			flipped[16+n%(len(whole)-16)] ^= 0x80
			if n < 12 {
				forged = append(forged, flipped)
			}
		}
		with := func(t ikemsg.PayloadType, by ...ikemsg.Payload) []byte {
			var ps []ikemsg.Payload
			for _, one := range honest {
				if one.PayloadType() == t {
					ps = append(ps, by...)
				} else {
					ps = append(ps, one)
				}
			}
			return unprotected(request, sa.spiR, ps...)
		}
		return append(forged,
			with(ikemsg.PayloadKE, &ikemsg.KE{Group: 19, Data: octets(64)}),
			with(ikemsg.PayloadKE, &ikemsg.KE{Group: 19, Data: make([]byte, 64)}),
			with(ikemsg.PayloadKE, &ikemsg.KE{Group: 19, Data: octets(2000)}),
			with(ikemsg.PayloadKE, &ikemsg.KE{Group: 2, Data: octets(128)}),
			with(ikemsg.PayloadKE), with(ikemsg.PayloadNonce),
			with(ikemsg.PayloadNonce, &ikemsg.Unknown{Type: ikemsg.PayloadNonce, Body: octets(300)}),
			with(ikemsg.PayloadSA, &ikemsg.SA{Proposals: slices.Repeat(honest[0].(*ikemsg.SA).Proposals, 3)}),
			with(ikemsg.PayloadSA, saPayload(proposal(suite.ProtocolIKE, "aes128gcm16-prfsha256-ecp256"), nil, false)),
			unprotected(request, 0, honest...),
			unprotected(request, sa.spiR, append(slices.Clone(honest), &ikemsg.Unknown{Type: 222, Critical: true})...),
			unprotected(request, 0, &ikemsg.Notify{Type: ikemsg.NotifyInvalidKEPayload, Data: []byte{0, 2}}),
			unprotected(request, 0, &ikemsg.Notify{Type: ikemsg.NotifyInvalidKEPayload, Data: []byte{0, 19}}),
			unprotected(request, 0, &ikemsg.Notify{Type: ikemsg.NotifyInvalidKEPayload}),
			unprotected(request, 0, &ikemsg.Notify{Type: ikemsg.NotifyCookie}),
			unprotected(request, 0, &ikemsg.Notify{Type: ikemsg.NotifyCookie, Data: octets(65)}),
			unprotected(request, 0, &ikemsg.Notify{Type: ikemsg.NotifyInvalidMajorVersion, Data: []byte{1}}),
			unprotected(request, 0, &ikemsg.Notify{Type: 1234, Data: octets(1000)}),
		)
	}})
	r.mustConnect(c) // the true answer goes to the client's next copy
	r.farewell(c)
}

func endlessCookies(t *testing.T, r *rogue) {
	const until = 12
	c := r.meets(plan{forge: func(r *rogue, n int, request *ikemsg.Message) [][]byte {
		if n > until {
			return nil
		}
		return [][]byte{unprotected(request, 0, &ikemsg.Notify{Type: ikemsg.NotifyCookie, Data: octets(32)})}
	}})
	time.Sleep(700 * time.Millisecond)
	r.mu.Lock()
	n := r.inits
	r.mu.Unlock()
	if n > 8 {
		t.Errorf("the client sent %d requests in 700 ms to a gateway that only gives cookies", n)
	}
	c.process.Stop()
	r.clean("cookies", c)
}

func downgrades(t *testing.T, r *rogue) {
	weak := saPayload(suite.Proposal{Protocol: suite.ProtocolIKE, Transforms: []suite.Transform{
		{Type: suite.Encr, ID: 3}, {Type: suite.PRF, ID: 2}, {Type: suite.Integ, ID: 2}, {Type: suite.KE, ID: 2},
	}}, nil, false)
	c := r.meets(plan{init: func(r *rogue, ps []ikemsg.Payload) []ikemsg.Payload {
		ps[0] = weak
		return ps
	}})
	time.Sleep(500 * time.Millisecond)
	r.mu.Lock()
	auths := r.auths
	r.mu.Unlock()
	if auths > 0 || c.reports.count(`"connected"`) > 0 {
		t.Error("the client went on with what it never offered")
	}
	c.process.Stop()
	r.clean("downgrade", c)
}

func impostors(t *testing.T, r *rogue) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.w.must(err)
	stranger := r.w.newAuthority("Rogue CA", nil, nil)
	swap := func(t ikemsg.PayloadType, by func(r *rogue) []ikemsg.Payload) func(*rogue, []ikemsg.Payload) []ikemsg.Payload {
		return func(r *rogue, ps []ikemsg.Payload) (out []ikemsg.Payload) {
			for _, one := range ps {
				if one.PayloadType() == t {
					out = append(out, by(r)...)
				} else {
					out = append(out, one)
				}
			}
			return out
		}
	}
	cert := func(der []byte) func(*rogue) []ikemsg.Payload {
		return func(*rogue) []ikemsg.Payload {
			return []ikemsg.Payload{&ikemsg.Cert{Encoding: ikemsg.CertX509Signature, Data: der}}
		}
	}
	nothing := func(*rogue) []ikemsg.Payload { return nil }
	auth := func(m ikemsg.AuthMethod, data []byte) func(*rogue) []ikemsg.Payload {
		return func(*rogue) []ikemsg.Payload { return []ikemsg.Payload{&ikemsg.Auth{Method: m, Data: data}} }
	}
	idr := func(kind ikemsg.IDType, name string) func(*rogue) []ikemsg.Payload {
		return func(*rogue) []ikemsg.Payload {
			return []ikemsg.Payload{&ikemsg.ID{Responder: true, Kind: kind, Data: []byte(name)}}
		}
	}
	for _, c := range []struct {
		name string
		auth func(*rogue, []ikemsg.Payload) []ikemsg.Payload
	}{
		{"AUTH by another key", swap(ikemsg.PayloadAuth, func(r *rogue) []ikemsg.Payload {
			return []ikemsg.Payload{r.sign(other, &ikemsg.ID{Responder: true, Kind: ikemsg.IDFQDN, Data: []byte(gatewayName)})}
		})},
		{"no AUTH", swap(ikemsg.PayloadAuth, nothing)},
		{"an empty AUTH", swap(ikemsg.PayloadAuth, auth(14, nil))},
		{"the null method", swap(ikemsg.PayloadAuth, auth(13, nil))},
		{"the client's own AUTH sent back", swap(ikemsg.PayloadAuth, func(r *rogue) []ikemsg.Payload { return []ikemsg.Payload{r.clientAuth} })},
		{"no IDr", swap(ikemsg.PayloadIDr, nothing)},
		{"another IDr", swap(ikemsg.PayloadIDr, idr(ikemsg.IDFQDN, "other.example.org"))},
		{"an IDr of another kind", swap(ikemsg.PayloadIDr, idr(ikemsg.IDKeyID, gatewayName))},
		{"an IDr of 2000 octets", swap(ikemsg.PayloadIDr, idr(ikemsg.IDFQDN, strings.Repeat("x", 2000)))},
		{"no certificate", swap(ikemsg.PayloadCert, nothing)},
		{"a certificate of noise", swap(ikemsg.PayloadCert, cert(octets(700)))},
		{"a certificate of a stranger", swap(ikemsg.PayloadCert, cert(stranger.issue(gatewayName, r.key.Public(), server)))},
		{"CVE_2015_4171_a certificate of another name", swap(ikemsg.PayloadCert, cert(r.ca.issue("other.example.org", r.key.Public(), server)))},
		{"a certificate of a client", swap(ikemsg.PayloadCert, cert(r.ca.issue(gatewayName, r.key.Public(), nil)))},
		{"the client's own certificate", swap(ikemsg.PayloadCert, func(r *rogue) []ikemsg.Payload { return []ikemsg.Payload{r.clientCert[0]} })},
		{"an RSA key with exponent 0", swap(ikemsg.PayloadCert, func(r *rogue) []ikemsg.Payload {
			return cert(r.ca.forge(gatewayName, func(t *tbs) { t.PublicKey = r.ca.rsaKey(modp3072(), new(big.Int)) }))(r)
		})},
		{"a refusal", func(*rogue, []ikemsg.Payload) []ikemsg.Payload {
			return []ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifyAuthenticationFailed, Data: []byte("\x1b[31mrun `reboot`\n")}}
		}},
		{"nothing", func(*rogue, []ikemsg.Payload) []ikemsg.Payload { return nil }},
		{"CVE_2021_45079_an early EAP success", func(*rogue, []ikemsg.Payload) []ikemsg.Payload {
			return []ikemsg.Payload{&ikemsg.EAP{Packet: []byte{3, 1, 0, 4}}}
		}},
	} {
		r.mustRefuse(c.name, r.meets(plan{auth: c.auth}), 8*time.Second)
	}
}

func malformedAnswers(t *testing.T, r *rogue) {
	seeded := mrand.New(mrand.NewPCG(7, 7))
	for n, p := range samples(r.w) {
		bodies := spoilt(p, seeded)
		how := []string{"its last octet missing", "a length of 65535", "a body of ones", "flips", "itself 300 times"}[n%5]
		r.mustRefuse(fmt.Sprintf("%v with %s", p.PayloadType(), how), r.meets(plan{body: func(*rogue) (ikemsg.PayloadType, []byte) {
			return p.PayloadType(), bodies[how]
		}}), 8*time.Second)
	}
}

func wrongAnswers(t *testing.T, r *rogue) {
	selectors := func(responder bool, prefix string) func(*rogue, []ikemsg.Payload) []ikemsg.Payload {
		return func(_ *rogue, ps []ikemsg.Payload) []ikemsg.Payload {
			for _, one := range ps {
				if ts, ok := one.(*ikemsg.TS); ok && ts.Responder == responder {
					ts.Selectors = []ikemsg.TrafficSelector{ikemsg.PrefixSelector(netip.MustParsePrefix(prefix))}
				}
			}
			return ps
		}
	}
	child := func(change func(*ikemsg.Proposal)) func(*rogue, []ikemsg.Payload) []ikemsg.Payload {
		return func(_ *rogue, ps []ikemsg.Payload) []ikemsg.Payload {
			sa, _ := ikemsg.Find[*ikemsg.SA](ps)
			change(&sa.Proposals[0])
			return ps
		}
	}
	for _, c := range []struct {
		name string
		auth func(*rogue, []ikemsg.Payload) []ikemsg.Payload
	}{
		{"TSr wider than asked for", selectors(true, "0.0.0.0/0")},
		{"TSr of another network", selectors(true, "192.0.2.0/24")},
		{"a reserved SPI", child(func(p *ikemsg.Proposal) { p.SPI = []byte{0, 0, 0, 9} })},
		{"a suite that was not offered", child(func(p *ikemsg.Proposal) { p.Transforms[0].Transform = suite.Transform{Type: suite.Encr, ID: 11} })},
		{"two ciphers", child(func(p *ikemsg.Proposal) { p.Transforms = append(p.Transforms, p.Transforms[0]) })},
		{"AH", child(func(p *ikemsg.Proposal) { p.Protocol = ikemsg.ProtoAH })},
		{"TS_UNACCEPTABLE", func(_ *rogue, ps []ikemsg.Payload) []ikemsg.Payload {
			return append(ps, &ikemsg.Notify{Type: ikemsg.NotifyTSUnacceptable})
		}},
		{"an unknown critical payload", func(_ *rogue, ps []ikemsg.Payload) []ikemsg.Payload {
			return append(ps, &ikemsg.Unknown{Type: 230, Critical: true})
		}},
	} {
		r.mustRefuse(c.name, r.meets(plan{auth: c.auth}), 8*time.Second)
	}
}

// badAddresses come from a gateway that has proved itself: it may choose the
// address, but not the host's own or one that is none.
func badAddresses(t *testing.T, r *rogue) {
	for _, bad := range []string{"127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"} {
		c := r.meets(plan{auth: func(_ *rogue, ps []ikemsg.Payload) []ikemsg.Payload {
			a := netip.MustParseAddr(bad)
			for _, one := range ps {
				switch one := one.(type) {
				case *ikemsg.CP:
					one.Attributes = []ikemsg.CPAttribute{{Type: ikemsg.InternalIP4Address, Value: a.AsSlice()}}
				case *ikemsg.TS:
					if !one.Responder {
						one.Selectors = []ikemsg.TrafficSelector{ikemsg.PrefixSelector(netip.PrefixFrom(a, 32))}
					}
				}
			}
			return ps
		}})
		for end := time.Now().Add(8 * time.Second); c.reports.count(`"connected"`) == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if c.ends(0) {
				break
			}
		}
		addrs, err := r.w.lab.At("friend").Addrs("sallyport")
		if err == nil && slices.ContainsFunc(addrs, func(p netip.Prefix) bool { return p.Addr().String() == bad }) {
			t.Errorf("the tunnel device has the address %s", bad)
		}
		r.farewell(c)
	}
	garbage := []ikemsg.CPAttribute{{Type: ikemsg.InternalIP4Address, Value: []byte{10, 60, 0, 9}}}
	for n := range 200 {
		garbage = append(garbage, ikemsg.CPAttribute{Type: ikemsg.InternalIP4DNS, Value: octets(n % 7)},
			ikemsg.CPAttribute{Type: ikemsg.InternalDNSDomain, Value: []byte("evil.example\n nameserver 203.0.113.66\x00$(reboot)")})
	}
	c := r.meets(plan{auth: func(_ *rogue, ps []ikemsg.Payload) []ikemsg.Payload {
		cp, _ := ikemsg.Find[*ikemsg.CP](ps)
		cp.Attributes = garbage[:250]
		return ps
	}})
	r.mustConnect(c)
	if out := c.process.Output(); strings.Contains(out, "reboot") || strings.Contains(out, "nameserver") {
		t.Errorf("a domain of garbage was taken:\n%s", out)
	}
	r.farewell(c)
}

func malformedRequests(t *testing.T, r *rogue) {
	seeded := mrand.New(mrand.NewPCG(9, 9))
	list := samples(r.w)
	for n := range 6 {
		p := list[mrand.IntN(len(list))]
		x := []ikemsg.ExchangeType{ikemsg.ExchangeInformational, ikemsg.ExchangeCreateChildSA}[n%2]
		body := spoilt(p, seeded)["its last octet missing"]
		c := r.meets(plan{})
		r.mustConnect(c)
		ps, err := r.asks(x, p.PayloadType(), body)
		if err != nil {
			t.Errorf("%v cut short in %v: %v", p.PayloadType(), x, err)
		} else if notified(ps) != ikemsg.NotifyInvalidSyntax {
			t.Errorf("%v cut short in %v: answered by %v", p.PayloadType(), x, ps)
		}
		if !c.ends(8 * time.Second) {
			t.Errorf("%v: the client stays in a broken session", p.PayloadType())
		}
		r.farewell(c)
	}
	c := r.meets(plan{}) // what is only odd leaves the session alone
	r.mustConnect(c)
	r.mu.Lock()
	own := r.child.spiIn
	r.mu.Unlock()
	for _, ps := range [][]ikemsg.Payload{
		nil,
		{&ikemsg.Delete{Protocol: ikemsg.ProtoESP, SPIs: []uint32{1, 2, 3, 0xffffffff}}},
		{&ikemsg.Delete{Protocol: ikemsg.ProtoAH, SPIs: []uint32{own}}},
		{&ikemsg.Notify{Type: ikemsg.NotifyUpdateSAAddresses}, &ikemsg.Notify{Type: ikemsg.NotifyNATDetectionSourceIP, Data: octets(20)}},
		{&ikemsg.Notify{Type: ikemsg.NotifyCookie2, Data: octets(2000)}},
		{&ikemsg.Notify{Type: ikemsg.NotifyAuthLifetime, Data: octets(3)}},
		{&ikemsg.Notify{Type: ikemsg.NotifySetWindowSize, Data: []byte{0xff, 0xff, 0xff, 0xff}}},
		{&ikemsg.CP{Kind: ikemsg.CPSet, Attributes: []ikemsg.CPAttribute{{Type: ikemsg.InternalIP4Address, Value: []byte{127, 0, 0, 1}}}}},
	} {
		plain, err := ikemsg.AppendPayloads(nil, ps)
		r.w.must(err)
		if _, err := r.asks(ikemsg.ExchangeInformational, ikemsg.FirstType(ps), plain); err != nil {
			t.Errorf("%v: %v", ps, err)
		}
	}
	if c.ends(200 * time.Millisecond) {
		t.Errorf("the client gave up over harmless oddities:\n%s", lastOf(c.process.Output(), 2000))
	}
	r.farewell(c)
}

func muteRogue(t *testing.T, r *rogue) {
	r.mustRefuse("no AUTH and then silence", r.meets(plan{mute: true, auth: func(_ *rogue, ps []ikemsg.Payload) []ikemsg.Payload {
		return slices.DeleteFunc(ps, func(p ikemsg.Payload) bool { return p.PayloadType() == ikemsg.PayloadAuth })
	}}), 15*time.Second)
}
