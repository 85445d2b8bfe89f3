package load

import (
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
