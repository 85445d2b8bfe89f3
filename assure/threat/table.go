package threat

import "slices"

// The actors, from the farthest to the nearest.
const (
	stranger  ActorID = "stranger"
	recorder  ActorID = "recorder"
	quantum   ActorID = "quantum"
	middle    ActorID = "middle"
	keyHolder ActorID = "key-holder"
	user      ActorID = "user"
	leaver    ActorID = "leaver"
	local     ActorID = "local"
	reader    ActorID = "backup-reader"
)

var actors = []Actor{
	{ID: stranger, Title: "stranger on the internet", Can: "sends packets to every address that is reachable, and guesses"},
	{ID: recorder, Title: "passive recorder", Can: "sees and keeps every packet on the path, and computes later"},
	{ID: quantum, Title: "recorder with a quantum computer later", Can: "keeps today's packets until classical key exchanges can be undone"},
	{ID: middle, Title: "active man in the middle", Can: "drops, changes, delays and repeats packets on the path"},
	{ID: keyHolder, Title: "holder of the group key", Can: "knows a secret that others prove themselves by, too"},
	{ID: user, Title: "authenticated user", Can: "has a tunnel of his own, or a device of his has been taken over"},
	{ID: leaver, Title: "leaver with old credentials", Can: "knows secrets and holds keys that once were good"},
	{ID: local, Title: "local unprivileged user on the gateway", Can: "runs programs and reads what everybody may read"},
	{ID: reader, Title: "reader of a backup", Can: "holds a copy of the files, and has time"},
}

// What is worth attacking.
const (
	networks    AssetKind = "inner networks"
	traffic     AssetKind = "traffic of clients"
	psks        AssetKind = "pre-shared keys"
	passwords   AssetKind = "user passwords"
	privateKeys AssetKind = "private keys"
	authority   AssetKind = "certificate authority"
	radiusKeys  AssetKind = "RADIUS secrets"
	gateway     AssetKind = "gateway"
	records     AssetKind = "records"
)

// Where something can be reached.
const (
	atIKE        EntryKind = "IKE"
	atESP        EntryKind = "ESP"
	atL2TP       EntryKind = "L2TP"
	atService    EntryKind = "other VPN service"
	atWireGuard  EntryKind = "WireGuard"
	atRADIUS     EntryKind = "RADIUS"
	atTunnel     EntryKind = "inside a tunnel"
	atFiles      EntryKind = "files on the host"
	atBackup     EntryKind = "backups"
	atManagement EntryKind = "management"
)

// The trust boundaries.
const (
	outside     BoundaryID = "B-1"
	intoL2TP    BoundaryID = "B-2"
	pppInner    BoundaryID = "B-3"
	ikeInner    BoundaryID = "B-4"
	toRADIUS    BoundaryID = "B-5"
	amongPeers  BoundaryID = "B-6"
	localFiles  BoundaryID = "B-7"
	otherVPN    BoundaryID = "B-8"
	toRecords   BoundaryID = "B-9"
	toOperators BoundaryID = "B-10"
)

// border is a row of the table of boundaries: it is there where a host has one
// of the traits.
type border struct {
	id       BoundaryID
	from, to string
	where    []trait
}

var borders = []border{
	{outside, "internet", "IKE daemon", []trait{ike}},
	{intoL2TP, "inside IPsec", "L2TP and PPP", []trait{l2tp}},
	{pppInner, "PPP peer", "inner networks", []trait{ppp}},
	{ikeInner, "IKE peer", "inner networks", []trait{ike}},
	{toRADIUS, "gateway", "RADIUS", []trait{radius}},
	{amongPeers, "client", "client", []trait{clients}},
	{localFiles, "configuration files", "local users and backups", []trait{anything}},
	{otherVPN, "internet", "other VPN services", []trait{services, wireguard}},
	{toRecords, "gateway", "records", []trait{anything}},
	{toOperators, "operators' network", "management of the gateway", []trait{anything}},
}

// trait is something that a host has, and that threats arise from.
type trait string

// The traits. A setting that is not known counts as there.
const (
	anything     trait = "a host"
	ike          trait = "an IKE connection"
	answers      trait = "an IKE connection that answers"
	psk          trait = "a pre-shared key"
	certificates trait = "a certificate or a private key"
	eap          trait = "EAP"
	ppp          trait = "PPP"
	l2tp         trait = "L2TP"
	radius       trait = "RADIUS"
	accounts     trait = "user accounts with passwords"
	clients      trait = "clients with addresses of the gateway's"
	wireguard    trait = "WireGuard"
	services     trait = "PPTP, SSTP or OpenVPN"
	secrets      trait = "a file with secrets"
	byHand       trait = "an SA that is keyed by hand"
)

// row is one threat of the table. It arises where a host has one of the traits.
// It is closed where rules of proof passed, and none of them could not be judged.
type row struct {
	id         string
	stride     Stride
	risk       string // R1 to R9 of docs/threats.md
	actors     []ActorID
	title      string
	assets     []AssetKind
	entries    []EntryKind
	boundaries []BoundaryID
	where      []trait
	proof      []string // a finding opens it; all are needed to call it closed
	opens      []string // a finding opens it, too
	bears      []string // a finding makes it easier, and does not open it
	reason     string   // why no rule answers, where none does
}

// table is every threat that is thought of. Ids are never used again.
var table = []row{
	{id: "T-01", stride: Spoofing, risk: "R1", actors: []ActorID{stranger}, title: "A stranger guesses a pre-shared key and joins",
		assets: []AssetKind{psks, networks}, entries: []EntryKind{atIKE}, boundaries: []BoundaryID{outside}, where: []trait{psk},
		proof: []string{"PSK-001", "PSK-002", "PSK-005"}, bears: []string{"PSK-009", "PSK-013"}},
	{id: "T-02", stride: Disclosure, risk: "R1", actors: []ActorID{recorder, middle}, title: "A pre-shared key is guessed offline, from packets of IKEv1",
		assets: []AssetKind{psks}, entries: []EntryKind{atIKE}, boundaries: []BoundaryID{outside}, where: []trait{psk},
		proof: []string{"PSK-010", "PSK-011"}, bears: []string{"PSK-001", "PSK-002"}},
	{id: "T-03", stride: Spoofing, risk: "R1", actors: []ActorID{keyHolder}, title: "Who holds the group key poses as the gateway, and collects passwords",
		assets: []AssetKind{psks, passwords, traffic}, entries: []EntryKind{atIKE}, boundaries: []BoundaryID{outside}, where: []trait{psk},
		proof: []string{"PSK-003", "PSK-006"}, opens: []string{"PSK-004"}, bears: []string{"PPP-005"}},
	{id: "T-04", stride: Spoofing, risk: "R8", actors: []ActorID{leaver}, title: "A leaver uses a shared secret that was never changed",
		assets: []AssetKind{psks, passwords, networks}, entries: []EntryKind{atIKE, atL2TP}, boundaries: []BoundaryID{outside}, where: []trait{psk, accounts},
		proof: []string{"PSK-013", "KEY-017"}, opens: []string{"KEY-018"}, bears: []string{"PSK-003", "PSK-004"}},
	{id: "T-05", stride: Disclosure, risk: "R1", actors: []ActorID{local}, title: "A local user reads secrets and private keys",
		assets: []AssetKind{psks, passwords, privateKeys, radiusKeys}, entries: []EntryKind{atFiles}, boundaries: []BoundaryID{localFiles}, where: []trait{secrets},
		proof: []string{"PSK-007"}, bears: []string{"LOG-008"}},
	{id: "T-06", stride: Disclosure, risk: "R1", actors: []ActorID{reader}, title: "A backup or an export gives its reader secrets",
		assets: []AssetKind{psks, passwords, radiusKeys}, entries: []EntryKind{atBackup}, boundaries: []BoundaryID{localFiles}, where: []trait{secrets},
		proof: []string{"PSK-008"}, bears: []string{"PPP-014"}},
	{id: "T-07", stride: Spoofing, risk: "R2", actors: []ActorID{middle}, title: "Somebody between gateway and RADIUS server forges an acceptance",
		assets: []AssetKind{radiusKeys, networks}, entries: []EntryKind{atRADIUS}, boundaries: []BoundaryID{toRADIUS}, where: []trait{radius},
		proof: []string{"PPP-012", "PSK-012"}, bears: []string{"PSK-004", "PSK-005"}},
	{id: "T-08", stride: Spoofing, risk: "R2", actors: []ActorID{stranger, keyHolder}, title: "A PPP session begins without a proof by its user",
		assets: []AssetKind{networks}, entries: []EntryKind{atL2TP, atService}, boundaries: []BoundaryID{intoL2TP, pppInner}, where: []trait{ppp},
		proof: []string{"PPP-001"}, bears: []string{"PPP-006", "PPP-013"}},
	{id: "T-09", stride: Disclosure, risk: "R2", actors: []ActorID{keyHolder, recorder}, title: "A password is read or computed from a login of PPP",
		assets: []AssetKind{passwords}, entries: []EntryKind{atL2TP, atService}, boundaries: []BoundaryID{intoL2TP}, where: []trait{ppp},
		proof: []string{"PPP-002", "PPP-003", "PPP-004", "PPP-005"}, opens: []string{"PPP-006"}, bears: []string{"PPP-007", "PSK-003"}},
	{id: "T-10", stride: Spoofing, risk: "R2", actors: []ActorID{stranger, keyHolder}, title: "A user's password is guessed",
		assets: []AssetKind{passwords, networks}, entries: []EntryKind{atIKE, atL2TP, atService}, boundaries: []BoundaryID{outside, intoL2TP}, where: []trait{accounts},
		proof: []string{"PPP-014"}, opens: []string{"PPP-013"}, bears: []string{"PSK-005"}},
	{id: "T-11", stride: Spoofing, risk: "R2", actors: []ActorID{middle, keyHolder}, title: "A false EAP server collects the logins of clients",
		assets: []AssetKind{passwords}, entries: []EntryKind{atIKE, atRADIUS}, boundaries: []BoundaryID{outside, toRADIUS}, where: []trait{eap},
		proof: []string{"PPP-008", "PPP-009"}, opens: []string{"PPP-017"}, bears: []string{"PPP-011"}},
	{id: "T-12", stride: Disclosure, risk: "R2", actors: []ActorID{stranger, recorder}, title: "An old VPN service is a weaker way in beside IPsec",
		assets: []AssetKind{networks, passwords}, entries: []EntryKind{atService}, boundaries: []BoundaryID{otherVPN}, where: []trait{services},
		proof: []string{"PPP-016"}, bears: []string{"PPP-004", "PPP-010"}},
	{id: "T-13", stride: Disclosure, risk: "R7", actors: []ActorID{recorder}, title: "L2TP travels in the clear, with all that is in it",
		assets: []AssetKind{traffic, passwords}, entries: []EntryKind{atL2TP}, boundaries: []BoundaryID{intoL2TP}, where: []trait{l2tp},
		proof: []string{"LEAK-001"}, opens: []string{"LEAK-002"}, bears: []string{"PPP-010"}},
	{id: "T-14", stride: Elevation, risk: "R7", actors: []ActorID{stranger}, title: "A stranger opens an L2TP tunnel without IPsec",
		assets: []AssetKind{networks, gateway}, entries: []EntryKind{atL2TP}, boundaries: []BoundaryID{intoL2TP}, where: []trait{l2tp},
		proof: []string{"LEAK-001"}, bears: []string{"PPP-001", "PPP-015"}},
	{id: "T-15", stride: Disclosure, risk: "R3", actors: []ActorID{recorder}, title: "A cipher is broken, and traffic is read",
		assets: []AssetKind{traffic}, entries: []EntryKind{atESP, atIKE}, boundaries: []BoundaryID{outside}, where: []trait{ike},
		proof: []string{"CRY-001", "CRY-002"}, bears: []string{"CRY-014", "CRY-015", "CRY-017", "CRY-018", "CRY-025", "CRY-026", "KEY-003"}},
	{id: "T-16", stride: Disclosure, risk: "R3", actors: []ActorID{recorder}, title: "A key exchange is computed, and all that came of it is read",
		assets: []AssetKind{traffic}, entries: []EntryKind{atIKE}, boundaries: []BoundaryID{outside}, where: []trait{ike},
		proof: []string{"CRY-007", "CRY-008"}, bears: []string{"CRY-009", "CRY-011", "CRY-014", "CRY-015", "CRY-026"}},
	{id: "T-17", stride: Disclosure, risk: "R8", actors: []ActorID{recorder}, title: "One key that is found opens traffic of long ago",
		assets: []AssetKind{traffic}, entries: []EntryKind{atESP}, boundaries: []BoundaryID{outside}, where: []trait{ike},
		proof: []string{"CRY-010", "KEY-001", "KEY-002"}, opens: []string{"KEY-004", "KEY-015"}, bears: []string{"CRY-011", "KEY-003", "RPL-011"}},
	{id: "T-18", stride: Disclosure, risk: "R3", actors: []ActorID{quantum}, title: "Traffic that is recorded today is read with a quantum computer",
		assets: []AssetKind{traffic}, entries: []EntryKind{atIKE, atESP, atWireGuard}, boundaries: []BoundaryID{outside, otherVPN}, where: []trait{ike, wireguard},
		proof: []string{"CRY-022"}, bears: []string{"RPL-010"}},
	{id: "T-19", stride: Tampering, risk: "R3", actors: []ActorID{middle}, title: "Packets are forged or changed on the way",
		assets: []AssetKind{traffic, networks}, entries: []EntryKind{atESP, atIKE}, boundaries: []BoundaryID{outside}, where: []trait{ike},
		proof: []string{"CRY-003", "CRY-004", "CRY-005"}, bears: []string{"CRY-006", "CRY-026", "NAT-008"}},
	{id: "T-20", stride: Tampering, risk: "R6", actors: []ActorID{middle, recorder}, title: "Packets are recorded and sent again",
		assets: []AssetKind{traffic, networks}, entries: []EntryKind{atESP}, boundaries: []BoundaryID{outside}, where: []trait{ike},
		proof: []string{"RPL-001"}, opens: []string{"RPL-008"}, bears: []string{"RPL-002", "RPL-003"}},
	{id: "T-21", stride: Tampering, risk: "R6", actors: []ActorID{middle}, title: "A negotiation is steered to the weakest that both sides take",
		assets: []AssetKind{traffic}, entries: []EntryKind{atIKE}, boundaries: []BoundaryID{outside, intoL2TP}, where: []trait{ike},
		proof: []string{"CRY-012", "CRY-016", "RPL-004"}, opens: []string{"CRY-015", "PPP-007", "RPL-007", "RPL-009", "RPL-010", "RPL-011"}, bears: []string{"CRY-013", "CRY-014"}},
	{id: "T-22", stride: Spoofing, risk: "R3", actors: []ActorID{middle}, title: "A signature or a certificate is forged, or one of another purpose is taken",
		assets: []AssetKind{privateKeys, authority}, entries: []EntryKind{atIKE}, boundaries: []BoundaryID{outside}, where: []trait{certificates},
		proof: []string{"CRY-019", "CRY-021"}, bears: []string{"KEY-009"}},
	{id: "T-23", stride: Spoofing, risk: "R8", actors: []ActorID{stranger, middle}, title: "A private key is computed from its public half, or is known to everybody",
		assets: []AssetKind{privateKeys, authority}, entries: []EntryKind{atIKE}, boundaries: []BoundaryID{outside}, where: []trait{certificates},
		proof: []string{"CRY-020", "KEY-005", "KEY-006", "KEY-008"}, opens: []string{"KEY-007"}},
	{id: "T-24", stride: Elevation, risk: "R3", actors: []ActorID{stranger}, title: "A peer that proves nothing is let in",
		assets: []AssetKind{networks}, entries: []EntryKind{atIKE}, boundaries: []BoundaryID{outside, ikeInner}, where: []trait{ike},
		proof: []string{"CRY-024"}},
	{id: "T-25", stride: Spoofing, risk: "R8", actors: []ActorID{leaver}, title: "A leaver uses a certificate or an account after it was withdrawn",
		assets: []AssetKind{networks, privateKeys}, entries: []EntryKind{atIKE}, boundaries: []BoundaryID{outside}, where: []trait{certificates},
		proof: []string{"KEY-010", "KEY-016"}, opens: []string{"KEY-011", "KEY-018"}, bears: []string{"KEY-004", "KEY-009"}},
	{id: "T-26", stride: Elevation, risk: "R8", actors: []ActorID{local, reader}, title: "The authority's key is taken, and identities are made at will",
		assets: []AssetKind{authority, privateKeys}, entries: []EntryKind{atFiles, atBackup}, boundaries: []BoundaryID{localFiles}, where: []trait{certificates},
		proof: []string{"KEY-012"}, bears: []string{"PSK-007"}},
	{id: "T-27", stride: Disclosure, risk: "R8", actors: []ActorID{recorder}, title: "Keys and nonces can be foretold",
		assets: []AssetKind{traffic, privateKeys}, entries: []EntryKind{atIKE, atESP}, boundaries: []BoundaryID{outside}, where: []trait{ike},
		proof: []string{"KEY-014"}, opens: []string{"KEY-013"}, bears: []string{"KEY-006"}},
	{id: "T-28", stride: Denial, risk: "R6", actors: []ActorID{stranger}, title: "A flood of half-open SAs keeps users out, or the gateway floods others",
		assets: []AssetKind{gateway}, entries: []EntryKind{atIKE}, boundaries: []BoundaryID{outside}, where: []trait{answers},
		proof: []string{"RPL-006"}, opens: []string{"RPL-012"}, bears: []string{"LEAK-014"}},
	{id: "T-29", stride: Elevation, risk: "R5", actors: []ActorID{stranger}, title: "A flaw in a daemon runs the attacker's program, or stops the daemon",
		assets: []AssetKind{gateway, networks, privateKeys}, entries: []EntryKind{atIKE, atL2TP, atService, atRADIUS}, boundaries: []BoundaryID{outside, otherVPN}, where: []trait{anything},
		proof: []string{"CVE-001", "CVE-003"}, opens: []string{"CVE-002", "CVE-004"}, bears: []string{"CRY-025", "CVE-005", "CVE-006", "CVE-007", "CVE-008", "LEAK-014"}},
	{id: "T-30", stride: Disclosure, risk: "R7", actors: []ActorID{stranger, recorder}, title: "Product, version and identities are told to strangers",
		assets: []AssetKind{gateway}, entries: []EntryKind{atIKE}, boundaries: []BoundaryID{outside}, where: []trait{ike},
		proof: []string{"LEAK-013", "CRY-013"}},
	{id: "T-31", stride: Disclosure, risk: "R7", actors: []ActorID{recorder, middle}, title: "Traffic leaves in the clear while the tunnel is down, or beside it",
		assets: []AssetKind{traffic}, entries: []EntryKind{atTunnel}, boundaries: []BoundaryID{ikeInner, otherVPN}, where: []trait{ike, wireguard},
		proof: []string{"RPL-005", "LEAK-010"}, opens: []string{"LEAK-009"}},
	{id: "T-32", stride: Disclosure, risk: "R7", actors: []ActorID{recorder, middle}, title: "Names and addresses of clients leak beside the tunnel",
		assets: []AssetKind{traffic}, entries: []EntryKind{atTunnel}, boundaries: []BoundaryID{ikeInner, pppInner}, where: []trait{clients, wireguard},
		proof: []string{"LEAK-003", "LEAK-006"}, opens: []string{"LEAK-004", "LEAK-005", "LEAK-007", "LEAK-012"}},
	{id: "T-33", stride: Elevation, risk: "R7", actors: []ActorID{user}, title: "A client attacks other clients through the gateway",
		assets: []AssetKind{traffic}, entries: []EntryKind{atTunnel}, boundaries: []BoundaryID{amongPeers}, where: []trait{clients},
		proof: []string{"LEAK-011"}, opens: []string{"LEAK-015"}},
	{id: "T-34", stride: Tampering, risk: "R7", actors: []ActorID{user, stranger}, title: "Routes are changed, or source addresses are forged, by packets",
		assets: []AssetKind{networks, traffic}, entries: []EntryKind{atTunnel}, boundaries: []BoundaryID{ikeInner, pppInner}, where: []trait{anything},
		proof: []string{"LEAK-008"}},
	{id: "T-35", stride: Denial, risk: "R4", actors: []ActorID{middle}, title: "Fragments are lost or kept back, and tunnels stall or do not come up",
		assets: []AssetKind{gateway, traffic}, entries: []EntryKind{atIKE, atESP}, boundaries: []BoundaryID{outside}, where: []trait{ike},
		proof: []string{"NAT-001", "NAT-006"}, opens: []string{"NAT-003", "NAT-004", "NAT-005", "NAT-007"}, bears: []string{"NAT-002", "NAT-009"}},
	{id: "T-36", stride: Repudiation, risk: "R9", actors: []ActorID{user, stranger, leaver}, title: "Nobody can tell who came in, and guessing goes unnoticed",
		assets: []AssetKind{records}, entries: []EntryKind{atIKE, atL2TP, atRADIUS}, boundaries: []BoundaryID{toRecords}, where: []trait{anything},
		proof: []string{"LOG-001", "LOG-005"}, opens: []string{"LOG-006"}, bears: []string{"LOG-007", "LOG-009", "LOG-010"}},
	{id: "T-37", stride: Tampering, risk: "R9", actors: []ActorID{local, middle}, title: "An intruder removes the records of what he did",
		assets: []AssetKind{records}, entries: []EntryKind{atFiles}, boundaries: []BoundaryID{toRecords, localFiles}, where: []trait{anything},
		proof: []string{"LOG-003", "LOG-004"}, bears: []string{"LOG-007", "LOG-008"}},
	{id: "T-38", stride: Disclosure, risk: "R9", actors: []ActorID{local, reader}, title: "Records give away passwords and keys",
		assets: []AssetKind{records, passwords, psks}, entries: []EntryKind{atFiles, atBackup}, boundaries: []BoundaryID{toRecords, localFiles}, where: []trait{anything},
		proof: []string{"LOG-002"}, bears: []string{"LOG-008"}},
	{id: "T-39", stride: Tampering, risk: "R9", actors: []ActorID{local}, title: "The configuration is changed, and nobody sees it",
		assets: []AssetKind{gateway}, entries: []EntryKind{atFiles, atManagement}, boundaries: []BoundaryID{localFiles, toOperators}, where: []trait{anything},
		proof: []string{"LOG-011"}},
	{id: "T-40", stride: Elevation, risk: "R8", actors: []ActorID{leaver, recorder}, title: "An SA that is keyed by hand is read or joined by whoever saw its key once",
		assets: []AssetKind{traffic, networks}, entries: []EntryKind{atESP}, boundaries: []BoundaryID{outside}, where: []trait{byHand},
		proof: []string{"CRY-023"}},
	{id: "T-41", stride: Elevation, risk: "R5", actors: []ActorID{stranger, user}, title: "The gateway is taken over through its management",
		assets: []AssetKind{gateway, privateKeys, networks}, entries: []EntryKind{atManagement}, boundaries: []BoundaryID{toOperators}, where: []trait{anything},
		reason: "who can reach SSH, the web interface and the console, and with what credentials, is not part of a VPN's configuration: look at it by other means"},
	{id: "T-42", stride: Elevation, risk: "R8", actors: []ActorID{user}, title: "A user's device is taken over, and its tunnel with it",
		assets: []AssetKind{networks, privateKeys, passwords}, entries: []EntryKind{atTunnel}, boundaries: []BoundaryID{ikeInner, pppInner}, where: []trait{clients},
		reason: "the state of devices is not in the files of a gateway: manage devices, and let inner networks trust no tunnel as such"},
	{id: "T-43", stride: Disclosure, risk: "R5", actors: []ActorID{local, reader}, title: "Who holds the machine or its disk reads keys and memory",
		assets: []AssetKind{privateKeys, psks, gateway}, entries: []EntryKind{atFiles, atBackup}, boundaries: []BoundaryID{localFiles}, where: []trait{anything},
		reason: "no file tells whether disks are encrypted, where the machine stands, and who administers what it runs on"},
}

// rules are all that bear on the threat.
func (r *row) rules() []string { return slices.Concat(r.proof, r.opens, r.bears) }

// OfRule lists the ids of the threats that a finding of a rule opens, and of
// those that it makes easier.
func OfRule(id string) (opens, bears []string) {
	for i := range table {
		switch r := &table[i]; {
		case slices.Contains(r.bears, id):
			bears = append(bears, r.id)
		case slices.Contains(r.rules(), id):
			opens = append(opens, r.id)
		}
	}
	return opens, bears
}
