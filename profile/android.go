package profile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// androidProfile writes a card: Android's built-in client has no import file.
func androidProfile(in *Input) (Profile, error) {
	if _, err := android.choose(in.Zone.Policy); err != nil {
		return Profile{}, err
	}
	if err := in.needKey("android", "RSA"); err != nil {
		return Profile{}, err
	}
	if err := in.needPorts("android"); err != nil {
		return Profile{}, err
	}
	if err := in.needName("android"); err != nil {
		return Profile{}, err
	}
	if err := in.needTypedPSK("android", 1); err != nil {
		return Profile{}, err
	}
	card := fmt.Sprintf(`%s

Settings of the VPN client that is built into Android 11 and later.

%s2. Settings, Network & internet, VPN, +:

   Name                        %s
   Type                        IKEv2/IPSec %s
   Server address              %s
   IPSec identifier            %s
%s
3. For no traffic without the VPN: in its settings turn on Always-on VPN and
   Block connections without VPN.
`, in.comment(), in.androidInstall(), in.title(), androidTypes[in.auth], in.Gateway, in.Device.Identity, in.androidSecrets())
	name := in.connection() + "-android.txt"
	p := Profile{Files: in.files(File{Name: name, Content: card, Secret: true}), Steps: []string{"follow " + name}}
	switch {
	case in.leaf != nil:
		p.Steps = append([]string{"bring " + in.androidP12() + " to the phone"}, p.Steps...)
	case in.ca != nil:
		p.Steps = append([]string{"bring " + caName + " to the phone"}, p.Steps...)
		p.Notes = append(p.Notes, "where Android wants the CA installed, so that the VPN's settings offer it, differs from one maker to another")
	}
	p.Notes = append(p.Notes, "Android 11 and 12 may offer fewer algorithms than later ones; what they offer has not been seen here")
	if !isAddress(in.Gateway) {
		p.Notes = append(p.Notes, "Always-on VPN is said to want server and resolvers as addresses: if it refuses the name, write this card with --address")
	}
	return p, nil
}

// androidTypes are the ways as the phone's settings name them.
var androidTypes = map[string]string{authCertificate: "RSA", authMSCHAPv2: "MSCHAPv2", authPSK: "PSK"}

func (in *Input) androidP12() string { return in.fileBase() + "-android.p12" }

// androidInstall is the first step: what must be on the phone before.
func (in *Input) androidInstall() string {
	switch {
	case in.leaf != nil:
		return fmt.Sprintf(`1. Copy %s to the phone and open it: it asks for its password, which was
   shown when this card was written. Install it as a certificate for VPN and
   apps, under the name "%s".
`, in.androidP12(), in.title())
	case in.ca != nil:
		return fmt.Sprintf(`1. Copy %s to the phone and install it as a CA certificate.
`, caName)
	}
	return "1. Nothing has to be installed.\n"
}

// androidSecrets are the lines of the chosen way. The password is typed.
func (in *Input) androidSecrets() string {
	const server = "   IPSec server certificate    (received from server)\n"
	switch in.auth {
	case authPSK:
		return "   IPSec pre-shared key        " + string(in.PSK) + "\n"
	case authMSCHAPv2:
		return "   IPSec CA certificate        " + caName + "\n" + server +
			"   Username                    " + in.Device.User + "\n   Password                    (yours)\n"
	}
	return "   IPSec user certificate      " + in.title() + "\n   IPSec CA certificate        " + in.title() + "\n" + server
}

// sswan is the profile of the strongSwan app for Android.
type sswan struct {
	UUID   string       `json:"uuid"`
	Name   string       `json:"name"`
	Type   string       `json:"type"`
	Remote sswanRemote  `json:"remote"`
	Local  sswanLocal   `json:"local"`
	IKE    string       `json:"ike-proposal"`
	ESP    string       `json:"esp-proposal"`
	MTU    int          `json:"mtu,omitempty"`
	DNS    string       `json:"dns-servers,omitempty"`
	Split  *sswanRoutes `json:"split-tunneling,omitempty"`
}

type sswanRemote struct {
	Addr    string `json:"addr"`
	Port    int    `json:"port,omitempty"`
	ID      string `json:"id"`
	Cert    string `json:"cert"`
	CertReq bool   `json:"certreq"`
}

type sswanLocal struct {
	ID     string `json:"id,omitempty"`
	EAPID  string `json:"eap_id,omitempty"`
	P12    string `json:"p12,omitempty"`
	RSAPSS bool   `json:"rsa-pss,omitempty"`
}

// sswanTypes are the ways in the app's words.
var sswanTypes = map[string]string{authCertificate: "ikev2-cert", authEAPTLS: "ikev2-eap-tls", authMSCHAPv2: "ikev2-eap"}

type sswanRoutes struct {
	Subnets   []string `json:"subnets,omitempty"`
	BlockIPv4 bool     `json:"block-ipv4"`
	BlockIPv6 bool     `json:"block-ipv6"`
}

// strongSwanAppProfile writes the app's JSON. The app takes one proposal: the
// zone's first, in full.
func strongSwanAppProfile(in *Input) (Profile, error) {
	s := sswan{
		UUID: strings.ToLower(in.payload("", "app").UUID), Name: in.title(), Type: sswanTypes[in.auth],
		Remote: sswanRemote{Addr: in.Gateway, ID: in.Identity, Cert: base64.StdEncoding.EncodeToString(in.ca.Raw), CertReq: true},
		Local:  in.sswanLocal(),
		IKE:    first(in.Zone.Policy.IKE), ESP: first(in.Zone.Policy.ESP),
		Split: in.sswanRoutes(),
	}
	if in.Ports != usualPorts {
		s.Remote.Port = int(in.Ports.NATT)
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return Profile{}, err
	}
	name, secret := in.connection()+".sswan", "key"
	if in.leaf == nil {
		secret = "user"
	}
	return Profile{
		Files: in.files(File{Name: name, Content: string(text) + "\n", Secret: true}),
		Steps: []string{"install the app \"strongSwan VPN Client\"", "open " + name + " on the device, by download or from its files", "type the password of the " + secret + " when it is asked for"},
	}, nil
}

// sswanLocal is the device with its key inside, or the user whose password the
// app asks for.
func (in *Input) sswanLocal() sswanLocal {
	if in.leaf == nil {
		return sswanLocal{EAPID: in.Device.User}
	}
	l := sswanLocal{ID: in.Device.Identity, P12: base64.StdEncoding.EncodeToString(in.PKCS12)}
	l.RSAPSS = in.auth == authCertificate && in.keyKind() == "RSA" // of IKE's own signature
	return l
}

// sswanRoutes names what goes into the tunnel. A family that the zone does not
// serve is blocked where the zone takes all traffic: it would go past.
func (in *Input) sswanRoutes() *sswanRoutes {
	r := sswanRoutes{}
	if !in.full(ipv4) || !in.full(ipv6) {
		r.Subnets = in.routes()
	}
	full := in.full(ipv4) || in.full(ipv6)
	r.BlockIPv4 = full && !in.Zone.Pool.IPv4.IsValid()
	r.BlockIPv6 = full && !in.Zone.Pool.IPv6.IsValid()
	if len(r.Subnets) == 0 && !r.BlockIPv4 && !r.BlockIPv6 {
		return nil
	}
	return &r
}
