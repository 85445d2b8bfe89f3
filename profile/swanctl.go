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
        local {
            auth = %[17]s
            certs = %[10]s
            id = %[11]s
        }
        remote {
            auth = pubkey
            id = %[12]s
            cacerts = %[13]s
        }
        children {
            %[2]s {
                remote_ts = %[14]s
                esp_proposals = %[15]s
                rekey_time = %[16]ds
                dpd_action = restart
                start_action = none
            }
        }
    }
}
`, in.comment(), name, swanctl(in.Gateway), in.swanctlPort(), strings.Join(in.vips(), ", "),
		strings.Join(in.Zone.Policy.IKE, ", "), yesNo(in.Zone.Encap == "forced"), yesNo(in.Zone.MOBIKE),
		clientShare(in.Zone.Rekey.IKE.Seconds()), in.certName(), swanctlQuoted(in.Device.Identity), swanctlQuoted(in.Identity), caName,
		strings.Join(in.routes(), ", "), strings.Join(in.Zone.Policy.ESP, ", "), clientShare(in.Zone.Rekey.Child.Seconds()),
		in.swanctlAuth())
	p := Profile{Files: append([]File{{Name: name + ".conf", Content: conf, Secret: true, Where: "/etc/swanctl/conf.d/"}}, in.certFiles()...)}
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

// swanctlAuth is the zone's best way in strongSwan's words.
func (in *Input) swanctlAuth() string {
	if in.auth() == authCertificate {
		return "pubkey"
	}
	return in.auth()
}
