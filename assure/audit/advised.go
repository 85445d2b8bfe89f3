package audit

import (
	"sallyport/assure/policy"
	"sallyport/posture"
)

// Advice is what the endpoints of one host should have as a whole.
type Advice struct{ book *book }

// Advise works out advice for a host under a policy; nil stands for the default.
func Advise(p *policy.Policy, h *posture.Host) Advice {
	if p == nil {
		p = policy.Default()
	}
	return Advice{newBook(p, h)}
}

// Clients are the native clients of IKEv1 that come to a connection, "L2TP" or
// "XAUTH"; empty: none. They have nothing but what their systems offer.
func (v Advice) Clients(c *posture.Connection) string { return clientsOf(v.book.host, c) }

// Mobile tells whether clients come by IKEv2 and EAP, which offer what their systems
// have, and do not all bear that a gateway renews keys.
func (v Advice) Mobile(c *posture.Connection) bool { return mobile(c) }

// Proposals are the values that a connection, or a child of one, should have for
// its IKE SA and for its Child SAs, in its dialect; empty where the dialect has
// none. They never leave a class of algorithms without a choice. rule is the one
// that was broken.
func (v Advice) Proposals(s posture.Subject, rule string) (ike, esp string) {
	if _, ok := v.book.subjects[s]; !ok {
		return "", ""
	}
	at, a := v.book.find(s)
	l := v.book.linesOf(s, at, a, rule)
	return l.ike, l.esp
}
