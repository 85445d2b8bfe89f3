package l2tpmsg

import "fmt"

// MessageType is the value of the Message Type AVP (RFC 2661, Section 3.2).
type MessageType uint16

// The message types of RFC 2661, Section 3.2.
const (
	SCCRQ   MessageType = 1
	SCCRP   MessageType = 2
	SCCCN   MessageType = 3
	StopCCN MessageType = 4
	HELLO   MessageType = 6
	OCRQ    MessageType = 7
	OCRP    MessageType = 8
	OCCN    MessageType = 9
	ICRQ    MessageType = 10
	ICRP    MessageType = 11
	ICCN    MessageType = 12
	CDN     MessageType = 14
	WEN     MessageType = 15
	SLI     MessageType = 16
)

var messageNames = [...]string{
	SCCRQ: "SCCRQ", SCCRP: "SCCRP", SCCCN: "SCCCN", StopCCN: "StopCCN", HELLO: "HELLO",
	OCRQ: "OCRQ", OCRP: "OCRP", OCCN: "OCCN", ICRQ: "ICRQ", ICRP: "ICRP", ICCN: "ICCN",
	CDN: "CDN", WEN: "WEN", SLI: "SLI",
}

// String is the RFC's short name, such as "SCCRQ", or "message type 99".
func (t MessageType) String() string { return named(messageNames[:], t, "message type") }

// AVPType is an Attribute Type of the IETF's (RFC 2661, Section 4.4).
type AVPType uint16

// The attribute types of RFC 2661, Section 4.4, in its order.
const (
	MessageTypeAVP     AVPType = 0
	RandomVector       AVPType = 36
	ResultCode         AVPType = 1
	ProtocolVersion    AVPType = 2
	FramingCapability  AVPType = 3
	BearerCapability   AVPType = 4
	TieBreaker         AVPType = 5
	FirmwareRevision   AVPType = 6
	HostName           AVPType = 7
	VendorName         AVPType = 8
	AssignedTunnelID   AVPType = 9
	ReceiveWindowSize  AVPType = 10
	Challenge          AVPType = 11
	ChallengeResponse  AVPType = 13
	CauseCode          AVPType = 12 // Q.931
	AssignedSessionID  AVPType = 14
	CallSerialNumber   AVPType = 15
	MinimumBPS         AVPType = 16
	MaximumBPS         AVPType = 17
	BearerType         AVPType = 18
	FramingType        AVPType = 19
	CalledNumber       AVPType = 21
	CallingNumber      AVPType = 22
	SubAddress         AVPType = 23
	TxConnectSpeed     AVPType = 24
	RxConnectSpeed     AVPType = 38
	PhysicalChannelID  AVPType = 25
	PrivateGroupID     AVPType = 37
	SequencingRequired AVPType = 39
	InitialLCPConfReq  AVPType = 26
	LastSentConfReq    AVPType = 27
	LastRecvConfReq    AVPType = 28
	ProxyAuthenType    AVPType = 29
	ProxyAuthenName    AVPType = 30
	ProxyAuthenChal    AVPType = 31
	ProxyAuthenID      AVPType = 32
	ProxyAuthenResp    AVPType = 33
	CallErrors         AVPType = 34
	ACCM               AVPType = 35
)

// String is the RFC's name, such as "Assigned Tunnel ID", or "AVP 99".
func (t AVPType) String() string {
	if int(t) < len(forms) && forms[t].name != "" {
		return forms[t].name
	}
	return fmt.Sprintf("AVP %d", uint16(t))
}

// StopCode is a Result Code of StopCCN (RFC 2661, Section 4.4.2).
type StopCode uint16

// The result codes of StopCCN.
const (
	StopGeneral       StopCode = 1
	StopError         StopCode = 2 // the Error Code says which
	StopExists        StopCode = 3
	StopNotAuthorized StopCode = 4
	StopVersion       StopCode = 5 // the Error Code is the highest version supported
	StopShutdown      StopCode = 6
	StopStateMachine  StopCode = 7
)

var stopNames = [...]string{
	StopGeneral: "general request to clear", StopError: "general error", StopExists: "control channel already exists",
	StopNotAuthorized: "not authorized", StopVersion: "protocol version not supported",
	StopShutdown: "being shut down", StopStateMachine: "state machine error",
}

// String is what the RFC says in short, or "result 99".
func (c StopCode) String() string { return named(stopNames[:], c, "result") }

// CallCode is a Result Code of CDN (RFC 2661, Section 4.4.2).
type CallCode uint16

// The result codes of CDN.
const (
	CallLostCarrier    CallCode = 1
	CallError          CallCode = 2 // the Error Code says which
	CallAdministrative CallCode = 3
	CallNoFacilities   CallCode = 4 // for the time being
	CallNeverPossible  CallCode = 5 // no facilities, for good
	CallDestination    CallCode = 6
	CallNoCarrier      CallCode = 7
	CallBusy           CallCode = 8
	CallNoDialTone     CallCode = 9
	CallTimeout        CallCode = 10
	CallNoFraming      CallCode = 11
)

var callNames = [...]string{
	CallLostCarrier: "loss of carrier", CallError: "general error", CallAdministrative: "administrative reasons",
	CallNoFacilities: "no facilities now", CallNeverPossible: "no such facilities", CallDestination: "invalid destination",
	CallNoCarrier: "no carrier", CallBusy: "busy", CallNoDialTone: "no dial tone",
	CallTimeout: "not established in time", CallNoFraming: "no framing detected",
}

// String is what the RFC says in short, or "result 99".
func (c CallCode) String() string { return named(callNames[:], c, "result") }

// ErrorCode is a General Error code (RFC 2661, Section 4.4.2).
type ErrorCode uint16

// The general error codes.
const (
	ErrorNone         ErrorCode = 0
	ErrorNoControl    ErrorCode = 1
	ErrorLength       ErrorCode = 2
	ErrorValue        ErrorCode = 3
	ErrorResources    ErrorCode = 4
	ErrorSessionID    ErrorCode = 5
	ErrorVendor       ErrorCode = 6
	ErrorTryAnother   ErrorCode = 7
	ErrorMandatoryAVP ErrorCode = 8
)

var errorNames = [...]string{
	ErrorNone: "no general error", ErrorNoControl: "no control connection", ErrorLength: "wrong length",
	ErrorValue: "value out of range", ErrorResources: "insufficient resources", ErrorSessionID: "invalid session id",
	ErrorVendor: "vendor-specific error", ErrorTryAnother: "try another", ErrorMandatoryAVP: "unknown mandatory AVP",
}

// String is what the RFC says in short, or "error 99".
func (c ErrorCode) String() string { return named(errorNames[:], c, "error") }

// Bits of the framing and bearer AVPs (RFC 2661, Sections 4.4.3 and 4.4.4).
const (
	FramingSync   = 1
	FramingAsync  = 2
	BearerDigital = 1
	BearerAnalog  = 2
)

// named looks a number up, and says what it is when it has no name.
func named[T ~uint16](names []string, v T, what string) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("%s %d", what, uint16(v))
}
