package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/protocol/suite"
)

// checkPolicy fills in the proposals of a built-in policy, and reads own ones.
func (d *decoder) checkPolicy(key string, z *Zone, now time.Time) {
	p := &z.Policy
	if p.Name == "" && d.written[key] {
		d.checkProposals(key, z, now)
		return
	}
	warned := false
	known, ok := builtIn(z, now)
	if !ok {
		names := policyNames(z.Protocol)
		hint := suggest(p.Name, names)
		if hint == "" {
			hint = "the policies are " + strings.Join(names, ", ") + "; or write {ike: [...], esp: [...]}"
		}
		d.errorAt(key, hint, "%q is no policy of %s zones", p.Name, protocolName(z.Protocol))
		return
	}
	p.IKE, p.ESP = slices.Clone(known.IKE), slices.Clone(known.ESP)
	d.eachProposal(z, key+".esp", suite.ProtocolESP, p.ESP, readerOf(z, now), func(_, _ string, esp suite.Proposal) {
		if lacksPFS(esp) && !warned && !z.Waived(RuleNoPFS, "", now) {
			warned = true
			d.warnAt(key, pfsHint(z.Protocol), "%q lets clients do without forward secrecy of Child SAs", p.Name)
		}
	})
}

// builtIn is the built-in policy that a zone names. A waiver makes the one of
// L2TP zones longer.
func builtIn(z *Zone, now time.Time) (suite.PolicyText, bool) {
	if z.Protocol != L2TP {
		return suite.Policy(z.Policy.Name)
	}
	return suite.L2TPPolicy(z.Waived(RuleSHA1HMAC, "", now)), z.Policy.Name == suite.L2TPPolicyName
}

func policyNames(protocol string) []string {
	if protocol == L2TP {
		return []string{suite.L2TPPolicyName}
	}
	return suite.PolicyNames()
}

func pfsHint(protocol string) string {
	if protocol == L2TP {
		return "waive " + RuleNoPFS + " to show that this is wanted: in L2TP Apple has none, and Windows by a profile only"
	}
	return "waive " + RuleNoPFS + " to show that this is wanted, or take strong"
}

// proposalReader reads one proposal of a zone.
type proposalReader func(suite.Protocol, string) (suite.Proposal, error)

// proposalHint shows a proposal that the zone's protocol takes.
func proposalHint(key string, z *Zone) string {
	name := lastName(key)
	if z.Protocol == L2TP {
		return "for example " + name + ": [aes256-sha256-ecp384]"
	}
	return "for example " + name + ": " + byPath["zones.ZONE.policy."+name].Example
}

// readerOf knows the words of a zone's protocol. SHA-1 is out of reach of an
// IKEv2 zone, whatever is waived.
func readerOf(z *Zone, now time.Time) proposalReader {
	if z.Protocol != L2TP {
		return suite.ParseProposal
	}
	sha1 := z.Waived(RuleSHA1HMAC, "", now)
	return func(p suite.Protocol, text string) (suite.Proposal, error) {
		return suite.ParseL2TPProposal(p, text, sha1)
	}
}

// lacksPFS tells whether a Child SA of the proposal may have no key exchange of
// its own.
func lacksPFS(p suite.Proposal) bool {
	none, _ := suite.ByKeyword("modpnone")
	kes := p.Of(suite.KE)
	return len(kes) == 0 || slices.Contains(kes, none.Transform)
}

// checkProposals judges own lists. Weak algorithms are refused by the table of
// suites itself; children without forward secrecy need a waiver.
func (d *decoder) checkProposals(key string, z *Zone, now time.Time) {
	if d.broken[key] {
		return
	}
	d.eachProposal(z, key+".ike", suite.ProtocolIKE, z.Policy.IKE, readerOf(z, now), func(string, string, suite.Proposal) {})
	d.eachProposal(z, key+".esp", suite.ProtocolESP, z.Policy.ESP, readerOf(z, now), func(at, text string, p suite.Proposal) {
		if lacksPFS(p) && !z.Waived(RuleNoPFS, "", now) {
			d.errorAt(at, "add a key exchange, such as ecp384, or waive "+RuleNoPFS, "%q gives Child SAs no forward secrecy", text)
		}
	})
}

func (d *decoder) eachProposal(z *Zone, key string, protocol suite.Protocol, texts []string, read proposalReader, see func(at, text string, p suite.Proposal)) {
	if len(texts) == 0 {
		d.errorAt(key, proposalHint(key, z), "an own policy needs proposals for %v", protocol)
	}
	for i, text := range texts {
		at := fmt.Sprintf("%s[%d]", key, i)
		if slices.Contains(texts[:i], text) {
			d.errorAt(at, "remove it", "%q is here twice", text)
			continue
		}
		p, err := read(protocol, text)
		if err != nil {
			if unknown, ok := errors.AsType[*suite.KeywordError](err); ok && unknown.Near != "" {
				d.errorAt(at, "did you mean "+unknown.Near+"?", "unknown keyword %q", unknown.Word)
				continue
			}
			d.errorAt(at, proposalHint(key, z), "%s", inner(err))
			continue
		}
		see(at, text, p)
	}
}

// inner drops the outermost prefix of an error, which says what the diagnostic
// says already: package, protocol and text.
func inner(err error) string {
	if e := errors.Unwrap(err); e != nil {
		return e.Error()
	}
	return err.Error()
}
