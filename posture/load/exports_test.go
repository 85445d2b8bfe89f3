package load

import (
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/posture"
	"sallyport/posture/source"
)

func TestAnExportIsAHostOfItsOwn(t *testing.T) {
	fsys := fstest.MapFS{
		"site/config-a.xml": {Data: []byte("<?xml version='1.0'?>\n<pfsense><system><hostname>a</hostname></system></pfsense>")},
		"site/config-b.xml": {Data: []byte("<opnsense><system><hostname>b</hostname></system></opnsense>")},
		"site/config.boot":  {Data: []byte("system {\n    host-name c\n}\n")},
		"site/d.txt":        {Data: []byte("set system host-name 'd'\nset interfaces ethernet eth0 address '192.0.2.1/24'\n")},
		"site/notes.txt":    {Data: []byte("nothing")},
	}
	want := map[string]posture.Dialect{"a": posture.PfSense, "b": posture.OPNsense, "c": posture.VyOS, "d": posture.VyOS}
	for h := range Hosts(source.New("", fsys, false), Options{}) {
		if len(h.Files) != 1 || h.Files[0].Dialect != want[h.Name] || !h.Files[0].Secrets {
			t.Errorf("host %q has files %+v", h.Name, h.Files)
		}
		delete(want, h.Name)
	}
	if len(want) != 0 {
		t.Errorf("not read: %v", want)
	}
}

// TestANameIsForOneHost: two routers of one name would have each other's waivers.
func TestANameIsForOneHost(t *testing.T) {
	names := func(files fstest.MapFS) (all []string) {
		for h := range Hosts(source.New("backup", files, false), Options{Host: "gw"}) {
			all = append(all, h.Name)
		}
		return all
	}
	export := &fstest.MapFile{Data: []byte("# by RouterOS 7.10\n/ip ipsec peer\nadd name=a address=192.0.2.1\n")}
	if got := names(fstest.MapFS{"a.rsc": export}); len(got) != 1 || got[0] != "gw" {
		t.Errorf("one: %q", got)
	}
	if got := names(fstest.MapFS{"a.rsc": export, "b.rsc": export}); len(got) != 2 || got[0] != "backup/a.rsc" || got[1] != "backup/b.rsc" {
		t.Errorf("two: %q", got)
	}
}

func TestAConnectionThatIsNotLoadedIsSaidNotToBeJudged(t *testing.T) {
	fsys := fstest.MapFS{"etc/ipsec.conf": {Data: []byte("config setup\n\tuniqueids=yes\nconn shared\n\tike=3des-md5-modp1024!\nconn on\n\talso=shared\n\tkeyexchange=ikev2\n\tright=192.0.2.9\n\tauto=add\nconn off\n\tike=3des-md5-modp1024!\n\tright=192.0.2.9\n")}}
	var notes []string
	for h := range Hosts(source.New("", fsys, false), Options{}) {
		for _, n := range h.Notes {
			if n.Kind == posture.Unused {
				notes = append(notes, n.Text)
			}
		}
	}
	if len(notes) != 1 || !strings.Contains(notes[0], `"off"`) {
		t.Errorf("%q", notes)
	}
}

// TestWhatWindowsSaysInSeveralFilesIsOneHost: what the registry allows, profiles in
// another file propose.
func TestWhatWindowsSaysInSeveralFilesIsOneHost(t *testing.T) {
	const profile = `[{"Name": "Old", "ServerAddress": "192.0.2.1", "TunnelType": "L2tp", "AuthenticationMethod": ["MsChapv2"], "EncryptionLevel": "Required", "L2tpIPsecAuth": "Psk"}]`
	const weak = "Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\RasMan\\Parameters]\n\"ProhibitIPSec\"=dword:00000001\n"
	named := func(name string) string { return `{"ComputerName": "` + name + `", "VpnConnection": ` + profile + `}` }
	for _, c := range []struct {
		files fstest.MapFS
		hosts string
	}{
		{fstest.MapFS{"pc/rasman.reg": {Data: []byte(weak)}, "pc/vpn.json": {Data: []byte(profile)}}, "pc:never"},
		{fstest.MapFS{"pc/rasman.reg": {Data: []byte(weak)}, "pc/vpn.json": {Data: []byte(named("PC7"))}}, "PC7:never"},
		{fstest.MapFS{"a.json": {Data: []byte(named("A"))}, "b.json": {Data: []byte(named("B"))}, "c.reg": {Data: []byte(weak)}}, "A:always B:always c.reg:never"},
	} {
		var hosts []string
		for h := range Hosts(source.New("", c.files, false), Options{}) {
			hosts = append(hosts, h.Name+":"+h.L2TP[0].IPsec.V.String())
		}
		if got := strings.Join(hosts, " "); got != c.hosts {
			t.Errorf("%s, want %s", got, c.hosts)
		}
	}
}
