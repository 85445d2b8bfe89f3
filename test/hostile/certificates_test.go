package hostile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

const (
	outsideCA = "/run/etc/outside.pem"
	hostileID = "mallory@example.org"
	trustZone = "    trust: {cas: [" + outsideCA + "], strict: false}\n"
)

// forger is what a certificate test needs: a zone that trusts an authority
// which signs everything.
type forger struct {
	*testing.T
	w  *world
	ca *authority
	me *ecdsa.PrivateKey
}

// TestNobodyComesInWithAForgedProof tries certificates and signatures.
func TestNobodyComesInWithAForgedProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	f := &forger{T: t, w: w, ca: w.newAuthority("Outside CA", nil, nil)}
	w.must(w.gateway().WriteFile(outsideCA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.ca.cert.Raw}), 0o644))
	w.writeConfig(trustZone)
	w.sallyport("reload")
	var err error
	f.me, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	b := w.bystander()
	lines := w.talk.total()

	honest := f.attempt([][]byte{f.ca.issue(hostileID, f.me.Public(), nil)}, nil)
	if honest != 0 {
		t.Fatalf("an honest certificate of the same authority is refused with %v: the rest would prove nothing", honest)
	}
	forged := f.attempt([][]byte{f.ca.forge(hostileID, func(t *tbs) { t.PublicKey = f.myKey() })}, nil)
	if forged != 0 {
		t.Fatalf("a certificate put together by hand, with nothing wrong, is refused with %v", forged)
	}
	established := w.status().Engine.Established
	for _, part := range []struct {
		name  string
		tries map[string]func() ikemsg.NotifyType
	}{
		{"CertificatesWithImpossibleKeys", f.impossibleKeys()},
		{"CertificatesThatAreNoDER", f.brokenDER()},
		{"ChainsThatDoNotHold", f.brokenChains()},
		{"SignaturesThatProveNothing", f.brokenSignatures()},
	} {
		t.Run(part.name, func(t *testing.T) {
			for _, name := range slices.Sorted(maps.Keys(part.tries)) {
				switch got := part.tries[name](); got {
				case ikemsg.NotifyAuthenticationFailed, ikemsg.NotifyInvalidSyntax:
				default:
					t.Errorf("%s: answered by %v, want AUTHENTICATION_FAILED", name, got)
				}
			}
		})
	}
	w.unharmed()
	if now := w.status().Engine.Established; now != established {
		t.Errorf("%d forged sessions were established", now-established)
	}
	if grown := w.talk.total() - lines; grown > 140 {
		t.Errorf("%d lines in the log", grown)
	}
	b.undisturbed(w, 2)
}

// attempt authenticates with a chain; sign nil signs honestly with the own key.
// It returns the notify of the refusal, 0 when it came in.
func (f *forger) attempt(chain [][]byte, sign func(p *peer, octets []byte) *ikemsg.Auth) ikemsg.NotifyType {
	return f.attemptAs(hostileID, chain, sign)
}

func (f *forger) attemptAs(identity string, chain [][]byte, sign func(p *peer, octets []byte) *ikemsg.Auth) ikemsg.NotifyType {
	f.Helper()
	p := f.w.newPeer(device{identity: identity, chain: chain, key: f.me})
	defer p.sock.Close()
	f.w.must(p.saInit(ikeProposal))
	ps := p.authPayloads()
	if sign != nil {
		at := slices.IndexFunc(ps, func(one ikemsg.Payload) bool { return one.PayloadType() == ikemsg.PayloadAuth })
		ps[at] = sign(p, p.sa.octets(p.initRequest, p.nonceR, p.sa.pi, p.authID))
	}
	err := p.auth(ps)
	if err == nil {
		p.gone()
		return 0
	}
	if n := refusal(err); n != 0 {
		return n
	}
	f.Errorf("%v", err)
	return ikemsg.NotifyAuthenticationFailed
}

func random(t *testing.T) func(p *peer, _ []byte) *ikemsg.Auth {
	// rsaEncryption with SHA-256 in the words of RFC 7427, and a signature of noise.
	return func(*peer, []byte) *ikemsg.Auth {
		for _, s := range suite.Signatures() {
			if s.Name == "rsa-sha256" && s.Method == 14 || s.Method == 14 && bytes.Contains(s.AlgorithmID, []byte{0x0d, 1, 1, 11}) {
				return &ikemsg.Auth{Method: 14, Data: append(append([]byte{byte(len(s.AlgorithmID))}, s.AlgorithmID...), octets(256)...)}
			}
		}
		t.Fatal("no RSA signature in the table")
		return nil
	}
}

func (f *forger) impossibleKeys() map[string]func() ikemsg.NotifyType {
	tries := map[string]func() ikemsg.NotifyType{}
	modulus := new(big.Int).SetBytes(append([]byte{0x80}, octets(255)...))
	modulus.SetBit(modulus, 0, 1)
	even := new(big.Int).Lsh(modulus, 1)
	number := func(n int64) *big.Int { return big.NewInt(n) }
	for name, key := range map[string]publicKey{
		"CVE_2026_14957_RSA with exponent 0": f.ca.rsaKey(modulus, number(0)),
		"RSA with exponent 1":                f.ca.rsaKey(modulus, number(1)),
		"RSA with exponent 2":                f.ca.rsaKey(modulus, number(2)),
		"RSA with exponent -1":               f.ca.rsaKey(modulus, number(-1)),
		"RSA with an exponent of 2000 bits":  f.ca.rsaKey(modulus, new(big.Int).Lsh(number(3), 2000)),
		"CVE_2017_9022_RSA with modulus 0":   f.ca.rsaKey(number(0), number(65537)),
		"RSA with modulus 1":                 f.ca.rsaKey(number(1), number(65537)),
		"RSA with a negative modulus":        f.ca.rsaKey(new(big.Int).Neg(modulus), number(65537)),
		"RSA with an even modulus":           f.ca.rsaKey(even, number(65537)),
		"RSA of 512 bits":                    f.ca.rsaKey(new(big.Int).SetBytes(append([]byte{0x81}, octets(63)...)), number(65537)),
		"RSA of 40000 bits":                  f.ca.rsaKey(new(big.Int).SetBytes(append([]byte{0x81}, octets(4999)...)), number(65537)),
		"RSA of no octets":                   {rsaEncryption, asn1.BitString{}},
		"a point off the curve":              f.ca.ecKey(append([]byte{4}, octets(64)...)),
		"the point at infinity":              f.ca.ecKey([]byte{0}),
		"a point of zeros":                   f.ca.ecKey(append([]byte{4}, make([]byte, 64)...)),
		"a point of 63 octets":               f.ca.ecKey(append([]byte{4}, octets(63)...)),
		"no point":                           f.ca.ecKey(nil),
		"DSA":                                {dsaEncryption, asn1.BitString{Bytes: octets(20), BitLength: 160}},
	} {
		der := f.ca.forge(hostileID, func(t *tbs) { t.PublicKey = key })
		tries[name+", its signature"] = func() ikemsg.NotifyType { return f.attempt([][]byte{der}, random(f.T)) }
		tries[name+", ours"] = func() ikemsg.NotifyType { return f.attempt([][]byte{der}, nil) }
	}
	return tries
}

func (f *forger) brokenDER() map[string]func() ikemsg.NotifyType {
	good := f.ca.issue(hostileID, f.me.Public(), nil)
	ders := map[string][]byte{
		"nothing":             {},
		"a zero":              {0},
		"noise":               octets(1500),
		"octets to spare":     append(bytes.Clone(good), octets(9)...),
		"indefinite length":   append([]byte{0x30, 0x80}, good[4:]...),
		"a length of 2^32":    append([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, good[4:]...),
		"a length of 2^56":    append([]byte{0x30, 0x87, 1, 0, 0, 0, 0, 0, 0}, good[4:]...),
		"1000 sequences deep": bytes.Repeat([]byte{0x30, 0x80}, 1000),
		"an empty inside":     f.ca.seal([]byte{0x30, 0}, pkix.AlgorithmIdentifier{Algorithm: ecdsaWithSHA256}),
		"an inside of noise":  f.ca.seal(append([]byte{0x30, 100}, octets(100)...), pkix.AlgorithmIdentifier{Algorithm: ecdsaWithSHA256}),
		"a negative serial":   f.ca.forge(hostileID, func(t *tbs) { t.Serial = big.NewInt(-7) }),
		"version 7":           f.ca.forge(hostileID, func(t *tbs) { t.Version = 7 }),
		"a validity of noise": f.ca.forge(hostileID, func(t *tbs) { t.Validity = asn1.RawValue{FullBytes: []byte{0x30, 2, 5, 0}} }),
	}
	for n := 1; n < len(good); n += 23 {
		ders[fmt.Sprintf("the first %d octets", n)] = good[:n]
		flipped := bytes.Clone(good)
		flipped[n] ^= 0x10
		ders[fmt.Sprintf("octet %d flipped", n)] = flipped
	}
	tries := map[string]func() ikemsg.NotifyType{}
	for name, der := range ders {
		tries[name] = func() ikemsg.NotifyType { return f.attempt([][]byte{der}, nil) }
	}
	return tries
}

func (f *forger) brokenChains() map[string]func() ikemsg.NotifyType {
	issue := func(a *authority, change func(*x509.Certificate)) []byte {
		return a.issue(hostileID, f.me.Public(), change)
	}
	stranger := f.w.newAuthority("Outside CA", nil, nil) // the same name, another key
	strangers := issue(stranger, nil)
	notCA := f.w.newAuthority("no CA", f.ca, func(c *x509.Certificate) { c.IsCA = false })
	bounded := f.w.newAuthority("bounded", f.ca, func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.ExcludedEmailAddresses = true, []string{"example.org"}
	})
	short := f.w.newAuthority("path length 0", f.ca, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	below := f.w.newAuthority("below it", short, nil)
	friend := f.w.read(deviceDir + "/laptop.crt")
	var long [][]byte
	top := f.ca
	for n := range 12 {
		top = f.w.newAuthority(fmt.Sprintf("level %d", n), top, nil)
		long = append([][]byte{top.cert.Raw}, long...)
	}
	chains := map[string][][]byte{
		"none":                             nil,
		"of a stranger":                    {strangers},
		"of a stranger, with its own root": {strangers, stranger.cert.Raw},
		"self-signed":                      {stranger.cert.Raw},
		"by a device":                      {issue(notCA, nil), notCA.cert.Raw},
		"CVE_2026_35331_an excluded name":  {issue(bounded, nil), bounded.cert.Raw},
		"below a path length of 0":         {issue(below, nil), below.cert.Raw, short.cert.Raw},
		"thirteen deep":                    append([][]byte{issue(top, nil)}, long...),
		"the friend's certificate and our signature": pemBlocks(friend),
		"the friend's before ours":                   append(pemBlocks(friend), issue(f.ca, nil)),
		"the root as a device":                       {f.ca.cert.Raw},
		"signed with SHA-1":                          {f.ca.forge(hostileID, func(t *tbs) { t.Algorithm.Algorithm = ecdsaWithSHA1; t.PublicKey = f.myKey() })},
		"expired":                                    {issue(f.ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })},
		"of tomorrow":                                {issue(f.ca, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })},
		"for servers only":                           {issue(f.ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })},
		"with an unknown critical extension": {issue(f.ca, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 9}, Critical: true, Value: []byte{5, 0}}}
		})},
		"of another name":          {f.ca.issue("eve@example.org", f.me.Public(), nil)},
		"with 500 other names":     {issue(f.ca, func(c *x509.Certificate) { c.EmailAddresses = slices.Repeat([]string{"eve@example.org"}, 300) })},
		"ours behind a broken one": {octets(300), issue(f.ca, nil)},
	}
	tries := map[string]func() ikemsg.NotifyType{}
	for name, chain := range chains {
		tries[name] = func() ikemsg.NotifyType { return f.attempt(chain, nil) }
	}
	good := [][]byte{issue(f.ca, nil)}
	for _, other := range []string{"laptop@alice", "eve@example.org", "", "mallory@example.org\x00", "MALLORY@example.org.", "*"} {
		tries[fmt.Sprintf("a good one, under the identity %q", other)] = func() ikemsg.NotifyType { return f.attemptAs(other, good, nil) }
	}
	return tries
}

// myKey is our own public key, for certificates that are forged.
func (f *forger) myKey() publicKey {
	f.Helper()
	point, err := f.me.PublicKey.Bytes()
	f.w.must(err)
	return f.ca.ecKey(point)
}

func (f *forger) brokenSignatures() map[string]func() ikemsg.NotifyType {
	chain := [][]byte{f.ca.issue(hostileID, f.me.Public(), nil)}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	f.w.must(err)
	data := func(change func(honest []byte) []byte) func(*peer, []byte) *ikemsg.Auth {
		return func(p *peer, octets []byte) *ikemsg.Auth {
			a := p.sign(f.me, octets)
			a.Data = change(bytes.Clone(a.Data))
			return a
		}
	}
	method := func(m ikemsg.AuthMethod, data []byte) func(*peer, []byte) *ikemsg.Auth {
		return func(*peer, []byte) *ikemsg.Auth { return &ikemsg.Auth{Method: m, Data: data} }
	}
	signs := map[string]func(*peer, []byte) *ikemsg.Auth{
		"CVE_2020_16088_by another key": func(p *peer, octets []byte) *ikemsg.Auth { return p.sign(other, octets) },
		"over other octets":             func(p *peer, octets []byte) *ikemsg.Auth { return p.sign(f.me, octets[1:]) },
		"over the responder's octets": func(p *peer, _ []byte) *ikemsg.Auth {
			return p.sign(f.me, p.sa.octets(p.initResponse, p.nonceI, p.sa.pr, p.authID))
		},
		"empty":                          data(func([]byte) []byte { return nil }),
		"one octet":                      data(func(b []byte) []byte { return b[:1] }),
		"without its signature":          data(func(b []byte) []byte { return b[:1+int(b[0])] }),
		"without its last octet":         data(func(b []byte) []byte { return b[:len(b)-1] }),
		"with an octet more":             data(func(b []byte) []byte { return append(b, 0) }),
		"a flipped bit":                  data(func(b []byte) []byte { b[len(b)-9] ^= 1; return b }),
		"an algorithm of 0 octets":       data(func(b []byte) []byte { b[0] = 0; return b }),
		"an algorithm of 255 octets":     data(func(b []byte) []byte { b[0] = 255; return b }),
		"zeros":                          data(func(b []byte) []byte { clear(b[1+int(b[0]):]); return b }),
		"r and s of 0":                   data(func(b []byte) []byte { return append(b[:1+int(b[0])], 0x30, 6, 2, 1, 0, 2, 1, 0) }),
		"noise of 30000 octets":          method(14, octets(30000)),
		"the shared-key method":          method(2, make([]byte, 32)),
		"the null method":                method(13, nil),
		"CVE_2018_16151_RSA and garbage": method(1, append([]byte{0, 1, 0xff, 0xff, 0}, octets(250)...)),
		"raw ECDSA of zeros":             method(9, make([]byte, 64)),
		"raw ECDSA, short":               method(9, octets(10)),
		"raw ECDSA of another curve":     method(11, octets(132)),
		"no method":                      method(0, octets(64)),
		"method 255":                     method(255, octets(64)),
		"noise in our own format":        random(f.T),
	}
	tries := map[string]func() ikemsg.NotifyType{}
	for name, sign := range signs {
		tries[name] = func() ikemsg.NotifyType { return f.attempt(chain, sign) }
	}
	tries["a proof replayed from another session"] = func() ikemsg.NotifyType {
		first := f.w.newPeer(device{identity: hostileID, chain: chain, key: f.me})
		defer first.sock.Close()
		f.w.must(first.saInit(ikeProposal))
		ps := first.authPayloads()
		old, _ := ikemsg.Find[*ikemsg.Auth](ps)
		return f.attempt(chain, func(*peer, []byte) *ikemsg.Auth { return old })
	}
	tries["no AUTH at all, as for EAP"] = func() ikemsg.NotifyType {
		p := f.w.newPeer(device{identity: hostileID, chain: chain, key: f.me})
		defer p.sock.Close()
		f.w.must(p.saInit(ikeProposal))
		ps := slices.DeleteFunc(p.authPayloads(), func(one ikemsg.Payload) bool { return one.PayloadType() == ikemsg.PayloadAuth })
		return refusal(p.auth(ps))
	}
	tries["no IDi"] = func() ikemsg.NotifyType {
		p := f.w.newPeer(device{identity: hostileID, chain: chain, key: f.me})
		defer p.sock.Close()
		f.w.must(p.saInit(ikeProposal))
		return refusal(p.auth(p.authPayloads()[1:]))
	}
	for _, n := range []int{0, 1, 3, 5, 2048, 2049, 40000} {
		tries[fmt.Sprintf("CVE_2025_9242_an identity of %d octets", n)] = func() ikemsg.NotifyType {
			p := f.w.newPeer(device{identity: hostileID, chain: chain, key: f.me})
			defer p.sock.Close()
			f.w.must(p.saInit(ikeProposal))
			ps := p.authPayloads()
			ps[0] = &ikemsg.Unknown{Type: ikemsg.PayloadIDi, Body: append(binary.BigEndian.AppendUint32(nil, uint32(ikemsg.IDDERASN1DN)<<24), octets(n)...)}
			return refusal(p.auth(ps))
		}
	}
	return tries
}
