package swanctl

import (
	"sallyport/posture"
	notation "sallyport/posture/setting"
)

// radius reads the servers that the plugin eap-radius asks: one by itself, or
// several in a section.
func (r *reader) radius(d *posture.Daemon, charon view) {
	v := charon.path("plugins", "eap-radius")
	d.Accounting = r.flag(v, "accounting", false)
	if _, ok := v.get("server"); ok {
		r.server(v, "server", "radius", d.Accounting)
	}
	servers := v.sub("servers")
	for _, name := range servers.names() {
		r.known(servers.sub(name), serverKnown, "a RADIUS server")
		r.server(servers.sub(name), "address", "radius "+name, d.Accounting)
	}
	if s, ok := v.sub("dae").get("secret"); ok {
		r.shared("radius dae", s, nil)
	}
}

func (r *reader) server(v view, key, name string, accounting posture.Value[bool]) {
	one := posture.RADIUS{
		Subject:    posture.Subject{Dialect: posture.Swanctl, Kind: "radius", Name: name, At: v.at()},
		Product:    product,
		Server:     posture.ByDefault(false, v.at(), "strongSwan is a client"),
		Accounting: accounting,
		TLS:        posture.ByDefault(false, v.at(), "strongSwan has no RADIUS over TLS"),
		// RFC 3579, Section 3.2: messages with EAP carry the attribute, and are dropped without.
		MessageAuth: posture.ByDefault(posture.Always, v.at(), "RADIUS with EAP demands Message-Authenticator"),
	}
	var ids []string
	if s, ok := v.get(key); ok {
		one.Address = posture.Written(s.value, s.at, s.value)
		ids = []string{s.value}
	}
	r.in.Host.RADIUS = append(r.in.Host.RADIUS, one)
	if s, ok := v.get("secret"); ok {
		r.shared(name, s, ids)
	}
}

// shared enters a secret of RADIUS, which is never encoded.
func (r *reader) shared(name string, s setting, ids []string) {
	r.holds(s.at)
	out := posture.Secret{
		Subject: posture.Subject{Dialect: posture.Swanctl, Kind: "secret", Name: name, At: s.at},
		Kind:    posture.RADIUSSecret,
		Storage: posture.Clear,
		Value:   []byte(s.value),
		IDs:     ids,
		Traps:   oddities(s),
		Changed: r.loader.times[s.at.File],
	}
	if notation.Placeholder(s.value) {
		out.Storage, out.Value, out.Traps = posture.Elsewhere, nil, nil
	}
	r.in.Host.Secrets = append(r.in.Host.Secrets, out)
}
