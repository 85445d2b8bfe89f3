package swanctl

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	notation "sallyport/posture/setting"
	"sallyport/protocol/suite"
)

// children reads the children of a connection, and says which action of one
// opens it.
func (r *reader) children(c *posture.Connection, v view) posture.Value[string] {
	var start posture.Value[string]
	for _, name := range v.names() {
		if r.count++; r.count > mostChildren {
			r.in.Note(posture.Limit, v.at(), "more than %d children of connections: the rest was not read", mostChildren)
			break
		}
		if action := r.child(c, v.sub(name), name); !start.Known() {
			start = action
		}
	}
	r.known(v, nil, "children")
	return start
}

func (r *reader) child(c *posture.Connection, v view, name string) (start posture.Value[string]) {
	r.known(v, childKnown, "a child")
	ch := posture.Child{Subject: posture.Subject{Dialect: posture.Swanctl, Kind: "child", Name: c.Name + "/" + name, At: v.at()}, Again: v.again()}
	ch.LocalTS, ch.RemoteTS = r.list(v, "local_ts", "dynamic"), r.list(v, "remote_ts", "dynamic")
	switch mode, _ := v.get("mode"); strings.ToLower(mode.value) {
	case "pass": // no SA: the packets are meant to go in the clear
		// Those of a network to itself, which a full tunnel would take, are nobody's loss.
		own := slices.Equal(ch.LocalTS.V, ch.RemoteTS.V)
		ch.FailOpen = posture.Written(!own, mode.at, mode.value)
	case "drop":
		ch.FailOpen = posture.Written(false, mode.at, mode.value)
	default:
		start = r.protected(&ch, v, c.AnyPeer.V)
	}
	c.Children = append(c.Children, ch)
	return start
}

// shunts tells whether a child is a policy for packets, without an SA.
func shunts(v view) bool {
	mode, _ := v.get("mode")
	return strings.EqualFold(mode.value, "pass") || strings.EqualFold(mode.value, "drop")
}

// protected reads a child that has an SA.
func (r *reader) protected(ch *posture.Child, v view, anyPeer bool) posture.Value[string] {
	ch.Transport = word(r, v, "mode", false, map[string]bool{"tunnel": false, "beet": false, "iptfs": false, "transport": true, "transport_proxy": true})
	r.algorithms(ch, v)
	r.limits(ch, v)
	ch.Replay = r.replay
	if ch.Replay.Origin != posture.Explicit {
		ch.Replay.At = v.at()
	}
	if _, ok := v.get("replay_window"); ok {
		ch.Replay = r.number(v, "replay_window", r.replay.V)
	}
	ch.IPComp = r.flag(v, "ipcomp", false)
	ch.L2TP = ch.Transport.V && (slices.ContainsFunc(ch.LocalTS.V, l2tpSelector.MatchString) || slices.ContainsFunc(ch.RemoteTS.V, l2tpSelector.MatchString))
	r.besides(v)
	return r.actions(ch, v, anyPeer)
}

// l2tpSelector is a selector for UDP port 1701, by number or name.
var l2tpSelector = regexp.MustCompile(`\[\s*(17|udp|any|)\s*/\s*(1701|l2tp|l2f)\s*\]`)

// algorithms: AH is used where it is named, and ESP where it is named or AH is
// not.
func (r *reader) algorithms(ch *posture.Child, v view) {
	ah, hasAH := v.get("ah_proposals")
	_, hasESP := v.get("esp_proposals")
	ch.ESP, ch.ESPImplicit = r.proposals(v, "esp_proposals", suite.ProtocolESP)
	ch.AH = normal(r, false, v.at())
	if hasAH {
		ch.AH = posture.Written(true, ah.at, ah.value)
		only, implicit := r.proposals(v, "ah_proposals", proposal.AH)
		if hasESP {
			only.V = append(slices.Clone(ch.ESP.V), only.V...)
		} else {
			ch.ESPImplicit = implicit
		}
		ch.ESP = only
	}
	ch.PFS = follows(pfs(ch.ESP.V), ch.ESP)
	ch.ESN = follows(slices.ContainsFunc(ch.ESP.V, func(p posture.Proposal) bool {
		return slices.Contains(p.Transforms, suite.Transform{Type: suite.ESN, ID: 1})
	}), ch.ESP)
	ch.SHA256Trunc = r.flag(v, "sha256_96", false)
	if slices.ContainsFunc(ch.ESP.V, func(p posture.Proposal) bool { return slices.Contains(p.Unknown, "sha256_96") }) {
		ch.SHA256Trunc = follows(true, ch.ESP)
	}
}

// pfs: a proposal with key exchanges insists on one, unless "none" is among
// them.
func pfs(all []posture.Proposal) posture.Demand {
	with, without := 0, 0
	for _, p := range all {
		kes := p.Of(suite.KE)
		none := slices.Contains(kes, suite.Transform{Type: suite.KE})
		switch {
		case len(kes) == 0, none && len(kes) == 1:
			without++
		case none:
			with, without = with+1, without+1
		default:
			with++
		}
	}
	switch {
	case with == 0:
		return posture.Never
	case without == 0:
		return posture.Always
	}
	return posture.Optional
}

// limits: the hard end is a tenth after rekeying.
func (r *reader) limits(ch *posture.Child, v view) {
	rekey := r.duration(v, "rekey_time", time.Hour)
	ch.Life = follows(rekey.V+rekey.V/10, rekey)
	if _, ok := v.get("life_time"); ok {
		ch.Life = r.duration(v, "life_time", rekey.V)
	}
	ch.Bytes = r.volume(v, "rekey_bytes", "life_bytes")
	ch.Packets = r.volume(v, "rekey_packets", "life_packets")
}

func (r *reader) volume(v view, rekey, life string) posture.Value[uint64] {
	soft := read(r, v, rekey, 0, parseCount)
	hard := follows(soft.V, soft)
	if soft.V < 1<<60 {
		hard.V += soft.V / 10
	}
	if _, ok := v.get(life); ok {
		hard = read(r, v, life, 0, parseCount)
	}
	return hard
}

// besides remembers what children have and the posture knows of the daemon.
func (r *reader) besides(v view) {
	if s, ok := v.get("updown"); ok && !r.updown.Known() && notation.Records(s.value) {
		r.updown = posture.Written(true, s.at, s.value)
	}
	if _, ok := v.get("copy_df"); ok && !r.copyDF.Known() {
		r.copyDF = r.flag(v, "copy_df", true)
	}
}

var startWords = map[string]string{
	"none": "", "clear": "", "start": "start", "restart": "start", "trap": "trap", "route": "trap", "trap|start": "trap start", "start|trap": "trap start",
}

// interfaceOf is the XFRM interface that a child's packets are routed into, which
// drops them where it finds no SA.
func (r *reader) interfaceOf(v view) (setting, bool) {
	for _, from := range []view{v, r.conn} {
		if s, ok := from.get("if_id_out"); ok && s.value != "0" {
			return s, true
		}
	}
	return setting{}, false
}

// actions says when packets that match find no SA: with a trap the SA is made,
// without one they leave in the clear. Where the other end of the selectors is
// the peer itself nothing can be said: its address is often not routed at all.
func (r *reader) actions(ch *posture.Child, v view, anyPeer bool) posture.Value[string] {
	action := word(r, v, "start_action", "", startWords)
	trap := strings.Contains(action.V, "trap")
	// For a peer without an address there is no trap, and a packet filter must do it.
	dynamic := anyPeer || !slices.ContainsFunc(ch.RemoteTS.V, func(ts string) bool { return !strings.HasPrefix(ts, "dynamic") })
	out, routed := r.interfaceOf(v)
	if routed {
		ch.Routed = posture.Written(true, out.at, out.value)
	}
	switch {
	case routed && !trap:
		ch.FailOpen = posture.Written(false, out.at, out.value)
	case trap || !dynamic:
		ch.FailOpen = follows(!trap, action)
	}
	if action.V == "" {
		return posture.Value[string]{}
	}
	return action
}
