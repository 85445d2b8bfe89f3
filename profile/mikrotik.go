package profile

import (
	_ "embed"
	"fmt"
	"strings"

	"sallyport/protocol/suite"
)

// mikrotikScript works on the values that are set above it; it holds none
// itself.
//
//go:embed mikrotik.rsc
var mikrotikScript string

// mikrotikProfile writes a script for RouterOS 7 that can be imported again,
// and undone.
func mikrotikProfile(in *Input) (Profile, error) {
	c, err := mikrotik.choose(in.Zone.Policy)
	if err != nil {
		return Profile{}, err
	}
	if err := in.needKey("mikrotik", "RSA", "ECDSA256", "ECDSA384", "ECDSA521"); err != nil {
		return Profile{}, err
	}
	if err := in.needPorts("mikrotik"); err != nil {
		return Profile{}, err
	}
	if err := in.needTypedPSK("mikrotik", 1); err != nil {
		return Profile{}, err
	}
	if isAddress(in.Identity) {
		return Profile{}, refused("mikrotik", "give the gateway or the zone a name: gateway.name, or zones."+in.Zone.Name+".identity.id",
			"RouterOS cannot be told an address as the gateway's identity, and would take anybody's")
	}
	pfs := c.espWord(suite.KE)
	if pfs == "" {
		pfs = "none"
	}
	name := in.connection()
	values := assignments(":local %s %s\n", [][2]string{
		{"spComment", routerOS(in.comment())},
		{"spName", routerOS(name)},
		{"spGateway", routerOS(in.Gateway)},
		{"spRemoteID", routerOS(routerOSID(in.Identity))},
		{"spLocalID", routerOS(routerOSID(in.Device.Identity))},
		{"spIKEEnc", routerOS(c.ikeWord(suite.Encr))},
		{"spIKEHash", routerOS(c.hash())},
		{"spIKEGroup", routerOS(c.ikeWord(suite.KE))},
		{"spIKELife", routerOS(fmt.Sprintf("%ds", clientShare(in.Zone.Rekey.IKE.Seconds())))},
		{"spESPEnc", routerOS(c.espWord(suite.Encr))},
		{"spESPAuth", routerOS(c.espWord(suite.Integ))},
		{"spESPGroup", routerOS(pfs)},
		{"spESPLife", routerOS(fmt.Sprintf("%ds", clientShare(in.Zone.Rekey.Child.Seconds())))},
		{"spResolvers", routerOS(yesNo(len(in.Zone.Resolvers()) > 0))},
		{"spAuth", routerOS(routerOSAuths[in.auth].method)},
		{"spEAP", routerOS(routerOSAuths[in.auth].eap)},
		{"spUser", routerOS(in.routerOSUser())},
		{"spCert", routerOS(in.certName())},
		{"spKey", routerOS(in.keyName())},
		{"spCA", routerOS(caName)},
	})
	// An imported script is one scope: the removal is a file of its own that
	// ends before anything is added.
	add := values + ":local spSecret " + routerOS(in.routerOSSecret()) + "\n:local spRemove \"no\"\n" + mikrotikScript
	remove := values + ":local spSecret \"\"\n:local spRemove \"yes\"\n" + mikrotikScript
	p := Profile{Files: in.files(
		File{Name: name + ".rsc", Content: add, Secret: true},
		File{Name: name + "-remove.rsc", Content: remove, Secret: true},
	)}
	p.Steps = in.routerOSSteps(name)
	p.Notes = []string{fmt.Sprintf("traffic goes into the tunnel for the addresses in the address list %q: add the networks behind the router to it", name)}
	if !in.full(ipv4) {
		p.Notes = append(p.Notes, "the gateway lets this client reach only "+strings.Join(in.routes(), ", "))
	}
	if in.leaf != nil && in.keyKind() != "RSA" {
		p.Notes = append(p.Notes, "RouterOS documents RSA certificates for this: if it refuses the device's "+in.keyKind()+" key, enrol it anew with device add --key rsa-3072")
	}
	if in.auth == authEAPTTLS {
		p.Notes = append(p.Notes, "that RouterOS can do EAP-TTLS is its maker's word, and what it speaks inside is not said: nobody here has seen it connect")
	}
	return p, nil
}

// routerOSAuths are the ways in RouterOS' words: auth-method and eap-methods.
var routerOSAuths = map[string]struct{ method, eap string }{
	authCertificate: {"digital-signature", ""}, authPSK: {"pre-shared-key", ""},
	authEAPTLS: {"eap", "eap-tls"}, authPEAP: {"eap", "eap-peap"}, authEAPTTLS: {"eap", "eap-ttls"}, authMSCHAPv2: {"eap", "eap-mschapv2"},
}

func (in *Input) routerOSUser() string {
	if ByPassword(in.auth) {
		return in.Device.User
	}
	return ""
}

func (in *Input) routerOSSecret() string {
	if in.auth == authPSK {
		return string(in.PSK)
	}
	return ""
}

func (in *Input) routerOSSteps(name string) []string {
	files := []string{name + ".rsc"}
	for _, f := range in.files() {
		files = append(files, f.Name)
	}
	if in.leaf != nil {
		files = append(files, in.keyName())
	}
	steps := []string{
		"copy to the router's files: " + strings.Join(files, ", "),
		fmt.Sprintf("/import file-name=%s.rsc", name),
	}
	if in.auth == authPSK {
		steps = append(steps, fmt.Sprintf("/file remove %s.rsc", name)) // it holds the key
	}
	if ByPassword(in.auth) {
		steps = append(steps, fmt.Sprintf("/ip ipsec identity set [find where peer=%s] password=...", name))
	}
	return append(steps, fmt.Sprintf("to undo it: /import file-name=%s-remove.rsc", name))
}

// routerOSID writes an identity with its type before it.
func routerOSID(id string) string {
	switch {
	case strings.Contains(id, "@"):
		return "user-fqdn:" + id
	case isAddress(id):
		return "auto" // the router's own address; for the gateway it would mean anybody
	}
	return "fqdn:" + id
}

// assignments are the values that a constant script works on.
func assignments(format string, values [][2]string) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, format, v[0], v[1])
	}
	return b.String()
}
