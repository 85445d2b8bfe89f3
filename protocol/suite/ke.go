package suite

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"

	"sallyport/internal/secret"
)

// KeyExchange is one ephemeral key of ours. It serves one peer: after a
// Shared that succeeded the private key is gone (RFC 7296, Section 2.12, lets
// keys be reused; we never do). It is not safe for concurrent use.
type KeyExchange interface {
	// Public is our value as the KE payload carries it (RFC 7296, Section
	// 3.4). The caller must not change it.
	Public() []byte

	// Shared checks the peer's value and returns g^ir with its leading zeros
	// (RFC 7296, Section 2.14). A bad value is an error and leaves the key
	// usable, so that a forged answer cannot spoil the true one.
	Shared(peer []byte) (secret.Bytes, error)
}

// group constructs keys of one key exchange method.
type group interface {
	publicSize() int
	relativeCost() int
	generate() (KeyExchange, error)
}

// errUsed guards against a second use of an ephemeral key.
var errUsed = errors.New("suite: this key exchange has already been used")

// GenerateKE makes a fresh ephemeral key for a KE transform.
func GenerateKE(t Transform) (KeyExchange, error) {
	a := byTransform[t]
	if t.Type != KE || a == nil || !a.Usable() || a.group == nil {
		return nil, fmt.Errorf("suite: %v: no such key exchange here", t)
	}
	return a.group.generate()
}

// PublicSize returns the length in octets of the group's public value, or 0
// for a group that GenerateKE refuses.
func PublicSize(t Transform) int {
	if a := byTransform[t]; t.Type == KE && a != nil && a.group != nil {
		return a.group.publicSize()
	}
	return 0
}

// KECost returns what answering one key exchange costs in CPU time, as a
// multiple of ECP-256 (about 70 us), or 0 for a group that GenerateKE refuses.
// A responder weighs unauthenticated requests by it: one with MODP-4096 is as
// good for an attacker as 140 with ECP-256 (RFC 7296, Section 2.6).
func KECost(t Transform) int {
	if a := byTransform[t]; t.Type == KE && a != nil && a.group != nil {
		return a.group.relativeCost()
	}
	return 0
}

// curve is a group of crypto/ecdh.
type curve struct {
	name  string
	curve ecdh.Curve
	size  int    // octets of the public value on the wire
	point []byte // what crypto/ecdh wants before it: 0x04 for an uncompressed point
	cost  int    // see KECost
}

// RFC 5903, Section 7: the payload is x | y, the secret is x. RFC 8031,
// Section 3: for Curve25519 it is the 32 octets of RFC 7748.
var (
	ecp256 = &curve{"ecp256", ecdh.P256(), 2 * 32, []byte{4}, 1}
	ecp384 = &curve{"ecp384", ecdh.P384(), 2 * 48, []byte{4}, 9}
	ecp521 = &curve{"ecp521", ecdh.P521(), 2 * 66, []byte{4}, 32}
	x25519 = &curve{"x25519", ecdh.X25519(), 32, nil, 2}
)

func (c *curve) publicSize() int   { return c.size }
func (c *curve) relativeCost() int { return c.cost }

func (c *curve) generate() (KeyExchange, error) {
	private, err := c.curve.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("suite: %s: %w", c.name, err)
	}
	return newCurveKey(c, private), nil
}

// curveKey is an ephemeral key on a curve.
type curveKey struct {
	unprintable
	curve   *curve
	private *ecdh.PrivateKey // nil once used
	public  []byte
}

func newCurveKey(c *curve, private *ecdh.PrivateKey) *curveKey {
	return &curveKey{curve: c, private: private, public: private.PublicKey().Bytes()[len(c.point):]}
}

func (k *curveKey) Public() []byte { return k.public }

func (k *curveKey) Shared(peer []byte) (secret.Bytes, error) {
	if k.private == nil {
		return nil, errUsed
	}
	if len(peer) != k.curve.size {
		return nil, wrongSize(k.curve.name, len(peer), k.curve.size)
	}
	// NewPublicKey refuses points off the curve (the invalid-curve attack),
	// ECDH refuses the all-zero result of X25519 (RFC 8031, Section 3.1).
	point := append(append(make([]byte, 0, len(k.curve.point)+len(peer)), k.curve.point...), peer...)
	public, err := k.curve.curve.NewPublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("suite: %s: the peer's public value is not a point on the curve", k.curve.name)
	}
	shared, err := k.private.ECDH(public)
	if err != nil {
		return nil, fmt.Errorf("suite: %s: the peer's public value has low order", k.curve.name)
	}
	k.private = nil
	return shared, nil
}

func wrongSize(name string, got, want int) error {
	return fmt.Errorf("suite: %s: the peer's public value has %d octets, not %d", name, got, want)
}
