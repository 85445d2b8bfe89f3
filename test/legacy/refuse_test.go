package legacy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// refusal is what status tells of one.
type refusal struct {
	Stage  string `json:"stage"`
	Reason string `json:"reason"`
	Fix    string `json:"fix"`
	PeerID string `json:"peer"`
	Client string `json:"client"`
}

func (g *gateway) refusals(t *testing.T) []refusal {
	t.Helper()
	var status struct {
		Refusals []refusal `json:"refusals"`
	}
	if err := g.ask(t, &status, "status"); err != nil {
		t.Fatal(err)
	}
	return status.Refusals
}

func TestClientsWithoutEAPAreRefusedWithARecord(t *testing.T) {
	w := newWorld(t, printers)
	methods := []string{"pap", "chap", "mschap", "mschap-v2"}
	for _, wanted := range methods {
		t.Run(wanted, func(t *testing.T) {
			c := w.c
			c.EAP, c.Password = nil, "correct horse battery staple"
			for _, m := range methods {
				if m != wanted {
					c.Refuse = append(c.Refuse, m)
				}
			}
			w.configure(t, c)
			defer func() {
				if err := w.vpn.Stop(within(t, time.Minute)); err != nil {
					t.Error(err)
				}
			}()
			before := len(w.g.refusals(t))
			if _, err := w.vpn.UpIPsec(within(t, 30*time.Second)); err != nil {
				t.Fatal(err)
			}
			if link, err := w.vpn.Dial(within(t, 30*time.Second)); err == nil {
				t.Fatalf("it came in: %+v", link)
			}
			var last refusal
			eventually(t, 5*time.Second, "there is a record", func() bool {
				all := w.g.refusals(t)
				if len(all) > before {
					last = all[len(all)-1]
				}
				return len(all) > before
			})
			t.Logf("%+v", last)
			if last.Stage != "PPP" || !strings.Contains(last.Reason, strings.ReplaceAll(wanted, "-", "")) || !strings.Contains(last.Fix, "EAP-TLS") || !strings.Contains(last.PeerID, "laptop") {
				t.Errorf("the record is %+v", last)
			}
			log, err := w.vpn.PPPLog(within(t, 5*time.Second))
			if err != nil || !strings.Contains(log, "rcvd [LCP TermReq") {
				t.Errorf("the client was not told: %v\n%s", err, log)
			}
		})
	}
}

func TestAGroupsKeyLetsAMachineInAndNobodyElse(t *testing.T) {
	key := "ravine-otter-4512-lantern-cobalt-quill-7731"
	file := filepath.Join(t.TempDir(), "group.psk")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, fmt.Sprintf(`
zones:
  printers:
    protocol: l2tp
    machine: [psk]
    group_psk: %s
    auth: [eap-tls]
    reach: [10.20.30.0/24]
    waivers:
      - {rule: PSK-003, until: %[2]s, owner: alice, reason: printers that know nothing else}
      - {rule: CRY-005, until: %[2]s, owner: alice, reason: the same}
`, file, time.Now().AddDate(0, 0, 2).Format(time.DateOnly)))
	c := w.c
	c.PSK, c.ServerID, c.IKE, c.ESP = key, "", "aes256-sha1-ecp384", "aes256-sha1"
	c.Cert, c.Key, c.IPv6 = nil, nil, false
	w.configure(t, c)
	w.up(t, 40*time.Second)
	all := w.sessions(t)
	if len(all) != 1 || all[0].Device != "laptop" || all[0].User != "alice" {
		t.Errorf("the sessions are %+v", all)
	}
	if err := w.vpn.Down(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := w.vpn.Stop(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	c.PSK = "a key that is none of theirs"
	w.configure(t, c)
	if out, err := w.vpn.UpIPsec(within(t, 30*time.Second)); err == nil {
		t.Errorf("another key did:\n%s", out)
	}
}
