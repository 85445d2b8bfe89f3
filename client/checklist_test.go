package client_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// factsOf runs the checklist on the gateway and returns the facts of an item.
// With the product's own gaps its exit status is 2, and what it says counts.
func (o *office) factsOf(id string) []string {
	o.Helper()
	out, _ := o.gateway.Run(o.within(20*time.Second), o.program, "checklist", "--json", "--config", officeConfig)
	var document struct {
		Data struct {
			Items []struct {
				ID    string
				Facts []struct{ What, Value, Standing string }
			}
		}
	}
	at := strings.Index(out, "{")
	if at < 0 {
		o.Fatalf("no answer: %s", out)
	}
	o.must(json.NewDecoder(strings.NewReader(out[at:])).Decode(&document))
	var facts []string
	for _, it := range document.Data.Items {
		for _, f := range it.Facts {
			if it.ID == id {
				facts = append(facts, f.Standing+": "+f.What+": "+f.Value)
			}
		}
	}
	return facts
}

func (o *office) says(id, want string) {
	o.Helper()
	if facts := o.factsOf(id); !slices.ContainsFunc(facts, func(f string) bool { return strings.Contains(f, want) }) {
		o.Errorf("%s does not say %q:\n%s", id, want, strings.Join(facts, "\n"))
	}
}

// TestTheChecklistSeesALiveSession: its suite, its proof and its keys.
func TestTheChecklistSeesALiveSession(t *testing.T) {
	o := newOffice(t, `{pool: {ipv4: 10.60.0.0/24}, routes: [10.60.0.0/24, 10.9.0.0/24]}`)
	o.says("C3", "not assessable: suites in use: no session is up")
	o.connect()
	o.says("C1", "ok: live sessions: 0 of 1 by a pre-shared key")
	o.says("C3", "ok: IKE in use: 1 aes256gcm16-")
	o.says("C3", "ok: ESP in use: 1 aes256gcm16")
	o.says("C4", "ok: groups in use: 1 ")
	o.says("C4", "ok: forward secrecy: 0 of 1 live sessions without")
	o.says("C5", "ok: listens on: router")
	o.says("C7", "ok: rekeys: the newest key of 1 session is of ")
	o.says("C7", "ok: own CRL: 0 days old, 0 certificates")
	o.admin("device", "revoke", "laptop")
	o.eventually(5*time.Second, "the checklist sees the cut", func() bool {
		return slices.Contains(o.factsOf("C3"), "not assessable: suites in use: no session is up")
	})
	o.says("C7", "ok: own CRL: 0 days old, 1 certificate")
}
