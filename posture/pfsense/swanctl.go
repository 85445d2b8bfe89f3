package pfsense

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/setting"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

// swanctl reads OPNsense's own model of swanctl.conf: connections, and lists of
// local and remote rounds, of children and of pools that refer to them.
func (r *reader) swanctl() {
	model := r.root.get("OPNsense", "Swanctl")
	if model == nil {
		return
	}
	r.check(model, "Swanctl")
	parts := r.swanctlParts(model)
	for _, e := range model.get("Connections").all("Connection") {
		if r.full(e) {
			break
		}
		r.check(e, "Connection")
		s := &swanConn{reader: r, e: e, parts: parts}
		r.in.Host.Connections = append(r.in.Host.Connections, s.connection())
		delete(parts.of, e.uuid) // the parts are of one connection
	}
	for _, names := range [][2]string{{"locals", "local"}, {"remotes", "remote"}, {"children", "child"}, {"Pools", "Pool"}} {
		for _, e := range model.get(names[0]).all(names[1]) {
			r.check(e, names[1])
		}
	}
}

// parts are what connections are made of.
type parts struct {
	of    map[string]map[string][]*element // by connection and name: "local", "remote", "child"
	pools map[string]*element              // by uuid and by name
}

func (r *reader) swanctlParts(model *element) parts {
	p := parts{of: map[string]map[string][]*element{}, pools: map[string]*element{}}
	for _, names := range [][2]string{{"locals", "local"}, {"remotes", "remote"}, {"children", "child"}} {
		for _, e := range model.get(names[0]).all(names[1]) {
			id := e.value("connection")
			if p.of[id] == nil {
				p.of[id] = map[string][]*element{}
			}
			p.of[id][e.name] = append(p.of[id][e.name], e)
		}
	}
	for _, e := range model.get("Pools").all("Pool") {
		p.pools[e.uuid], p.pools[e.value("name")] = e, e
	}
	return p
}

// swanConn is the reading of one Connection.
type swanConn struct {
	*reader
	e     *element
	parts parts
}

func (s *swanConn) connection() posture.Connection {
	e := s.e
	c := posture.Connection{Subject: s.subject("connection", source.Quote(cmp.Or(e.value("description"), e.uuid)), e.at), Product: s.product}
	c.Disabled = !e.on("enabled", true) || !s.root.get("ipsec").set("enable") && s.root.get("ipsec", "enable") != nil
	c.V1, c.V2 = s.versions()
	c.Aggressive = s.flag("aggressive", false)
	c.IKE, c.IKEImplicit = s.proposals(suite.ProtocolIKE, e, "proposals")
	c.Address, c.AnyPeer = s.address()
	c.Local = s.rounds("local")
	c.Remote = s.rounds("remote")
	c.IKELife = s.time("rekey_time", 4*time.Hour)
	c.Rekey = posture.Value[bool]{V: c.IKELife.V > 0, Origin: c.IKELife.Origin, At: c.IKELife.At, Text: c.IKELife.Text, Why: c.IKELife.Why}
	c.Reauth = s.time("reauth_time", 0)
	c.DPD = s.time("dpd_delay", 0)
	c.MOBIKE = s.flag("mobike", true)
	c.NATT = byDefault(s.reader, true, e.at, "strongSwan always detects NAT")
	c.Fragments = byDefault(s.reader, true, e.at, "default of strongSwan")
	c.Revocation = byDefault(s.reader, posture.Optional, e.at, "default of strongSwan: revocation=relaxed")
	c.SendsVID = byDefault(s.reader, false, e.at, "default of strongSwan")
	c.PPK = byDefault(s.reader, posture.Never, e.at, "has no setting for it")
	c.Pool, c.DNS = s.pools()
	c.Children = s.children()
	c.Role = s.role(c)
	return c
}

// flag is a switch of the model.
func (s *swanConn) flag(name string, otherwise bool) posture.Value[bool] {
	if e := s.e.get(name); e != nil && e.text != "" {
		return posture.Written(e.text == "1", e.at, e.text)
	}
	return byDefault(s.reader, otherwise, s.e.at, "default of OPNsense's model")
}

func (s *swanConn) time(name string, otherwise time.Duration) posture.Value[time.Duration] {
	if t, ok := seconds(s.e.get(name)); ok {
		return posture.Written(t, s.e.where(name), s.e.value(name))
	}
	return byDefault(s.reader, otherwise, s.e.at, "default of strongSwan")
}

func (s *swanConn) versions() (v1, v2 posture.Value[bool]) {
	e := s.e.get("version")
	if e == nil || e.text == "" {
		why := "default of OPNsense's model: version 0, which is both"
		return byDefault(s.reader, true, s.e.at, why), byDefault(s.reader, true, s.e.at, why)
	}
	return posture.Written(e.text != "2", e.at, e.text), posture.Written(e.text != "1", e.at, e.text)
}

// proposals are with commas between, in strongSwan's words; "default" are those of
// the daemon.
func (s *swanConn) proposals(p suite.Protocol, of *element, name string) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	e := of.get(name)
	if e == nil || e.text == "" {
		return s.strongSwan(p, of.at)
	}
	var all []posture.Proposal
	implicit := false
	for _, text := range capped(list(e.text)) {
		if text == "default" {
			if !implicit {
				defaults, _ := s.strongSwan(p, e.at)
				all, implicit = append(all, defaults.V...), true
			}
			continue
		}
		all = append(all, proposal.StrongSwan(p, text, e.at))
	}
	v := posture.Written(all, e.at, e.text)
	if e.text == "default" {
		v, _ = s.strongSwan(p, e.at)
	}
	return v, posture.Written(implicit, e.at, e.text)
}

// address: nothing written is any address.
func (s *swanConn) address() (posture.Value[[]string], posture.Value[bool]) {
	e := s.e.get("remote_addrs")
	if e == nil || e.text == "" {
		return byDefault(s.reader, []string{"%any"}, s.e.at, "no remote_addrs"), byDefault(s.reader, true, s.e.at, "no remote_addrs")
	}
	addrs := list(e.text)
	any := slices.ContainsFunc(addrs, func(a string) bool { return a == "%any" || a == "0.0.0.0/0" || a == "::/0" || a == "0.0.0.0" })
	return posture.Written(addrs, e.at, e.text), posture.Written(any, e.at, e.text)
}

// of are the parts of one name that belong to this connection.
func (s *swanConn) of(name string) []*element {
	if s.e.uuid == "" {
		return nil
	}
	return s.parts.of[s.e.uuid][name]
}

// rounds are the proofs of one side, in the order of their numbers.
func (s *swanConn) rounds(name string) []posture.Auth {
	mine := slices.DeleteFunc(slices.Clone(s.of(name)), func(e *element) bool { return !e.on("enabled", true) })
	slices.SortStableFunc(mine, func(a, b *element) int { return cmp.Compare(round(a), round(b)) })
	var auths []posture.Auth
	for _, e := range mine {
		a := s.proof(e)
		if name == "local" && a.ID.Known() {
			s.ours[a.ID.V] = true
		}
		auths = append(auths, a)
	}
	return auths
}

func round(e *element) int {
	n, _ := strconv.Atoi(e.value("round"))
	return n
}

func (s *swanConn) proof(e *element) posture.Auth {
	a := posture.Auth{}
	at, text := e.where("auth"), e.value("auth")
	method, eap, isEAP := posture.Method(text), "", false
	switch {
	case text == "":
		method = posture.MethodPSK
	case strings.HasPrefix(text, "eap"):
		method = posture.MethodEAP
		eap, isEAP = strings.TrimPrefix(strings.TrimPrefix(text, "eap"), "-"), true
	case strings.HasPrefix(text, "xauth"):
		method, a.XAUTH = posture.MethodXAUTH, true
	case text != "psk" && text != "pubkey":
		s.in.Note(posture.Unparsed, at, "auth %s is not known", setting.Shown(text))
		return a
	}
	a.Method = posture.Written(method, at, text)
	if text == "" {
		a.Method = byDefault(s.reader, method, at, "default of OPNsense's model")
	}
	if isEAP && eap != "" {
		a.EAP = posture.Written([]string{eap}, at, text)
	}
	a.ID = byDefault(s.reader, "%any", e.at, "no id")
	if id := e.get("id"); id != nil && id.text != "" {
		a.ID = posture.Written(id.text, id.at, id.text)
	} else if e.name == "local" {
		a.ID = posture.Value[string]{} // our address, or the certificate's subject
	}
	if certs := list(e.value("certs")); len(certs) > 0 {
		a.CertFile = s.described("cert", certs[0])
	}
	a.CA = byDefault(s.reader, "", e.at, "no cacerts: any authority on the host")
	if cas := e.get("cacerts"); cas != nil && cas.text != "" {
		a.CA = posture.Written(s.described("ca", list(cas.text)[0]), cas.at, cas.text)
	}
	return a
}

// pools are by uuid, in older configurations by name.
func (s *swanConn) pools() (pool, dns posture.Value[[]string]) {
	e := s.e.get("pools")
	if e == nil || e.text == "" {
		return byDefault(s.reader, []string(nil), s.e.at, "no pools"), dns
	}
	var addrs, servers []string
	at, dnsAt := e.at, e.at
	for _, ref := range capped(list(e.text)) {
		if p := s.parts.pools[ref]; p != nil && len(addrs) < most {
			addrs = append(addrs, list(p.value("addrs"))...)
			if len(servers) == 0 && p.value("dns") != "" {
				dnsAt = p.where("dns")
			}
			servers = append(servers, list(p.value("dns"))...)
			at = p.at
		}
	}
	return posture.Written(addrs, at, strings.Join(addrs, ",")), posture.Written(servers, dnsAt, strings.Join(servers, ","))
}

func (s *swanConn) children() []posture.Child {
	var all []posture.Child
	for _, e := range s.of("child") {
		if s.reader.children++; s.reader.children > mostChildren {
			break
		}
		if e.on("enabled", true) {
			all = append(all, s.child(e))
		}
	}
	return all
}

func (s *swanConn) child(e *element) posture.Child {
	c := posture.Child{Subject: s.subject("child", source.Quote(cmp.Or(e.value("description"), e.uuid)), e.at)}
	c.ESP, c.ESPImplicit = s.proposals(suite.ProtocolESP, e, "esp_proposals")
	c.PFS = pfs(c.ESP)
	c.AH = byDefault(s.reader, false, e.at, "has no setting for it")
	c.Life = byDefault(s.reader, time.Hour, e.at, "default of OPNsense's model")
	if t, ok := seconds(e.get("rekey_time")); ok {
		c.Life = posture.Written(t, e.where("rekey_time"), e.value("rekey_time"))
	}
	c.Replay = posture.Guess(32, e.at, "default of strongSwan")
	c.ESN = posture.Guess(offersESN(c.ESP.V), e.at, "default of strongSwan: noesn")
	c.IPComp = byDefault(s.reader, false, e.at, "has no setting for it")
	c.Bytes = byDefault(s.reader, uint64(0), e.at, "has no setting for it")
	c.Packets = byDefault(s.reader, uint64(0), e.at, "has no setting for it")
	c.SHA256Trunc = byDefault(s.reader, false, e.at, "default of OPNsense's model")
	if t := e.get("sha256_96"); t != nil {
		c.SHA256Trunc = posture.Written(t.text == "1", t.at, t.text)
	}
	mode := cmp.Or(e.value("mode"), "tunnel")
	c.Transport = posture.Written(mode == "transport", e.where("mode"), mode)
	c.LocalTS, c.RemoteTS = networks(e, "local_ts"), networks(e, "remote_ts")
	if !c.RemoteTS.Known() {
		c.RemoteTS = posture.Guess([]string{"dynamic"}, e.at, "default of strongSwan")
	}
	c.FailOpen = s.failOpen(e, mode)
	c.L2TP = mode == "transport" && strings.Contains(e.value("local_ts"), "1701")
	return c
}

func offersESN(all []posture.Proposal) bool {
	return slices.ContainsFunc(all, func(p posture.Proposal) bool {
		return slices.ContainsFunc(p.Of(suite.ESN), func(t suite.Transform) bool { return t.ID == 1 })
	})
}

func networks(e *element, name string) posture.Value[[]string] {
	ts := e.get(name)
	if ts == nil || ts.text == "" {
		return posture.Value[[]string]{}
	}
	return posture.Written(list(ts.text), ts.at, ts.text)
}

// failOpen: with "trap" packets wait for the SA; without policies, as behind a
// virtual tunnel interface, there is a route and no leak.
func (s *swanConn) failOpen(e *element, mode string) posture.Value[bool] {
	action := e.get("start_action")
	switch {
	case mode == "pass":
		return posture.Written(true, e.where("mode"), mode)
	case !e.on("policies", true):
		return posture.Written(false, e.where("policies"), "0")
	case s.e.value("pools") != "":
		return posture.Value[bool]{}
	case action == nil || action.text == "":
		return byDefault(s.reader, true, e.at, "default of OPNsense's model: start_action=start, no trap")
	}
	return posture.Written(!strings.Contains(action.text, "trap") && action.text != "route", action.at, action.text)
}

// role follows from the children: one that starts or traps begins.
func (s *swanConn) role(c posture.Connection) posture.Value[posture.Role] {
	if c.AnyPeer.V {
		return posture.Value[posture.Role]{V: posture.Answers, Origin: c.AnyPeer.Origin, At: c.AnyPeer.At, Text: c.AnyPeer.Text, Why: c.AnyPeer.Why}
	}
	for _, e := range s.of("child") {
		if a := e.get("start_action"); a == nil || a.text != "none" {
			return posture.Written(posture.Answers|posture.Initiates, e.where("start_action"), e.value("start_action"))
		}
	}
	return byDefault(s.reader, posture.Answers, s.e.at, "no child starts by itself")
}
