package profile

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/config"
	"sallyport/protocol/suite"
)

// words are what one client's settings can say: our keyword, its word.
type words map[string]string

// say is a client's words for both protocols.
type say struct {
	client   string // for messages
	ike, esp words
}

// choice is one proposal of a zone's policy, narrowed to one algorithm of each
// type that a client can say.
type choice struct {
	ike, esp   []suite.Transform
	ikeW, espW words
}

// choose takes the first proposal that the client can say, and within it the
// first algorithm of each type: the zone's order is the zone's wish.
func (s say) choose(policy config.Policy) (choice, error) {
	ike, err := firstOf(suite.ProtocolIKE, policy.IKE, s.ike, suite.Transform{})
	if err != nil {
		return choice{}, s.refuse("IKE", err)
	}
	// The group of the IKE SA serves the children where the policy takes it:
	// Windows rekeys its children with it (its PFS must equal the server's).
	esp, err := firstOf(suite.ProtocolESP, policy.ESP, s.esp, of(ike, suite.KE))
	if err != nil {
		return choice{}, s.refuse("ESP", err)
	}
	return choice{ike, esp, s.ike, s.esp}, nil
}

func (s say) refuse(protocol string, err error) error {
	return refused(s.client, "use another client for this zone, or give it a policy that has what this one can", "the zone's policy has no %s proposal that this client can be set to: %v", protocol, err)
}

// firstOf finds the first proposal with a word for every type.
func firstOf(protocol suite.Protocol, lines []string, can words, group suite.Transform) (ts []suite.Transform, err error) {
	var closest error
	for _, line := range lines {
		p, err := suite.ParseProposal(protocol, line)
		if err != nil {
			return nil, err
		}
		ts, err := narrowed(p, can, group)
		if err == nil {
			return ts, nil
		}
		if closest == nil {
			closest = err
		}
	}
	if closest == nil {
		closest = fmt.Errorf("it is empty")
	}
	return nil, closest
}

// narrowed takes from each type of a proposal the first algorithm with a word.
func narrowed(p suite.Proposal, can words, group suite.Transform) ([]suite.Transform, error) {
	var ts []suite.Transform
	for _, typ := range []suite.TransformType{suite.Encr, suite.Integ, suite.PRF, suite.KE} {
		mine := p.Of(typ)
		if typ == suite.KE && slices.Contains(mine, group) && can[group.String()] != "" {
			mine = []suite.Transform{group}
		}
		if typ == suite.PRF && of(ts, suite.Integ).ID != 0 {
			mine = samePRF(mine, of(ts, suite.Integ))
		}
		i := slices.IndexFunc(mine, func(t suite.Transform) bool { return t.ID == 0 || can[t.String()] != "" })
		switch {
		case len(mine) == 0 && (typ != suite.PRF || p.Protocol == suite.ProtocolESP):
		case i < 0:
			return nil, fmt.Errorf("%s: the zone takes %s, the client has %s", typeName[typ], list(p.Of(typ)), can.of(typ))
		case mine[i].ID != 0:
			ts = append(ts, mine[i])
		}
	}
	if esn := p.Of(suite.ESN); len(esn) > 0 && !slices.ContainsFunc(esn, func(t suite.Transform) bool { return t.ID == 0 }) {
		return nil, fmt.Errorf("the zone insists on extended sequence numbers, the client has none")
	}
	return ts, nil
}

var typeName = map[suite.TransformType]string{suite.Encr: "encryption", suite.Integ: "integrity", suite.PRF: "PRF", suite.KE: "key exchange"}

// samePRF keeps the PRF of the integrity algorithm's hash: clients with one
// setting for both cannot say another.
func samePRF(prfs []suite.Transform, integ suite.Transform) []suite.Transform {
	return slices.DeleteFunc(slices.Clone(prfs), func(t suite.Transform) bool { return t.String() != "prf"+integ.String() })
}

func of(ts []suite.Transform, typ suite.TransformType) suite.Transform {
	for _, t := range ts {
		if t.Type == typ {
			return t
		}
	}
	return suite.Transform{}
}

func list(ts []suite.Transform) string {
	var out []string
	for _, t := range ts {
		out = append(out, t.String())
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, " ")
}

// of lists the keywords of one type that the client can say.
func (w words) of(typ suite.TransformType) string {
	var ts []suite.Transform
	for _, a := range suite.All() {
		if a.Transform.Type == typ && w[a.Keyword] != "" && !slices.Contains(ts, a.Transform) {
			ts = append(ts, a.Transform)
		}
	}
	return list(ts)
}

// ikeWord and espWord are the client's words for the chosen algorithm of a
// type; empty when there is none.
func (c choice) ikeWord(typ suite.TransformType) string { return c.ikeW[keyword(c.ike, typ)] }
func (c choice) espWord(typ suite.TransformType) string { return c.espW[keyword(c.esp, typ)] }

// hash is the word for the IKE SA's hash: of the integrity algorithm, or of the
// PRF when the cipher needs no other.
func (c choice) hash() string {
	if w := c.ikeWord(suite.Integ); w != "" {
		return w
	}
	return c.ikeWord(suite.PRF)
}

func (c choice) pfs() bool { return of(c.esp, suite.KE).ID != 0 }

func keyword(ts []suite.Transform, typ suite.TransformType) string {
	if t := of(ts, typ); t.ID != 0 {
		return t.String()
	}
	return ""
}
