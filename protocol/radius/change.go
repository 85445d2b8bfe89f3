package radius

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Match says which sessions a request is about. What is not zero must all fit,
// and every session that fits is meant (RFC 5176, Section 3).
type Match struct {
	UserName         string
	CUI              []byte
	SessionID        string // Acct-Session-Id
	MultiSessionID   string
	CallingStationID string
	CalledStationID  string
	NASPort          *uint32
	NASPortID        string
	IPv4             netip.Addr   // Framed-IP-Address
	IPv6             netip.Addr   // Framed-IPv6-Address
	IPv6Prefix       netip.Prefix // Framed-IPv6-Prefix
	InterfaceID      []byte
}

// SessionIdentity is what a session has to be found by. What it does not have
// is zero, and fits no Match that asks for it.
type SessionIdentity struct {
	UserName         string
	CUI              []byte
	SessionID        string
	MultiSessionID   string
	CallingStationID string
	CalledStationID  string
	NASPort          uint32
	NASPortID        string
	IPv4             netip.Addr
	IPv6             []netip.Addr
	IPv6Prefix       []netip.Prefix
	InterfaceID      []byte
}

// Fits tells whether a session is meant.
func (m *Match) Fits(s *SessionIdentity) bool {
	text := func(want, have string) bool { return want == "" || want == have }
	octets := func(want, have []byte) bool { return want == nil || have != nil && bytes.Equal(want, have) }
	return text(m.UserName, s.UserName) && text(m.SessionID, s.SessionID) && text(m.MultiSessionID, s.MultiSessionID) &&
		text(m.CallingStationID, s.CallingStationID) && text(m.CalledStationID, s.CalledStationID) && text(m.NASPortID, s.NASPortID) &&
		octets(m.CUI, s.CUI) && octets(m.InterfaceID, s.InterfaceID) &&
		(m.NASPort == nil || *m.NASPort == s.NASPort) &&
		(!m.IPv4.IsValid() || m.IPv4 == s.IPv4.Unmap()) &&
		(!m.IPv6.IsValid() || slices.Contains(s.IPv6, m.IPv6)) &&
		(!m.IPv6Prefix.IsValid() || slices.Contains(s.IPv6Prefix, m.IPv6Prefix))
}

// empty is a Match that everything would fit.
func (m *Match) empty() bool {
	return m.UserName == "" && m.CUI == nil && m.SessionID == "" && m.MultiSessionID == "" && m.CallingStationID == "" &&
		m.NASPort == nil && m.NASPortID == "" && !m.IPv4.IsValid() && !m.IPv6.IsValid() && !m.IPv6Prefix.IsValid()
}

// Update is what a CoA-Request changes; nil stays as it is. In a
// Disconnect-Request only Class may be set: it goes into the accounting Stop
// (RFC 5176, Section 3.6, Note 4).
type Update struct {
	SessionTimeout *time.Duration // counted from the beginning of the session
	IdleTimeout    *time.Duration
	Interim        *time.Duration
	FilterIDs      []string
	Class          [][]byte
}

// changing are the attributes that a CoA-Request may have for us to change.
var changing = []Type{SessionTimeout, IdleTimeout, AcctInterimInterval, FilterID}

// repeatable may stand in a request more than once (RFC 5176, Section 3.6).
var repeatable = []Type{ProxyState, Class, FilterID, ReplyMessage, VendorSpecific}

// read takes a request apart. All attributes are mandatory: one that we cannot
// follow refuses the whole (RFC 5176, Section 2.3).
func (c *Change) read(cfg *DynamicConfig) ErrorCause {
	c.Disconnect = c.packet.Code == DisconnectRequest
	var seen [256]bool
	for _, a := range c.packet.Attributes {
		if a.check() != nil {
			return CauseInvalidRequest
		}
		if seen[a.Type] && !slices.Contains(repeatable, a.Type) {
			return CauseInvalidRequest
		}
		seen[a.Type] = true
		if cause := c.take(a, cfg); cause != 0 {
			return cause
		}
	}
	switch {
	case c.Match.empty():
		return CauseMissingAttribute
	case !c.Disconnect && !c.Update.any():
		return CauseMissingAttribute
	}
	return 0
}

func (u *Update) any() bool {
	return u.SessionTimeout != nil || u.IdleTimeout != nil || u.Interim != nil || u.FilterIDs != nil || u.Class != nil
}

func (c *Change) take(a Attribute, cfg *DynamicConfig) ErrorCause {
	switch a.Type {
	case MessageAuthenticator, ProxyState, EventTimestamp, AcctTerminateCause:
		return 0
	case NASIdentifier, NASIPAddress, NASIPv6Address:
		return c.takeNAS(a, cfg)
	case ServiceType:
		// "Authorize Only" (RFC 5176, Section 3.2) is not ours, and a
		// Disconnect-Request has no Service-Type at all.
		if c.Disconnect {
			return CauseUnsupportedAttribute
		}
		return CauseUnsupportedService
	case ReplyMessage:
		c.Messages = append(c.Messages, string(a.Value))
		return 0
	case Class:
		c.Update.Class = append(c.Update.Class, a.Value)
		return 0
	}
	if slices.Contains(changing, a.Type) {
		return c.takeChange(a)
	}
	return c.takeMatch(a)
}

func (c *Change) takeNAS(a Attribute, cfg *DynamicConfig) ErrorCause {
	if a.Type == NASIdentifier {
		if string(a.Value) != cfg.Identifier {
			return CauseNASMismatch
		}
		return 0
	}
	if addr, _ := a.Addr(); !slices.Contains(cfg.Addresses, addr) {
		return CauseNASMismatch
	}
	return 0
}

func (c *Change) takeChange(a Attribute) ErrorCause {
	if c.Disconnect {
		return CauseUnsupportedAttribute
	}
	d := seconds(a)
	switch a.Type {
	case SessionTimeout:
		c.Update.SessionTimeout = &d
	case IdleTimeout:
		c.Update.IdleTimeout = &d
	case AcctInterimInterval:
		d = interim(a)
		c.Update.Interim = &d
	case FilterID:
		c.Update.FilterIDs = append(c.Update.FilterIDs, string(a.Value))
	}
	return 0
}

func (c *Change) takeMatch(a Attribute) ErrorCause {
	if len(a.Value) == 0 {
		return CauseInvalidValue // an empty name would fit every session
	}
	m := &c.Match
	switch a.Type {
	case UserName:
		m.UserName = string(a.Value)
	case ChargeableUser:
		m.CUI = a.Value
	case AcctSessionID:
		m.SessionID = string(a.Value)
	case AcctMultiSessionID:
		m.MultiSessionID = string(a.Value)
	case CallingStationID:
		m.CallingStationID = string(a.Value)
	case CalledStationID:
		m.CalledStationID = string(a.Value)
	case NASPort:
		v, _ := a.Uint()
		m.NASPort = &v
	case NASPortID:
		m.NASPortID = string(a.Value)
	case FramedIPAddress:
		m.IPv4, _ = a.Addr()
	case FramedIPv6Address:
		m.IPv6, _ = a.Addr()
	case FramedIPv6Prefix:
		p, ok := a.Prefix()
		if !ok {
			return CauseInvalidValue
		}
		m.IPv6Prefix = p
	case FramedInterfaceID:
		m.InterfaceID = a.Value
	default:
		return CauseUnsupportedAttribute
	}
	return 0
}

// String names what must fit, for the log; quote it.
func (m *Match) String() string {
	var s []string
	text := func(name, v string) {
		if v != "" {
			s = append(s, name+" "+v)
		}
	}
	text("user", m.UserName)
	text("chargeable user", string(m.CUI))
	text("session", m.SessionID)
	text("multi-session", m.MultiSessionID)
	text("from", m.CallingStationID)
	text("to", m.CalledStationID)
	text("port", m.NASPortID)
	if m.NASPort != nil {
		text("port", strconv.FormatUint(uint64(*m.NASPort), 10))
	}
	if m.IPv4.IsValid() {
		text("address", m.IPv4.String())
	}
	if m.IPv6.IsValid() {
		text("address", m.IPv6.String())
	}
	if m.IPv6Prefix.IsValid() {
		text("prefix", m.IPv6Prefix.String())
	}
	return strings.Join(s, ", ")
}
