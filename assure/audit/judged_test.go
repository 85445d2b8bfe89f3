package audit

import (
	"strings"
	"testing"
	"time"

	"sallyport/assure/policy"
	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/protocol/suite"
)

// here is a place in a file for all values of the tests below.
var here = posture.Pos{File: "vpn.conf", Line: 7, Col: 3}

func written[T any](v T) posture.Value[T] { return posture.Written(v, here, "") }

func byDefault[T any](v T) posture.Value[T] {
	return posture.ByDefault(v, posture.Pos{File: "vpn.conf", Line: 1}, "default of a test")
}

// proposals reads keywords; each text is a proposal on a line of its own.
func proposals(p suite.Protocol, texts ...string) posture.Value[[]posture.Proposal] {
	var list []posture.Proposal
	for i, text := range texts {
		list = append(list, proposal.New(p, text, posture.Pos{File: "vpn.conf", Line: 10 + i, Col: 5}, strings.Split(text, "-")...))
	}
	return written(list)
}

// vpn is a connection of strongSwan, all well; the tests break one thing each.
func vpn() posture.Connection {
	return posture.Connection{
		Subject: posture.Subject{Dialect: posture.Swanctl, Kind: "connection", Name: "gw", At: here}, Product: "strongSwan",
		V1: written(false), V2: written(true),
		IKE: proposals(suite.ProtocolIKE, "aes256gcm16-prfsha384-ecp384"), IKEImplicit: written(false),
		Children: []posture.Child{{
			Subject: posture.Subject{Dialect: posture.Swanctl, Kind: "child", Name: "net", At: here},
			ESP:     proposals(suite.ProtocolESP, "aes256gcm16-ecp384-esn"), ESPImplicit: written(false),
		}},
	}
}

// in puts a connection into another dialect.
func in(d posture.Dialect, c posture.Connection) posture.Connection {
	c.Dialect = d
	for i := range c.Children {
		c.Children[i].Dialect = d
	}
	return c
}

func hostOf(c ...posture.Connection) *posture.Host { return &posture.Host{Connections: c} }

// judgedBy audits a host and keeps what one rule says.
func judgedBy(t *testing.T, id string, h *posture.Host) []Result {
	t.Helper()
	return judgedUnder(t, policy.Default(), id, h)
}

func judgedUnder(t *testing.T, p *policy.Policy, id string, h *posture.Host) []Result {
	t.Helper()
	rule, ok := ByID(id)
	if !ok {
		t.Fatalf("no rule %s", id)
	}
	a := New(Options{Policy: p, Now: time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)})
	a.Host(h)
	var out []Result
	for _, r := range a.Results {
		if r.Rule == rule {
			out = append(out, r)
		}
	}
	return out
}

// mustFind wants one finding with words in its sentence, and returns it.
func mustFind(t *testing.T, id string, h *posture.Host, severity Severity, words ...string) Result {
	t.Helper()
	var found []Result
	results := judgedBy(t, id, h)
	for _, r := range results {
		if r.Outcome == Found {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s made %d findings, not one: %+v", id, len(found), results)
	}
	r := found[0]
	if r.Severity != severity {
		t.Errorf("%s: severity %s, not %s (%s)", id, r.Severity, severity, r.Detail)
	}
	for _, w := range words {
		if !strings.Contains(r.Detail, w) {
			t.Errorf("%s: %q is not in %q", id, w, r.Detail)
		}
	}
	if r.Fix == "" || r.Evidence.At.File == "" || r.Evidence.Origin == posture.Unknown {
		t.Errorf("%s: no fix, no place or no origin: %+v", id, r)
	}
	return r
}

// mustPass wants a look and no finding.
func mustPass(t *testing.T, id string, h *posture.Host) {
	t.Helper()
	looked := false
	for _, r := range judgedBy(t, id, h) {
		looked = looked || r.Outcome == OK
		if r.Outcome != OK {
			t.Errorf("%s: %s %s: %s", id, r.Subject.Name, r.Outcome, r.Detail)
		}
	}
	if !looked {
		t.Errorf("%s looked at nothing", id)
	}
}

// mustNotKnow wants "not assessable" and no finding.
func mustNotKnow(t *testing.T, id string, h *posture.Host) {
	t.Helper()
	unknown := false
	for _, r := range judgedBy(t, id, h) {
		unknown = unknown || r.Outcome == Unassessable && r.Detail != ""
		if r.Outcome == Found {
			t.Errorf("%s: finding where nothing is known: %s", id, r.Detail)
		}
	}
	if !unknown {
		t.Errorf("%s says nothing of what it cannot know", id)
	}
}
