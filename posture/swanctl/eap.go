package swanctl

import (
	"slices"
	"strings"

	"sallyport/posture"
	notation "sallyport/posture/setting"
)

// dynamic is the method that leaves the choice to the client.
const dynamic = "dynamic"

// inner are the methods of tunnels, with what is done inside by default.
var inner = map[string]string{"ttls": "md5", "peap": "mschapv2"}

// overTLS are methods that have a TLS version.
var overTLS = []string{"tls", "ttls", "peap"}

// eap enters the methods of EAP that the daemon itself asks of peers, once each.
// With eap-radius, a server elsewhere decides.
func (r *reader) eap() {
	seen := map[string]bool{"radius": true}
	for _, c := range r.in.Host.Connections {
		if c.Dialect != posture.Swanctl || c.Disabled {
			continue
		}
		for _, a := range c.Remote {
			for _, method := range a.EAP.V {
				if !seen[method] {
					seen[method] = true
					r.in.Host.EAP = append(r.in.Host.EAP, r.eapServer(method, a.EAP))
				}
			}
		}
	}
}

func (r *reader) eapServer(method string, from posture.Value[[]string]) posture.EAP {
	e := posture.EAP{
		Subject:     posture.Subject{Dialect: posture.Swanctl, Kind: "eap", Name: "eap-" + method, At: from.At},
		Product:     product,
		Server:      follows(true, from),
		DefaultType: follows(method, from),
		Methods:     from,
	}
	if method == dynamic {
		e.DefaultType, e.Methods = posture.Value[string]{}, r.daemon.EAPFirst
		if len(e.Methods.V) > 0 {
			e.DefaultType = follows(e.Methods.V[0], e.Methods)
		}
	}
	if usual, ok := inner[method]; ok {
		if e.Inner = r.daemon.EAPInner[method]; !e.Inner.Known() {
			e.Inner = normal(r, []string{usual}, from.At)
		}
	}
	if slices.ContainsFunc(e.Methods.V, func(m string) bool { return slices.Contains(overTLS, m) }) {
		e.TLSMin = r.daemon.TLSMin
		if e.TLSMin.Origin != posture.Explicit {
			e.TLSMin.At = from.At
		}
	}
	return e
}

// methods reads what the plugins of EAP are told. eap-dynamic begins with those that
// it prefers, and then takes whichever the client asks for of those that are loaded
// (eap_dynamic.c).
func (r *reader) methods(d *posture.Daemon, plugins view) {
	if s, ok := plugins.sub("eap-" + dynamic).get("preferred"); ok && !notation.Placeholder(s.value) {
		d.EAPFirst = posture.Written(split(strings.ToLower(s.value)), s.at, s.value)
	}
	d.EAPInner = map[string]posture.Value[[]string]{}
	for method := range inner {
		if s, ok := plugins.sub("eap-" + method).get("phase2_method"); ok && !notation.Placeholder(s.value) {
			d.EAPInner[method] = posture.Written([]string{strings.ToLower(s.value)}, s.at, s.value)
		}
	}
}
