package own

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"sallyport/config"
	"sallyport/posture"
)

// pppMethods are the ways of users in an L2TP zone.
var pppMethods = map[string]posture.PPPMethod{config.EAPTLS: posture.EAPTLSPPP, config.PEAP: posture.PEAPPPP}

// l2tp is what an L2TP zone has besides IKE.
func (r *reader) l2tp(z *config.Zone) {
	base := "zones." + z.Name
	listen := z.Listen
	key := base + ".listen"
	if len(listen) == 0 {
		listen, key = r.c.Gateway.Listen, "gateway.listen"
	}
	r.host.L2TP = append(r.host.L2TP, posture.L2TP{
		Subject:    r.subject("l2tp", z.Name, base),
		Product:    product,
		Enabled:    set(r, base+".protocol", true, z.Protocol),
		Server:     always(r, base, true, "Sallyport answers clients"),
		IPsec:      always(r, base, posture.Always, "L2TP is taken from the zone's own SAs alone"),
		Listen:     set(r, key, places(listen), strings.Join(places(listen), ", ")),
		Challenge:  always(r, base, false, "a tunnel is known by its SA"),
		HiddenAVPs: always(r, base, false, "AVPs are inside ESP"),
		Access:     always(r, base, true, "who has no SA of the zone is not heard"),
		SharedNAT:  always(r, base, true, "clients are told apart by their SAs, and not by address or port"),
		AuthNeeded: always(r, base, true, "PPP without a proof of the user is refused"),
		PPP:        z.Name,
	})
	r.ppp(z, base)
	r.groupPSK(z, base)
}

func places(listen []config.Listen) []string {
	var out []string
	for _, l := range listen {
		if l.Interface != "" {
			out = append(out, l.Interface)
		} else {
			out = append(out, l.Addr.String())
		}
	}
	return out
}

// echo is the silence after which PPP asks a peer whether it lives.
const echo = 30 * time.Second

func (r *reader) ppp(z *config.Zone, base string) {
	var methods []posture.PPPMethod
	for _, m := range z.Auth {
		methods = append(methods, pppMethods[m])
	}
	text := strings.Join(z.Auth, ", ")
	mtu := set(r, base+".mtu", z.MTU, fmt.Sprint(z.MTU))
	r.host.PPP = append(r.host.PPP, posture.PPP{
		Subject:     r.subject("ppp", z.Name, base),
		Product:     product,
		Server:      always(r, base, true, "Sallyport answers clients"),
		AuthNeeded:  always(r, base, true, "PPP without a proof of the user is refused"),
		Methods:     set(r, base+".auth", methods, text),
		Required:    set(r, base+".auth", true, text),
		MPPE:        always(r, base, posture.NoMPPE, "ESP encrypts, and MPPE is refused"),
		TLSMin:      always(r, base, "1.2", "older TLS is refused"),
		TLSVerify:   always(r, base, true, "certificates are verified"),
		IPsecForced: always(r, base, true, "L2TP is taken from the zone's own SAs alone"),
		MTU:         mtu,
		MRU:         mtu,
		MSSClamp:    always(r, base, true, "the data plane clamps"),
		DNS:         r.resolvers(z, base),
		IPv6:        set(r, base+".pool.ipv6", z.Pool.IPv6.IsValid(), strings.Join(prefixes(z.Pool.IPv6), "")),
		ProxyARP:    always(r, base, false, "Sallyport has no proxy ARP"),
		ShowsSecret: always(r, base, false, "secrets cannot be printed"),
		Accounting:  r.accounting(z, base),
		Echo:        always(r, base, echo, "Sallyport asks after 30 s"),
	})
}

func (r *reader) accounting(z *config.Zone, base string) posture.Value[bool] {
	realm, ok := r.c.Realm(z.RADIUS)
	return set(r, base+".radius", ok && len(realm.Accounting) > 0, z.RADIUS)
}

// eap is the gateway as an EAP server; with RADIUS, another judges.
func (r *reader) eap(z *config.Zone) {
	var methods, inner []string
	for _, m := range z.Auth {
		switch m {
		case config.EAPTLS, config.EAPTTLS, config.EAPMSCHAPv2, config.PEAP:
			methods = append(methods, strings.TrimPrefix(m, "eap-"))
		}
	}
	if len(methods) == 0 || z.RADIUS != "" {
		return
	}
	base := "zones." + z.Name
	text := strings.Join(z.Auth, ", ")
	if slices.Contains(methods, "peap") || slices.Contains(methods, "ttls") {
		inner = []string{"mschapv2", "tls"}
	}
	unbound := always(r, base, false, "TLS 1.2 without extended master secret needs a waiver")
	if i := slices.IndexFunc(z.Waivers, func(w config.Waiver) bool { return w.Rule == config.RuleNoEMS }); i >= 0 {
		unbound = posture.Written(true, r.at(item(base+".waivers", i)), config.RuleNoEMS)
	}
	r.host.EAP = append(r.host.EAP, posture.EAP{
		UnboundTLS:  unbound,
		Subject:     r.subject("eap", z.Name, base),
		Product:     product,
		Server:      always(r, base, true, "Sallyport answers clients"),
		DefaultType: set(r, base+".auth", methods[0], text),
		Methods:     set(r, base+".auth", methods, text),
		Inner:       set(r, base+".auth", inner, text),
		GTCPAP:      always(r, base, false, "Sallyport has no GTC"),
		TLSMin:      always(r, base, "1.2", "older TLS is refused"),
		Snakeoil:    always(r, base, false, "the gateway's key is its own"),
		CRL:         set(r, base+".trust.strict", z.Trust.Strict || len(z.Trust.CAs) == 0, fmt.Sprint(z.Trust.Strict)),
		LogsAuth:    always(r, base, true, "logins are recorded"),
		LogsSecrets: always(r, base, false, "secrets cannot be printed"),
	})
}

// realm is an organisation's RADIUS servers, with the files of their secrets.
func (r *reader) realm(realm *config.Realm) {
	base := "radius." + realm.Name
	for i, s := range realm.Servers {
		r.server(realm, s, item(base+".servers", i))
	}
	for i, s := range realm.Accounting {
		if !slices.ContainsFunc(realm.Servers, func(o config.RADIUSServer) bool { return o.Secret == s.Secret && hostOf(o) == hostOf(s) }) {
			r.server(realm, s, item(base+".accounting", i))
		}
	}
	for i, f := range realm.Dynamic.From {
		key := item(base+".dynamic.from", i)
		r.secret(posture.RADIUSSecret, realm.Name+" "+f.Address.String()+" (dynamic)", key+".secret", f.Secret, []string{f.Address.String()})
	}
}

func hostOf(s config.RADIUSServer) string {
	h, _, err := net.SplitHostPort(s.Address)
	if err != nil {
		return s.Address
	}
	return h
}

func (r *reader) server(realm *config.Realm, s config.RADIUSServer, key string) {
	name := realm.Name + " " + s.Address
	r.host.RADIUS = append(r.host.RADIUS, posture.RADIUS{
		Subject:     r.subject("radius", name, key),
		Product:     product,
		Server:      always(r, key, false, "Sallyport is a client"),
		Address:     set(r, key+".address", s.Address, s.Address),
		MessageAuth: always(r, key, posture.Always, "Message-Authenticator is required both ways"),
		TLS:         set(r, key+".tls.ca", s.TLS.CA != "", s.TLS.CA),
		Accounting:  set(r, "radius."+realm.Name+".accounting", len(realm.Accounting) > 0, ""),
	})
	if s.Secret != "" {
		r.secret(posture.RADIUSSecret, name, key+".secret", s.Secret, []string{hostOf(s)})
	}
}
