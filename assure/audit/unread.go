package audit

import (
	"path"
	"slices"
	"strings"

	"sallyport/posture"
)

// What could not be read may hold the worst: the rules that need it say so, each
// for each file, and the letter stands in brackets.

// aboutSecrets are the rules that look into secrets themselves.
var aboutSecrets = []string{"PSK-001", "PSK-002", "PSK-003", "PSK-004", "PSK-005", "PSK-009", "PSK-012", "PSK-013", "PPP-013", "PPP-014"}

// secretFiles are those that hold secrets and nothing else that a rule asks for.
var secretFiles = []string{"ipsec.secrets", "*.secrets", "chap-secrets", "pap-secrets", "srp-secrets", "l2tp-secrets", "passwd", "servers", "users", "authorize", "*.secret", "*.psk"}

// directories of which the name tells whose files are in them.
var directories = map[string]posture.Dialect{
	"swanctl": posture.Swanctl, "strongswan.d": posture.Swanctl, "ipsec.d": posture.Libreswan, "ppp": posture.PPPD, "peers": posture.PPPD, "xl2tpd": posture.Xl2tpd,
	"freeradius": posture.FreeRADIUS, "raddb": posture.FreeRADIUS, "wireguard": posture.WireGuard,
}

// manyFiles are the dialects of which one file more or less leaves the answers of
// the others as they are: only a rule without any answer is not assessable.
var manyFiles = []posture.Dialect{posture.Linux, posture.X509}

// unread enters what the rules would have had to see. results are those of the
// host so far.
func (a *Audit) unread(h *posture.Host, l *ledger, results []Result) {
	answered := map[string]map[posture.Dialect]bool{}
	for _, r := range results {
		if answered[r.Rule.ID] == nil {
			answered[r.Rule.ID] = map[posture.Dialect]bool{}
		}
		answered[r.Rule.ID][r.Subject.Dialect] = true
	}
	seen := map[string]bool{}
	for _, n := range h.Notes {
		d, ok := unreadOf(n)
		if !ok || seen[n.At.File] {
			continue
		}
		seen[n.At.File] = true
		s := posture.Subject{Dialect: d, Kind: "file", Name: n.At.File, At: n.At}
		for r := range a.rules {
			if r.judge != nil && r.needs(s) && !(answered[r.ID][d] && slices.Contains(manyFiles, d)) {
				a.judge(r, h, l).add(Result{Outcome: Unassessable, Subject: s, Detail: "the file could not be read: " + n.Text, unread: true})
			}
		}
	}
}

// needs tells whether an answer of the rule may depend on what a file says.
func (r *Rule) needs(s posture.Subject) bool {
	switch {
	case r.ID == "PSK-007" || r.ID == "PSK-008" || r.Area() == "CVE": // its mode; exports; packages
		return false
	case isOf(secretFiles, s.Name):
		return slices.Contains(aboutSecrets, r.ID)
	}
	return true
}

func isOf(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, path.Base(name))
		return ok
	})
}

// unreadOf tells whether a note is of a file, or of a directory, that is there and
// could not be read, and whose it is. What a line names and is not there is the
// reader's to say, in the values.
func unreadOf(n posture.Note) (posture.Dialect, bool) {
	d := n.Dialect
	if d == "" {
		d = directories[path.Base(n.At.File)]
	}
	switch {
	case d == "" || n.At.File == "" || n.At.Line != 0:
		return "", false
	case strings.Contains(n.Text, "no such file") || strings.Contains(n.Text, "does not exist") || strings.Contains(n.Text, "not here"):
		return "", false
	case n.Kind == posture.Limit:
		return d, strings.HasSuffix(n.Text, "not read")
	}
	return d, n.Kind == posture.Unreadable || n.Kind == posture.Outside
}

// harmless are the ends of notes of a limit after which nothing is missing: what is
// left out was read already, or tells nothing of the configuration, or what could not
// be judged is not assessable by itself.
var harmless = []string{"includes itself: not followed", "read up to there", "files that are no configuration", "not judged; give what iptables-save prints", "steps through the rules: not judged"}

// cut tells whether a part of the files was left out because there was too much of it.
func cut(n posture.Note) bool {
	return n.Kind == posture.Limit && !slices.ContainsFunc(harmless, func(end string) bool { return strings.HasSuffix(n.Text, end) })
}
