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
	AlwaysOn    bool        `xml:"AlwaysOn"`
	DNSSuffix   string      `xml:"DnsSuffix,omitempty"`
	Device      bool        `xml:"DeviceTunnel"`
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
	Servers       string   `xml:"Servers"`
	Routing       string   `xml:"RoutingPolicyType"`
	Protocol      string   `xml:"NativeProtocolType"`
	NoClassRoute  bool     `xml:"DisableClassBasedDefaultRoute"`
	Suite         vpnSuite `xml:"CryptographySuite"`
	MachineMethod string   `xml:"Authentication>MachineMethod"`
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
// authenticated by the machine's certificate alone.
func windowsXMLProfile(in *Input) (Profile, error) {
	c, err := windowsXML.choose(in.Zone.Policy)
	if err != nil {
		return Profile{}, err
	}
	if err := in.windowsLimits("windows-xml"); err != nil {
		return Profile{}, err
	}
	v := vpnProfile{
		AlwaysOn: true, Device: true, DNSSuffix: first(in.Zone.DNS.Search),
		Domains: in.vpnDomains(), Routes: in.vpnRoutes(),
		Native: vpnNative{
			Servers: in.Gateway, Protocol: "IKEv2", MachineMethod: "Certificate",
			// Windows has no ForceTunnel for device tunnels: two halves of the
			// address space take its place.
			Routing: "SplitTunnel", NoClassRoute: true,
			Suite: vpnSuite{
				Authentication: c.windowsAuth(), Cipher: c.espWord(suite.Encr), Encryption: c.ikeWord(suite.Encr),
				Integrity: c.hash(), Group: c.ikeWord(suite.KE), PFS: c.windowsPFS(),
			},
		},
	}
	text, err := xml.MarshalIndent(v, "", "  ")
	if err != nil {
		return Profile{}, err
	}
	name := in.connection() + ".xml"
	p := Profile{Files: append([]File{{Name: name, Content: crlf(string(text) + "\n"), Secret: true}}, in.certFiles()...)}
	p.Steps = []string{
		fmt.Sprintf("import %s into the machine's personal store and %s into its trusted roots", in.p12Name(), caName),
		fmt.Sprintf("give %s to ./Device/Vendor/MSFT/VPNv2/%s/ProfileXML, by your device management or, as SYSTEM, by the WMI class MDM_VPNv2_01", name, in.connection()),
		"a change is a removal and a new profile: Windows updates none in place",
	}
	p.Notes = append(in.windowsNotes(), "a device tunnel needs Windows Enterprise or Education, joined to a domain; others take --for windows")
	if c.ikeWord(suite.Integ) == "" {
		p.Notes = append(p.Notes, "AES-GCM for IKE needs Windows 11")
	}
	if in.full(ipv4) {
		p.Notes = append(p.Notes, "a device tunnel is no kill switch: while it is down, traffic goes past it")
	}
	return p, nil
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
