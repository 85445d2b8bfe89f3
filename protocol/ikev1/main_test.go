package ikev1

import (
	"fmt"
	"testing"
	"time"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

func TestClientConnects(t *testing.T) {
	for _, nat := range []bool{false, true} {
		for _, psk := range []bool{false, true} {
			t.Run(fmt.Sprintf("nat=%v psk=%v", nat, psk), func(t *testing.T) {
				w := newWorld(t, 1, nat)
				if psk {
					w.usePSK()
				}
				w.up()
				w.works()
				w.settled(1)
				for _, sa := range w.g.installed {
					if sa.Encap != nat || sa.PeerPort != 1701 {
						t.Errorf("%+v", sa)
					}
				}
				e := w.g.est[0]
				if !e.InitialContact || e.Remote.Port() == 500 == nat {
					t.Errorf("%+v", e)
				}
			})
		}
	}
}

func TestSetUpSurvivesEveryNetwork(t *testing.T) {
	seeds := uint64(2000)
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		w := newWorld(t, seed, seed%2 == 0)
		if seed%3 == 0 {
			w.usePSK()
		}
		if seed%5 == 0 {
			w.g.jobDelay, w.c.jobDelay = 30*time.Millisecond, 50*time.Millisecond
		}
		w.net.Link.Loss, w.net.Link.Duplicate, w.net.Link.Reorder = 0.25, 0.2, 0.3
		w.c.policy.HalfOpen, w.g.policy.HalfOpen = 5*time.Minute, 5*time.Minute
		w.c.policy.Retransmit, w.g.policy.Retransmit = Retransmit{Tries: 20, Max: 4 * time.Second}, Retransmit{Tries: 20, Max: 4 * time.Second}
		w.start()
		w.run(5 * time.Minute)
		w.net.Link.Loss, w.net.Link.Duplicate, w.net.Link.Reorder = 0, 0, 0
		w.run(time.Minute)
		if len(w.c.est) != 1 || w.c.session() == nil {
			t.Fatalf("seed %d: client %+v %+v, gateway %+v %+v", seed, w.c.closed, w.c.records, w.g.closed, w.g.records)
		}
		w.works()
		w.settled(1)
	}
}

func TestEverySuite(t *testing.T) {
	esps := []string{"aes128-sha1", "aes256-sha1", "aes192-sha256", "aes256-sha384", "aes256-sha512", "aes128gcm16", "aes192gcm16", "aes256gcm16", "aes256gcm16-esn", "aes256-sha256-esn"}
	n := 0
	for _, encr := range []string{"aes128", "aes192", "aes256"} {
		for _, hash := range []string{"sha1", "sha256", "sha384", "sha512"} {
			for _, group := range []string{"modp2048", "ecp256", "ecp384", "ecp521"} {
				w := newWorld(t, uint64(n), n%2 == 0)
				for _, x := range []*node{w.c, w.g} {
					x.policy.Phase1 = phase1(encr + "-" + hash + "-" + group)
					x.policy.Phase2 = phase2(esps[n%len(esps)])
				}
				n++
				w.up()
				w.works()
				if got := w.g.est[0].Suite; got.Encr.String() != encr || got.Integ.String() != hash || got.KE.String() != group {
					t.Errorf("%v", got)
				}
				for _, sa := range w.g.installed {
					if waived := sa.Suite.Integ.String() == "sha1"; sa.Suite.Waived != waived {
						t.Errorf("%v: waived is %v", sa.Suite, sa.Suite.Waived)
					}
					if enc, integ := sa.Suite.KeySizes(); len(sa.KeyIn) != enc+integ || enc == 0 {
						t.Errorf("%v: %d octets of keys", sa.Suite, len(sa.KeyIn))
					}
				}
			}
		}
	}
	if testing.Short() {
		return
	}
	for _, group := range []string{"modp3072", "modp4096"} {
		w := newWorld(t, 1, true)
		w.c.policy.Phase1 = phase1("aes256-sha256-" + group)
		w.g.policy.Phase1 = w.c.policy.Phase1
		w.up()
	}
}

func TestEveryMethod(t *testing.T) {
	for kind, method := range map[string]suite.AuthMethod1{"rsa": suite.AuthRSA1, "ecdsa256": suite.AuthECDSA256, "ecdsa384": suite.AuthECDSA384, "ecdsa521": suite.AuthECDSA521} {
		w := newWorld(t, 1, false)
		w.c.cred, w.g.cred = credentialOf(kind, "client.example"), credentialOf(kind, "gateway.example")
		w.c.connect.Identity = w.c.cred.identity
		w.up()
		if w.g.est[0].Method != method {
			t.Errorf("%s: %v", kind, w.g.est[0].Method)
		}
	}
}

func TestPFS(t *testing.T) {
	w := newWorld(t, 1, true)
	w.c.policy.RequirePFS = true
	w.up()
	for _, sa := range w.g.installed {
		if sa.Suite.KE.String() != "ecp256" {
			t.Errorf("%v", sa.Suite)
		}
	}
	w.works()
	w.c.do(RekeyPhase2{})
	w.run(30 * time.Second)
	w.works()
	w.settled(1)

	w = newWorld(t, 1, true)
	w.g.policy.RequirePFS = true
	w.start()
	w.run(5 * time.Second)
	if len(w.g.records) != 1 || w.g.records[0].Stage != StageQuick || w.g.records[0].Difference[0] != "key exchange: none offered, ecp256 accepted" {
		t.Errorf("%+v", w.g.records)
	}
	if len(w.c.records) != 1 || !w.c.records[0].ByPeer || w.c.records[0].Notify != isakmp.NotifyNoProposalChosen {
		t.Errorf("%+v", w.c.records)
	}
}

func TestForcedEncapsulationNeedsNoNAT(t *testing.T) {
	for _, by := range []string{"gateway", "client"} {
		w := newWorld(t, 1, false)
		w.g.policy.ForceEncap, w.c.policy.ForceEncap = by == "gateway", by == "client"
		w.up()
		w.works()
		for _, sa := range w.c.installed {
			if !sa.Encap || sa.Local.Port() != 4500 {
				t.Errorf("%s: %+v", by, sa)
			}
		}
		// Windows refuses a server that says it is behind a NAT.
		if local, _ := w.c.session().NAT(); by == "gateway" && !local {
			t.Error("the client does not think itself behind a NAT")
		}
		if _, remote := w.c.session().NAT(); by == "gateway" && remote {
			t.Error("the client thinks that the gateway is behind a NAT")
		}
	}
}

func TestWrongPreSharedKeyIsNamed(t *testing.T) {
	w := newWorld(t, 1, true)
	w.usePSK()
	w.c.psk = "another key"
	w.start()
	w.run(40 * time.Second)
	if len(w.g.records) != 1 || w.g.records[0].Notify != isakmp.NotifyInvalidHash || w.g.records[0].Stage != StageAuth {
		t.Fatalf("%+v", w.g.records)
	}
	if len(w.g.closed) != 1 || w.g.closed[0].Reason != ClosedHalfOpen || w.g.closed[0].Err != errWrongKey || len(w.g.est) > 0 {
		t.Errorf("%+v", w.g.closed)
	}
	if len(w.c.closed) != 1 || w.c.session() != nil {
		t.Errorf("%+v", w.c.closed)
	}
}

func TestRefusedClientIsTold(t *testing.T) {
	w := newWorld(t, 1, true)
	w.g.refusal = &Refusal{Reason: "the certificate is revoked", Hint: "issue another", Notify: isakmp.NotifyInvalidCertificate}
	w.start()
	w.run(5 * time.Second)
	if len(w.g.records) != 1 || w.g.records[0].Reason != "the certificate is revoked" || w.g.records[0].Fix != "issue another" || w.g.records[0].PeerID == "" {
		t.Fatalf("%+v", w.g.records)
	}
	if len(w.c.records) != 1 || !w.c.records[0].ByPeer || w.c.records[0].Notify != isakmp.NotifyInvalidCertificate || len(w.c.est) > 0 {
		t.Fatalf("%+v", w.c.records)
	}
}

func TestRefusedGatewayIsTold(t *testing.T) {
	w := newWorld(t, 1, true)
	w.c.refusal = &Refusal{Reason: "not the gateway"}
	w.start()
	w.run(5 * time.Second)
	if len(w.c.records) != 1 || w.c.closed[0].Reason != ClosedRefused || len(w.c.est) > 0 {
		t.Fatalf("%+v %+v", w.c.records, w.c.closed)
	}
}

func TestNoPreSharedKeyForThisAddress(t *testing.T) {
	w := newWorld(t, 1, true)
	w.usePSK()
	w.g.psk = ""
	w.start()
	w.run(10 * time.Second)
	if len(w.g.records) != 1 || w.g.records[0].Reason != "no pre-shared key for this address" || w.g.session() != nil {
		t.Fatalf("%+v", w.g.records)
	}
}

func TestNobodyAnswers(t *testing.T) {
	w := newWorld(t, 1, false)
	w.mangle = func(*node, Datagram) []Datagram { return nil }
	w.start()
	w.run(2 * time.Minute)
	if len(w.c.closed) != 1 || w.c.closed[0].Reason != ClosedTimeout {
		t.Fatalf("%+v", w.c.closed)
	}
}

func TestLargeCertificatesTravelInFragments(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t, seed, true)
		w.c.cred, w.g.cred = credentialOf("big", "client.example"), credentialOf("big", "gateway.example")
		w.c.connect.Identity = w.c.cred.identity
		w.net.Link.MTU = 1232
		w.net.Link.Reorder, w.net.Link.Duplicate = 0.3, 0.3
		w.c.policy.FragmentSize = 552 // racoon's
		w.start()
		w.run(30 * time.Second)
		if w.net.Count.TooLong > 0 {
			t.Errorf("seed %d: %d datagrams were too long", seed, w.net.Count.TooLong)
		}
		w.wantUp()
	}
}

func TestCloseTellsThePeer(t *testing.T) {
	for _, who := range []string{"client", "gateway"} {
		w := newWorld(t, 1, true)
		w.up()
		by, other := w.c, w.g
		if who == "gateway" {
			by, other = w.g, w.c
		}
		by.do(Close{Reason: "done"})
		w.run(time.Second)
		if by.session() != nil || other.session() != nil || other.closed[0].Reason != ClosedByPeer || len(other.installed)+len(by.installed) > 0 {
			t.Errorf("%s closes: %+v, %+v", who, by.closed, other.closed)
		}
	}
}

func TestJobThatNeverComesBack(t *testing.T) {
	w := newWorld(t, 1, false)
	w.g.jobDelay = time.Hour
	w.g.policy.HalfOpen = 2 * time.Hour
	w.start()
	w.run(3 * time.Minute)
	if len(w.g.closed) == 0 || w.g.closed[0].Reason != ClosedInternal {
		t.Fatalf("%+v", w.g.closed)
	}
}
