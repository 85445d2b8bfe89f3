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
	p12 := in.fileBase() + "-android.p12"
	card := fmt.Sprintf(`%s

Settings of the VPN client that is built into Android 11 and later.

1. Copy %s to the phone and open it: it asks for its password, which was
   shown when this card was written. Install it as a certificate for VPN and
   apps, under the name "%s".
2. Settings, Network & internet, VPN, +:

   Name                        %s
   Type                        IKEv2/IPSec RSA
   Server address              %s
   IPSec identifier            %s
   IPSec user certificate      %s
   IPSec CA certificate        %s
   IPSec server certificate    (received from server)

3. For no traffic without the VPN: in its settings turn on Always-on VPN and
   Block connections without VPN. %s
`, in.comment(), p12, in.title(), in.title(), in.Gateway, in.Device.Identity, in.title(), in.title(), androidAlwaysOn(in.Gateway))
	name := in.connection() + "-android.txt"
	return Profile{
		Files: append([]File{{Name: name, Content: card, Secret: true}}, in.certFiles()...),
		Steps: []string{"bring " + p12 + " to the phone", "follow " + name},
	}, nil
}

func androidAlwaysOn(gateway string) string {
	if isAddress(gateway) {
		return "Android wants the server as an address for that, as here."
	}
	return "Android wants the server as an address for that: write this card with --address."
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
	ID     string `json:"id"`
	P12    string `json:"p12"`
	RSAPSS bool   `json:"rsa-pss,omitempty"`
}

type sswanRoutes struct {
	Subnets   []string `json:"subnets,omitempty"`
	BlockIPv4 bool     `json:"block-ipv4"`
	BlockIPv6 bool     `json:"block-ipv6"`
}

// strongSwanAppProfile writes the app's JSON. The app takes one proposal: the
// zone's first, in full.
func strongSwanAppProfile(in *Input) (Profile, error) {
	s := sswan{
		UUID: strings.ToLower(in.payload("", "app").UUID), Name: in.title(), Type: "ikev2-cert",
		Remote: sswanRemote{Addr: in.Gateway, ID: in.Identity, Cert: base64.StdEncoding.EncodeToString(in.ca.Raw), CertReq: true},
		Local:  sswanLocal{ID: in.Device.Identity, P12: base64.StdEncoding.EncodeToString(in.PKCS12), RSAPSS: in.keyKind() == "RSA"},
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
	name := in.connection() + ".sswan"
	return Profile{
		Files: append([]File{{Name: name, Content: string(text) + "\n", Secret: true}}, in.certFiles()...),
		Steps: []string{"install the app \"strongSwan VPN Client\"", "open " + name + " on the device, by download or from its files", "type the password of the key when it is asked for"},
	}, nil
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
