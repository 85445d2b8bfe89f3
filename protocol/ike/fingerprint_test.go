package ike

import (
	"bufio"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// firstMessages are what a client says before it is let in.
type firstMessages struct {
	name       string
	init, auth []ikemsg.Payload
	guess      PeerKind // after IKE_SA_INIT
	kind       PeerKind // after IKE_AUTH
}

func notifies(types ...ikemsg.NotifyType) (ps []ikemsg.Payload) {
	for _, t := range types {
		n := &ikemsg.Notify{Type: t}
		switch t {
		case ikemsg.NotifySignatureHashAlgorithms:
			n.Data = []byte{0, 2, 0, 3, 0, 4}
		case ikemsg.NotifyNATDetectionSourceIP, ikemsg.NotifyNATDetectionDestinationIP:
			n.Data = make([]byte, 20)
		}
		ps = append(ps, n)
	}
	return ps
}

func vendors(ids ...string) (ps []ikemsg.Payload) {
	for _, id := range ids {
		ps = append(ps, &ikemsg.VendorID{Data: must(hex.DecodeString(id))})
	}
	return ps
}

// offering is SA, KE and nonce; the KE payload has the group named.
func offering(group uint16, proposals ...string) []ikemsg.Payload {
	return []ikemsg.Payload{
		offer(ikeProposals(proposals...), ikemsg.ProtoIKE, nil, false),
		&ikemsg.KE{Group: group, Data: make([]byte, suite.PublicSize(suite.Transform{Type: suite.KE, ID: group}))},
		&ikemsg.Nonce{Data: make([]byte, 32)},
	}
}

// asking is the inside of an IKE_AUTH request, with what stands before and
// after the CFG_REQUEST and its attributes.
func asking(before, after []ikemsg.Payload, attributes ...ikemsg.CPAttributeType) []ikemsg.Payload {
	cp := &ikemsg.CP{Kind: ikemsg.CPRequest}
	for _, a := range attributes {
		cp.Attributes = append(cp.Attributes, ikemsg.CPAttribute{Type: a})
	}
	return slices.Concat([]ikemsg.Payload{&ikemsg.ID{Kind: ikemsg.IDFQDN, Data: []byte("laptop")}}, before, []ikemsg.Payload{
		cp, offer(espProposals("aes256gcm16"), ikemsg.ProtoESP, []byte{0xc0, 1, 2, 3}, true),
		&ikemsg.TS{Selectors: anywhere}, &ikemsg.TS{Responder: true, Selectors: anywhere},
	}, after)
}

// Short names for the tables below.
const (
	natS     = ikemsg.NotifyNATDetectionSourceIP
	natD     = ikemsg.NotifyNATDetectionDestinationIP
	frag     = ikemsg.NotifyFragmentationSupported
	hashes   = ikemsg.NotifySignatureHashAlgorithms
	redirect = ikemsg.NotifyRedirectSupported
	mobike   = ikemsg.NotifyMOBIKESupported
	multiple = ikemsg.NotifyMultipleAuthSupported
	noTFC    = ikemsg.NotifyESPTFCPaddingNotSupported
	nonFirst = ikemsg.NotifyNonFirstFragmentsAlso
	eapOnly  = ikemsg.NotifyEAPOnlyAuthentication
	contact  = ikemsg.NotifyInitialContact

	microsoft9 = "1e2b516905991c7d7c96fcbfb587e46100000009"
	discovery  = "fb1de3cdf341b7ea16b7e5be0855f120"
	strongswan = "882fe56d6fd20dbc2251613b2ebe5beb"
	cisco      = "434953434f2d44454c4554452d524541534f4e" // CISCO-DELETE-REASON
)

var (
	appleAsks   = []ikemsg.CPAttributeType{1, 2, 6, 3, 8, 12, 10, 25}
	androidAsks = []ikemsg.CPAttributeType{1, 8, 3, 10, ikemsg.ApplicationVersion}
	swanAsks    = []ikemsg.CPAttributeType{1, 8, 3, 10}
	windowsAsks = []ikemsg.CPAttributeType{1, 3, 4, ikemsg.MSInternalIP4Server, 8, 10, ikemsg.MSInternalIP6Server}

	windowsOffer = offering(20, "aes256-sha384-ecp384")
	appleOffer   = offering(19, "aes256gcm16-prfsha256-ecp256", "aes256gcm16-prfsha256-modp2048", "aes256-sha256-ecp256", "aes256-sha256-modp2048")
	androidLists = []string{"aes256-sha512-sha384-sha256-modp4096-x25519-modp3072-modp2048", "chacha20poly1305-aes256gcm16-prfsha512-prfsha384-prfsha256-modp4096-x25519-modp3072-modp2048"}
	appOffer     = offering(19, "aes256-aes128-sha256-sha384-ecp256-ecp384-ecp521-x25519-modp3072-modp4096-modp2048", "aes256gcm16-aes128gcm16-prfsha256-ecp256-ecp384-x25519-modp4096")
	swanOffer    = offering(31, "aes128gcm16-aes256gcm16-prfsha256-prfsha384-x25519-ecp256-ecp384-modp3072-modp4096")
	libreOffer   = offering(14, "aes256gcm16-prfsha512-prfsha256-modp2048-modp3072-modp4096-ecp256", "aes256-sha512-sha256-modp2048-ecp256")
	routerOffer  = offering(14, "aes128-sha256-modp2048")

	appleAuth   = slices.Insert(asking(notifies(contact), notifies(mobike), appleAsks...), 3, notifies(noTFC, nonFirst)...) // before SA
	androidAuth = asking(nil, notifies(mobike), androidAsks...)
	swanAuth    = asking(notifies(contact), notifies(mobike, multiple, eapOnly), swanAsks...)
)

// clients are the messages as the makers' documents, sources and logs of real
// connections have them.
var clients = []firstMessages{
	{"Windows", append(windowsOffer, append(notifies(frag, natS, natD), vendors(microsoft9, discovery, "26244d38eddb61b3172a36e3d0cfb819", "01528bbbc00696121849ab9a1c5b2a5100000002")...)...),
		asking(notifies(mobike), nil, windowsAsks...), Windows, Windows},
	{"Windows, a build without its first Vendor ID", append(windowsOffer, append(notifies(frag, natS, natD), vendors(discovery)...)...),
		asking(notifies(mobike), nil, windowsAsks...), Windows, Windows},
	{"Windows, told by its attributes alone", append(windowsOffer, notifies(frag, natS, natD)...), asking(nil, nil, windowsAsks...), UnknownPeer, Windows},
	{"Windows, with a cookie", append(notifies(ikemsg.NotifyCookie), append(windowsOffer, vendors(microsoft9)...)...), asking(nil, nil, windowsAsks...), Windows, Windows},
	{"iOS 17", append(appleOffer, notifies(redirect, natS, natD, frag)...), appleAuth, Apple, Apple},
	{"iOS 17, EAP-only", append(appleOffer, notifies(redirect, natS, natD, frag)...), append(slices.Clip(appleAuth), notifies(eapOnly)...), Apple, Apple},
	{"macOS, a profile with DisableRedirect", append(offering(19, "aes256gcm16-prfsha256-ecp256"), notifies(natS, natD, frag)...), appleAuth, UnknownPeer, Apple},
	{"Android", append(offering(16, androidLists...), notifies(natS, natD, frag, hashes)...), androidAuth, Android, Android},
	{"Android, told another group", append(offering(31, androidLists...), notifies(natS, natD, frag, hashes)...), androidAuth, Android, Android},
	{"Android, another list of groups", append(offering(14, "aes256gcm16-prfsha512-modp2048"), notifies(natS, natD, frag, hashes)...), androidAuth, UnknownPeer, Android},
	{"charon", append(swanOffer, notifies(natS, natD, frag, hashes, redirect)...), swanAuth, StrongSwan, StrongSwan},
	{"charon with its Vendor ID", append(swanOffer, append(notifies(natS, natD, frag, hashes, redirect), vendors(strongswan)...)...), swanAuth, StrongSwan, StrongSwan},
	{"charon that follows no redirect", append(swanOffer, notifies(natS, natD, frag, hashes)...), swanAuth, UnknownPeer, StrongSwan},
	{"charon without RFC 7427", append(swanOffer, notifies(natS, natD, frag)...), swanAuth, UnknownPeer, StrongSwan},
	{"charon without multiple authentication", append(swanOffer, notifies(natS, natD, frag, hashes, redirect)...), asking(nil, notifies(mobike, eapOnly), swanAsks...), StrongSwan, StrongSwan},
	{"charon with MODP-4096 first", append(offering(16, "aes256-sha512-modp4096"), notifies(natS, natD, frag, hashes, redirect)...), swanAuth, StrongSwan, StrongSwan},
	{"strongSwan's app", append(appOffer, notifies(natS, natD, frag, hashes, redirect)...), swanAuth, StrongSwan, StrongSwan},
	{"libreswan", append(libreOffer, notifies(frag, hashes, natS, natD)...), asking(nil, nil, 1, 3, 8, 10, 25), Libreswan, Libreswan},
	{"libreswan, accept-redirect and intermediate", append(libreOffer, notifies(frag, ikemsg.NotifyIntermediateExchangeSupported, redirect, hashes, natS, natD)...), asking(nil, nil, 1, 3), Libreswan, Libreswan},
	{"libreswan with MODP-4096 first", append(offering(16, "aes256-sha512-modp4096"), notifies(frag, hashes, natS, natD)...), asking(nil, nil, 1, 3), Libreswan, Libreswan},
	{"libreswan with its Vendor ID", append(libreOffer, append(notifies(frag, natS, natD), &ikemsg.VendorID{Data: []byte("OE-Libreswan-5.2")})...), asking(nil, nil, 1, 3), Libreswan, Libreswan},
	{"Sallyport", append(swanOffer, append(notifies(natS, natD, hashes, frag), &ikemsg.VendorID{Data: vidSallyport})...), asking(nil, notifies(mobike), swanAsks...), Sallyport, Sallyport},
	{"Sallyport with MODP-4096 alone", append(offering(14, "aes256gcm16-prfsha512-modp2048"), append(notifies(natS, natD, hashes, frag), &ikemsg.VendorID{Data: vidSallyport})...), asking(nil, notifies(mobike), swanAsks...), Sallyport, Sallyport},

	// Who shows nothing of its own, or something of two, is unknown.
	{"MikroTik", append(routerOffer, notifies(natS, natD)...), asking(notifies(contact), nil, 1, 2, 3), UnknownPeer, UnknownPeer},
	{"a bare initiator", routerOffer, asking(nil, nil, 1), UnknownPeer, UnknownPeer},
	{"Apple at first sight only", append(routerOffer, notifies(redirect, natS, natD, frag)...), asking(nil, nil, appleAsks...), Apple, UnknownPeer},
	{"Apple's notifies from one with a Vendor ID", append(routerOffer, append(notifies(redirect, natS, natD, frag), vendors(cisco)...)...), appleAuth, UnknownPeer, UnknownPeer},
	{"both of Apple's notifies and no DHCP", append(routerOffer, notifies(natS, natD, frag)...), asking(notifies(noTFC, nonFirst), nil, swanAsks...), UnknownPeer, UnknownPeer},
	{"Android at first sight only", append(offering(16, "aes256-sha512-modp4096"), notifies(natS, natD, frag, hashes)...), asking(nil, nil, swanAsks...), Android, UnknownPeer},
	{"Cisco's client, which asks for the version", append(routerOffer, append(notifies(natS, natD, frag, hashes), vendors(cisco)...)...), androidAuth, UnknownPeer, UnknownPeer},
	{"MODP-4096 first in one of two proposals", append(offering(16, "aes256-sha512-modp4096", "aes256-sha512-ecp256"), notifies(natS, natD, frag, hashes)...), asking(nil, nil, swanAsks...), UnknownPeer, UnknownPeer},
	{"libreswan posing as strongSwan", append(libreOffer, append(notifies(frag, hashes, natS, natD), vendors(strongswan)...)...), asking(nil, nil, 1, 3), UnknownPeer, UnknownPeer},
	{"two makers' Vendor IDs", append(routerOffer, vendors(microsoft9, strongswan)...), asking(nil, nil, 1, 3), UnknownPeer, UnknownPeer},
	{"strongSwan with Windows' attributes", append(swanOffer, notifies(natS, natD, frag, hashes, redirect)...), asking(nil, nil, windowsAsks...), StrongSwan, UnknownPeer},
	{"Microsoft's Vendor ID, one octet short", append(routerOffer, vendors(microsoft9[:30])...), asking(nil, nil, 1, 3), UnknownPeer, UnknownPeer},
	{"Microsoft's Vendor ID, not at the start", append(routerOffer, vendors("00"+microsoft9)...), asking(nil, nil, 1, 3), UnknownPeer, UnknownPeer},
}

// onWire are first messages as octets; auth is the inside of IKE_AUTH.
type onWire struct {
	name      string
	init      []byte
	authFirst ikemsg.PayloadType
	auth      []byte
}

func (m firstMessages) wire() onWire {
	init := initMessage(func(x *ikemsg.Message) { x.Payloads = m.init })
	return onWire{m.name, init, ikemsg.FirstType(m.auth), must(ikemsg.AppendPayloads(nil, m.auth))}
}

// kinds is what the first message tells, and both.
func (m onWire) kinds() (guess, kind PeerKind) {
	seen := signsOf(must(ikemsg.Parse(m.init)).Payloads)
	return judge(seen, false), judge(seen|signsOf(must(ikemsg.ParsePayloads(m.authFirst, m.auth))), true)
}

func TestEveryClientIsKnownByItsFirstMessages(t *testing.T) {
	met := map[PeerKind]bool{}
	for _, c := range clients {
		guess, kind := c.wire().kinds()
		if guess != c.guess || kind != c.kind {
			t.Errorf("%s: taken for %v, then for %v; want %v, then %v", c.name, guess, kind, c.guess, c.kind)
		}
		met[kind] = true
	}
	for i := range peerNames {
		if k := PeerKind(i); k != Racoon && !met[k] { // which speaks IKEv1 alone
			t.Errorf("no client is %v", PeerKind(i))
		}
	}
}

// recorded reads testdata/first-messages.txt.
func recorded(t testing.TB) (all []onWire) {
	t.Helper()
	f := must(os.Open("testdata/first-messages.txt"))
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "peer":
			all = append(all, onWire{name: rest})
		case "init":
			all[len(all)-1].init = must(hex.DecodeString(rest))
		case "auth":
			b := must(hex.DecodeString(rest))
			all[len(all)-1].authFirst, all[len(all)-1].auth = ikemsg.PayloadType(b[0]), b[1:]
		}
	}
	return all
}

func TestRecordedClientsAreKnown(t *testing.T) {
	want := map[string]PeerKind{"strongSwan": StrongSwan, "Sallyport's": Sallyport}
	all := recorded(t)
	if len(all) < 4 {
		t.Fatalf("%d recordings", len(all))
	}
	for _, r := range all {
		maker, _, _ := strings.Cut(r.name, " ")
		if guess, kind := r.kinds(); guess != want[maker] || kind != want[maker] {
			t.Errorf("%s: taken for %v, then for %v", r.name, guess, kind)
		}
	}
}

func TestTheGatewayKnowsOurClientAndTakesBackAWrongGuess(t *testing.T) {
	w := newWorld(t, 1)
	w.up()
	if w.r.est.PeerKind != Sallyport {
		t.Errorf("our own client is taken for %v", w.r.est.PeerKind)
	}
	if w.i.est.PeerKind != UnknownPeer {
		t.Errorf("the gateway gives itself away as %v", w.i.est.PeerKind)
	}
	w = newWorld(t, 1)
	w.intercept(w.i, ikemsg.ExchangeIKEAuth, false, func(ps []ikemsg.Payload) []ikemsg.Payload {
		return append(ps, notifies(multiple)...) // which only strongSwan says
	})
	w.up()
	if w.r.est.PeerKind != UnknownPeer {
		t.Errorf("with signs of two makers it is taken for %v", w.r.est.PeerKind)
	}
}

func TestVendorIDsAreTheHashesOfTheirTexts(t *testing.T) {
	sum := func(text string) string { s := md5.Sum([]byte(text)); return string(s[:]) }
	for i, text := range []string{"MS NT5 ISAKMPOAKLEY", "MS-Negotiation Discovery Capable", "strongSwan"} {
		if string(vendorIDs[i].prefix) != sum(text) {
			t.Errorf("%x is not the MD5 of %q", vendorIDs[i].prefix, text)
		}
	}
	if own := sha256.Sum256([]byte("Sallyport IKEv2 client")); string(own[:16]) != string(vidSallyport) {
		t.Errorf("%x is not the hash of its text", vidSallyport)
	}
}
