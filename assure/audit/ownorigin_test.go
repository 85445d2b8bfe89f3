package audit_test

import (
	"testing"
	"testing/fstest"

	"sallyport/assure/audit"
	"sallyport/posture"
)

// TestWhatAnUnknownVersionAddsIsInferred: without "!" strongSwan's own proposals
// come after those written, and which they are depends on the version.
func TestWhatAnUnknownVersionAddsIsInferred(t *testing.T) {
	const conn = "conn a\n  keyexchange=ikev2\n  left=%any\n  right=192.0.2.9\n  authby=pubkey\n  ike=aes256gcm16-prfsha384-ecp384\n  esp=aes256gcm16-ecp384!\n  auto=start\n"
	for _, c := range []struct {
		packages string
		want     posture.Origin
	}{
		{"", posture.Inferred},
		{"Package: strongswan-charon\nStatus: install ok installed\nSource: strongswan\nVersion: 5.9.8-5+deb12u6\n", posture.Default},
	} {
		a := auditOf(fstest.MapFS{
			"etc/ipsec.conf":      {Data: []byte("# strongSwan\n" + conn)},
			"etc/os-release":      {Data: []byte("ID=debian\nVERSION_ID=\"12\"\n")},
			"var/lib/dpkg/status": {Data: []byte(c.packages)},
		})
		found := false
		for _, r := range a.Results {
			if r.Rule.ID == "CRY-009" && r.Outcome == audit.Found && r.Subject.Name == "a" {
				found = true
				if r.Evidence.Origin != c.want {
					t.Errorf("origin %v, want %v: %+v", r.Evidence.Origin, c.want, r.Evidence)
				}
			}
		}
		if !found {
			t.Error("no finding of CRY-009")
		}
	}
}
