package profile

import (
	"encoding/xml"
	"fmt"
	"net/netip"

	"sallyport/protocol/suite"
)

// vpnProfile is ProfileXML of the VPNv2 CSP, in the order of its schema.
type vpnProfile struct {
	XMLName     xml.Name    `xml:"VPNProfile"`
	Remember    bool        `xml:"RememberCredentials,omitempty"`
	AlwaysOn    bool        `xml:"AlwaysOn"`
	DNSSuffix   string      `xml:"DnsSuffix,omitempty"`
	Device      bool        `xml:"DeviceTunnel,omitempty"`
	RegisterDNS bool        `xml:"RegisterDNS"`
	Domains     []vpnDomain `xml:"DomainNameInformation"`
	Native      vpnNative   `xml:"NativeProfile"`
	Routes      []vpnRoute  `xml:"Route"`
}

type vpnDomain struct {
	Name    string `xml:"DomainName"`
	Servers string `xml:"DnsServers"`
}

type vpnNative struct {
	Servers      string   `xml:"Servers"`
	Routing      string   `xml:"RoutingPolicyType"`
	Protocol     string   `xml:"NativeProtocolType"`
	NoClassRoute bool     `xml:"DisableClassBasedDefaultRoute"`
	Suite        vpnSuite `xml:"CryptographySuite"`
	Auth         vpnAuth  `xml:"Authentication"`
}

// vpnAuth is the certificate of the machine, or an EAP method of the user.
type vpnAuth struct {
	UserMethod    string         `xml:"UserMethod,omitempty"`
	MachineMethod string         `xml:"MachineMethod,omitempty"`
	EAP           *eapHostConfig `xml:"Eap>Configuration>EapHostConfig"`
}

type vpnSuite struct {
	Authentication string `xml:"AuthenticationTransformConstants"`
	Cipher         string `xml:"CipherTransformConstants"`
	Encryption     string `xml:"EncryptionMethod"`
	Integrity      string `xml:"IntegrityCheckMethod"`
	Group          string `xml:"DHGroup"`
	PFS            string `xml:"PfsGroup"`
}

type vpnRoute struct {
	Address string `xml:"Address"`
	Bits    int    `xml:"PrefixSize"`
}

// windowsXMLProfile writes a device tunnel: up before anybody logs on,
// authenticated by the machine's certificate alone. Where EAP is wanted it is a
// tunnel of the user.
func windowsXMLProfile(in *Input) (Profile, error) {
	c, err := windowsXML.choose(in.Zone.Policy)
	if err != nil {
		return Profile{}, err
	}
	if err := in.windowsLimits("windows-xml"); err != nil {
		return Profile{}, err
	}
	v := vpnProfile{
		AlwaysOn: true, DNSSuffix: first(in.Zone.DNS.Search), Domains: in.vpnDomains(),
		Native: vpnNative{
			Servers: in.Gateway, Protocol: "IKEv2", Routing: "SplitTunnel", NoClassRoute: true,
			Suite: vpnSuite{
				Authentication: c.windowsAuth(), Cipher: c.espWord(suite.Encr), Encryption: c.ikeWord(suite.Encr),
				Integrity: c.hash(), Group: c.ikeWord(suite.KE), PFS: c.windowsPFS(),
			},
		},
	}
	p := Profile{Notes: in.windowsNotes()}
	if in.auth == authCertificate {
		in.deviceTunnel(&v, &p)
	} else {
		in.userTunnel(&v, &p)
	}
	if c.ikeWord(suite.Integ) == "" {
		p.Notes = append(p.Notes, "AES-GCM for IKE needs Windows 11")
	}
	text, err := xml.MarshalIndent(v, "", "  ")
	p.Files = in.files(File{Name: in.connection() + ".xml", Content: crlf(string(text) + "\n"), Secret: true})
	return p, err
}

// deviceTunnel: Windows has no ForceTunnel for it; two halves of the address
// space take its place.
func (in *Input) deviceTunnel(v *vpnProfile, p *Profile) {
	v.Device, v.Native.Auth.MachineMethod, v.Routes = true, "Certificate", in.vpnRoutes()
	p.Steps = append([]string{fmt.Sprintf("import %s into the machine's personal store and %s into its trusted roots", in.p12Name(), caName)}, in.vpnSteps("Device")...)
	p.Notes = append(p.Notes, "a device tunnel needs Windows Enterprise or Education, joined to a domain; others take --for windows")
	if in.full(ipv4) {
		p.Notes = append(p.Notes, "a device tunnel is no kill switch: while it is down, traffic goes past it")
	}
}

// userTunnel is up while its user is logged on.
func (in *Input) userTunnel(v *vpnProfile, p *Profile) {
	eap := in.eapHost()
	v.Native.Auth = vpnAuth{UserMethod: "Eap", EAP: &eap}
	if in.full(ipv4) {
		v.Native.Routing = "ForceTunnel"
	}
	for _, r := range in.windowsRoutes() {
		prefix := netip.MustParsePrefix(r)
		v.Routes = append(v.Routes, vpnRoute{prefix.Addr().String(), prefix.Bits()})
	}
	if in.leaf != nil {
		p.Steps = []string{fmt.Sprintf("import %s into the user's personal store and %s into the machine's trusted roots", in.p12Name(), caName)}
	} else {
		v.Remember = true
		p.Steps = []string{fmt.Sprintf("import %s into the machine's trusted roots", caName)}
		p.Notes = append(p.Notes, "Windows asks for user name and password at the first connection, and keeps them")
	}
	p.Steps = append(p.Steps, in.vpnSteps("User")...)
}

func (in *Input) vpnSteps(of string) []string {
	return []string{
		fmt.Sprintf("give %s.xml to ./%s/Vendor/MSFT/VPNv2/%[1]s/ProfileXML, by your device management or, as SYSTEM, by the WMI class MDM_VPNv2_01", in.connection(), of),
		"a change is a removal and a new profile: Windows updates none in place",
	}
}

// vpnDomains are NRPT rules that live and die with the tunnel. One with a dot
// before it covers the names below.
func (in *Input) vpnDomains() (out []vpnDomain) {
	servers := ""
	for i, r := range in.resolvers() {
		if i > 0 {
			servers += ","
		}
		servers += r
	}
	for _, d := range in.dnsDomains() {
		out = append(out, vpnDomain{d, servers})
		if d != "." {
			out = append(out, vpnDomain{"." + d, servers})
		}
	}
	return out
}

func (in *Input) vpnRoutes() (out []vpnRoute) {
	for _, p := range in.Zone.Routes {
		for _, half := range halves(p) {
			out = append(out, vpnRoute{half.Addr().String(), half.Bits()})
		}
	}
	return out
}

// halves splits a default route in two, which beat the default route of the
// network outside.
func halves(p netip.Prefix) []netip.Prefix {
	switch {
	case p.Bits() > 0:
		return []netip.Prefix{p}
	case p.Addr().Is4():
		return []netip.Prefix{netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1")}
	}
	return []netip.Prefix{netip.MustParsePrefix("::/1"), netip.MustParsePrefix("8000::/1")}
}
