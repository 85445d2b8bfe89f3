package l2tpmsg

import "slices"

// Form is what RFC 2661, Section 4.4 says of the AVPs of one type.
type Form struct {
	Min, Max  int  // size of the value in octets, before hiding
	Mandatory bool // we send it with the M bit
	Hideable  bool // the H bit may be set
	name      string
}

// MaxValue is the longest value of an AVP, in octets: its length has 10 bits
// and counts 6 octets of its own (RFC 2661, Section 4.1).
const MaxValue = 1023 - avpLen

// most is the upper bound of values of arbitrary length.
const most = MaxValue

// forms is Section 4.4, by number. Number 20 was never assigned.
var forms = [...]Form{
	MessageTypeAVP:     {2, 2, true, false, "Message Type"},
	ResultCode:         {2, most, true, false, "Result Code"},
	ProtocolVersion:    {2, 2, true, false, "Protocol Version"},
	FramingCapability:  {4, 4, true, true, "Framing Capabilities"},
	BearerCapability:   {4, 4, true, true, "Bearer Capabilities"},
	TieBreaker:         {8, 8, false, false, "Tie Breaker"},
	FirmwareRevision:   {2, 2, false, true, "Firmware Revision"},
	HostName:           {1, most, true, false, "Host Name"},
	VendorName:         {0, most, false, true, "Vendor Name"},
	AssignedTunnelID:   {2, 2, true, true, "Assigned Tunnel ID"},
	ReceiveWindowSize:  {2, 2, true, false, "Receive Window Size"},
	Challenge:          {1, most, true, true, "Challenge"},
	CauseCode:          {3, most, true, false, "Q.931 Cause Code"},
	ChallengeResponse:  {16, 16, true, true, "Challenge Response"},
	AssignedSessionID:  {2, 2, true, true, "Assigned Session ID"},
	CallSerialNumber:   {4, 4, true, true, "Call Serial Number"},
	MinimumBPS:         {4, 4, true, true, "Minimum BPS"},
	MaximumBPS:         {4, 4, true, true, "Maximum BPS"},
	BearerType:         {4, 4, true, true, "Bearer Type"},
	FramingType:        {4, 4, true, true, "Framing Type"},
	CalledNumber:       {0, most, true, true, "Called Number"},
	CallingNumber:      {0, most, true, true, "Calling Number"},
	SubAddress:         {0, most, true, true, "Sub-Address"},
	TxConnectSpeed:     {4, 4, true, true, "(Tx) Connect Speed"},
	PhysicalChannelID:  {4, 4, false, true, "Physical Channel ID"},
	InitialLCPConfReq:  {0, most, false, true, "Initial Received LCP CONFREQ"},
	LastSentConfReq:    {0, most, false, true, "Last Sent LCP CONFREQ"},
	LastRecvConfReq:    {0, most, false, true, "Last Received LCP CONFREQ"},
	ProxyAuthenType:    {2, 2, false, true, "Proxy Authen Type"},
	ProxyAuthenName:    {0, most, false, true, "Proxy Authen Name"},
	ProxyAuthenChal:    {1, most, false, true, "Proxy Authen Challenge"},
	ProxyAuthenID:      {2, 2, false, true, "Proxy Authen ID"},
	ProxyAuthenResp:    {0, most, false, true, "Proxy Authen Response"},
	CallErrors:         {26, 26, true, true, "Call Errors"},
	ACCM:               {10, 10, true, true, "ACCM"},
	RandomVector:       {0, most, true, false, "Random Vector"},
	PrivateGroupID:     {0, most, false, true, "Private Group ID"},
	RxConnectSpeed:     {4, 4, false, true, "Rx Connect Speed"},
	SequencingRequired: {0, 0, true, false, "Sequencing Required"},
}

// Form is the type's row of Section 4.4; false for a type that RFC 2661 does
// not have.
func (t AVPType) Form() (Form, bool) {
	if int(t) >= len(forms) || forms[t].name == "" {
		return Form{}, false
	}
	return forms[t], true
}

// Content is what one message holds (RFC 2661, Sections 6.1 to 6.14). Message
// Type and Random Vector are in no row: the one is first in every message, and
// the other may be in each.
type Content struct {
	Required, Optional []AVPType
	Call               bool // it is about one call; else about the tunnel
}

var contents = [...]*Content{
	SCCRQ: {
		Required: []AVPType{ProtocolVersion, HostName, FramingCapability, AssignedTunnelID},
		Optional: []AVPType{BearerCapability, ReceiveWindowSize, Challenge, TieBreaker, FirmwareRevision, VendorName},
	},
	SCCRP: {
		Required: []AVPType{ProtocolVersion, FramingCapability, HostName, AssignedTunnelID},
		Optional: []AVPType{BearerCapability, FirmwareRevision, VendorName, ReceiveWindowSize, Challenge, ChallengeResponse},
	},
	SCCCN:   {Optional: []AVPType{ChallengeResponse}},
	StopCCN: {Required: []AVPType{AssignedTunnelID, ResultCode}},
	HELLO:   {},
	ICRQ: {
		Required: []AVPType{AssignedSessionID, CallSerialNumber},
		Optional: []AVPType{BearerType, PhysicalChannelID, CallingNumber, CalledNumber, SubAddress},
		Call:     true,
	},
	ICRP: {Required: []AVPType{AssignedSessionID}, Call: true},
	ICCN: {
		Required: []AVPType{TxConnectSpeed, FramingType},
		Optional: []AVPType{InitialLCPConfReq, LastSentConfReq, LastRecvConfReq, ProxyAuthenType, ProxyAuthenName,
			ProxyAuthenChal, ProxyAuthenID, ProxyAuthenResp, PrivateGroupID, RxConnectSpeed, SequencingRequired},
		Call: true,
	},
	OCRQ: {
		Required: []AVPType{AssignedSessionID, CallSerialNumber, MinimumBPS, MaximumBPS, BearerType, FramingType, CalledNumber},
		Optional: []AVPType{SubAddress},
		Call:     true,
	},
	OCRP: {Required: []AVPType{AssignedSessionID}, Optional: []AVPType{PhysicalChannelID}, Call: true},
	OCCN: {
		Required: []AVPType{TxConnectSpeed, FramingType},
		Optional: []AVPType{RxConnectSpeed, SequencingRequired},
		Call:     true,
	},
	CDN: {Required: []AVPType{ResultCode, AssignedSessionID}, Optional: []AVPType{CauseCode}, Call: true},
	WEN: {Required: []AVPType{CallErrors}, Call: true},
	SLI: {Required: []AVPType{ACCM}, Call: true},
}

// Content is the message's row of Section 6; nil for a type that RFC 2661 does
// not have. The row is shared: it is for reading.
func (t MessageType) Content() *Content {
	if int(t) >= len(contents) {
		return nil
	}
	return contents[t]
}

// Has tells whether AVPs of a type belong to the message.
func (c *Content) Has(t AVPType) bool {
	return t == MessageTypeAVP || t == RandomVector || slices.Contains(c.Required, t) || slices.Contains(c.Optional, t)
}
