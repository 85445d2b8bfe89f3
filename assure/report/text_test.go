package report_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"sallyport/assure/audit"
	"sallyport/assure/policy"
	"sallyport/assure/report"
	"sallyport/posture"
)

// textOf is a report as a terminal of a width shows it.
func textOf(t *testing.T, r *report.Report, width int) string {
	t.Helper()
	return string(document(t, func(b *bytes.Buffer) error { return r.Text(b, report.TextOptions{Width: width}) }))
}

func findings(all ...report.Finding) *report.Report {
	for i := range all {
		all[i].Rule, all[i].Severity, all[i].Title, all[i].Host, all[i].Origin = "LEAK-001", audit.High, "L2TP is answered inside IPsec alone", "gw", "explicit"
	}
	return &report.Report{Hosts: []string{"gw"}, Findings: all}
}

func TestANarrowTerminalBreaksNoWords(t *testing.T) {
	f := report.Finding{
		Detail: strings.Repeat("the peer takes what was given up ", 5), Value: strings.Repeat("aes128gcm16-", 13), Why: strings.Repeat("Whoever records it reads it. ", 5),
		Fix: "# in the packet filter of the host, below what lets the peers of IPsec in, for all of its addresses\niptables -I INPUT 1 -p udp --dport 1701 -m policy --dir in --pol none -j DROP",
	}
	for _, width := range []int{40, 60, 80, 100} {
		for line := range strings.Lines(textOf(t, findings(f), width)) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width && !strings.Contains(line, "iptables") && !strings.Contains(line, "LEAK-001") {
				t.Errorf("%d columns at a width of %d: %s", n, width, line)
			}
		}
	}
	if text := textOf(t, findings(f), 60); !strings.Contains(text, "iptables -I INPUT 1 -p udp --dport 1701 -m policy --dir in --pol none -j DROP\n") {
		t.Errorf("a command cannot be pasted:\n%s", text)
	}
	if text := textOf(t, findings(f), 60); !strings.Contains(text, "\n          # ") {
		t.Errorf("a comment does not stay one:\n%s", text)
	}
}

// TestALineOfAFixIsOneLine: strongSwan takes what stands after a line's end for a line
// of its own.
func TestALineOfAFixIsOneLine(t *testing.T) {
	long := "proposals = " + strings.Repeat("aes256gcm16-prfsha384-ecp384-ke1_mlkem768,", 4)
	if text := textOf(t, findings(report.Finding{Dialect: "swanctl", Fix: long}), 60); !strings.Contains(text, long+"\n") {
		t.Errorf("it is broken:\n%s", text)
	}
	menus := strings.Repeat("VPN > IPsec > Tunnels > ", 6)
	if text := textOf(t, findings(report.Finding{Dialect: "pfsense", Fix: menus}), 60); strings.Contains(text, menus) {
		t.Errorf("what nobody pastes is not broken:\n%s", text)
	}
}

func TestAFixThatManyFindingsHaveIsShownOnce(t *testing.T) {
	a, b, c := report.Finding{Subject: "a", Fix: "x = 1"}, report.Finding{Subject: "b", Fix: "x = 1"}, report.Finding{Subject: "c", Fix: "x = 2"}
	if text := textOf(t, findings(a, b, c), 0); strings.Count(text, "x = 1") != 1 || strings.Count(text, "as above") != 1 || !strings.Contains(text, "x = 2") {
		t.Error(text)
	}
}

func TestARuleSaysWhyOnce(t *testing.T) {
	text := textOf(t, findings(report.Finding{Subject: "a", Why: "Strangers reach it."}, report.Finding{Subject: "b", Why: "Strangers reach it."}), 0)
	if n := strings.Count(text, "Strangers reach it."); n != 1 || !strings.Contains(text, `"b"`) {
		t.Errorf("%d times:\n%s", n, text)
	}
}

func TestAListOfAllThatAProductTakesIsCutShort(t *testing.T) {
	long := strings.Repeat("aes128-", 100) + "modp2048"
	r := findings(report.Finding{Value: long, Because: "version unknown: default of strongSwan 5.9"})
	if text := textOf(t, r, 0); strings.Contains(text, "modp2048") || !strings.Contains(text, "... (version unknown") {
		t.Errorf("%s", text)
	}
	all := string(document(t, func(b *bytes.Buffer) error { return r.Text(b, report.TextOptions{All: true}) }))
	if !strings.Contains(all, "modp2048") {
		t.Errorf("--all cuts: %s", all)
	}
}

func TestAReasonThatManyRulesHaveIsToldOnce(t *testing.T) {
	r := findings(report.Finding{Subject: "a"})
	for _, rule := range []string{"CRY-001", "CRY-002", "CRY-003", "CRY-004", "CRY-005"} {
		r.Unassessable = append(r.Unassessable, report.Unassessed{Rule: rule, Kind: "file", Subject: "ipsec.conf", Reason: "the file could not be read"})
	}
	r.Unassessable = append(r.Unassessable, report.Unassessed{Rule: "CRY-004", Kind: "child", Subject: "net", Reason: "the files do not tell"})
	text := textOf(t, r, 0)
	if strings.Count(text, "could not be read") != 1 || !strings.Contains(text, "CRY-001, CRY-002, CRY-003 and 2 more rules  the file could not be read") {
		t.Errorf("%s", text)
	}
	if !strings.Contains(text, `CRY-004  the files do not tell: child "net"`) {
		t.Errorf("the other reason is lost: %s", text)
	}
}

func TestTwoCopiesOfAHostAreToldOnce(t *testing.T) {
	r := findings(report.Finding{Subject: "office"})
	r.Hosts = []string{"gw", "gw"}
	if text := textOf(t, r, 0); strings.Count(text, `"office"`) != 1 {
		t.Errorf("%s", text)
	}
}

func TestANoteIsMadeOnce(t *testing.T) {
	a := audit.New(audit.Options{Now: today})
	h := &posture.Host{Name: "gw"}
	for range 2 {
		h.Notes = append(h.Notes, posture.Note{Kind: posture.Unreadable, Dialect: posture.PPPD, At: posture.Pos{File: "chap-secrets"}, Text: "permission denied"})
	}
	a.Host(h)
	if r := report.Make(a, report.Inventory{}, &policy.Policy{}, report.Tool{}, "gw", today); len(r.Notes) != 1 {
		t.Errorf("%+v", r.Notes)
	}
}
