package radius

import "strconv"

// ErrorCause says why a Disconnect-Request or CoA-Request was refused
// (RFC 5176, Section 3.5).
type ErrorCause uint32

// Causes that we give. Those under 300 go with an ACK.
const (
	CauseResidualRemoved      ErrorCause = 201 // gone already, and now what was left of it
	CauseUnsupportedAttribute ErrorCause = 401
	CauseMissingAttribute     ErrorCause = 402
	CauseNASMismatch          ErrorCause = 403
	CauseInvalidRequest       ErrorCause = 404
	CauseUnsupportedService   ErrorCause = 405
	CauseUnsupportedExtension ErrorCause = 406
	CauseInvalidValue         ErrorCause = 407
	CauseProhibited           ErrorCause = 501
	CauseSessionNotFound      ErrorCause = 503
	CauseSessionNotRemovable  ErrorCause = 504
	CauseResourcesUnavailable ErrorCause = 506
	CauseMultipleNotSupported ErrorCause = 508
)

var causeNames = map[ErrorCause]string{
	CauseResidualRemoved: "Residual Session Context Removed", CauseUnsupportedAttribute: "Unsupported Attribute",
	CauseMissingAttribute: "Missing Attribute", CauseNASMismatch: "NAS Identification Mismatch",
	CauseInvalidRequest: "Invalid Request", CauseUnsupportedService: "Unsupported Service",
	CauseUnsupportedExtension: "Unsupported Extension", CauseInvalidValue: "Invalid Attribute Value",
	CauseProhibited: "Administratively Prohibited", CauseSessionNotFound: "Session Context Not Found",
	CauseSessionNotRemovable: "Session Context Not Removable", CauseResourcesUnavailable: "Resources Unavailable",
	CauseMultipleNotSupported: "Multiple Session Selection Unsupported",
}

// String is the RFC's name, or the number.
func (c ErrorCause) String() string {
	if n, ok := causeNames[c]; ok {
		return n
	}
	return "cause " + strconv.Itoa(int(c))
}

// success tells whether the cause goes with an ACK; 0 is none.
func (c ErrorCause) success() bool { return c < 300 }
