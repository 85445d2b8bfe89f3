package ikev1

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

var stageNames = [...]string{"", "main mode", "main mode authentication", "quick mode"}

// String names the stage.
func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// maxOfferShown bounds a record: it is for people, and a peer could offer
// hundreds.
const maxOfferShown = 12

// maxCompared bounds the search for the nearest one: old Windows offers some
// thirty.
const maxCompared = 40

// record begins the record of a refusal. It works without any state, since the
// line that tells of a refusal must never be what fails (CVE-2020-1763,
// CVE-2022-23094).
func (s *Session) record(now time.Time, stage Stage, t isakmp.NotifyType, reason, fix string) Record {
	r := Record{Time: now, Role: s.role, Remote: s.path.remote, PeerKind: s.kind, Stage: stage, Notify: t, Reason: reason, Fix: fix}
	switch {
	case s.sa != nil && s.sa.hs != nil && s.sa.hs.peer.Type != 0:
		r.PeerID = s.sa.hs.peer.String()
	case s.peerID.Type != 0:
		r.PeerID = s.peerID.String()
	}
	if s.kind == Windows {
		r.WindowsError = windowsErrors[t]
	}
	return r
}

// windowsErrors is the number that the dialog of Windows' L2TP client is made
// for; recent releases often show 789 in place of it.
var windowsErrors = map[isakmp.NotifyType]int{
	isakmp.NotifyNoProposalChosen:      788, // ERROR_OAKLEY_ATTRIB_FAIL
	isakmp.NotifyAuthenticationFailed:  787, // ERROR_OAKLEY_AUTH_FAIL
	isakmp.NotifyInvalidSignature:      787,
	isakmp.NotifyInvalidCertificate:    787,
	isakmp.NotifyInvalidHash:           789, // ERROR_OAKLEY_GENERAL_PROCESSING
	isakmp.NotifyInvalidIDInformation:  789,
	isakmp.NotifyInvalidKeyInformation: 789,
	isakmp.NotifyPayloadMalformed:      789,
}

// proposalRecord explains why nothing that was offered is acceptable.
func (s *Session) proposalRecord(now time.Time, stage Stage, offered []proposed) Record {
	r := s.record(now, stage, isakmp.NotifyNoProposalChosen, "none of the peer's proposals is acceptable", "")
	offered = offered[:min(len(offered), maxCompared)]
	for _, o := range offered {
		if words := o.words(); len(r.Offer) < maxOfferShown && !slices.Contains(r.Offer, words) {
			r.Offer = append(r.Offer, words)
		}
	}
	best := len(aspects) + 1
	for _, our := range s.ours(stage) {
		for i := range offered {
			if d := s.differences(stage, our, &offered[i]); len(d) < best {
				best, r.Nearest, r.Difference = len(d), words(our), d
			}
		}
	}
	r.Fix = s.proposalFix(stage, r)
	return r
}

func (s *Session) ours(stage Stage) []suite.Proposal {
	if stage == StageQuick {
		return s.cfg.Policy.Phase2
	}
	return s.cfg.Policy.Phase1
}

// aspects are what two proposals can differ in, in the order of proposed.numbers.
var aspects = []struct {
	name string
	typ  suite.TransformType
	of   func(*proposed) suite.Transform
}{
	{"encryption", suite.Encr, func(o *proposed) suite.Transform { return o.encr }},
	{"integrity", suite.Integ, func(o *proposed) suite.Transform { return o.integ }},
	{"key exchange", suite.KE, func(o *proposed) suite.Transform { return o.group }},
}

// differences are lines such as "key exchange: modp1024 offered, ecp384
// accepted".
func (s *Session) differences(stage Stage, our suite.Proposal, o *proposed) []string {
	if o.unusable != "" {
		return []string{fmt.Sprintf("%s: %s", o.words(), o.unusable)}
	}
	var d []string
	for i, a := range aspects {
		got, accepted := a.of(o), our.Of(a.typ)
		none := got == (suite.Transform{})
		optional := stage == StageQuick && a.typ == suite.KE && !s.cfg.Policy.RequirePFS
		if slices.Contains(accepted, got) || none && (len(accepted) == 0 || optional) {
			continue
		}
		d = append(d, fmt.Sprintf("%s: %s offered, %s accepted", a.name, or(o.numbers[i].String(), "none"), wordsOf(accepted)))
	}
	if stage == StageMain && !slices.Contains(s.cfg.Policy.methods(), o.method) {
		d = append(d, fmt.Sprintf("authentication: %v offered, %s accepted", o.method, joinMethods(s.cfg.Policy.methods())))
	}
	if stage == StageQuick && !modeFits(o.mode, s.encap) {
		d = append(d, fmt.Sprintf("mode: %s offered, %s accepted", modeName(o.mode), modeName(modeOf(s.encap, nattRFC))))
	}
	return d
}

func wordsOf(ts []suite.Transform) string {
	if len(ts) == 0 {
		return "none"
	}
	var words []string
	for _, t := range ts {
		words = append(words, t.String())
	}
	return strings.Join(words, " ")
}

func joinMethods(ms []suite.AuthMethod1) string {
	var words []string
	for _, m := range ms {
		words = append(words, m.String())
	}
	return strings.Join(words, " ")
}

// proposalFix says what to change, for whom.
func (s *Session) proposalFix(stage Stage, r Record) string {
	text := strings.Join(r.Difference, "\n")
	switch {
	case strings.Contains(text, "authentication: "):
		return "set the client to the authentication of this zone: a machine certificate, or the pre-shared key where the zone allows it"
	case strings.Contains(text, "sha1 offered"):
		return "this client has only SHA-1 for L2TP: the zone needs a waiver of CRY-005, or the client IKEv2"
	case strings.Contains(text, "mode: "):
		return "this zone serves L2TP/IPsec in transport mode alone; set the client to L2TP"
	case s.kind == Windows && stage == StageMain:
		return "Windows offers ecp384 and ecp256 unless a policy took them away: remove NegotiateDH2048_AES256 and the like from its registry"
	}
	return "set the peer to " + r.Nearest + ", or add what it offers to the zone's policy"
}

// authRecord is the record of a peer that is not let in.
func (s *Session) authRecord(now time.Time, sa *isakmpSA, err error) Record {
	r := s.record(now, StageAuth, isakmp.NotifyAuthenticationFailed, err.Error(), "")
	if sa.hs != nil && sa.hs.peer.Type != 0 {
		r.PeerID = sa.hs.peer.String()
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		r.Reason, r.Fix = refusal.Reason, refusal.Hint
		if refusal.Notify != 0 {
			r.Notify = refusal.Notify
		}
	}
	if s.kind == Windows {
		r.WindowsError = windowsErrors[r.Notify]
	}
	return r
}

// refusedByPeer is the record of an error notify that the peer sent us.
func (s *Session) refusedByPeer(now time.Time, stage Stage, t isakmp.NotifyType) Record {
	r := s.record(now, stage, t, fmt.Sprintf("the peer answered %v", t), peerFixes[t])
	r.ByPeer = true
	for _, p := range s.ours(stage) {
		r.Offer = append(r.Offer, p.String())
	}
	return r
}

var peerFixes = map[isakmp.NotifyType]string{
	isakmp.NotifyNoProposalChosen:     "compare both sides' proposals; the peer's log says which it accepts",
	isakmp.NotifyAuthenticationFailed: "the peer does not accept our certificate, identity or key: check what it trusts and expects",
	isakmp.NotifyInvalidIDInformation: "the peer does not serve L2TP for these addresses",
	isakmp.NotifyInvalidHash:          "most likely the pre-shared keys differ",
}

func errNoAnswer(remote netip.AddrPort) error {
	return fmt.Errorf("ikev1: %v does not answer on UDP port %d: is the address right, and do firewalls let UDP 500 and 4500 pass", remote.Addr(), remote.Port())
}

// words is a proposal as a person writes it: the hash is the PRF too, and is
// named once.
func words(p suite.Proposal) string {
	p.Transforms = slices.DeleteFunc(slices.Clone(p.Transforms), func(t suite.Transform) bool { return t.Type == suite.PRF })
	return p.String()
}
