package audit

import (
	"crypto/rsa"
	"math/big"
	"slices"

	"sallyport/posture"
)

// largestModulus bounds the arithmetic on a file's word, in bits.
const largestModulus = 16384

// modulusOf is an RSA key's modulus, or nil with what is wrong: no RSA key is
// nothing wrong.
func modulusOf(k *posture.Key) (n *big.Int, e int, problem string) {
	p, ok := publicOf(k).(*rsa.PublicKey)
	switch {
	case !ok || p == nil:
		return nil, 0, ""
	case p.N == nil || p.N.Sign() <= 0 || p.N.BitLen() < 16:
		return nil, 0, "the key has no modulus"
	case p.N.BitLen() > largestModulus:
		return nil, 0, "the modulus is larger than what is looked at"
	}
	return p.N, p.E, ""
}

// moduliOf visits the RSA keys that the rule applies to; of others it says that
// they are well, and of unreadable ones that nothing can be said.
func (j *judge) moduliOf(visit func(k *posture.Key, n *big.Int, e int)) {
	for k := range j.keys {
		n, e, problem := modulusOf(k)
		switch {
		case n != nil:
			visit(k, n, e)
		case problem != "":
			j.unknown(k.Subject, "%s", problem)
		case publicOf(k) == nil:
			j.unknown(k.Subject, "the file does not show the public half of the key")
		default:
			j.ok(k.Subject, at(k.At, "no RSA key"))
		}
	}
}

// rocaPrimes are the odd primes up to 167, the divisors of the constant that the
// flawed library builds its primes from: p = k*M + (65537^a mod M). So a modulus
// of two such primes is a power of 65537 modulo each of them. A modulus that
// was made well passes all those tests by chance once in 2^27 or less (Nemec and
// others, The Return of Coppersmith's Attack, CCS 2017, Section 3).
var rocaPrimes = []int64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
}

// rocaPowers are, for each of those primes, the powers of 65537 modulo it.
var rocaPowers = func() (all []map[int64]bool) {
	for _, p := range rocaPrimes {
		set := map[int64]bool{}
		for x := int64(1); !set[x]; x = x * 65537 % p {
			set[x] = true
		}
		all = append(all, set)
	}
	return all
}()

// isROCA tells a modulus of the flawed library.
func isROCA(n *big.Int) bool {
	var r, m big.Int
	for i, p := range rocaPrimes {
		if !rocaPowers[i][r.Mod(n, m.SetInt64(p)).Int64()] {
			return false
		}
	}
	return true
}

func keyROCA(j *judge) {
	j.moduliOf(func(k *posture.Key, n *big.Int, _ int) {
		e := at(k.At, rsaWords(n))
		if isROCA(n) {
			j.found(k.Subject, e, "the modulus has the form of a flawed generator")
		} else {
			j.ok(k.Subject, e)
		}
	})
}

func rsaWords(n *big.Int) string { return "RSA, " + decimal(uint32(n.BitLen())) + " bits" }

// fermatRounds finds primes whose upper halves are equal, and somewhat further;
// those that are merely near need more than anybody has.
const fermatRounds = 100

// fermat looks for a and b with n = a^2 - b^2, from the root of n upwards.
func fermat(n *big.Int) bool {
	if n.Bit(0) == 0 {
		return true // two is a factor
	}
	var a, b2, b, sq big.Int
	one := big.NewInt(1)
	a.Sqrt(n)
	if sq.Mul(&a, &a).Cmp(n) < 0 {
		a.Add(&a, one)
	}
	for range fermatRounds {
		b2.Sub(b2.Mul(&a, &a), n)
		b.Sqrt(&b2)
		if sq.Mul(&b, &b).Cmp(&b2) == 0 {
			return true
		}
		a.Add(&a, one)
	}
	return false
}

func keyFermat(j *judge) {
	j.moduliOf(func(k *posture.Key, n *big.Int, exponent int) {
		e := at(k.At, rsaWords(n))
		switch {
		case exponent <= 3 || exponent%2 == 0:
			e.Value += ", exponent " + big.NewInt(int64(exponent)).String()
			j.found(k.Subject, e, "the exponent is %d", exponent)
		case fermat(n):
			j.found(k.Subject, e, "the primes are close to each other, or one is 2: the private key follows from the public one")
		default:
			j.ok(k.Subject, e)
		}
	})
}

// Bounds of what is compared for common primes: some 20,000 keys of 2048 bits
// take less than a minute.
const (
	mostModuli      = 20000
	mostModuliTotal = 48 << 20 // bits
)

// moduli are the different RSA moduli of an audit, each with the first place
// where it was seen.
type moduli struct {
	list  []modulus
	index map[string]bool
	bits  int
}

type modulus struct {
	n       *big.Int
	host    string
	subject posture.Subject
}

func keyCollect(j *judge) {
	m := &j.shared.moduli
	if m.index == nil {
		m.index = map[string]bool{}
	}
	for k := range j.keys {
		n, _, problem := modulusOf(k)
		switch {
		case problem != "":
			j.unknown(k.Subject, "%s", problem)
		case n == nil || m.index[string(n.Bytes())]:
		case len(m.list) >= mostModuli || m.bits+n.BitLen() > mostModuliTotal:
			j.unknown(k.Subject, "there are too many keys to compare them all: this one was not")
		default:
			m.bits += n.BitLen()
			m.index[string(n.Bytes())] = true
			m.list = append(m.list, modulus{n: n, host: j.host.Name, subject: k.Subject})
		}
	}
}

// keySharedPrimes says of every key whether it has a prime in common with
// another, and with which.
func keySharedPrimes(j *judge) {
	list := j.shared.moduli.list
	var numbers []*big.Int
	for _, m := range list {
		numbers = append(numbers, m.n)
	}
	common := commonDivisors(numbers)
	for i, m := range list {
		// Results name the host that the key is on.
		there := *j
		there.host = &posture.Host{Name: m.host}
		e := at(m.subject.At, rsaWords(m.n))
		if common[i] == nil {
			there.ok(m.subject, e)
			continue
		}
		there.found(m.subject, e, "the modulus has a prime in common with %s", partner(list, i, common[i]))
	}
}

// partner names the first other key that a divisor is in common with.
func partner(list []modulus, i int, divisor *big.Int) string {
	var r big.Int
	for k, m := range list {
		if k != i && r.GCD(nil, nil, divisor, m.n).Cmp(big.NewInt(1)) > 0 {
			return (&keyOwner{host: m.host, subject: m.subject}).String()
		}
	}
	return "another key"
}

// commonDivisors returns, for each number, its greatest common divisor with the
// product of all others, or nil for none. That product modulo the number is the
// sum of all products that leave out one, modulo the number: every other term
// has the number as a factor. So one tree makes product and sum, and another
// takes the remainders of the sum (after Bernstein, How to find smooth parts of
// integers, 2004).
func commonDivisors(numbers []*big.Int) []*big.Int {
	common := make([]*big.Int, len(numbers))
	if len(numbers) < 2 {
		return common
	}
	levels, sum := products(numbers)
	remainders := []*big.Int{sum}
	for _, level := range slices.Backward(levels[:len(levels)-1]) {
		next := make([]*big.Int, len(level))
		for i, n := range level {
			next[i] = new(big.Int).Mod(remainders[i/2], n)
		}
		remainders = next
	}
	one := big.NewInt(1)
	for i, n := range numbers {
		if g := new(big.Int).GCD(nil, nil, remainders[i], n); g.Cmp(one) > 0 {
			common[i] = g
		}
	}
	return common
}

// products are the levels of a tree whose leaves are the numbers and whose root
// is their product; sum is that of the products that leave out one number each.
func products(numbers []*big.Int) (levels [][]*big.Int, sum *big.Int) {
	sums := make([]*big.Int, len(numbers))
	for i := range sums {
		sums[i] = big.NewInt(1)
	}
	level := numbers
	levels = append(levels, level)
	for len(level) > 1 {
		var up, upSums []*big.Int
		for i := 0; i < len(level); i += 2 {
			if i+1 == len(level) {
				up, upSums = append(up, level[i]), append(upSums, sums[i])
				continue
			}
			left, right := new(big.Int).Mul(sums[i], level[i+1]), new(big.Int).Mul(sums[i+1], level[i])
			up, upSums = append(up, new(big.Int).Mul(level[i], level[i+1])), append(upSums, left.Add(left, right))
		}
		level, sums = up, upSums
		levels = append(levels, level)
	}
	return levels, sums[0]
}
