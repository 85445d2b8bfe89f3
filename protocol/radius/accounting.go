package radius

import (
	"net/netip"
	"strconv"
	"time"
)

// StatusType is what an accounting request tells (RFC 2866, Section 5.1).
type StatusType uint32

// Status types.
const (
	AcctStart   StatusType = 1
	AcctStop    StatusType = 2
	AcctInterim StatusType = 3
	AcctOn      StatusType = 7 // we have started: no session of before lives
	AcctOff     StatusType = 8 // we are going down
)

var statusNames = map[StatusType]string{AcctStart: "Start", AcctStop: "Stop", AcctInterim: "Interim-Update", AcctOn: "Accounting-On", AcctOff: "Accounting-Off"}

// String is the RFC's name, or the number.
func (s StatusType) String() string {
	if n, ok := statusNames[s]; ok {
		return n
	}
	return "status " + strconv.Itoa(int(s))
}

// TerminateCause is why a session has ended (RFC 2866, Section 5.10).
type TerminateCause uint32

// Causes that a VPN has.
const (
	CauseUserRequest    TerminateCause = 1
	CauseLostCarrier    TerminateCause = 2 // the peer is gone: dead peer detection
	CauseLostService    TerminateCause = 3
	CauseIdleTimeout    TerminateCause = 4
	CauseSessionTimeout TerminateCause = 5
	CauseAdminReset     TerminateCause = 6 // kicked, or Disconnect-Request
	CauseAdminReboot    TerminateCause = 7
	CauseNASError       TerminateCause = 9
	CauseNASRequest     TerminateCause = 10
	CauseNASReboot      TerminateCause = 11
	CauseReauthFailure  TerminateCause = 20 // RFC 3580, Section 2.1
)

// Numbers for NAS-Port-Type, Service-Type, Framed-Protocol, Acct-Authentic and
// Tunnel-Type.
const (
	PortVirtual     = 5 // NAS-Port-Type (RFC 2865, Section 5.41)
	ServiceFramed   = 2 // Service-Type (RFC 2865, Section 5.6)
	ProtocolPPP     = 1 // Framed-Protocol, for L2TP (RFC 2865, Section 5.7)
	AuthenticRADIUS = 1 // Acct-Authentic (RFC 2866, Section 5.6)
	AuthenticLocal  = 2
	TunnelL2TP      = 3 // Tunnel-Type (RFC 2868, Section 3.1)
	TunnelESP       = 9
)

// Usage is what has gone through a session. In is what came from the peer
// (RFC 2866, Section 5.3).
type Usage struct{ InOctets, OutOctets, InPackets, OutPackets uint64 }

// Record is one accounting request. A server finds the Start of a Stop by
// SessionID and user, so both must be the same in all records of a session.
type Record struct {
	Status     StatusType
	Time       time.Time // when it happened
	SessionID  string    // unique over restarts; empty for On and Off
	UserName   string    // of the Access-Accept if it gave one, else what was authenticated
	Authentic  uint32    // AuthenticRADIUS or AuthenticLocal
	Class      [][]byte  // of the Grant
	CUI        []byte    // of the Grant
	IPv4       netip.Addr
	IPv6       []netip.Addr
	Prefixes   []netip.Prefix // Framed-IPv6-Prefix
	Duration   time.Duration  // of the session until now; not in a Start
	Usage      Usage          // not in a Start
	Cause      TerminateCause // in a Stop
	Attributes []Attribute    // any others, such as Calling-Station-Id
}

// Request is the Accounting-Request for a record, sent now: when it has
// waited, Acct-Delay-Time says how long (RFC 2866, Section 5.2).
func (r *Record) Request(now time.Time) Request {
	a := []Attribute{Uint32Attr(AcctStatusType, uint32(r.Status)), TimeAttr(EventTimestamp, r.Time)}
	if late := now.Sub(r.Time) / time.Second; late > 0 {
		a = append(a, Uint32Attr(AcctDelayTime, uint32(min(late, maxSeconds))))
	}
	if r.SessionID != "" {
		a = append(a, r.session()...)
	}
	return Request{Code: AccountingRequest, Attributes: append(a, r.Attributes...)}
}

func (r *Record) session() []Attribute {
	a := []Attribute{TextAttr(AcctSessionID, r.SessionID)}
	if r.UserName != "" {
		a = append(a, TextAttr(UserName, r.UserName))
	}
	if r.Authentic != 0 {
		a = append(a, Uint32Attr(AcctAuthentic, r.Authentic))
	}
	if r.CUI != nil {
		a = append(a, OctetsAttr(ChargeableUser, r.CUI))
	}
	for _, c := range r.Class {
		a = append(a, OctetsAttr(Class, c))
	}
	if r.IPv4.Is4() {
		a = append(a, AddrAttr(FramedIPAddress, r.IPv4))
	}
	for _, addr := range r.IPv6 {
		a = append(a, AddrAttr(FramedIPv6Address, addr))
	}
	for _, p := range r.Prefixes {
		a = append(a, PrefixAttr(FramedIPv6Prefix, p))
	}
	if r.Status != AcctStart {
		a = append(a, r.traffic()...)
	}
	if r.Status == AcctStop && r.Cause != 0 {
		a = append(a, Uint32Attr(AcctTerminateCause, uint32(r.Cause)))
	}
	return a
}

// traffic counts octets in 64 bits, in two attributes each (RFC 2869, Sections
// 5.1 and 5.2). Packets have 32 bits and wrap.
func (r *Record) traffic() []Attribute {
	u := r.Usage
	return []Attribute{
		Uint32Attr(AcctSessionTime, uint32(min(r.Duration/time.Second, maxSeconds))),
		Uint32Attr(AcctInputOctets, uint32(u.InOctets)), Uint32Attr(AcctInputGigawords, uint32(u.InOctets>>32)),
		Uint32Attr(AcctOutputOctets, uint32(u.OutOctets)), Uint32Attr(AcctOutputGigawords, uint32(u.OutOctets>>32)),
		Uint32Attr(AcctInputPackets, uint32(u.InPackets)), Uint32Attr(AcctOutputPackets, uint32(u.OutPackets)),
	}
}
