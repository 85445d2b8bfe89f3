package audit

import "sallyport/posture"

// ownWaiver is a waiver of the host's own configuration for a finding; nil if
// there is none. One for a single peer does not cover what all peers may do.
func ownWaiver(h *posture.Host, r *Result) *Waiver {
	for i := range h.Waivers {
		w := &h.Waivers[i]
		if w.Peer != "" || w.Dialect != r.Subject.Dialect || w.Rule != r.Rule.ID || w.Subject != "" && w.Subject != r.Subject.Name {
			continue
		}
		return &Waiver{Rule: w.Rule, Subject: r.Subject.Name, Host: h.Name, Reason: w.Reason, Owner: w.Owner, Expires: w.Until}
	}
	return nil
}
