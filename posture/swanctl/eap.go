package swanctl

import (
	"slices"

	"sallyport/posture"
)

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
	if usual, ok := inner[method]; ok {
		e.Inner = read(r, r.charon.path("plugins", "eap-"+method), "phase2_method", []string{usual}, func(s string) ([]string, bool) { return []string{s}, true })
		if e.Inner.Origin != posture.Explicit {
			e.Inner.At = from.At
		}
	}
	if slices.Contains(overTLS, method) {
		e.TLSMin = r.daemon.TLSMin
	}
	return e
}
