package report_test

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/assure/audit"
	"sallyport/assure/policy"
	"sallyport/assure/report"
	"sallyport/posture"
	"sallyport/protocol/suite"
)

var update = flag.Bool("update", false, "rewrite the goldens from what the code does now")

// today is when the reports of the tests are made.
var today = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// golden compares a document with the one in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code makes: go test ./assure/report -update, and look at the difference\n%s", file, firstDifference(got, want))
	}
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "got  " + g[i] + "\nwant " + w[i]
		}
	}
	return "one is longer"
}

// The rules of the tests are like those of the catalogue, but stay as they are.
var (
	ruleSHA1 = &audit.Rule{ID: "CRY-005", Title: "No algorithm rests on SHA-1", Severity: audit.Medium, Why: "SHA-1 is being retired, and a peer that takes it can be held to it.", Refs: []string{"RFC 8247, Section 2.3"}, Needs: audit.Config}
	rulePSK  = &audit.Rule{ID: "PSK-001", Title: "A pre-shared key cannot be guessed", Severity: audit.Critical, Why: "Who records one exchange can try every word of a dictionary at home, and then is the gateway.", Refs: []string{"RFC 7296, Section 2.15", "CVE-2018-5389"}, Needs: audit.Config}
	rulePFS  = &audit.Rule{ID: "CRY-010", Title: "Child SAs have forward secrecy", Severity: audit.Medium, Why: "One stolen key opens all that was recorded.", Refs: []string{"RFC 7296, Section 1.3.1"}, Needs: audit.Config}
	ruleDPD  = &audit.Rule{ID: "NAT-004", Title: "Dead peers are noticed", Severity: audit.Low, Why: "An SA without a peer is a hole that nobody sees.", Needs: audit.Config}
	ruleVID  = &audit.Rule{ID: "LOG-009", Title: "The product does not name itself", Severity: audit.Info, Why: "A vendor ID saves an attacker a guess.", Needs: audit.Config}
	ruleCRL  = &audit.Rule{ID: "KEY-007", Title: "Revoked certificates are refused", Severity: audit.High, Why: "A stolen laptop stays a way in until its certificate ends.", Refs: []string{"RFC 5280, Section 6.3"}, Needs: audit.Config}
)

const hostile = "gw\x1b[31m<script>alert(1)</script>\"'&\u202e](https://evil.example/)"

func conn(name string, line int) posture.Subject {
	return posture.Subject{Dialect: posture.Swanctl, Kind: "connection", Name: name, At: posture.Pos{File: "gw1/etc/swanctl/swanctl.conf", Line: line}}
}

func written(file string, line int, value string) audit.Evidence {
	return audit.Evidence{At: posture.Pos{File: file, Line: line, Col: 9}, Origin: posture.Explicit, Value: value}
}

func waiver(rule, subject, expires string) *audit.Waiver {
	day, _ := time.Parse(time.DateOnly, expires)
	return &audit.Waiver{Rule: rule, Subject: subject, Reason: "the router at the branch is replaced in spring", Owner: "network@example.net", Expires: day}
}

// results are an audit of two hosts with every kind of answer.
func results() *audit.Audit {
	const file = "gw1/etc/swanctl/swanctl.conf"
	byDefault := audit.Evidence{At: posture.Pos{File: file, Line: 3}, Origin: posture.Default, Value: "no", Why: "default of strongSwan before 6.0.2"}
	psk := posture.Subject{Dialect: posture.Libreswan, Kind: "secret", Name: "%any", At: posture.Pos{File: "/etc/ipsec.d/a b:c%.secrets", Line: 2}}
	bad := conn(hostile, 40)
	return &audit.Audit{
		Hosts: []string{"gw1", "gw2"},
		Results: []audit.Result{
			{Rule: ruleSHA1, Outcome: audit.Found, Severity: audit.Medium, Host: "gw1", Subject: conn("branch", 3), Evidence: written(file, 7, "aes128-sha1-modp2048"), Detail: "SHA-1 may be chosen for integrity", Fix: "connections {\n  branch {\n    proposals = aes256gcm16-prfsha384-ecp384\n  }\n}", Waived: waiver("CRY-005", "branch", "2027-03-31")},
			{Rule: ruleSHA1, Outcome: audit.Found, Severity: audit.Medium, Host: "gw1", Subject: conn("office", 20), Evidence: written(file, 24, "aes128-sha1-modp2048"), Detail: "SHA-1 may be chosen for integrity", Fix: "proposals = aes256gcm16-prfsha384-ecp384", Waived: waiver("CRY-005", "office", "2026-10-31")},
			{Rule: ruleSHA1, Outcome: audit.OK, Host: "gw1", Subject: conn("staff", 50)},
			{Rule: rulePSK, Outcome: audit.Found, Severity: audit.Critical, Host: "gw2", Subject: psk, Evidence: audit.Evidence{At: psk.At, Origin: posture.Explicit, Value: "8 characters"}, Detail: "the key is a word with a number", Fix: "%any : PSK \"...\"   # 32 random characters"},
			{Rule: rulePFS, Outcome: audit.Found, Severity: audit.Medium, Host: "gw1", Subject: bad, Evidence: byDefault, Detail: "no key exchange is in the proposals of " + hostile, Fix: "esp_proposals = aes256gcm16-ecp384"},
			{Rule: rulePFS, Outcome: audit.OK, Host: "gw1", Subject: conn("staff", 50)},
			{Rule: rulePFS, Outcome: audit.OK, Host: "gw1", Subject: conn("branch", 3)},
			{Rule: ruleDPD, Outcome: audit.Found, Severity: audit.Low, Host: "gw1", Subject: conn("branch", 3), Evidence: byDefault, Detail: "dead peers are never looked for", Fix: "dpd_delay = 30s"},
			{Rule: ruleVID, Outcome: audit.Found, Severity: audit.Info, Host: "gw2", Subject: posture.Subject{Dialect: posture.Libreswan, Kind: "daemon"}, Evidence: audit.Evidence{Origin: posture.Inferred, Value: "yes", Why: "version unknown: default of Libreswan 5.2"}, Detail: "the vendor ID is sent", Fix: "config setup\n  sendvendorid=no"},
			{Rule: ruleCRL, Outcome: audit.Unassessable, Host: "gw1", Subject: conn("staff", 50), Detail: "the files do not tell"},
			{Rule: ruleCRL, Outcome: audit.Unassessable, Host: "gw1", Subject: conn(hostile, 40), Detail: "the files do not tell"},
		},
		Notes: []posture.Note{
			{Kind: posture.Unparsed, Dialect: posture.Swanctl, At: posture.Pos{File: file, Line: 61}, Text: "unknown setting \"colour\""},
			{Kind: posture.Outside, At: posture.Pos{File: file, Line: 62}, Text: "include of ../../secret leaves the target"},
		},
	}
}

// hosts are what the cryptography of the tests is read from.
func hosts() []*posture.Host {
	at := posture.Pos{File: "gw1/etc/swanctl/swanctl.conf", Line: 3}
	mk := func(words ...string) (list []suite.Transform) {
		for _, w := range words {
			a, ok := suite.ByKeyword(w)
			if !ok {
				panic(w)
			}
			list = append(list, a.Transform)
		}
		return list
	}
	modern := posture.Proposal{Transforms: mk("aes256gcm16", "prfsha384", "ecp384"), AddKE: mk("mlkem768")}
	old := posture.Proposal{Transforms: mk("3des", "aes128", "sha1", "prfsha1", "modp1024"), Unknown: []string{"twofish"}}
	esp := posture.Proposal{Transforms: mk("aes256gcm16", "ecp384", "esn", "noesn")}
	auth := func(m posture.Method, eap ...string) posture.Auth {
		return posture.Auth{Method: posture.Written(m, at, ""), EAP: posture.Written(eap, at, "")}
	}
	return []*posture.Host{{Name: "gw1", Connections: []posture.Connection{
		{
			Subject: conn("staff", 50), V2: posture.Written(true, at, ""), V1: posture.Written(false, at, ""), IKE: posture.Written([]posture.Proposal{modern}, at, ""),
			Local: []posture.Auth{auth(posture.MethodPubkey)}, Remote: []posture.Auth{auth(posture.MethodEAP, "tls")}, PPK: posture.Written(posture.Optional, at, ""),
			Children: []posture.Child{{Subject: posture.Subject{Dialect: posture.Swanctl, Kind: "child", Name: "net", At: posture.Pos{File: at.File, Line: 55}}, ESP: posture.Written([]posture.Proposal{esp}, at, ""), ESN: posture.Written(true, at, "")}},
		},
		{
			Subject: conn(hostile, 3), V1: posture.Written(true, at, ""), IKE: posture.Written([]posture.Proposal{old}, at, ""),
			Local: []posture.Auth{auth(posture.MethodPSK)}, Remote: []posture.Auth{auth(posture.MethodPSK)},
			Children: []posture.Child{{Subject: posture.Subject{Dialect: posture.Swanctl, Kind: "child", Name: "net", At: posture.Pos{File: at.File, Line: 55}}, ESP: posture.Written([]posture.Proposal{{Transforms: mk("3des", "sha1")}}, at, "")}},
		},
		{Subject: conn("off", 90), Disabled: true},
	}, Keys: []posture.Key{
		{Subject: posture.Subject{Dialect: posture.X509, Kind: "certificate", Name: "gw1.pem", At: posture.Pos{File: "gw1/etc/swanctl/x509/gw1.pem"}}, Certificate: certificate()},
		{Subject: posture.Subject{Dialect: posture.X509, Kind: "key", Name: "gw1.key", At: posture.Pos{File: "gw1/etc/swanctl/private/gw1.key"}}, Private: true, Public: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}},
		{Subject: posture.Subject{Dialect: posture.X509, Kind: "key", Name: "encrypted.key"}, Private: true, Encrypted: true},
	}}}
}

// madeOnce is a certificate of gw1.example.net with a key on P-256.
const madeOnce = "MIIBHzCBx6ADAgECAgEHMAoGCCqGSM49BAMCMBoxGDAWBgNVBAMTD2d3MS5leGFtcGxlLm5ldDAeFw0yNjAxMDEwMDAwMDBaFw0yODAxMDEwMDAwMDBaMBoxGDAWBgNVBAMTD2d3MS5leGFtcGxlLm5ldDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLUZRmj6bbfXfVDTo9GBQv0rsbQoynZ0jSf0Lnxi5rlHLpRZzOy0mwvqQbm9KPvyiKrO1mI9NTnKBJvDjsatTeowCgYIKoZIzj0EAwIDRwAwRAIgIRtQv2D4hDH11wfBdkzQEUOCQXOaojJJlayDZXS8J3oCIHu8zM4yhlQ64W73syk8uNRj3MHSbPqo1cWNQLuU2ij3"

// certificate is one that was made once.
func certificate() []byte {
	der, err := base64.StdEncoding.DecodeString(madeOnce)
	if err != nil {
		panic(err)
	}
	return der
}

// fixture is the report of the tests.
func fixture(t *testing.T) *report.Report {
	t.Helper()
	return made(results())
}

func made(a *audit.Audit) *report.Report {
	var seen report.Inventory
	for _, h := range hosts() {
		seen.Add(h)
	}
	r := report.Make(a, seen, &policy.Policy{Name: "default", Version: "2026-11-01", Basis: "RFC 8247, RFC 8221"}, report.Tool{Name: "sallyport", Version: "1.0"}, "backup", today)
	r.NotLookedAt = []report.Rule{{ID: "RPL-011", Title: "Cookies are asked for under load", Needs: "scan", Reason: "This is no finding: it takes a scan to tell whether the rule holds."}, {ID: "LEAK-003", Title: "Nothing leaves in the clear while the tunnel is down", Needs: "drill", Reason: "This is no finding: it takes a drill to tell whether the rule holds."}}
	return r
}

// written by one of the formats.
func document(t *testing.T, write func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
