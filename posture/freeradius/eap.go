package freeradius

import (
	"path"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// eaps enters every eap section.
func (r *reader) eaps() {
	for _, s := range r.eap {
		r.in.Host.EAP = append(r.in.Host.EAP, r.server(s))
	}
}

// server is an eap section as rules see it.
func (r *reader) server(s *section) posture.EAP {
	r.known(s, eapKeys)
	e := posture.EAP{
		Subject: posture.Subject{Dialect: posture.FreeRADIUS, Kind: "eap", Name: strings.TrimSpace("eap " + s.second), At: s.at}, Product: Product,
		Server:      posture.Written(true, s.at, "eap"),
		DefaultType: lower(s, "default_eap_type", "md5"),
		Methods:     r.methods(s),
		Inner:       inner(s),
		GTCPAP:      gtc(s),
	}
	t := r.common(s)
	if t != nil {
		r.certificate(&e, t, s)
	}
	e.MPPERequired = r.mppe(s.at)
	e.LogsAuth = r.logged(s.at, "auth", "auth_accept", "auth_reject")
	e.LogsSecrets = r.logged(s.at, "auth_badpass", "auth_goodpass")
	return e
}

func lower(s *section, key, d string) posture.Value[string] {
	if p, ok := s.get(key); ok {
		return posture.Written(strings.ToLower(p.value), p.at, p.text)
	}
	return posture.ByDefault(d, s.at, "default of FreeRADIUS")
}

// methods are the sections of the methods that are there, in their order.
func (r *reader) methods(s *section) posture.Value[[]string] {
	var list []string
	for _, m := range s.subs {
		switch {
		case eapMethods[m.name]:
			if !slices.Contains(list, m.name) {
				list = append(list, m.name)
			}
			if m.name == "tls" && len(m.pairs) > 1 { // as in version 2: all settings are in it
				r.tls(m, "eap "+s.second)
			}
		case eapSections[m.name]:
			r.tls(m, strings.TrimSpace("eap "+s.second))
		case m.name != unread:
			r.unknown(m)
		}
	}
	return posture.Written(list, s.at, strings.Join(list, ", "))
}

// inner are the methods inside TTLS and PEAP: the default types of their
// sections, since any method of the server can be chosen there.
func inner(s *section) posture.Value[[]string] {
	var v posture.Value[[]string]
	for _, m := range []struct{ name, d string }{{"ttls", "md5"}, {"peap", "mschapv2"}} {
		t := s.sub(m.name)
		if t == nil {
			continue
		}
		typ := lower(t, "default_eap_type", m.d)
		if !v.Known() || v.Origin != posture.Explicit {
			v.Origin, v.At, v.Text, v.Why = typ.Origin, typ.At, typ.Text, typ.Why
		}
		if !slices.Contains(v.V, typ.V) {
			v.V = append(v.V, typ.V)
		}
	}
	if !v.Known() {
		return posture.ByDefault([]string(nil), s.at, "neither ttls nor peap")
	}
	return v
}

// gtc is whether EAP-GTC hands the password to PAP, which is its default.
func gtc(s *section) posture.Value[bool] {
	g := s.sub("gtc")
	if g == nil {
		return posture.ByDefault(false, s.at, "no gtc")
	}
	if p, ok := g.get("auth_type"); ok {
		return posture.Written(strings.EqualFold(p.value, "pap"), p.at, p.text)
	}
	return posture.ByDefault(true, g.at, "default of FreeRADIUS: auth_type = PAP")
}

// common is the section with the TLS settings that the methods name.
func (r *reader) common(s *section) *section {
	for _, name := range []string{"tls", "peap", "ttls", "fast", "teap"} {
		m := s.sub(name)
		if m == nil {
			continue
		}
		if ref, ok := m.get("tls"); ok {
			for _, t := range s.subs {
				if t.name == "tls-config" && t.second == ref.value {
					return t
				}
			}
			r.in.Note(posture.Malformed, ref.at, "no tls-config %s", setting.Shown(ref.value))
		}
	}
	if t := s.sub("tls-config"); t != nil {
		return t
	}
	if t := s.sub("tls"); t != nil && len(t.pairs) > 0 {
		return t
	}
	return nil
}

// certificate fills in what the TLS settings say.
func (r *reader) certificate(e *posture.EAP, t, s *section) {
	e.TLSMin = r.tlsMin(t)
	e.CRL = enabledBy(t, "check_crl")
	if o := t.sub("ocsp"); o != nil {
		e.OCSP = enabledBy(o, "enable")
	} else {
		e.OCSP = posture.ByDefault(false, t.at, "default of FreeRADIUS")
	}
	if p, ok := t.get("certificate_file"); ok {
		e.Certificate = posture.Written(p.value, p.at, p.text)
		e.Snakeoil = posture.Written(snakeoil(p.value), p.at, p.text)
	}
	if p, ok := t.get("private_key_file"); ok && snakeoil(p.value) && !e.Snakeoil.V {
		e.Snakeoil = posture.Written(true, p.at, p.text)
	}
	e.KeyPassword = posture.ByDefault(false, t.at, "no private_key_password is written")
	if p, ok := t.get("private_key_password"); ok {
		// The distribution's key has this passphrase, and so has every copy of its configuration.
		e.KeyPassword = posture.Written(p.value == "whatever", p.at, "private_key_password")
	}
}

// snakeoil is for the certificates that packages make so that the server starts.
func snakeoil(file string) bool { return strings.Contains(path.Base(file), "snakeoil") }

func enabledBy(s *section, key string) posture.Value[bool] {
	if p, ok := s.get(key); ok {
		return posture.Written(yesNo(p.value) == "yes", p.at, p.text)
	}
	return posture.ByDefault(false, s.at, "default of FreeRADIUS")
}

// tlsMin is the lowest version of TLS. The older disable_tlsv1 and its sisters
// count where nothing else is written.
func (r *reader) tlsMin(t *section) posture.Value[string] {
	if p, ok := t.get("tls_min_version"); ok {
		return posture.Written(p.value, p.at, p.text)
	}
	v := posture.Value[string]{}
	for _, d := range []struct{ key, next string }{{"disable_tlsv1", "1.1"}, {"disable_tlsv1_1", "1.2"}} {
		p, ok := t.get(d.key)
		if !ok || yesNo(p.value) != "yes" {
			break
		}
		v = posture.Written(d.next, p.at, p.text)
	}
	switch {
	case v.Known():
		return v
	case !r.version.Known():
		return posture.Guess("1.0", t.at, "version unknown: default of FreeRADIUS 3.0")
	case atLeast(numbers(r.version.V), 3, 2):
		return posture.ByDefault("1.2", t.at, "default of FreeRADIUS since 3.2")
	}
	return posture.ByDefault("1.0", t.at, "default of FreeRADIUS before 3.2")
}

// mppe is whether MS-CHAP insists on MPPE of 128 bits for the session.
func (r *reader) mppe(at posture.Pos) posture.Value[bool] {
	if len(r.mschap) > 0 {
		m := r.mschap[0]
		if p, ok := m.get("use_mppe"); ok && yesNo(p.value) == "no" {
			return posture.Written(false, p.at, p.text)
		}
		encryption, strong := enabledBy(m, "require_encryption"), enabledBy(m, "require_strong")
		if !encryption.V {
			return encryption
		}
		return strong
	}
	if r.whole {
		return posture.ByDefault(false, at, "no mschap module is enabled")
	}
	return posture.Value[bool]{}
}

// logged is whether one of some settings of the log section is on.
func (r *reader) logged(at posture.Pos, keys ...string) posture.Value[bool] {
	if r.log == nil {
		if r.whole {
			return posture.ByDefault(false, at, "default of FreeRADIUS")
		}
		return posture.Value[bool]{}
	}
	v := posture.ByDefault(false, r.log.at, "default of FreeRADIUS")
	for _, key := range keys {
		if p, ok := r.log.get(key); ok && !v.V {
			v = posture.Written(yesNo(p.value) == "yes", p.at, p.text)
		}
	}
	return v
}
