// Package mschapv2 computes the proofs of MS-CHAPv2 (RFC 2759) and the keys
// that follow from them (RFC 3079).
//
// The scheme is broken: one search through 2^56 DES keys gives the password's
// hash to whoever has seen one exchange. It exists here for use inside TLS.
//
// MD4, DES and SHA-1 are the scheme's, and none may be used under
// GODEBUG=fips140=only: there every function returns ErrFIPS.
package mschapv2

import (
	"crypto/des"
	"crypto/fips140"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	//lint:ignore SA1019 RFC 2759, Section 8.3 hashes passwords with MD4
	"golang.org/x/crypto/md4"

	"sallyport/internal/secret"
)

// Sizes in octets.
const (
	ChallengeSize = 16 // of either side
	ResponseSize  = 24 // NT-Response
	HashSize      = 16 // of a password
	KeySize       = 16 // of a send or receive key
)

// MaxPassword is the longest password, in characters of UTF-16 (RFC 2759,
// Section 8.1).
const MaxPassword = 256

// Errors of the computations.
var (
	ErrFIPS     = errors.New("mschapv2: MD4, DES and SHA-1 are not available in FIPS 140-only mode")
	errPassword = errors.New("mschapv2: the password is not UTF-8 or over 256 characters")
	errSize     = errors.New("mschapv2: a challenge, hash or response has a wrong size")
)

// NTHash is the hash of a password in UTF-8 (RFC 2759, Section 8.3).
func NTHash(password secret.Bytes) (secret.Bytes, error) {
	if fips140.Enforced() {
		return nil, ErrFIPS
	}
	if !utf8.Valid(password) {
		return nil, errPassword
	}
	units := utf16.Encode([]rune(string(password)))
	if len(units) > MaxPassword {
		return nil, errPassword
	}
	text := make(secret.Bytes, 0, 2*len(units))
	for _, u := range units {
		text = binary.LittleEndian.AppendUint16(text, u)
	}
	defer text.Clear()
	return md4Sum(text), nil
}

func md4Sum(b []byte) secret.Bytes {
	h := md4.New()
	h.Write(b)
	return h.Sum(nil)
}

// Exchange is one run: what both sides have sent, and the hash of the password
// that only they know.
type Exchange struct {
	User          string // as in the response; a domain before a backslash is not hashed
	Authenticator []byte // the authenticator's challenge
	Peer          []byte // the peer's challenge
	NTHash        secret.Bytes
}

func (e *Exchange) check() error {
	switch {
	case fips140.Enforced():
		return ErrFIPS
	case len(e.Authenticator) != ChallengeSize, len(e.Peer) != ChallengeSize, len(e.NTHash) != HashSize:
		return errSize
	}
	return nil
}

// challengeHash is RFC 2759, Section 8.2. The name goes without domain.
func (e *Exchange) challengeHash() []byte {
	name := e.User
	if i := strings.LastIndexByte(name, '\\'); i >= 0 {
		name = name[i+1:]
	}
	h := sha1.New()
	h.Write(e.Peer)
	h.Write(e.Authenticator)
	h.Write([]byte(name))
	return h.Sum(nil)[:8]
}

// NTResponse is the peer's proof (RFC 2759, Section 8.1), 24 octets.
func (e *Exchange) NTResponse() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	challenge := e.challengeHash()
	var key [21]byte
	copy(key[:], e.NTHash)
	defer clear(key[:])
	response := make([]byte, ResponseSize)
	for i := range 3 {
		block, err := des.NewCipher(spread(key[7*i : 7*i+7]))
		if err != nil {
			return nil, err
		}
		block.Encrypt(response[8*i:], challenge)
	}
	return response, nil
}

// spread makes a DES key of seven octets (RFC 2759, Section 8.6); the eighth
// bit of each octet is parity, which nobody looks at.
func spread(seven []byte) []byte {
	var bits uint64
	for _, b := range seven {
		bits = bits<<8 | uint64(b)
	}
	key := make([]byte, 8)
	for i := range key {
		key[7-i] = byte(bits>>(7*i)) << 1
	}
	return key
}

// The constants of RFC 2759, Section 8.7 and RFC 3079, Section 3.4.
const (
	magic1 = "Magic server to client signing constant"
	magic2 = "Pad to make it do more than one iteration"

	magicMaster = "This is the MPPE Master Key"
	magicClient = "On the client side, this is the send key; on the server side, it is the receive key."
	magicServer = "On the client side, this is the receive key; on the server side, it is the send key."
)

// AuthenticatorResponse is the authenticator's proof for a response of the
// peer, "S=" and 40 hexadecimal digits (RFC 2759, Section 8.7).
func (e *Exchange) AuthenticatorResponse(ntResponse []byte) (string, error) {
	if err := e.check(); err != nil {
		return "", err
	}
	hashHash := md4Sum(e.NTHash)
	defer hashHash.Clear()
	first := sha1Sum(hashHash, ntResponse, []byte(magic1))
	proof := sha1Sum(first, e.challengeHash(), []byte(magic2))
	return "S=" + strings.ToUpper(hex.EncodeToString(proof)), nil
}

// Keys derives the 128-bit session keys of the server's side: what the server
// sends with and what it receives with (RFC 3079, Section 3.3). The peer's
// keys are the same two, exchanged.
func (e *Exchange) Keys(ntResponse []byte) (send, receive secret.Bytes, err error) {
	if err := e.check(); err != nil {
		return nil, nil, err
	}
	hashHash := md4Sum(e.NTHash)
	defer hashHash.Clear()
	master := sha1Sum(hashHash, ntResponse, []byte(magicMaster))[:16]
	defer clear(master)
	return startKey(master, magicServer), startKey(master, magicClient), nil
}

// startKey is GetAsymmetricStartKey (RFC 3079, Section 3.4).
func startKey(master []byte, magic string) secret.Bytes {
	var pad1, pad2 [40]byte
	for i := range pad2 {
		pad2[i] = 0xf2
	}
	return sha1Sum(master, pad1[:], []byte(magic), pad2[:])[:KeySize:KeySize]
}

func sha1Sum(parts ...[]byte) []byte {
	h := sha1.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
