package packages_test

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/posture"
	"sallyport/posture/packages"
	"sallyport/posture/source"
)

func read(fsys fstest.MapFS) (*posture.Host, *source.Input) {
	h := &posture.Host{}
	in := source.NewInput(source.New("", fsys, true), h)
	all, _ := in.Walk(".")
	var claimed []string
	for _, p := range all {
		if packages.Claims(p, func() []byte { return in.Head(p, 8<<10) }) {
			claimed = append(claimed, p)
		}
	}
	packages.Read(in.For("", claimed))
	return h, in
}

func zipped(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.Bytes()
}

const status = `Package: adduser
Status: install ok installed
Version: 3.134

Package: libstrongswan
Status: install ok installed
Source: strongswan
Version: 5.9.8-5+deb12u6
Description: library
 Package: no field

Package: xl2tpd
Status: deinstall ok config-files
Version: 1.3.18-1

Package: freeradius
Status: install ok installed
Version: 3.2.1+dfsg-4+deb12u1

Package: linux-image-6.1.0-40-amd64
Status: install ok installed
Source: linux-signed-amd64 (6.1.153+1)
Version: 6.1.153-1

Package: ppp
Status: install ok installed
Source: ppp (2.4.9-1+1.1)
Version: 2.4.9-1+1.1+b1
`

const debian = "ID=debian\nVERSION_ID=\"12\"\n"

func debianHost() fstest.MapFS {
	return fstest.MapFS{
		"etc/os-release":      {Data: []byte(debian)},
		"var/lib/dpkg/status": {Data: []byte(status)},
		"usr/share/doc/libstrongswan/changelog.Debian.gz": {Data: zipped("strongswan (5.9.8-5+deb12u6)\n  * CVE-2026-78123, CVE-2026-78124: fix\n  * again CVE-2026-78123\n")},
		"usr/share/doc/ppp/changelog.Debian.gz":           {Data: zipped("nothing")},
	}
}

func TestOfDpkgOnlyWhatIsInstalledAndVPNSoftwareIsListed(t *testing.T) {
	h, in := read(debianHost())
	var names []string
	for _, p := range h.Packages {
		names = append(names, p.Name+" "+p.Source+" "+p.Distro)
	}
	want := []string{"libstrongswan strongswan debian 12", "freeradius freeradius debian 12", "linux-image-6.1.0-40-amd64 linux debian 12", "ppp ppp debian 12"}
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	for product, version := range map[string]string{"strongSwan": "5.9.8", "FreeRADIUS": "3.2.1", "pppd": "2.4.9", "Linux": "6.1.153", "xl2tpd": ""} {
		if got := in.Version(product); got.V != version {
			t.Errorf("%s is %q, want %q", product, got.V, version)
		}
	}
}

func TestTheChangelogIsProofOfABackport(t *testing.T) {
	h, _ := read(debianHost())
	if got := h.Packages[0].Changelog; !slices.Equal(got, []string{"CVE-2026-78123", "CVE-2026-78124"}) {
		t.Errorf("%q", got)
	}
	if got := h.Packages[1].Changelog; got != nil {
		t.Errorf("without a changelog: %q", got)
	}
	if got := h.Packages[3].Changelog; got == nil || len(got) != 0 {
		t.Errorf("a changelog without ids: %#v", got)
	}
	if len(h.Files) != 4 {
		t.Errorf("files: %v", h.Files)
	}
}

func TestABombDoesNotFillTheMemory(t *testing.T) {
	host := debianHost()
	host["usr/share/doc/libstrongswan/changelog.Debian.gz"].Data = zipped("CVE-2026-78123 " + strings.Repeat(" ", 40<<20) + "CVE-2026-1111")
	h, _ := read(host)
	if got := h.Packages[0].Changelog; !slices.Equal(got, []string{"CVE-2026-78123"}) || len(h.Notes) != 1 || h.Notes[0].Kind != posture.Limit {
		t.Errorf("%q, %v", got, h.Notes)
	}
}

func TestAListOfRPMIsReadInBothForms(t *testing.T) {
	for _, list := range []string{
		"strongswan\t(none):5.9.14-1.el9\tstrongswan-5.9.14-1.el9.src.rpm\nkernel-core\t0:5.14.0-503.el9\tkernel-5.14.0-503.el9.src.rpm\nbash\t0:5.1-1\tbash\n",
		"strongswan-5.9.14-1.el9.x86_64\nkernel-core-5.14.0-503.el9.x86_64\nbash-5.1-1.x86_64\n",
	} {
		h, in := read(fstest.MapFS{"rpm-qa.txt": {Data: []byte(list)}, "etc/os-release": {Data: []byte("ID=\"rhel\"\nVERSION_ID=\"9.5\"\n")}})
		if len(h.Packages) != 2 || h.Packages[0].Version != "5.9.14-1.el9" || h.Packages[0].Distro != "rhel 9" || in.Version("strongSwan").V != "5.9.14" {
			t.Errorf("%+v %v", h.Packages, h.Notes)
		}
	}
}

func TestAlpineNamesTheOrigin(t *testing.T) {
	h, in := read(fstest.MapFS{"lib/apk/db/installed": {Data: []byte("C:Q1abc=\nP:strongswan\nV:5.9.14-r1\no:strongswan\n\nC:Q1x=\nP:libssl3\nV:3.3.2-r0\no:openssl\n\n")}, "etc/os-release": {Data: []byte("ID=alpine\nVERSION_ID=3.20.3\n")}})
	if len(h.Packages) != 2 || h.Packages[1].Source != "openssl" || h.Packages[0].Distro != "alpine 3.20" || in.Version("strongswan").V != "5.9.14" {
		t.Errorf("%+v", h.Packages)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(status), zipped("CVE-2026-78123"), byte(0))
	f.Add([]byte("P:ppp\nV:2.5.0-r1\n"), []byte{0x1f, 0x8b}, byte(1))
	f.Add([]byte("ppp\t2.5.0-1\tppp-2.5.0-1.src.rpm\nppp-2.5.0-1.x86_64"), []byte(nil), byte(2))
	f.Fuzz(func(t *testing.T, db, changelog []byte, which byte) {
		name := []string{"var/lib/dpkg/status", "lib/apk/db/installed", "rpm-qa.txt"}[which%3]
		read(fstest.MapFS{name: {Data: db}, "etc/os-release": {Data: db}, "usr/share/doc/ppp/changelog.gz": {Data: changelog}, "usr/share/doc/libstrongswan/changelog.Debian.gz": {Data: changelog}})
	})
}
