package pfsense

import (
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// proof is how both sides prove themselves under one authentication_method.
type proof struct {
	local, remote posture.Method
	eap           string // of the client, alone or after remote
	xauth         bool   // a round of XAUTH after remote
}

// proofs are the methods of pfSense and of OPNsense, with the names that racoon
// had for them.
var proofs = map[string]proof{
	"pre_shared_key":     {local: posture.MethodPSK, remote: posture.MethodPSK},
	"cert":               {local: posture.MethodPubkey, remote: posture.MethodPubkey},
	"rsasig":             {local: posture.MethodPubkey, remote: posture.MethodPubkey},
	"pkcs11":             {local: posture.MethodPubkey, remote: posture.MethodPubkey},
	"public_key":         {local: posture.MethodPubkey, remote: posture.MethodPubkey},
	"xauth_psk_server":   {local: posture.MethodPSK, remote: posture.MethodPSK, xauth: true},
	"xauth_cert_server":  {local: posture.MethodPubkey, remote: posture.MethodPubkey, xauth: true},
	"xauth_rsa_server":   {local: posture.MethodPubkey, remote: posture.MethodPubkey, xauth: true},
	"hybrid_cert_server": {local: posture.MethodPubkey, remote: posture.MethodHybrid, xauth: true},
	"hybrid_rsa_server":  {local: posture.MethodPubkey, remote: posture.MethodHybrid, xauth: true},
	"eap-tls":            {local: posture.MethodPubkey, eap: "tls"},
	"eap-mschapv2":       {local: posture.MethodPubkey, eap: "mschapv2"},
	"eap-radius":         {local: posture.MethodPubkey, eap: "radius"},
	"eap-ttls":           {local: posture.MethodPubkey, eap: "ttls"},
	"psk_eap-tls":        {local: posture.MethodPSK, eap: "tls"},
	"rsa_eap-mschapv2":   {local: posture.MethodPubkey, remote: posture.MethodPubkey, eap: "mschapv2"},
}

// auth are the rounds of both sides.
func (p *phase1) auth() (local, remote []posture.Auth) {
	e := p.e.get("authentication_method")
	if e == nil {
		return nil, nil
	}
	how, ok := proofs[e.text]
	if !ok {
		p.in.Note(posture.Unparsed, e.at, "authentication_method %s is not known", setting.Shown(e.text))
		return nil, nil
	}
	method := func(m posture.Method) posture.Value[posture.Method] { return posture.Written(m, e.at, e.text) }
	mine := posture.Auth{Method: method(how.local), ID: p.id("myid"), CertFile: p.certificate("certref")}
	if how.eap != "" && !p.mobile && how.remote == "" {
		// A site, not a client: both prove themselves by EAP.
		mine.Method, mine.EAP = method(posture.MethodEAP), posture.Written([]string{how.eap}, e.at, e.text)
	}
	id, ca := p.id("peerid"), p.authority()
	if how.remote != "" && how.remote != posture.MethodHybrid {
		remote = append(remote, posture.Auth{Method: method(how.remote), ID: id, CA: ca})
	}
	if how.eap != "" {
		remote = append(remote, posture.Auth{Method: method(posture.MethodEAP), EAP: posture.Written([]string{how.eap}, e.at, e.text), ID: id, CA: ca})
	}
	if how.xauth {
		second := posture.MethodXAUTH
		if how.remote == posture.MethodHybrid {
			second = posture.MethodHybrid
		}
		remote = append(remote, posture.Auth{Method: method(second), XAUTH: true, ID: id})
	}
	if mine.ID.Known() {
		p.ours[mine.ID.V] = true
	}
	return []posture.Auth{mine}, remote
}

// id is the identity of one side: "myid" or "peerid" with its _type and _data.
// An address of our own is not in the configuration.
func (p *phase1) id(side string) posture.Value[string] {
	kind, data := p.e.value(side+"_type"), p.e.get(side+"_data")
	at := p.e.where(side + "_type")
	switch {
	case kind == "any":
		return posture.Written("%any", at, kind)
	case kind == "peeraddress":
		return posture.Written(p.e.value("remote-gateway"), at, kind)
	case data != nil && data.text != "":
		return posture.Written(data.text, data.at, data.text)
	}
	return posture.Value[string]{}
}

// certificate is the description of the certificate that an element refers to.
func (p *phase1) certificate(name string) string { return p.described("cert", p.e.value(name)) }

// authority is the CA that the peer's certificate must come from.
func (p *phase1) authority() posture.Value[string] {
	e := p.e.get("caref")
	if e == nil || e.text == "" {
		return byDefault(p.reader, "", p.e.at, "no caref: any authority on the host")
	}
	return posture.Written(p.described("ca", e.text), e.at, e.text)
}

// described is the name of a certificate ("cert") or an authority ("ca") by its
// reference.
func (r *reader) described(kind, ref string) string {
	if ref == "" {
		return ""
	}
	if r.names == nil {
		r.names = map[[2]string]string{}
		for _, kind := range []string{"cert", "ca"} {
			for _, e := range r.root.all(kind) {
				r.names[[2]string{kind, e.value("refid")}] = source.Quote(e.value("descr"))
			}
		}
	}
	if name := r.names[[2]string{kind, ref}]; name != "" {
		return name
	}
	return source.Quote(ref)
}

// secret is the pre-shared key in the phase 1. For mobile clients pfSense gives
// it to strongSwan for "%any", too.
func (p *phase1) secret(c posture.Connection) {
	method := p.e.value("authentication_method")
	if !strings.Contains(method, "psk") && method != "pre_shared_key" {
		return // kept from before the method changed, and not given to strongSwan
	}
	kind := posture.PSK
	if strings.HasPrefix(method, "xauth") {
		kind = posture.GroupKey
	}
	var ids []string
	anybody := p.mobile || c.AnyPeer.V
	if id := p.id("peerid"); id.Known() && !anybody {
		ids = []string{id.V}
	}
	anybody = anybody || slices.Contains(ids, "%any")
	key := p.e.get("pre-shared-key")
	p.reader.secret(kind, c.Name, key, posture.Secret{IDs: ids, Unused: c.Disabled, Anybody: posture.Written(anybody, p.e.where("pre-shared-key"), "")})
}

// keys are those of mobile clients, which have places of their own.
func (r *reader) keys() {
	for _, k := range r.root.get("ipsec").all("mobilekey") {
		r.check(k, "mobilekey")
		r.key(k.get("pre-shared-key"), k.value("type"), k.value("ident"), "")
	}
	r.check(r.root.get("OPNsense", "IPsec"), "IPsec")
	for _, k := range r.root.get("OPNsense", "IPsec", "preSharedKeys").all("preSharedKey") {
		r.check(k, "preSharedKey")
		r.key(k.get("Key"), k.value("keyType"), k.value("ident"), k.value("remote_ident"))
	}
	for _, u := range r.root.get("system").all("user") {
		r.secret(posture.PSK, source.Quote(u.value("name")), u.get("ipsecpsk"), posture.Secret{IDs: []string{u.value("name")}, Anybody: posture.Written(false, u.at, "")})
	}
}

// key enters a secret of a user (EAP) or a peer (PSK). With our identity alone,
// any peer may use it.
func (r *reader) key(e *element, kind, ident, remote string) {
	if e == nil {
		return
	}
	s := posture.Secret{}
	for _, id := range []string{ident, remote} {
		switch {
		case id == "":
		case slices.Contains([]string{"allusers", "any", "%any", "*"}, id):
			s.IDs = append(s.IDs, "%any")
		default:
			s.IDs = append(s.IDs, id)
		}
	}
	anybody := len(s.IDs) == 0 || s.IDs[len(s.IDs)-1] == "%any" || remote == "" && r.ours[ident]
	s.Anybody = posture.Written(anybody, e.at, "")
	k := posture.PSK
	if strings.EqualFold(kind, "EAP") {
		k = posture.UserPassword
	}
	name := ident
	if remote != "" && !strings.HasSuffix(remote, "any") {
		name = remote // ours is the same in many
	}
	r.secret(k, source.Quote(name), e, s)
}
