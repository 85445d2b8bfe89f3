package config

import "slices"

// Effect says what a change of a key needs.
type Effect uint8

// Live changes take effect on reload, for new sessions at the latest; Restart
// changes need the gateway to be started again.
const (
	Live Effect = iota
	Restart
)

// String returns "reload" or "restart".
func (e Effect) String() string {
	if e == Restart {
		return "restart"
	}
	return "reload"
}

// MarshalText makes reports say "restart" and not 1.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Key is one row of the table of keys. ZONE, GROUP and REALM in a path stand for
// any name of such a section and [] for any element of a list.
type Key struct {
	Path     string
	Meaning  string
	Default  string   // as YAML; empty: required, derived (see Derived), or a section
	Derived  string   // how the default is worked out, when it is not a constant
	Example  string   // as YAML
	Values   []string // the closed set of values, when there is one
	Min, Max int64    // bounds of a number, seconds or octets; both zero: none here
	RFC      string   // where the field is defined, always with section
	Effect   Effect
	Required bool
	Private  bool // names the file of a secret: a value that is none may be the secret, and is not shown

	// For keys of zones, which have protocols.
	Only    string // the one protocol whose zones have the key; empty: all
	Instead string // what to do in a zone of the other protocol
	L2TP    string // the default in an L2TP zone, as YAML, where it is another
}

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

// keys is the table. Order is the order of Effective and of the manual.
var keys = slices.Concat(
	gatewayKeys, zoneKeys, l2tpKeys, waiverKeys, groupKeys,
	realmKeys, serverKeys("radius.REALM.servers", "radius1.example.org:1812", "RFC 2865, Section 3"),
	accountingKeys, serverKeys("radius.REALM.accounting", "radius1.example.org:1813", "RFC 2866, Section 3"),
	dynamicKeys, loggingKeys,
)

var gatewayKeys = []Key{
	{Path: "gateway", Meaning: "What all zones share: the gateway's name, its addresses, its state and its limits."},
	{Path: "gateway.name", Required: true, Effect: Restart,
		Meaning: "The name that clients type and verify: a DNS name or an IP address. It is the gateway's IKE identity and the first name in its certificates.",
		Example: "vpn.example.org", RFC: "RFC 7296, Section 3.5"},
	{Path: "gateway.names", Default: "[]",
		Meaning: "Further names or addresses by which clients may know the gateway; each is put into its certificates.",
		Example: "[vpn2.example.org, 192.0.2.1]", RFC: "RFC 4945, Section 3.1"},
	{Path: "gateway.listen", Default: "[]", Effect: Restart,
		Meaning: "Interfaces or addresses on which IKE and ESP are served. Empty means all of them; name the outer interface where you can.",
		Example: "[eth0]"},
	{Path: "gateway.ports", Meaning: "UDP ports. Clients cannot be told other ones, so this is for tests and for port forwarding."},
	{Path: "gateway.ports.ike", Default: "500", Example: "500", Min: 1, Max: 65535, Effect: Restart,
		Meaning: "UDP port of IKE.", RFC: "RFC 7296, Section 2"},
	{Path: "gateway.ports.natt", Default: "4500", Example: "4500", Min: 1, Max: 65535, Effect: Restart,
		Meaning: "UDP port of IKE and ESP behind NAT.", RFC: "RFC 3948, Section 2"},
	{Path: "gateway.state", Default: "/var/lib/sallyport", Example: "/var/lib/sallyport", Effect: Restart,
		Meaning: "Directory of users, devices, leases, revocations and the CA. It must belong to the gateway's user, mode 0700."},
	{Path: "gateway.control", Meaning: "The control interface that the command line uses."},
	{Path: "gateway.control.socket", Default: "/run/sallyport/control.sock", Example: "/run/sallyport/control.sock", Effect: Restart,
		Meaning: "Path of the Unix socket, at most 107 octets."},
	{Path: "gateway.control.group", Default: `""`, Example: "vpnadmins", Effect: Restart,
		Meaning: "Group whose members may use the socket. Empty means root alone."},
	{Path: "gateway.dataplane", Meaning: "How packets move between the tunnel and the network."},
	{Path: "gateway.dataplane.kind", Default: "userspace", Example: "userspace", Values: []string{"userspace", "null"}, Effect: Restart,
		Meaning: "userspace: ESP in this process, over a TUN device. null: agree on keys but move no packet, for tests."},
	{Path: "gateway.dataplane.device", Default: "sallyport0", Example: "sallyport0", Effect: Restart,
		Meaning: "Name of the TUN device, at most 15 octets."},
	{Path: "gateway.dataplane.mtu", Default: "1400", Example: "1400", Min: 1280, Max: 9000, Effect: Restart,
		Meaning: "Largest inner packet in octets. 1400 leaves room for ESP, UDP and IPv6 on a path of 1500.", RFC: "RFC 8200, Section 5"},
	{Path: "gateway.dataplane.queues", Default: "0", Example: "2", Min: 0, Max: 64, Effect: Restart,
		Meaning: "Workers, each with a TUN queue and a UDP socket; 0 means one per processor."},
	{Path: "gateway.dataplane.offload", Default: "true", Example: "false", Effect: Restart,
		Meaning: "Use segmentation offload (GSO and GRO). Turn it off only to work around a broken driver: it costs most of the throughput."},
	{Path: "gateway.limits", Meaning: "Bounds on what strangers and clients can make the gateway keep in memory."},
	{Path: "gateway.limits.sessions", Default: "100000", Example: "20000", Min: 1, Max: 1000000,
		Meaning: "Established sessions in all; further clients are refused."},
	{Path: "gateway.limits.half_open", Default: "10000", Example: "10000", Min: 10, Max: 1000000,
		Meaning: "Half-open IKE SAs in all, that is, peers that have not authenticated yet."},
	{Path: "gateway.limits.cookie_after", Default: "200", Example: "200", Min: 0, Max: 1000000,
		Meaning: "Number of half-open IKE SAs from which a cookie is asked of every new peer.", RFC: "RFC 7296, Section 2.6"},
	{Path: "gateway.limits.per_source", Default: "50", Example: "50", Min: 1, Max: 100000,
		Meaning: "Half-open IKE SAs of one source (an IPv4 address or an IPv6 /64). Large NATs need more.", RFC: "RFC 8019, Section 4.2"},
}

var zoneKeys = []Key{
	{Path: "zones", Derived: "one zone, staff, with every default",
		Meaning: "Groups of clients under the same rules, by name: lower-case letters, digits and hyphens.",
		Example: "{staff: {policy: strong}}"},
	{Path: "zones.ZONE", Meaning: "One zone."},
	{Path: "zones.ZONE.protocol", Default: "ikev2", Example: "ikev2", Values: []string{"ikev2", "l2tp"}, Effect: Restart,
		Meaning: "ikev2, or l2tp (L2TP over IPsec by IKEv1) for clients that have nothing else. An L2TP zone is apart from all others: a key pair, a pool, a device and a firewall of its own.", RFC: "RFC 7296, Section 1; RFC 3193, Section 1"},
	{Path: "zones.ZONE.policy", Default: "strong", L2TP: "l2tp", Example: "{ike: [aes256gcm16-prfsha384-ecp384], esp: [aes256gcm16-ecp384]}",
		Meaning: "Algorithms: strong, cnsa2, bsi or compatible (in an L2TP zone: l2tp), or own lists of proposals in keywords, best first. In an L2TP zone a waiver of CRY-005 adds to l2tp what Windows and Apple propose with SHA-1, and lets own lists name sha1.", RFC: "RFC 7296, Section 3.3"},
	{Path: "zones.ZONE.policy.ike", Example: "[aes256gcm16-prfsha384-ecp384]",
		Meaning: "Proposals for the IKE SA, best first: cipher, PRF and key exchange.", RFC: "RFC 8247, Section 2"},
	{Path: "zones.ZONE.policy.esp", Example: "[aes256gcm16-ecp384]",
		Meaning: "Proposals for Child SAs, best first: cipher and key exchange. Without a key exchange there is no forward secrecy, which needs a waiver of CRY-010.", RFC: "RFC 8221, Section 5"},
	{Path: "zones.ZONE.auth", Default: "[certificate]", L2TP: "[eap-tls]", Example: "[certificate, eap-tls]",
		Meaning: "How clients prove who they are, best first: certificate (an IKE signature), eap-tls (the same certificate inside EAP), peap and eap-ttls (a password inside TLS), psk (a pre-shared key of one device). eap-mschapv2 (a password without TLS around it, which is what Apple and Android offer by themselves) needs a waiver of PPP-005. The users of an L2TP zone have eap-tls and peap, inside PPP.", RFC: "RFC 7296, Section 2.16"},
	{Path: "zones.ZONE.radius", Default: `""`, Example: "corp",
		Meaning: "The section of radius whose servers judge EAP and take accounting. Empty means that users are the gateway's own.", RFC: "RFC 3579, Section 2"},
	{Path: "zones.ZONE.identity", Meaning: "Another identity for this zone, such as a certificate from a public CA. An L2TP zone never shares a key with an IKEv2 zone; by default the gateway makes it one of its own."},
	{Path: "zones.ZONE.identity.id", Default: `""`, Example: "vpn.example.org",
		Meaning: "The identity sent as IDr: a DNS name, an IP address or an e-mail address. Empty means gateway.name.", RFC: "RFC 7296, Section 3.5"},
	{Path: "zones.ZONE.identity.certificate", Default: `""`, Example: "/etc/sallyport/vpn.pem",
		Meaning: "PEM file with the certificate, then its intermediates. Empty means certificates of the gateway's own CA.", RFC: "RFC 4945, Section 5"},
	{Path: "zones.ZONE.identity.key", Private: true, Default: `""`, Example: "/etc/sallyport/vpn.key",
		Meaning: "PEM file with the private key, readable by its owner alone."},
	{Path: "zones.ZONE.pool", Meaning: "Inner addresses for clients. The first usable address of each network is the gateway's own."},
	{Path: "zones.ZONE.pool.ipv4", Default: "10.60.0.0/16", L2TP: "10.62.0.0/24", Example: "10.61.0.0/16",
		Meaning: "IPv4 network, or none. Two zones must not share one.", RFC: "RFC 7296, Section 3.15.1"},
	{Path: "zones.ZONE.pool.ipv6", L2TP: none, Derived: "a /64 of a unique local prefix worked out from the gateway's and the zone's name, so it never changes",
		Example: `"fd00:60::/64"`, Meaning: "IPv6 network, or none. Without IPv6 in the tunnel a client's own IPv6 goes past it. Each client of an L2TP zone gets a /64, so that the network is a /48 to /60 there.", RFC: "RFC 7296, Section 3.15.1"},
	{Path: "zones.ZONE.dns", Meaning: "Name resolution for clients."},
	{Path: "zones.ZONE.dns.servers", Derived: "[gateway] where routes take all traffic, and none otherwise", L2TP: "[gateway]", Example: "[10.0.0.53]",
		Meaning: "Resolvers, as addresses, or the word gateway: the gateway's own inner addresses, where it passes questions on to the resolvers of its host. The host's packet filter must let port 53 in from the gateway's device, and nothing else may have that port on all addresses. [] leaves the client's resolver alone.", RFC: "RFC 7296, Section 3.15.1"},
	{Path: "zones.ZONE.dns.search", Default: "[]", Example: "[corp.example]",
		Meaning: "Search domains, for the client profiles that carry them: windows, macos, ios and networkmanager."},
	{Path: "zones.ZONE.dns.split", Only: IKEv2, Instead: "remove it: PPP tells resolvers and no domains", Default: "[]", Example: "[corp.example]",
		Meaning: "Domains to be resolved through the tunnel; all others stay with the client's own resolver. Empty means every name goes through the tunnel.", RFC: "RFC 8598, Section 3"},
	{Path: "zones.ZONE.routes", Default: `[0.0.0.0/0, "::/0"]`, Example: "[10.0.0.0/8]",
		Meaning: "Networks that clients may reach through the tunnel. The default takes all their traffic. In an L2TP zone they are only what clients are told, and the default is reach.", RFC: "RFC 7296, Section 2.9"},
	{Path: "zones.ZONE.reach", Only: L2TP, Instead: "write routes", Default: "[]", Example: "[10.20.30.0/24]",
		Meaning: "Networks that the clients of an L2TP zone may reach, which the firewall holds them to; by default nothing but the gateway's resolver. The pool of another zone is left out unless it, or a part of it, is written. An IKEv2 zone has routes instead."},
	{Path: "zones.ZONE.rekey", Meaning: "When keys are replaced. Whichever limit comes first counts."},
	{Path: "zones.ZONE.rekey.ike", Default: "4h", L2TP: "8h", Example: "4h", Min: 10 * minute, Max: day,
		Meaning: "Life of an IKE SA's keys.", RFC: "RFC 7296, Section 2.8"},
	{Path: "zones.ZONE.rekey.child", Default: "1h", Example: "1h", Min: 5 * minute, Max: 8 * hour,
		Meaning: "Life of a Child SA's keys.", RFC: "RFC 7296, Section 2.8"},
	{Path: "zones.ZONE.rekey.bytes", Default: "64GiB", Example: "4GiB", Min: 256 << 20, Max: 1 << 46,
		Meaning: "Traffic in one direction of a Child SA before its keys are replaced.", RFC: "RFC 4301, Section 4.4.2.1"},
	{Path: "zones.ZONE.rekey.packets", Default: "4000000000", Example: "1000000000", Min: 1 << 20, Max: 1<<32 - 1,
		Meaning: "Packets in one direction of a Child SA before its keys are replaced. It stays under 2^32, so that it also serves peers without extended sequence numbers.", RFC: "RFC 4303, Section 3.3.3"},
	{Path: "zones.ZONE.rekey.margin", Only: IKEv2, Instead: "remove it: who began an SA of IKEv1 replaces it, which is mostly the client", Default: "5m", Example: "5m", Min: 10, Max: hour,
		Meaning: "How long before the end of its life a replacement begins. Each SA takes a random part of it off, so that not all rekey at once.", RFC: "RFC 7296, Section 2.8"},
	{Path: "zones.ZONE.dpd", Default: "1m", Example: "30s", Min: 10, Max: hour,
		Meaning: "Silence of a peer after which it is asked whether it still lives.", RFC: "RFC 7296, Section 2.4"},
	{Path: "zones.ZONE.fragment", Only: IKEv2, Instead: "remove it: what RFC 7383 splits is messages of IKEv2", Default: "1280", Example: "1280", Min: 576, Max: 1500,
		Meaning: "Largest IP packet, in octets, that an IKE message is sent in; larger messages are split by IKE itself. 1280 passes every path of IPv6.", RFC: "RFC 7383, Section 2.5.1"},
	{Path: "zones.ZONE.mobike", Only: IKEv2, Instead: "remove it: IKEv1 has nothing like it", Default: "true", Example: "true",
		Meaning: "Let clients change their address, from Wi-Fi to mobile and back, without a new login.", RFC: "RFC 4555, Section 3"},
	{Path: "zones.ZONE.auth_lifetime", Only: IKEv2, Instead: "remove it: it is a notification of IKEv2", Default: "0s", Example: "24h", Max: 30 * day,
		Meaning: "Time after which a client must prove again who it is; 0s means never, and a revoked device is cut at once either way.", RFC: "RFC 4478, Section 3"},
	{Path: "zones.ZONE.encapsulation", Default: "forced", Example: "auto", Values: []string{"forced", "auto"},
		Meaning: "forced: ESP always travels in UDP. auto: only where a NAT was seen; raw ESP (IP protocol 50) otherwise, which is slower here.", RFC: "RFC 7296, Section 2.23"},
	{Path: "zones.ZONE.sessions", Default: "1", Example: "1", Min: 1, Max: 16,
		Meaning: "Live sessions of one device. A further one ends the oldest.", RFC: "RFC 7296, Section 2.4"},
	{Path: "zones.ZONE.user", Meaning: "What one user may have in the zone, over all devices."},
	{Path: "zones.ZONE.user.sessions", Default: "0", Example: "3", Min: 0, Max: 1000,
		Meaning: "Live sessions of one user; 0 means no limit but that of each device. Users with passwords have no devices: each machine of theirs is told from another by what it calls itself, and 16 is the most."},
	{Path: "zones.ZONE.user.when_full", Default: "replace", Example: "reject", Values: []string{"replace", "reject"},
		Meaning: "What happens to one session too many: replace ends the user's oldest, reject refuses the new one."},
	{Path: "zones.ZONE.user.download", Default: "0", Example: "50Mbit", Min: 0, Max: 1e12,
		Meaning: "Rate to each session, from 64kbit on; 0 means no limit. What exceeds it is dropped, and TCP settles there."},
	{Path: "zones.ZONE.user.upload", Default: "0", Example: "10Mbit", Min: 0, Max: 1e12,
		Meaning: "Rate from each session, from 64kbit on; 0 means no limit."},
	{Path: "zones.ZONE.trust", Meaning: "Whose client certificates are believed, beside the gateway's own CA."},
	{Path: "zones.ZONE.trust.cas", Default: "[]", Example: "[/etc/sallyport/corp-ca.pem]",
		Meaning: "PEM files of further CAs.", RFC: "RFC 5280, Section 6.1"},
	{Path: "zones.ZONE.trust.crls", Default: "[]", Example: "[/etc/sallyport/corp.crl]",
		Meaning: "PEM or DER files of their revocation lists, read again on reload.", RFC: "RFC 5280, Section 5"},
	{Path: "zones.ZONE.trust.strict", Default: "true", Example: "true",
		Meaning: "Refuse a client whose CA has no current revocation list.", RFC: "RFC 5280, Section 6.3"},
}

var waiverKeys = []Key{
	{Path: "zones.ZONE.waivers", Default: "[]",
		Example: `[{rule: CRY-019, until: 2027-03-31, owner: alice, reason: "old routers sign with SHA-1 only"}]`,
		Meaning: "Rules that this zone may break, each with a reason, an owner and an end. A waiver past its end is an error."},
	{Path: "zones.ZONE.waivers[].rule", Required: true, Example: "CRY-019",
		Meaning: "The rule that is waived."},
	{Path: "zones.ZONE.waivers[].until", Required: true, Example: "2027-03-31",
		Meaning: "Last day on which the waiver counts (UTC), at most 366 days ahead."},
	{Path: "zones.ZONE.waivers[].owner", Required: true, Example: "alice",
		Meaning: "Who answers for it."},
	{Path: "zones.ZONE.waivers[].reason", Required: true, Example: `"old routers sign with SHA-1 only"`,
		Meaning: "Why it is needed."},
	{Path: "zones.ZONE.waivers[].peer", Default: `""`, Example: "router7.example.org",
		Meaning: "The one peer it is for, by identity. Empty means the whole zone, which is the only way for PPP-005, CRY-005 and PSK-003: those count before it is known who the peer is."},
}

var groupKeys = []Key{
	{Path: "groups", Default: "{}", Example: "{engineers: {zone: staff, routes: [10.1.0.0/16]}}",
		Meaning: "Users of one zone with rules of their own, by name. A user's groups are set with: sallyport user set; a RADIUS server names one in Filter-Id. Of several, the first one in this file counts."},
	{Path: "groups.GROUP", Meaning: "One group."},
	{Path: "groups.GROUP.zone", Required: true, Example: "staff",
		Meaning: "The zone of its users."},
	{Path: "groups.GROUP.pool", Meaning: "Parts of the zone's pool from which its users get their addresses, so that a firewall can tell them by."},
	{Path: "groups.GROUP.pool.ipv4", Default: "none", Example: "10.60.8.0/24",
		Meaning: "IPv4 network within the zone's, apart from those of other groups; or none: anywhere in the zone's that is no other group's."},
	{Path: "groups.GROUP.pool.ipv6", Default: "none", Example: `"fd00:60::8:0/112"`,
		Meaning: "IPv6 network within the zone's, apart from those of other groups; or none: anywhere in the zone's that is no other group's."},
	{Path: "groups.GROUP.dns", Meaning: "Name resolution in place of the zone's."},
	{Path: "groups.GROUP.dns.servers", Default: "[]", Example: "[10.1.0.53]",
		Meaning: "Resolvers in place of the zone's. Empty means the zone's.", RFC: "RFC 7296, Section 3.15.1"},
	{Path: "groups.GROUP.dns.search", Default: "[]", Example: "[eng.example]",
		Meaning: "Search domains in place of the zone's, for the profiles that carry them. Empty means the zone's."},
	{Path: "groups.GROUP.dns.split", Default: "[]", Example: "[eng.example]",
		Meaning: "Split domains in place of the zone's. Empty means the zone's.", RFC: "RFC 8598, Section 3"},
	{Path: "groups.GROUP.routes", Default: "[]", Example: "[10.1.0.0/16]",
		Meaning: "Networks that its users may reach in place of the zone's routes. Empty means the zone's.", RFC: "RFC 7296, Section 2.9"},
	{Path: "groups.GROUP.user", Meaning: "What one of its users may have in place of what the zone says."},
	{Path: "groups.GROUP.user.sessions", Default: "0", Example: "1", Min: 0, Max: 1000,
		Meaning: "Live sessions of one user; 0 means as the zone."},
	{Path: "groups.GROUP.user.when_full", Default: "zone", Example: "reject", Values: []string{"zone", "replace", "reject"},
		Meaning: "What happens to one session too many: as the zone says, replace or reject."},
	{Path: "groups.GROUP.user.download", Default: "0", Example: "20Mbit", Min: 0, Max: 1e12,
		Meaning: "Rate to each session, from 64kbit on; 0 means as the zone."},
	{Path: "groups.GROUP.user.upload", Default: "0", Example: "5Mbit", Min: 0, Max: 1e12,
		Meaning: "Rate from each session, from 64kbit on; 0 means as the zone."},
}

var realmKeys = []Key{
	{Path: "radius", Default: "{}", Example: "{corp: {servers: [{address: \"radius1.example.org:1812\", secret: /etc/sallyport/radius.secret}]}}", Effect: Restart,
		Meaning: "RADIUS servers of an organisation, by a name that zones refer to."},
	{Path: "radius.REALM", Meaning: "The servers of one organisation."},
	{Path: "radius.REALM.servers", Default: "[]", Effect: Restart,
		Example: "[{address: \"radius1.example.org:1812\", secret: /etc/sallyport/radius.secret}]",
		Meaning: "Servers that judge EAP logins, the preferred one first, at most 16; the next is asked when one does not answer. Message-Authenticator is required both ways. Empty: accounting alone, and users are the gateway's own.", RFC: "RFC 3579, Section 2"},
}

// serverKeys are the keys of each server of a list; port says where the usual
// port of such servers is defined.
func serverKeys(list, address, port string) []Key {
	at := func(name string) string { return list + "[]." + name }
	return []Key{
		{Path: at("address"), Required: true, Example: address, Effect: Restart,
			Meaning: "Host and port of the server.", RFC: port},
		{Path: at("secret"), Private: true, Default: `""`, Example: "/etc/sallyport/radius.secret", Effect: Restart,
			Meaning: "File with the shared secret, for UDP: one line of 16 characters at the least, readable by its owner alone. Not with tls.", RFC: "RFC 2865, Section 3"},
		{Path: at("status"), Default: "false", Example: "true", Effect: Restart,
			Meaning: "The server answers Status-Server, by which a dead one is found out and taken back. Servers over TLS are asked in any case.", RFC: "RFC 5997, Section 4"},
		{Path: at("tls"), Meaning: "RADIUS over TLS (RadSec), where ca is set. Both ends show certificates.", RFC: "RFC 6614, Section 2.3"},
		{Path: at("tls.name"), Default: `""`, Example: "radius1.example.org", Effect: Restart,
			Meaning: "The name that the server's certificate must carry. Empty means the host of the address.", RFC: "RFC 6614, Section 2.3"},
		{Path: at("tls.ca"), Default: `""`, Example: "/etc/sallyport/radius-ca.pem", Effect: Restart,
			Meaning: "PEM file with the CA of the server's certificate.", RFC: "RFC 6614, Section 2.3"},
		{Path: at("tls.crl"), Default: `""`, Example: "/etc/sallyport/radius-ca.crl", Effect: Restart,
			Meaning: "PEM or DER file with the CA's revocation list. Empty means that revocation of the server's certificate is not noticed.", RFC: "RFC 5280, Section 6.3"},
		{Path: at("tls.certificate"), Default: `""`, Example: "/etc/sallyport/radius-client.pem", Effect: Restart,
			Meaning: "PEM file with the gateway's certificate, then its intermediates.", RFC: "RFC 6614, Section 2.3"},
		{Path: at("tls.key"), Private: true, Default: `""`, Example: "/etc/sallyport/radius-client.key", Effect: Restart,
			Meaning: "PEM file with its private key, readable by its owner alone.", RFC: "RFC 6614, Section 2.3"},
	}
}

var accountingKeys = []Key{
	{Path: "radius.REALM.accounting", Default: "[]", Effect: Restart,
		Example: "[{address: \"radius1.example.org:1813\", secret: /etc/sallyport/radius.secret}]",
		Meaning: "Servers that take accounting, the preferred one first. What none of them takes waits, over restarts too. Empty: no accounting.", RFC: "RFC 2866, Section 2"},
}

var dynamicKeys = []Key{
	{Path: "radius.REALM.identifier", Default: `""`, Example: "vpn1", Effect: Restart,
		Meaning: "NAS-Identifier, by which the servers know this gateway, at most 253 octets. Empty means gateway.name.", RFC: "RFC 2865, Section 5.32"},
	{Path: "radius.REALM.interim", Default: "10m", Example: "5m", Min: 0, Max: day, Effect: Restart,
		Meaning: "Time between accounting updates of a session when the server names none (Acct-Interim-Interval); 0s means no updates, and less than 1m is refused.", RFC: "RFC 2869, Section 5.16"},
	{Path: "radius.REALM.dynamic", Meaning: "Disconnect and CoA requests: by these a server ends or changes live sessions.", RFC: "RFC 5176, Section 2"},
	{Path: "radius.REALM.dynamic.listen", Default: "none", Example: "192.0.2.1:3799", Effect: Restart,
		Meaning: "Address and UDP port of this host on which they are taken, or none. Choose one that only the servers can reach.", RFC: "RFC 5176, Section 2"},
	{Path: "radius.REALM.dynamic.from", Default: "[]", Effect: Restart,
		Example: "[{address: 192.0.2.9, secret: /etc/sallyport/coa.secret}]",
		Meaning: "Who may send them.", RFC: "RFC 5176, Section 6.1"},
	{Path: "radius.REALM.dynamic.from[].address", Required: true, Effect: Restart, Example: "192.0.2.9",
		Meaning: "Address of the server.", RFC: "RFC 5176, Section 6.1"},
	{Path: "radius.REALM.dynamic.from[].secret", Private: true, Required: true, Effect: Restart, Example: "/etc/sallyport/coa.secret",
		Meaning: "File with the shared secret, readable by its owner alone.", RFC: "RFC 5176, Section 6.1"},
}

var loggingKeys = []Key{
	{Path: "logging", Meaning: "What is logged and how."},
	{Path: "logging.level", Default: "info", Example: "info", Values: []string{"debug", "info", "warn", "error"},
		Meaning: "The least important level that is logged."},
	{Path: "logging.format", Default: "text", Example: "json", Values: []string{"text", "json"}, Effect: Restart,
		Meaning: "text for people, json for machines."},
}

// byPath finds a row of the table.
var byPath = func() map[string]*Key {
	m := make(map[string]*Key, len(keys))
	for i := range keys {
		m[keys[i].Path] = &keys[i]
	}
	return m
}()

// rule is a rule that this version knows how to waive.
type rule struct {
	id, title string
	early     bool   // it counts before it is known who the peer is
	only      string // the protocol whose zones can break it; empty: all
}

func (r rule) in(protocol string) bool { return r.only == "" || r.only == protocol }

// waivable lists the rules that can be waived. A rule that is not here cannot
// be broken at all.
var waivable = []rule{
	{RuleNoPFS, "Child SAs without forward secrecy", false, ""},
	{RuleSHA1, "AUTH by a SHA-1 signature (RFC 7296, method 1)", false, IKEv2},
	{RuleSHA1HMAC, "SHA-1 as HMAC", true, L2TP},
	{RuleMSCHAPv2, "passwords by EAP-MSCHAPv2 without TLS around it", true, IKEv2},
	{RuleNoEMS, "EAP over TLS 1.2 without extended master secret (RFC 7627)", false, ""},
	{RulePSKWeak, "pre-shared keys that could be guessed", false, ""},
	{RulePSKListed, "a pre-shared key that is among the first that are tried", true, L2TP},
	{RulePSKAny, "one pre-shared key for any client", true, L2TP},
	{RulePSKShared, "one pre-shared key on several devices", false, ""},
}

// CanWaive tells whether zones of a protocol may waive a rule.
func CanWaive(id, protocol string) bool {
	return slices.ContainsFunc(waivable, func(r rule) bool { return r.id == id && r.in(protocol) })
}
