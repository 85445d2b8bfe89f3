package profile

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// clientFile is the profile of Sallyport's own client, as `sallyport connect`
// reads it (package client has the other half). Paths are relative to the file.
type clientFile struct {
	Device      string   `yaml:"device"`   // for messages only
	Remote      string   `yaml:"remote"`   // name or address of the gateway
	Identity    string   `yaml:"identity"` // ours
	RemoteID    string   `yaml:"remote_id"`
	Ports       [2]int   `yaml:"ports,flow"` // IKE, NAT-T
	CA          string   `yaml:"ca,omitempty"`
	Certificate string   `yaml:"certificate,omitempty"`
	Key         string   `yaml:"key,omitempty"`
	Auth        string   `yaml:"auth,omitempty"` // empty: certificate
	PSK         string   `yaml:"psk,omitempty"`  // name of the file with the pre-shared key
	IKE         []string `yaml:"ike,flow"`
	ESP         []string `yaml:"esp,flow"`
	Routes      []string `yaml:"routes,flow"`
	IPv4        bool     `yaml:"ipv4"`
	IPv6        bool     `yaml:"ipv6"`
	MOBIKE      bool     `yaml:"mobike"`
	ForceEncap  bool     `yaml:"force_encapsulation"`
}

func sallyportProfile(in *Input) (Profile, error) {
	file := clientFile{
		Device: in.Device.Name, Remote: in.Gateway, Identity: in.Device.Identity, RemoteID: in.Identity,
		Ports: [2]int{int(in.Ports.IKE), int(in.Ports.NATT)},
		IKE:   in.Zone.Policy.IKE, ESP: in.Zone.Policy.ESP, Routes: in.routes(),
		IPv4: in.Zone.Pool.IPv4.IsValid(), IPv6: in.Zone.Pool.IPv6.IsValid(),
		MOBIKE: in.Zone.MOBIKE, ForceEncap: in.Zone.Encap == "forced",
	}
	if in.auth != authCertificate {
		file.Auth = in.auth
	}
	name := in.fileBase() + ".yaml"
	keep := fmt.Sprintf("keep %s (0600) beside %s", in.pskName(), name)
	if in.auth == authPSK {
		file.PSK = in.pskName()
	} else {
		file.CA, file.Certificate, file.Key = caName, in.certName(), in.keyName()
		keep = fmt.Sprintf("keep %s (0600), %s and %s beside %s", in.keyName(), in.certName(), caName, name)
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		return Profile{}, err
	}
	return Profile{
		Files: in.files(File{Name: name, Content: "# " + in.comment() + "\n" + string(text), Secret: true}),
		Steps: []string{keep, "sallyport connect " + name},
	}, nil
}
