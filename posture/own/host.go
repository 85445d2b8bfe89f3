package own

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"sallyport/config"
	"sallyport/internal/secret"
	"sallyport/posture"
)

// daemon is what holds for all zones.
func (r *reader) daemon() {
	limits := r.c.Gateway.Limits
	d := posture.Daemon{
		Subject:       r.subject("daemon", product, "gateway"),
		Product:       product,
		Cookies:       set(r, "gateway.limits.cookie_after", true, fmt.Sprint(limits.CookieAfter)),
		HalfOpenLimit: set(r, "gateway.limits.half_open", limits.HalfOpen, fmt.Sprint(limits.HalfOpen)),
		BlockLimit:    set(r, "gateway.limits.per_source", limits.PerSource, fmt.Sprint(limits.PerSource)),
		AggressivePSK: always(r, "gateway", false, "Sallyport has no aggressive mode"),
		SendsVID:      always(r, "gateway", false, "the gateway does not say what it is"),
		SHA1Sig:       always(r, "gateway", false, "SHA-1 signatures need a waiver of a zone"),
		PrivateAlg:    always(r, "gateway", false, "transforms of private use are refused"),
		UnencryptedV1: always(r, "gateway", false, "messages in clear are refused after the keys are there"),
		TLSMin:        always(r, "gateway", "1.2", "older TLS is refused"),
		StrongRNG:     always(r, "gateway", true, "keys come of the system's generator"),
		CopyDF:        always(r, "gateway", false, "outer packets may be split on the way"),
		LogsAuth:      always(r, "gateway", true, "logins are recorded, whatever the level"),
		LogsSecrets:   always(r, "gateway", false, "secrets cannot be printed"),
		LogsID:        always(r, "gateway", true, "records name zone and session"),
		Accounting:    r.anyAccounting(),
	}
	for _, z := range r.c.Zones.Of(config.IKEv2) {
		if !d.FragmentSize.Known() || z.Fragment > d.FragmentSize.V {
			d.FragmentSize = set(r, "zones."+z.Name+".fragment", z.Fragment, fmt.Sprint(z.Fragment))
		}
	}
	r.host.Daemons = append(r.host.Daemons, d)
}

func (r *reader) anyAccounting() posture.Value[bool] {
	v := slices.ContainsFunc(r.c.RADIUS, func(realm config.Realm) bool { return len(realm.Accounting) > 0 })
	return set(r, "radius", v, "")
}

// firewall is what the gateway itself holds, whatever the host's packet filter
// says: the data plane hands UDP 1701 on from ESP alone, and the zone's table
// keeps its clients from each other.
func (r *reader) firewall() {
	l2tp := r.c.Zones.Of(config.L2TP)
	if len(l2tp) == 0 {
		return
	}
	key := "zones." + l2tp[0].Name
	r.host.Firewalls = append(r.host.Firewalls, posture.Firewall{
		Subject:        r.subject("firewall", "L2TP zones of "+product, key),
		L2TPNeedsIPsec: always(r, key, true, "the data plane takes UDP 1701 from ESP alone"),
		L2TPOpen:       always(r, key, false, "the data plane takes UDP 1701 from ESP alone"),
		MSSClamp:       always(r, key, true, "the data plane clamps"),
		ClientToClient: always(r, key, false, "the table of an L2TP zone keeps its clients from each other"),
		ForwardDrop:    always(r, key, true, "the table of an L2TP zone lets through what reach has, and nothing else"),
	})
}

func (r *reader) logging() {
	r.host.Logs = append(r.host.Logs, posture.Logging{
		Subject: r.subject("logging", product, "logging"),
		Auth:    always(r, "logging", true, "logins are recorded, whatever the level"),
	})
}

// groupPSK is the one key of all clients of a zone.
func (r *reader) groupPSK(z *config.Zone, base string) {
	if z.GroupPSK == "" {
		return
	}
	r.secret(posture.PSK, z.Name, base+".group_psk", z.GroupPSK, nil)
	s := &r.host.Secrets[len(r.host.Secrets)-1]
	s.Anybody = set(r, base+".group_psk", true, z.GroupPSK)
}

// devicePSKs are the keys of single devices, which are in the gateway's store.
func (r *reader) devicePSKs(z *config.Zone, key string) {
	if z.GroupPSK == "" {
		r.host.Secrets = append(r.host.Secrets, posture.Secret{
			Subject: r.subject("secret", z.Name, key), Kind: posture.PSK, Storage: posture.Elsewhere,
			Anybody: always(r, key, false, "each device has a key of its own, in the gateway's store"),
		})
	}
}

// mostSecret is more than any secret has, in octets.
const mostSecret = 4096

// secret enters the secret of a file: its content, where the file is among those
// that were given.
func (r *reader) secret(kind posture.SecretKind, name, key, file string, ids []string) {
	s := posture.Secret{Subject: r.subject("secret", name, key), Kind: kind, Storage: posture.Elsewhere, IDs: ids, Setting: file}
	s.Anybody = always(r, key, false, "a secret is for one peer")
	if value, shown, changed := r.content(file); value != nil {
		s.Storage, s.Value, s.Changed, s.At = posture.Clear, value, changed, posture.Pos{File: shown, Line: 1}
	}
	r.host.Secrets = append(r.host.Secrets, s)
}

// content is the first line of a file below the root, as the gateway takes it.
func (r *reader) content(file string) (value secret.Bytes, shown string, changed time.Time) {
	if r.open != nil {
		b, changed := r.open(file)
		return firstLine(b), file, changed
	}
	if r.in == nil {
		return nil, "", time.Time{}
	}
	found, ok := r.in.Glob(r.dir, escape(file))
	if !ok || len(found) != 1 {
		return nil, "", time.Time{} // elsewhere
	}
	if !r.in.Exists(found[0]) {
		return nil, "", time.Time{}
	}
	text := r.in.Read(found[0], true)
	if text == nil || len(text.Data) > mostSecret {
		return nil, "", time.Time{}
	}
	if i := slices.IndexFunc(r.host.Files, func(f posture.File) bool { return f.Path == text.Show }); i >= 0 {
		changed = r.host.Files[i].ModTime
	}
	return firstLine(text.Data), text.Show, changed
}

// firstLine is what a file of a secret holds; nil where it holds more than one
// could be.
func firstLine(b []byte) secret.Bytes {
	if b == nil || len(b) > mostSecret {
		return nil
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return secret.Bytes(bytes.TrimSpace(line))
}

// escape keeps a path from being a pattern.
func escape(p string) string {
	var b []byte
	for _, c := range []byte(p) {
		if c == '*' || c == '?' || c == '[' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return string(b)
}
