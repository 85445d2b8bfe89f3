package audit_test

import (
	"strings"
	"testing"

	"sallyport/assure/audit"
	"sallyport/posture"
)

func TestAFileThatCouldNotBeReadIsNotFine(t *testing.T) {
	for _, c := range []struct {
		says string
		note posture.Note
		want string // of PSK-001 and of CRY-008
	}{
		{"secrets", posture.Note{Kind: posture.Unreadable, Dialect: posture.Starter, At: posture.Pos{File: "etc/ipsec.secrets"}, Text: "permission denied"}, "unassessable "},
		{"connections and secrets", posture.Note{Kind: posture.Unreadable, Dialect: posture.Swanctl, At: posture.Pos{File: "etc/swanctl/swanctl.conf"}, Text: "permission denied"}, "unassessable unassessable"},
		{"a directory", posture.Note{Kind: posture.Unreadable, At: posture.Pos{File: "etc/swanctl"}, Text: "cannot be listed: permission denied"}, "unassessable unassessable"},
		{"too large", posture.Note{Kind: posture.Limit, Dialect: posture.Starter, At: posture.Pos{File: "ipsec.secrets"}, Text: "has 99 octets, more than 9: not read"}, "unassessable "},
		{"an include of nothing", posture.Note{Kind: posture.Unreadable, Dialect: posture.Starter, At: posture.Pos{File: "ipsec.conf", Line: 3}, Text: "\"x\" does not exist"}, " "},
		{"a line that nobody knows", posture.Note{Kind: posture.Unparsed, Dialect: posture.Starter, At: posture.Pos{File: "ipsec.conf"}, Text: "what"}, " "},
	} {
		h := posture.Host{Name: "gw", Files: []posture.File{{Path: "etc/ipsec.conf", Dialect: posture.Starter}}, Notes: []posture.Note{c.note}}
		got := verdicts(judged("PSK-001", h)) + " " + verdicts(judged("CRY-008", h))
		if got != c.want {
			t.Errorf("%s: %q, and not %q", c.says, got, c.want)
		}
		for _, r := range judged("PSK-001", h) {
			if !strings.Contains(r.Detail, "could not be read") {
				t.Errorf("%s: %s", c.says, r.Detail)
			}
		}
	}
}

func TestTheLetterIsBracketedWhereAFileCouldNotBeRead(t *testing.T) {
	a := audit.New(audit.Options{Now: today})
	h := hostOf(psk([]byte("secret"), "10.1.2.3")) // an F, which needs no brackets
	a.Host(&h)
	if a.Grade().Bracketed {
		t.Error("in brackets, though all was read")
	}
	h.Notes = []posture.Note{{Kind: posture.Unreadable, Dialect: posture.PPPD, At: posture.Pos{File: "etc/ppp/chap-secrets"}, Text: "permission denied"}}
	b := audit.New(audit.Options{Now: today})
	b.Host(&h)
	if !b.Grade().Bracketed || b.Grade().Unassessed <= a.Grade().Unassessed || b.Grade().Missing() == "" {
		t.Errorf("not in brackets: %+v", b.Grade())
	}
}

// TestTheLetterIsBracketedWhereAPartWasLeftOut: the worst may stand behind the limit.
func TestTheLetterIsBracketedWhereAPartWasLeftOut(t *testing.T) {
	for text, want := range map[string]string{
		"the line has 300000 octets, more than 262144: left out":                       "in brackets: a part of the files was left out",
		"more than 20000 files: the rest was not read":                                 "in brackets: a part of the files was left out",
		"\"etc/ipsec.conf\" includes itself: not followed":                             "",
		"has more than 4194304 octets: read up to there":                               "",
		"the script decides while it runs: not judged; give what iptables-save prints": "",
	} {
		h := hostOf(psk([]byte("secret"), "10.1.2.3"))
		h.Notes = []posture.Note{{Kind: posture.Limit, Dialect: posture.Starter, At: posture.Pos{File: "etc/ipsec.conf", Line: 7}, Text: text}}
		a := audit.New(audit.Options{Now: today})
		a.Host(&h)
		if g := a.Grade(); g.Missing() != want || g.Bracketed != (want != "") {
			t.Errorf("%s: %s, %q", text, g, g.Missing())
		}
	}
}
