package ike

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

var stageNames = [...]string{"", "IKE_SA_INIT", "IKE_AUTH", "new Child SA", "rekey of a Child SA", "rekey of the IKE SA",
	"IKEv1 main mode", "IKEv1 quick mode", "L2TP", "PPP"}

func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// Limits of a record: it is for people, and a peer could offer thousands.
const (
	maxOfferShown   = 8
	maxKeywordShown = 24
)

// record begins the record of a refusal.
func (s *Session) record(stage Stage, t ikemsg.NotifyType, reason, fix string) Record {
	r := Record{Role: s.role, Remote: s.path.remote, PeerKind: s.kind, Stage: stage, Notify: t, Reason: reason, Fix: fix}
	switch {
	case s.hs != nil && s.hs.peer.Kind != 0:
		r.PeerID = s.hs.peer.String()
	case s.peerID.Kind != 0:
		r.PeerID = s.peerID.String()
	}
	if s.kind == Windows {
		r.WindowsError = windowsErrors[t]
	}
	return r
}

// windowsErrors is the number Windows shows its user for our notify.
var windowsErrors = map[ikemsg.NotifyType]int{
	ikemsg.NotifyNoProposalChosen:       13868, // ERROR_IPSEC_IKE_POLICY_MATCH
	ikemsg.NotifyAuthenticationFailed:   13801, // ERROR_IPSEC_IKE_AUTH_FAIL
	ikemsg.NotifyInvalidSyntax:          13843, // ERROR_IPSEC_IKE_INVALID_PAYLOAD
	ikemsg.NotifyTSUnacceptable:         13868,
	ikemsg.NotifyInternalAddressFailure: 13816, // ERROR_IPSEC_IKE_ERROR
	ikemsg.NotifyFailedCPRequired:       13816,
	ikemsg.NotifyInvalidKEPayload:       13868,
}

// proposalRecord explains why no proposal was acceptable.
func (s *Session) proposalRecord(now time.Time, stage Stage, ours []suite.Proposal, offered []ikemsg.Proposal, terms Terms) Record {
	r := s.record(stage, ikemsg.NotifyNoProposalChosen, "none of the peer's proposals is acceptable", "")
	r.Time = now
	for _, p := range offered[:min(len(offered), maxOfferShown)] {
		r.Offer = append(r.Offer, keywords(p, terms.NoKE))
	}
	our, theirs, ok := nearest(ours, offered, terms)
	if !ok {
		return r
	}
	r.Nearest = our.String()
	for _, typ := range transformTypes {
		if typ == suite.KE && terms.NoKE {
			continue
		}
		if _, ok := matchType(typ, our, theirs, terms); !ok {
			r.Difference = append(r.Difference, difference(typ, our, theirs))
		}
	}
	r.Fix = s.proposalFix(stage, ours, offered, our)
	return r
}

// nearest is the pair of proposals that differ in the fewest types.
func nearest(ours []suite.Proposal, offered []ikemsg.Proposal, terms Terms) (our suite.Proposal, theirs ikemsg.Proposal, ok bool) {
	best := len(transformTypes) + 1
	for _, o := range ours {
		for _, t := range offered {
			if uint8(o.Protocol) != uint8(t.Protocol) {
				continue
			}
			n := 0
			for _, typ := range transformTypes {
				if _, fits := matchType(typ, o, t, terms); !fits && !(typ == suite.KE && terms.NoKE) {
					n++
				}
			}
			if n < best {
				best, our, theirs, ok = n, o, t, true
			}
		}
	}
	return our, theirs, ok
}

var typeNames = map[suite.TransformType]string{
	suite.Encr: "encryption", suite.PRF: "PRF", suite.Integ: "integrity", suite.KE: "key exchange", suite.ESN: "sequence numbers",
}

// difference is "key exchange: modp1024 offered, ecp256 ecp384 accepted".
func difference(typ suite.TransformType, our suite.Proposal, theirs ikemsg.Proposal) string {
	var offered, accepted []string
	for _, t := range theirs.Transforms {
		if t.Type == typ && len(offered) < maxKeywordShown && !slices.Contains(offered, t.String()) {
			offered = append(offered, t.String())
		}
	}
	for _, t := range our.Of(typ) {
		accepted = append(accepted, t.String())
	}
	return fmt.Sprintf("%s: %s offered, %s accepted", typeNames[typ], wordsOrNone(offered), wordsOrNone(accepted))
}

func wordsOrNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}

// keywords is a peer's proposal in our words.
func keywords(p ikemsg.Proposal, noKE bool) string {
	var words []string
	for _, t := range p.Transforms {
		if len(words) == maxKeywordShown {
			words = append(words, "...")
			break
		}
		if !(noKE && t.Type == suite.KE) {
			words = append(words, t.String())
		}
	}
	return strings.Join(words, "-")
}

const groupMODP1024 = 2

// proposalFix says what to change, for whom.
func (s *Session) proposalFix(stage Stage, ours []suite.Proposal, offered []ikemsg.Proposal, our suite.Proposal) string {
	onlyMODP1024 := true
	for _, p := range offered {
		for _, t := range p.Transforms {
			onlyMODP1024 = onlyMODP1024 && !(t.Type == suite.KE && t.ID != groupMODP1024)
		}
	}
	switch {
	case s.kind == Windows && stage == StageRekeyIKE:
		return "this Windows build goes back to its default proposal at rekey: install its updates; the client reconnects by itself"
	case s.kind == Windows && stage == StageInit && onlyMODP1024:
		return "Windows still has its default proposals: run the profile's Set-VpnConnectionIPsecConfiguration"
	case s.kind == Windows:
		return "run the profile's Set-VpnConnectionIPsecConfiguration again: its ESP values differ from the server's"
	case s.kind == Apple:
		return "install the profile generated for this device: without one, Apple proposes its own defaults"
	}
	return "set the peer to " + our.String() + ", or add what it offers to the zone's policy"
}

// refusedByPeer is the record of an error notify that the peer sent us.
func (s *Session) refusedByPeer(now time.Time, stage Stage, n *ikemsg.Notify, offered []suite.Proposal) Record {
	r := s.record(stage, n.Type, fmt.Sprintf("the peer answered %v", n.Type), peerFixes[n.Type])
	r.Time, r.ByPeer = now, true
	for _, p := range offered[:min(len(offered), maxOfferShown)] {
		r.Offer = append(r.Offer, p.String())
	}
	if n.Type == ikemsg.NotifyMSError && len(n.Data) == 4 {
		r.WindowsError = int(uint32(n.Data[0])<<24 | uint32(n.Data[1])<<16 | uint32(n.Data[2])<<8 | uint32(n.Data[3]))
	}
	return r
}

var peerFixes = map[ikemsg.NotifyType]string{
	ikemsg.NotifyNoProposalChosen:       "compare both sides' proposals; the peer's log says which it accepts",
	ikemsg.NotifyAuthenticationFailed:   "the peer does not accept our certificate or identity: check that it trusts our CA, and the identity it expects",
	ikemsg.NotifyTSUnacceptable:         "compare the networks configured on both sides",
	ikemsg.NotifyInternalAddressFailure: "the peer's address pool is empty or has no address of the family asked for",
	ikemsg.NotifyFailedCPRequired:       "the peer wants us to request an inner address",
	ikemsg.NotifyInvalidMajorVersion:    "the peer does not speak IKEv2",
	ikemsg.NotifyInvalidSyntax:          "the peer could not read our message: report both versions",
}
