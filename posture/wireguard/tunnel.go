package wireguard

import (
	"crypto/ecdh"
	"encoding/base64"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// tunnel makes one interface of a file. wg-quick names it by the file.
func (r *reader) tunnel(text *source.Text, all []*section) {
	face := &section{kind: "interface", at: text.At(0, 0)}
	for _, s := range all {
		if s.kind == "interface" { // several count as one
			if face.at.Line == 0 {
				face.at = s.at
			}
			face.entries = append(face.entries, s.entries...)
		}
	}
	name := strings.TrimSuffix(path.Base(text.Path), path.Ext(text.Path))
	t := posture.Tunnel{Subject: posture.Subject{Dialect: posture.WireGuard, Kind: "tunnel", Name: name, At: face.at}}
	r.privateKey(&t, text, face)
	r.network(&t, face)
	r.peers(&t, text, all)
	if r.device {
		networkd(&t, face, all)
	} else {
		t.Routes = routes(&t)
		t.KillSwitch, t.StopsIPv6 = killSwitch(&t, face)
	}
	r.in.Host.Tunnels = append(r.in.Host.Tunnels, t)
}

// networkd is what differs where systemd sets the interface up: the name stands in
// the file, AllowedIPs make no routes unless RouteTable is there, and the rest is in
// files that are not read.
func networkd(t *posture.Tunnel, face *section, all []*section) {
	t.DNS = posture.Value[[]string]{}
	t.Table = posture.ByDefault("off", t.At, "systemd-networkd sets no routes for AllowedIPs by itself")
	if e, ok := face.get("routetable"); ok {
		t.Table = posture.Written(strings.ToLower(e.value), e.at, e.value)
	}
	for _, s := range all {
		if e, ok := s.get("routetable"); ok && s.kind == "peer" { // it goes before the interface's
			t.Table = posture.Written(strings.ToLower(e.value), e.at, e.value)
		}
		if s.kind != "netdev" {
			continue
		}
		if e, ok := s.get("name"); ok && e.value != "" {
			t.Name = source.Quote(e.value)
		}
		if e, ok := s.get("mtubytes"); ok {
			if n, err := strconv.ParseUint(e.value, 10, 16); err == nil {
				t.MTU = posture.Written(int(n), e.at, e.value)
			}
		}
	}
	if e, ok := face.get("privatekeyfile"); ok {
		t.PrivateKeyInFile = posture.Written(false, e.at, "")
	}
}

// privateKey: without one in the file, a command of PostUp mostly fetches it.
func (r *reader) privateKey(t *posture.Tunnel, text *source.Text, face *section) {
	e, ok := face.get("privatekey")
	if !ok {
		t.PrivateKeyInFile = posture.ByDefault(false, face.at, "the file has no PrivateKey")
		return
	}
	if r.credential(e) {
		t.PrivateKeyInFile = posture.Written(false, e.at, "")
		return
	}
	r.in.HoldsSecrets(text)
	t.PrivateKeyInFile = posture.Written(true, e.at, "")
	key := decode(e.value)
	if key == nil {
		r.noKey(e, "PrivateKey")
		return
	}
	r.key(t, e.at, key)
}

// credential tells whether a value is the name of a credential that systemd has,
// which stands behind an @.
func (r *reader) credential(e entry) bool { return r.device && strings.HasPrefix(e.value, "@") }

// noKey notes what stands where a key should, and is none.
func (r *reader) noKey(e entry, name string) {
	if setting.LeftOut(e.value) {
		r.in.Note(posture.Opaque, e.at, "%s is left out", name)
		return
	}
	r.in.Note(posture.Malformed, e.at, "%s is not 32 octets in base64", name)
}

// key enters the private key, by its public half alone.
func (r *reader) key(t *posture.Tunnel, at posture.Pos, private []byte) {
	k, err := ecdh.X25519().NewPrivateKey(private)
	clear(private)
	if err != nil {
		return
	}
	r.in.Host.Keys = append(r.in.Host.Keys, posture.Key{
		Subject: posture.Subject{Dialect: posture.WireGuard, Kind: "key", Name: t.Name, At: at},
		Public:  k.PublicKey(), Private: true, Used: []string{t.Name}, Places: []posture.Pos{at},
	})
}

// decode gives the 32 octets of a key, or nil.
func decode(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != 32 {
		return nil
	}
	return b
}

func (r *reader) network(t *posture.Tunnel, face *section) {
	t.DNS = posture.ByDefault([]string(nil), face.at, "wg-quick sets no resolver by itself")
	if dns, at := face.all("dns"); len(dns) > 0 {
		t.DNS = posture.Written(dns, at, strings.Join(dns, ", "))
	}
	t.Table = posture.ByDefault("auto", face.at, "default of wg-quick")
	if e, ok := face.get("table"); ok {
		t.Table = posture.Written(strings.ToLower(e.value), e.at, e.value)
	}
	if e, ok := face.get("mtu"); ok {
		n, err := strconv.ParseUint(e.value, 10, 16)
		if err != nil {
			r.in.Note(posture.Unparsed, e.at, "MTU is not a number of octets")
			return
		}
		t.MTU = posture.Written(int(n), e.at, e.value)
	}
}

// peers reads the peers. One that is here twice is one peer to the kernel, with
// the later settings.
func (r *reader) peers(t *posture.Tunnel, text *source.Text, all []*section) {
	first := map[string]posture.Pos{}
	for _, s := range all {
		if s.kind != "peer" {
			continue
		}
		p := r.peer(text, s)
		if before, twice := first[p.PublicKey]; twice && p.PublicKey != "" {
			r.in.Note(posture.Malformed, s.at, "the peer %s is here twice, first in line %d: the later settings replace the earlier ones", p.Name, before.Line)
		} else {
			first[p.PublicKey] = s.at
		}
		t.Peers = append(t.Peers, p)
	}
}

func (r *reader) peer(text *source.Text, s *section) posture.TunnelPeer {
	p := posture.TunnelPeer{
		Subject:    posture.Subject{Dialect: posture.WireGuard, Kind: "peer", At: s.at},
		PSK:        posture.ByDefault(false, s.at, "the peer has no PresharedKey"),
		AllowedIPs: posture.ByDefault([]string(nil), s.at, "the peer has no AllowedIPs"),
		Keepalive:  posture.ByDefault(time.Duration(0), s.at, "off by default"),
	}
	p.PublicKey = r.publicKey(s)
	p.Name = p.PublicKey
	if p.Name == "" {
		p.Name = "peer of line " + strconv.Itoa(s.at.Line)
	}
	if ips, at := s.all("allowedips"); len(ips) > 0 {
		p.AllowedIPs = posture.Written(ips, at, strings.Join(ips, ", "))
	}
	if e, ok := s.get("endpoint"); ok {
		p.Endpoint = posture.Written(e.value, e.at, e.value)
	}
	if e, ok := s.get("persistentkeepalive"); ok {
		r.keepalive(&p, e)
	}
	if e, ok := s.get("presharedkeyfile"); ok {
		p.PSK = posture.Written(true, e.at, "") // it counts before a key in the file
	} else if e, ok := s.get("presharedkey"); ok {
		r.preshared(&p, text, e)
	}
	return p
}

// publicKey is the key as text. What is no key may be a private one's beginning,
// and is not shown.
func (r *reader) publicKey(s *section) string {
	e, ok := s.get("publickey")
	switch _, file := s.get("publickeyfile"); {
	case file, r.credential(e):
		return ""
	case !ok:
		r.in.Note(posture.Malformed, s.at, "the peer has no PublicKey")
		return ""
	case decode(e.value) == nil:
		r.noKey(e, "PublicKey")
		return ""
	}
	return e.value
}

func (r *reader) keepalive(p *posture.TunnelPeer, e entry) {
	n, err := strconv.ParseUint(e.value, 10, 16)
	if err != nil && !strings.EqualFold(e.value, "off") {
		r.in.Note(posture.Unparsed, e.at, "PersistentKeepalive is not a number of seconds")
		return
	}
	p.Keepalive = posture.Written(time.Duration(n)*time.Second, e.at, e.value)
}

// preshared enters the key, which one pair of peers should have and no other. A
// key of zeros is none (wg(8)).
func (r *reader) preshared(p *posture.TunnelPeer, text *source.Text, e entry) {
	if r.credential(e) {
		p.PSK = posture.Written(true, e.at, "")
		return
	}
	key := decode(e.value)
	if key == nil {
		r.in.HoldsSecrets(text)
		r.noKey(e, "PresharedKey")
		p.PSK = posture.Value[bool]{} // there should be one
		return
	}
	if !slices.ContainsFunc(key, func(b byte) bool { return b != 0 }) {
		p.PSK = posture.Written(false, e.at, "")
		return
	}
	r.in.HoldsSecrets(text)
	p.PSK = posture.Written(true, e.at, "")
	r.in.Host.Secrets = append(r.in.Host.Secrets, posture.Secret{
		Subject: posture.Subject{Dialect: posture.WireGuard, Kind: "secret", Name: p.Name, At: e.at},
		Kind:    posture.PPKSecret,
		Storage: posture.Clear,
		Value:   secret.Bytes(key),
		IDs:     []string{p.Name},
		Anybody: posture.ByDefault(false, e.at, "a preshared key is for one peer"),
		Changed: r.changed(text),
	})
}

func (r *reader) changed(text *source.Text) time.Time {
	i := slices.IndexFunc(r.in.Host.Files, func(f posture.File) bool { return f.Path == text.Show })
	if i < 0 {
		return time.Time{}
	}
	return r.in.Host.Files[i].ModTime
}

// routes are those that wg-quick sets: the networks of all peers, unless it is
// told to set none.
func routes(t *posture.Tunnel) posture.Value[[]string] {
	if t.Table.V == "off" {
		return posture.Value[[]string]{Origin: t.Table.Origin, At: t.Table.At, Text: t.Table.Text}
	}
	var all []string
	for i := range t.Peers {
		all = append(all, t.Peers[i].AllowedIPs.V...)
	}
	return posture.ByDefault(all, t.At, "wg-quick sets a route for each of AllowedIPs")
}

var (
	rejects  = regexp.MustCompile(`(?:^|[\s;&/])(ip6?tables)\s[^;&]*OUTPUT[^;&]*!\s*--mark\s[^;&]*-j\s+(?:REJECT|DROP)`)
	harmless = regexp.MustCompile(`^\s*(?:\S*/)?(?:ip6?tables|iptables-nft|ip|wg|sysctl|resolvectl|resolvconf|echo|logger|ping|conntrack|true|:)(?:\s|$)`)
)

// killSwitch looks for the rule that wg-quick(8) shows: what does not carry the
// interface's mark is rejected on its way out, and whether there is one for IPv6.
// A script may do the same, unseen.
func killSwitch(t *posture.Tunnel, face *section) (stops, stops6 posture.Value[bool]) {
	var v4, v6, unseen bool
	var found entry
	for _, e := range face.entries {
		if e.key != "postup" && e.key != "preup" {
			continue
		}
		for _, m := range rejects.FindAllStringSubmatch(e.value, -1) {
			found = entry{e.key, m[0], e.at} // without the rest of the command, which may hold a password
			v4, v6 = v4 || m[1] == "iptables", v6 || m[1] == "ip6tables"
		}
		unseen = unseen || !plain(e.value)
	}
	switch {
	case v6:
		stops6 = posture.Written(true, found.at, found.value)
	case !unseen:
		stops6 = posture.ByDefault(false, t.At, "no PostUp rejects what does not go through the tunnel")
	}
	all6 := slices.ContainsFunc(t.Peers, func(p posture.TunnelPeer) bool { return slices.Contains(p.AllowedIPs.V, "::/0") })
	switch {
	case v4 && (v6 || !all6):
		return posture.Written(true, found.at, found.value), stops6
	case unseen:
		return posture.Value[bool]{}, stops6
	case v4 || v6:
		return posture.Written(false, found.at, found.value), stops6
	}
	return posture.ByDefault(false, t.At, "no PostUp rejects what does not go through the tunnel"), stops6
}

// plain tells whether all commands of a line are programs that are known to set
// up nothing unseen.
func plain(command string) bool {
	for part := range strings.FieldsFuncSeq(command, func(c rune) bool { return c == ';' || c == '&' || c == '|' }) {
		if strings.TrimSpace(part) != "" && !harmless.MatchString(part) {
			return false
		}
	}
	return true
}
