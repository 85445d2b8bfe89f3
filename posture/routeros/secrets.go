package routeros

import (
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// identitySecrets are the key of an identity, and its password where it is a client.
func (r *reader) identitySecrets(c *posture.Connection, id *entry, method string) {
	if strings.HasPrefix(method, "pre-shared-key") || method == "" {
		kind := posture.PSK
		if method == "pre-shared-key-xauth" {
			kind = posture.GroupKey
		}
		var ids []string
		if !c.AnyPeer.V {
			ids = c.Address.V
		}
		anybody := c.AnyPeer
		if who := c.Remote[0].ID; posture.Is(c.V2, true) && who.Origin == posture.Explicit && who.V != "" && who.V != "%any" {
			ids, anybody = []string{who.V}, setting.As(who, false) // IKEv1 needs the key before it knows who comes
		}
		r.secret(id, "secret", kind, c.Name, ids, anybody)
	}
	if _, ok := id.props["password"]; ok {
		before := len(r.host.Secrets)
		r.secret(id, "password", posture.UserPassword, c.Name, []string{id.text("username")}, posture.Value[bool]{})
		r.stand(before, "ip ipsec identity")
	}
	if _, ok := id.props["xauth-password"]; ok { // before 6.44
		before := len(r.host.Secrets)
		r.secret(id, "xauth-password", posture.UserPassword, c.Name, []string{id.text("xauth-login")}, posture.Value[bool]{})
		r.stand(before, "ip ipsec peer")
	}
}

// stand says of the secrets from a number on in which menu they stand.
func (r *reader) stand(from int, menu string) {
	for i := from; i < len(r.host.Secrets); i++ {
		r.host.Secrets[i].Setting = menu
	}
}

// secret enters a secret; one that the export leaves out is noted once.
func (r *reader) secret(e *entry, key string, kind posture.SecretKind, name string, ids []string, anybody posture.Value[bool]) {
	p, ok := e.props[key]
	s := posture.Secret{Subject: r.subject("secret", name, e.at), Kind: kind, Storage: posture.Elsewhere, IDs: ids, Anybody: anybody}
	if !ok || p.value == "" {
		if !ok && !r.hidden {
			r.hidden = true
			r.in.Note(posture.Opaque, e.at, "secrets are left out; an export with show-sensitive has them")
		}
		if !ok {
			r.host.Secrets = append(r.host.Secrets, s)
		}
		return
	}
	s.At = p.at
	if p.variable {
		r.in.Note(posture.Opaque, p.at, "a script's variable stands for the secret")
		r.host.Secrets = append(r.host.Secrets, s)
		return
	}
	s.Storage, s.Backup = posture.Clear, true
	s.Value = []byte(p.value)
	if kind == posture.PSK || kind == posture.GroupKey {
		s.Value, s.Traps = ipsecSecret(p.value)
	}
	r.host.Secrets = append(r.host.Secrets, s)
	r.in.HoldsSecrets(r.text)
}
