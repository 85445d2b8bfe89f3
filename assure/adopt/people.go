package adopt

import (
	"crypto/sha256"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"sallyport/internal/people"
	"sallyport/internal/secret"
	"sallyport/posture"
)

// users go to the list for "sallyport user import": those of L2TP first, whose
// clients know no other zone.
func (a *adopter) users() {
	seen := map[string]string{}
	for _, legacy := range []bool{true, false} {
		for _, s := range a.host.Secrets {
			if s.Kind == posture.UserPassword && (s.Dialect == posture.PPPD) == legacy {
				a.user(s, seen)
			}
		}
	}
	if a.zonesOfPasswords() < 2 {
		for i := range a.out.Users {
			a.out.Users[i].Zone = ""
		}
	}
}

// zonesOfPasswords counts the zones that a user without one could be taken for.
func (a *adopter) zonesOfPasswords() (n int) {
	for _, z := range a.draft.zones {
		if z.takesPasswords() {
			n++
		}
	}
	return n
}

func (z *zone) takesPasswords() bool {
	return slices.Contains(z.auth, "peap") || slices.Contains(z.auth, "eap-ttls")
}

// user is one secret, which may be for several names.
func (a *adopter) user(s posture.Secret, seen map[string]string) {
	if why, do := unfit(s); why != "" {
		a.left(s.Subject, why, do)
		return
	}
	z := a.zoneOfUsers(s.Dialect == posture.PPPD)
	if z == nil {
		a.left(s.Subject, "no zone takes passwords", "add the user: sallyport user add")
		return
	}
	if z.radius {
		a.left(s.Subject, "the RADIUS servers judge the logins of zone "+z.name, "add the user there")
		return
	}
	for _, name := range s.IDs {
		if before, ok := seen[name]; ok {
			a.add(Item{Fate: Changed, At: s.At, Subject: subject(s.Subject), What: "user " + plain(name), Became: "in zone " + before, Why: "a user goes to one zone by password", Do: "move the user when their devices have moved: sallyport user set --zone"})
			continue
		}
		seen[name] = z.name
		u := User{Name: a.userName(name), Password: s.Value, Zone: z.name, Inner: a.inner(s, z)}
		item := Item{Fate: Taken, At: s.At, Subject: subject(s.Subject), What: "user " + plain(name) + " and password", Became: "a line of the list of users"}
		if why := a.unfitPassword(u.Name, s.Value); why != "" {
			u.Password = nil
			item.Fate, item.What, item.Became = Changed, "user "+plain(name), "a line of the list of users, without a password"
			item.Why, item.Do = why, "when the list is imported: sallyport user password "+u.Name+" --generate"
		}
		a.out.Users = append(a.out.Users, u)
		a.add(item)
		if u.Name != name {
			a.add(Item{Fate: Changed, At: s.At, Subject: subject(s.Subject), What: "name " + plain(name), Became: u.Name,
				Why: "names have lower-case letters, digits, dots, hyphens and underscores", Do: "tell the user"})
		}
	}
}

// nameOfUser is what the gateway takes for one.
var nameOfUser = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// userName is a name that the gateway takes, and that nobody else has.
func (a *adopter) userName(name string) string {
	if !nameOfUser.MatchString(name) || strings.Contains(name, "..") {
		name = label(name)
	}
	base := name
	for n := 2; a.logins[name]; n++ {
		name = base + "-" + itoa(n)
	}
	a.logins[name] = true
	return name
}

// unfitPassword says why the gateway would not take a user's password.
func (a *adopter) unfitPassword(user string, p secret.Bytes) string {
	sum := sha256.Sum256(p)
	if why := people.Weak(user, p); why != "" {
		return "the gateway refuses the password: " + why
	}
	if a.taken[sum] {
		return "another user has the same password"
	}
	a.taken[sum] = true
	return ""
}

const longestField = 4096 // of a list of users

// unfit says why a secret is no user's password here.
func unfit(s posture.Secret) (why, do string) {
	set := "set a new password: sallyport user add"
	name := func(id string) bool {
		return strings.TrimSpace(id) == "" || id == "*" || strings.HasPrefix(id, "%") || !utf8.ValidString(id) || len(id) > longestField
	}
	switch {
	case posture.Is(s.Anybody, true), len(s.IDs) == 0, slices.ContainsFunc(s.IDs, name):
		return "the password is for anybody, and not for one user", "give each user one of their own"
	case s.Dialect == posture.PPPD && len(s.Hosts) == 0:
		return "it is a password that the host itself logs in with elsewhere", ""
	case s.Storage == posture.Elsewhere:
		return "the password is in another file", set
	case s.Storage != posture.Clear && s.Storage != posture.Reversible, len(s.Value) == 0:
		return "the file has a hash of the password, from which it cannot be had", set
	case !utf8.Valid(s.Value) || len(s.Value) > longestField || slices.ContainsFunc(s.Value, func(c byte) bool { return c < ' ' || c == 0x7f }):
		return "the password has characters that cannot be typed", set
	}
	return "", ""
}

// zoneOfUsers is where users of a kind go.
func (a *adopter) zoneOfUsers(legacy bool) *zone {
	takes := func(z *zone) bool {
		return z.l2tp == legacy && z.takesPasswords()
	}
	i := slices.IndexFunc(a.draft.zones, takes)
	if i < 0 {
		legacy = !legacy
		i = slices.IndexFunc(a.draft.zones, takes)
	}
	if i < 0 {
		return nil
	}
	return a.draft.zones[i]
}

// numeric is what addresses and networks are written with in chap-secrets.
var numeric = regexp.MustCompile(`^!?[0-9a-fA-F.:/+-]+$`)

// addressWord is an address for the report. What is none may be the rest of a
// password with a space and without quotes.
func addressWord(h string) string {
	if !numeric.MatchString(h) {
		return "that is none"
	}
	return plain(h)
}

// inner are the addresses that a user always had, as far as they are in the
// pool and not the gateway's.
func (a *adopter) inner(s posture.Secret, z *zone) []netip.Addr {
	var all []netip.Addr
	for _, h := range s.Hosts {
		addr, err := netip.ParseAddr(h)
		switch {
		case h == "*" || h == "-":
		case err != nil || !z.v4.Contains(addr) || addr == z.v4.Addr().Next() || addr == z.v4.Addr() || len(all) > 0 || a.inUse[addr]:
			a.add(Item{Fate: Left, At: s.At, Subject: subject(s.Subject), What: "address " + addressWord(h), Why: "it is no single free address of the zone's pool", Do: "give the user one: sallyport user set"})
		default:
			all = append(all, addr)
			a.inUse[addr] = true
		}
	}
	return all
}

// peers are those that a pre-shared key is for, without ourselves.
func (a *adopter) peers(s posture.Secret) []string {
	return slices.DeleteFunc(slices.Clone(s.IDs), func(id string) bool {
		id = strings.TrimPrefix(id, "@")
		return id == "" || a.own[id]
	})
}

// ofOne tells whether a secret is the pre-shared key of one peer.
func (a *adopter) ofOne(s posture.Secret) bool {
	return s.Kind == posture.PSK && !posture.Is(s.Anybody, true) && s.Storage == posture.Clear && len(s.Value) > 0 && len(a.peers(s)) == 1
}

// keys are all secrets but the passwords of users.
func (a *adopter) keys() {
	for _, s := range a.host.Secrets {
		switch s.Kind {
		case posture.PSK:
			a.key(s)
		case posture.GroupKey:
			a.left(s.Subject, "a key of a group lets each member pose as the gateway (PSK-003)", "give each device its own: sallyport device add")
		case posture.TunnelSecret:
			a.left(s.Subject, "tunnels of L2TP have no secret here: IPsec proves the machine", "")
		case posture.PPKSecret:
			a.left(s.Subject, "the gateway has no PPKs (RFC 8784)", "")
		case posture.KeyPassword:
			a.left(s.Subject, "the key it opens stays with the old product", "")
		case posture.UserPassword, posture.RADIUSSecret: // users, servers
		default:
			a.left(s.Subject, "the gateway has no use for it", "")
		}
	}
}

func (a *adopter) key(s posture.Secret) {
	i := slices.IndexFunc(a.draft.zones, func(z *zone) bool { return slices.Contains(z.auth, "psk") || slices.Contains(z.machine, "psk") })
	switch {
	case posture.Is(s.Anybody, true) || len(a.peers(s)) == 0:
		a.left(s.Subject, "one pre-shared key for all clients lets each pose as the gateway (PSK-003)", "give each device a certificate, or a key of its own: sallyport device add --psk")
		return
	case len(a.peers(s)) > 1:
		a.left(s.Subject, "the key is shared by several peers, and each could pose as the others (PSK-004)", "give each a key of its own: sallyport device add --psk")
		return
	case !a.ofOne(s) || i < 0:
		a.left(s.Subject, "no connection for clients uses it", "give the device a key: sallyport device add --psk")
		return
	}
	peer := strings.TrimPrefix(a.peers(s)[0], "@")
	k := DeviceKey{Zone: a.draft.zones[i].name, Key: s.Value}
	if p, _, ok := network(peer); ok {
		k.Address = p.String()
		k.Name = a.freeName(label("peer-" + peer))
	} else {
		k.Name = a.freeName(label(peer))
	}
	a.out.Keys = append(a.out.Keys, k)
	a.add(Item{Fate: Taken, At: s.At, Subject: subject(s.Subject), What: "pre-shared key of " + plain(peer), Became: "file psk/" + k.Name + ".psk",
		Do: "add the device with the command below; a key that could be guessed is refused, and then: --psk alone makes a new one"})
}

func (a *adopter) freeName(name string) string {
	base := name
	for n := len(a.names) + 1; a.names[name]; n++ {
		name = base + "-" + itoa(n)
	}
	a.names[name] = true
	return name
}

// servers are the RADIUS servers that the host asks.
func (a *adopter) servers() {
	for _, r := range a.host.RADIUS {
		address := serverAddress(r.Address.V)
		secret, ok := a.secretOf(r)
		switch {
		case r.Server.V:
			a.left(r.Subject, "this is the server's side, which stays as it is", "enter the gateway as a client, with Message-Authenticator required")
		case address == "":
			a.left(r.Subject, "the files do not say where the server is", "name it in radius")
		case slices.Contains(a.draft.radius, address):
			a.add(Item{Fate: Taken, At: r.At, Subject: subject(r.Subject), What: "server " + plain(r.Address.V), Became: "radius.old.servers"})
		case len(a.draft.radius) == mostServers:
			a.left(r.Subject, "there are at most 16 servers", "")
		default:
			a.draft.radius = append(a.draft.radius, address)
			a.draft.acct = a.draft.acct || posture.Is(r.Accounting, true)
			a.server(r, address, secret, ok)
		}
	}
}

const mostServers = 16

func (a *adopter) server(r posture.RADIUS, address string, value secret.Bytes, ok bool) {
	const least = 16
	item := Item{Fate: Taken, At: r.At, Subject: subject(r.Subject), What: "server " + plain(r.Address.V) + " and its secret", Became: "radius.old.servers: " + address}
	switch {
	case !ok:
		item.Fate, item.Why, item.Do = Changed, "its secret is not in the files", "write it to "+radiusFile(len(a.draft.radius))
	case len(value) < least:
		item.Fate, item.Why, item.Do = Changed, "its secret is shorter than 16 characters, which the gateway refuses", "agree on a new one with the server, in "+radiusFile(len(a.draft.radius))
	default:
		a.out.Files = append(a.out.Files, SecretFile{radiusFile(len(a.draft.radius)), value})
	}
	a.add(item)
}

func radiusFile(n int) string { return "radius-" + itoa(n) + ".secret" }

func (a *adopter) secretOf(r posture.RADIUS) (secret.Bytes, bool) {
	i := slices.IndexFunc(a.host.Secrets, func(s posture.Secret) bool {
		return s.Kind == posture.RADIUSSecret && s.Name == r.Name && len(s.Value) > 0
	})
	if i < 0 {
		return nil, false
	}
	return a.host.Secrets[i].Value, true
}

// serverAddress is host:port; the port of RADIUS where there is none.
func serverAddress(text string) string {
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(ip, 1812).String()
	}
	if ap, err := netip.ParseAddrPort(text); err == nil && ap.Port() > 0 {
		return ap.String()
	}
	host, port, ok := strings.Cut(text, ":")
	if !ok {
		port = "1812"
	}
	host = strings.ToLower(host)
	if !isName(host) || strings.Trim(port, "0123456789") != "" || port == "" || len(port) > 5 {
		return ""
	}
	return host + ":" + port
}
