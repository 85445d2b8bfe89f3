package eap

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/lab/labtest"
	"sallyport/internal/secret"
)

func TestWrongPasswordIsRefused(t *testing.T) {
	for _, c := range combinations() {
		if !c.byPassword() {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			sc, pc := c.configs()
			pc.Password = secret.Bytes("wrong")
			l := newLink(t, sc, pc)
			l.run()
			l.wantFailure(ReasonWrongPassword, atPeer(c, ReasonWrongPassword))
			f, _ := outcome[Failure](l.serverEvents)
			if f.User != testUser || f.Claim != "anonymous@example.org" || f.Inner != c.inner {
				t.Errorf("the record speaks of %q claiming %q inside %v", f.User, f.Claim, f.Inner)
			}
		})
	}
}

// atPeer is what the peer learns of a bad password: EAP-MSCHAPv2 tells, the
// others are just refused.
func atPeer(c combination, told Reason) Reason {
	if c.method == TypeMSCHAPv2 || c.inner == InnerEAPMSCHAPv2 {
		return told
	}
	return ReasonRefused
}

func TestUnknownUserIsRefusedLikeAWrongPassword(t *testing.T) {
	for _, c := range combinations() {
		if !c.byPassword() {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			sizes := func(user, password string) (list []int) {
				sc, pc := c.configs()
				pc.User, pc.Password = user, secret.Bytes(password)
				l := newLink(t, sc, pc)
				l.tap = func(toPeer bool, b []byte) []byte {
					if toPeer {
						list = append(list, len(b))
					}
					return b
				}
				l.run()
				want := ReasonWrongPassword
				if user != testUser {
					want = ReasonUnknownUser
				}
				l.wantFailure(want, atPeer(c, ReasonWrongPassword))
				return list
			}
			wrong, unknown := sizes(testUser, "wrong"), sizes("eve", "wrong")
			// A TLS flight varies by an octet or two: ECDSA signatures do.
			if len(wrong) != len(unknown) || !slices.Equal(wrong[len(wrong)-2:], unknown[len(unknown)-2:]) {
				t.Errorf("the peer can tell: packets of %v for a wrong password, %v for an unknown user", wrong, unknown)
			}
		})
	}
}

func TestDisabledAccountIsRefused(t *testing.T) {
	sc, pc := combination{TypePEAP, InnerEAPMSCHAPv2, 0}.configs()
	l := newLink(t, sc, pc)
	l.answer = func(task Task) (any, error) {
		if _, ok := task.(LookupPassword); ok {
			return nil, &Refusal{Reason: ReasonAccountDisabled, Text: "bob left", Hint: "enable the account"}
		}
		return accounts(task)
	}
	l.run()
	l.wantFailure(ReasonAccountDisabled, ReasonWrongPassword)
	if f, _ := outcome[Failure](l.serverEvents); f.Text != "bob left" || f.Hint != "enable the account" {
		t.Errorf("the record says %q, %q", f.Text, f.Hint)
	}
}

func TestFailingBackEndIsNotTheUsersFault(t *testing.T) {
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			sc, pc := c.configs()
			l := newLink(t, sc, pc)
			own := l.answer
			jobs := 0
			l.answer = func(task Task) (any, error) {
				if _, tls := task.(*Handshake); tls && c.byPassword() {
					return own(task)
				}
				if jobs++; jobs < 3 && !c.byPassword() {
					return own(task)
				}
				return nil, errors.New("the directory is down")
			}
			l.run()
			_, ok1 := outcome[Success](l.serverEvents)
			_, ok2 := outcome[Success](l.peerEvents)
			if ok1 || ok2 {
				t.Error("somebody succeeded")
			}
			f, ok := outcome[Failure](append(slices.Clone(l.serverEvents), l.peerEvents...))
			if !ok {
				t.Fatal("nobody failed")
			}
			for _, e := range append(l.serverEvents, l.peerEvents...) {
				if g, is := e.(Failure); is && g.Reason == ReasonBackend {
					f = g
				}
			}
			if f.Reason != ReasonBackend || !strings.Contains(f.Text, "the directory is down") {
				t.Errorf("%v: %s", f.Reason, f.Text)
			}
		})
	}
}

// certificateCases are certificates of a client that must not get in.
func certificateCases() map[Reason]tls.Certificate {
	p := thePKI()
	return map[Reason]tls.Certificate{
		ReasonCertificateExpired:   p.expired,
		ReasonCertificateUntrusted: p.untrusted,
		ReasonCertificate:          p.server, // a certificate for servers
	}
}

func TestBadClientCertificateIsRefused(t *testing.T) {
	for _, c := range combinations() {
		if c.byPassword() {
			continue
		}
		for reason, cert := range certificateCases() {
			t.Run(fmt.Sprintf("%v %v", c, reason), func(t *testing.T) {
				sc, pc := c.configs()
				client := *pc.TLS
				client.Certificates = []tls.Certificate{cert}
				pc.TLS = &client
				l := newLink(t, sc, pc)
				l.run()
				l.wantFailure(reason, ReasonTLSAlert)
				if f, _ := outcome[Failure](l.peerEvents); !f.ByPeer || !strings.Contains(f.Text, "bad certificate") {
					t.Errorf("the peer says %q", f.Text)
				}
			})
		}
	}
}

func TestMissingClientCertificateIsRefused(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		sc, pc := combination{TypeTLS, InnerNone, version}.configs()
		client := *pc.TLS
		client.Certificates = []tls.Certificate{{}}
		pc.TLS = &client
		l := newLink(t, sc, pc)
		l.run()
		l.wantFailure(ReasonNoCertificate, ReasonTLSAlert)
	}
}

// A peer gives away neither password nor identity to a server it does not
// trust (trap 12, CVE-2015-4171).
func TestNoCredentialsForAnUntrustedServer(t *testing.T) {
	p := thePKI()
	for _, c := range combinations() {
		if c.method == TypeMSCHAPv2 {
			continue
		}
		for reason, cert := range map[Reason]tls.Certificate{
			ReasonCertificateExpired: p.serverExpired, ReasonCertificateUntrusted: p.intruder, ReasonCertificate: p.client,
		} {
			t.Run(fmt.Sprintf("%v %v", c, reason), func(t *testing.T) {
				sc, pc := c.configs()
				intruder := *sc.TLS
				intruder.Certificates = []tls.Certificate{cert}
				sc.TLS = &intruder
				l := newLink(t, sc, pc)
				l.answer = func(task Task) (any, error) {
					if _, ok := task.(*Handshake); !ok {
						t.Errorf("the server got as far as %T", task)
					}
					return accounts(task)
				}
				l.run()
				l.wantFailure(ReasonTLSAlert, reason)
			})
		}
	}
}

// Refusals by and of programs of others.

func TestEapolTestIsRefused(t *testing.T) {
	labtest.Need(t, "eapol_test")
	refused := func(c combination, cert tls.Certificate, password string, want Reason) {
		t.Run(fmt.Sprintf("%v %v", c, want), func(t *testing.T) {
			sc, _ := c.configs()
			f := serveRadius(t, sc)
			out, err := eapolTest(t, f, wpaNetwork(t, t.TempDir(), c, cert, password))
			if err == nil || strings.HasSuffix(strings.TrimSpace(out), "SUCCESS") {
				t.Fatalf("eapol_test got in:\n%s", labtest.Tail(out))
			}
			if got, ok := outcome[Failure](f.said()); !ok || got.Reason != want || len(f.said()) != 1 {
				t.Errorf("the server reports %+v, want %v\n%s", f.said(), want, labtest.Tail(out))
			}
		})
	}
	for _, c := range combinations() {
		switch {
		case c.method == TypeMSCHAPv2:
		case c.byPassword():
			refused(c, thePKI().client, "wrong", ReasonWrongPassword)
		default:
			refused(c, thePKI().expired, "", ReasonCertificateExpired)
			refused(c, thePKI().untrusted, "", ReasonCertificateUntrusted)
		}
	}
}

func TestEapolTestOfAnUnknownUserIsRefused(t *testing.T) {
	labtest.Need(t, "eapol_test")
	for _, c := range combinations() {
		if c.method == TypeMSCHAPv2 || !c.byPassword() {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			sc, _ := c.configs()
			f := serveRadius(t, sc)
			f.answerBy(func(task Task) (any, error) {
				switch task.(type) {
				case LookupPassword:
					return Account{}, nil
				case CheckPassword:
					return nil, &Refusal{Reason: ReasonUnknownUser, Text: "no such user"}
				}
				return accounts(task)
			})
			out, err := eapolTest(t, f, wpaNetwork(t, t.TempDir(), c, thePKI().client, testPassword))
			if got, ok := outcome[Failure](f.said()); err == nil || !ok || got.Reason != ReasonUnknownUser {
				t.Errorf("%v, %+v\n%s", err, f.said(), labtest.Tail(out))
			}
		})
	}
}

func TestEapolTestRefusesAnUntrustedServer(t *testing.T) {
	labtest.Need(t, "eapol_test")
	for _, c := range combinations() {
		if c.method == TypeMSCHAPv2 {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			sc, _ := c.configs()
			intruder := *sc.TLS
			intruder.Certificates = []tls.Certificate{thePKI().intruder}
			sc.TLS = &intruder
			f := serveRadius(t, sc)
			out, err := eapolTest(t, f, wpaNetwork(t, t.TempDir(), c, thePKI().client, testPassword))
			got, ok := outcome[Failure](f.said())
			if err == nil || !ok || got.Reason != ReasonTLSAlert || !strings.Contains(got.Text, "unknown certificate authority") {
				t.Errorf("%v, %+v\n%s", err, f.said(), labtest.Tail(out))
			}
		})
	}
}

func TestFreeRADIUSRefusesOurPeer(t *testing.T) {
	for _, c := range []combination{
		{TypeTLS, InnerNone, tls.VersionTLS12}, {TypeTLS, InnerNone, tls.VersionTLS13},
		{TypeTTLS, InnerPAP, tls.VersionTLS12}, {TypeTTLS, InnerMSCHAPv2, tls.VersionTLS13}, {TypeTTLS, InnerEAPMSCHAPv2, tls.VersionTLS13},
		{TypePEAP, InnerEAPMSCHAPv2, tls.VersionTLS12},
	} {
		t.Run(c.String(), func(t *testing.T) {
			server := freeRADIUS(t, c, thePKI().server)
			_, pc := c.configs()
			pc.Password = secret.Bytes("wrong")
			client := *pc.TLS
			client.Certificates = []tls.Certificate{thePKI().untrusted}
			pc.TLS = &client
			events, keys := login(t, server.Auth, pc)
			f, ok := outcome[Failure](events)
			if !ok || len(keys) > 0 || !f.ByPeer {
				t.Fatalf("%+v\n%s", events, server.Tail())
			}
			want := []Reason{ReasonRefused, ReasonWrongPassword}
			if c.method == TypeTLS {
				want = []Reason{ReasonRefused, ReasonTLSAlert} // FreeRADIUS spares the alert
			}
			if !slices.Contains(want, f.Reason) {
				t.Errorf("%v: %s", f.Reason, f.Text)
			}
		})
	}
}

func TestOurPeerRefusesFreeRADIUSOfAnotherAuthority(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := combination{TypeTTLS, InnerPAP, version}
		server := freeRADIUS(t, c, thePKI().intruder)
		_, pc := c.configs()
		events, _ := login(t, server.Auth, pc)
		if f, ok := outcome[Failure](events); !ok || f.Reason != ReasonCertificateUntrusted {
			t.Errorf("%+v\n%s", events, server.Tail())
		}
		if strings.Contains(server.Output(), testPassword+"\" (") || strings.Contains(server.Output(), "User-Password = \"") {
			t.Error("FreeRADIUS has seen the password")
		}
	}
}

// withoutEMS makes OpenSSL leave out the extended master secret.
func withoutEMS(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "openssl.cnf")
	must(os.WriteFile(file, []byte("openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = def\n[def]\nOptions = -ExtendedMasterSecret\n"), 0o644))
	t.Setenv("OPENSSL_CONF", file)
}

func TestTLS12WithoutExtendedMasterSecretIsRefused(t *testing.T) {
	labtest.Need(t, "eapol_test")
	withoutEMS(t)
	for _, c := range combinations() {
		if c.version != tls.VersionTLS12 || c.inner == InnerEAPTLS {
			continue
		}
		t.Run("by the server "+c.String(), func(t *testing.T) {
			sc, _ := c.configs()
			f := serveRadius(t, sc)
			out, err := eapolTest(t, f, wpaNetwork(t, t.TempDir(), c, thePKI().client, testPassword))
			if got, ok := outcome[Failure](f.said()); err == nil || !ok || got.Reason != ReasonNoExtendedMasterSecret {
				t.Errorf("%v, %+v\n%s", err, f.said(), labtest.Tail(out))
			}
		})
	}
	t.Run("not by a server that allows it", func(t *testing.T) {
		for _, c := range []combination{{TypeTLS, InnerNone, tls.VersionTLS12}, {TypePEAP, InnerEAPMSCHAPv2, tls.VersionTLS12}, {TypeTTLS, InnerPAP, tls.VersionTLS12}} {
			sc, _ := c.configs()
			sc.TLS.AllowUnbound = true
			f := serveRadius(t, sc)
			out, err := eapolTest(t, f, wpaNetwork(t, t.TempDir(), c, thePKI().client, testPassword))
			if got, ok := outcome[Success](f.said()); err != nil || !ok || !got.Unbound {
				t.Errorf("%v: %v, %+v\n%s", c, err, f.said(), labtest.Tail(out))
			}
		}
	})
	t.Run("by the peer", func(t *testing.T) {
		c := combination{TypeTTLS, InnerPAP, tls.VersionTLS12}
		server := freeRADIUS(t, c, thePKI().server)
		_, pc := c.configs()
		events, _ := login(t, server.Auth, pc)
		if f, ok := outcome[Failure](events); !ok || f.Reason != ReasonNoExtendedMasterSecret {
			t.Errorf("%+v\n%s", events, server.Tail())
		}
	})
}
