package profile

import (
	"fmt"
	"slices"
	"strings"
)

// networkManagerProfile writes a keyfile for NetworkManager-strongswan.
func networkManagerProfile(in *Input) (Profile, error) {
	name := in.connection()
	at := func(file string) string { return keyfile(strings.TrimSuffix(in.Dir, "/") + "/" + file) }
	conf := fmt.Sprintf(`# %[1]s
[connection]
id=%[2]s
type=vpn
autoconnect=false

[vpn]
service-type=org.freedesktop.NetworkManager.strongswan
address=%[3]s
%[4]scertificate=%[5]s
method=key
usercert=%[6]s
userkey=%[7]s
local-identity=%[8]s
remote-identity=%[9]s
virtual=yes
encap=%[10]s
ipcomp=no
proposal=yes
ike=%[11]s
esp=%[12]s
remote-ts=%[13]s

[ipv4]
method=auto
%[14]s
[ipv6]
method=auto
%[14]s`, in.comment(), keyfile(in.title()), keyfile(in.Gateway), in.networkManagerPort(), at(caName), at(in.certName()), at(in.keyName()),
		keyfile(in.Device.Identity), keyfile(in.Identity), yesNo(in.Zone.Encap == "forced"),
		strings.Join(in.Zone.Policy.IKE, ";"), strings.Join(in.Zone.Policy.ESP, ";"), strings.Join(in.routes(), ";"),
		in.dnsLines())
	p := Profile{Files: append([]File{{Name: name + ".nmconnection", Content: conf, Secret: true, Where: "/etc/NetworkManager/system-connections/"}}, in.certFiles()...)}
	p.Steps = []string{
		fmt.Sprintf("install -m 600 %s.nmconnection /etc/NetworkManager/system-connections/", name),
		fmt.Sprintf("keep %s, %s and %s (0600) in %s", in.certName(), caName, in.keyName(), in.Dir),
		"nmcli connection reload",
		fmt.Sprintf("nmcli connection up %q", in.title()),
	}
	return p, nil
}

func (in *Input) networkManagerPort() string {
	if in.Ports == usualPorts {
		return ""
	}
	return fmt.Sprintf("server-port=%d\n", in.Ports.NATT)
}

// dnsLines names the search domains and makes the tunnel's resolver the only
// one of a full tunnel: a negative priority shuts the others out, which closes
// the DNS leak.
func (in *Input) dnsLines() (lines string) {
	dns := in.Zone.DNS
	if domains := slices.Concat(dns.Search, dns.Split); len(domains) > 0 {
		lines = "dns-search=" + keyfileList(domains) + ";\n"
	}
	if len(dns.Servers) > 0 && len(dns.Split) == 0 {
		lines += "dns-priority=-50\n"
	}
	return lines
}
