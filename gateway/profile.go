package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"sallyport/config"
)

// File is one file of a profile.
type File struct {
	Name    string `json:"name"` // without directory
	Content string `json:"content"`
	Secret  bool   `json:"secret,omitempty"` // to be written with mode 0600
	Where   string `json:"where,omitempty"`  // where the client wants it, when that is a fixed place
}

// Profile is everything one client needs beside its private key.
type Profile struct {
	For   string   `json:"for"`
	Files []File   `json:"files"`
	Steps []string `json:"steps"` // what to do on the client, in order
}

// profileInput is what every profile is made from: the same zone that the
// server's own proposals come from, so that they cannot drift.
type profileInput struct {
	device   Device
	zone     *config.Zone
	gateway  string // address or name to dial
	identity string // the gateway's IKE identity
	ports    config.Ports
	cert, ca string // PEM
	dir      string // where the files will be, for formats that need absolute paths
}

// profileKinds are the clients we write profiles for.
var profileKinds = map[string]func(profileInput) (Profile, error){
	"swanctl":        swanctlProfile,
	"networkmanager": networkManagerProfile,
	"sallyport":      sallyportProfile,
}

// makeProfile writes the profile of one kind.
func makeProfile(kind string, in profileInput) (Profile, error) {
	f, ok := profileKinds[kind]
	if !ok {
		return Profile{}, &InvalidError{Reason: fmt.Sprintf("there are no profiles for %q", kind), Hint: "use swanctl, networkmanager or sallyport"}
	}
	p, err := f(in)
	p.For = kind
	return p, err
}

// keyName, certName and caName are the files beside every profile; the key was
// handed out when the device was added.
func (in profileInput) keyName() string  { return in.device.Name + ".key" }
func (in profileInput) certName() string { return in.device.Name + ".crt" }

const caName = "sallyport-ca.crt"

func (in profileInput) certFiles() []File {
	return []File{{Name: in.certName(), Content: in.cert}, {Name: caName, Content: in.ca}}
}

// swanctlProfile writes a connection for swanctl.conf(5).
func swanctlProfile(in profileInput) (Profile, error) {
	var vips []string
	if in.zone.Pool.IPv4.IsValid() {
		vips = append(vips, "0.0.0.0")
	}
	if in.zone.Pool.IPv6.IsValid() {
		vips = append(vips, "::")
	}
	name := "sallyport-" + in.device.Name
	conf := fmt.Sprintf(`# Sallyport profile of device %[2]s, zone %[3]s.
connections {
    %[1]s {
        version = 2
        remote_addrs = %[4]s
%[5]s        vips = %[6]s
        proposals = %[7]s
        encap = %[8]s
        fragmentation = yes
        mobike = %[9]s
        dpd_delay = 30s
        rekey_time = %[10]ds
        local {
            auth = pubkey
            certs = %[11]s
            id = "%[12]s"
        }
        remote {
            auth = pubkey
            id = "%[13]s"
            cacerts = %[14]s
        }
        children {
            %[1]s {
                remote_ts = %[15]s
                esp_proposals = %[16]s
                rekey_time = %[17]ds
                dpd_action = restart
                start_action = none
            }
        }
    }
}
`, name, in.device.Name, in.zone.Name, in.gateway, swanctlPort(in.ports), strings.Join(vips, ", "),
		strings.Join(in.zone.Policy.IKE, ", "), yesNo(in.zone.Encap == "forced"), yesNo(in.zone.MOBIKE),
		int(clientShare(in.zone.Rekey.IKE.Seconds())), in.certName(), in.device.Identity, in.identity, caName,
		joinPrefixes(in.zone.Routes, ", "), strings.Join(in.zone.Policy.ESP, ", "), int(clientShare(in.zone.Rekey.Child.Seconds())))
	p := Profile{Files: append([]File{{Name: name + ".conf", Content: conf, Where: "/etc/swanctl/conf.d/"}}, in.certFiles()...)}
	p.Files[1].Where, p.Files[2].Where = "/etc/swanctl/x509/", "/etc/swanctl/x509ca/"
	p.Steps = []string{
		fmt.Sprintf("cp %s.conf /etc/swanctl/conf.d/", name),
		fmt.Sprintf("cp %s /etc/swanctl/x509/ && cp %s /etc/swanctl/x509ca/", in.certName(), caName),
		fmt.Sprintf("install -m 600 %s /etc/swanctl/private/", in.keyName()),
		"swanctl --load-all",
		"swanctl --initiate --child " + name,
	}
	return p, nil
}

// clientShare makes the client rekey first: two ends that start together
// collide (RFC 7296, Section 2.8.1), and some clients cannot follow a server.
func clientShare(seconds float64) float64 { return seconds * 8 / 10 }

func swanctlPort(p config.Ports) string {
	if p.IKE == 500 {
		return ""
	}
	return fmt.Sprintf("        remote_port = %d\n", p.NATT)
}

// networkManagerProfile writes a keyfile for NetworkManager-strongswan.
func networkManagerProfile(in profileInput) (Profile, error) {
	name := "sallyport-" + in.device.Name
	at := func(file string) string { return strings.TrimSuffix(in.dir, "/") + "/" + file }
	conf := fmt.Sprintf(`# Sallyport profile of device %[1]s, zone %[2]s.
[connection]
id=Sallyport %[1]s
type=vpn
autoconnect=false

[vpn]
service-type=org.freedesktop.NetworkManager.strongswan
address=%[3]s
certificate=%[4]s
method=key
usercert=%[5]s
userkey=%[6]s
local-identity=%[7]s
remote-identity=%[8]s
virtual=yes
encap=%[9]s
ipcomp=no
proposal=yes
ike=%[10]s
esp=%[11]s
remote-ts=%[12]s

[ipv4]
method=auto
%[13]s
[ipv6]
method=auto
%[13]s`, in.device.Name, in.zone.Name, in.gateway, at(caName), at(in.certName()), at(in.keyName()),
		in.device.Identity, in.identity, yesNo(in.zone.Encap == "forced"),
		strings.Join(in.zone.Policy.IKE, ";"), strings.Join(in.zone.Policy.ESP, ";"), joinPrefixes(in.zone.Routes, ";"),
		dnsLines(in.zone))
	p := Profile{Files: append([]File{{Name: name + ".nmconnection", Content: conf, Secret: true, Where: "/etc/NetworkManager/system-connections/"}}, in.certFiles()...)}
	p.Steps = []string{
		fmt.Sprintf("install -m 600 %s.nmconnection /etc/NetworkManager/system-connections/", name),
		fmt.Sprintf("keep %s, %s and %s (0600) in %s", in.certName(), caName, in.keyName(), in.dir),
		"nmcli connection reload",
		fmt.Sprintf("nmcli connection up %q", "Sallyport "+in.device.Name),
	}
	return p, nil
}

// dnsLines names the domains of a split tunnel and makes the tunnel's resolver the only one of a full tunnel: a
// negative priority shuts the others out, which closes the DNS leak.
func dnsLines(z *config.Zone) (lines string) {
	if len(z.DNS.Split) > 0 {
		lines = "dns-search=" + strings.Join(z.DNS.Split, ";") + ";\n"
	}
	if len(z.DNS.Servers) > 0 && len(z.DNS.Split) == 0 {
		lines += "dns-priority=-50\n"
	}
	return lines
}

// clientFile is the profile of Sallyport's own client, as `sallyport connect`
// reads it (package client has the other half). Paths are relative to the file.
type clientFile struct {
	Device      string   `yaml:"device"`   // for messages only
	Remote      string   `yaml:"remote"`   // name or address of the gateway
	Identity    string   `yaml:"identity"` // ours
	RemoteID    string   `yaml:"remote_id"`
	Ports       [2]int   `yaml:"ports,flow"` // IKE, NAT-T
	CA          string   `yaml:"ca"`
	Certificate string   `yaml:"certificate"`
	Key         string   `yaml:"key"`
	IKE         []string `yaml:"ike,flow"`
	ESP         []string `yaml:"esp,flow"`
	Routes      []string `yaml:"routes,flow"`
	IPv4        bool     `yaml:"ipv4"`
	IPv6        bool     `yaml:"ipv6"`
	MOBIKE      bool     `yaml:"mobike"`
	ForceEncap  bool     `yaml:"force_encapsulation"`
}

func sallyportProfile(in profileInput) (Profile, error) {
	file := clientFile{
		Device: in.device.Name, Remote: in.gateway, Identity: in.device.Identity, RemoteID: in.identity,
		Ports: [2]int{int(in.ports.IKE), int(in.ports.NATT)},
		CA:    caName, Certificate: in.certName(), Key: in.keyName(),
		IKE: in.zone.Policy.IKE, ESP: in.zone.Policy.ESP,
		IPv4: in.zone.Pool.IPv4.IsValid(), IPv6: in.zone.Pool.IPv6.IsValid(),
		MOBIKE: in.zone.MOBIKE, ForceEncap: in.zone.Encap == "forced",
	}
	for _, r := range in.zone.Routes {
		file.Routes = append(file.Routes, r.String())
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		return Profile{}, err
	}
	name := in.device.Name + ".yaml"
	head := fmt.Sprintf("# Sallyport profile of device %s, zone %s.\n", in.device.Name, in.zone.Name)
	return Profile{
		Files: append([]File{{Name: name, Content: head + string(text)}}, in.certFiles()...),
		Steps: []string{fmt.Sprintf("keep %s (0600), %s and %s beside %s", in.keyName(), in.certName(), caName, name), "sallyport connect " + name},
	}, nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func joinPrefixes(ps []netip.Prefix, sep string) string {
	out := make([]string, 0, len(ps))
	for _, p := range ps {
		out = append(out, p.String())
	}
	return strings.Join(out, sep)
}

// checkDial refuses a gateway address that would not stand safely in a
// client's configuration.
func checkDial(address string) error {
	if _, err := netip.ParseAddr(address); err == nil {
		return nil
	}
	labels := strings.Split(address, ".")
	bad := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
	}
	if len(address) > 253 || slices.ContainsFunc(labels, func(l string) bool { return l == "" || len(l) > 63 || strings.ContainsFunc(l, bad) }) {
		return &InvalidError{Reason: fmt.Sprintf("%q is neither a host name nor an address", address), Hint: "give the name or address by which clients reach the gateway, such as vpn.example.org"}
	}
	return nil
}
