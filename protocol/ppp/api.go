package ppp

import (
	"net/netip"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

// Role is which end of the link we are.
type Role uint8

// The roles. A Server demands EAP and assigns addresses; a Client logs in and
// asks for them.
const (
	Server Role = iota
	Client
)

// Out collects what a link wants done. The caller drains it after every call:
// first the events, in order, so that a data plane is ready before the peer
// hears of it, then the frames, then the jobs.
type Out struct {
	Send   [][]byte // complete PPP frames for one L2TP data message each
	Jobs   []Job
	Events []Event
}

// Reset empties o, keeps its storage, and lets go of what was in it.
func (o *Out) Reset() {
	clear(o.Send)
	clear(o.Jobs)
	clear(o.Events)
	o.Send, o.Jobs, o.Events = o.Send[:0], o.Jobs[:0], o.Events[:0]
}

// Config is what a link is made from. One Config serves any number of links;
// nothing in it may change while one of them lives. Zero durations and counts
// mean the default beside the field.
type Config struct {
	Role Role
	// MRU is ours as proposed: the largest packet that the peer should send, in
	// octets; 1400, which fits an outer MTU of 1500 with every cipher suite.
	MRU int
	// Echo is the silence before an LCP Echo-Request, and between two of them;
	// 30 s; negative = never. EchoMisses of them without a sign of life end the
	// link; 4. Phones and laptops sleep: do not be hasty.
	Echo       time.Duration
	EchoMisses int
	// Local is a server's own IPv4 address of the link; the zero Addr leaves the
	// link without one.
	Local netip.Addr
	// NoIPv4 and NoIPv6 leave a network protocol out.
	NoIPv4, NoIPv6 bool
	// DNS and Short are a client's: ask for name servers (RFC 1877), and for
	// frames with compressed header fields (RFC 1661, Sections 6.5 and 6.6).
	DNS, Short bool
	// Address is the IPv4 address that a client wishes for; another one is taken.
	Address netip.Addr
	// Wanted and Insist make a client of the kind that a server has to refuse: one
	// that wants another authentication than EAP (and has none), and one that
	// stays with its Address. They are for tests and for load.
	Wanted pppmsg.Auth
	Insist bool
	// Restart, MaxConfigure, MaxTerminate and MaxFailure are RFC 1661's, Section
	// 4.6: 3 s, 10, 2 and 5.
	Restart                                time.Duration
	MaxConfigure, MaxTerminate, MaxFailure int
	// EAPRestart is the time between copies of an EAP request, 3 s; MaxEAP is how
	// many there are at most, 20: people pick certificates and look for cards.
	EAPRestart time.Duration
	MaxEAP     int
	// Patience is the time from the start, or from the loss of the network, to
	// the network up; 90 s. It bounds everything that a peer can spin out.
	Patience time.Duration

	rand func([]byte) // nil = crypto/rand; only tests replace it
}

// Job is work that leaves the event loop. A link has at most one outstanding;
// the caller answers it with Done, once, whatever has become of the link.
type Job struct {
	ID   uint64
	Task Task
}

// Task is one of EAP and Assign.
type Task interface{ task() }

// Result answers a Job. Value has the type its task names. An Err that is a
// *Refusal gives the reason of the refusal.
type Result struct {
	ID    uint64
	Value any
	Err   error
}

// EAP carries one packet into the conversation behind the link; Value is an
// EAPStep. The link does the part of a lower layer (RFC 3748, Section 4.3): it
// repeats requests and drops what does not answer one, so the conversation must
// not repeat by itself. It ends with its verdict, or with the link.
type EAP struct {
	// Packet is of the peer. nil asks a server's conversation to begin, also a
	// second time when the peer has renegotiated LCP: then everything before it is
	// void. A client's conversation begins anew with each Opened event.
	Packet []byte
	MRU    int // of the peer: no packet may be longer
}

// EAPStep is what follows a packet. A Packet beside a Failure is its last words:
// a TLS alert as one more request, or EAP-Failure. A client's Success means that
// the conversation has succeeded: EAP-Success alone means nothing, since anybody
// can send it (CVE-2021-45079).
type EAPStep struct {
	Packet  []byte
	Success bool
	Failure *Refusal
	Value   any // with a server's Success: of the caller's choice, handed back in Assign and Authenticated
}

// Assign asks for the addresses of a peer that has authenticated; Value is an
// Assigned. They belong to the link until its Down event; a peer that has
// renegotiated LCP authenticates again, maybe as somebody else, and Assign comes
// again.
type Assign struct {
	Wants4, Wants6 bool // as the Config has it: what the peer wants shows only later
	Value          any  // of the EAPStep
}

// Assigned is what a peer gets. The zero value of a field means none.
type Assigned struct {
	IPv4 netip.Addr   // the peer's
	IPv6 netip.Prefix // the peer's /64, announced by router advertisements
	// InterfaceID is our end's, PeerInterfaceID what we propose to a peer that has
	// none; zero = chosen at random (RFC 5072, Section 4.1).
	InterfaceID, PeerInterfaceID InterfaceID
	DNS                          []netip.Addr // IPCP announces the first two of IPv4
}

// InterfaceID is the second half of an IPv6 address.
type InterfaceID [8]byte

func (EAP) task()    {}
func (Assign) task() {}

// Refusal is an error with a reason and a hint for the record. Neither goes to
// the peer.
type Refusal struct {
	Reason string // what happened; peer text in it is quoted
	Hint   string // what to change; may be empty
}

func (r *Refusal) Error() string { return "ppp: " + r.Reason }

// Event is one of Opened, Authenticated, NetworkUp, NetworkDown, Refused, Down.
type Event interface{ event() }

// Opened says that LCP is up: what the peer takes from now on. It comes again
// when the peer renegotiates, and everything starts over with it.
type Opened struct {
	PeerMRU       int  // the largest packet that may be sent to the peer
	ShortProtocol bool // the peer takes one octet of protocol
	ShortAddress  bool // the peer takes frames without FF 03
}

// Authenticated says that EAP succeeded.
type Authenticated struct{ Value any } // of the EAPStep

// NetworkUp says which network protocols are open: all of them, each time one
// of them opens, or closes while another stays. Traffic may flow, from the
// client's addresses alone.
type NetworkUp struct {
	IPv4                         netip.Addr   // the client's; invalid = IPv4 is not open
	LocalIPv4                    netip.Addr   // a server's Local, or the address a client heard of; may be invalid
	IPv6                         netip.Prefix // the client's /64; invalid = IPv6 is not open, or for a client: not known here
	IPv6Open                     bool
	InterfaceID, PeerInterfaceID InterfaceID
	DNS                          []netip.Addr // those assigned; for a client those that it was told
}

// NetworkDown says that no network protocol is open any more.
type NetworkDown struct{}

// Refused is a record of why the peer does not get in, for a person. Wanted is
// what the peer wanted in place of EAP ("mschapv2", "mschap", "chap", "pap",
// "none"), or beside it ("mppe"); empty when it was refused for something else.
type Refused struct {
	Wanted, Reason, Hint string
}

// Down ends the link, and is its last event.
type Down struct {
	Reason string // peer text in it is quoted; like that of a Refusal, it is not for the peer
	ByPeer bool
}

func (Opened) event()        {}
func (Authenticated) event() {}
func (NetworkUp) event()     {}
func (NetworkDown) event()   {}
func (Refused) event()       {}
func (Down) event()          {}

// Command is what a caller may Do; Close is the only one.
type Command interface{ command() }

// Close ends the link in an orderly way. Text goes to the peer in the
// Terminate-Request; some clients show it.
type Close struct{ Text string }

func (Close) command() {}
