package cli

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const siteData = `{"schema": 1, "date": "2026-11-01", "records": [{
 "id": "CVE-2026-1", "component": "xl2tpd", "ranges": [{"fixed": "1.3.20"}], "severity": "critical", "summary": "It falls over.", "source": "https://example.org", "date": "2026-10-01"}]}`

// site makes a directory with data, its signature, the key, and a host with one
// package.
func site(t *testing.T) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"data.json": []byte(siteData), "data.json.sig": ed25519.Sign(private, []byte(siteData)),
		"key.pem":                  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"host/etc/os-release":      []byte("ID=debian\nVERSION_ID=12\n"),
		"host/var/lib/dpkg/status": []byte("Package: xl2tpd\nStatus: install ok installed\nVersion: 1.3.18-1\n"),
		"host/usr/share/doc/xl2tpd/changelog.Debian": []byte("xl2tpd (1.3.18-1)\n"),
		"host/etc/modprobe.d/none.conf":              []byte("blacklist pcspkr\n"),
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// commandLine runs one and returns what it says.
func commandLine(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	env, out, errs := testEnv(nil)
	env.Now = func() time.Time { return scriptDay }
	code = Main(context.Background(), env, args)
	return code, out.String(), errs.String()
}

func TestASiteMayUseDataThatItHasSigned(t *testing.T) {
	dir := site(t)
	data, key := filepath.Join(dir, "data.json"), filepath.Join(dir, "key.pem")
	code, out, errs := commandLine(t, "audit", "vulndb", "verify", "--vulndb-key", key, data)
	if code != ExitOK || !strings.Contains(out, "can be used: data of 2026-11-01, 22 days old: 1 record") {
		t.Errorf("verify: %d, %q, %q", code, out, errs)
	}
	code, out, errs = commandLine(t, "audit", "--json", "--vulndb", data, "--vulndb-key", key, filepath.Join(dir, "host"))
	var r struct {
		Data     struct{ Vulnerabilities string }
		Findings []struct{ Rule, Detail string }
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %q %q", err, out, errs)
	}
	if code != ExitFailures || r.Data.Vulnerabilities != "2026-11-01" || len(r.Findings) == 0 || !strings.HasPrefix(r.Findings[0].Detail, "CVE-2026-1: It falls over.") {
		t.Errorf("audit: %d, %+v", code, r)
	}
}

func TestDataOfOthersIsRefused(t *testing.T) {
	dir := site(t)
	data, key, changed := filepath.Join(dir, "data.json"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "changed.json")
	for from, to := range map[string]string{data: changed, data + ".sig": changed + ".sig"} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, bytes.Replace(b, []byte("\"date\""), []byte(" \"date\""), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for why, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"by nobody's key":   {[]string{"audit", "vulndb", "verify", data}, ExitError, "--vulndb-key"},
		"used all the same": {[]string{"audit", "--vulndb", data, dir}, ExitError, "only with a signature"},
		"no such file":      {[]string{"audit", "vulndb", "verify", "--vulndb-key", key, data + "x"}, ExitUnreadable, "FILE.sig"},
		"changed since":     {[]string{"audit", "vulndb", "verify", "--vulndb-key", key, changed}, ExitError, "the signature is not of this file"},
		"no key":            {[]string{"audit", "vulndb", "verify", "--vulndb-key", data, data}, ExitError, "no public key"},
		"no data":           {[]string{"audit", "--vulndb-key", key, dir}, ExitError, "--vulndb"},
	} {
		if code, out, errs := commandLine(t, c.args...); code != c.code || out != "" || !strings.Contains(errs, c.says) {
			t.Errorf("%s: %d, %q, %q", why, code, out, errs)
		}
	}
}

func TestTheDataCanBeShown(t *testing.T) {
	code, out, _ := commandLine(t, "audit", "vulndb", "show")
	if code != ExitOK || !strings.Contains(out, "CVE-2026-78135  strongswan") || !strings.Contains(out, "exploited") {
		t.Errorf("%d, %.300s", code, out)
	}
	code, out, _ = commandLine(t, "audit", "vulndb", "show", "--json")
	var r struct {
		Data struct {
			Records int
			List    []struct{ ID string }
		}
	}
	if err := json.Unmarshal([]byte(out), &r); code != ExitOK || err != nil || len(r.Data.List) != r.Data.Records || r.Data.Records == 0 {
		t.Errorf("%d, %v, %d records", code, err, r.Data.Records)
	}
}
