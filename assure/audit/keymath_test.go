package audit

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
)

func prime(t *testing.T, bits int) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func product(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }

// flawed makes a prime as the library did: k*M + (65537^a mod M).
func flawed(t *testing.T) *big.Int {
	t.Helper()
	m := big.NewInt(2)
	for _, p := range rocaPrimes {
		m.Mul(m, big.NewInt(p))
	}
	for range 100000 {
		k, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 37))
		a, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 62))
		p := new(big.Int).Exp(big.NewInt(65537), a, m)
		if p.Add(p, k.Mul(k, m)); p.ProbablyPrime(10) {
			return p
		}
	}
	t.Fatal("no prime of the flawed form")
	return nil
}

func TestROCAIsToldByTheModulus(t *testing.T) {
	if n := product(flawed(t), flawed(t)); !isROCA(n) {
		t.Errorf("%d is not found", n)
	}
	for range 20 {
		if n := product(prime(t, 256), prime(t, 256)); isROCA(n) {
			t.Errorf("%d is found and was made well", n)
		}
	}
}

func TestClosePrimesAreFound(t *testing.T) {
	p := prime(t, 512)
	q := new(big.Int).Add(p, big.NewInt(1000))
	for !q.ProbablyPrime(10) {
		q.Add(q, big.NewInt(1))
	}
	if !fermat(product(p, q)) {
		t.Error("neighbours are not found")
	}
	if !fermat(product(p, p)) {
		t.Error("a square is not found")
	}
	if !fermat(product(p, big.NewInt(2))) {
		t.Error("an even modulus is not found")
	}
	if fermat(product(prime(t, 512), prime(t, 512))) {
		t.Error("primes that have nothing to do with each other are found")
	}
}

func TestCommonDivisorsAreFoundAmongMany(t *testing.T) {
	var numbers []*big.Int
	for range 37 { // an odd number at most levels of the tree
		numbers = append(numbers, product(prime(t, 128), prime(t, 128)))
	}
	shared := prime(t, 128)
	numbers[5], numbers[20], numbers[36] = product(shared, prime(t, 128)), product(shared, prime(t, 128)), product(shared, prime(t, 128))
	for i, g := range commonDivisors(numbers) {
		if with := i == 5 || i == 20 || i == 36; with != (g != nil) || with && g.Cmp(shared) != 0 {
			t.Errorf("number %d: divisor %v", i, g)
		}
	}
	for n := range 3 {
		if d := commonDivisors(numbers[:n]); len(d) != n {
			t.Errorf("of %d numbers there are %d divisors", n, len(d))
		}
	}
}

func TestAModulusThatIsNoneIsToldApart(t *testing.T) {
	for name, n := range map[string]*big.Int{"none": nil, "zero": new(big.Int), "negative": big.NewInt(-15), "huge": new(big.Int).Lsh(big.NewInt(1), largestModulus+1)} {
		if got, _, problem := modulusOf(keyOf(&rsa.PublicKey{N: n, E: 65537})); got != nil || problem == "" {
			t.Errorf("%s: %v, %q", name, got, problem)
		}
	}
}

func TestListsOfKnownKeys(t *testing.T) {
	n := product(prime(t, 512), prime(t, 512))
	key := keyOf(&rsa.PublicKey{N: n, E: 65537})
	tag, _ := spki(key)
	for text, want := range map[string]string{
		"# a comment\n\n" + hexOf(tag[:]) + " the key of a firmware\n": "the key of a firmware",
		debianLine(n) + "\n": "one of the weak keys of Debian in 2008",
	} {
		k, err := ReadKnownKeys(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := k.name(key); !ok || name != want {
			t.Errorf("%q, %v", name, ok)
		}
	}
	if _, ok := builtinKeys.name(key); ok || len(builtinKeys.bySPKI) < 10 {
		t.Error("a new key is on the list, or the list is short")
	}
	for _, bad := range []string{"xyz", "abcd name", strings.Repeat("a", 4096)} {
		if _, err := ReadKnownKeys(strings.NewReader(bad)); err == nil {
			t.Errorf("%.10q is read", bad)
		}
	}
}

func FuzzReadKnownKeys(f *testing.F) {
	f.Add(knownKeysText)
	f.Add([]byte("# comment\n0123456789abcdef0123\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := ReadKnownKeys(bytes.NewReader(b)); (k == nil) == (err == nil) {
			t.Errorf("%v, %v", k, err)
		}
	})
}
