package audit

import (
	"slices"
	"strings"

	"sallyport/posture"
)

// weakPassword is the least, in bits of guessing, for a user's password and for
// a RADIUS secret: ten random letters and digits. A hash of MD5 is tried some
// 2^36 times a second by one machine, which is half a year for 60 bits.
const weakPassword = 59

// ppps are the sets of options that the rule applies to.
func (j *judge) ppps(yield func(*posture.PPP) bool) {
	for i := range j.host.PPP {
		if p := &j.host.PPP[i]; j.rule.Applies(p.Dialect) && !yield(p) {
			return
		}
	}
}

// methodsOf are those that are taken from the peer; of a client that has no list
// of its own, those that it would prove itself by.
func methodsOf(p *posture.PPP) posture.Value[[]posture.PPPMethod] {
	if p.Methods.Known() || !posture.Is(p.Server, false) || !p.Refused.Known() {
		return p.Methods
	}
	v := p.Refused
	v.V = slices.DeleteFunc([]posture.PPPMethod{posture.PAP, posture.CHAPMD5, posture.MSCHAPv1, posture.MSCHAPv2, posture.EAPAny},
		func(m posture.PPPMethod) bool { return slices.Contains(p.Refused.V, m) })
	v.Text = ""
	return v
}

// method judges whether one method is taken.
func (j *judge) method(m posture.PPPMethod, found func(*posture.PPP, Evidence)) {
	for p := range j.ppps {
		switch v := methodsOf(p); {
		case !v.Known():
			j.unknown(p.Subject, "the files do not tell which methods are taken")
		case slices.Contains(v.V, m):
			found(p, methodEvidence(v))
		default:
			j.ok(p.Subject, methodEvidence(v))
		}
	}
}

func methodEvidence(v posture.Value[[]posture.PPPMethod]) Evidence {
	e := evidence(v)
	if v.Text == "" {
		e.Value = methodWords(v.V)
	}
	return e
}

func methodWords(methods []posture.PPPMethod) string {
	if len(methods) == 0 {
		return "none"
	}
	var words []string
	for _, m := range methods {
		words = append(words, string(m))
	}
	return strings.Join(words, ", ")
}

// pppAsks is PPP-001. Of the calls of an L2TP listener it is said once: at the
// listener where its own lines decide, else at PPP's.
func pppAsks(j *judge) {
	said := map[string]bool{}
	each(j, j.host.L2TP, l2tpSubject, func(l *posture.L2TP) {
		p := slices.IndexFunc(j.host.PPP, func(p posture.PPP) bool {
			return l.PPP != "" && p.Name == l.PPP && p.Dialect != l.Dialect && p.AuthNeeded.Known() && j.rule.Applies(p.Dialect)
		})
		switch {
		case !l.AuthNeeded.Known() || posture.Is(l.Server, false):
		case p < 0 || l.AuthNeeded.V:
			j.flag(l.Subject, l.AuthNeeded, false, "callers need not prove who they are")
		case l.AuthNeeded.At.File == l.At.File:
			said[l.PPP] = true
			j.flag(l.Subject, l.AuthNeeded, false, "callers need not prove who they are")
		}
	})
	for p := range j.ppps {
		if said[p.Name] {
			continue
		}
		if posture.Is(p.Server, false) {
			j.ok(p.Subject, evidence(p.Server)) // a client's server proves itself by IPsec
			continue
		}
		j.flag(p.Subject, p.AuthNeeded, false, "peers need not prove who they are")
	}
}

func pppPAP(j *judge) {
	j.method(posture.PAP, func(p *posture.PPP, e Evidence) {
		if forced := j.ipsecForced(p); posture.Is(forced, false) {
			j.foundAt(j.inCase(Critical), p.Subject, e, "passwords are taken by PAP, and IPsec is not forced: they may travel in clear")
			return
		}
		j.found(p.Subject, e, "passwords are taken by PAP")
	})
}

func pppCHAP(j *judge) {
	j.method(posture.CHAPMD5, func(p *posture.PPP, e Evidence) { j.found(p.Subject, e, "CHAP with MD5 is taken") })
}

func pppMSCHAPv1(j *judge) {
	j.method(posture.MSCHAPv1, func(p *posture.PPP, e Evidence) { j.found(p.Subject, e, "MS-CHAP version 1 is taken") })
}

// pppMSCHAPv2 is bad in clear, less so behind a key that many have, and least
// behind certificates.
func pppMSCHAPv2(j *judge) {
	j.method(posture.MSCHAPv2, func(p *posture.PPP, e Evidence) {
		switch forced := j.ipsecForced(p); {
		case posture.Is(forced, false):
			j.foundAt(j.inCase(Critical), p.Subject, e, "MS-CHAPv2 is taken, and IPsec is not forced: it may travel in clear")
		case j.anybodysKey() != nil && serviceOf(j.host, p) == "":
			j.foundAt(j.inCase(High), p.Subject, e, "MS-CHAPv2 is taken behind a pre-shared key that any peer may use: who has it can pose as the gateway")
		case !forced.Known():
			j.found(p.Subject, e, "MS-CHAPv2 is taken; the files do not tell whether IPsec is forced around it")
		default:
			j.found(p.Subject, e, "MS-CHAPv2 is all that proves a user")
		}
	})
	j.connections(j.eapMSCHAPv2)
}

// eapMSCHAPv2 judges the same method in IKE.
func (j *judge) eapMSCHAPv2(c *posture.Connection) {
	byEAP := func(a posture.Auth) bool { return posture.Is(a.Method, posture.MethodEAP) }
	if i := slices.IndexFunc(c.Remote, func(a posture.Auth) bool { return posture.Is(a.Method, posture.MethodPubkey) }); i >= 0 && !slices.ContainsFunc(c.Remote, byEAP) {
		j.ok(c.Subject, evidence(c.Remote[i].Method))
	}
	for _, a := range c.Remote {
		switch {
		case !byEAP(a):
		case !a.EAP.Known():
			j.unknown(c.Subject, "the files do not tell which EAP method is taken")
		case !slices.Contains(a.EAP.V, "mschapv2"):
			j.ok(c.Subject, evidence(a.EAP))
		case slices.ContainsFunc(c.Local, func(l posture.Auth) bool { return posture.Is(l.Method, posture.MethodPSK) }):
			j.foundAt(j.inCase(High), c.Subject, evidence(a.EAP), "EAP-MSCHAPv2 is taken, and the gateway proves itself by a pre-shared key")
		default:
			j.found(c.Subject, evidence(a.EAP), "EAP-MSCHAPv2 without TLS is all that proves a user")
		}
	}
}

func pppRefuses(j *judge) {
	for p := range j.ppps {
		switch {
		case posture.Is(p.Server, false):
			j.ok(p.Subject, evidence(p.Server))
		case posture.Is(p.Required, true):
			j.ok(p.Subject, evidence(p.Required))
		case !p.Refused.Known() || !p.Required.Known():
			j.unknown(p.Subject, "the files do not tell what is refused and required")
		case len(p.Refused.V) == 0:
			j.ok(p.Subject, methodEvidence(p.Refused))
		default:
			j.found(p.Subject, methodEvidence(p.Refused), "methods are refused, which says nothing of the peer, and none is required of it")
		}
	}
}

func pppSeveral(j *judge) {
	for p := range j.ppps {
		switch v := methodsOf(p); {
		case !v.Known():
			j.unknown(p.Subject, "the files do not tell which methods are taken")
		case len(v.V) > 1:
			j.found(p.Subject, methodEvidence(v), "%d methods are taken, and the peer chooses", len(v.V))
		default:
			j.ok(p.Subject, methodEvidence(v))
		}
	}
}

// weakEAP are methods that prove nothing of the server and fall to guessing.
var weakEAP = []string{"md5", "leap", "gtc"}

func isWeakEAP(method string) bool { return slices.Contains(weakEAP, method) }

func pppWeakEAP(j *judge) {
	for e := range j.eaps {
		inner := slices.IndexFunc(e.Inner.V, func(m string) bool { return m == "md5" || m == "leap" })
		methods := slices.IndexFunc(e.Methods.V, func(m string) bool { return m == "md5" || m == "leap" })
		switch {
		case isWeakEAP(e.DefaultType.V):
			j.found(e.Subject, evidence(e.DefaultType), "EAP begins with %s", e.DefaultType.V)
		case methods >= 0:
			j.found(e.Subject, evidence(e.Methods), "EAP offers %s", e.Methods.V[methods])
		case inner >= 0:
			j.found(e.Subject, evidence(e.Inner), "inside TLS %s is taken", e.Inner.V[inner])
		case posture.Is(e.GTCPAP, true) && slices.Contains(e.Methods.V, "gtc"):
			j.found(e.Subject, evidence(e.GTCPAP), "EAP-GTC takes the password itself")
		case !e.DefaultType.Known() && !e.Methods.Known():
			j.unknown(e.Subject, "the files do not tell which EAP methods are taken")
		case e.DefaultType.Known():
			j.ok(e.Subject, evidence(e.DefaultType))
		default:
			j.ok(e.Subject, evidence(e.Methods))
		}
	}
	j.connections(func(c *posture.Connection) {
		if !slices.ContainsFunc(j.host.EAP, func(e posture.EAP) bool { return e.Dialect == c.Dialect }) {
			j.weakEAPInIKE(c)
		}
	})
}

func (j *judge) weakEAPInIKE(c *posture.Connection) {
	for _, a := range c.Remote {
		if !posture.Is(a.Method, posture.MethodEAP) {
			continue
		}
		switch i := slices.IndexFunc(a.EAP.V, isWeakEAP); {
		case !a.EAP.Known():
			j.unknown(c.Subject, "the files do not tell which EAP method is taken")
		case i >= 0:
			j.found(c.Subject, evidence(a.EAP), "users prove themselves by EAP-%s", strings.ToUpper(a.EAP.V[i]))
		default:
			j.ok(c.Subject, evidence(a.EAP))
		}
	}
}

// eaps are the EAP settings that the rule applies to.
func (j *judge) eaps(yield func(*posture.EAP) bool) {
	for i := range j.host.EAP {
		if e := &j.host.EAP[i]; j.rule.Applies(e.Dialect) && !yield(e) {
			return
		}
	}
}

func pppServerUnchecked(j *judge) {
	for e := range j.eaps {
		switch {
		case posture.Is(e.Snakeoil, true):
			j.found(e.Subject, evidence(e.Snakeoil), "the certificate or its key is one that others have, too")
		case posture.Is(e.KeyPassword, true):
			j.found(e.Subject, evidence(e.KeyPassword), "everybody knows the key's passphrase")
		case posture.Is(e.ServerNamed, false):
			j.found(e.Subject, evidence(e.ServerNamed), "the client takes a server of any name, or of any authority")
		case posture.Is(e.ServerNamed, true):
			j.ok(e.Subject, evidence(e.ServerNamed))
		case e.Snakeoil.Known():
			j.ok(e.Subject, evidence(e.Snakeoil))
		case e.Product == strongSwan: // a server; its clients are connections
		default:
			j.unknown(e.Subject, "the files do not tell how the server's certificate is checked, or whose it is")
		}
	}
	for p := range j.ppps {
		switch {
		case !p.TLSVerify.Known():
		case !p.TLSVerify.V && posture.Is(p.Server, true):
			j.foundFor("tls-verify-method name", p.Subject, evidence(p.TLSVerify), "users' certificates are taken without a look at the name in them: who has any logs in as another")
		default:
			j.flag(p.Subject, p.TLSVerify, false, "the peer's certificate is taken without a look at its name or its authority")
		}
	}
	j.connections(j.serverOfAnyName)
}

// strongSwan is a product whose clients of EAP are connections.
const strongSwan = "strongSwan"

// serverOfAnyName is about a client of IKEv2 that proves itself by EAP: whose
// certificate the server shows must be said, or any that a trusted authority made
// will do, another client's among them.
func (j *judge) serverOfAnyName(c *posture.Connection) {
	isEAP := func(a posture.Auth) bool { return posture.Is(a.Method, posture.MethodEAP) }
	if c.Product != strongSwan || len(c.Remote) == 0 || !slices.ContainsFunc(c.Local, isEAP) || !posture.Is(c.Remote[0].Method, posture.MethodPubkey) {
		return
	}
	switch server := c.Remote[0]; {
	case server.CertFile != "", server.RawKey:
		j.ok(c.Subject, at(server.ID.At, server.CertFile))
	case !server.ID.Known():
		j.unknown(c.Subject, "the files do not tell how the server's certificate is checked, or whose it is")
	case strings.Trim(server.ID.V, "*") == "", server.ID.V == "%any":
		j.found(c.Subject, evidence(server.ID), "the client takes a server of any name")
	default:
		j.ok(c.Subject, evidence(server.ID))
	}
}

func pppMPPE(j *judge) {
	for p := range j.ppps {
		forced := j.ipsecForced(p)
		e := evidence(p.MPPE)
		if p.MPPE.Text == "" {
			e.Value = mppeWords[p.MPPE.V]
		}
		switch {
		case posture.Is(forced, true):
			j.ok(p.Subject, evidence(forced))
		case !p.MPPE.Known():
			j.unknown(p.Subject, "the files do not tell whether IPsec is forced, nor what encryption PPP asks for")
		case p.MPPE.V == posture.MPPE128:
			j.ok(p.Subject, e)
		case p.Dialect == posture.PPPD && serviceOf(j.host, p) == "pptp":
			j.foundFor("require-mppe-128  # and no require-mppe; better: systemctl disable --now pptpd", p.Subject, e, "PPP asks for %s, and PPTP has nothing else", mppeWords[p.MPPE.V])
		case !forced.Known():
			j.found(p.Subject, e, "PPP asks for %s, and nothing shows that IPsec is forced around it", mppeWords[p.MPPE.V])
		default:
			j.found(p.Subject, e, "PPP asks for %s, and IPsec is not forced around it", mppeWords[p.MPPE.V])
		}
	}
}

var mppeWords = map[posture.MPPE]string{
	posture.NoMPPE: "no encryption", posture.AnyMPPE: "MPPE of any length", posture.MPPE40: "MPPE with 40 bits", posture.MPPE128: "MPPE with 128 bits",
}

// oldTLS tells versions before 1.2.
func oldTLS(version string) bool { return version == "1.0" || version == "1.1" || version == "1" }

func pppTLS(j *judge) {
	var list []fact[string]
	for e := range j.eaps {
		list = append(list, fact[string]{e.Subject, e.TLSMin})
	}
	for d := range j.daemons {
		switch speaks, judged := j.speaksTLS(d); {
		case !speaks && !d.TLSMin.Known(): // ipsec.conf, whose daemon strongswan.conf tells of
		case !speaks:
			list = append(list, fact[string]{d.Subject, posture.Value[string]{V: "none", Origin: d.TLSMin.Origin, At: d.At, Text: "no EAP method with TLS"}})
		case !judged:
			list = append(list, fact[string]{d.Subject, d.TLSMin})
		}
	}
	for _, f := range telling(list) {
		j.tls(f.subject, f.value)
	}
	for p := range j.ppps {
		switch {
		case p.TLSMin.Known():
			j.tls(p.Subject, p.TLSMin)
		case p.TLSMax.Known() && oldTLS(p.TLSMax.V):
			j.found(p.Subject, evidence(p.TLSMax), "TLS goes up to %s and no further", p.TLSMax.V)
		case p.TLSMax.Known():
			j.ok(p.Subject, evidence(p.TLSMax))
		}
	}
}

// speaksTLS tells whether a daemon has an EAP method with TLS, and whether that
// method says itself how old the TLS may be.
func (j *judge) speaksTLS(d *posture.Daemon) (speaks, judged bool) {
	overTLS := func(m string) bool { return m == "tls" || m == "ttls" || m == "peap" }
	for _, e := range j.host.EAP {
		if e.Product == d.Product && (!e.Methods.Known() || slices.ContainsFunc(e.Methods.V, overTLS)) {
			speaks, judged = true, judged || e.Dialect == d.Dialect && e.TLSMin.Known()
		}
	}
	return speaks, judged
}

func (j *judge) tls(s posture.Subject, least posture.Value[string]) {
	switch {
	case !least.Known():
		j.unknown(s, "the files do not tell the oldest version of TLS that is taken")
	case oldTLS(least.V):
		j.found(s, evidence(least), "TLS %s is taken", least.V)
	default:
		j.ok(s, evidence(least))
	}
}

func pppMessageAuth(j *judge) {
	each(j, j.host.RADIUS, func(r *posture.RADIUS) *posture.Subject { return &r.Subject }, func(r *posture.RADIUS) {
		switch {
		case posture.Is(r.TLS, true):
			j.ok(r.Subject, evidence(r.TLS))
		case r.Address.Known() && allLoopback([]string{r.Address.V}):
			j.ok(r.Subject, evidence(r.Address)) // nobody sits in between
		case posture.Is(r.MessageAuth, posture.Always):
			j.ok(r.Subject, evidence(r.MessageAuth))
		case !r.MessageAuth.Known():
			j.unknown(r.Subject, "the files do not tell whether packets need a Message-Authenticator")
		case r.MessageAuth.V == posture.Never:
			j.found(r.Subject, evidence(r.MessageAuth), "packets need no Message-Authenticator")
		case r.MessageAuth.V == posture.Optional && !posture.Is(r.LimitProxy, true):
			j.found(r.Subject, evidence(r.MessageAuth), "packets need a Message-Authenticator only after the first that had one")
		case posture.Is(r.LimitProxy, false):
			j.found(r.Subject, evidence(r.LimitProxy), "requests with Proxy-State are taken without a Message-Authenticator")
		default:
			j.ok(r.Subject, evidence(r.MessageAuth))
		}
	})
}

func pppWildcards(j *judge) {
	for s := range j.secrets(posture.UserPassword) {
		star := func(list []string) bool { return slices.Contains(list, "*") }
		switch {
		case readable(s) && len(s.Value) == 0 && posture.Is(s.Anybody, true) && s.Dialect == posture.PPPD:
			j.foundAt(j.scaled(Critical), s.Subject, shown(s), "anybody is let in, under any name and without a password")
		case readable(s) && len(s.Value) == 0 && posture.Is(s.Anybody, true): // other checks of the line may narrow it
			j.found(s.Subject, shown(s), "anybody is let in, and no password is asked for")
		case readable(s) && len(s.Value) == 0:
			j.found(s.Subject, shown(s), "the account has no secret")
		case star(s.IDs):
			j.found(s.Subject, shown(s), "the account is anybody's: its client is a star")
		case star(s.Server) && star(s.Hosts):
			j.found(s.Subject, shown(s), "the account is for every server and every address")
		default:
			j.ok(s.Subject, shown(s))
		}
	}
}

// hashedAgain is for accounts that have a hash: IOS takes no readable password beside it.
var hashedAgain = map[posture.Dialect]string{
	posture.IOS: "username {name} algorithm-type scrypt secret RANDOM\n! RANDOM: 16 random characters",
}

func pppPasswords(j *judge) {
	for s := range j.secrets(posture.UserPassword) {
		switch {
		case readable(s) && len(s.Value) == 0 && (s.Dialect == posture.PPPD || s.Dialect == posture.FreeRADIUS):
			j.ok(s.Subject, shown(s)) // PPP-013's to say
		case s.Storage == posture.WeakHash:
			j.foundFor(hashedAgain[s.Dialect], s.Subject, shown(s), "the password is stored under a hash that is tried quickly")
		case !readable(s):
			j.unknown(s.Subject, "the file holds the password %s, so that nobody can judge it from there", storageWords(s.Storage))
		default:
			j.password(s)
		}
	}
}

func (j *judge) password(s *posture.Secret) {
	e := j.ledger.estimate(s)
	named := slices.ContainsFunc(append(slices.Clone(s.IDs), s.Name), func(n string) bool { return n != "" && strings.EqualFold(n, string(s.Value)) })
	switch {
	case named:
		j.found(s.Subject, shown(s), "the password is the user's name")
	case e.Listed:
		j.found(s.Subject, shown(s), "the password is one of the first that are tried: %s", e.Why)
	case e.Bits < weakPassword:
		j.found(s.Subject, shown(s), "the password is worth about %.0f bits of guessing: %s", e.Bits, e.Why)
	default:
		j.ok(s.Subject, shown(s))
	}
}

func pppTunnel(j *judge) {
	each(j, j.host.L2TP, func(l *posture.L2TP) *posture.Subject { return &l.Subject }, func(l *posture.L2TP) {
		firewall := j.firewallForcesIPsec()
		switch {
		case posture.Is(l.Enabled, false):
			j.ok(l.Subject, evidence(l.Enabled))
		case posture.Is(l.IPsec, posture.Always):
			j.ok(l.Subject, evidence(l.IPsec))
		case posture.Is(firewall, true):
			j.ok(l.Subject, evidence(firewall))
		case !l.Challenge.Known():
			j.unknown(l.Subject, "the files do not tell whether tunnels are authenticated")
		case !l.Challenge.V && posture.Is(l.Server, false):
			j.found(l.Subject, evidence(l.Challenge), "whoever answers in the server's place is taken for it by L2TP, and nothing shows that IPsec is forced")
		case !l.Challenge.V:
			j.found(l.Subject, evidence(l.Challenge), "anybody may open a tunnel, and nothing shows that IPsec is forced")
		case posture.Is(l.HiddenAVPs, false):
			j.found(l.Subject, evidence(l.HiddenAVPs), "tunnels are authenticated, but their attributes travel in clear, and nothing shows that IPsec is forced")
		default:
			j.ok(l.Subject, evidence(l.Challenge))
		}
	})
}

func pppOldServices(j *judge) {
	pppDialled(j)
	each(j, j.host.Services, func(s *posture.Service) *posture.Subject { return &s.Subject }, func(s *posture.Service) {
		old := slices.ContainsFunc(s.Methods.V, func(m posture.PPPMethod) bool {
			return m == posture.PAP || m == posture.CHAPMD5 || m == posture.MSCHAPv1
		})
		switch {
		case s.Protocol != "pptp" && s.Protocol != "sstp":
		case !s.Enabled.Known():
			j.unknown(s.Subject, "the files do not tell whether %s is on", strings.ToUpper(s.Protocol))
		case !s.Enabled.V:
			j.ok(s.Subject, evidence(s.Enabled))
		case s.Protocol == "pptp":
			j.found(s.Subject, evidence(s.Enabled), "PPTP is on")
		case old:
			j.found(s.Subject, methodEvidence(s.Methods), "SSTP takes %s", methodWords(s.Methods.V))
		default:
			j.ok(s.Subject, evidence(s.Enabled))
		}
	})
}

// pppDialled is PPTP that the host itself dials.
func pppDialled(j *judge) {
	for p := range j.ppps {
		switch {
		case !posture.Is(p.Server, false):
		case p.Service == "pptp":
			j.found(p.Subject, at(p.IPsecForced.At, "pptp"), "the host dials a server by PPTP")
		default:
			j.ok(p.Subject, evidence(p.Server))
		}
	}
}

func pppUnbound(j *judge) {
	for e := range j.eaps {
		j.flag(e.Subject, e.UnboundTLS, true, "TLS 1.2 without extended master secret is taken")
	}
}
