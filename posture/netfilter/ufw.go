package netfilter

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// ufwFiles are the rules of ufw(8), in the order in which packets meet them. They
// are in the form of iptables-save without the chains of the kernel, which ufw
// makes when it starts.
var ufwFiles = []string{"before.rules", "before6.rules", "user.rules", "user6.rules", "after.rules", "after6.rules"}

func isUFW(p string) bool {
	return path.Base(path.Dir(p)) == "ufw" && slices.Contains(ufwFiles, path.Base(p))
}

// ufw reads the rules and puts the chains around them that ufw makes: INPUT and
// FORWARD call "before", which ends with what the user allowed, then "after", and
// then the policy of /etc/default/ufw decides.
func (t *iptables) ufw(files []string) {
	conf := t.variablesOf(path.Dir(files[0]) + "/ufw.conf")
	if conf["ENABLED"].V == "no" {
		t.in.Note(posture.Unparsed, conf["ENABLED"].At, "ufw is not enabled: its rules are not judged")
		return
	}
	slices.SortFunc(files, func(a, b string) int {
		return cmp.Compare(slices.Index(ufwFiles, path.Base(a)), slices.Index(ufwFiles, path.Base(b)))
	})
	for _, p := range files {
		t.file(p, t.saved)
	}
	if t.text == nil {
		return
	}
	policies := t.variablesOf(path.Join(path.Dir(files[0]), "../default/ufw"))
	for _, family := range []string{"ip", "ip6"} {
		t.family, t.table = family, "filter"
		if !t.ufwBefore() {
			continue
		}
		t.ufwHook("INPUT", "input", policies["DEFAULT_INPUT_POLICY"], conf["LOGLEVEL"])
		t.ufwHook("FORWARD", "forward", policies["DEFAULT_FORWARD_POLICY"], conf["LOGLEVEL"])
	}
	t.rules.whole = true
}

// ufwBefore tells whether there are rules of the family. What the user allowed is
// often copied alone: before.rules is then taken as ufw ships it, as far as it
// lets packets in.
func (t *iptables) ufwBefore() bool {
	prefix := prefixOf(t.family)
	of := func(name string) *chain { return t.rules.byName[t.family+" filter "+prefix+name] }
	switch {
	case of("-before-input") != nil:
		return true
	case of("-user-input") == nil:
		return false
	}
	icmp := map[string]string{"ip": "icmp", "ip6": "icmpv6"}[t.family]
	t.in.Note(posture.Unparsed, t.text.At(0, 0), "before.rules is not here: taken as ufw ships it")
	for _, c := range []string{"-before-input", "-before-forward"} {
		t.chain(prefix+c, 0)
		for _, rule := range []string{"-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-p " + icmp + " -j ACCEPT"} {
			line := "-A " + prefix + c + " " + rule
			t.command(0, line, strings.Fields(line))
		}
	}
	return true
}

func prefixOf(family string) string {
	if family == "ip6" {
		return "ufw6"
	}
	return "ufw"
}

// ufwHook makes one of the kernel's chains. Where the policy is not written ufw
// drops.
func (t *iptables) ufwHook(name, kind string, policy, level posture.Value[string]) {
	c := t.chain(name, 0)
	c.policy = drop
	if policy.V == "ACCEPT" {
		c.policy = accept
	}
	if policy.Known() {
		c.policyAt = policy.At
	}
	prefix := prefixOf(t.family)
	if before := t.rules.byName[c.table+" "+prefix+"-before-"+kind]; before != nil {
		t.calls(before, prefix+"-user-"+kind)
	}
	t.calls(c, prefix+"-before-"+kind)
	t.calls(c, prefix+"-after-"+kind)
	if level.V != "off" {
		at := cmp.Or(level.At, c.at)
		t.rules.add(c, &rule{at: at, text: "ufw logs what it blocks", logs: true})
	}
	skip := t.chain(prefix+"-skip-to-policy-"+kind, 0)
	t.rules.add(skip, &rule{at: cmp.Or(policy.At, c.at), text: "policy of ufw", verdict: c.policy})
	for _, log := range []string{"-logging-deny", "-logging-allow"} {
		t.chain(prefix+log, 0)
	}
}

func (t *iptables) calls(c *chain, target string) {
	if t.rules.byName[c.table+" "+target] != nil {
		t.rules.add(c, &rule{at: c.at, text: "ufw: " + target, verdict: jump, target: target})
	}
}

// variablesOf reads a file of NAME=value lines.
func (t *iptables) variablesOf(p string) map[string]posture.Value[string] {
	vars := map[string]posture.Value[string]{}
	if !t.in.Exists(p) {
		return vars
	}
	text := t.in.Read(p, false)
	if text == nil {
		return vars
	}
	for n, line := range t.in.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && len(vars) < 100 && !strings.HasPrefix(name, "#") {
			vars[name] = posture.Written(strings.Trim(value, `"'`), text.At(n, 1), source.Quote(line))
		}
	}
	return vars
}
