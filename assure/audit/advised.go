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

// Proposals are the values that a connection, or a child of one, should have for
// its IKE SA and for its Child SAs, in its dialect; empty where the dialect has
// none. They never leave a class of algorithms without a choice. esn asks for
// extended sequence numbers.
func (v Advice) Proposals(s posture.Subject, esn bool) (ike, esp string) {
	if _, ok := v.book.subjects[s]; !ok {
		return "", ""
	}
	at, a := v.book.find(s)
	l := v.book.linesOf(s, at, a, esn)
	return l.ike, l.esp
}
