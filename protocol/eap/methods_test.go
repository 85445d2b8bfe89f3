package eap

import (
	"crypto/tls"
	"math/rand/v2"
	"testing"
	"time"

	"sallyport/internal/secret"
)

// combination is a method with what is inside, and its TLS version.
type combination struct {
	method  Type
	inner   Inner
	version uint16
}

func (c combination) String() string {
	s := c.method.String()
	if c.inner != InnerNone {
		s += "/" + c.inner.String()
	}
	if c.version != 0 {
		s += " over " + tls.VersionName(c.version)
	}
	return s
}

// combinations is everything we speak.
func combinations() []combination {
	list := []combination{{method: TypeMSCHAPv2}}
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		list = append(list, combination{TypeTLS, InnerNone, v},
			combination{TypePEAP, InnerEAPTLS, v}, combination{TypePEAP, InnerEAPMSCHAPv2, v},
			combination{TypeTTLS, InnerEAPTLS, v}, combination{TypeTTLS, InnerEAPMSCHAPv2, v},
			combination{TypeTTLS, InnerMSCHAPv2, v}, combination{TypeTTLS, InnerPAP, v})
	}
	return list
}

func (c combination) offers() []Offer {
	o := Offer{Method: c.method}
	if c.inner != InnerNone {
		o.Inner = []Inner{c.inner}
	}
	return []Offer{o}
}

func (c combination) byPassword() bool {
	return c.method == TypeMSCHAPv2 || c.inner == InnerEAPMSCHAPv2 || c.inner == InnerMSCHAPv2 || c.inner == InnerPAP
}

// configs are the two ends' usual settings.
func (c combination) configs() (*ServerConfig, *PeerConfig) {
	p := thePKI()
	return &ServerConfig{Offers: c.offers(), TLS: p.serverTLS(c.version), Name: "sallyport", BareMSCHAPv2: c.method == TypeMSCHAPv2},
		&PeerConfig{Identity: "anonymous@example.org", Offers: c.offers(), TLS: p.peerTLS(0), BareMSCHAPv2: c.method == TypeMSCHAPv2,
			User: testUser, Password: secret.Bytes(testPassword)}
}

func (c combination) identity() string {
	if c.byPassword() {
		return "bob@directory"
	}
	return clientName
}

func (c combination) check(t *testing.T, l *link) {
	t.Helper()
	s, p := l.wantSuccess()
	if s.TLS != c.version && c.method != TypeMSCHAPv2 || s.Method != c.method || s.Inner != c.inner {
		t.Errorf("server reports %v/%v over %x", s.Method, s.Inner, s.TLS)
	}
	if s.Identity != c.identity() || s.Claim != "anonymous@example.org" {
		t.Errorf("server sees %q claiming %q", s.Identity, s.Claim)
	}
	if c.method != TypeMSCHAPv2 && p.Identity != serverName {
		t.Errorf("peer sees the server as %q", p.Identity)
	}
	if (s.Chain != nil) == c.byPassword() {
		t.Errorf("a chain of %d certificates", len(s.Chain))
	}
}

func TestEveryMethodAndInnerMethod(t *testing.T) {
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			sc, pc := c.configs()
			l := newLink(t, sc, pc)
			l.run()
			c.check(t, l)
			t.Logf("%d packets", l.packets)
		})
	}
}

func TestEveryMethodInSmallFragments(t *testing.T) {
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			sc, pc := c.configs()
			sc.MTU, pc.MTU = MinMTU, MinMTU
			l := newLink(t, sc, pc)
			l.tap = func(_ bool, b []byte) []byte {
				if len(b) > MinMTU {
					t.Errorf("a packet of %d octets", len(b))
				}
				return b
			}
			l.run()
			c.check(t, l)
		})
	}
}

func TestEveryMethodOverALossyLink(t *testing.T) {
	const seeds = 40
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			done := 0
			for seed := range uint64(seeds) {
				sc, pc := c.configs()
				sc.Retransmit = 100 * time.Millisecond
				l := newLink(t, sc, pc)
				l.random = rand.New(rand.NewPCG(seed, uint64(len(c.String()))))
				l.run()
				// With 30 % loss the five copies of a request may all be lost, and
				// EAP-Success is sent once: then the ends may not both succeed. But
				// they must not disagree on anything else.
				_, ok1 := outcome[Success](l.serverEvents)
				p, ok2 := outcome[Success](l.peerEvents)
				if ok1 && ok2 {
					c.check(t, l)
					done++
				}
				if ok2 && !ok1 {
					t.Errorf("seed %d: the peer succeeds alone: %+v, %+v", seed, l.serverEvents, p)
				}
				for _, e := range append(l.serverEvents, l.peerEvents...) {
					if f, ok := e.(Failure); ok && f.Reason != ReasonTimeout && f.Reason != ReasonRefused {
						t.Errorf("seed %d: %v: %s", seed, f.Reason, f.Text)
					}
				}
			}
			if done < seeds/4 {
				t.Errorf("only %d of %d seeds succeeded", done, seeds)
			}
		})
	}
}
