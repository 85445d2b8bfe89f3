package profile_test

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
	"sallyport/pki"
	"sallyport/profile"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// TestSwanctlLoadsTheProfile gives the profile of every policy to a real
// strongSwan, and asks it back what it has understood.
func TestSwanctlLoadsTheProfile(t *testing.T) {
	l := labtest.Open(t, "laptop 192.0.2.2/24 -- 192.0.2.1/24 gateway", "charon-systemd", "swanctl")
	ctx := t.Context()
	laptop, err := l.Host("laptop")
	if err != nil {
		t.Fatal(err)
	}
	swan, err := laptop.StartStrongSwan(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer swan.Stop()
	for _, policy := range suite.PolicyNames() {
		cfg, diags := config.Parse("test.yaml", []byte("gateway: {name: vpn.example.org}\nzones: {staff: {policy: "+policy+"}}\n"), time.Now())
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		in := profile.Laptop(t, &cfg.Zones[0])
		in.Device.Identity = `lap\top" } # {@alice`
		p, err := profile.Make("swanctl", in)
		if err != nil {
			t.Fatal(err)
		}
		files := lab.SwanFiles{Conf: p.Files[0].Content, X509: map[string][]byte{p.Files[1].Name: p.Files[1].Bytes()}, X509CA: map[string][]byte{p.Files[2].Name: p.Files[2].Bytes()}}
		if err := swan.Load(ctx, files); err != nil {
			t.Errorf("%s: swanctl does not take the profile: %v", policy, err)
			continue
		}
		out, err := laptop.RunCommand(ctx, lab.Command{Program: "swanctl", Args: []string{"--list-conns"}, Env: []string{"STRONGSWAN_CONF=/run/strongswan.conf"}})
		for _, want := range []string{"sallyport-laptop: IKEv2", `lap\top" } # {@alice`, "id: vpn.example.org", "remote: 0.0.0.0/0 ::/0"} {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("%s: swanctl does not show %q (%v) in\n%s", policy, want, err, out)
			}
		}
	}
}

// TestTheCertificateProvesWhatEachClientSays: each platform sends the identity
// of its profile as another type.
func TestTheCertificateProvesWhatEachClientSays(t *testing.T) {
	cfg, _ := config.Parse("test.yaml", []byte("gateway: {name: vpn.example.org}\n"), time.Now())
	in := profile.Laptop(t, &cfg.Zones[0])
	block, _ := pem.Decode([]byte(in.Certificate))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for client, id := range map[string]ikemsg.ID{
		"Apple, any text as ID_FQDN":     {Kind: ikemsg.IDFQDN, Data: []byte(in.Device.Identity)},
		"strongSwan, Android, RouterOS":  {Kind: ikemsg.IDRFC822Addr, Data: []byte(in.Device.Identity)},
		"Windows, the machine's subject": {Kind: ikemsg.IDDERASN1DN, Data: cert.RawSubject},
	} {
		if err := pki.MatchID(cert, &id); err != nil {
			t.Errorf("%s: %v", client, err)
		}
	}
}
