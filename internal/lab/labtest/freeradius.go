package labtest

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

//go:embed radiusd.conf
var radiusdConf string

var radiusdTemplate = template.Must(template.New("radiusd.conf").Parse(radiusdConf))

// RADIUSSecret is the shared secret of every RADIUS server of the tests.
const RADIUSSecret = "a secret of the tests, long enough"

// FreeRADIUSConfig is how a FreeRADIUS is to be. It has EAP-TLS, PEAP and TTLS,
// and accounting into the file detail.
type FreeRADIUSConfig struct {
	CA     []byte // PEM: its authority
	Server []byte // PEM: its key and certificate
	Users  string // the file of module files
	First  string // the method it begins with: tls, ttls or peap; empty is tls
	Inner  string // and inside PEAP and TTLS: mschapv2 or tls; empty is mschapv2
	TLS    string // its highest version: 1.2 or 1.3; empty is 1.2
	RadSec bool   // whether it listens on TCP too
}

// FreeRADIUS is a running FreeRADIUS, on the loopback.
type FreeRADIUS struct {
	*Process
	Auth, Acct, RadSec string // addresses; RadSec may be empty

	t   testing.TB
	dir string
}

// StartFreeRADIUS runs one until the test ends.
func StartFreeRADIUS(t testing.TB, c FreeRADIUSConfig) *FreeRADIUS {
	t.Helper()
	f := &FreeRADIUS{t: t, dir: t.TempDir()}
	ports := RADIUSPorts{Auth: FreePort(t, "udp"), Acct: FreePort(t, "udp")}
	f.Auth, f.Acct = fmt.Sprintf("127.0.0.1:%d", ports.Auth), fmt.Sprintf("127.0.0.1:%d", ports.Acct)
	if c.RadSec {
		ports.RadSec = FreePort(t, "tcp")
		f.RadSec = fmt.Sprintf("127.0.0.1:%d", ports.RadSec)
	}
	for name, text := range c.Files(t, f.dir, ports) {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.Start()
	return f
}

// RADIUSPorts are those of a server; RadSec is 0 where it has none.
type RADIUSPorts struct{ Auth, Acct, RadSec int }

// Files are the files of a FreeRADIUS' directory, for whoever runs it elsewhere
// (freeradius -f -d DIR).
func (c FreeRADIUSConfig) Files(t testing.TB, dir string, ports RADIUSPorts) map[string]string {
	t.Helper()
	var conf strings.Builder
	err := radiusdTemplate.Execute(&conf, struct {
		FreeRADIUSConfig
		Dir, Secret string
		Ports       RADIUSPorts
	}{c, dir, RADIUSSecret, ports})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"radiusd.conf": conf.String(),
		"dictionary":   "$INCLUDE /usr/share/freeradius/dictionary\n",
		"users":        c.Users,
		"server.pem":   string(c.Server),
		"ca.pem":       string(c.CA),
	}
}

// Start begins again after Stop, with the same configuration and nothing said.
func (f *FreeRADIUS) Start() {
	f.t.Helper()
	f.Process = StartProcess(f.t, "Ready to process requests", "freeradius", "-fxx", "-l", "stdout", "-d", f.dir)
}

// Detail waits until the accounting file has a text, and gives the file.
func (f *FreeRADIUS) Detail(text string) string {
	f.t.Helper()
	var all []byte
	f.Await(fmt.Sprintf("to write %q", text), func() bool {
		all, _ = os.ReadFile(filepath.Join(f.dir, "detail"))
		return strings.Contains(string(all), text)
	})
	return string(all)
}
