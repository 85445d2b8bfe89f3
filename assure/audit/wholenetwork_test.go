package audit_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/assure/audit"
)

func TestOneRADIUSSecretForANetworkIsFound(t *testing.T) {
	client := func(address string) string {
		return "client x {\n\tipaddr = " + address + "\n\tsecret = " + string(random(1)) + "\n\trequire_message_authenticator = yes\n}\n"
	}
	for address, want := range map[string]string{"*": "high", "0.0.0.0/0": "high", "10.0.0.0/8": "medium", "10.0.0.7": "ok", "10.0.0.7/32": "ok", "127.0.0.0/8": "ok"} {
		a := auditOf(fstest.MapFS{"etc/freeradius/3.0/clients.conf": {Data: []byte(client(address))}})
		var got []audit.Result
		for _, r := range a.Results {
			if r.Rule.ID == "PSK-012" {
				got = append(got, r)
			}
		}
		if verdicts(got) != want {
			t.Errorf("%s: %q, want %q", address, verdicts(got), want)
		}
		if want != "ok" && !strings.Contains(got[0].Fix, "instead of client x") {
			t.Errorf("%s: %s", address, got[0].Fix)
		}
	}
}
