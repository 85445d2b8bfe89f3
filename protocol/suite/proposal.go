package suite

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Protocol says what a proposal protects. The numbers are those of the wire
// (RFC 7296, Section 3.3.1).
type Protocol uint8

// The protocols that Sallyport negotiates. AH is never offered or taken.
const (
	ProtocolIKE Protocol = 1
	ProtocolESP Protocol = 3
)

// String returns "IKE" or "ESP".
func (p Protocol) String() string {
	switch p {
	case ProtocolIKE:
		return "IKE"
	case ProtocolESP:
		return "ESP"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// Proposal is a set of transforms of which one per type is chosen, in order
// of preference within a type (RFC 7296, Section 3.3).
type Proposal struct {
	Protocol   Protocol
	Transforms []Transform
}

// Of returns the transforms of one type, most wanted first.
func (p Proposal) Of(typ TransformType) []Transform {
	var of []Transform
	for _, t := range p.Transforms {
		if t.Type == typ {
			of = append(of, t)
		}
	}
	return of
}

// String joins the keywords: "aes256gcm16-prfsha384-ecp384".
func (p Proposal) String() string { return join(p.Transforms...) }

// IKE is the chosen suite of an IKE SA. Integ is the zero Transform with an
// AEAD cipher.
type IKE struct{ Encr, PRF, Integ, KE Transform }

// String joins the keywords: "aes256gcm16-prfsha384-ecp384".
func (s IKE) String() string { return join(s.Encr, s.Integ, s.PRF, s.KE) }

// ESP is the chosen suite of a Child SA. Integ is the zero Transform with an
// AEAD cipher, KE without a key exchange of the child's own (no PFS).
type ESP struct {
	Encr, Integ, KE Transform
	ESN             bool
	Waived          bool // integrity by waiver: see [NewWaivedCipher]
}

// String joins the keywords: "aes256gcm16-ecp384-esn".
func (s ESP) String() string {
	sequence := esn(0)
	if s.ESN {
		sequence = esn(1)
	}
	return join(s.Encr, s.Integ, s.KE, sequence)
}

// join writes keywords; the zero Transform stands for "none" and is left out.
func join(ts ...Transform) string {
	var words []string
	for _, t := range ts {
		if t != (Transform{}) {
			words = append(words, t.String())
		}
	}
	return strings.Join(words, "-")
}

// maxProposalWords bounds one line of configuration; every usable algorithm
// together makes fewer.
const maxProposalWords = 64

// ParseProposal reads a proposal in strongSwan's keywords, such as
// "aes256gcm16-prfsha384-ecp384". Order within a type is preference.
//
// It takes only algorithms that Sallyport negotiates, and only proposals that
// can be negotiated: ciphers with integrity of their own never stand beside
// those without (RFC 7296, Section 3.3). In an IKE proposal without a PRF,
// the PRFs follow from the integrity algorithms. An ESP proposal without a KE
// keyword has no PFS, "modpnone" beside groups makes PFS the peer's choice,
// and without "esn" or "noesn" it takes both, extended first (RFC 4303,
// Section 2.2.1).
func ParseProposal(p Protocol, text string) (Proposal, error) {
	ts, err := parseWords(text, refuseWeak)
	if err == nil {
		ts, err = complete(p, ts)
	}
	if err != nil {
		return Proposal{}, fmt.Errorf("suite: %v proposal %q: %w", p, abbreviate(text), err)
	}
	return Proposal{p, ts}, nil
}

// parseWords looks up each keyword; refuse may say why one is not taken.
func parseWords(text string, refuse func(Algorithm) error) ([]Transform, error) {
	words := strings.SplitN(text, "-", maxProposalWords+1)
	if len(words) > maxProposalWords {
		return nil, fmt.Errorf("more than %d keywords", maxProposalWords)
	}
	var ts []Transform
	for _, word := range words {
		a, ok := ByKeyword(word)
		if !ok {
			return nil, unknownWord(word)
		}
		if err := refuse(a); err != nil {
			return nil, err
		}
		if slices.Contains(ts, a.Transform) {
			return nil, fmt.Errorf("%s stands there twice", a.Keyword)
		}
		ts = append(ts, a.Transform)
	}
	return ts, nil
}

func refuseWeak(a Algorithm) error {
	if !a.Usable() {
		return fmt.Errorf("%s is not negotiated: %s", a.Keyword, a.Note)
	}
	return nil
}

// complete checks that the transforms make a proposal of the protocol, adds
// what follows from them, and sorts them by type.
func complete(p Protocol, ts []Transform) ([]Transform, error) {
	of := Proposal{p, ts}.Of
	encrs, prfs, integs, kes, esns := of(Encr), of(PRF), of(Integ), of(KE), of(ESN)
	if err := checkEncr(encrs, integs); err != nil {
		return nil, err
	}
	switch p {
	case ProtocolIKE:
		if len(esns) != 0 {
			return nil, fmt.Errorf("%v is for ESP", esns[0])
		}
		if len(prfs) == 0 {
			prfs = impliedPRFs(integs)
		}
		if len(prfs) == 0 {
			return nil, errors.New("needs a PRF, such as prfsha256")
		}
		if len(kes) == 0 || slices.Contains(kes, ke(0)) {
			return nil, errors.New("needs a key exchange, such as ecp256, and cannot do without")
		}
	case ProtocolESP:
		if len(prfs) != 0 {
			return nil, fmt.Errorf("%v is for IKE", prfs[0])
		}
		if len(kes) == 1 && kes[0] == ke(0) {
			kes = nil
		}
		if len(esns) == 0 {
			esns = []Transform{esn(1), esn(0)}
		}
	default:
		return nil, errors.New("only IKE and ESP have proposals")
	}
	return slices.Concat(encrs, prfs, integs, kes, esns), nil
}

func checkEncr(encrs, integs []Transform) error {
	if len(encrs) == 0 {
		return errors.New("needs a cipher, such as aes256gcm16")
	}
	for _, e := range encrs {
		if e.AEAD() != encrs[0].AEAD() {
			return fmt.Errorf("%v and %v cannot share a proposal, one has integrity of its own: write two", encrs[0], e)
		}
	}
	switch aead := encrs[0].AEAD(); {
	case aead && len(integs) != 0:
		return fmt.Errorf("%v has integrity of its own: leave out %v, or write prf%v if you meant the PRF", encrs[0], integs[0], integs[0])
	case !aead && len(integs) == 0:
		return fmt.Errorf("%v needs an integrity algorithm, such as sha256", encrs[0])
	}
	return nil
}

// impliedPRFs returns the PRF of the same hash for each integrity algorithm.
func impliedPRFs(integs []Transform) []Transform {
	var prfs []Transform
	for _, i := range integs {
		if a, ok := ByKeyword("prf" + i.String()); ok && a.Usable() {
			prfs = append(prfs, a.Transform)
		}
	}
	return prfs
}

func unknownWord(word string) error {
	near, distance := "", 1+len(word)/2 // farther than that is no help
	for _, a := range table {
		if d := editDistance(strings.ToLower(word), a.Keyword); a.Usable() && d < distance {
			near, distance = a.Keyword, d
		}
	}
	return &KeywordError{Word: abbreviate(word), Near: near}
}

// KeywordError says that a proposal has a word that is no algorithm.
type KeywordError struct {
	Word string // shortened
	Near string // the keyword that was probably meant, or ""
}

// Error names the word, and the one that was meant.
func (e *KeywordError) Error() string {
	if e.Near == "" {
		return fmt.Sprintf("unknown keyword %q", e.Word)
	}
	return fmt.Sprintf("unknown keyword %q: did you mean %s?", e.Word, e.Near)
}

// maxWord bounds what an error quotes and what editDistance works on; the
// longest keyword is shorter.
const maxWord = 64

func abbreviate(s string) string {
	if len(s) > maxWord {
		return s[:maxWord] + "..."
	}
	return s
}

// editDistance is Levenshtein's; a long a is far from everything.
func editDistance(a, b string) int {
	if len(a) > maxWord {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
