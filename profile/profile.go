package profile

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport/config"
	"sallyport/internal/secret"
)

// File is one file of a profile.
type File struct {
	Name    string `json:"name"`              // without directory
	Content string `json:"content,omitempty"` // text
	Data    []byte `json:"data,omitempty"`    // instead of Content, when it is not text
	Secret  bool   `json:"secret,omitempty"`  // to be written with mode 0600
	Where   string `json:"where,omitempty"`   // where the client wants it, when that is a fixed place
}

// Bytes are the octets of the file.
func (f File) Bytes() []byte {
	if f.Data != nil {
		return f.Data
	}
	return []byte(f.Content)
}

// MediaType is the type under which a web server hands out the file, so that the
// client opens it with what it is for.
func (f File) MediaType() string {
	switch path.Ext(f.Name) {
	case appleSuffix:
		return "application/x-apple-aspen-config"
	case ".sswan":
		return "application/vnd.strongswan.profile"
	case ".p12":
		return "application/x-pkcs12" // RFC 7292 registers none; this is what clients know
	case ".xml":
		return "application/xml"
	case ".yaml":
		return "application/yaml" // RFC 9512
	}
	return "text/plain; charset=utf-8"
}

// Profile is everything one client needs beside its private key or password.
type Profile struct {
	For   string   `json:"for"`
	Auth  string   `json:"auth"`  // how the client proves itself, as the zone's auth names it
	Files []File   `json:"files"` // the profile itself comes first
	Steps []string `json:"steps"` // what to do on the client, in order
	Notes []string `json:"notes,omitempty"`
}

// Device is the client's owner and name. A user who logs in by password has
// neither device nor certificate: Name and Identity are empty then, and stand
// for the user's name.
type Device struct {
	Name     string // names the files
	User     string
	Identity string // the IKE identity, for a certificate the one in it: "laptop@alice"
}

// Options are wishes that some platforms can meet; one that cannot refuses.
type Options struct {
	OnDemand   bool `json:"on_demand,omitempty"`   // connect by itself (Apple)
	AlwaysOn   bool `json:"always_on,omitempty"`   // never be without (iOS under supervision)
	KillSwitch bool `json:"kill_switch,omitempty"` // no traffic past the tunnel (Apple)
}

// Signer signs a profile for platforms that show who made it.
type Signer struct {
	Key   crypto.Signer
	Chain []*x509.Certificate // of Key's certificate, that one first
}

// Input is what a profile is made from.
type Input struct {
	Device      Device
	Zone        *config.Zone
	Gateway     string   // name or address that the client dials
	Identity    string   // the gateway's IKE identity (IDr)
	Names       []string // the names in the gateway's certificate; empty: not known
	Ports       config.Ports
	Auth        string       // how the client proves itself, as the zone's auth names it; empty: the zone's best that will do
	Certificate string       // of the device, PEM, leaf first; empty: it has none
	PSK         secret.Bytes // the device's pre-shared key; empty: it has none
	CA          string       // of the gateway's certificate, PEM
	Dir         string       // where the files will be, for formats that need absolute paths
	PKCS12      []byte       // key and certificate, encrypted; for the kinds with Key == KeyInside
	Options     Options
	Signer      *Signer // nil: unsigned

	leaf, ca *x509.Certificate // of Certificate and CA
	auth     string            // what Auth came to
	kind     string            // whom it is for
}

// KeyPlace tells where a platform wants the private key.
type KeyPlace string

// The places. Legacy PKCS#12 (3DES) is what Apple and older Android can read.
const (
	KeyFile   KeyPlace = "file"   // the files of "device add" as they are
	KeyInside KeyPlace = "inside" // a legacy PKCS#12 inside the profile
	KeyBeside KeyPlace = "beside" // a legacy PKCS#12 beside it
)

// Kind is one client that profiles are written for.
type Kind struct {
	Name, Title string
	Key         KeyPlace
	Signed      bool // uses Input.Signer
	write       func(*Input) (Profile, error)
	options     Options // those it can meet
}

// kinds are all clients, in the order in which help shows them.
var kinds = []Kind{
	{"windows", "Windows 10 and 11, built in: a PowerShell script", KeyFile, false, windowsProfile, Options{}},
	{"windows-xml", "Windows 10 and 11 under management: VPNv2 ProfileXML of a device tunnel, with EAP of the user's", KeyFile, false, windowsXMLProfile, Options{}},
	{"macos", "macOS, built in: a configuration profile", KeyInside, true, macOSProfile, Options{OnDemand: true, KillSwitch: true}},
	{"ios", "iOS and iPadOS, built in: a configuration profile", KeyInside, true, iOSProfile, Options{OnDemand: true, AlwaysOn: true, KillSwitch: true}},
	{"android", "Android 11 and later, built in: a card of settings", KeyBeside, false, androidProfile, Options{}},
	{"strongswan-android", "the strongSwan app on Android", KeyInside, false, strongSwanAppProfile, Options{}},
	{"networkmanager", "NetworkManager with its strongSwan plugin", KeyFile, false, networkManagerProfile, Options{}},
	{"swanctl", "strongSwan", KeyFile, false, swanctlProfile, Options{}},
	{"mikrotik", "MikroTik RouterOS 7: a script", KeyFile, false, mikrotikProfile, Options{}},
	{"sallyport", "the Linux client of this program", KeyFile, false, sallyportProfile, Options{}},
}

// Can tells whether the client can prove itself in a way, as a zone's auth names
// it.
func (k Kind) Can(auth string) bool { return slices.Contains(can[k.Name], auth) }

// CanPassword tells whether it can by any password.
func (k Kind) CanPassword() bool { return slices.ContainsFunc(can[k.Name], ByPassword) }

// Kinds are the clients that profiles are written for.
func Kinds() []Kind { return slices.Clone(kinds) }

// Names are the names of all kinds.
func Names() (names []string) {
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	return names
}

// Lookup finds a kind by name.
func Lookup(name string) (Kind, bool) {
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}

// RefusedError says why there is no such profile, and what to do.
type RefusedError struct{ Kind, Reason, Hint string }

func (e *RefusedError) Error() string { return fmt.Sprintf("profile: %s: %s", e.Kind, e.Reason) }

func refused(kind, hint, format string, args ...any) error {
	return &RefusedError{Kind: kind, Hint: hint, Reason: fmt.Sprintf(format, args...)}
}

// Make writes the profile of one kind. Errors are a *[RefusedError].
func Make(kind string, in Input) (Profile, error) {
	k, ok := Lookup(kind)
	if !ok {
		return Profile{}, refused(fmt.Sprintf("%q", kind), "use "+or(Names()), "there are no profiles for it")
	}
	in.kind = kind
	in.Device.Name = cmp.Or(in.Device.Name, in.Device.User)
	in.Device.Identity = cmp.Or(in.Device.Identity, in.Device.User)
	if err := in.check(k); err != nil {
		return Profile{}, err
	}
	p, err := k.write(&in)
	if err != nil {
		return Profile{}, err
	}
	p.For, p.Auth = kind, in.auth
	p.Notes = append(p.Notes, in.authNotes()...)
	return p, nil
}

// or is "a, b or c".
func or(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// check refuses what no format could carry, chooses how the client proves
// itself, and reads the certificates.
func (in *Input) check(k Kind) error {
	texts := slices.Concat([]string{in.Device.Name, in.Device.User, in.Device.Identity, in.Gateway, in.Identity, in.Dir, in.Zone.Name}, in.Zone.DNS.Search, in.Zone.DNS.Split)
	for _, s := range texts {
		if !printable(s) {
			return refused(k.Name, "choose another", "the name %q cannot be printed", s)
		}
	}
	for _, s := range []string{in.Device.Name, in.Device.Identity, in.Gateway, in.Identity} {
		if s == "" {
			return refused(k.Name, "", "device, identity and gateway need a name")
		}
	}
	if o := in.Options; o.OnDemand && !k.options.OnDemand || o.AlwaysOn && !k.options.AlwaysOn || o.KillSwitch && !k.options.KillSwitch {
		return refused(k.Name, "leave out the options for other platforms", "this client has no such option")
	}
	if err := in.chooseAuth(k); err != nil {
		return err
	}
	return in.checkCertificates(k)
}

// checkCertificates reads those that the chosen way needs. With a pre-shared
// key both ends prove themselves by it.
func (in *Input) checkCertificates(k Kind) (err error) {
	if ByCertificate(in.auth) {
		if in.leaf, err = parseLeaf(in.Certificate); err != nil {
			return refused(k.Name, "", "the device's certificate: %v", err)
		}
		if k.Key == KeyInside && len(in.PKCS12) == 0 {
			return refused(k.Name, "run this where device add has written the key, or name that directory with --keys", "its file must hold the device's key as PKCS#12")
		}
	}
	if in.auth != authPSK {
		if in.ca, err = parseLeaf(in.CA); err != nil {
			return refused(k.Name, "", "the gateway's CA: %v", err)
		}
	}
	return nil
}

// maxText bounds a name in a profile: a domain name has 253 characters, a path
// some more.
const maxText = 1024

// printable is false for line ends, control characters, invisible letters and
// broken UTF-8: no syntax of ours shows them safely.
func printable(s string) bool {
	return len(s) <= maxText && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func parseLeaf(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// fileBase names the files of a device: letters that no file system and no
// shell minds.
func (in *Input) fileBase() string {
	base := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, in.Device.Name), "-")
	if base == "" {
		return "device"
	}
	return base
}

// keyName, certName, p12Name and pskName are the files of "device add", which
// lie beside every profile.
func (in *Input) keyName() string    { return in.fileBase() + ".key" }
func (in *Input) certName() string   { return in.fileBase() + ".crt" }
func (in *Input) p12Name() string    { return in.fileBase() + ".p12" }
func (in *Input) pskName() string    { return in.fileBase() + ".psk" }
func (in *Input) connection() string { return "sallyport-" + in.fileBase() }
func (in *Input) title() string      { return "Sallyport " + in.fileBase() } // people type it into shells

const caName = "sallyport-ca.crt"

// files adds to the profile the certificates that its way of proving needs.
func (in *Input) files(files ...File) []File {
	if in.leaf != nil {
		files = append(files, File{Name: in.certName(), Content: in.Certificate})
	}
	if in.ca != nil {
		files = append(files, File{Name: caName, Content: in.CA})
	}
	return files
}

// comment says whose profile it is, in one line.
func (in *Input) comment() string {
	return fmt.Sprintf("Sallyport profile of %s, zone %s.", in.owner(), in.Zone.Name)
}

// keyKind names the device's key as the limits of clients do.
func (in *Input) keyKind() string {
	switch k := in.leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		return "RSA"
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ECDSA%d", k.Curve.Params().BitSize)
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "unknown"
}

// needKey refuses a certificate's key that the client cannot use.
func (in *Input) needKey(kind string, can ...string) error {
	if in.leaf == nil || slices.Contains(can, in.keyKind()) {
		return nil
	}
	return refused(kind, "enrol the device anew with a key it can use: device add --key rsa-3072", "this client cannot use the device's %s key; it takes %s", in.keyKind(), or(can))
}

// usualPorts are those that clients take by themselves. With any other, a client
// must begin on the port of UDP encapsulation: it would look for that at 4500.
var usualPorts = config.Ports{IKE: 500, NATT: 4500}

// needPorts refuses ports that a client has no setting for.
func (in *Input) needPorts(kind string) error {
	if in.Ports == usualPorts {
		return nil
	}
	return refused(kind, "let the gateway listen on 500 and 4500, or use strongSwan's or Sallyport's client", "this client knows only the UDP ports 500 and 4500, the gateway uses %d and %d", in.Ports.IKE, in.Ports.NATT)
}

// needName refuses to let a client dial a name that the gateway's certificate
// does not carry, when the client insists on it.
func (in *Input) needName(kind string) error {
	if len(in.Names) == 0 || slices.ContainsFunc(in.Names, func(n string) bool { return strings.EqualFold(n, in.Gateway) }) {
		return nil
	}
	return refused(kind, fmt.Sprintf("dial %s, or add the name to gateway.names", in.Names[0]), "this client compares what it dials with the gateway's certificate, which does not carry %q", in.Gateway)
}

// full tells whether all traffic of a family goes through the tunnel.
func (in *Input) full(bits int) bool {
	return slices.ContainsFunc(in.Zone.Routes, func(p netip.Prefix) bool { return p.Bits() == 0 && p.Addr().BitLen() == bits })
}

const (
	ipv4 = 32
	ipv6 = 128
)

// routes are the zone's routes in text.
func (in *Input) routes() []string {
	out := make([]string, 0, len(in.Zone.Routes))
	for _, p := range in.Zone.Routes {
		out = append(out, p.String())
	}
	return out
}

// resolvers are the addresses of the zone's DNS servers, in text.
func (in *Input) resolvers() (out []string) {
	for _, a := range in.Zone.Resolvers() {
		out = append(out, a.String())
	}
	return out
}

// dnsDomains are the domains that the tunnel's resolvers answer for: the split
// domains, or "." for all names.
func (in *Input) dnsDomains() []string {
	switch {
	case len(in.Zone.Resolvers()) == 0:
		return nil
	case len(in.Zone.DNS.Split) > 0:
		return in.Zone.DNS.Split
	}
	return []string{"."}
}

// clientShare makes the client rekey first: two ends that start together
// collide (RFC 7296, Section 2.8.1), and some clients cannot follow a server.
func clientShare(seconds float64) int { return int(seconds * 8 / 10) }
