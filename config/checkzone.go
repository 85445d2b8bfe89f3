package config

import (
	"fmt"
	"net/mail"
	"net/netip"
	"slices"
	"strings"
	"time"
)

func (d *decoder) checkZone(z *Zone, now time.Time) {
	base := "zones." + z.Name
	if d.unread(base + ".protocol") {
		return // what else is right depends on it
	}
	d.checkKeysOfProtocol(base, z)
	d.checkPolicy(base+".policy", z, now)
	if z.Protocol == L2TP {
		d.checkL2TP(base, z, now)
	} else {
		d.checkAuth(base+".auth", z, now)
		d.checkRoutes(base, z)
	}
	d.checkPool(base+".pool", z)
	d.checkRADIUSOf(base+".radius", z)
	d.checkIdentity(base+".identity", z.Identity)
	d.checkDNS(base+".dns", z.DNS, nil, z.Pool)
	d.checkRekey(base+".rekey", z.Rekey)
	d.checkLifetime(base+".auth_lifetime", z.AuthLifetime)
	d.checkRates(base+".user", z.User)
	d.checkTrust(base+".trust", z.Trust)
	for i, w := range z.Waivers {
		d.checkWaiver(fmt.Sprintf("%s.waivers[%d]", base, i), w, z.Protocol, now)
	}
}

// checkKeysOfProtocol refuses what stands in a zone of the other protocol: it
// would do nothing there, and look as if it did.
func (d *decoder) checkKeysOfProtocol(base string, z *Zone) {
	for i := range keys {
		k := &keys[i]
		rest, _ := strings.CutPrefix(k.Path, "zones.ZONE.")
		if section := byPath[above(k.Path)]; section != nil && section.Only == k.Only {
			continue // told of the whole section
		}
		if key := base + "." + rest; k.Only != "" && k.Only != z.Protocol && d.written[key] {
			d.errorAt(key, k.Instead, "%s belongs to %s zones", rest, protocolName(k.Only))
		}
	}
}

// protocolName is how people write the name of a protocol.
func protocolName(protocol string) string {
	if protocol == L2TP {
		return "L2TP"
	}
	return "IKEv2"
}

// The ways to prove who one is.
const (
	Certificate = "certificate"  // an IKE signature
	EAPTLS      = "eap-tls"      // a certificate inside EAP
	PEAP        = "peap"         // a password, or a certificate, inside TLS
	EAPTTLS     = "eap-ttls"     // likewise
	EAPMSCHAPv2 = "eap-mschapv2" // a password without TLS, by waiver
	PSK         = "psk"          // a pre-shared key of one device
)

var authMethods = []string{Certificate, EAPTLS, PEAP, EAPTTLS, EAPMSCHAPv2, PSK}

// EAPMethods are the ways that are methods of EAP (RFC 7296, Section 2.16).
var EAPMethods = []string{EAPTLS, PEAP, EAPTTLS, EAPMSCHAPv2}

// Rules of the catalogue that a zone breaks by a waiver.
const (
	RuleNoPFS     = "CRY-010"
	RuleSHA1      = "CRY-019" // in signatures
	RuleSHA1HMAC  = "CRY-005" // in HMAC; L2TP zones only
	RuleMSCHAPv2  = "PPP-005"
	RuleNoEMS     = "PPP-017"
	RulePSKWeak   = "PSK-001"
	RulePSKListed = "PSK-002" // L2TP zones only
	RulePSKAny    = "PSK-003" // L2TP zones only
	RulePSKShared = "PSK-004"
)

func (d *decoder) checkAuth(key string, z *Zone, now time.Time) {
	methods := z.Auth
	if len(methods) == 0 {
		d.errorAt(key, "write [certificate]", "a zone needs a way to prove who a client is")
	}
	for i, m := range methods {
		at := fmt.Sprintf("%s[%d]", key, i)
		switch {
		case slices.Contains(methods[:i], m):
			d.errorAt(at, "remove it", "%q is here twice", m)
		case m == EAPMSCHAPv2 && !z.WaivedForAnyone(RuleMSCHAPv2, now):
			d.errorAt(at, "use peap or eap-ttls, which put TLS around it, or waive "+RuleMSCHAPv2, "%q lets whoever answers in the gateway's place find the password", m)
		case slices.Contains(authMethods, m):
		case m == "pap" || m == "chap" || m == "mschapv2":
			d.errorAt(at, "use certificate, or eap-ttls for passwords", "%q is never accepted", m)
		default:
			d.errorAt(at, suggest(m, authMethods), "%q is no way to prove who a client is", m)
		}
	}
}

func (d *decoder) checkIdentity(key string, id Identity) {
	if id.ID != "" && !validID(id.ID) {
		d.errorAt(key+".id", "for example vpn.example.org", "%q is no DNS name, IP address or e-mail address", id.ID)
	} else if names := d.config.gatewayNames(); id.ID != "" && id.Certificate == "" && !slices.Contains(names, sameName(id.ID)) && !d.unread("gateway.names") && !d.unread("gateway.name") && !d.unread(key+".certificate") {
		d.errorAt(key+".id", "add it to gateway.names, or give the zone a certificate and its key", "the gateway's own certificates do not carry %q", id.ID)
	}
	d.checkKeyPair(key, id.Certificate, id.Key)
}

// validID accepts the identities that we send as ID_FQDN, ID_IPV4_ADDR,
// ID_IPV6_ADDR and ID_RFC822_ADDR (RFC 7296, Section 3.5).
func validID(s string) bool {
	if a, err := mail.ParseAddress(s); err == nil && a.Address == s {
		return true
	}
	_, err := netip.ParseAddr(s)
	return err == nil || validDomain(s)
}

const (
	// smallestIPv4Pool leaves five clients beside the gateway.
	smallestIPv4Pool = 29
	// smallestIPv6Pool is what clients that ask for a prefix of their own can
	// still be told (RFC 7296, Section 3.15.1).
	smallestIPv6Pool = 120
)

func (d *decoder) checkPool(key string, z *Zone) {
	v4, v6 := z.Pool.IPv4, z.Pool.IPv6
	if !v4.IsValid() && !v6.IsValid() {
		d.errorAt(key, "remove one of the two", "neither IPv4 nor IPv6: clients would get no address")
	}
	d.checkNetwork(key+".ipv4", v4, true, smallestIPv4Pool)
	hint := "remove the key; the default is a private network that needs no IPv6 provider"
	if z.Protocol == L2TP {
		d.checkClientNetworks(key+".ipv6", v6)
		hint = "write a /56 of your own, or fewer routes"
	} else {
		d.checkNetwork(key+".ipv6", v6, false, smallestIPv6Pool)
	}
	if !v6.IsValid() && slices.ContainsFunc(z.Routes, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		d.warnAt(key+".ipv6", hint, "clients take all traffic through the tunnel, but their own IPv6 will go past it")
	}
}

func (d *decoder) checkNetwork(key string, p netip.Prefix, v4 bool, smallest int) {
	switch {
	case !p.IsValid():
	case p.Addr().Is4() != v4:
		d.errorAt(key, "put it under the other key", "%s is of the other family", p)
	case p.Bits() > smallest:
		d.errorAt(key, fmt.Sprintf("write at least a /%d", smallest), "%s is too small for a pool", p)
	case p.Bits() < 8:
		d.errorAt(key, "write at most a /8", "%s is too large for a pool", p)
	case p.Addr().IsMulticast(), p.Addr().IsLoopback(), p.Addr().IsLinkLocalUnicast():
		d.errorAt(key, "take a private network, such as 10.60.0.0/16 or fd00:60::/64", "%s cannot be given to clients", p)
	}
}

// checkDNS takes the resolvers that count where the section names none.
func (d *decoder) checkDNS(key string, dns DNS, others []Server, pool Pool) {
	for i, s := range dns.Servers {
		d.checkServer(fmt.Sprintf("%s.servers[%d]", key, i), s, pool)
	}
	d.checkDomains(key, dns)
	if len(dns.Search) > 0 {
		d.warnAt(key+".search", "set search domains on the other clients", "only the profiles for windows, macos, ios and networkmanager tell them: IKEv2 itself cannot")
	}
	if len(dns.Split) > 0 && len(dns.Servers)+len(others) == 0 {
		d.errorAt(key+".split", "add servers", "split domains need a resolver inside the tunnel")
	}
}

func (d *decoder) checkDomains(key string, dns DNS) {
	for name, domains := range map[string][]string{"search": dns.Search, "split": dns.Split} {
		for i, domain := range domains {
			if !validDomain(domain) {
				d.errorAt(fmt.Sprintf("%s.%s[%d]", key, name, i), "write it in lower case, without a dot at either end", "%q is not a domain", domain)
			}
		}
	}
}

func (d *decoder) checkServer(key string, s Server, pool Pool) {
	switch {
	case s.Gateway:
	case s.Addr.Is4() && !pool.IPv4.IsValid(), s.Addr.Is6() && !pool.IPv6.IsValid():
		d.warnAt(key, "", "clients have no address of that family to reach %s from", s.Addr)
	case slices.Contains(pool.Gateway(), s.Addr):
	case pool.IPv4.Contains(s.Addr), pool.IPv6.Contains(s.Addr):
		d.errorAt(key, "move the resolver out of the pool", "%s is in the pool and may be given to a client", s.Addr)
	}
}

func (d *decoder) checkRoutes(base string, z *Zone) {
	if len(z.Routes) == 0 {
		d.errorAt(base+".routes", "remove the key to let clients reach everything", "without routes clients reach nothing")
	}
	d.checkNetworks(base+".routes", z.Routes)
}

func (d *decoder) checkNetworks(key string, networks Prefixes) {
	for i, p := range networks {
		at := fmt.Sprintf("%s[%d]", key, i)
		switch {
		case !p.IsValid():
			d.errorAt(at, "name a network, such as 10.20.30.0/24, or remove the item", "%q is not a network", none)
		case slices.Contains(networks[:i], p):
			d.errorAt(at, "remove it", "%s is here twice", p)
		}
	}
}

func (d *decoder) checkRekey(key string, r Rekey) {
	if d.broken[key+".ike"] || d.broken[key+".child"] {
		return // one fault, one message
	}
	if r.Child > r.IKE {
		d.errorAt(key+".child", "write at most "+formatDuration(r.IKE), "%s is longer than the life of the IKE SA, %s", formatDuration(r.Child), formatDuration(r.IKE))
	}
	if r.Margin*2 > r.Child {
		d.errorAt(key+".margin", "write at most "+formatDuration(r.Child/2/time.Second*time.Second), "%s is more than half of child, %s", formatDuration(r.Margin), formatDuration(r.Child))
	}
}

// checkLifetime keeps AUTH_LIFETIME from becoming a login every few seconds.
func (d *decoder) checkLifetime(key string, lifetime time.Duration) {
	const shortest = 15 * time.Minute
	if lifetime > 0 && lifetime < shortest {
		d.errorAt(key, "write 0s for no limit", "%s is shorter than %s", formatDuration(lifetime), formatDuration(shortest))
	}
}

func (d *decoder) checkTrust(key string, t Trust) {
	for name, files := range map[string][]string{"cas": t.CAs, "crls": t.CRLs} {
		for i, file := range files {
			d.checkPath(fmt.Sprintf("%s.%s[%d]", key, name, i), file)
		}
	}
	if t.Strict && len(t.CAs) > 0 && len(t.CRLs) == 0 {
		d.warnAt(key+".cas", "add crls, or write strict: false", "clients of these CAs will be refused: there is no revocation list")
	}
}

const (
	// longestWaiver makes somebody look at a weakness at least once a year.
	longestWaiver = 366
	// soon is when an end date begins to be shown.
	soon = 30
)

// waiverHints say what the two texts of a waiver are for.
var waiverHints = map[string]string{
	"owner":  "name who answers for it, such as owner: netops",
	"reason": "say why it cannot be mended yet, such as reason: the printers know nothing else",
}

func (d *decoder) checkWaiver(key string, w Waiver, protocol string, now time.Time) {
	at := slices.IndexFunc(waivable, func(r rule) bool { return r.id == w.Rule })
	switch {
	case w.Rule != "" && at < 0:
		d.errorAt(key+".rule", waivableHint(w.Rule, protocol), "%q cannot be waived", w.Rule)
	case at >= 0 && !waivable[at].in(protocol):
		d.errorAt(key+".rule", waivableHint("", protocol), "%s cannot be waived in an %s zone", w.Rule, protocolName(protocol))
	case at >= 0 && waivable[at].early && w.Peer != "":
		d.errorAt(key+".peer", "remove the key, or put the peer into a zone of its own", "%s cannot be waived for one peer: it counts before it is known who the peer is", w.Rule)
	}
	for name, text := range map[string]string{"owner": w.Owner, "reason": w.Reason} {
		if strings.TrimSpace(text) == "" {
			d.errorAt(key+"."+name, waiverHints[name], "a waiver needs an %s", map[string]string{"owner": "owner", "reason": "honest reason"}[name])
		}
	}
	if d.broken[key+".until"] {
		return
	}
	until, today := w.Until.Format(time.DateOnly), now.UTC().Format(time.DateOnly)
	switch {
	case w.Expired(now):
		d.errorAt(key+".until", "remove the waiver, or agree on a new end with "+quote(w.Owner), "the waiver of %s EXPIRED on %s (today is %s)", w.Rule, until, today)
	case w.Until.After(now.AddDate(0, 0, longestWaiver)):
		d.errorAt(key+".until", "write "+now.UTC().AddDate(0, 0, longestWaiver).Format(time.DateOnly)+" or earlier", "%s is more than %d days ahead", until, longestWaiver)
	case w.Until.Before(now.AddDate(0, 0, soon)):
		d.warnAt(key+".until", "ask "+quote(w.Owner)+" what comes after it", "the waiver of %s ends on %s", w.Rule, until)
	}
}

func waivableHint(written, protocol string) string {
	var ids []string
	for _, r := range waivable {
		if !r.in(protocol) {
			continue
		}
		if strings.EqualFold(r.id, written) {
			return "write " + r.id
		}
		ids = append(ids, r.id+" ("+r.title+")")
	}
	return "this version can waive " + strings.Join(ids, ", ")
}
