package suite

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// l2tpWords are what the two phases of IKEv1 have numbers for, as far as it is
// sound (RFC 2409, Appendix A; RFC 2407, Section 4.4.4 and Section 4.5). The
// ciphers with integrity of their own are for ESP alone (RFC 4106, Section 8).
var l2tpWords = map[Protocol][]string{
	ProtocolIKE: strings.Fields("aes128 aes192 aes256 sha256 sha384 sha512 " + l2tpGroups),
	ProtocolESP: strings.Fields("aes128gcm16 aes192gcm16 aes256gcm16 aes128 aes192 aes256 sha256 sha384 sha512 modpnone esn noesn " + l2tpGroups),
}

const l2tpGroups = "ecp256 ecp384 ecp521 modp2048 modp3072 modp4096"

// sha1Word is the one word that a waiver of CRY-005 adds, as HMAC and as hash of
// phase 1. No waiver adds another.
const sha1Word = "sha1"

// ParseL2TPProposal reads a proposal of an L2TP zone, whose clients speak IKEv1,
// in the keywords of [ParseProposal]: ProtocolIKE is phase 1, ProtocolESP is
// phase 2. With sha1, which takes a waiver of CRY-005, "sha1" is a word too;
// [ParseProposal], which IKEv2 zones are read by, never takes it.
//
// IKEv1 negotiates one hash for all uses in phase 1 (RFC 2409, Section 4), so
// there is no word for a PRF: the PRFs are those of the hashes, in their order.
// Extended sequence numbers (RFC 4304) must be asked for.
func ParseL2TPProposal(p Protocol, text string, sha1 bool) (Proposal, error) {
	ts, err := parseWords(text, func(a Algorithm) error { return refuseForL2TP(p, a, sha1) })
	if err == nil {
		ts, err = completeL2TP(p, ts)
	}
	if err != nil {
		return Proposal{}, fmt.Errorf("suite: L2TP %v proposal %q: %w", p, abbreviate(text), err)
	}
	return Proposal{p, ts}, nil
}

// refuseForL2TP says why a zone cannot take an algorithm.
func refuseForL2TP(p Protocol, a Algorithm, sha1 bool) error {
	switch {
	case a.Keyword == sha1Word && sha1:
		return nil
	case a.Keyword == sha1Word:
		return fmt.Errorf("%s is taken only where CRY-005 is waived: %s", a.Keyword, a.Note)
	case !a.Usable():
		return refuseWeak(a)
	case a.Type == PRF:
		return fmt.Errorf("leave out %s: the hash of phase 1 serves as PRF too (RFC 2409, Section 4)", a.Keyword)
	case !slices.Contains(l2tpWords[p], a.Keyword):
		return fmt.Errorf("IKEv1 has no %s for %v", a.Keyword, p)
	}
	return nil
}

func completeL2TP(p Protocol, ts []Transform) ([]Transform, error) {
	of := Proposal{p, ts}.Of
	encrs, integs, kes, esns := of(Encr), of(Integ), of(KE), of(ESN)
	if err := checkEncr(encrs, integs); err != nil {
		return nil, err
	}
	if p == ProtocolESP {
		if len(kes) == 1 && kes[0] == ke(0) {
			kes = nil
		}
		if len(esns) == 0 {
			esns = []Transform{esn(0)}
		}
		return slices.Concat(encrs, integs, kes, esns), nil
	}
	if len(kes) == 0 {
		return nil, errors.New("needs a group, such as ecp384, and cannot do without")
	}
	var prfs []Transform
	for _, i := range integs {
		a, _ := ByKeyword("prf" + i.String()) // each hash of l2tpWords has one
		prfs = append(prfs, a.Transform)
	}
	return slices.Concat(encrs, prfs, integs, kes), nil
}
