package fortios

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/setting"
	"sallyport/protocol/suite"
)

// Bounds of what is made of a file. A FortiGate has some thousand tunnels at
// most, and some twenty algorithms.
const (
	mostConnections = 2000
	mostChildren    = 256
	mostWords       = 64
)

// policyBased is the table of phases 1 without an interface of their own.
const policyBased = "vpn ipsec phase1"

// owner is the phase 1 that a phase 2 names.
type owner struct{ path, vdom, name string }

// connections makes one of every phase 1, with the phases 2 that name it.
func (r *reader) connections() {
	second := map[owner][]*entry{}
	for _, e := range r.all("vpn ipsec phase2", "vpn ipsec phase2-interface") {
		o := owner{strings.Replace(e.path, "phase2", "phase1", 1), e.vdom, e.word("phase1name", "")}
		if second[o] = append(second[o], e); len(second[o]) == mostChildren+1 {
			r.in.Note(posture.Limit, e.at, "more than %d phases 2 of one phase 1: the rest is left out", mostChildren)
		}
	}
	for i, e := range r.all("vpn ipsec phase1", "vpn ipsec phase1-interface") {
		if i == mostConnections {
			r.in.Note(posture.Limit, e.at, "more than %d connections: the rest is left out", mostConnections)
			break
		}
		c := posture.Connection{Subject: r.subject("connection", e.title(), e.at), Product: product, Table: e.path}
		r.peer(&c, e)
		r.phase1(&c, e)
		r.proof(&c, e)
		r.given(&c, e)
		o, failOpen := owner{e.path, e.vdom, e.name}, r.failOpen(e)
		if !failOpen.Known() && len(c.Pool.V) > 0 {
			failOpen = r.failOpenOfClients(e, c.Pool)
		}
		for _, child := range second[o][:min(len(second[o]), mostChildren)] {
			c.Children = append(c.Children, r.child(child))
			c.Children[len(c.Children)-1].ESN = of(r, e, "esn", "disable", extended)
			c.Children[len(c.Children)-1].FailOpen = failOpen
			clients(&c.Children[len(c.Children)-1], e)
			r.claims(&c.Children[len(c.Children)-1], e)
		}
		delete(second, o)
		r.host.Connections = append(r.host.Connections, c)
	}
}

// peer is who may connect, and how.
func (r *reader) peer(c *posture.Connection, e *entry) {
	version := of(r, e, "ike-version", "1", word1)
	c.V1, c.V2 = setting.As(version, version.V == "1"), setting.As(version, version.V == "2")
	if c.V1.V {
		mode := of(r, e, "mode", "main", word1)
		c.Aggressive = setting.As(mode, mode.V == "aggressive")
	}
	kind := of(r, e, "type", "static", word1)
	c.AnyPeer = setting.As(kind, kind.V == "dynamic")
	c.Role = setting.As(kind, posture.Answers|posture.Initiates)
	if kind.V == "dynamic" {
		c.Role.V = posture.Answers
	}
	for _, key := range []string{"remote-gw", "remote-gw6", "remotegw-ddns"} {
		if v, ok := e.set[key]; ok && kind.V != "dynamic" {
			c.Address = posture.Written([]string{v.text()}, v.at, v.text())
		}
	}
}

func (r *reader) phase1(c *posture.Connection, e *entry) {
	c.IKE, c.IKEImplicit = r.proposals(e, suite.ProtocolIKE)
	c.IKELife = of(r, e, "keylife", "86400", setting.Seconds)
	c.DPD = r.dpd(e)
	c.Fragments = of(r, e, "fragmentation", "enable", setting.Switch)
	natt := of(r, e, "nattraversal", "enable", word1)
	c.NATT = setting.As(natt, natt.V != "disable")
	reauth := of(r, e, "reauth", "disable", setting.Switch)
	switch {
	case c.V1.V: // it is of IKEv2: in IKEv1 a new SA is a new proof
		c.Reauth = c.IKELife
	case !reauth.V:
		c.Reauth = setting.As(reauth, time.Duration(0))
	default:
		c.Reauth = setting.As(reauth, c.IKELife.V)
	}
	c.FragmentSize = of(r, e, "fragmentation-mtu", "1200", setting.Number)
	c.Rekey = of(r, e, "rekey", "enable", setting.Switch)
	c.Childless = of(r, e, "childless-ike", "disable", setting.Switch)
	if !r.defaults.Before("7.0") || e.word("ppk", "") != "" {
		c.PPK = of(r, e, "ppk", "disable", demand)
	}
}

// demand is "disable", "allow" or "require".
func demand(word string) (posture.Demand, bool) {
	switch word {
	case "disable":
		return posture.Never, true
	case "allow":
		return posture.Optional, true
	case "require":
		return posture.Always, true
	}
	return posture.Never, false
}

// extended is "disable", "allow" or "require".
func extended(word string) (bool, bool) {
	d, ok := demand(word)
	return d != posture.Never, ok
}

// dpd is when a silent peer is asked. Before 5.4 the word was "enable".
func (r *reader) dpd(e *entry) posture.Value[time.Duration] {
	when := of(r, e, "dpd", "on-demand", word1)
	if when.V == "disable" {
		return setting.As(when, time.Duration(0))
	}
	interval := of(r, e, "dpd-retryinterval", "20", setting.Seconds)
	return setting.As(when, interval.V)
}

// defaultWords are what the assistants of 5.4 to 7.4 write; the groups are those
// of a full configuration since 5.2.
var defaultWords = map[suite.Protocol]string{
	suite.ProtocolIKE: "aes128-sha256 aes256-sha256 aes128-sha1 aes256-sha1",
	suite.ProtocolESP: "aes128-sha1 aes256-sha1 aes128-sha256 aes256-sha256 aes128gcm aes256gcm chacha20poly1305",
}

const defaultGroups = "14 5"

// proposals is what goes over the wire: one for each word, with any of the
// groups. A phase 1 without the word is not taken by the command line; one
// without groups has the default ones.
func (r *reader) proposals(e *entry, p suite.Protocol) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	words := of(r, e, "proposal", defaultWords[p], setting.Words)
	groups := of(r, e, "dhgrp", defaultGroups, setting.Words)
	words.V, groups.V = words.V[:min(len(words.V), mostWords)], groups.V[:min(len(groups.V), mostWords)]
	rest := group(groups.V)
	if p == suite.ProtocolESP && !of(r, e, "pfs", "enable", setting.Switch).V {
		rest = nil
	}
	shown := "proposal " + strings.Join(words.V, " ") + " dhgrp " + strings.Join(groups.V, " ")
	if groups.Origin != posture.Explicit {
		shown += " (default)"
	}
	var all []posture.Proposal
	for _, w := range words.V {
		all = append(all, proposal.New(p, w, words.At, append(keywords(w), rest...)...))
		if len(rest) > 0 {
			all[len(all)-1].Groups = setting.As(groups, "dhgrp "+strings.Join(groups.V, " "))
		}
		addKE(&all[len(all)-1], e)
	}
	v := setting.As(words, all)
	if words.Origin == posture.Explicit {
		v.Text = shown
	}
	return v, setting.As(words, words.Origin != posture.Explicit)
}

// keywords are the parts of a word such as "aes256gcm-prfsha384".
func keywords(word string) []string {
	cipher, rest, _ := strings.Cut(word, "-")
	out := []string{cipher}
	if k, ok := ciphers[cipher]; ok {
		out[0] = k
	}
	if rest == "" {
		return out
	}
	if k, ok := hashes[rest]; ok {
		rest = k
	}
	return append(out, rest)
}

func group(numbers []string) []string {
	var out []string
	for _, n := range numbers {
		if k, ok := proposal.Group(n); ok {
			n = k
		} else {
			n = "group" + n
		}
		out = append(out, n)
	}
	return out
}

// addKE are the additional key exchanges of FortiOS 7.6 (RFC 9370): numbers of
// the registry, 0 for none.
func addKE(p *posture.Proposal, e *entry) {
	for i := range 7 {
		words := e.set["addke"+strconv.Itoa(i+1)].words
		for _, n := range words[:min(len(words), mostWords)] {
			if k, ok := proposal.Group(n); ok {
				if a, ok := suite.ByKeyword(k); ok {
					p.AddKE = append(p.AddKE, a.Transform)
				}
			}
		}
	}
}

// proof is how both sides prove themselves.
func (r *reader) proof(c *posture.Connection, e *entry) {
	method := of(r, e, "authmethod", "psk", word1)
	local := posture.Auth{Method: setting.As(method, posture.MethodPSK)}
	if method.V != "psk" {
		local.Method.V = posture.MethodPubkey
	}
	remote := local
	if v, ok := e.set["authmethod-remote"]; ok {
		remote.Method = posture.Written(map[string]posture.Method{"psk": posture.MethodPSK, "signature": posture.MethodPubkey}[v.text()], v.at, v.text())
	}
	local.CertFile = e.word("certificate", "")
	local.ID = of(r, e, "localid", "", word1)
	remote.ID = of(r, e, "peerid", "", word1)
	anyone := "peer" // since 6.0, which writes "any" where it is meant
	if r.defaults.Before("6.0") {
		anyone = "any"
	}
	kind := of(r, e, "peertype", anyone, word1)
	if kind.V == "any" {
		remote.ID = setting.As(kind, "%any")
	}
	c.Local, c.Remote = []posture.Auth{local}, []posture.Auth{remote}
	r.second(c, e)
	c.SHA1Sig = r.sha1Signatures(e, c.V2.V, local.Method.V == posture.MethodPubkey || remote.Method.V == posture.MethodPubkey)
	c.Revocation = r.revocation(e)
	anybody := setting.As(kind, kind.V == "any" && c.AnyPeer.V)
	secret := posture.Secret{Kind: posture.PSK, IDs: c.Address.V, Anybody: anybody}
	if x := e.word("xauthtype", "disable"); c.V1.V && x != "disable" && x != "client" {
		secret.Kind = posture.GroupKey
	}
	if local.Method.V == posture.MethodPSK || remote.Method.V == posture.MethodPSK {
		r.secret(e, "psksecret", secret)
	}
	r.secret(e, "psksecret-remote", secret)
	r.secret(e, "ppk-secret", posture.Secret{Kind: posture.PPKSecret})
	r.secret(e, "authpasswd", posture.Secret{Kind: posture.UserPassword, IDs: []string{e.word("authusr", "")}})
}

// sha1Signatures: without digital-signature-auth (RFC 7427) an IKEv2 phase signs
// as RFC 7296 has it for RSA, with SHA-1. IKEv1 signs with the hash of its
// proposal, which other rules look at.
func (r *reader) sha1Signatures(e *entry, v2, signs bool) posture.Value[bool] {
	if !v2 || !signs {
		return posture.Value[bool]{}
	}
	digital := of(r, e, "digital-signature-auth", "disable", setting.Switch)
	override := of(r, e, "rsa-signature-hash-override", "disable", setting.Switch)
	hashes := of(r, e, "signature-hash-alg", "sha2-512 sha2-384 sha2-256 sha1", setting.Words)
	if !digital.V && !override.V {
		return setting.As(digital, true)
	}
	return setting.As(hashes, slices.Contains(hashes.V, "sha1"))
}

// revocation is "config vpn certificate setting", which holds for all phases:
// "mandatory" and the two strict words refuse what cannot be checked.
func (r *reader) revocation(phase *entry) posture.Value[posture.Demand] {
	e := r.one("vpn certificate setting")
	if e == nil {
		lists := setting.Of(r.defaults, posture.Never, phase.at, false)
		if all := r.all("vpn certificate crl"); len(all) > 0 {
			lists = posture.Written(posture.Optional, all[0].at, all[0].path)
		}
		return lists
	}
	ocsp := of(r, e, "ocsp-status", "disable", word1)
	strict := of(r, e, "strict-ocsp-check", "disable", setting.Switch)
	list := of(r, e, "strict-crl-check", "disable", setting.Switch)
	switch {
	case list.V:
		return setting.As(list, posture.Always)
	case ocsp.V != "disable" && strict.V:
		return setting.As(strict, posture.Always)
	case ocsp.V == "mandatory":
		return setting.As(ocsp, posture.Always)
	case ocsp.V != "disable" || len(r.all("vpn certificate crl")) > 0:
		return setting.As(ocsp, posture.Optional)
	}
	return setting.As(ocsp, posture.Never)
}

// second is XAUTH with IKEv1, EAP with IKEv2; the other one's words are kept where
// the version was changed, and do nothing. A gateway with EAP proves itself by the
// phase's method and asks the client for EAP.
func (r *reader) second(c *posture.Connection, e *entry) {
	if v, ok := e.set["xauthtype"]; ok && v.text() != "disable" && c.V1.V {
		x := posture.Auth{Method: posture.Written(posture.MethodXAUTH, v.at, "xauthtype "+v.text()), XAUTH: true}
		if v.text() == "client" {
			c.Local = append(c.Local, x)
		} else {
			c.Remote = append(c.Remote, x)
		}
	}
	if v, ok := e.set["eap"]; ok && v.text() == "enable" && c.V2.V {
		eap := posture.Auth{Method: posture.Written(posture.MethodEAP, v.at, "eap "+v.text())}
		if c.Remote[0].Method.V == posture.MethodPubkey {
			c.Remote = []posture.Auth{eap}
		} else {
			c.Remote = append(c.Remote, eap)
		}
	}
}

// given is what "mode-cfg" gives to clients.
func (r *reader) given(c *posture.Connection, e *entry) {
	c.Pool = setting.Of(r.defaults, []string(nil), e.at, true)
	config, ok := e.set["mode-cfg"]
	if !ok || config.text() != "enable" || e.word("type", "static") != "dynamic" || spokes(e) {
		return
	}
	dns := posture.Written([]string(nil), config.at, "")
	if v, ok := e.set["dns-mode"]; ok && v.text() == "auto" {
		dns = r.systemDNS(v)
	}
	for _, key := range []string{"ipv4-dns-server1", "ipv4-dns-server2", "ipv4-dns-server3", "ipv6-dns-server1", "ipv6-dns-server2", "ipv6-dns-server3"} {
		if v, ok := e.set[key]; ok && v.text() != "0.0.0.0" && v.text() != "::" {
			dns = posture.Written(append(dns.V, v.text()), v.at, v.text())
		}
	}
	c.DNS = dns
	pool := posture.Written([]string(nil), config.at, "")
	for _, six := range []string{"ipv4", "ipv6"} {
		from, ok := e.set[six+"-start-ip"]
		if ok && from.text() != "0.0.0.0" && from.text() != "::" {
			pool = posture.Written(append(pool.V, from.text()+"-"+e.word(six+"-end-ip", "")), from.at, from.text())
		}
		if name, ok := e.set[six+"-name"]; ok {
			pool = posture.Written(append(pool.V, name.text()), name.at, name.text())
		}
	}
	c.Pool = pool
}

// spokes tells whether the peers of a phase 1 are other gateways and not clients:
// of ADVPN, or with an overlay's number, which FortiClient does not send. What they
// are given is the address of a tunnel.
func spokes(e *entry) bool {
	return e.word("auto-discovery-sender", "disable") == "enable" || e.word("network-overlay", "disable") == "enable"
}

// systemDNS is what "dns-mode auto" gives: the servers that the device asks
// itself, where they are not the vendor's.
func (r *reader) systemDNS(mode value) posture.Value[[]string] {
	dns := posture.Written([]string{"auto"}, mode.at, "dns-mode auto")
	e := r.one("system dns")
	if e == nil {
		return dns
	}
	var servers []string
	for _, key := range []string{"primary", "secondary"} {
		if v, ok := e.set[key]; ok && v.text() != "0.0.0.0" {
			if servers = append(servers, v.text()); len(servers) == 1 {
				dns.At = v.at
			}
			dns.V, dns.Text = servers, "dns-mode auto: "+strings.Join(servers, " ")
		}
	}
	return dns
}

// replayWindow is taken for a window that can only be turned off: the least that
// RFC 4303, Section 3.4.3, has as a default.
const replayWindow = 64

// child is a phase 2.
func (r *reader) child(e *entry) posture.Child {
	child := posture.Child{Subject: r.subject("child", e.title(), e.at)}
	child.ESP, child.ESPImplicit = r.proposals(e, suite.ProtocolESP)
	pfs := of(r, e, "pfs", "enable", setting.Switch)
	child.PFS = setting.As(pfs, posture.Never)
	if pfs.V {
		child.PFS.V = posture.Always
	}
	r.limits(&child, e)
	replay := of(r, e, "replay", "enable", setting.Switch)
	child.Replay = setting.As(replay, 0)
	if replay.V {
		child.Replay.V = replayWindow
	}
	mode := of(r, e, "encapsulation", "tunnel-mode", word1)
	child.Transport = setting.As(mode, mode.V == "transport-mode")
	child.AH = setting.Of(r.defaults, false, e.at, true)
	child.LocalTS, child.RemoteTS = r.selector(e, "src"), r.selector(e, "dst")
	child.L2TP = e.word("l2tp", "disable") == "enable" || e.word("protocol", "0") == "17" && (e.word("src-port", "") == "1701" || e.word("dst-port", "") == "1701")
	return child
}

// limits are a life in seconds, in kilobytes, or both.
func (r *reader) limits(child *posture.Child, e *entry) {
	kind := of(r, e, "keylife-type", "seconds", word1)
	child.Life = of(r, e, "keylifeseconds", "43200", setting.Seconds)
	if kind.V == "kbs" {
		child.Life = setting.As(kind, time.Duration(0))
	}
	child.Bytes = setting.As(kind, uint64(0))
	if kind.V != "seconds" {
		child.Bytes = of(r, e, "keylifekbs", "5120", func(s string) (uint64, bool) {
			n, err := strconv.ParseUint(s, 10, 40)
			return n << 10, err == nil
		})
	}
}

// selector is what a side's addresses are: a network, a named address, a range,
// and everything where nothing is said.
func (r *reader) selector(e *entry, side string) posture.Value[[]string] {
	for _, key := range []string{side + "-subnet", side + "-name", side + "-subnet6", side + "-name6", side + "-start-ip"} {
		v, ok := e.set[key]
		if !ok {
			continue
		}
		text := v.text()
		switch {
		case key == side+"-start-ip":
			text += "-" + e.word(side+"-end-ip", "")
		case len(v.words) == 2:
			text = prefix(v.words[0], v.words[1])
		}
		return posture.Written([]string{text}, v.at, v.text())
	}
	whole := "0.0.0.0/0"
	if strings.HasSuffix(e.word(side+"-addr-type", "subnet"), "6") {
		whole = "::/0"
	}
	return setting.Of(r.defaults, []string{whole}, e.at, true)
}

// prefix joins an address and a mask.
func prefix(address, mask string) string {
	if ip := net.ParseIP(mask).To4(); ip != nil {
		if ones, bits := net.IPMask(ip).Size(); bits != 0 {
			return address + "/" + strconv.Itoa(ones)
		}
	}
	return address + " " + mask
}

// clients is what those of a phase 1 with mode-cfg are told to send through the
// tunnel, which may be less than the phase 2 takes.
func clients(child *posture.Child, e *entry) {
	key := "ipv4-split-include"
	if strings.Contains(strings.Join(child.LocalTS.V, " "), ":") {
		key = "ipv6-split-include"
	}
	if v, ok := e.set[key]; ok {
		child.LocalTS = posture.Written(v.words, v.at, key+" "+v.text())
	}
}

// claims is what a peer without an address may ask for. A client of mode-cfg has
// the address that it was given, unless it may choose; what others ask for
// becomes a route to them, unless routes are made elsewhere.
func (r *reader) claims(child *posture.Child, e *entry) {
	if e.word("type", "static") != "dynamic" {
		return
	}
	if config := of(r, e, "mode-cfg", "disable", setting.Switch); config.V {
		if own := of(r, e, "mode-cfg-allow-client-selector", "disable", setting.Switch); !own.V {
			child.RemoteTS = setting.As(config, []string{"dynamic"})
		}
		return
	}
	if add := of(r, e, "add-route", "enable", setting.Switch); !add.V {
		child.Routed = setting.As(add, true)
	}
}

// daemon is what holds for all connections.
func (r *reader) daemon() {
	if len(r.host.Connections) == 0 {
		return
	}
	d := posture.Daemon{Subject: r.subject("daemon", "ike", r.file), Product: product}
	for _, e := range r.all("vpn ipsec phase1", "vpn ipsec phase1-interface") {
		if alive := of(r, e, "keepalive", "10", setting.Seconds); !d.Keepalive.Known() || alive.V < d.Keepalive.V {
			d.Keepalive = alive
		}
	}
	d.LogsAuth = r.events()
	d.Accounting = d.LogsAuth // a tunnel's end is an event with its octets and user
	r.host.Daemons = append(r.host.Daemons, d)
}

// events tells whether what VPNs do is recorded.
func (r *reader) events() posture.Value[bool] {
	e := r.one("log eventfilter")
	if e == nil {
		return setting.Of(r.defaults, true, r.file, false)
	}
	if all := of(r, e, "event", "enable", setting.Switch); !all.V {
		return all
	}
	return of(r, e, "vpn", "enable", setting.Switch)
}

// manual are SAs without IKE.
func (r *reader) manual() {
	for _, e := range r.all("vpn ipsec manualkey", "vpn ipsec manualkey-interface") {
		r.host.Manual = append(r.host.Manual, posture.Manual{Subject: r.subject("manual", e.title(), e.at)})
	}
}
