// Package posture is the shared noun of the assurance tools: what one host
// offers, accepts and requires, in the words of IPsec, L2TP and PPP and not in
// those of a product.
//
// Readers (the packages below this one, one for each product's files) make a
// [Host]; rules judge it. Every setting is a [Value] that says whether it was
// written, is the product's default, or was inferred, and where. A setting
// whose Origin is [Unknown] is one that the files do not tell: no rule may take
// it for good or for bad.
//
// The types are plain data. A reader owns a Host until it returns; afterwards
// nobody changes it.
package posture

import (
	"io/fs"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/suite"
)

// Host is everything that was read of one host: one gateway, one client, one
// router.
type Host struct {
	Name     string // as the files say, or from where they were; may be empty
	Products []Product
	Files    []File
	Notes    []Note

	Connections []Connection // IKE: one for each peer or group of peers
	Manual      []Manual     // SAs without IKE
	Daemons     []Daemon     // what holds for all connections of an IKE daemon
	Secrets     []Secret     // every shared secret and password
	L2TP        []L2TP       // listeners
	PPP         []PPP        // what PPP asks of peers, or offers to servers
	EAP         []EAP        // EAP and RADIUS servers
	RADIUS      []RADIUS     // pairs of RADIUS client and server
	Services    []Service    // other VPN services on the host: PPTP, SSTP
	Tunnels     []Tunnel     // WireGuard interfaces
	Firewalls   []Firewall
	Kernel      []Kernel  // sysctl settings
	Logs        []Logging // where records go
	Units       []Unit    // how daemons are run
	Binaries    []Binary  // programs of daemons, where the files are there
	Keys        []Key     // certificates and private keys
	CRLs        []CRL
	Packages    []Package
	Waivers     []Waiver // findings that the configuration itself answers for
}

// Dialect is the language of a configuration. Rules say for each what to write.
type Dialect string

// The dialects that are read.
const (
	Swanctl    Dialect = "swanctl"    // swanctl.conf and strongswan.conf
	Starter    Dialect = "strongswan" // ipsec.conf and ipsec.secrets of strongSwan
	Libreswan  Dialect = "libreswan"  // ipsec.conf and *.secrets of Libreswan
	Xl2tpd     Dialect = "xl2tpd"
	PPPD       Dialect = "pppd"
	FreeRADIUS Dialect = "freeradius"
	NFTables   Dialect = "nftables"
	IPTables   Dialect = "iptables"
	Linux      Dialect = "linux" // sysctl, logging, units, packages
	RouterOS   Dialect = "routeros"
	IOS        Dialect = "ios" // Cisco IOS and IOS XE
	FortiOS    Dialect = "fortios"
	PfSense    Dialect = "pfsense"
	OPNsense   Dialect = "opnsense"
	VyOS       Dialect = "vyos"
	Windows    Dialect = "windows"
	WireGuard  Dialect = "wireguard"
	Sallyport  Dialect = "sallyport"
	X509       Dialect = "x509" // certificate, key and CRL files of any product
)

// Title is the dialect's name for a person.
func (d Dialect) Title() string {
	if t, ok := titles[d]; ok {
		return t
	}
	return string(d)
}

var titles = map[Dialect]string{
	Swanctl: "strongSwan (swanctl)", Starter: "strongSwan (ipsec.conf)", Libreswan: "Libreswan", Xl2tpd: "xl2tpd", PPPD: "pppd",
	FreeRADIUS: "FreeRADIUS", NFTables: "nftables", IPTables: "iptables", Linux: "Linux", RouterOS: "MikroTik RouterOS", IOS: "Cisco IOS",
	FortiOS: "FortiGate", PfSense: "pfSense", OPNsense: "OPNsense", VyOS: "VyOS", Windows: "Windows", WireGuard: "WireGuard",
	Sallyport: "Sallyport", X509: "certificates",
}

// Dialects lists them all, in the order above.
func Dialects() []Dialect {
	return []Dialect{Swanctl, Starter, Libreswan, Xl2tpd, PPPD, FreeRADIUS, NFTables, IPTables, Linux, RouterOS, IOS, FortiOS, PfSense, OPNsense, VyOS, Windows, WireGuard, Sallyport, X509}
}

// Pos is a place in a file. Line and Col count from 1; zero is the file as a
// whole.
type Pos struct {
	File string // as a person would write it: relative to what was given
	Line int
	Col  int
}

// Origin says where a value comes from.
type Origin uint8

// The zero Origin is Unknown: the files do not tell.
const (
	Unknown  Origin = iota
	Explicit        // written in a file
	Default         // not written: what this version of the product does then
	Inferred        // concluded, because the version or another file is not known
)

// String is the word of the reports.
func (o Origin) String() string {
	return [...]string{"unknown", "explicit", "default", "inferred"}[o]
}

// Value is one setting in force.
type Value[T any] struct {
	V      T
	Origin Origin
	At     Pos    // of the line that sets it, or of the section that does not
	Text   string // as written, for reports; never of a secret
	Why    string // for Default and Inferred: "default of strongSwan before 6.0.2"
}

// Known tells whether anything may be concluded from the value.
func (v Value[T]) Known() bool { return v.Origin != Unknown }

// Is tells whether the value is known and equal to one.
func Is[T comparable](v Value[T], want T) bool { return v.Known() && v.V == want }

// Written makes an explicit value.
func Written[T any](v T, at Pos, text string) Value[T] {
	return Value[T]{V: v, Origin: Explicit, At: at, Text: text}
}

// ByDefault makes a value that the product takes where nothing is written.
func ByDefault[T any](v T, at Pos, why string) Value[T] {
	return Value[T]{V: v, Origin: Default, At: at, Why: why}
}

// Guess makes an inferred value.
func Guess[T any](v T, at Pos, why string) Value[T] {
	return Value[T]{V: v, Origin: Inferred, At: at, Why: why}
}

// Subject names what a rule looks at.
type Subject struct {
	Dialect Dialect
	Kind    string // "connection", "child", "secret", "ppp", ...
	Name    string // as in the file; peer text is quoted where it is shown
	At      Pos
}

// Product is an implementation that the files belong to.
type Product struct {
	Dialect Dialect
	Name    string        // "strongSwan", "Libreswan", "RouterOS"
	Version Value[string] // "5.9.8"; Unknown where the files do not tell
}

// File is one file that was seen.
type File struct {
	Path    string
	Dialect Dialect // empty: nobody reads it
	Size    int64
	Mode    fs.FileMode // permission bits; meaningful with HasMode
	UID     uint32
	GID     uint32
	HasMode bool // false where the files are a copy whose modes mean nothing
	ModTime time.Time
	Secrets bool // holds secrets or private keys
}

// NoteKind is why a note was made.
type NoteKind string

// What a reader could not read. Unparsed and Unused are shown as information; the others
// make the target partly or wholly not assessable.
const (
	Unparsed   NoteKind = "unparsed"   // a line or a word that the reader does not know
	Unreadable NoteKind = "unreadable" // a file that cannot be opened, is binary or too large
	Outside    NoteKind = "outside"    // an include or a link that leaves what was given
	Limit      NoteKind = "limit"      // a bound of the reader: too deep, too many, too long
	Opaque     NoteKind = "opaque"     // encrypted or left out by the product's export
	Malformed  NoteKind = "malformed"  // the file is not what it seems to be
	Unused     NoteKind = "unused"     // a connection that is written and not in force, which nobody judges
)

// Note is one thing that a reader could not read. Text must not hold secrets.
type Note struct {
	Kind    NoteKind
	Dialect Dialect
	At      Pos
	Text    string
}

// Proposal is a set of transforms of which one of each type is chosen, in
// IKEv2's numbers whatever the protocol.
type Proposal struct {
	Transforms []suite.Transform
	AddKE      []suite.Transform // additional key exchanges (RFC 9370), such as ML-KEM
	Unknown    []string          // words without an entry in the registry
	At         Pos
	Text       string // as written
	Default    bool   // the product's own, added to what is written
	Inferred   bool   // with Default: of the version that is taken where it is not known
	// Implied are the types of which nothing is written, in a product that takes
	// its own for each type by itself.
	Implied []suite.TransformType
	Groups  Value[string] // the words of its key exchanges, where they are set by themselves; zero: with the rest
}

// Of are the transforms of one type, in order of preference.
func (p Proposal) Of(typ suite.TransformType) []suite.Transform {
	var of []suite.Transform
	for _, t := range p.Transforms {
		if t.Type == typ {
			of = append(of, t)
		}
	}
	return of
}

// Role is who may begin.
type Role uint8

// The bits of Role.
const (
	Answers   Role = 1 << iota // takes connections from peers
	Initiates                  // opens connections
)

// Connection is one IKE configuration: a swanctl connection, an ipsec.conf
// conn, a RouterOS peer with its identity and profile, a phase 1.
type Connection struct {
	Subject
	Product string // name in Host.Products

	Role     Value[Role]
	V1, V2   Value[bool] // which versions are answered or opened
	Address  Value[[]string]
	AnyPeer  Value[bool] // peers at any address
	Phase1   string      // the named set of IKE's parameters that it refers to: a profile, where others may refer to it, too
	Table    string      // the table it is in, where a product has several and a fix has to name it: of FortiOS, "vpn ipsec phase1"
	Again    []Pos       // other places of its section, where a product takes one in parts
	Disabled bool        // written and not loaded: rules do not judge it
	Shunt    bool        // no tunnel: its children are policies for packets, and nothing but FailOpen is judged

	Aggressive  Value[bool]       // version 1
	IKE         Value[[]Proposal] // effective, with defaults filled in
	IKEImplicit Value[bool]       // the product adds its default proposals to what is written, or there is nothing but them
	Local       []Auth            // how we prove ourselves, one for each round
	Remote      []Auth            // how the peer does
	PPK         Value[Demand]     // RFC 8784
	Childless   Value[bool]

	FragmentSize Value[int] // of IKE, in octets of the IP packet, where it is not the daemon's

	IKELife    Value[time.Duration] // 0: none
	Reauth     Value[time.Duration] // 0: never
	Rekey      Value[bool]          // false: never rekeyed by us
	DPD        Value[time.Duration] // 0: off
	Fragments  Value[bool]          // IKE fragmentation, RFC 7383
	NATT       Value[bool]          // NAT traversal
	MOBIKE     Value[bool]
	Obeys      Value[bool] // takes the peer's lifetimes or weaker values as they come
	Revocation Value[Demand]
	SendsVID   Value[bool]
	SHA1Sig    Value[bool] // signatures with SHA-1 are made or taken
	PrivateAlg Value[bool] // private-use transforms are taken

	DNS         Value[[]string] // pushed to clients; empty: none
	Pool        Value[[]string] // addresses given to clients; empty: none
	AsksAddress Value[bool]     // asks for an inner address, as the client of a gateway does
	Children    []Child
}

// Child is what a Child SA may be.
type Child struct {
	Subject
	Again       []Pos  // other places of its section, as of a connection
	Phase2      string // the named set of ESP's parameters that it refers to, where others may refer to it, too
	ESP         Value[[]Proposal]
	ESPImplicit Value[bool]
	AH          Value[bool] // AH is used, alone or beside ESP
	PFS         Value[Demand]
	Life        Value[time.Duration] // 0: none
	Bytes       Value[uint64]        // 0: none
	Packets     Value[uint64]
	Replay      Value[int]  // packets; 0: off
	ESN         Value[bool] // extended sequence numbers are offered
	IPComp      Value[bool]
	SHA256Trunc Value[bool] // the 96-bit truncation of old Linux and Cisco
	Transport   Value[bool]
	FailOpen    Value[bool] // packets leave in the clear when there is no SA
	LocalTS     Value[[]string]
	RemoteTS    Value[[]string]
	Routed      Value[bool] // routes say what goes into the SA, as with an interface of its own, and its selectors bound nothing
	L2TP        bool        // protects UDP 1701
}

// Demand is how far something is insisted on.
type Demand uint8

// From not at all to always.
const (
	Never Demand = iota
	Optional
	Always
)

// String is a word for reports.
func (d Demand) String() string { return [...]string{"never", "optional", "always"}[d] }

// Auth is one round of one side's proof.
type Auth struct {
	Method   Value[Method]
	EAP      Value[[]string] // methods in lower case: "tls", "mschapv2", "md5"; for Method EAP
	XAUTH    bool            // a round of XAUTH after IKEv1's own
	AnyWord  Value[bool]     // that round lets users in whatever password they say
	ID       Value[string]   // identity of that side; "%any": any
	CA       Value[string]   // the authority it must come from; empty: any that is trusted
	CertFile string
	RawKey   bool // the side's public key stands in the files, so that no certificate is asked for
}

// Method is how a side proves itself.
type Method string

// The methods of IKE.
const (
	MethodPSK    Method = "psk"
	MethodPubkey Method = "pubkey"
	MethodEAP    Method = "eap"
	MethodNull   Method = "null"
	MethodXAUTH  Method = "xauth"
	MethodHybrid Method = "hybrid"
)

// Manual is an SA or policy that was set by hand (RFC 4301 manual keying).
type Manual struct{ Subject }

// Daemon is what an IKE daemon does for all connections.
type Daemon struct {
	Subject
	Product string

	Cookies       Value[bool] // asked for under load
	HalfOpenLimit Value[int]  // 0: none
	BlockLimit    Value[int]  // half-open of one source; 0: none
	AggressivePSK Value[bool] // willing to answer aggressive mode with PSK
	FragmentSize  Value[int]  // octets of the IP packet
	SendsVID      Value[bool]
	SHA1Sig       Value[bool]
	PrivateAlg    Value[bool]
	UnencryptedV1 Value[bool] // takes unencrypted messages in main mode
	StrictCRL     Value[Demand]
	CRLFetch      Value[bool]
	OCSP          Value[bool]
	TLSMin        Value[string]              // "1.0" to "1.3"
	EAPFirst      Value[[]string]            // asked for first where clients may choose (eap-dynamic)
	EAPInner      map[string]Value[[]string] // inside a method of tunnels, where it is set
	StrongRNG     Value[bool]                // false: a source of randomness was replaced or weakened
	Sandboxed     Value[bool]                // seccomp or an equal
	Plugins       Value[[]string]
	CopyDF        Value[bool]
	SkipsLAN      Value[bool]     // packets for the networks that the host is attached to go past the tunnels
	LogsAuth      Value[bool]     // success and failure are recorded
	LogsSecrets   Value[bool]     // keys or passwords reach the log
	LogsID        Value[bool]     // lines carry the SA's name or id, or are structured
	Accounting    Value[bool]     // sessions are accounted: RADIUS, updown script
	Replay        Value[int]      // window of children that have none of their own
	DNS           Value[[]string] // told to all clients
	Keepalive     Value[time.Duration]
}

// SecretKind is what a secret is for.
type SecretKind string

// The kinds of secrets.
const (
	PSK          SecretKind = "psk"
	GroupKey     SecretKind = "group key" // with XAUTH
	UserPassword SecretKind = "password"
	RADIUSSecret SecretKind = "radius secret"
	TunnelSecret SecretKind = "l2tp secret"
	PPKSecret    SecretKind = "ppk"
	KeyPassword  SecretKind = "key passphrase"
	Sealed       SecretKind = "backup" // a whole file under a password, with whatever it holds
)

// Storage is how a secret lies in a file.
type Storage string

// The ways of storage, worst first.
const (
	Clear      Storage = "clear"
	Reversible Storage = "reversible" // obfuscated: Cisco type 7, base64
	WeakHash   Storage = "weak hash"  // MD5-crypt and the like
	Hashed     Storage = "hashed"
	Encrypted  Storage = "encrypted" // with a key that is not in the file
	Elsewhere  Storage = "elsewhere" // the file names another file or store
)

// Secret is one shared secret or password.
type Secret struct {
	Subject
	Kind    SecretKind
	Storage Storage
	Value   secret.Bytes // decoded octets; empty unless clear or reversible
	IDs     []string     // selectors: peers, users, addresses it is for; empty: anybody
	Server  []string     // for chap-secrets: the second column
	Hosts   []string     // for chap-secrets: addresses the user may have; "*": any
	Anybody Value[bool]  // any peer may use it
	Traps   []string     // what was odd in the encoding: "odd number of hex digits"
	Changed time.Time    // zero: not known
	Setting string       // of the file, in which it stands, as the dialect writes it; empty where the rules know
	Backup  bool         // the file is an export or a backup, in which it should not be in clear
	Unused  bool         // what it is for is turned off: only where it lies is judged

	LastLogin time.Time // of a user's password, where the product tells; zero: not known
}

// L2TP is a listener for L2TP.
type L2TP struct {
	Subject
	Product    string
	Enabled    Value[bool]
	Server     Value[bool]   // answers calls
	IPsec      Value[Demand] // does the product itself insist on IPsec
	Listen     Value[[]string]
	Challenge  Value[bool] // tunnel authentication
	HiddenAVPs Value[bool]
	Access     Value[bool] // access control by peer
	SharedNAT  Value[bool] // several clients behind one NAT are kept apart
	AuthNeeded Value[bool] // callers must prove themselves in PPP, all its options counted
	PPP        string      // Name of the PPP of its calls; empty: not known

	Pool  Value[[]string] // addresses given to callers, as ranges or networks; empty: none
	Local Value[string]   // our inner address towards them
}

// PPPMethod is a way to authenticate in PPP.
type PPPMethod string

// The methods of PPP, worst first.
const (
	PAP       PPPMethod = "pap"
	CHAPMD5   PPPMethod = "chap"
	MSCHAPv1  PPPMethod = "mschap"
	MSCHAPv2  PPPMethod = "mschapv2"
	EAPAny    PPPMethod = "eap"     // what EAP is decided elsewhere
	EAPTLSPPP PPPMethod = "eap-tls" // certificates
	PEAPPPP   PPPMethod = "peap"
)

// PPP is one set of options of PPP.
type PPP struct {
	Subject
	Product     string
	Server      Value[bool]        // the answering side; false: we are the client
	AuthNeeded  Value[bool]        // the peer must prove itself
	Methods     Value[[]PPPMethod] // what is taken from the peer
	Refused     Value[[]PPPMethod] // what we will not prove ourselves by; protects nothing on a server
	Required    Value[bool]        // a require-* is written
	MPPE        Value[MPPE]
	TLSMin      Value[string]
	TLSMax      Value[string]
	TLSVerify   Value[bool] // the peer's certificate and name are checked
	Service     string      // the protocol that it is of, where a name tells: "pptp"; empty: L2TP, or unknown
	IPsecForced Value[bool] // the path in question cannot be used without IPsec, or is inside TLS as that of SSTP
	MTU, MRU    Value[int]
	MSSClamp    Value[bool]
	DNS         Value[[]string]
	IPv6        Value[bool]
	ProxyARP    Value[bool]
	Debug       Value[bool]
	ShowsSecret Value[bool] // passwords reach the log
	Accounting  Value[bool]
	Echo        Value[time.Duration] // LCP echo; 0: off
	Split       Value[bool]          // the client keeps its own default route
}

// MPPE is what encryption PPP itself asks for (RFC 3078).
type MPPE uint8

// From none to 128 bits.
const (
	NoMPPE MPPE = iota
	AnyMPPE
	MPPE40
	MPPE128
)

// EAP is an EAP server, mostly behind RADIUS, or the EAP settings of a client.
type EAP struct {
	Subject
	Product      string
	Server       Value[bool]
	DefaultType  Value[string]   // lower case: "md5", "tls", "peap"
	Methods      Value[[]string] // configured
	Inner        Value[[]string] // inside TTLS and PEAP
	GTCPAP       Value[bool]
	TLSMin       Value[string]
	Certificate  Value[string] // file
	Snakeoil     Value[bool]   // a certificate or key everybody has
	KeyPassword  Value[bool]   // true: a passphrase that everybody knows
	CRL          Value[bool]
	OCSP         Value[bool]
	ServerNamed  Value[bool] // of a client: the server's name and CA are pinned
	MPPERequired Value[bool]
	UnboundTLS   Value[bool] // TLS 1.2 without extended master secret (RFC 7627) is taken
	LogsAuth     Value[bool]
	LogsSecrets  Value[bool]
}

// RADIUS is one pair of client and server, as either side's file has it. Its
// secret is in Host.Secrets with the same Name.
type RADIUS struct {
	Subject
	Product       string
	Server        Value[bool] // this file is the server's
	Address       Value[string]
	MessageAuth   Value[Demand] // Message-Authenticator (RFC 3579; CVE-2024-3596)
	LimitProxy    Value[bool]
	TLS           Value[bool]
	Accounting    Value[bool]
	WildcardPeers Value[bool] // any address may use the secret
}

// Service is a VPN service besides IPsec, L2TP and WireGuard.
type Service struct {
	Subject
	Protocol string // "pptp", "sstp", "openvpn"
	Enabled  Value[bool]
	Methods  Value[[]PPPMethod] // taken from its clients, where the product says so for the service itself
}

// Tunnel is a WireGuard interface.
type Tunnel struct {
	Subject
	PrivateKeyInFile Value[bool]
	Peers            []TunnelPeer
	DNS              Value[[]string]
	MTU              Value[int]
	Table            Value[string]
	Routes           Value[[]string]
	KillSwitch       Value[bool]
	StopsIPv6        Value[bool] // no IPv6 leaves outside the interface, whatever it carries itself
}

// TunnelPeer is a peer of a WireGuard interface.
type TunnelPeer struct {
	Subject
	PSK        Value[bool] // a pre-shared key, which is also the answer to quantum computers
	AllowedIPs Value[[]string]
	Endpoint   Value[string]
	Keepalive  Value[time.Duration]
	PublicKey  string
}

// Firewall is the packet filter of a host, as far as it bears on a VPN. A fact
// that needs a whole ruleset is Unknown when only a part was read.
type Firewall struct {
	Subject
	L2TPNeedsIPsec Value[bool] // UDP 1701 is taken from IPsec alone
	L2TPOpen       Value[bool] // UDP 1701 is taken from anywhere
	IKEOpen        Value[bool] // UDP 500 and 4500 are taken from anywhere
	IKEReachable   Value[bool]
	NATTReachable  Value[bool]
	ESPReachable   Value[bool] // IP protocol 50
	MSSClamp       Value[bool]
	DropsPTB       Value[bool] // ICMP "fragmentation needed" or ICMPv6 "packet too big" is dropped
	MasqueradesIn  Value[bool] // packets meant for a tunnel are translated first
	DropsClear     Value[bool] // inner networks cannot leave in the clear
	ClientToClient Value[bool] // forwarded between clients
	LogsL2TP       Value[bool]
	ForwardDrop    Value[bool] // default of the forward chain
	IPv6           Value[bool] // filters IPv6, too
}

// Kernel is one setting of the kernel that bears on a VPN: by sysctl, or by
// modprobe.d, which may keep a module from being loaded.
type Kernel struct {
	Subject
	Key   string // "net.ipv4.conf.all.rp_filter", "modprobe.blacklist.esp4"
	Value Value[string]
}

// Logging is where a host's records go.
type Logging struct {
	Subject
	OffHost   Value[bool]
	Protected Value[bool] // over TLS
	TimeSync  Value[bool]
	Retention Value[time.Duration] // 0: not bounded by time
	Readable  Value[bool]          // by everybody
	Auth      Value[bool]          // logins are recorded
	Watched   Value[bool]          // drops and failures raise something
	Baseline  Value[bool]          // a signed baseline of the configuration is kept
	UTC       Value[bool]
}

// Unit is how the service manager runs a daemon (systemd.exec(5)).
type Unit struct {
	Subject
	Product         string
	User            Value[string] // "root" where none is named
	NoNewPrivileges Value[bool]
	SystemCalls     Value[bool]   // a filter of system calls is set
	Capabilities    Value[bool]   // the set of capabilities is bounded
	ProtectSystem   Value[string] // "no", "yes", "full", "strict"
	ProtectHome     Value[string] // "no", "yes", "read-only", "tmpfs"
}

// Binary is how the program of a daemon was built, as its ELF headers tell.
type Binary struct {
	Subject
	Product string
	PIE     Value[bool]   // may be loaded at any address
	RELRO   Value[Demand] // relocated addresses become read-only: Optional is partly, Always is wholly
	NX      Value[bool]   // the stack is not executable
}

// Key is a certificate, a private key, or both when they are a pair. Facts
// that need arithmetic on the modulus are the rules' to find. The dialect is
// X509 wherever it was found, in a file of its own or inside a configuration; a
// key of a WireGuard interface is of its dialect.
type Key struct {
	Subject
	Certificate []byte // DER; nil: a private key alone
	Public      any    // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, *ecdh.PublicKey, or nil
	Private     bool   // the private half is in the file
	PrivateAt   Pos    // where that is, if not at the key's own place
	Encrypted   bool   // under a passphrase
	CA          bool   // an authority's certificate, or the key of one
	Used        []string
	Places      []Pos // where its parts and their copies are: certificates and private keys
}

// CRL is a revocation list on disk.
type CRL struct {
	Subject
	Issuer                 string
	ThisUpdate, NextUpdate time.Time
}

// Package is an installed package.
type Package struct {
	Subject
	Manager   string // "dpkg", "rpm", "apk", "firmware"
	Name      string
	Source    string   // source package; equal to Name where not given
	Version   string   // whole, with epoch and revision
	Distro    string   // "debian 12", "ubuntu 24.04", "rhel 9", "alpine 3.20"; empty: not known
	Changelog []string // CVE ids that the local changelog names as fixed; nil: no changelog was there
}

// Waiver is a rule that a product's own configuration lets be broken, for a
// reason and until a day.
type Waiver struct {
	Dialect Dialect // of the subjects that it may be for
	Rule    string
	Subject string // name of the connection, zone or account; empty: all of the host
	Peer    string // the one peer it is for; empty: all
	Reason  string
	Owner   string
	Until   time.Time // last day in force, as midnight UTC at its start
	At      Pos
}
