package profile

import (
	"fmt"
	"strings"
)

// swanctlProfile writes a connection for swanctl.conf(5).
func swanctlProfile(in *Input) (Profile, error) {
	name := in.connection()
	conf := fmt.Sprintf(`# %[1]s
connections {
    %[2]s {
        version = 2
        remote_addrs = %[3]s
%[4]s        vips = %[5]s
        proposals = %[6]s
        encap = %[7]s
        fragmentation = yes
        mobike = %[8]s
        dpd_delay = 30s
        rekey_time = %[9]ds
%[10]s        children {
            %[2]s {
                remote_ts = %[11]s
                esp_proposals = %[12]s
                rekey_time = %[13]ds
                dpd_action = restart
                start_action = none
            }
        }
    }
}
%[14]s`, in.comment(), name, swanctl(in.Gateway), in.swanctlPort(), strings.Join(in.vips(), ", "),
		strings.Join(in.Zone.Policy.IKE, ", "), yesNo(in.Zone.Encap == "forced"), yesNo(in.Zone.MOBIKE),
		clientShare(in.Zone.Rekey.IKE.Seconds()), in.swanctlAuth(),
		strings.Join(in.routes(), ", "), strings.Join(in.Zone.Policy.ESP, ", "), clientShare(in.Zone.Rekey.Child.Seconds()),
		in.swanctlSecret())
	p := Profile{Files: in.files(File{Name: name + ".conf", Content: conf, Secret: true, Where: "/etc/swanctl/conf.d/"})}
	p.Steps = []string{fmt.Sprintf("install -m 600 %s.conf /etc/swanctl/conf.d/", name)}
	for i, f := range p.Files[1:] {
		where := "/etc/swanctl/x509ca/"
		if f.Name == in.certName() {
			where = "/etc/swanctl/x509/"
			p.Steps = append(p.Steps, fmt.Sprintf("install -m 600 %s /etc/swanctl/private/", in.keyName()))
		}
		p.Files[i+1].Where = where
		p.Steps = append(p.Steps, fmt.Sprintf("cp %s %s", f.Name, where))
	}
	if ByPassword(in.auth) {
		p.Steps = append(p.Steps, fmt.Sprintf("write the password behind \"secret =\" in /etc/swanctl/conf.d/%s.conf, in quotation marks", name))
	}
	p.Steps = append(p.Steps, "swanctl --load-all", "swanctl --initiate --child "+name)
	p.Notes = in.swanctlNotes()
	return p, nil
}

// swanctlAuths are the ways in strongSwan's words.
var swanctlAuths = map[string]string{
	authCertificate: "pubkey", authEAPTLS: "eap-tls", authPEAP: "eap-peap", authEAPTTLS: "eap-ttls", authMSCHAPv2: "eap-mschapv2", authPSK: "psk",
}

// swanctlAuth is how each end proves itself: the gateway by its certificate,
// and by the pre-shared key where the client does.
func (in *Input) swanctlAuth() string {
	local, remote := "", fmt.Sprintf("            auth = pubkey\n            id = %s\n            cacerts = %s\n", swanctlQuoted(in.Identity), caName)
	switch {
	case ByCertificate(in.auth):
		local = fmt.Sprintf("            certs = %s\n", in.certName())
	case in.auth == authPSK:
		remote = fmt.Sprintf("            auth = psk\n            id = %s\n", swanctlQuoted(in.Identity))
	default:
		local = fmt.Sprintf("            eap_id = %s\n", swanctlQuoted(in.Device.User))
	}
	return fmt.Sprintf(`        local {
            auth = %s
%s            id = %s
        }
        remote {
%s        }
`, swanctlAuths[in.auth], local, swanctlQuoted(in.Device.Identity), remote)
}

// swanctlSecret is the section of the pre-shared key, or the one that waits for
// the password.
func (in *Input) swanctlSecret() string {
	switch {
	case in.auth == authPSK:
		return fmt.Sprintf(`secrets {
    ike-%s {
        id-1 = %s
        id-2 = %s
        secret = 0s%s
    }
}
`, in.fileBase(), swanctlQuoted(in.Device.Identity), swanctlQuoted(in.Identity), in.base64PSK())
	case ByPassword(in.auth):
		return fmt.Sprintf(`secrets {
    eap-%s {
        id = %s
        secret =
    }
}
`, in.fileBase(), swanctlQuoted(in.Device.User))
	}
	return ""
}

// swanctlNotes say which plugin a way takes: distributions leave out some.
func (in *Input) swanctlNotes() []string {
	switch in.auth {
	case authPEAP, authEAPTTLS:
		return []string{fmt.Sprintf("strongSwan must have the plugins %s and eap-mschapv2, which it speaks inside TLS; Debian 12 has no eap-peap", swanctlAuths[in.auth])}
	case authMSCHAPv2:
		return []string{"strongSwan must have the plugin eap-mschapv2"}
	}
	return nil
}

// vips ask for an inner address of each family that the zone gives.
func (in *Input) vips() (vips []string) {
	if in.Zone.Pool.IPv4.IsValid() {
		vips = append(vips, "0.0.0.0")
	}
	if in.Zone.Pool.IPv6.IsValid() {
		vips = append(vips, "::")
	}
	return vips
}

func (in *Input) swanctlPort() string {
	if in.Ports == usualPorts {
		return ""
	}
	return fmt.Sprintf("        remote_port = %d\n", in.Ports.NATT)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
