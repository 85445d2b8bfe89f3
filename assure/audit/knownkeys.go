package audit

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	_ "embed" // the list
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"sallyport/posture"
)

// KnownKeys are public keys whose private half others have.
//
// A list is lines of a hash in hex, white space, and a name for it; what begins
// with # is a comment. The hash is SHA-256 of the key's SubjectPublicKeyInfo
// (RFC 5280, Section 4.1.2.7) with 64 digits, or, with 20 digits and no name
// needed, what Debian's openssl-blacklist has for RSA: the last half of SHA-1 of
// "Modulus=", the modulus in capital hex digits, and a line feed. So the files of
// that package, which name the keys of CVE-2008-0166, can be read as they are.
type KnownKeys struct {
	bySPKI   map[[sha256.Size]byte]string
	byDebian map[[debianHash]byte]string
}

const (
	debianHash     = 10
	mostKnown      = 4 << 20 // lines
	longestListing = 1024    // octets of a line
)

//go:embed knownkeys.txt
var knownKeysText []byte

var builtinKeys = func() *KnownKeys {
	k, err := ReadKnownKeys(bytes.NewReader(knownKeysText))
	if err != nil {
		panic(err) // the program's own file, which a test reads
	}
	return k
}()

// ReadKnownKeys reads a list. It fails at the first line that is none.
func ReadKnownKeys(r io.Reader) (*KnownKeys, error) {
	k := &KnownKeys{bySPKI: map[[sha256.Size]byte]string{}, byDebian: map[[debianHash]byte]string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestListing)
	number := 0
	for lines.Scan() {
		if number++; number > mostKnown {
			return nil, fmt.Errorf("known keys: more than %d lines", mostKnown)
		}
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !k.enter(line) {
			return nil, fmt.Errorf("known keys: line %d is not a hash of 64 or 20 hex digits and a name", number)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("known keys: line %d: %w", number+1, err)
	}
	return k, nil
}

func (k *KnownKeys) enter(line string) bool {
	digits, name, _ := strings.Cut(line, " ")
	hash, err := hex.DecodeString(digits)
	if err != nil {
		return false
	}
	switch len(hash) {
	case sha256.Size:
		k.bySPKI[[sha256.Size]byte(hash)] = strings.TrimSpace(name)
	case debianHash:
		k.byDebian[[debianHash]byte(hash)] = "one of the weak keys of Debian in 2008"
	default:
		return false
	}
	return true
}

// name says whose a key is, if it is known.
func (k *KnownKeys) name(key *posture.Key) (string, bool) {
	if k == nil {
		return "", false
	}
	if tag, ok := spki(key); ok {
		if name, ok := k.bySPKI[tag]; ok {
			return name, true
		}
	}
	if n, _, _ := modulusOf(key); n != nil {
		sum := sha1.Sum(fmt.Appendf(nil, "Modulus=%X\n", n))
		name, ok := k.byDebian[[debianHash]byte(sum[debianHash:])]
		return name, ok
	}
	return "", false
}

func keyKnown(j *judge) {
	for k := range j.keys {
		if publicOf(k) == nil {
			j.unknown(k.Subject, "the file does not show the public half of the key")
			continue
		}
		name, found := builtinKeys.name(k)
		if !found {
			name, found = j.shared.known.name(k)
		}
		if found {
			j.found(k.Subject, at(k.At, "on the list of known keys"), "the private half is public: it is %s", name)
		} else {
			j.ok(k.Subject, at(k.At, "not on the list of known keys"))
		}
	}
}
