package profile

import (
	_ "embed"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"sallyport/protocol/suite"
)

// windowsScript is constant: the values that it works on stand where its marker
// line is, and nowhere else.
//
//go:embed windows.ps1
var windowsScript string

const windowsMarker = "#:values\n"

// windows11Build is the first build of Windows 11, and with it of GCM in IKE.
const windows11Build = 22000

// windowsProfile writes a PowerShell script that can be run again, and undone.
func windowsProfile(in *Input) (Profile, error) {
	suites, err := windowsSuites(in)
	if err != nil {
		return Profile{}, err
	}
	if err := in.windowsLimits("windows"); err != nil {
		return Profile{}, err
	}
	eap, store, device, err := in.windowsAuthentication()
	if err != nil {
		return Profile{}, err
	}
	head, body, _ := strings.Cut(windowsScript, windowsMarker)
	values := assignments("$%s = %s\n", [][2]string{
		{"Comment", powerShell(in.comment())},
		{"Name", powerShell(in.title())},
		{"Server", powerShell(in.Gateway)},
		{"ServerIsAddress", powerShellBool(isAddress(in.Gateway))},
		{"Pkcs12Name", powerShell(in.p12Name())},
		{"CaBase64", powerShell(base64.StdEncoding.EncodeToString(in.ca.Raw))},
		{"DeviceBase64", powerShell(device)},
		{"MyStore", powerShell(store)},
		{"EapXml", powerShell(eap)},
		{"Suites", "@(\n" + strings.Join(suites, ",\n") + "\n)"},
		{"SplitTunneling", powerShellBool(!in.full(ipv4))},
		{"Routes", powerShellList(in.windowsRoutes())},
		{"DnsServers", powerShellList(in.resolvers())},
		{"DnsDomains", powerShellList(in.Zone.DNS.Split)},
		{"DnsSuffix", powerShell(first(in.Zone.DNS.Search))},
	})
	name := in.connection() + ".ps1"
	p := Profile{Files: in.files(File{Name: name, Content: crlf(head + values + body), Secret: true})}
	p.Steps, p.Notes = in.windowsSteps(name), append(in.windowsNotes(), in.windowsAuthNotes()...)
	return p, nil
}

// windowsAuthentication is how the client proves itself: an EAP method, or none
// and the machine's certificate. EAP-TLS takes the certificate of the user.
func (in *Input) windowsAuthentication() (eap, store, device string, err error) {
	if in.leaf != nil {
		store, device = `LocalMachine\My`, base64.StdEncoding.EncodeToString(in.leaf.Raw)
	}
	if in.auth == authCertificate {
		return "", store, device, nil
	}
	if in.auth == authEAPTLS {
		store = `CurrentUser\My`
	}
	text, err := xml.Marshal(in.eapHost())
	return string(text), store, device, err
}

func (in *Input) windowsSteps(name string) []string {
	run := fmt.Sprintf("in PowerShell as administrator: powershell -ExecutionPolicy Bypass -File .\\%s", name)
	undo := fmt.Sprintf("to undo everything: powershell -ExecutionPolicy Bypass -File .\\%s -Remove", name)
	if in.leaf == nil {
		return []string{
			fmt.Sprintf("copy %s to the device", name), run,
			fmt.Sprintf("connect with: rasphone -d \"%s\", and type user name and password", in.title()), undo,
		}
	}
	return []string{
		fmt.Sprintf("copy %s and %s into one folder on the device", name, in.p12Name()), run,
		"type the password that device add has shown",
		fmt.Sprintf("connect with: rasdial \"%s\"", in.title()), undo,
	}
}

// windowsAuthNotes are what a way asks of whoever sets it up.
func (in *Input) windowsAuthNotes() []string {
	if in.auth == authEAPTLS {
		return []string{"EAP-TLS takes the certificate of whoever is logged on: run the script in that account, raised to administrator, and not in another one"}
	}
	return nil
}

// windowsSuites are what the script may set, the one for the newest Windows
// first. Windows 10 may have to do without.
func windowsSuites(in *Input) ([]string, error) {
	var out []string
	var refusal error
	for _, w := range []struct {
		say   say
		build int
	}{{windows11, windows11Build}, {windows10, 0}} {
		c, err := w.say.choose(in.Zone.Policy)
		if err != nil {
			if refusal == nil {
				refusal = err // that of the newest Windows, which can most
			}
			continue
		}
		out = append(out, fmt.Sprintf(
			"    @{ MinBuild = %d; EncryptionMethod = '%s'; IntegrityCheckMethod = '%s'; DHGroup = '%s'; CipherTransformConstants = '%s'; AuthenticationTransformConstants = '%s'; PfsGroup = '%s' }",
			w.build, c.ikeWord(suite.Encr), c.hash(), c.ikeWord(suite.KE), c.espWord(suite.Encr), c.windowsAuth(), c.windowsPFS()))
	}
	if len(out) == 0 {
		var r *RefusedError
		if errors.As(refusal, &r) {
			r.Kind = "windows"
		}
		return nil, refusal
	}
	return out, nil
}

// windowsAuth: with GCM both values are the cipher's name.
func (c choice) windowsAuth() string {
	if w := c.espWord(suite.Integ); w != "" {
		return w
	}
	return c.espWord(suite.Encr)
}

func (c choice) windowsPFS() string {
	if !c.pfs() {
		return "None"
	}
	return c.espWord(suite.KE)
}

// windowsLimits are what Windows cannot do at all.
func (in *Input) windowsLimits(kind string) error {
	if err := in.needKey(kind, "RSA", "ECDSA256", "ECDSA384"); err != nil {
		return err
	}
	if err := in.needPorts(kind); err != nil {
		return err
	}
	return in.needName(kind)
}

// windowsRoutes are the routes beside the default route of IPv4. Windows takes
// no ::/0; 2000::/3 is all of the global addresses (RFC 4291, Section 2.4), and
// the pool is reached through the routes that lie in it.
func (in *Input) windowsRoutes() (out []string) {
	for _, p := range in.Zone.Routes {
		switch {
		case p.Bits() > 0:
			out = append(out, p.String())
		case p.Addr().Is6():
			out = append(out, "2000::/3")
			if in.Zone.Pool.IPv6.IsValid() && in.Zone.Pool.IPv6.Addr().IsPrivate() {
				out = append(out, "fc00::/7")
			}
		}
	}
	return out
}

func (in *Input) windowsNotes() (notes []string) {
	if in.full(ipv4) && len(in.Zone.DNS.Split) == 0 && len(in.Zone.Resolvers()) > 0 {
		notes = append(notes, "Windows may also ask the resolvers of other adapters; -LockDns on the script's command line forbids it")
	}
	if in.full(ipv4) && !in.Zone.Pool.IPv6.IsValid() {
		notes = append(notes, "the zone gives no IPv6 address: the device's own IPv6 goes past the tunnel")
	}
	return notes
}

func powerShellBool(b bool) string {
	if b {
		return "$true"
	}
	return "$false"
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func first(ss []string) string {
	if len(ss) == 0 {
		return ""
	}
	return ss[0]
}

// crlf ends lines as Windows does.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
