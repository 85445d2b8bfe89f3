package l2tpmsg

import (
	"encoding/binary"
	"errors"

	"sallyport/protocol/wire"
)

// Result is the value of a Result Code AVP (RFC 2661, Section 4.4.2).
type Result struct {
	Code     uint16    // a StopCode or a CallCode, by the message it stands in
	Error    ErrorCode // ErrorNone where HasError is false
	HasError bool      // the value has an Error Code
	Text     string    // Error Message, as the peer wrote it
	Swapped  bool      // the numbers came in the wrong order of octets, and are put right
}

var errResult = errors.New("l2tpmsg: a Result Code has 2 octets, or 4 and a text")

// ParseResult reads the value of a Result Code AVP. Error Code and Error
// Message are optional.
//
// Apple's clients write the numbers with the low octet first: 0x0100 stands for
// 1. No number that RFC 2661 has is a multiple of 256, so there is no doubt.
func ParseResult(value []byte) (Result, error) {
	if len(value) < 2 || len(value) == 3 {
		return Result{}, errResult
	}
	r := Result{Code: binary.BigEndian.Uint16(value)}
	if len(value) >= 4 {
		r.HasError, r.Error = true, ErrorCode(binary.BigEndian.Uint16(value[2:]))
		r.Text = string(value[4:])
	}
	if r.Code != 0 && r.Code&0xff == 0 {
		r.Swapped, r.Code = true, r.Code>>8
		if r.Error&0xff == 0 {
			r.Error >>= 8
		}
	}
	return r, nil
}

// AVP encodes the result. A text or an error without HasError is encoded all
// the same.
func (r Result) AVP() AVP {
	b := wire.AppendU16(nil, r.Code)
	if r.HasError || r.Error != ErrorNone || r.Text != "" {
		b = wire.AppendU16(b, uint16(r.Error))
		b = append(b, r.Text...)
	}
	return Octets(ResultCode, b)
}
