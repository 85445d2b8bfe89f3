package checklist

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/config"
)

const ownText = `gateway: {name: vpn.example.org}
zones:
  staff: {auth: [certificate, peap], radius: corp}
  old:
    protocol: l2tp
    listen: [192.0.2.2]
    cutoff: 2027-03-31
    machine: [psk]
    auth: [peap]
    pool: {ipv4: 10.62.0.0/24}
    reach: [10.9.0.0/24]
    group_psk: DIR/group.psk
    waivers:
      - {rule: PSK-003, until: 2027-03-31, owner: alice, reason: old routers}
      WAIVER
radius:
  corp:
    servers: [{address: "192.0.2.5:1812", secret: DIR/radius.secret}]
`

// TestWhatTheAuditDoesAboutAConfiguration: refuses it, lets it be while somebody
// answers, and shows no secret.
func TestWhatTheAuditDoesAboutAConfiguration(t *testing.T) {
	const waiver = "- {rule: PSK-002, until: 2027-01-31, owner: bob, reason: cannot be set anew}"
	for name, c := range map[string]struct {
		psk, radius, waiver string
		errors              []string
		warnings            []string
		silent              []string
	}{
		"a listed key": {"vpn\n", "kV9x2TqLw7RzN4bYd8HsJ3mF\n", "",
			[]string{`group.psk:1:1: PSK-002 (critical): secret "old"`}, []string{"PSK-003"}, []string{"PSK-012"}},
		"a listed key that is waived": {"vpn\n", "kV9x2TqLw7RzN4bYd8HsJ3mF\n", waiver,
			nil, []string{`waived by "bob" until 2027-01-31`}, nil},
		"the gateway's name": {"vpn.example.org", "kV9x2TqLw7RzN4bYd8HsJ3mF\n", waiver,
			[]string{"PSK-005 (critical)"}, nil, nil},
		"a sample RADIUS secret": {"pW4tG8sKx2VnB6qJz9LcR3yM\n", "testing123\n", "",
			nil, []string{`radius.secret:1:1: PSK-012 (high): secret "corp 192.0.2.5:1812"`}, []string{"PSK-002", "PSK-001"}},
		"good secrets": {"pW4tG8sKx2VnB6qJz9LcR3yM\n", "kV9x2TqLw7RzN4bYd8HsJ3mF\n", "", nil, nil, []string{"PSK-001", "PSK-002", "PSK-012"}},
		"no files":     {"", "", "", nil, []string{"PSK-003"}, []string{"PSK-002", "PSK-012"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{"group.psk": c.psk, "radius.secret": c.radius} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if text == "" {
					os.Remove(filepath.Join(dir, file))
				}
			}
			text := strings.NewReplacer("DIR", dir, "WAIVER", c.waiver).Replace(ownText)
			file := filepath.Join(dir, "sallyport.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, found := config.Parse(file, []byte(text), now)
			if cfg == nil {
				t.Fatal(found)
			}
			var errors, warnings strings.Builder
			for _, d := range Verdict(cfg, Audit(cfg, file, now), now) {
				into := &warnings
				if d.Severity == config.Error {
					into = &errors
					if d.Hint == "" || d.File == "" {
						t.Errorf("without a place or a hint: %+v", d)
					}
				}
				into.WriteString(d.String() + " hint: " + d.Hint + "\n")
			}
			if (errors.Len() > 0) != (c.errors != nil) {
				t.Errorf("errors:\n%s", errors.String())
			}
			all := errors.String() + warnings.String()
			for _, want := range c.errors {
				if !strings.Contains(errors.String(), want) {
					t.Errorf("no error says %q:\n%s", want, all)
				}
			}
			for _, want := range c.warnings {
				if !strings.Contains(warnings.String(), want) {
					t.Errorf("no warning says %q:\n%s", want, all)
				}
			}
			for _, not := range append(c.silent, "testing123", `"vpn"`) {
				if strings.Contains(all, not) {
					t.Errorf("something says %q:\n%s", not, all)
				}
			}
			if strings.Contains(errors.String(), "PSK-002") &&
				!strings.Contains(errors.String(), "zones.old.waivers: [{rule: PSK-002, until: 2026-12-26, owner: NAME, reason: TEXT}]") {
				t.Errorf("no error says how to be let in meanwhile:\n%s", all)
			}
			if strings.Contains(all, "PSK-003") && !strings.Contains(all, "sallyport.yaml:12:") {
				t.Errorf("PSK-003 is not where group_psk is:\n%s", all)
			}
		})
	}
}
