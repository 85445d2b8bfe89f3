package ike

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

func TestWindowsIsNotAskedForAnotherGroupAtARekey(t *testing.T) {
	for _, kind := range []PeerKind{Windows, UnknownPeer} {
		w := newWorld(t, 1)
		w.r.policy.IKE = ikeProposals("aes256gcm16-prfsha256-ecp256")
		w.r.child.ESP = espProposals("aes256gcm16-ecp256")
		w.up()
		w.r.session.kind = kind
		want := ikemsg.NotifyInvalidKEPayload
		if kind == Windows {
			want = ikemsg.NotifyNoProposalChosen
		}
		// The proposal has our group, the KE payload one of which we know nothing.
		ps := ikeRekeyRequest(w.i)
		ke := slices.IndexFunc(ps, func(p ikemsg.Payload) bool { _, ok := p.(*ikemsg.KE); return ok })
		ps[ke] = &ikemsg.KE{Group: 2, Data: make([]byte, 128)}
		wantNotify(t, kind.String()+": rekey of the IKE SA", w.says(w.i, ikemsg.ExchangeCreateChildSA, ps...), want)
		child := childRequest("aes256gcm16-ecp256", anywhere, anywhere, rekeySA(w.i.onlyChild()), ps[ke])
		wantNotify(t, kind.String()+": rekey of the child", w.says(w.i, ikemsg.ExchangeCreateChildSA, child...), want)
		if kind != Windows {
			continue
		}
		if r := w.r.records; len(r) != 2 || r[0].Stage != StageRekeyIKE || r[1].Stage != StageRekeyChild ||
			r[0].WindowsError != 13868 || r[0].Fix == "" || !strings.Contains(r[0].Reason, "modp1024, wanted ecp256") {
			t.Errorf("records %+v", r)
		}
	}
}

// TestWindowsReadsEveryTransformWeSend: it looks at the first 15 of a type.
func TestWindowsReadsEveryTransformWeSend(t *testing.T) {
	const reads = 15
	w := newWorld(t, 1)
	groups := "ecp256-ecp384-ecp521-x25519-modp2048-modp3072-modp4096"
	ciphers := "aes128gcm16-aes192gcm16-aes256gcm16-chacha20poly1305"
	for range 20 { // the machine's policy is wider than any built-in one
		w.r.policy.IKE = append(w.r.policy.IKE, ikeProposals(ciphers+"-prfsha256-prfsha384-prfsha512-"+groups)...)
		w.r.child.ESP = append(w.r.child.ESP, espProposals(ciphers+"-"+groups)...)
	}
	w.up()
	w.r.session.kind = Windows
	w.i.do(RekeyChild{w.i.onlyChild()}) // from here on we know whether it wants PFS, and may lead
	w.run(time.Second)
	sent, refuse := 0, true
	w.intercept(w.r, ikemsg.ExchangeCreateChildSA, false, func(ps []ikemsg.Payload) []ikemsg.Payload {
		sa, _ := ikemsg.Find[*ikemsg.SA](ps)
		sent++
		count := map[suite.TransformType]int{}
		for _, p := range sa.Proposals {
			for _, tr := range p.Transforms {
				count[tr.Type]++
			}
		}
		if p := sa.Proposals[0]; p.Protocol == ikemsg.ProtoIKE && (len(sa.Proposals) != 1 || len(p.Transforms) != 3) {
			t.Errorf("the rekey of the IKE SA offers %+v, not the suite in force alone", sa.Proposals)
		}
		for typ, n := range count {
			if n > reads {
				t.Errorf("%d transforms of type %v", n, typ)
			}
		}
		if refuse {
			return nil
		}
		return ps
	})
	w.r.do(RekeyChild{w.r.onlyChild()})
	w.run(time.Second)
	refuse = false
	w.run(10 * time.Second)
	w.r.do(RekeyIKE{})
	w.run(10 * time.Second)
	if sent < 3 {
		t.Fatalf("%d requests seen", sent)
	}
	w.settled(1)
}

// TestWindowsWideSelectorsAtARekeyAreNarrowedAgain: it sends 0.0.0.0/0 instead
// of what was agreed.
func TestWindowsWideSelectorsAtARekeyAreNarrowedAgain(t *testing.T) {
	w := newWorld(t, 1)
	w.r.child.PFSOptional = true
	w.up()
	was := w.i.session.children[0].tsLocal
	answer := w.says(w.i, ikemsg.ExchangeCreateChildSA, childRequest("aes256gcm16", anywhere, anywhere, rekeySA(w.i.onlyChild()))...)
	if ts, ok := ikemsg.FindTS(answer, false); !ok || !slices.Equal(ts.Selectors, was) {
		t.Errorf("the rekeyed child has TSi %v, want %v", ts, was)
	}
}

// TestAppleGetsTheChainItDoesNotAskFor: it sends no CERTREQ.
func TestAppleGetsTheChainItDoesNotAskFor(t *testing.T) {
	w := newWorld(t, 1)
	w.i.cfg.Authorities = nil
	certificates, asked := 0, false
	w.intercept(w.i, ikemsg.ExchangeIKEAuth, false, func(ps []ikemsg.Payload) []ikemsg.Payload {
		_, asked = ikemsg.Find[*ikemsg.CertReq](ps)
		return ps
	})
	spy := w.mangle
	w.mangle = func(p *peer, d Datagram) []Datagram {
		if h, err := ikemsg.ParseHeader(d.Data); err == nil && p == w.r && h.Exchange == ikemsg.ExchangeIKEAuth {
			for range ikemsg.All[*ikemsg.Cert](own(t, p.session.find(flip(h)), d.Data)) {
				certificates++
			}
		}
		return spy(p, d)
	}
	w.up()
	if asked || certificates != len(w.r.cred.identity.Chain) {
		t.Errorf("asked %v; %d certificates came, the chain has %d", asked, certificates, len(w.r.cred.identity.Chain))
	}
}

func TestAppleGetsItsFirstAcceptableProposal(t *testing.T) {
	w := newWorld(t, 1)
	w.r.policy.IKE = ikeProposals("aes256-sha256-ecp256", "aes256gcm16-prfsha256-ecp256")
	for _, c := range []struct {
		kind PeerKind
		more []ikemsg.Payload
		want uint8
	}{
		{Apple, notifies(redirect, natS, natD, frag), 1},
		{UnknownPeer, notifies(natS, natD, frag), 3}, // our first
	} {
		answer := w.initAnswer(initMessage(func(m *ikemsg.Message) {
			m.Payloads = append(append(slices.Clone(appleOffer), c.more...), m.Payloads[3:]...)
			m.Payloads[1] = must(ikemsg.Parse(initMessage(nil))).Payloads[1] // a KE value that is one
			if c.kind == Apple {
				m.Payloads = append(m.Payloads[:len(m.Payloads)-1], &ikemsg.Notify{Type: 40000, Data: make([]byte, 1000)})
			}
		}))
		sa, ok := ikemsg.Find[*ikemsg.SA](answer.Payloads)
		if !ok || sa.Proposals[0].Number != c.want || w.r.session.kind != c.kind {
			t.Errorf("%v (taken for %v): answer %s %+v, want proposal %d", c.kind, w.r.session.kind, describe(answer.Payloads), sa, c.want)
		}
	}
}

var update = flag.Bool("update", false, "write docs/peer-kinds.md anew")

// signWords say in a document what a sign is.
var signWords = []struct {
	sign  signs
	words string
}{
	{microsoftVID, "Vendor ID of Microsoft"}, {strongSwanVID, "Vendor ID of strongSwan"}, {libreswanVID, "Vendor ID `OE-Libreswan-`"},
	{sallyportVID, "Vendor ID of our client"}, {foreignVID, "another maker's Vendor ID"},
	{signatureHashes, "SIGNATURE_HASH_ALGORITHMS"}, {redirectSupported, "REDIRECT_SUPPORTED"}, {fragmentation, "FRAGMENTATION_SUPPORTED"},
	{abilitiesFirst, "FRAGMENTATION_SUPPORTED and SIGNATURE_HASH_ALGORITHMS before NAT detection"},
	{modp4096First, "MODP-4096 first in every proposal"}, {multipleAuth, "MULTIPLE_AUTH_SUPPORTED"},
	{messageIDSync, "IKEV2_MESSAGE_ID_SYNC_SUPPORTED"},
	{noTFCPadding, "ESP_TFC_PADDING_NOT_SUPPORTED"}, {nonFirstFragments, "NON_FIRST_FRAGMENTS_ALSO"},
	{microsoftServer, "CP asks for 23456 or 23457"}, {applicationVersion, "CP asks for APPLICATION_VERSION"}, {dhcpServer, "CP asks for INTERNAL_IP4_DHCP"},
}

func inWords(s signs) string {
	var all []string
	for _, w := range signWords {
		if s&w.sign != 0 {
			all = append(all, w.words)
			s &^= w.sign
		}
	}
	if s != 0 {
		panic(fmt.Sprintf("no words for the signs %#x", s))
	}
	return strings.Join(all, ", ")
}

// quirkWords, by the name of the field.
var quirkWords = map[string]string{
	"peerOrder":      "its first acceptable proposal is taken, not ours",
	"groupInAll":     "asked for another group only if all its proposals have it",
	"pfsOptional":    "child rekeys with and without key exchange, whatever the policy says",
	"leadsRekeys":    "leads child rekeys: the first always, all behind a NAT",
	"sameSuiteOnly":  "offered only the suite in force when we rekey the IKE SA",
	"noGroupAtRekey": "a rekey with another group is refused with a record, not asked again",
}

func quirksInWords(k PeerKind) string {
	var all []string
	v := reflect.ValueOf(k.quirks())
	for i := range v.NumField() {
		if v.Field(i).Bool() {
			all = append(all, quirkWords[v.Type().Field(i).Name])
		}
	}
	return strings.Join(all, "; ")
}

const kindsHead = `# How clients are told apart

The gateway guesses a client's software from its IKE_SA_INIT request, and holds
the guess against its first IKE_AUTH. ` + "`sallyport sessions list`" + `, the log and the
records of refusals name it. It is the client's own word: only convenience hangs
on it. A client that shows the signs of two makers, or none, is unknown and gets
no quirk. This page is written by a test from the tables in
` + "`protocol/ike/fingerprint.go`" + `: ` + "`go test ./protocol/ike -run PeerKinds -update`" + `.

## Evidence

Each row stands for itself. Without IKE_AUTH's part the guess is taken back; a
row marked *late* says nothing before it.

| client | IKE_SA_INIT has | neither has | IKE_AUTH has | |
|---|---|---|---|---|
`

const kindsTail = `
What every client gets is no quirk: the gateway's whole chain without CERTREQ, any
number of the first proposal, the IDr that was asked for, traffic selectors wider
than agreed narrowed again at a rekey, EAP-Identity before a method, several
rekeys of one child before its DELETE, and a CP payload in CREATE_CHILD_SA
ignored. The gateway sends no REDIRECT.

## What cannot be told

- **strongSwan's app for Android** says what charon on a desktop says: its wrong
  NAT detection hash looks like a NAT, and it too supports multiple authentication.
- **MikroTik** shows nothing that we know to be its own.
- **libreswan** is told by the order of its notifies, from its source; its Vendor
  ID is off unless configured.
- **Racoon** speaks IKEv1 only.

Recorded from real peers are the messages of strongSwan 5.9.8 and of our client
(` + "`protocol/ike/testdata`" + `); those of the others are made after their makers'
documents, sources and logs of real connections.
`

func peerKindsPage() string {
	var b strings.Builder
	b.WriteString(kindsHead)
	for _, e := range fingerprints {
		late := ""
		if e.late {
			late = "late"
		}
		fmt.Fprintf(&b, "| %v | %s | %s | %s | %s |\n", e.kind, inWords(e.init), inWords(e.never), inWords(e.auth), late)
	}
	b.WriteString("\n## Quirks\n\n| client | what it gets |\n|---|---|\n")
	for i := range peerNames {
		if k := PeerKind(i); quirksInWords(k) != "" {
			fmt.Fprintf(&b, "| %v | %s |\n", k, quirksInWords(k))
		}
	}
	b.WriteString(kindsTail)
	return b.String()
}

func TestPeerKindsPageIsUpToDate(t *testing.T) {
	const path = "../../docs/peer-kinds.md"
	if *update {
		if err := os.WriteFile(path, []byte(peerKindsPage()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != peerKindsPage() {
		t.Errorf("%s is not what the tables say (%v): go test ./protocol/ike -run PeerKinds -update", path, err)
	}
	for f := range reflect.TypeFor[quirks]().Fields() {
		if quirkWords[f.Name] == "" {
			t.Errorf("the page has no words for the quirk %s", f.Name)
		}
	}
}

func TestUnknownPeersHaveNoQuirk(t *testing.T) {
	for _, k := range []PeerKind{UnknownPeer, StrongSwan, Libreswan, Sallyport, 200} {
		if k.quirks() != (quirks{}) {
			t.Errorf("%v has %+v", k, k.quirks())
		}
	}
}
