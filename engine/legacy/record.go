package legacy

import (
	"cmp"
	"time"

	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/ikev1"
)

// refused files why L2TP or PPP did not come up.
func (s *Session) refused(now time.Time, stage ike.Stage, byPeer bool, reason, hint string, out *ike.Out) {
	r := ike.Record{
		Time: now, Role: ike.Responder, Remote: s.path[1], PeerKind: s.kind, Stage: stage,
		Notify: ikemsg.NotifyAuthenticationFailed, ByPeer: byPeer, Reason: reason, Fix: hint,
	}
	if s.proof != nil {
		r.PeerID = cmp.Or(s.proof.Name, s.claim.String())
	}
	s.recorded = true
	out.Events = append(out.Events, ike.Refused{Record: r})
}

// explain files a record when a machine that was proven goes without a login,
// and nothing has said why. Before the proof it can be anybody.
func (s *Session) explain(now time.Time, out *ike.Out) {
	if s.established || s.recorded || s.proof == nil || s.err == nil {
		return
	}
	stage, hint := ike.StageQuickMode, "it stopped before IPsec was up: look at the client's log"
	switch {
	case s.call != nil:
		stage, hint = ike.StagePPP, "the client may be waiting for its user"
	case len(s.sas) > 0 || !s.bare.IsZero():
		stage, hint = ike.StageL2TP, "IPsec was up: see that the client's L2TP runs, and that its firewall lets UDP port 1701 through"
	}
	s.refused(now, stage, false, s.err.Error(), hint, out)
}

var stages = map[ikev1.Stage]ike.Stage{
	ikev1.StageMain: ike.StageMainMode, ikev1.StageAuth: ike.StageMainMode, ikev1.StageQuick: ike.StageQuickMode,
}

// recordOf is a record of IKEv1 in the words of IKE. The notifies that both have
// are numbered alike (RFC 2408, Section 3.14.1; RFC 7296, Section 3.10.1).
func recordOf(r ikev1.Record) ike.Record {
	return ike.Record{
		Time: r.Time, Role: ike.Role(r.Role), Remote: r.Remote, PeerKind: kindOf(r.PeerKind), Stage: stages[r.Stage],
		PeerID: r.PeerID, Offer: r.Offer, Nearest: r.Nearest, Difference: r.Difference, Notify: ikemsg.NotifyType(r.Notify),
		ByPeer: r.ByPeer, Reason: r.Reason, Fix: r.Fix, WindowsError: r.WindowsError,
	}
}

var kinds = map[ikev1.PeerKind]ike.PeerKind{
	ikev1.Windows: ike.Windows, ikev1.Apple: ike.Apple, ikev1.Racoon: ike.Racoon, ikev1.StrongSwan: ike.StrongSwan, ikev1.Libreswan: ike.Libreswan,
}

// kindOf is a fingerprint in the words of IKE.
func kindOf(k ikev1.PeerKind) ike.PeerKind { return kinds[k] }

// reasons are the ends of IKEv1 in the words of IKE.
var reasons = map[ikev1.CloseReason]ike.CloseReason{
	ikev1.ClosedByUs: ike.ClosedByUs, ikev1.ClosedByPeer: ike.ClosedByPeer, ikev1.ClosedRefused: ike.ClosedRefused,
	ikev1.ClosedTimeout: ike.ClosedTimeout, ikev1.ClosedHalfOpen: ike.ClosedHalfOpen, ikev1.ClosedExpired: ike.ClosedExpired,
	ikev1.ClosedChildless: ike.ClosedChildless, ikev1.ClosedProtocol: ike.ClosedProtocol, ikev1.ClosedInternal: ike.ClosedInternal,
}
