package suite

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"

	"filippo.io/bigmod"

	"sallyport/internal/secret"
)

// modp is a group of RFC 3526: a safe prime and the generator 2.
type modp struct {
	name     string
	size     int // octets of the prime
	exponent int // octets of the private exponent
	cost     int // see KECost
	modulus  func() *bigmod.Modulus
}

// The exponents are short: twice the strength of the group and a margin (RFC
// 3526, Section 8: 110 to 160, 130 to 210, 150 to 240 bits), which is safe
// with a safe prime and makes the groups bearable.
var (
	modp2048 = newMODP("modp2048", prime2048, 256/8, 12)
	modp3072 = newMODP("modp3072", prime3072, 256/8, 65)
	modp4096 = newMODP("modp4096", prime4096, 320/8, 140)
)

func newMODP(name, prime string, exponent, cost int) *modp {
	return &modp{name, len(prime) / 2, exponent, cost, sync.OnceValue(func() *bigmod.Modulus {
		b, err := hex.DecodeString(prime)
		if err != nil {
			panic(err)
		}
		m, err := bigmod.NewModulus(b)
		if err != nil {
			panic(err)
		}
		return m
	})}
}

func (g *modp) publicSize() int   { return g.size }
func (g *modp) relativeCost() int { return g.cost }

func (g *modp) generate() (KeyExchange, error) {
	exponent := make(secret.Bytes, g.exponent)
	rand.Read(exponent) // never fails: crypto/rand ends the program instead
	return newMODPKey(g, exponent), nil
}

// modpKey is an ephemeral key in a MODP group.
type modpKey struct {
	unprintable
	group    *modp
	exponent secret.Bytes // nil once used
	public   []byte
}

func newMODPKey(g *modp, exponent secret.Bytes) *modpKey {
	m := g.modulus()
	generator := bigmod.NewNat().SetUint(2).ExpandFor(m)
	return &modpKey{group: g, exponent: exponent, public: bigmod.NewNat().Exp(generator, exponent, m).Bytes(m)}
}

func (k *modpKey) Public() []byte { return k.public }

func (k *modpKey) Shared(peer []byte) (secret.Bytes, error) {
	if k.exponent == nil {
		return nil, errUsed
	}
	if len(peer) != k.group.size {
		return nil, wrongSize(k.group.name, len(peer), k.group.size)
	}
	// 2 <= y <= p-2: 0, 1 and p-1 make the secret known to anyone
	// (CVE-2015-3240; RFC 6989, Section 2.1).
	m := k.group.modulus()
	y, err := bigmod.NewNat().SetBytes(peer, m)
	if err != nil || y.IsZero()|y.IsOne()|y.IsMinusOne(m) == 1 {
		return nil, fmt.Errorf("suite: %s: the peer's public value is out of range", k.group.name)
	}
	shared := bigmod.NewNat().Exp(y, k.exponent, m).Bytes(m)
	k.exponent.Clear()
	k.exponent = nil
	return shared, nil
}

// The primes of RFC 3526, Sections 3 to 5.
const (
	prime2048 = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74" +
		"020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437" +
		"4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED" +
		"EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05" +
		"98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB" +
		"9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B" +
		"E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718" +
		"3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF"

	prime3072 = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74" +
		"020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437" +
		"4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED" +
		"EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05" +
		"98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB" +
		"9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B" +
		"E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718" +
		"3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33" +
		"A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7" +
		"ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864" +
		"D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2" +
		"08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF"

	prime4096 = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74" +
		"020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437" +
		"4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED" +
		"EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05" +
		"98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB" +
		"9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B" +
		"E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718" +
		"3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33" +
		"A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7" +
		"ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864" +
		"D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2" +
		"08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D7" +
		"88719A10BDBA5B2699C327186AF4E23C1A946834B6150BDA2583E9CA2AD44CE8" +
		"DBBBC2DB04DE8EF92E8EFC141FBECAA6287C59474E6BC05D99B2964FA090C3A2" +
		"233BA186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA9" +
		"93B4EA988D8FDDC186FFB7DC90A6C08F4DF435C934063199FFFFFFFFFFFFFFFF"
)
