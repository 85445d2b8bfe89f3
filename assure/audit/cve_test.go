package audit_test

import (
	"strings"
	"testing"
	"time"

	"sallyport/assure/audit"
	"sallyport/assure/policy"
	"sallyport/assure/vulndb"
	"sallyport/posture"
)

// flaws is a small edition of the data.
func flaws(t *testing.T) *vulndb.Data {
	t.Helper()
	d, err := vulndb.Parse([]byte(`{"schema": 1, "date": "2026-11-26", "records": [
{"id": "CVE-2026-1", "component": "strongswan", "ranges": [{"fixed": "6"}], "reach": [["ikev1"]], "severity": "medium", "summary": "It falls over.", "source": "https://example.org", "date": "2026-01-01"},
{"id": "CVE-2026-2", "component": "linux", "ranges": [{"fixed": "6.5"}], "reach": [["local"]], "severity": "high", "summary": "It falls over.", "source": "https://example.org", "date": "2026-01-01"},
{"id": "CVE-2026-3", "component": "fortios", "ranges": [{"fixed": "7.4.1"}], "severity": "critical", "kev": true, "summary": "It falls over.", "source": "https://example.org", "date": "2026-01-01"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func installed(name, source, version string, changelog []string) posture.Package {
	at := posture.Pos{File: "var/lib/dpkg/status", Line: 1}
	return posture.Package{Subject: posture.Subject{Dialect: posture.Linux, Kind: "package", Name: name, At: at}, Manager: "dpkg", Name: name, Source: source, Version: version, Changelog: changelog}
}

// results are those of one rule.
func results(t *testing.T, h *posture.Host, rule string, now time.Time) []audit.Result {
	t.Helper()
	a := audit.New(audit.Options{Now: now, Data: flaws(t)})
	a.Host(h)
	var of []audit.Result
	for _, r := range a.Results {
		if r.Rule.ID == rule {
			of = append(of, r)
		}
	}
	return of
}

func outcomes(all []audit.Result) string {
	var words []string
	for _, r := range all {
		word := string(r.Outcome)
		if r.Outcome == audit.Found {
			word = r.Severity.String()
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestAFlawWithinReachIsOneStepWorse(t *testing.T) {
	swan := posture.Subject{Dialect: posture.Swanctl, Kind: "connection", Name: "rw", At: posture.Pos{File: "swanctl.conf", Line: 2}}
	for _, c := range []struct {
		why         string
		ikev1       posture.Value[bool]
		changelog   []string
		pkg, config string
	}{
		{"it is reached", posture.Written(true, swan.At, "version = 1"), []string{}, "medium", "high"},
		{"it is not", posture.Written(false, swan.At, "version = 2"), []string{}, "info", "ok"},
		{"it is not known", posture.Value[bool]{}, []string{}, "medium", "unassessable"},
		{"it is fixed", posture.Written(true, swan.At, "version = 1"), []string{"CVE-2026-1"}, "ok", "ok"},
		{"it may be fixed", posture.Written(true, swan.At, "version = 1"), nil, "unassessable", "unassessable"},
	} {
		h := &posture.Host{
			Packages:    []posture.Package{installed("strongswan-charon", "strongswan", "5.9.8-5", c.changelog)},
			Connections: []posture.Connection{{Subject: swan, V1: c.ikev1}},
		}
		if p, q := outcomes(results(t, h, "CVE-001", today)), outcomes(results(t, h, "CVE-002", today)); p != c.pkg || q != c.config {
			t.Errorf("%s: %s for the package and %s for the configuration", c.why, p, q)
		}
	}
}

func TestPackagesOfOneSourceAreOne(t *testing.T) {
	h := &posture.Host{Packages: []posture.Package{
		installed("libstrongswan", "strongswan", "5.9.8-5", nil), installed("strongswan-charon", "strongswan", "5.9.8-5", []string{"CVE-2026-1"}),
	}}
	if got := outcomes(results(t, h, "CVE-001", today)); got != "ok" {
		t.Errorf("with one changelog for both: %s", got)
	}
}

func TestOldKernelsStayInstalled(t *testing.T) {
	h := &posture.Host{Packages: []posture.Package{
		installed("linux-image-6.1.0-9", "linux", "6.1.9-1", []string{}), installed("linux-image-6.6.0-1", "linux", "6.6.1-1", []string{}), installed("linux-image-6.1.0-10", "linux", "6.1.10-1", []string{}),
	}}
	if got := outcomes(results(t, h, "CVE-001", today)); got != "ok" {
		t.Errorf("the newest has no flaw: %s", got)
	}
}

func TestAnApplianceIsJudgedByItsFirmware(t *testing.T) {
	firmware := func(version string) *posture.Host {
		p := installed("FortiOS", "FortiOS", version, nil)
		p.Manager, p.Dialect = "firmware", posture.FortiOS
		return &posture.Host{Packages: []posture.Package{p}}
	}
	for version, want := range map[string]string{"7.4.0": "critical", "7.4.1": "ok", "": "unassessable"} {
		if got := outcomes(results(t, firmware(version), "CVE-004", today)); got != want {
			t.Errorf("%q: %s", version, got)
		}
	}
}

func TestAnExploitedFlawOfAnApplianceIsFoundOnce(t *testing.T) {
	p := installed("FortiOS", "FortiOS", "7.4.0", nil)
	p.Manager, p.Dialect = "firmware", posture.FortiOS
	h := &posture.Host{Packages: []posture.Package{p}}
	if got := outcomes(results(t, h, "CVE-001", today)) + "/" + outcomes(results(t, h, "CVE-004", today)); got != "info/critical" {
		t.Errorf("CVE-001 and CVE-004: %s", got)
	}
	off, faults := policy.Parse("x.yaml", []byte("name: x\nversion: \"2026-11-26\"\ntitle: x\nrules:\n  CVE-004: {severity: off}\n"), []string{"CVE-004"})
	if off == nil {
		t.Fatal(faults.Err())
	}
	a := audit.New(audit.Options{Now: today, Data: flaws(t), Policy: off})
	a.Host(h)
	if g := a.Grade(); g.Letter != "F" || len(g.Caps) == 0 || g.Caps[0].Rules[0] != "CVE-001" {
		t.Error("without CVE-004 nobody says it")
	}
}

func TestDataIsOldAfterTheDaysOfThePolicy(t *testing.T) {
	h := &posture.Host{Packages: []posture.Package{installed("ppp", "ppp", "2.5.4-1", nil)}}
	for days, want := range map[int]string{0: "ok", 89: "ok", 91: "info"} {
		if got := outcomes(results(t, h, "CVE-007", today.AddDate(0, 0, days))); got != want {
			t.Errorf("after %d days: %s", days, got)
		}
	}
	if got := results(t, &posture.Host{}, "CVE-007", today); got != nil {
		t.Errorf("where no package was compared: %s", outcomes(got))
	}
}

func TestAProgramIsBuiltToBeHardToTakeOver(t *testing.T) {
	at := posture.Pos{File: "usr/sbin/pppd"}
	program := func(pie bool, relro posture.Demand, nx bool) *posture.Host {
		return &posture.Host{Binaries: []posture.Binary{{
			Subject: posture.Subject{Dialect: posture.Linux, Kind: "program", Name: "/usr/sbin/pppd", At: at},
			PIE:     posture.Written(pie, at, "ET"), RELRO: posture.Written(relro, at, "RELRO"), NX: posture.Written(nx, at, "STACK"),
		}}}
	}
	for _, c := range []struct {
		host *posture.Host
		want string
		says string
	}{
		{program(true, posture.Always, true), "ok", ""},
		{program(true, posture.Optional, true), "ok", ""},
		{program(false, posture.Always, true), "low", "without PIE"},
		{program(false, posture.Never, false), "low", "PIE and RELRO and a stack"},
	} {
		got := results(t, c.host, "CVE-008", today)
		if outcomes(got) != c.want || !strings.Contains(got[0].Detail, c.says) {
			t.Errorf("%s %q", outcomes(got), got[0].Detail)
		}
	}
}
