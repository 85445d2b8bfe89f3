package ikev1

import (
	"bytes"
	"fmt"

	"sallyport/protocol/ikev1/isakmp"
)

// PeerKind is what software the peer is, by its vendor IDs: nothing in them is
// authenticated, and only quirks hang on it.
type PeerKind uint8

// The kinds.
const (
	UnknownPeer PeerKind = iota
	Windows
	Apple  // macOS and iOS: racoon with all drafts of NAT traversal
	Racoon // Android up to 11, old Linux and BSD
	StrongSwan
	Libreswan
)

var peerNames = [...]string{"unknown", "Windows", "Apple", "racoon", "strongSwan", "Libreswan"}

// String names the software.
func (k PeerKind) String() string {
	if int(k) < len(peerNames) {
		return peerNames[k]
	}
	return fmt.Sprintf("peer kind %d", uint8(k))
}

// signs are what the vendor IDs of a first message say.
type signs uint16

const (
	signMicrosoft signs = 1 << iota
	signKAME
	signStrongSwan
	signLibreswan
	signDrafts // 04 to 08 of NAT traversal, which Apple alone lists
	signXAUTH
	signDPD
	signFragment
	signNATT   // RFC 3947
	signNATT03 // the drafts, by number
	signNATT02n
	signNATT02
)

// The vendor IDs that we send ourselves.
var (
	vidNATT     = []byte("\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f")                 // MD5 of "RFC 3947"
	vidNATT03   = []byte("\x7d\x94\x19\xa6\x53\x10\xca\x6f\x2c\x17\x9d\x92\x15\x52\x9d\x56")                 // MD5 of "draft-ietf-ipsec-nat-t-ike-03"
	vidNATT02n  = []byte("\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f")                 // of "draft-ietf-ipsec-nat-t-ike-02\n"
	vidNATT02   = []byte("\xcd\x60\x46\x43\x35\xdf\x21\xf8\x7c\xfd\xb2\xfc\x68\xb6\xa4\x48")                 // of "draft-ietf-ipsec-nat-t-ike-02"
	vidDPD      = []byte("\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00")                 // RFC 3706, Section 5.1
	vidFragment = []byte("\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3\x80\x00\x00\x00") // MD5 of "FRAGMENTATION", and "in main mode"
)

// vendorIDs that tell, without the version that may follow.
var vendorIDs = []struct {
	prefix []byte
	sign   signs
}{
	{[]byte("\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61"), signMicrosoft},  // MD5 of "MS NT5 ISAKMPOAKLEY"
	{[]byte("\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20"), signMicrosoft},  // of "MS-Negotiation Discovery Capable"
	{[]byte("\x70\x03\xcb\xc1\x09\x7d\xbe\x9c\x26\x00\xba\x69\x83\xbc\x8b\x35"), signKAME},       // of "KAME/racoon"
	{[]byte("\x88\x2f\xe5\x6d\x6f\xd2\x0d\xbc\x22\x51\x61\x3b\x2e\xbe\x5b\xeb"), signStrongSwan}, // of "strongSwan"
	{[]byte("OE-Libreswan-"), signLibreswan},
	{[]byte("\x8f\x8d\x83\x82\x6d\x24\x6b\x6f\xc7\xa8\xa6\xa4\x28\xc1\x1d\xe8"), signDrafts}, // of "draft-ietf-ipsec-nat-t-ike-08"
	{[]byte("\x09\x00\x26\x89\xdf\xd6\xb7\x12"), signXAUTH},
	{vidDPD[:14], signDPD}, // two octets of version follow
	{vidFragment[:16], signFragment},
	{vidNATT, signNATT},
	{vidNATT03, signNATT03},
	{vidNATT02n, signNATT02n},
	{vidNATT02, signNATT02},
}

func signsOf(ps []isakmp.Payload) (s signs) {
	for v := range isakmp.All[*isakmp.VendorID](ps) {
		for _, known := range vendorIDs {
			if bytes.HasPrefix(v.Data, known.prefix) {
				s |= known.sign
			}
		}
	}
	return s
}

// fingerprints is the table; the first row that fits counts.
var fingerprints = []struct {
	kind        PeerKind
	want, never signs
}{
	{Windows, signMicrosoft, 0},
	{StrongSwan, signStrongSwan, 0},
	{Libreswan, signLibreswan, 0},
	{Racoon, signKAME, 0},
	{Apple, signDrafts | signNATT | signFragment, 0},
	// Without its own vendor ID, charon still shows these and no older drafts.
	{StrongSwan, signXAUTH | signDPD | signNATT | signNATT02n | signFragment, signNATT03 | signNATT02},
}

func judge(seen signs) PeerKind {
	for _, f := range fingerprints {
		if seen&f.want == f.want && seen&f.never == 0 {
			return f.kind
		}
	}
	return UnknownPeer
}

// natt is a version of NAT traversal.
type natt uint8

const (
	nattNone  natt = iota
	nattDraft      // payloads 130 and 131, modes 61443 and 61444
	nattRFC        // payloads 20 and 21, modes 3 and 4
)

// agreeNATT is the best version both sides know, with the vendor ID that says
// so in the answer.
func agreeNATT(seen signs) (natt, []byte) {
	switch {
	case seen&signNATT != 0:
		return nattRFC, vidNATT
	case seen&signNATT03 != 0:
		return nattDraft, vidNATT03
	case seen&signNATT02n != 0:
		return nattDraft, vidNATT02n
	case seen&signNATT02 != 0:
		return nattDraft, vidNATT02
	}
	return nattNone, nil
}
