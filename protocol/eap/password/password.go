// Package password keeps users' passwords as hashes and checks them.
//
// There are two forms. argon2id (RFC 9106) is the one to use; it serves PAP
// inside TTLS. The NT hash is what MSCHAPv2 needs, and whoever has it can log
// in: it is only for users of MSCHAPv2.
//
// A check takes as long for a user who does not exist, with Nobody, as for a
// wrong password.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"sallyport/internal/secret"
	"sallyport/protocol/eap/mschapv2"
)

// Hash is a stored password: "$argon2id$v=19$m=...,t=...,p=...$salt$hash" as
// other programs write it, or "$nt$" and 32 hexadecimal digits. It is as
// secret as its form is weak, so do not print it.
type Hash string

// cost is argon2id's. The default takes 19 MiB and some 30 ms of one core:
// enough against a stolen file, and a flood of logins is bounded by the pool
// that runs the checks.
type cost struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

var defaultCost = cost{memory: 19 << 10, time: 2, threads: 1}

// Bounds of the costs that are taken from a stored hash: a slip in a file must
// not stop the gateway.
const (
	maxMemory  = 256 << 10 // KiB
	maxTime    = 16
	maxThreads = 16
)

const (
	saltSize = 16
	keySize  = 32
	// MaxLength is the longest password, in octets.
	MaxLength = 512
)

// Errors of stored hashes and new passwords.
var (
	errForm   = errors.New("password: a stored hash is neither $argon2id$ nor $nt$, or is damaged")
	errLength = fmt.Errorf("password: a password has 1 to %d octets", MaxLength)
)

// New hashes a password with argon2id.
func New(password secret.Bytes) (Hash, error) {
	if len(password) == 0 || len(password) > MaxLength {
		return "", errLength
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	key := defaultCost.key(password, salt, keySize)
	b64 := base64.RawStdEncoding.EncodeToString
	return Hash(fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		defaultCost.memory, defaultCost.time, defaultCost.threads, b64(salt), b64(key))), nil
}

// NewNT hashes a password for MSCHAPv2.
func NewNT(password secret.Bytes) (Hash, error) {
	if len(password) == 0 {
		return "", errLength
	}
	hash, err := mschapv2.NTHash(password)
	if err != nil {
		return "", err
	}
	return Hash("$nt$" + hex.EncodeToString(hash)), nil
}

// Nobody is the hash to check when there is no such user: no password matches,
// and it takes as long as any other of the default cost.
const Nobody Hash = ""

// Check tells whether password is the one that was hashed. It computes one
// argon2id in any case. An error is a fault of the stored hash, never of the
// password.
func (h Hash) Check(password secret.Bytes) (bool, error) {
	if len(password) > MaxLength {
		password = nil // no stored password is that long; and none is empty
	}
	if rest, ok := strings.CutPrefix(string(h), "$argon2id$"); ok {
		return checkArgon2(rest, password)
	}
	defaultCost.key(password, make([]byte, saltSize), keySize)
	if h == Nobody {
		return false, nil
	}
	want, err := h.NT()
	if err != nil {
		return false, err
	}
	got, err := mschapv2.NTHash(password)
	if err != nil || len(password) == 0 {
		return false, nil
	}
	return got.Equal(want), nil
}

// NT is the NT hash for MSCHAPv2; an error when the password is stored in
// another form.
func (h Hash) NT() (secret.Bytes, error) {
	digits, ok := strings.CutPrefix(string(h), "$nt$")
	hash, err := hex.DecodeString(digits)
	if !ok || err != nil || len(hash) != mschapv2.HashSize {
		return nil, errForm
	}
	return hash, nil
}

// Valid tells whether h has one of the two forms.
func (h Hash) Valid() bool {
	if rest, ok := strings.CutPrefix(string(h), "$argon2id$"); ok {
		_, _, _, err := parseArgon2(rest)
		return err == nil
	}
	_, err := h.NT()
	return err == nil
}

func checkArgon2(rest string, password secret.Bytes) (bool, error) {
	c, salt, want, err := parseArgon2(rest)
	if err != nil {
		return false, err
	}
	got := c.key(password, salt, uint32(len(want)))
	return len(password) > 0 && subtle.ConstantTimeCompare(got, want) == 1, nil
}

func parseArgon2(rest string) (c cost, salt, key []byte, err error) {
	fields := strings.Split(rest, "$")
	if len(fields) != 4 || fields[0] != fmt.Sprintf("v=%d", argon2.Version) {
		return cost{}, nil, nil, errForm
	}
	n, err := fmt.Sscanf(fields[1], "m=%d,t=%d,p=%d", &c.memory, &c.time, &c.threads)
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(fields[2])
	key, err2 := base64.RawStdEncoding.Strict().DecodeString(fields[3])
	switch {
	case n != 3 || errors.Join(err, err1, err2) != nil,
		c.memory == 0 || c.memory > maxMemory, c.time == 0 || c.time > maxTime, c.threads == 0 || c.threads > maxThreads,
		len(salt) < 8 || len(salt) > 64, len(key) < 16 || len(key) > 64:
		return cost{}, nil, nil, errForm
	}
	return c, salt, key, nil
}

func (c cost) key(password secret.Bytes, salt []byte, n uint32) []byte {
	return argon2.IDKey(password, salt, c.time, c.memory, c.threads, n)
}

// String hides the hash, which is worth a guess or, as an NT hash, a login.
func (h Hash) String() string { return "[secret]" }

// GoString hides the hash in %#v too.
func (h Hash) GoString() string { return "[secret]" }
