package ike

import (
	"bytes"
	"fmt"
	"slices"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// PeerKind is the fingerprint of the peer's software; quirks hang on it. It is
// a guess, and its messages are the peer's own word: nothing but convenience
// may hang on it. Who cannot be told apart is UnknownPeer and gets no quirk.
type PeerKind uint8

// The peers we can tell apart.
const (
	UnknownPeer PeerKind = iota // MikroTik is among them: it says nothing of its own
	Windows
	Apple
	Android    // built in, Android 11 and later
	StrongSwan // charon on a desktop or server, NetworkManager, and the app for Android, which says the same
	Libreswan
	Sallyport // our own client
	Racoon    // IKEv1 alone: Android before 12, old Linux and BSD
)

var peerNames = [...]string{"unknown", "Windows", "Apple", "Android", "strongSwan", "Libreswan", "Sallyport", "racoon"}

func (k PeerKind) String() string {
	if int(k) < len(peerNames) {
		return peerNames[k]
	}
	return fmt.Sprintf("peer kind %d", uint8(k))
}

// signs are what a peer's first messages show of its software.
type signs uint32

const (
	microsoftVID signs = 1 << iota
	strongSwanVID
	libreswanVID
	sallyportVID
	foreignVID // one that we do not know
	signatureHashes
	redirectSupported
	fragmentation
	abilitiesFirst // FRAGMENTATION_SUPPORTED and SIGNATURE_HASH_ALGORITHMS stand before NAT detection
	modp4096First  // the first group of every proposal for IKE
	multipleAuth
	messageIDSync // RFC 6311, which of all clients strongSwan alone speaks of
	noTFCPadding
	nonFirstFragments
	microsoftServer    // CP asks for 23456 or 23457
	applicationVersion // CP asks for it
	dhcpServer         // CP asks for INTERNAL_IP4_DHCP
)

// evidence is a row of the table of fingerprints.
type evidence struct {
	kind  PeerKind
	init  signs // IKE_SA_INIT shows all of them
	never signs // and neither message one of these
	auth  signs // IKE_AUTH confirms with all of these
	late  bool  // too weak before IKE_AUTH
}

// fingerprints is the table. Each row stands for itself; a peer whom rows of
// two kinds fit pretends to be something, and is unknown.
var fingerprints = []evidence{
	{kind: Windows, init: microsoftVID},
	{kind: Windows, auth: microsoftServer, late: true},
	{kind: Apple, init: redirectSupported | fragmentation, never: foreignVID | signatureHashes, auth: noTFCPadding | nonFirstFragments},
	// A profile with DisableRedirect.
	{kind: Apple, never: foreignVID | signatureHashes, auth: noTFCPadding | nonFirstFragments | dhcpServer, late: true},
	{kind: Android, init: signatureHashes | modp4096First, never: redirectSupported | abilitiesFirst, auth: applicationVersion},
	// Other lists of groups; Cisco's clients ask for the version too, and have Vendor IDs.
	{kind: Android, init: signatureHashes, never: redirectSupported | abilitiesFirst | foreignVID, auth: applicationVersion, late: true},
	{kind: StrongSwan, init: strongSwanVID},
	{kind: StrongSwan, init: signatureHashes | redirectSupported, never: foreignVID | abilitiesFirst},
	{kind: StrongSwan, auth: multipleAuth, late: true},
	// Told to do without RFC 7427 it looks like Apple until then.
	{kind: StrongSwan, never: foreignVID | noTFCPadding, auth: messageIDSync, late: true},
	{kind: Libreswan, init: libreswanVID},
	{kind: Libreswan, init: abilitiesFirst, never: foreignVID},
	{kind: Sallyport, init: sallyportVID},
}

// judge holds what was seen against the table. A guess that IKE_AUTH does not
// confirm is taken back.
func judge(seen signs, auth bool) PeerKind {
	kind := UnknownPeer
	for _, e := range fingerprints {
		want := e.init
		if auth {
			want |= e.auth
		}
		switch {
		case e.late && !auth, seen&want != want, seen&e.never != 0:
		case kind != UnknownPeer && kind != e.kind:
			return UnknownPeer
		default:
			kind = e.kind
		}
	}
	return kind
}

// quirks are what a kind of peer needs different from the RFC's default.
type quirks struct {
	peerOrder      bool // the first proposal it sends is the one it means
	groupInAll     bool // honours INVALID_KE_PAYLOAD only for a group that is in all its proposals
	pfsOptional    bool // rekeys with and without KE
	leadsRekeys    bool // it must start child rekeys itself: the first always, and all behind a NAT
	sameSuiteOnly  bool // in our rekeys it copes only with the suite in force
	noGroupAtRekey bool // does not come back from INVALID_KE_PAYLOAD at a rekey
}

// quirksOf is the table of them. What every peer gets is not in it: the chain
// without CERTREQ and any proposal number (Apple), the IDr that was asked for
// (Android), wide traffic selectors narrowed again and EAP-Identity (Windows).
var quirksOf = [...]quirks{
	Windows: {leadsRekeys: true, sameSuiteOnly: true, noGroupAtRekey: true},
	Apple:   {peerOrder: true, pfsOptional: true},
	Android: {groupInAll: true},
}

func (k PeerKind) quirks() quirks {
	if int(k) < len(quirksOf) {
		return quirksOf[k]
	}
	return quirks{}
}

// vendorIDs that tell, without the version that may follow.
var vendorIDs = []struct {
	prefix []byte
	sign   signs
}{
	{[]byte("\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61"), microsoftVID},  // MD5 of "MS NT5 ISAKMPOAKLEY"
	{[]byte("\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20"), microsoftVID},  // MD5 of "MS-Negotiation Discovery Capable"
	{[]byte("\x88\x2f\xe5\x6d\x6f\xd2\x0d\xbc\x22\x51\x61\x3b\x2e\xbe\x5b\xeb"), strongSwanVID}, // MD5 of "strongSwan"
	{[]byte("OE-Libreswan-"), libreswanVID},
	{vidSallyport, sallyportVID},
}

// vidSallyport is what our client says of itself: the first half of the
// SHA-256 of "Sallyport IKEv2 client", and no version. The gateway says
// nothing: whoever scans for it shall not learn what answers.
var vidSallyport = []byte("\xc2\x8c\x93\x53\xf5\x5b\x29\x0a\xd4\xc5\xc6\x04\x29\xfe\x57\xe7")

func vendorSign(id []byte) signs {
	for _, v := range vendorIDs {
		if bytes.HasPrefix(id, v.prefix) {
			return v.sign
		}
	}
	return foreignVID
}

// notifySigns are those that a notify gives by being there.
var notifySigns = map[ikemsg.NotifyType]signs{
	ikemsg.NotifySignatureHashAlgorithms:   signatureHashes,
	ikemsg.NotifyRedirectSupported:         redirectSupported,
	ikemsg.NotifyFragmentationSupported:    fragmentation,
	ikemsg.NotifyMultipleAuthSupported:     multipleAuth,
	ikemsg.NotifyMessageIDSyncSupported:    messageIDSync,
	ikemsg.NotifyESPTFCPaddingNotSupported: noTFCPadding,
	ikemsg.NotifyNonFirstFragmentsAlso:     nonFirstFragments,
}

// signsOf reads them from a message, in its order.
func signsOf(ps []ikemsg.Payload) (s signs) {
	nat := false
	for _, p := range ps {
		switch p := p.(type) {
		case *ikemsg.VendorID:
			s |= vendorSign(p.Data)
		case *ikemsg.Notify:
			s |= notifySigns[p.Type]
			const abilities = fragmentation | signatureHashes
			if p.Type == ikemsg.NotifyNATDetectionSourceIP {
				if !nat && s&abilities == abilities {
					s |= abilitiesFirst
				}
				nat = true
			}
		case *ikemsg.SA:
			s |= offerSigns(p)
		case *ikemsg.CP:
			s |= requestSigns(p)
		}
	}
	return s
}

func offerSigns(sa *ikemsg.SA) signs {
	modp4096 := suite.Transform{Type: suite.KE, ID: 16}
	for _, p := range sa.Proposals {
		i := slices.IndexFunc(p.Transforms, func(t ikemsg.Transform) bool { return t.Type == suite.KE })
		if i < 0 || p.Transforms[i].Transform != modp4096 {
			return 0
		}
	}
	return modp4096First
}

func requestSigns(cp *ikemsg.CP) (s signs) {
	if asks(cp, ikemsg.MSInternalIP4Server) || asks(cp, ikemsg.MSInternalIP6Server) {
		s |= microsoftServer
	}
	if asks(cp, ikemsg.ApplicationVersion) {
		s |= applicationVersion
	}
	if asks(cp, ikemsg.InternalIP4DHCP) {
		s |= dhcpServer
	}
	return s
}
