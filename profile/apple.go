package profile

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/micromdm/plist"

	"sallyport/protocol/suite"
)

// The keys are Apple's own, of its device management reference.

type applePayload struct {
	Type        string `plist:"PayloadType"`
	Version     int    `plist:"PayloadVersion"`
	Identifier  string `plist:"PayloadIdentifier"`
	UUID        string `plist:"PayloadUUID"`
	DisplayName string `plist:"PayloadDisplayName"`
}

type appleProfile struct {
	applePayload
	Content []any `plist:"PayloadContent"`
}

type appleCertificate struct {
	applePayload
	FileName string `plist:"PayloadCertificateFileName"`
	Content  []byte `plist:"PayloadContent"`
}

type appleVPN struct {
	applePayload
	UserDefinedName string         `plist:"UserDefinedName"`
	VPNType         string         `plist:"VPNType"`
	IPv4            *appleIPv4     `plist:"IPv4,omitempty"`
	DNS             *appleDNS      `plist:"DNS,omitempty"`
	IKEv2           *appleIKEv2    `plist:"IKEv2,omitempty"`
	AlwaysOn        *appleAlwaysOn `plist:"AlwaysOn,omitempty"`
}

type appleIPv4 struct {
	OverridePrimary int `plist:"OverridePrimary"`
}

type appleDNS struct {
	ServerAddresses []string `plist:"ServerAddresses"`
	SearchDomains   []string `plist:"SearchDomains,omitempty"`
	MatchDomains    []string `plist:"SupplementalMatchDomains,omitempty"`
}

type appleAlwaysOn struct {
	UIToggleEnabled      int          `plist:"UIToggleEnabled"`
	AllowCaptiveWebSheet int          `plist:"AllowCaptiveWebSheet"`
	TunnelConfigurations []appleIKEv2 `plist:"TunnelConfigurations"`
}

type appleIKEv2 struct {
	ProtocolType string   `plist:"ProtocolType,omitempty"` // of AlwaysOn alone
	Interfaces   []string `plist:"Interfaces,omitempty"`   // likewise

	RemoteAddress       string `plist:"RemoteAddress"`
	RemoteIdentifier    string `plist:"RemoteIdentifier"`
	LocalIdentifier     string `plist:"LocalIdentifier"`
	Authentication      string `plist:"AuthenticationMethod"`
	CertificateUUID     string `plist:"PayloadCertificateUUID,omitempty"`
	CertificateType     string `plist:"CertificateType,omitempty"`
	IssuerCommonName    string `plist:"ServerCertificateIssuerCommonName,omitempty"`
	SharedSecret        string `plist:"SharedSecret,omitempty"`
	ExtendedAuthEnabled int    `plist:"ExtendedAuthEnabled"`
	AuthName            string `plist:"AuthName,omitempty"`
	TLSMinimumVersion   string `plist:"TLSMinimumVersion,omitempty"` // of EAP-TLS

	IKE   appleSA `plist:"IKESecurityAssociationParameters"`
	Child appleSA `plist:"ChildSecurityAssociationParameters"`

	EnablePFS         int    `plist:"EnablePFS"`
	DisableMOBIKE     int    `plist:"DisableMOBIKE"`
	DisableRedirect   int    `plist:"DisableRedirect"`
	EnableFallback    int    `plist:"EnableFallback"`
	DeadPeerDetection string `plist:"DeadPeerDetectionRate"`
	MTU               int    `plist:"MTU"`
	NATKeepAlive      int    `plist:"NATKeepAliveOffloadEnable"`

	IncludeAllNetworks   int             `plist:"IncludeAllNetworks,omitempty"`
	ExcludeLocalNetworks *int            `plist:"ExcludeLocalNetworks,omitempty"`
	EnforceRoutes        int             `plist:"EnforceRoutes,omitempty"`
	OnDemandEnabled      int             `plist:"OnDemandEnabled,omitempty"`
	OnDemandRules        []appleOnDemand `plist:"OnDemandRules,omitempty"`
}

type appleSA struct {
	Encryption string `plist:"EncryptionAlgorithm"`
	Integrity  string `plist:"IntegrityAlgorithm"`
	Group      int    `plist:"DiffieHellmanGroup"`
	Minutes    int    `plist:"LifeTimeInMinutes"`
}

type appleOnDemand struct {
	Action string `plist:"Action"`
}

// appleMTU is the smallest that IPv6 allows (RFC 8200, Section 5): it fits
// through whatever the mobile network adds.
const appleMTU = 1280

// appleSuffix is what the name of a configuration profile ends with.
const appleSuffix = ".mobileconfig"

func macOSProfile(in *Input) (Profile, error) { return appleProfileOf(in, "macos") }
func iOSProfile(in *Input) (Profile, error)   { return appleProfileOf(in, "ios") }

func appleProfileOf(in *Input, kind string) (Profile, error) {
	c, err := apple.choose(in.Zone.Policy)
	if err != nil {
		return Profile{}, err
	}
	if err := in.needKey(kind, "RSA", "ECDSA256", "ECDSA384", "ECDSA521"); err != nil {
		return Profile{}, err
	}
	if err := in.needPorts(kind); err != nil {
		return Profile{}, err
	}
	if err := in.needTypedPSK(kind, 1); err != nil {
		return Profile{}, err
	}
	text, err := plist.MarshalIndent(in.appleProfile(c), "\t")
	if err != nil {
		return Profile{}, err
	}
	f := File{Name: in.connection() + appleSuffix, Content: string(text), Secret: true}
	p := Profile{Steps: in.appleSteps(kind, f.Name), Notes: in.appleNotes()}
	if in.Signer == nil {
		p.Notes = append(p.Notes, "the profile is not signed: the device will say so")
	} else if f.Data, err = in.Signer.sign(text); err != nil {
		return Profile{}, fmt.Errorf("profile: %s: %w", kind, err)
	} else {
		f.Content = ""
		p.Notes = append(p.Notes, "the profile is signed by the gateway; the device shows it as verified once it trusts the gateway's CA")
	}
	p.Files = in.files(f)
	return p, nil
}

func (in *Input) appleSteps(kind, name string) []string {
	steps := []string{"bring " + name + " to the device: AirDrop, mail, or a download in Safari", "install it in Settings, General, VPN & Device Management"}
	if kind == "macos" {
		steps = []string{"open " + name + " on the Mac", "install it in System Settings, General, Device Management"}
	}
	switch {
	case in.leaf != nil:
		steps = append(steps, "type the password of the key when it is asked for")
	case ByPassword(in.auth):
		steps = append(steps, "type the user's password when it is asked for")
	}
	return steps
}

func (in *Input) appleNotes() (notes []string) {
	if in.Options.AlwaysOn {
		notes = append(notes, "always-on needs a supervised device, and takes two addresses: Wi-Fi and cellular have a tunnel each")
	}
	if in.Options.KillSwitch {
		notes = append(notes, "while the tunnel is down the device has no network, except what Apple itself exempts")
	}
	return notes
}

func (in *Input) appleProfile(c choice) appleProfile {
	var content []any
	identity := ""
	if in.ca != nil {
		content = append(content, appleCertificate{in.payload("com.apple.security.root", "ca"), caName, in.ca.Raw})
	}
	if in.leaf != nil {
		p12 := appleCertificate{in.payload("com.apple.security.pkcs12", "identity"), in.p12Name(), in.PKCS12}
		content, identity = append(content, p12), p12.UUID
	}
	vpn := appleVPN{applePayload: in.payload("com.apple.vpn.managed", "vpn"), UserDefinedName: in.title(), DNS: in.appleDNS()}
	ikev2 := in.appleIKEv2(c, identity)
	if in.Options.AlwaysOn {
		ikev2.ProtocolType, ikev2.Interfaces = "IKEv2", []string{"Cellular", "WiFi"}
		vpn.VPNType, vpn.AlwaysOn = "AlwaysOn", &appleAlwaysOn{AllowCaptiveWebSheet: 1, TunnelConfigurations: []appleIKEv2{ikev2}}
	} else {
		vpn.VPNType, vpn.IKEv2 = "IKEv2", &ikev2
		vpn.IPv4 = &appleIPv4{OverridePrimary: bit(in.full(ipv4))}
	}
	return appleProfile{in.payload("Configuration", "profile"), append(content, vpn)}
}

// payload names a part of the profile. Its UUID follows from the names, so that
// a profile that is installed again replaces the old one.
func (in *Input) payload(typ, part string) applePayload {
	id := "sallyport." + in.fileBase() + "." + part
	h := sha256.Sum256([]byte(in.Gateway + "\x00" + in.Device.Identity + "\x00" + in.Zone.Name + "\x00" + id))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // version 8, of our own making (RFC 9562, Section 5.8)
	return applePayload{
		Type: typ, Version: 1, Identifier: id, DisplayName: in.title(),
		UUID: fmt.Sprintf("%X-%X-%X-%X-%X", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16]),
	}
}

func (in *Input) appleIKEv2(c choice, identity string) appleIKEv2 {
	v := appleIKEv2{
		RemoteAddress: in.Gateway, RemoteIdentifier: in.Identity,
		// Apple sends any text as ID_FQDN; pki proves one with '@' by the
		// rfc822Name of the certificate.
		LocalIdentifier: in.Device.Identity,
		IKE:             in.appleSA(c, c.ike, in.Zone.Rekey.IKE),
		Child:           in.appleSA(c, c.esp, in.Zone.Rekey.Child),
		EnablePFS:       bit(c.pfs()), DisableMOBIKE: bit(!in.Zone.MOBIKE), DisableRedirect: 1,
		DeadPeerDetection: "Medium", MTU: appleMTU, NATKeepAlive: 1,
	}
	in.appleAuth(&v, identity)
	if in.Options.KillSwitch {
		exclude := 0
		v.IncludeAllNetworks, v.ExcludeLocalNetworks = 1, &exclude
	} else if !in.full(ipv4) {
		v.EnforceRoutes = 1
	}
	if in.Options.OnDemand {
		v.OnDemandEnabled, v.OnDemandRules = 1, []appleOnDemand{{"Connect"}}
	}
	return v
}

// appleAuth sets how the client proves itself: with AuthenticationMethod None
// it is EAP alone, by the certificate if there is one and else by the password,
// which the device asks for.
func (in *Input) appleAuth(v *appleIKEv2, identity string) {
	switch in.auth {
	case authPSK:
		v.Authentication, v.SharedSecret = "SharedSecret", string(in.PSK)
		return
	case authCertificate:
		v.Authentication = "Certificate"
	case authEAPTLS:
		v.Authentication, v.ExtendedAuthEnabled, v.TLSMinimumVersion = "None", 1, "1.2"
	default:
		v.Authentication, v.ExtendedAuthEnabled, v.AuthName = "None", 1, in.Device.User
	}
	if in.leaf != nil {
		v.CertificateUUID, v.CertificateType = identity, in.keyKind()
	}
	v.IssuerCommonName = in.ca.Subject.CommonName // without it Apple sends no CERTREQ
}

// appleSA has one hash: of the integrity algorithm, or of the PRF with an AEAD.
// A child's group is not used without PFS, but must be there.
func (in *Input) appleSA(c choice, ts []suite.Transform, life time.Duration) appleSA {
	word := func(typ suite.TransformType) string { return appleWords[keyword(ts, typ)] }
	hash, group := word(suite.Integ), word(suite.KE)
	if hash == "" {
		hash = c.hash()
	}
	if group == "" {
		group = c.ikeWord(suite.KE)
	}
	number, _ := strconv.Atoi(group)
	// Apple rekeys at four fifths of the time, before the gateway does.
	return appleSA{word(suite.Encr), hash, number, int(min(max(life.Minutes(), 10), 1440))}
}

// appleDNS names the resolvers in the profile too: Apple takes split domains
// from it before the tunnel is up.
func (in *Input) appleDNS() *appleDNS {
	if len(in.Zone.Resolvers()) == 0 {
		return nil
	}
	d := &appleDNS{ServerAddresses: in.resolvers(), SearchDomains: in.Zone.DNS.Search, MatchDomains: in.Zone.DNS.Split}
	if len(d.MatchDomains) == 0 {
		d.MatchDomains = []string{""} // all names
	}
	return d
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
