package profile

import (
	"fmt"
	"slices"
	"strings"
)

// leastNetworkManagerPSK is the length below which NetworkManager-strongswan
// refuses a key.
const leastNetworkManagerPSK = 20

// networkManagerProfile writes a keyfile for NetworkManager-strongswan.
func networkManagerProfile(in *Input) (Profile, error) {
	if err := in.needTypedPSK("networkmanager", leastNetworkManagerPSK); err != nil {
		return Profile{}, err
	}
	name := in.connection()
	conf := fmt.Sprintf(`# %[1]s
[connection]
id=%[2]s
type=vpn
autoconnect=false

[vpn]
service-type=org.freedesktop.NetworkManager.strongswan
address=%[3]s
%[4]s%[5]slocal-identity=%[6]s
remote-identity=%[7]s
virtual=yes
encap=%[8]s
ipcomp=no
proposal=yes
ike=%[9]s
esp=%[10]s
remote-ts=%[11]s

%[12]s[ipv4]
method=auto
%[13]s
[ipv6]
method=auto
%[13]s`, in.comment(), keyfile(in.title()), keyfile(in.Gateway), in.networkManagerPort(), in.networkManagerAuth(),
		keyfile(in.Device.Identity), keyfile(in.Identity), yesNo(in.Zone.Encap == "forced"),
		strings.Join(in.Zone.Policy.IKE, ";"), strings.Join(in.Zone.Policy.ESP, ";"), strings.Join(in.routes(), ";"),
		in.networkManagerSecret(), in.dnsLines())
	p := Profile{Files: in.files(File{Name: name + ".nmconnection", Content: conf, Secret: true, Where: "/etc/NetworkManager/system-connections/"})}
	p.Steps = []string{fmt.Sprintf("install -m 600 %s.nmconnection /etc/NetworkManager/system-connections/", name)}
	switch {
	case in.leaf != nil:
		p.Steps = append(p.Steps, fmt.Sprintf("keep %s, %s and %s (0600) in %s", in.certName(), caName, in.keyName(), in.Dir))
	case in.ca != nil:
		p.Steps = append(p.Steps, fmt.Sprintf("keep %s in %s", caName, in.Dir))
	}
	up := "nmcli connection up"
	if ByPassword(in.auth) {
		up = "nmcli --ask connection up" // for the password
		p.Notes = []string{"the plugin takes the EAP method that the gateway offers; which it can, its build decides"}
	}
	p.Steps = append(p.Steps, "nmcli connection reload", fmt.Sprintf("%s %q", up, in.title()))
	return p, nil
}

// networkManagerAuth are the lines of the chosen way. The plugin has one word
// for all EAP methods with a password, which it keeps in the user's keyring.
func (in *Input) networkManagerAuth() string {
	at := func(file string) string { return keyfile(strings.TrimSuffix(in.Dir, "/") + "/" + file) }
	ca := fmt.Sprintf("certificate=%s\n", at(caName))
	switch {
	case ByCertificate(in.auth):
		method := map[string]string{authCertificate: "key", authEAPTLS: "eap-tls"}[in.auth]
		return ca + fmt.Sprintf("method=%s\nusercert=%s\nuserkey=%s\n", method, at(in.certName()), at(in.keyName()))
	case in.auth == authPSK:
		return "method=psk\npassword-flags=0\n"
	}
	return ca + fmt.Sprintf("method=eap\nuser=%s\npassword-flags=1\n", keyfile(in.Device.User))
}

func (in *Input) networkManagerSecret() string {
	if in.auth != authPSK {
		return ""
	}
	return fmt.Sprintf("[vpn-secrets]\npassword=%s\n\n", keyfile(string(in.PSK)))
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
