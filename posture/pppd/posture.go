package pppd

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
)

// posture is the link as rules see it.
func (s *settings) posture(l Link, k kind) posture.PPP {
	p := posture.PPP{
		Subject: posture.Subject{Dialect: posture.PPPD, Kind: "ppp", Name: l.Name, At: l.At},
		Product: "pppd", Server: s.side(l, k), Refused: s.refuse, TLSVerify: s.verify,
	}
	p.AuthNeeded = orDefault(s, s.auth, false, l.At, "default of pppd for root: the peer need not prove itself")
	p.Required = orDefault(s, required(s.require), false, l.At, "no require-* is written")
	p.Methods = s.methods(p.AuthNeeded, l.At)
	if !p.Refused.Known() {
		p.Refused = orDefault(s, p.Refused, nil, l.At, "no refuse-* is written")
	}
	p.MPPE = s.mppe(l.At)
	p.MTU = orDefault(s, s.mtu, 1500, l.At, "default of pppd")
	p.MRU = orDefault(s, s.mru, 1500, l.At, "default of pppd")
	p.IPv6 = s.sixth(l.At)
	p.Debug = orDefault(s, s.debug, false, l.At, "default of pppd")
	p.ShowsSecret = orDefault(s, s.shows, false, l.At, "default of pppd: hide-password")
	p.Echo = orDefault(s, s.echo, time.Duration(0), l.At, "default of pppd: no echo requests")
	p.TLSMax = s.tls(l.At)
	if at := l.At; pptp.MatchString(l.Name) || s.pptp.V {
		if s.pptp.V {
			at = s.pptp.At
		}
		p.Service, p.IPsecForced = "pptp", posture.Guess(false, at, "PPTP is never inside IPsec")
	}
	if posture.Is(p.Server, false) {
		p.Split = s.split(l.At)
		return p
	}
	p.DNS = orDefault(s, s.dns, nil, l.At, "no ms-dns is written")
	p.ProxyARP = orDefault(s, s.proxyARP, false, l.At, "default of pppd")
	p.Accounting = orDefault(s, s.radius, false, l.At, "no plugin radius.so is loaded")
	return p
}

// pptp are names of option files for pptpd's calls.
var pptp = regexp.MustCompile(`^(options[.-]pptpd?|pptpd[.-]options)\b`)

// daemons are names of option files for the calls of a daemon that answers.
var daemons = regexp.MustCompile(`^(options[.-](x?l2tpd|openl2tpd?|pptpd)|pptpd[.-]options)$`)

// orDefault fills in what the product does where nothing is written, as far as
// all files of the link are here.
func orDefault[T any](s *settings, v posture.Value[T], d T, at posture.Pos, why string) posture.Value[T] {
	switch {
	case v.Known():
		return v
	case s.lost:
		return posture.Value[T]{}
	case s.unseen != "":
		return posture.Guess(d, at, why+"; "+s.unseen)
	}
	return posture.ByDefault(d, at, why)
}

func required(list posture.Value[[]posture.PPPMethod]) posture.Value[bool] {
	if !list.Known() {
		return posture.Value[bool]{}
	}
	return posture.Written(true, list.At, list.Text)
}

// side is who answers: as the daemon that starts the link says, or else as its
// own words show.
func (s *settings) side(l Link, k kind) posture.Value[bool] {
	no := posture.Is(s.auth, false)
	switch {
	case l.Server.Known():
		return l.Server
	case s.client.Text != "":
		return posture.Guess(false, s.client.At, s.client.Text+" is for the side that dials")
	case s.server.Text != "" && !(no && s.own && k == options && asksPeer(s.server) && !daemons.MatchString(l.Name)):
		return posture.Guess(true, s.server.At, s.server.Text+" is for the side that answers")
	case no && s.own && k != system:
		return posture.Guess(false, s.auth.At, "noauth without a word that only the answering side needs")
	case k == peer:
		return posture.Guess(false, l.At, "peers/ is for links that are dialled")
	case k == options:
		return posture.Guess(true, l.At, "an option file of its own without a word that only the dialling side needs")
	}
	return posture.Value[bool]{}
}

// methods is what is taken from the peer. auth alone takes everything that a
// secret allows; require-* restricts it.
func (s *settings) methods(auth posture.Value[bool], at posture.Pos) posture.Value[[]posture.PPPMethod] {
	switch {
	case !auth.Known():
		return posture.Value[[]posture.PPPMethod]{}
	case !auth.V:
		return posture.Guess([]posture.PPPMethod(nil), auth.At, "nobody is asked")
	case s.require.Known():
		v := s.require
		v.V = s.ofEAP(sorted(v.V))
		return v
	}
	ok := s.reader.accounts().of(s.name.Text)
	if s.backend {
		ok = provable{pap: true, chap: true}
	}
	var list []posture.PPPMethod
	if ok.pap || s.login {
		list = append(list, posture.PAP)
	}
	if ok.chap {
		list = append(list, posture.CHAPMD5, posture.MSCHAPv1, posture.MSCHAPv2, posture.EAPAny)
	}
	if ok.tls {
		list = append(list, posture.EAPTLSPPP)
	}
	if ok.unseen {
		return posture.Guess(list, auth.At, "auth without require-*; the files of secrets, which decide, are not here")
	}
	v := posture.ByDefault(list, auth.At, "auth without require-*: all that a secret allows")
	v.Text = auth.Text
	return v
}

// ofEAP tells what EAP is: with certificates where eaptls-server has an entry
// and nothing else is possible.
func (s *settings) ofEAP(list []posture.PPPMethod) []posture.PPPMethod {
	ok := s.reader.accounts().of(s.name.Text)
	i := slices.Index(list, posture.EAPAny)
	if i < 0 || !ok.tls || s.backend {
		return list
	}
	if !ok.chap {
		return append(slices.Delete(list, i, i+1), posture.EAPTLSPPP)
	}
	return append(list, posture.EAPTLSPPP)
}

var order = []posture.PPPMethod{posture.PAP, posture.CHAPMD5, posture.MSCHAPv1, posture.MSCHAPv2, posture.EAPAny, posture.EAPTLSPPP}

func sorted(list []posture.PPPMethod) []posture.PPPMethod {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b posture.PPPMethod) int { return slices.Index(order, a) - slices.Index(order, b) })
	return list
}

func (s *settings) mppe(at posture.Pos) posture.Value[posture.MPPE] {
	bits := func(v posture.Value[bool], m posture.MPPE) posture.Value[posture.MPPE] {
		return posture.Written(m, v.At, v.Text)
	}
	switch {
	case posture.Is(s.noCCP, true):
		return bits(s.noCCP, posture.NoMPPE) // MPPE is negotiated by CCP
	case s.mppe40.V && s.mppe128.V:
		return bits(s.mppe128, posture.AnyMPPE)
	case s.mppe128.V:
		return bits(s.mppe128, posture.MPPE128)
	case s.mppe40.V:
		return bits(s.mppe40, posture.MPPE40)
	case s.mppe128.Known():
		return bits(s.mppe128, posture.NoMPPE)
	case s.mppe40.Known():
		return bits(s.mppe40, posture.NoMPPE)
	}
	return orDefault(s, posture.Value[posture.MPPE]{}, posture.NoMPPE, at, "default of pppd: MPPE is not asked for")
}

// split is whether a client keeps its default route.
func (s *settings) split(at posture.Pos) posture.Value[bool] {
	if s.route.Known() {
		return posture.Written(!s.route.V, s.route.At, s.route.Text)
	}
	return orDefault(s, posture.Value[bool]{}, true, at, "default of pppd: no default route is set")
}

// sixth is whether IPv6CP is spoken. Versions before 2.5 do on +ipv6 alone.
func (s *settings) sixth(at posture.Pos) posture.Value[bool] {
	version := s.version()
	if s.ipv6.Known() || version.Known() && !before(version.V, 2, 5) {
		return s.ipv6
	}
	if !version.Known() && !s.lost {
		return posture.Guess(false, at, "version unknown: default of pppd 2.4")
	}
	return orDefault(s, s.ipv6, false, at, "default of pppd before 2.5")
}

// tls is the newest TLS of EAP-TLS, which came with 2.4.9.
func (s *settings) tls(at posture.Pos) posture.Value[string] {
	if !slices.Contains(s.require.V, posture.EAPAny) && !s.reader.accounts().of(s.name.Text).tls {
		return s.tlsMax
	}
	return orDefault(s, s.tlsMax, "1.2", at, "default of pppd")
}

func (s *settings) version() posture.Value[string] {
	if v := s.reader.in.Version("pppd"); v.Known() {
		return v
	}
	return s.reader.in.Installed("ppp")
}

// before compares the first two numbers of a version.
func before(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	first, _ := strconv.Atoi(parts[0])
	second := 0
	if len(parts) > 1 {
		second, _ = strconv.Atoi(parts[1])
	}
	return first < major || first == major && second < minor
}
