package ike

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
)

// bySharedKey is the backend of a peer that has pre-shared keys.
func (p *peer) bySharedKey(t *Authenticate) (any, error) {
	key, known := p.keys[string(t.PeerID.Data)]
	if !known {
		return nil, &Refusal{Reason: "nobody is called " + t.PeerID.String()}
	}
	if err := t.VerifySharedKey(key); err != nil {
		return nil, err
	}
	return p.admit(t), nil
}

// chainless is an identity that proves itself by the key of a peer.
func chainless(name, peer string) *credential {
	return &credential{identity: &Identity{ID: ikemsg.ID{Kind: ikemsg.IDFQDN, Data: []byte(name)}, Key: peer}}
}

const (
	clientName  = "client.example"
	gatewayName = "gateway.example"
)

// sharedKeyWorld is a world where both ends have one key and no certificates.
func sharedKeyWorld(t testing.TB, seed uint64) *world {
	w := newWorld(t, seed)
	key := secret.Bytes("a key of more than sixteen octets")
	w.i.cred, w.i.keys = chainless(clientName, gatewayName), map[string]secret.Bytes{gatewayName: key}
	w.r.cred, w.r.keys = chainless(gatewayName, clientName), map[string]secret.Bytes{clientName: key}
	return w
}

func TestBothEndsProveThemselvesByOneSharedKey(t *testing.T) {
	for _, proposal := range []string{"aes256gcm16-prfsha256-ecp256", "aes256gcm16-prfsha512-ecp256"} {
		t.Run(proposal, func(t *testing.T) {
			w := sharedKeyWorld(t, 1)
			w.i.policy.IKE, w.r.policy.IKE = ikeProposals(proposal), ikeProposals(proposal)
			w.up()
			if a := w.r.est.Admission; a.Identity != clientName {
				t.Errorf("admitted as %q", a.Identity)
			}
			for _, p := range []*peer{w.i, w.r} {
				for _, task := range p.tasks {
					if a, ok := task.(*Authenticate); ok && (a.Method != 2 || len(a.Chain) > 0) {
						t.Errorf("%s got method %d and %d certificates", p.name, a.Method, len(a.Chain))
					}
				}
			}
			w.i.do(RekeyIKE{})
			w.r.do(RekeyChild{w.r.onlyChild()})
			w.run(time.Minute)
			w.settled(1)
		})
	}
}

func TestEachEndMayProveItselfInItsOwnWay(t *testing.T) {
	for what, byKey := range map[string]func(w *world) *peer{
		"the client by key, the gateway by certificate": func(w *world) *peer { return w.i },
		"the gateway by key, the client by certificate": func(w *world) *peer { return w.r },
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, 2)
			p := byKey(w)
			name, other := p.name, p.other()
			key := secret.Bytes("a key of more than sixteen octets")
			p.cred, p.keys = chainless(name, other.name), map[string]secret.Bytes{other.name: key}
			other.keys = map[string]secret.Bytes{name: key}
			w.up()
		})
	}
}

func TestNoTunnelWithoutTheKeyOfTheIdentity(t *testing.T) {
	wrong := secret.Bytes("another key of more than sixteen octets")
	for what, spoil := range map[string]func(w *world){
		"the client has a wrong key": func(w *world) { w.i.keys[gatewayName] = wrong },
		"an identity that nobody has": func(w *world) {
			w.i.cred = chainless("stranger.example", gatewayName)
		},
		"the key of another identity": func(w *world) {
			w.r.keys["phone.example"] = wrong
			w.i.cred = chainless("phone.example", gatewayName)
		},
		"an identity whose key is empty": func(w *world) {
			w.r.keys["phone.example"] = nil
			w.i.cred = chainless("phone.example", gatewayName)
		},
		"only certificates are wanted": func(w *world) { w.r.keys = nil },
		"only keys are wanted": func(w *world) {
			w.i.cred = pkiOf().credential("ecdsa256", clientName)
			w.r.refusal = &Refusal{Reason: "no certificates here"}
		},
		"AUTH without data":          changeAuth(func(data []byte) []byte { return nil }),
		"AUTH cut short":             changeAuth(func(data []byte) []byte { return data[:len(data)-1] }),
		"AUTH with an octet more":    changeAuth(func(data []byte) []byte { return append(slices.Clone(data), 0) }),
		"AUTH with an octet changed": changeAuth(func(data []byte) []byte { return append([]byte{data[0] ^ 1}, data[1:]...) }),
		"IDi changed after AUTH was made": func(w *world) {
			w.r.keys["phone.example"] = w.r.keys[clientName] // shared by two: AUTH still covers the name
			w.intercept(w.i, ikemsg.ExchangeIKEAuth, false, func(ps []ikemsg.Payload) []ikemsg.Payload {
				for i, p := range ps {
					if id, ok := p.(*ikemsg.ID); ok && !id.Responder {
						ps[i] = &ikemsg.ID{Kind: id.Kind, Data: []byte("phone.example")}
					}
				}
				return ps
			})
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := sharedKeyWorld(t, 3)
			spoil(w)
			w.connect()
			w.run(time.Minute)
			if w.i.est != nil || w.r.est != nil || len(w.r.installed) > 0 {
				t.Fatal("established")
			}
			if len(w.r.records) != 1 || w.r.records[0].Notify != ikemsg.NotifyAuthenticationFailed || w.r.records[0].Reason == "" {
				t.Errorf("the gateway's records %+v", w.r.records)
			}
			if len(w.i.records) != 1 || !w.i.records[0].ByPeer || w.i.records[0].Notify != ikemsg.NotifyAuthenticationFailed {
				t.Errorf("the client's records %+v", w.i.records)
			}
		})
	}
}

// changeAuth changes the data of the client's AUTH.
func changeAuth(change func([]byte) []byte) func(*world) {
	return func(w *world) {
		w.intercept(w.i, ikemsg.ExchangeIKEAuth, false, func(ps []ikemsg.Payload) []ikemsg.Payload {
			for _, p := range ps {
				if a, ok := p.(*ikemsg.Auth); ok {
					a.Data = change(a.Data)
				}
			}
			return ps
		})
	}
}

func TestTheServerMustKnowTheKeyToo(t *testing.T) {
	for what, spoil := range map[string]func(w *world){
		"a wrong key": func(w *world) {
			w.r.tamper = func(a *Admission) { w.r.keys[clientName] = secret.Bytes("another key of sixteen octets") }
		},
		"the client's own AUTH, sent back": func(w *world) {
			var clients []byte
			changeAuth(func(data []byte) []byte { clients = slices.Clone(data); return data })(w)
			first := w.mangle
			w.intercept(w.r, ikemsg.ExchangeIKEAuth, true, func(ps []ikemsg.Payload) []ikemsg.Payload {
				for _, p := range ps {
					if a, ok := p.(*ikemsg.Auth); ok {
						a.Data = clients
					}
				}
				return ps
			})
			second := w.mangle
			w.mangle = func(from *peer, d Datagram) []Datagram {
				if from == w.i {
					return first(from, d)
				}
				return second(from, d)
			}
		},
		"the identity of the client": func(w *world) {
			w.i.keys[clientName] = w.i.keys[gatewayName]
			w.r.cred = chainless(clientName, clientName)
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := sharedKeyWorld(t, 4)
			spoil(w)
			want := ikemsg.ID{Responder: true, Kind: ikemsg.IDFQDN, Data: []byte(gatewayName)}
			w.i.start(Connect{Local: w.i.addr, Remote: w.r.addr, Identity: w.i.cred.identity, RemoteID: &want, Child: w.i.child, Request: Request{IPv4: true}})
			w.run(time.Minute)
			if w.i.est != nil || len(w.i.installed) > 0 {
				t.Error("the client is established")
			}
			if w.i.closed == nil || w.i.closed.Reason != ClosedRefused || len(w.i.records) != 1 || w.i.records[0].ByPeer {
				t.Errorf("closed %+v, records %+v", w.i.closed, w.i.records)
			}
			if w.r.closed == nil || w.r.closed.Reason != ClosedByPeer {
				t.Errorf("the server was not told: %+v", w.r.closed)
			}
		})
	}
}

// TestTrap12_NoEAPWithAServerThatHasOnlyASharedKey: everyone who has the key
// could pose as the server and take what EAP gives away (CVE-2015-4171).
func TestTrap12_NoEAPWithAServerThatHasOnlyASharedKey(t *testing.T) {
	t.Run("our gateway does not try", func(t *testing.T) {
		w, client, server := eapWorld(t, 12)
		w.r.cred = chainless(gatewayName, clientName)
		w.connectEAP(false)
		w.run(time.Minute)
		if w.i.est != nil || len(w.r.records) != 1 || !strings.Contains(w.r.records[0].Reason, "pre-shared key") {
			t.Errorf("established %v, records %+v", w.i.est, w.r.records)
		}
		released(t, client, server)
	})
	t.Run("our client does not ask its backend", func(t *testing.T) {
		w, client, server := eapWorld(t, 12)
		key := secret.Bytes("a key of more than sixteen octets")
		w.i.keys = map[string]secret.Bytes{gatewayName: key}
		w.intercept(w.r, ikemsg.ExchangeIKEAuth, true, func(ps []ikemsg.Payload) []ikemsg.Payload {
			s := w.r.session
			id, _ := ikemsg.FindID(ps, true)
			octets := must(signedOctets(s.sa.suite, s.hs.initResponse, s.hs.nonceI, s.hs.authKeys.pr, id))
			for _, p := range ps {
				if a, ok := p.(*ikemsg.Auth); ok {
					a.Method, a.Data = ikemsg.AuthSharedKey, must(sharedKeyAuth(s.sa.suite, key, octets))
				}
			}
			return ps
		})
		w.connectEAP(false)
		w.run(time.Minute)
		if w.i.est != nil || client.made[0].step != 0 || len(w.i.records) != 1 || !strings.Contains(w.i.records[0].Reason, "pre-shared key") {
			t.Errorf("established %v, %d packets of EAP, records %+v", w.i.est, client.made[0].step, w.i.records)
		}
		released(t, client, server)
	})
}

func TestASharedKeyIsNeitherEmptyNorForAnotherMethod(t *testing.T) {
	w := sharedKeyWorld(t, 5)
	w.up()
	proofs := 0
	for _, task := range w.r.tasks {
		a, ok := task.(*Authenticate)
		if !ok {
			continue
		}
		proofs++
		key := w.r.keys[clientName]
		if err := a.VerifySharedKey(key); err != nil {
			t.Errorf("the right key: %v", err)
		}
		pad := hmacSHA256(key, []byte("Key Pad for IKEv2")) // Section 2.15's formula by hand
		if want := hmacSHA256(pad, a.Octets); !bytes.Equal(a.AuthData, want) {
			t.Errorf("AUTH %x, want %x", a.AuthData, []byte(want))
		}
		other := *a
		other.Method = 14
		if err := other.VerifySharedKey(key); err == nil {
			t.Error("a signature is verified by a shared key")
		}
		empty := *a
		empty.AuthData = must(sharedKeyAuth(a.Suite, nil, a.Octets))
		if err := empty.VerifySharedKey(nil); err == nil {
			t.Error("an empty key is one")
		}
		if text := fmt.Sprint(a.VerifySharedKey(secret.Bytes("wrong"))); strings.Contains(text, "wrong") {
			t.Errorf("the error tells the key: %s", text)
		}
	}
	if proofs != 1 {
		t.Errorf("%d proofs were judged", proofs)
	}
	if _, err := (&Sign{Suite: w.r.est.Suite}).SignSharedKey(nil); err == nil {
		t.Error("we sign with an empty key")
	}
}
