package ikev1

import (
	"crypto"
	"net/netip"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ikev1/isakmp"
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
// call and may reuse it after Reset: first the events, in order, so that an SA
// can receive before the peer hears of it, then the datagrams, then the jobs.
// Data in Send stays valid and unchanged as long as it is referenced.
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

// Task is one of GenerateKE, SharedSecret, SharedKey, *Authenticate, *Sign.
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

// SharedSecret asks for g^xy; Value is a secret.Bytes.
type SharedSecret struct {
	KE   suite.KeyExchange
	Peer []byte
}

// Run does the task in place.
func (t SharedSecret) Run() (any, error) { return t.KE.Shared(t.Peer) }

// SharedKey asks for the pre-shared key of main mode; Value is a Key. It is
// needed before the peer says who it is, so it can be chosen by addresses alone:
// roadwarriors share one, which is public knowledge among them (RFC 2409,
// Section 5.4; CVE-2018-5389).
type SharedKey struct{ Local, Remote netip.AddrPort }

// Key is a pre-shared key.
type Key struct {
	Secret   secret.Bytes
	Identity *Identity // ours; nil = our address
	Value    any       // the backend's own; handed back in Authenticate
}

// Authenticate asks whether the peer is who it says, and whether it may come
// in; Value is an *Admission. An Err that is a *Refusal chooses the notify and
// the words of the record. With Method PSK the machine has compared the hash,
// and PeerID is what anyone who has the key may claim.
type Authenticate struct {
	Role      Role      // ours: a Responder authenticates clients
	PeerID    isakmp.ID // IDii when we are responder, else IDir
	Chain     [][]byte  // DER, end entity first; bounded by maxChain
	CertReqs  [][]byte  // DER names that the peer asked certificates of; may be empty names
	Method    suite.AuthMethod1
	Signature []byte // over Hash; nil with PSK
	Hash      []byte // HASH_I or HASH_R, of the peer
	PeerKind  PeerKind
	Suite     suite.IKE
	Remote    netip.AddrPort
	Local     netip.AddrPort
	Value     any // of the Key
}

// Verify checks Signature over Hash with the end entity's public key: the part
// of the task every backend shares.
func (t *Authenticate) Verify(pub crypto.PublicKey) error {
	return t.Method.Verify(pub, t.Hash, t.Signature)
}

// Sign asks for SIG_I or SIG_R; Value is a []byte.
type Sign struct {
	Identity *Identity
	Hash     []byte // what is signed, as it is
	Method   suite.AuthMethod1
}

// With signs with a key in reach.
func (t *Sign) With(key crypto.Signer) ([]byte, error) { return t.Method.Sign(key, t.Hash) }

func (GenerateKE) task()    {}
func (SharedSecret) task()  {}
func (SharedKey) task()     {}
func (*Authenticate) task() {}
func (*Sign) task()         {}

// Admission is the answer to "who is it and may it come in".
type Admission struct {
	Local *Identity // how we answer; required of a responder, except with PSK
	Value any       // the backend's own
	Name  string    // who it is, for people
}

// Identity is one of our own identities. Shared and immutable. With an empty
// Chain it proves itself by a pre-shared key.
type Identity struct {
	ID     isakmp.ID // zero = our address
	Chain  [][]byte  // DER, end entity first, root left out
	Key    string    // the signer's name for the private key
	Public crypto.PublicKey
}

// Refusal is an error that decides what the peer is told.
type Refusal struct {
	Notify isakmp.NotifyType // 0 = AUTHENTICATION-FAILED
	Reason string            // what happened, for the record
	Hint   string            // what to change
}

func (r *Refusal) Error() string { return "ikev1: " + r.Reason }

// Role is which side of main mode we were.
type Role uint8

// The roles.
const (
	Responder Role = iota
	Initiator
)

// Config is what a session is made from. One Config serves any number of
// sessions; nothing in it may change while one of them lives.
type Config struct {
	Policy *Policy
	// NewCookie and NewSPI choose our halves; the runtime puts shard bits in
	// them and keeps them unique. Neither may return 0, nor NewSPI a value below
	// 256 (RFC 4303, Section 2.1).
	NewCookie func() uint64
	NewSPI    func() uint32
	// Heard tells when ESP last arrived on an SA; nil or zero = not known.
	// Traffic postpones R-U-THERE (RFC 3706, Section 5.5).
	Heard func(spiIn uint32) time.Time
	// Authorities are the DER subject names that we name in CERTREQ.
	Authorities [][]byte

	rand func([]byte) // nil = crypto/rand; only tests replace it
}

// Connect is what an initiator wants.
type Connect struct {
	Local, Remote netip.AddrPort
	// NATTLocal and NATTRemote are the ports after floating (RFC 3947, Section
	// 4); 0 = 4500.
	NATTLocal, NATTRemote uint16
	Identity              *Identity // without a Chain, or nil: a pre-shared key
	Port                  uint16    // UDP port of ours in IDci; 0 = 1701
	InitialContact        bool      // send INITIAL-CONTACT
}

// Policy is shared by all sessions of a kind and immutable. Zero durations and
// counts mean the default beside the field.
type Policy struct {
	Phase1 []suite.Proposal // of suite.ParseL2TPProposal, in order of preference
	Phase2 []suite.Proposal // the same; KE transforms are groups for peers that want PFS
	// Methods are the ways to authenticate, most wanted first; empty = signatures,
	// RSA before ECDSA. A pre-shared key must be named.
	Methods    []suite.AuthMethod1
	RequirePFS bool

	Lifetime1    time.Duration // of the ISAKMP SA; 8 h; the lesser of both sides counts
	Lifetime2    time.Duration // of an ESP SA; 1 h; likewise
	Retransmit   Retransmit
	HalfOpen     time.Duration // from the first message to Established; 30 s
	Childless    time.Duration // an ISAKMP SA without ESP SA is closed after this; 60 s
	DPD          time.Duration // silence before R-U-THERE; 60 s; negative = never
	Keepalive    time.Duration // NAT keepalive when we are behind a NAT; 20 s
	FragmentSize int           // octets of one message on the wire, marker excluded; 1232 (fits IPv6's 1280)

	// ForceEncap makes the peer find a NAT where there is none, so that ESP always
	// travels in UDP. A responder lies about the peer's address: Windows refuses
	// servers behind a NAT, unless its registry says otherwise.
	ForceEncap      bool
	NoFragmentation bool
}

// Retransmit plans the copies of a request: First, then doubling to Max.
// After Tries transmissions without answer the peer is dead.
type Retransmit struct {
	First time.Duration // 1 s
	Max   time.Duration // 32 s
	Tries int           // 6: dead after 63 s
}

// Command is one of Close, RekeyPhase1, RekeyPhase2, DeleteSA, PlaneEvent.
type Command interface{ command() }

// Close deletes everything, tells the peer, and ends the session at once:
// nobody answers a Delete in IKEv1.
type Close struct{ Reason string }

// RekeyPhase2 replaces one ESP SA now; SPIIn 0 = the one in use.
type RekeyPhase2 struct{ SPIIn uint32 }

// RekeyPhase1 replaces the ISAKMP SA now. A responder leaves that to the peer,
// which would not answer a main mode of ours.
type RekeyPhase1 struct{}

// DeleteSA closes one ESP SA.
type DeleteSA struct{ SPIIn uint32 }

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

func (Close) command()       {}
func (RekeyPhase2) command() {}
func (RekeyPhase1) command() {}
func (DeleteSA) command()    {}
func (PlaneEvent) command()  {}

// Event is one of the structs below.
type Event interface{ event() }

// CookieAdded and CookieRemoved route datagrams: our half of an ISAKMP SA. The
// first message carries none, nor do its copies: the runtime keeps half-open
// responders by (initiator cookie, remote) until Established or Closed.
type CookieAdded struct{ Cookie uint64 }

// CookieRemoved ends the routing of a cookie.
type CookieRemoved struct{ Cookie uint64 }

// Established comes once per session, when the peer is authenticated.
type Established struct {
	Admission *Admission
	PeerID    isakmp.ID
	PeerKind  PeerKind
	Suite     suite.IKE // Integ and PRF are the one hash of IKEv1
	Method    suite.AuthMethod1
	// InitialContact: the peer says that its other SAs are gone. Key it by the
	// outer address and port: two clients behind two NATs have the same private
	// address (trap 34).
	InitialContact bool
	Local, Remote  netip.AddrPort
}

// InitialContact is the same, said after Established: racoon sends it in an
// exchange of its own.
type InitialContact struct{ Remote netip.AddrPort }

// SAUp installs an ESP SA.
type SAUp struct{ SA SA }

// SA is everything a data plane needs. KeyIn and KeyOut belong to the receiver
// of the event; the session keeps no copy. It is transport mode for UDP, our
// port 1701.
type SA struct {
	SPIIn, SPIOut        uint32
	Suite                suite.ESP
	KeyIn, KeyOut        secret.Bytes // encryption key with salt, then integrity key
	Local, Remote        netip.AddrPort
	Encap                bool       // in UDP (RFC 3948); else protocol 50
	PeerPort             uint16     // the peer's UDP port inside; 0 = any
	NATOA                netip.Addr // what the peer calls its own address; never to be trusted
	SoftBytes, HardBytes uint64     // 0 = no limit
	Expires              time.Time
	Outbound             bool   // send on it at once; else wait for SAOutbound
	Replaces             uint32 // inbound SPI of the SA it rekeys; 0 = none
}

// SAOutbound switches outbound traffic to this SA.
type SAOutbound struct{ SPIIn uint32 }

// SADown removes an ESP SA. Reason is for people.
type SADown struct {
	SPIIn  uint32
	Reason string
}

// Moved tells the new outer path of these SAs.
type Moved struct {
	Local, Remote netip.AddrPort
	SPIs          []uint32 // inbound
}

// Refused carries the record of a refused exchange, by either side.
type Refused struct{ Record Record }

// Closed is the last event of a session, except of one that was adopted.
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
	ClosedExpired  // everything reached its lifetime
	ClosedChildless
	ClosedProtocol // a first message that makes no sense
	ClosedInternal // a job never came back
)

func (CookieAdded) event()    {}
func (CookieRemoved) event()  {}
func (Established) event()    {}
func (InitialContact) event() {}
func (SAUp) event()           {}
func (SAOutbound) event()     {}
func (SADown) event()         {}
func (Moved) event()          {}
func (Refused) event()        {}
func (Closed) event()         {}

// SAStatus is one ESP SA as status shows it.
type SAStatus struct {
	SPIIn, SPIOut    uint32
	Suite            suite.ESP
	Created, Expires time.Time
	Outbound         bool // traffic to the peer goes here
}

// Counts are messages of this session that changed nothing.
type Counts struct {
	Malformed       uint32 // did not parse, or not at this point
	Unauthenticated uint32 // notifies and deletes without protection
	BadHash         uint32 // did not decrypt, or the hash did not fit (CVE-2019-10155)
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
	Difference   []string // "key exchange: modp1024 offered, ecp384 modp2048 accepted"
	Notify       isakmp.NotifyType
	ByPeer       bool // the peer refused us
	Reason       string
	Fix          string
	WindowsError int // Windows' number for it, 0 = none known
}

// Stage is how far the exchange came.
type Stage uint8

// The stages a record can be about.
const (
	StageMain  Stage = iota + 1 // main mode, before identities
	StageAuth                   // main mode, messages 5 and 6
	StageQuick                  // quick mode
)
