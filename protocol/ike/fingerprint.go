package ike

import (
	"bytes"
	"fmt"

	"sallyport/protocol/ike/ikemsg"
)

// PeerKind is the fingerprint of the peer's software; quirks hang on it.
type PeerKind uint8

// The peers we can tell apart.
const (
	UnknownPeer PeerKind = iota
	Windows
	Apple
	Android    // built in, Android 11 and later
	StrongSwan // charon on a desktop or server, NetworkManager, and the app for Android, which says the same
)

var peerNames = [...]string{"unknown", "Windows", "Apple", "Android", "strongSwan"}

func (k PeerKind) String() string {
	if int(k) < len(peerNames) {
		return peerNames[k]
	}
	return fmt.Sprintf("peer kind %d", uint8(k))
}

// quirks are what a kind of peer needs different from the RFC's default.
type quirks struct {
	peerOrder     bool // the first proposal it sends is the one it means
	groupInAll    bool // honours INVALID_KE_PAYLOAD only for a group that is in all its proposals
	pfsOptional   bool // rekeys with and without KE
	leadsRekeys   bool // it must start child rekeys itself: the first always, and all behind a NAT
	sameSuiteOnly bool // in our rekeys it copes only with the suite in force
}

var quirksOf = [...]quirks{
	Windows: {leadsRekeys: true, sameSuiteOnly: true},
	Apple:   {peerOrder: true, pfsOptional: true},
	Android: {groupInAll: true},
}

func (k PeerKind) quirks() quirks {
	if int(k) < len(quirksOf) {
		return quirksOf[k]
	}
	return quirks{}
}

// Vendor IDs that tell, without the version that follows.
var (
	vidMicrosoft  = []byte("\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61") // "MS NT5 ISAKMPOAKLEY"
	vidStrongSwan = []byte("\x88\x2f\xe5\x6d\x6f\xd2\x0d\xbc\x22\x51\x61\x3b\x2e\xbe\x5b\xeb") // "strongSwan"
)

// Groups that give a client away by being first.
const (
	groupMODP4096 = 16
	groupECP256   = 19
)

// Fingerprint guesses from an IKE_SA_INIT request who sent it. It is only a
// guess until IKE_AUTH: nothing but convenience may hang on it.
func Fingerprint(m *ikemsg.Message) PeerKind {
	has := func(t ikemsg.NotifyType) bool {
		_, ok := ikemsg.FindNotify(m.Payloads, t)
		return ok
	}
	vendor := false
	for v := range ikemsg.All[*ikemsg.VendorID](m.Payloads) {
		vendor = true
		switch {
		case bytes.HasPrefix(v.Data, vidMicrosoft):
			return Windows
		case bytes.HasPrefix(v.Data, vidStrongSwan):
			return StrongSwan
		}
	}
	hashes := has(ikemsg.NotifySignatureHashAlgorithms)
	redirect := has(ikemsg.NotifyRedirectSupported)
	ke, _ := ikemsg.Find[*ikemsg.KE](m.Payloads)
	switch {
	case !vendor && redirect && has(ikemsg.NotifyFragmentationSupported) && !hashes:
		return Apple
	case hashes && redirect:
		return StrongSwan
	case hashes && ke != nil && ke.Group == groupMODP4096:
		return Android
	}
	return UnknownPeer
}

// fingerprintAuth refines the guess with the first IKE_AUTH request.
func fingerprintAuth(k PeerKind, ps []ikemsg.Payload) PeerKind {
	cp, ok := ikemsg.Find[*ikemsg.CP](ps)
	_, multiple := ikemsg.FindNotify(ps, ikemsg.NotifyMultipleAuthSupported)
	switch {
	case ok && (asks(cp, ikemsg.MSInternalIP4Server) || asks(cp, ikemsg.MSInternalIP6Server)):
		return Windows
	case k == UnknownPeer && multiple:
		return StrongSwan
	}
	return k
}

// fingerprintResponder guesses from an IKE_SA_INIT answer.
func fingerprintResponder(m *ikemsg.Message) PeerKind {
	for v := range ikemsg.All[*ikemsg.VendorID](m.Payloads) {
		switch {
		case bytes.HasPrefix(v.Data, vidMicrosoft):
			return Windows
		case bytes.HasPrefix(v.Data, vidStrongSwan):
			return StrongSwan
		}
	}
	if _, ok := ikemsg.FindNotify(m.Payloads, ikemsg.NotifyMultipleAuthSupported); ok {
		return StrongSwan
	}
	return UnknownPeer
}
