package linux_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
	"sallyport/internal/lab/linux"
)

func TestMain(m *testing.M) { linux.Main(m) }

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// boot starts a guest in a host's place; its transcript shows when the test
// fails.
func boot(t *testing.T, h *lab.Host) *linux.Guest {
	t.Helper()
	g, err := linux.Boot(within(t, time.Minute), h, linux.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("transcript of %s:\n%s", g.Name, g.Transcript())
		}
	})
	return g
}

var gateway4 = netip.MustParseAddr("198.51.100.10")

// shown puts the logs of a guest into the output of a test that fails.
func shown(t *testing.T, g *linux.Guest) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(linux.Logs(context.Background(), g))
		}
	})
}

func issue(t *testing.T, ca *labtest.Authority, name, id string) (cert, key []byte) {
	t.Helper()
	i := ca.Issue(t, labtest.Leaf{Name: name, ID: id, Key: labtest.RSA})
	return labtest.CertPEM(i.Chain...), labtest.KeyPEM(i.Key)
}

// pair is a client and a server, both with machine certificates and EAP-TLS.
func pair(t *testing.T) (linux.Client, linux.Server) {
	machines, users := labtest.NewAuthority(t, "Machines"), labtest.NewAuthority(t, "Users")
	c := linux.Client{
		Server: gateway4, CA: labtest.CertPEM(machines.Cert), Fragments: true,
		User: "alice", EAP: &linux.EAPTLS{CA: labtest.CertPEM(users.Cert), Server: "vpn.example.org"},
		DNS: true, IPv6: true,
	}
	c.Cert, c.Key = issue(t, machines, "laptop", "laptop.example.org")
	c.EAP.Cert, c.EAP.Key = issue(t, users, "alice", "alice@example.org")
	s := linux.Server{
		CA: c.CA, UserCA: c.EAP.CA, Name: "vpn.example.org",
		Local: netip.MustParseAddr("10.60.0.1"), First: netip.MustParseAddr("10.60.0.2"), Last: netip.MustParseAddr("10.60.0.9"),
		DNS: netip.MustParseAddr("10.9.0.53"),
	}
	s.Cert, s.Key = issue(t, machines, "vpn.example.org", "vpn.example.org")
	s.EAPCert, s.EAPKey = issue(t, users, "vpn.example.org", "vpn.example.org")
	return c, s
}
