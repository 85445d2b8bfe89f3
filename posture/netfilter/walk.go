package netfilter

import "sallyport/posture"

// Bounds of one ruleset and of one packet's way through it.
const (
	mostRules = 50_000
	mostSteps = 200_000 // rules and elements of sets that one packet is held against
	mostDepth = 16      // chains in chains, as in nf_tables (NFT_JUMP_STACK_SIZE)
)

// walker takes one packet through a ruleset.
type walker struct {
	rules *ruleset
	probe probe
	table string // of the chain it is in, whose sets it sees

	steps   int
	doubts  []doubt
	partial *rule  // takes the packet from some sources
	logged  *rule  // logs it
	guessed string // the interface that was taken for the outside one
	assumed bool   // a network was taken for a tunnel's
}

// doubt is a rule that would have ended the way, if it could be judged.
type doubt struct {
	rule    *rule
	verdict verdict
}

// outcome is what became of a packet, and why.
type outcome struct {
	verdict verdict
	rule    *rule  // that decided; nil: the policy of the chain did
	chain   *chain // nil: there is none that packets of this kind go through
	*walker
}

// way is the hooks on a packet's way.
func (s *ruleset) way(p probe, kind string, hooks ...string) outcome {
	w := &walker{rules: s, probe: p}
	o := outcome{verdict: accept, walker: w}
	for _, c := range s.hooked(p.v6, kind, hooks...) {
		v, r := w.base(c)
		// A chain of the last hook says more than one on the way to it.
		if o.chain == nil || v != accept || r != nil || o.rule == nil && c.hook == hooks[len(hooks)-1] {
			o.verdict, o.rule, o.chain = v, r, c
		}
		if v != accept {
			return o
		}
	}
	if o.chain != nil && o.chain.hook != hooks[len(hooks)-1] {
		o.rule, o.chain = nil, nil // what only a chain on the way lets through is not decided
	}
	return o
}

func (w *walker) base(c *chain) (verdict, *rule) {
	v, r := w.chain(c, 0)
	if v == next {
		return c.policy, nil
	}
	return v, r
}

// chain goes through the rules until one ends the way; next is its end.
func (w *walker) chain(c *chain, depth int) (verdict, *rule) {
	for _, r := range c.rules {
		w.steps++
		if w.steps > mostSteps {
			w.doubts = append(w.doubts, doubt{r, queue})
			return next, nil
		}
		w.table = c.table
		if v, by := w.rule(c, r, depth); v == back {
			return next, nil
		} else if v != next {
			return v, by
		}
	}
	return next, nil
}

// rule holds the packet against a rule. What a rule does to some packets only is
// kept in mind and ends nothing.
func (w *walker) rule(c *chain, r *rule, depth int) (verdict, *rule) {
	a := w.all(r)
	if a == no {
		return next, nil
	}
	if r.logs && w.logged == nil {
		w.logged = r
	}
	if r.switched != nil {
		return w.branch(c, r, a, depth)
	}
	return w.settle(r, a, c, r.verdict, r.target, depth)
}

func (w *walker) settle(r *rule, a answer, c *chain, v verdict, target string, depth int) (verdict, *rule) {
	doubts := len(w.doubts)
	v, by := w.act(r, c, v, target, depth)
	w.table = c.table
	if v == next {
		return next, nil
	}
	switch a {
	case yes:
		return v, by
	case some:
		w.doubts = w.doubts[:doubts] // they bear on some packets only
		if v == accept && w.partial == nil {
			w.partial = by
		}
	case unclear:
		w.doubts = append(w.doubts, doubt{r, v})
	}
	return next, nil
}

// act is what the rule does: its verdict, or that of the chain it leads to.
func (w *walker) act(r *rule, c *chain, v verdict, target string, depth int) (verdict, *rule) {
	if v != jump && v != follow {
		return v, r
	}
	to := w.rules.byName[c.table+" "+target]
	if to == nil || depth >= mostDepth {
		w.doubts = append(w.doubts, doubt{r, queue})
		return next, nil
	}
	got, by := w.chain(to, depth+1)
	if got == next && v == follow {
		return back, r
	}
	return got, by
}

// branch looks for the element of a verdict map that the packet meets.
func (w *walker) branch(c *chain, r *rule, a answer, depth int) (verdict, *rule) {
	branches := r.branches
	if r.mapName != "" {
		branches = w.rules.maps[c.table+" "+r.mapName]
	}
	for _, b := range branches {
		w.steps++
		got := min(a, w.tuple(r, r.switched, b.tuple, 0))
		if got == no {
			continue
		}
		if v, by := w.settle(r, got, c, b.verdict, b.target, depth); v != next || got == yes {
			return v, by
		}
	}
	return next, nil
}

// all is as good as the worst condition.
func (w *walker) all(r *rule) answer {
	worst := yes
	for _, m := range r.matches {
		worst = min(worst, w.meets(r, m))
		if worst == no {
			return no
		}
	}
	return worst
}

// doubtful is the rule that keeps the outcome from being known.
func (o outcome) doubtful() *rule {
	for _, d := range o.doubts {
		if d.verdict != o.verdict {
			return d.rule
		}
	}
	if o.verdict == queue {
		return o.rule
	}
	return nil
}

// value is a fact that rests on the outcome. Nothing is known where no chain is.
func (o outcome) value(v bool) posture.Value[bool] {
	switch {
	case o.chain == nil && o.rules.whole:
		return posture.ByDefault(v, o.rules.at, "packets that no chain sees are accepted")
	case o.chain == nil:
		return posture.Value[bool]{}
	case o.rule != nil && v && o.assumed:
		return posture.Value[bool]{V: v, Origin: posture.Inferred, At: o.rule.at, Text: o.rule.text, Why: "the network could be a tunnel's"}
	case o.rule != nil && o.guessed != "":
		return posture.Value[bool]{V: v, Origin: posture.Inferred, At: o.rule.at, Text: o.rule.text, Why: o.guessed + " is taken for the outside interface"}
	case o.rule != nil:
		return posture.Written(v, o.rule.at, o.rule.text)
	case o.chain.policyAt.Line == 0:
		return posture.ByDefault(v, o.chain.at, "a chain without a policy accepts")
	}
	return posture.Written(v, o.chain.policyAt, "policy "+[...]string{drop: "drop", accept: "accept"}[o.chain.policy])
}
