package radius

import "strconv"

// Code is the kind of a packet (RFC 2865, Section 3).
type Code uint8

// Codes of RFC 2865, RFC 2866, RFC 5176 and RFC 5997.
const (
	AccessRequest      Code = 1
	AccessAccept       Code = 2
	AccessReject       Code = 3
	AccountingRequest  Code = 4
	AccountingResponse Code = 5
	AccessChallenge    Code = 11
	StatusServer       Code = 12
	DisconnectRequest  Code = 40
	DisconnectACK      Code = 41
	DisconnectNAK      Code = 42
	CoARequest         Code = 43
	CoAACK             Code = 44
	CoANAK             Code = 45
)

var codeNames = map[Code]string{
	AccessRequest: "Access-Request", AccessAccept: "Access-Accept", AccessReject: "Access-Reject",
	AccountingRequest: "Accounting-Request", AccountingResponse: "Accounting-Response",
	AccessChallenge: "Access-Challenge", StatusServer: "Status-Server",
	DisconnectRequest: "Disconnect-Request", DisconnectACK: "Disconnect-ACK", DisconnectNAK: "Disconnect-NAK",
	CoARequest: "CoA-Request", CoAACK: "CoA-ACK", CoANAK: "CoA-NAK",
}

// String is the RFC's name, or the number.
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return "code " + strconv.Itoa(int(c))
}

// answers lists which codes may answer a request. An Access-Challenge to a
// Status-Server, say, is nothing that a server sends (RFC 5997, Section 3).
var answers = map[Code][]Code{
	AccessRequest:     {AccessAccept, AccessReject, AccessChallenge},
	AccountingRequest: {AccountingResponse},
	StatusServer:      {AccessAccept, AccountingResponse},
	DisconnectRequest: {DisconnectACK, DisconnectNAK},
	CoARequest:        {CoAACK, CoANAK},
}

// hashed are the requests whose authenticator is a hash with the secret in it
// (RFC 2866, Section 3; RFC 5176, Section 2.3) and not a number of chance.
func (c Code) hashed() bool {
	return c == AccountingRequest || c == DisconnectRequest || c == CoARequest
}

// signed are the packets that we send with a Message-Authenticator. The others,
// which are those of accounting, prove the secret by their own authenticator,
// and RFC 3579, Section 3.3 knows no Message-Authenticator in them.
func (c Code) signed() bool { return c != AccountingRequest && c != AccountingResponse }
