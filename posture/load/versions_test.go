package load_test

import (
	"testing"
	"testing/fstest"

	"sallyport/posture"
	"sallyport/posture/load"
	"sallyport/posture/source"
)

// TestAPackageTellsTheVersionBeforeAnybodyAsks: what is installed lies outside of
// the directories of configuration, and is read all the same.
func TestAPackageTellsTheVersionBeforeAnybodyAsks(t *testing.T) {
	files := fstest.MapFS{
		"gw1/etc/hostname":        {Data: []byte("gw1\n")},
		"gw1/etc/os-release":      {Data: []byte("ID=debian\nVERSION_ID=\"12\"\n")},
		"gw1/etc/nftables.conf":   {Data: []byte("table inet t { chain in { type filter hook input priority 0; policy drop; } }\n")},
		"gw1/var/lib/dpkg/status": {Data: []byte("Package: strongswan-charon\nStatus: install ok installed\nSource: strongswan\nVersion: 5.9.8-5+deb12u6\n")},
		"gw2/etc/hostname":        {Data: []byte("gw2\n")},
	}
	var hosts []*posture.Host
	for h := range load.Hosts(source.New("", files, true), load.Options{}) {
		hosts = append(hosts, h)
	}
	if len(hosts) != 2 || hosts[0].Name != "gw1" || hosts[1].Name != "gw2" {
		t.Fatalf("%d hosts", len(hosts))
	}
	h := hosts[0]
	if len(h.Packages) != 1 || h.Packages[0].Distro != "debian 12" || len(h.Firewalls) != 1 {
		t.Errorf("packages %+v, firewalls %+v", h.Packages, h.Firewalls)
	}
	if len(h.Products) != 1 || h.Products[0].Name != "strongSwan" || h.Products[0].Version.V != "5.9.8" {
		t.Errorf("products %+v", h.Products)
	}
}
