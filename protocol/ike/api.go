package ike

import (
	"crypto"
	"net/netip"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Datagram is one UDP payload with both ends of its path, without the
// non-ESP marker: whoever owns the socket adds and strips it (RFC 3948,
// Section 2.2).
type Datagram struct {
	Local, Remote netip.AddrPort
	Data          []byte
	// Keepalive marks a NAT keepalive: Data is the single octet 0xFF and goes
	// out without marker (RFC 3948, Section 2.3).
	Keepalive bool
}

// Out collects what a machine wants done. The caller drains it after every
// call and may reuse it after Reset: first the events, in order, so that a
// Child SA can receive before the peer hears of it (RFC 7296, Section 2.8),
// then the datagrams, then the jobs. Data in Send stays valid and unchanged as
// long as it is referenced.
type Out struct {
	Send   []Datagram
	Jobs   []Job
	Events []Event
}

// Reset empties o and keeps its storage. References are cleared, so that a
// long-lived Out does not keep the keys of its last events alive.
func (o *Out) Reset() {
	clear(o.Send)
	clear(o.Jobs)
	clear(o.Events)
	o.Send, o.Jobs, o.Events = o.Send[:0], o.Jobs[:0], o.Events[:0]
}

// Job is work that leaves the event loop: anything slow, and everything that
// needs a private key or a store. A session has at most one job outstanding.
// The caller answers each with Done, once.
type Job struct {
	ID   uint64
	Task Task
}

// Task is one of GenerateKE, SharedSecret, Authenticate, Sign, Lease, EAP; of
// machines of other protocols that speak through Out also Work.
type Task interface{ task() }

// Result answers a Job. Value has the type its task names.
type Result struct {
	ID    uint64
	Value any
	Err   error
}

// GenerateKE asks for a fresh key pair; Value is a suite.KeyExchange.
type GenerateKE struct{ Group suite.Transform }

// Run does the task in place.
func (t GenerateKE) Run() (any, error) { return suite.GenerateKE(t.Group) }

// SharedSecret asks for g^ir; Value is a secret.Bytes.
type SharedSecret struct {
	KE   suite.KeyExchange
	Peer []byte
}

// Run does the task in place.
func (t SharedSecret) Run() (any, error) { return t.KE.Shared(t.Peer) }

// Authenticate asks whether the peer is who it says: chain to a trusted root,
// ID within the certificate, AUTH over Octets, and whether this peer may come
// in. Value is an *Admission. An Err that is a *Refusal chooses the notify and
// the words of the record; any other Err answers AUTHENTICATION_FAILED.
type Authenticate struct {
	Role     Role        // ours: a Responder authenticates clients
	PeerID   ikemsg.ID   // IDi when we are responder, else IDr
	WantID   *ikemsg.ID  // the IDr the peer asked for, or the one we insist on; nil = none
	Chain    [][]byte    // DER, end entity first; bounded by maxChain
	CertReqs []byte      // SHA-1 hashes of trust anchors the peer named; empty says nothing (Apple sends none)
	Method   uint8       // RFC 7296, Section 3.8
	AuthData []byte      // the AUTH payload's data
	Octets   []byte      // what must have been signed (Section 2.15)
	Allow    suite.Allow // named exceptions of the policy, such as SHA-1 in method 1
	Hashes   []uint16    // peer's SIGNATURE_HASH_ALGORITHMS, nil = not sent
	PeerKind PeerKind    // for the choice of our identity
	Suite    suite.IKE   // negotiated
	Remote   netip.AddrPort
	Local    netip.AddrPort
}

// Verify checks AuthData over Octets with the end entity's public key: the
// part of the task every backend shares.
func (t *Authenticate) Verify(pub crypto.PublicKey) (suite.Signature, error) {
	return suite.VerifyAuth(t.Method, t.AuthData, pub, t.Octets, t.Allow)
}

// Sign asks for our AUTH; Value is a Signed.
type Sign struct {
	Identity *Identity
	Hashes   []uint16 // peer's SIGNATURE_HASH_ALGORITHMS, nil = not sent
	PeerKind PeerKind
	Allow    suite.Allow
	Suite    suite.IKE // negotiated
	Octets   []byte
}

// Signed is the content of our AUTH payload.
type Signed struct {
	Method uint8
	Data   []byte
}

// Lease asks for inner addresses; Value is a Leased. An Err answers
// INTERNAL_ADDRESS_FAILURE and keeps the IKE SA (RFC 7296, Section 3.15.4).
// The lease belongs to the session until its Closed event.
type Lease struct {
	Identity, Device, Zone string
	Request                ikemsg.CP // what the peer asked for, wishes for addresses included
	Value                  any       // of the Admission
}

// Leased is what the CFG_REPLY is made from. Only what the peer asked for is
// sent. The zero value of a field means "have none".
type Leased struct {
	IPv4    netip.Addr
	IPv6    netip.Prefix // address with the prefix length to announce
	DNS     []netip.Addr
	Domains []string // RFC 8598 INTERNAL_DNS_DOMAIN; sent with DNS only
}

// Conversation is our end of one EAP conversation. The machine carries its
// packets and knows nothing of methods; the runtime keeps the rest.
type Conversation interface {
	// Step takes one packet. It runs as a job, one at a time, and calls done once
	// with what follows: before it returns, or later and from elsewhere when it
	// has to wait for another server.
	Step(t *EAP, done func(EAPStep, error))
	// Close releases everything, once the machine needs it no more, and also
	// while a Step is not done. It must not block; it may come more than once.
	Close()
}

// EAP carries one packet into a conversation; Value is an EAPStep. An Err
// answers AUTHENTICATION_FAILED.
type EAP struct {
	Conversation Conversation
	Packet       []byte      // of the peer; nil makes a responder begin
	Role         Role        // ours
	Lossy        bool        // what carries the packets may lose and repeat them: one that does not belong is passed over, by a step of nothing
	Before       any         // responder: the backend's own, of a proof that came before and that this one stands on; nil: none
	PeerID       ikemsg.ID   // IDi or IDr: not authenticated, and not the EAP identity
	WantID       *ikemsg.ID  // responder, first step: the IDr the peer asked for; nil = none
	CertReqs     []byte      // responder, first step: as in Authenticate
	Proven       bool        // initiator: the server's AUTH was verified
	Unsigned     bool        // responder: the client wants EAP alone, and we do not sign before it (RFC 5998)
	Hashes       []uint16    // as in Authenticate
	Allow        suite.Allow // as in Authenticate
	PeerKind     PeerKind
	Suite        suite.IKE
	Remote       netip.AddrPort
	Local        netip.AddrPort
}

// EAPStep is what follows a packet. With Success or Failure the conversation
// is decided; a Packet beside a Failure is its last words, such as a TLS alert.
type EAPStep struct {
	Packet  []byte    // to send
	Local   *Identity // responder, first step: how we answer
	Success *EAPSuccess
	Failure *Refusal
	ByPeer  bool // with Failure: the other end gave up or refused
}

// EAPSuccess is what the method gave.
type EAPSuccess struct {
	MSK       secret.Bytes // 64 octets; the machine's own
	Admission *Admission   // by the identity that the method proved; Policy is required
	Mutual    bool         // initiator: the method proved the server as the one it says it is
}

// Work is a task of a machine of another protocol; Value is what Run returns.
type Work struct{ Run func() (any, error) }

func (GenerateKE) task()    {}
func (SharedSecret) task()  {}
func (Work) task()          {}
func (*Authenticate) task() {}
func (*Sign) task()         {}
func (*Lease) task()        {}
func (*EAP) task()          {}

// Admission is the answer to "who is it and what may it do". Pointers lead to
// shared immutable values; the strings are kept for the session's life.
type Admission struct {
	Identity, Device, Zone string
	Local                  *Identity     // how we answer; required for a responder
	Policy                 *ChildPolicy  // required
	AuthLifetime           time.Duration // responder: announced and enforced (RFC 4478); 0 = none
	Lease                  bool          // responder: run a Lease job when the peer asks for addresses
	Value                  any           // the backend's own; handed back in Lease and Established
}

// Identity is one of our own identities. Shared and immutable. With an empty
// Chain it proves itself by a pre-shared key: no CERT goes out, and Sign is
// answered by [Sign.SignSharedKey].
type Identity struct {
	ID     ikemsg.ID
	Chain  [][]byte // DER, end entity first, root left out
	Key    string   // the signer's name for the private key, or for the pre-shared one
	Public crypto.PublicKey
}

// Refusal is an error that decides what the peer is told.
type Refusal struct {
	Notify ikemsg.NotifyType // 0 = AUTHENTICATION_FAILED
	Reason string            // what happened, for the record
	Hint   string            // what to change
}

func (r *Refusal) Error() string { return "ike: " + r.Reason }

// Role is which side of the first IKE_SA_INIT we were.
type Role uint8

// The roles of RFC 7296, Section 2.2.
const (
	Responder Role = iota
	Initiator
)

// Config is what a session is made from. One Config serves any number of
// sessions; nothing in it may change while one of them lives.
type Config struct {
	Policy *Policy
	// NewSPI and NewChildSPI choose our SPIs; the runtime puts shard bits in
	// them and keeps them unique. Neither may return 0, nor NewChildSPI a value
	// below 256 (RFC 4303, Section 2.1).
	NewSPI      func() ikemsg.SPI
	NewChildSPI func() uint32
	// Heard tells when ESP last arrived on a Child SA; nil or zero = not known.
	// Traffic postpones liveness checks (RFC 7296, Section 2.4).
	Heard func(spiIn uint32) time.Time
	// Authorities are the trust anchors we name in CERTREQ: concatenated SHA-1
	// hashes of SubjectPublicKeyInfo (RFC 7296, Section 3.7).
	Authorities []byte
	// NewEAP begins an EAP conversation; it must be quick. nil = a responder
	// refuses EAP, an initiator cannot use it.
	NewEAP func() Conversation

	rand func([]byte) // nil = crypto/rand; only tests replace it
}

// Connect is what an initiator wants; it lives through the set-up only, but
// the pointers in it are kept.
type Connect struct {
	Local, Remote netip.AddrPort
	// NATTLocal and NATTRemote are the ports after floating (RFC 7296, Section
	// 2.23); 0 = 4500.
	NATTLocal, NATTRemote uint16
	Identity              *Identity
	RemoteID              *ikemsg.ID   // sent as IDr and required in the answer; nil = left to Authenticate
	Child                 *ChildPolicy // its Local and Remote are the proposed TSi and TSr
	Request               Request
	InitialContact        bool // send INITIAL_CONTACT (RFC 7296, Section 2.4)
	// EAP proves who we are by EAP in place of a signature (RFC 7296, Section
	// 2.16). EAPOnly also takes a server that does not sign before it, for
	// methods that prove both ends (RFC 5998).
	EAP, EAPOnly bool
}

// Request is what to ask for in the CFG_REQUEST; the zero value asks nothing
// and sends no CP payload.
type Request struct {
	IPv4, IPv6, DNS, Domains bool
	OldIPv4                  netip.Addr   // a wish, for a sticky address
	OldIPv6                  netip.Prefix // a wish
}

// Policy is shared by all sessions of a kind and immutable. Zero durations and
// counts mean the default beside the field.
type Policy struct {
	IKE          []suite.Proposal // in order of preference
	FragmentSize int              // octets of one IKE message on the wire, marker excluded; 1232 (fits IPv6's 1280)
	Retransmit   Retransmit
	HalfOpen     time.Duration // from IKE_SA_INIT to a complete IKE_AUTH; 30 s
	Childless    time.Duration // an IKE SA with no Child SA is closed after this; 60 s
	DPD          time.Duration // silence before a liveness check; 60 s; negative = never
	Keepalive    time.Duration // NAT keepalive when we are behind a NAT; 20 s
	Lifetime     Lifetime      // of the IKE SA: soft = rekey; 4 h / 5 h

	ForceEncap      bool // fake NAT_DETECTION_SOURCE_IP, so that ESP always travels in UDP
	NoMOBIKE        bool
	NoFragmentation bool
	NoReturnCheck   bool // skip the COOKIE2 check before ESP moves (RFC 4555, Section 3.7)
	AllowSHA1       bool // method 1 with SHA-1: Windows and Apple with RSA (named policy)
	CookieThreshold int  // Front: cost of half-open exchanges before cookies; 1000, an ECP-256 costs 10
}

// Retransmit plans the copies of a request: First, then doubling to Max.
// After Tries transmissions without answer the peer is dead.
type Retransmit struct {
	First time.Duration // 1 s
	Max   time.Duration // 64 s
	Tries int           // 7: dead after 127 s
}

// Lifetime is when an SA is replaced and when it ends. Jitter is subtracted
// from Soft, uniformly, so that two ends with the same policy seldom collide.
type Lifetime struct {
	Soft, Hard time.Duration
	Jitter     time.Duration // 10 % of Soft
}

// ChildPolicy is what a Child SA may be. Shared and immutable.
type ChildPolicy struct {
	Name string           // for status and records
	ESP  []suite.Proposal // in order of preference; KE transforms mean PFS from the first rekey on
	// PFSOptional accepts CREATE_CHILD_SA without KE though the proposals have
	// KE. Apple peers get this in any case (they rekey without KE by default).
	PFSOptional bool
	Lifetime    Lifetime // 50 min / 60 min
	Limits      Limits
	// Local and Remote are the widest selectors, from our side. For a responder
	// an empty Remote means the leased addresses and nothing else.
	Local, Remote []ikemsg.TrafficSelector
	Window        uint32 // anti-replay window in packets; 0 = the plane's default
	// LetPeerRekey leaves child rekeys to the peer altogether.
	LetPeerRekey bool
}

// Limits end a Child SA by volume; zero fields do not limit.
type Limits struct {
	SoftBytes, HardBytes     uint64
	SoftPackets, HardPackets uint64
}

// Command is one of CloseSession, RekeyChild, RekeyIKE, CreateChild,
// DeleteChild, PlaneEvent, LocalAddressChanged, Extra.
type Command interface{ command() }

// CloseSession deletes the IKE SA with everything in it. The peer gets a
// DELETE when it can; Closed follows in any case.
type CloseSession struct{ Reason string }

// RekeyChild replaces one Child SA now.
type RekeyChild struct{ SPIIn uint32 }

// RekeyIKE replaces the IKE SA now.
type RekeyIKE struct{}

// CreateChild asks for one more Child SA.
type CreateChild struct{ Policy *ChildPolicy }

// DeleteChild closes one Child SA.
type DeleteChild struct{ SPIIn uint32 }

// PlaneEvent is what the data plane saw.
type PlaneEvent struct {
	Kind   PlaneKind
	SPIIn  uint32
	Remote netip.AddrPort // PeerMoved: where the packet came from
}

// PlaneKind says what the plane saw.
type PlaneKind uint8

// The kinds mirror dataplane.EventKind.
const (
	FirstInbound PlaneKind = iota + 1
	SoftLimit
	HardLimit
	PeerMoved
)

// LocalAddressChanged tells an initiator with MOBIKE its new path. Without
// MOBIKE it closes the session, and the runtime connects anew. A Remote that
// is not valid stays as it was.
type LocalAddressChanged struct{ Local, Remote netip.AddrPort }

// Extra is an event or a command of a machine of another protocol that speaks
// through Out, such as that of the legacy zone; its runtime knows what Value is.
type Extra struct{ Value any }

func (Extra) command()               {}
func (CloseSession) command()        {}
func (RekeyChild) command()          {}
func (RekeyIKE) command()            {}
func (CreateChild) command()         {}
func (DeleteChild) command()         {}
func (PlaneEvent) command()          {}
func (LocalAddressChanged) command() {}

// Event is one of the structs below.
type Event interface{ event() }

// SPIAdded and SPIRemoved route IKE datagrams: our SPI of an IKE SA. A
// retransmitted IKE_SA_INIT request carries no SPI of ours: the runtime keeps
// half-open responders by (SPIi, remote) until Established or Closed.
type SPIAdded struct{ SPI ikemsg.SPI }

// SPIRemoved ends the routing of an SPI.
type SPIRemoved struct{ SPI ikemsg.SPI }

// Established comes once per session, when all proofs are in.
type Established struct {
	Admission *Admission
	PeerID    ikemsg.ID
	PeerKind  PeerKind
	Suite     suite.IKE
	// InitialContact: the peer says that its other IKE SAs are gone. The gateway
	// closes those of the same identity and device that are not alive (RFC 7296,
	// Section 2.4; a live sibling may be Apple's second path).
	InitialContact bool
	Local, Remote  netip.AddrPort
	MOBIKE         bool
}

// Addresses is what a responder assigned (initiator only). It comes before
// ChildUp.
type Addresses struct{ Leased Leased }

// ChildUp installs a Child SA.
type ChildUp struct{ Child Child }

// Child is everything a data plane needs. KeyIn and KeyOut belong to the
// receiver of the event; the session keeps no copy.
type Child struct {
	SPIIn, SPIOut     uint32
	Suite             suite.ESP
	KeyIn, KeyOut     secret.Bytes // encryption key with salt, then integrity key
	Local, Remote     netip.AddrPort
	Encap             bool // in UDP; else protocol 50
	TSLocal, TSRemote []ikemsg.TrafficSelector
	Limits            Limits
	Expires           time.Time
	Outbound          bool   // send on it at once; else wait for ChildOutbound
	Replaces          uint32 // inbound SPI of the Child SA it rekeys; 0 = none
	Policy            *ChildPolicy
}

// ChildOutbound switches outbound traffic to this Child SA.
type ChildOutbound struct{ SPIIn uint32 }

// ChildDown removes a Child SA. Reason is for people.
type ChildDown struct {
	SPIIn  uint32
	Reason string
}

// Moved tells the new outer path of these Child SAs.
type Moved struct {
	Local, Remote netip.AddrPort
	Encap         bool
	Children      []uint32 // inbound SPIs
}

// ReauthDue tells an initiator to authenticate anew before the time given: a
// new session first, then close this one (RFC 4478).
type ReauthDue struct{ Before time.Time }

// Refused carries the record of a refused exchange, by either side.
type Refused struct{ Record Record }

// Closed is the last event of a session that reached the runtime at all.
type Closed struct {
	Reason CloseReason
	Err    error // nil for an orderly end
}

// CloseReason is what ended a session.
type CloseReason uint8

// Why sessions end.
const (
	ClosedByUs CloseReason = iota + 1
	ClosedByPeer
	ClosedRefused  // the set-up failed; a Refused event came before
	ClosedTimeout  // the peer stopped answering
	ClosedHalfOpen // the set-up was not finished in time
	ClosedExpired  // a hard or authentication lifetime ended
	ClosedChildless
	ClosedProtocol // INVALID_SYNTAX or an impossible state, both authenticated
	ClosedInternal // a job never came back
)

func (Extra) event()         {}
func (SPIAdded) event()      {}
func (SPIRemoved) event()    {}
func (Established) event()   {}
func (Addresses) event()     {}
func (ChildUp) event()       {}
func (ChildOutbound) event() {}
func (ChildDown) event()     {}
func (Moved) event()         {}
func (ReauthDue) event()     {}
func (Refused) event()       {}
func (Closed) event()        {}

// ChildStatus is one Child SA as status shows it.
type ChildStatus struct {
	SPIIn, SPIOut     uint32
	Suite             suite.ESP
	TSLocal, TSRemote []ikemsg.TrafficSelector
	Created, Expires  time.Time
	Policy            *ChildPolicy
	Replaced          bool // rekeyed, kept for late packets or awaiting its DELETE
}

// Record says why an exchange was refused: one per refusal, for people and for
// the event log. Peer text in it is already quoted.
type Record struct {
	Time         time.Time
	Role         Role
	Remote       netip.AddrPort
	PeerKind     PeerKind
	Stage        Stage
	PeerID       string
	Offer        []string // the peer's proposals in keywords; ours when the peer refused them
	Nearest      string   // our closest acceptable suite
	Difference   []string // "key exchange: modp1024 offered, ecp256 ecp384 accepted"
	Notify       ikemsg.NotifyType
	ByPeer       bool // the peer refused us
	Reason       string
	Fix          string
	WindowsError int // Windows' number for it, 0 = none known
}

// Stage is how far the exchange came.
type Stage uint8

// The exchanges a record can be about.
const (
	StageInit Stage = iota + 1
	StageAuth
	StageChild
	StageRekeyChild
	StageRekeyIKE
	StageMainMode // of IKEv1: RFC 2409, Section 5
	StageQuickMode
	StageL2TP
	StagePPP
)
