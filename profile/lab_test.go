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
)

// TestSwanctlLoadsTheProfile gives the profile of every policy and of every way
// to a real strongSwan, and asks it back what it has understood.
func TestSwanctlLoadsTheProfile(t *testing.T) {
	l := labtest.Open(t, "laptop 192.0.2.2/24 -- 192.0.2.1/24 gateway", "charon-systemd", "swanctl")
	laptop, err := l.Host("laptop")
	if err != nil {
		t.Fatal(err)
	}
	swan, err := laptop.StartStrongSwan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer swan.Stop()
	ask := func(arg string) string {
		out, err := laptop.RunCommand(t.Context(), lab.Command{Program: "swanctl", Args: []string{arg}, Env: []string{"STRONGSWAN_CONF=/run/strongswan.conf"}})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const hostile = `lap\top" } # {@alice`
	for _, c := range []struct {
		policy, auth string
		want         []string // in the connection
		secret       string   // that is loaded
	}{
		{"strong", "certificate", []string{hostile, "local public key"}, ""},
		{"cnsa2", "certificate", []string{hostile}, ""},
		{"bsi", "certificate", []string{hostile}, ""},
		{"compatible", "certificate", []string{hostile}, ""},
		{"strong", "eap-tls", []string{hostile, "local EAP_TLS authentication"}, ""},
		{"strong", "peap", []string{"local EAP_PEAP authentication", "eap_id: " + hostile}, "eap-lap-top--------alice"},
		{"strong", "eap-ttls", []string{"local EAP_TTLS authentication", "eap_id: " + hostile}, "eap-lap-top--------alice"},
		{"strong", "eap-mschapv2", []string{"local EAP_MSCHAPV2 authentication", "eap_id: " + hostile}, "eap-lap-top--------alice"},
		{"strong", "psk", []string{hostile, "local pre-shared key", "remote pre-shared key"}, "ike-laptop"},
	} {
		cfg, diags := config.Parse("test.yaml", []byte("gateway: {name: vpn.example.org}\nzones: {staff: {policy: "+c.policy+"}}\n"), time.Now())
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		in := profile.LaptopBy(t, &cfg.Zones[0], c.auth)
		if in.Device.Name == "" {
			in.Device.User = hostile
		} else {
			in.Device.Identity = hostile
		}
		p, err := profile.Make("swanctl", in)
		if err != nil {
			t.Fatal(err)
		}
		// The user writes the password as the steps say.
		p.Files[0].Content = strings.Replace(p.Files[0].Content, "secret =\n", "secret = \"correct horse\"\n", 1)
		if err := swan.Load(t.Context(), swanFiles(p)); err != nil {
			t.Errorf("%s, %s: swanctl does not take the profile: %v", c.policy, c.auth, err)
			continue
		}
		out := ask("--list-conns")
		for _, want := range append(c.want, ": IKEv2", "id: vpn.example.org", "remote: 0.0.0.0/0 ::/0") {
			if !strings.Contains(out, want) {
				t.Errorf("%s, %s: swanctl does not show %q in\n%s", c.policy, c.auth, want, out)
			}
		}
		if out := ask("--load-creds"); strings.Contains(out, "secret '"+c.secret) != (c.secret != "") {
			t.Errorf("%s, %s: the secret %q: %s", c.policy, c.auth, c.secret, out)
		}
	}
}

// swanFiles sorts a profile into the directories that its files name.
func swanFiles(p profile.Profile) lab.SwanFiles {
	files := lab.SwanFiles{Conf: p.Files[0].Content, X509: map[string][]byte{}, X509CA: map[string][]byte{}}
	for _, f := range p.Files[1:] {
		map[string]map[string][]byte{"/etc/swanctl/x509/": files.X509, "/etc/swanctl/x509ca/": files.X509CA}[f.Where][f.Name] = f.Bytes()
	}
	return files
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
