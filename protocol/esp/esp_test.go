package esp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"sallyport/protocol/suite"
)

// unhex reads hex digits with any white space between them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	aesGCM128 = suite.Transform{Type: suite.Encr, ID: 20, KeyBits: 128}
	aesGCM256 = suite.Transform{Type: suite.Encr, ID: 20, KeyBits: 256}
	chacha    = suite.Transform{Type: suite.Encr, ID: 28}
	aesCBC128 = suite.Transform{Type: suite.Encr, ID: 12, KeyBits: 128}
	sha256    = suite.Transform{Type: suite.Integ, ID: 12}
	sha512    = suite.Transform{Type: suite.Integ, ID: 14}
)

func newCipher(t testing.TB, encr, integ suite.Transform, key []byte) suite.Cipher {
	t.Helper()
	encKey, integKey := suite.CipherKeySizes(encr, integ)
	if key == nil {
		key = make([]byte, encKey+integKey)
		for i := range key {
			key[i] = byte(i)
		}
	}
	c, err := suite.NewCipher(encr, integ, key[:encKey], key[encKey:])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fixedIV puts a published vector's IV into the packet in place of our own.
type fixedIV struct {
	suite.Cipher
	iv []byte
}

func (f fixedIV) Seal(dst, iv, plaintext, aad, tail []byte) []byte {
	copy(iv, f.iv)
	return f.Cipher.Seal(dst, iv, plaintext, aad, tail)
}

// vector is a published ESP packet: what is inside and what is on the wire.
type vector struct {
	name        string
	encr, integ suite.Transform
	key         string // with salt; for CBC any integrity key, for the source has none
	spi         uint32
	seq         uint64
	esn         bool
	iv          string
	payload     string
	next        uint8
	sealed      string // ciphertext, and the ICV where the source gives one
}

var vectors = []vector{
	{
		name: "RFC 3602, Section 4, case 5", encr: aesCBC128, integ: sha256,
		key: "90d382b4 10eeba7a d938c46c ec1a82bf", spi: 0x4321, seq: 1,
		iv: "e96e8c08 ab465763 fd098d45 dd3ff893", next: 1,
		payload: `08000ebd a70a0000 8e9c083d b95b0700 08090a0b 0c0d0e0f 10111213 14151617
			18191a1b 1c1d1e1f 20212223 24252627 28292a2b 2c2d2e2f 30313233 34353637`,
		sealed: `f663c25d 325c18c6 a9453e19 4e120849 a4870b66 cc6b9965 330013b4 898dc856
			a4699e52 3a55db08 0b59ec3a 8e4b7e52 775b07d1 db34ed9c 538ab50c 551b874a
			a269add0 47ad2d59 13ac19b7 cfbad4a6`,
	},
	{
		name: "RFC 3602, Section 4, case 6", encr: aesCBC128, integ: sha256,
		key: "90d382b4 10eeba7a d938c46c ec1a82bf", spi: 0x4321, seq: 8,
		iv: "69d08df7 d203329d b093fc49 24e5bd80", next: 1,
		payload: "0800b5e8 a80a0500 a69c083d 0b660e00 77777777 77777777 77777777",
		sealed:  "f5199588 1ec4e0c4 488987ce 742e8109 689bb379 d2d750c0 d915dca3 46a89f75",
	},
	{
		name: "RFC 3602, Section 4, case 7", encr: aesCBC128, integ: sha256,
		key: "01234567 89abcdef 01234567 89abcdef", spi: 0x8765, seq: 2,
		iv: "f4e76524 4f6407ad f13dc138 0f673f37", next: NextIPv4,
		payload: `45000054 09040000 4001f988 c0a87b03 c0a87bc8 08009f76 a90a0100 b49c083d
			02a20400 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f 20212223
			24252627 28292a2b 2c2d2e2f 30313233 34353637`,
		sealed: `773b5241 a4c44922 5e4f3ce5 ed611b0c 237ca96c f74a9301 3c1b0ea1 a0cf70f8
			e4ecaec7 8ac53aad 7a0f022b 859243c6 47752e94 a859352b 8a4d4d2d ecd136e5
			c177f132 ad3fbfb2 201ac990 4c74ee0a 109e0ca1 e4dfe9d5 a100b842 f1c22f0d`,
	},
	{
		name: "RFC 3602, Section 4, case 8", encr: aesCBC128, integ: sha512,
		key: "01234567 89abcdef 01234567 89abcdef", spi: 0x8765, seq: 5,
		iv: "85d47224 b5f3dd5d 2101d4ea 8dffab22", next: NextIPv4,
		payload: `45000044 090c0000 4001f990 c0a87b03 c0a87bc8 0800d63c aa0a0200 c69c083d
			a3de0300 ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff`,
		sealed: `15b92683 819596a8 047232cc 00f7048f e45318e1 1f8a0f62 ede3c3fc 61203bb5
			0f980a08 c9843fd3 a1b06d5c 07ff9639 b7eb7dfb 3512e5de 435e7207 ed971ef3
			d2726d9b 5ef6affc 6d17a0de cbb13892`,
	},
	{
		name: "draft-mcgrew-gcm-test-01, Section 4, case 1 (ESN)", encr: aesGCM128,
		key: "4c80cdefbb5d10da906ac73c3613a634 2e443b68", spi: 0x4321, seq: 0x8765432100000000, esn: true,
		iv: "4956ed7e3b244cfe", next: 1,
		payload: `45000048 699a0000 80114db7 c0a80102 c0a80101 0a9bf156 38d30100 00010000
			00000000 045f7369 70045f75 64700373 69700963 79626572 63697479 02646b00
			00210001`,
		sealed: `fecf537e 729d5b07 dc30df52 8dd22b76 8d1b9873 6696a6fd 348509fa 13ceac34
			cfa2436f 14a3f3cf 65925bf1 f4a13c5d 15b21e18 84f5ff62 47aeabb7 86b93bce
			61bc17d7 68fd9732 45901814 8f6cbe72 2fd04796 562dfdb4`,
	},
	{
		name: "draft-mcgrew-gcm-test-01, Section 4, AES-256", encr: aesGCM256,
		key: "abbccddef00112233445566778899aababbccddef00112233445566778899aab 11223344", spi: 0x4a2cbfe3, seq: 2,
		iv: "0102030405060708", next: 1,
		payload: "45000030 69a64000 80062690 c0a80102 9389155e 0a9e008b 2dc57ee0 00000000 70024000 20bf0000 020405b4 01010402",
		sealed: `ff425c9b 724599df 7a3bcd51 0194e00d 6a78107f 1b0b1cbf 06efae9d 65a5d763
			748a6379 85771d34 7f054565 9f14e99d ef842d8e b335f4ee cfdbf831 824b4c49 15956c96`,
	},
	{
		name: "RFC 7634, Appendix A", encr: chacha,
		key: `80 81 82 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f 90 91 92 93 94 95 96 97
			98 99 9a 9b 9c 9d 9e 9f a0 a1 a2 a3`, spi: 0x01020304, seq: 5,
		iv: "10 11 12 13 14 15 16 17", next: NextIPv4,
		payload: `45 00 00 54 a6 f2 00 00 40 01 e7 78 c6 33 64 05 c0 00 02 05 08 00 5b 7a 3a 08 00 00 55 3b ec 10
			00 07 36 27 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f 20 21 22 23
			24 25 26 27 28 29 2a 2b 2c 2d 2e 2f 30 31 32 33 34 35 36 37`,
		sealed: `24 03 94 28 b9 7f 41 7e 3c 13 75 3a 4f 05 08 7b 67 c3 52 e6 a7 fa b1 b9 82 d4 66 ef 40 7a e5 c6
			14 ee 80 99 d5 28 44 eb 61 aa 95 df ab 4c 02 f7 2a a7 1e 7c 4c 4f 64 c9 be fe 2f ac c6 38 e8 f3
			cb ec 16 3f ac 46 9b 50 27 73 f6 fb 94 e6 64 da 91 65 b8 28 29 f6 41 e0
			76 aa a8 26 6b 7f b0 f7 b1 1b 36 99 07 e1 ad 43`,
	},
}

func (v *vector) cipher(t *testing.T) suite.Cipher {
	key := unhex(t, v.key)
	_, integKey := suite.CipherKeySizes(v.encr, v.integ)
	return newCipher(t, v.encr, v.integ, append(key, make([]byte, integKey)...))
}

// withRoom copies a payload into a buffer that Seal may extend.
func withRoom(payload []byte) []byte {
	return append(make([]byte, 0, len(payload)+MaxTrailer), payload...)
}

func TestPublishedPacketsSealAndOpen(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			payload, sealed := unhex(t, v.payload), unhex(t, v.sealed)
			o := NewOutbound(v.spi, v.esn, fixedIV{v.cipher(t), unhex(t, v.iv)})
			pkt := o.Seal(make([]byte, 0, o.Size(len(payload))), v.seq, v.next, withRoom(payload))
			if len(pkt) != o.Size(len(payload)) {
				t.Errorf("packet of %d octets, Size said %d", len(pkt), o.Size(len(payload)))
			}
			body := pkt[HeaderSize+o.iv:]
			if !bytes.HasPrefix(body, sealed) {
				t.Errorf("sealed\n%x, want\n%x", body, sealed)
			}
			if v.encr != aesCBC128 && len(body) != len(sealed) {
				t.Errorf("%d octets behind the IV, want %d", len(body), len(sealed))
			}
			in := NewInbound(v.spi, v.esn, v.cipher(t), 64)
			in.window.top = v.seq - 1 // where the peer stood in the published example
			got, next, newest, err := in.Open(pkt)
			if err != nil || next != v.next || !newest || !bytes.Equal(got, payload) {
				t.Errorf("opened %x next %d newest %v err %v", got, next, newest, err)
			}
		})
	}
}

// suites are the shapes of cipher there are, with and without ESN.
var suites = []struct {
	name        string
	encr, integ suite.Transform
	esn         bool
}{
	{"aes256gcm16", aesGCM256, suite.Transform{}, false},
	{"aes128gcm16-esn", aesGCM128, suite.Transform{}, true},
	{"chacha20poly1305-esn", chacha, suite.Transform{}, true},
	{"aes128-sha256", aesCBC128, sha256, false},
	{"aes128-sha512-esn", aesCBC128, sha512, true},
}

func TestEveryLengthRoundTrips(t *testing.T) {
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			o := NewOutbound(0x1234, s.esn, newCipher(t, s.encr, s.integ, nil))
			in := NewInbound(0x1234, s.esn, newCipher(t, s.encr, s.integ, nil), 64)
			for n := range 200 {
				payload := bytes.Repeat([]byte{byte(n)}, n)
				seq := uint64(n + 1)
				pkt := o.Seal(make([]byte, 0, o.Size(n)), seq, NextIPv6, withRoom(payload))
				if got := o.MaxPayload(len(pkt)); got < n || o.Size(got) > len(pkt) || o.Size(got+1) <= len(pkt) {
					t.Fatalf("MaxPayload(%d) = %d for a payload of %d", len(pkt), got, n)
				}
				got, next, _, err := in.Open(bytes.Clone(pkt))
				if err != nil || next != NextIPv6 || !bytes.Equal(got, payload) {
					t.Fatalf("length %d: %x %d %v", n, got, next, err)
				}
				if _, _, _, err := in.Open(pkt); !errors.Is(err, ErrReplay) {
					t.Fatalf("the same packet again: %v, want a replay", err)
				}
			}
		})
	}
}

func TestEveryChangedOctetFailsAndMovesNothing(t *testing.T) {
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			o := NewOutbound(0x1234, s.esn, newCipher(t, s.encr, s.integ, nil))
			in := NewInbound(0x1234, s.esn, newCipher(t, s.encr, s.integ, nil), 64)
			pkt := o.Seal(make([]byte, 0, 200), 7, NextIPv4, withRoom([]byte("an inner packet")))
			for i := range pkt {
				bad := bytes.Clone(pkt)
				bad[i] ^= 0x40
				if _, _, _, err := in.Open(bad); err == nil {
					t.Errorf("octet %d changed and accepted", i)
				}
			}
			for n := range pkt {
				if _, _, _, err := in.Open(bytes.Clone(pkt[:n])); err == nil {
					t.Errorf("the first %d octets were accepted", n)
				}
			}
			if in.window.Top() != 0 {
				t.Errorf("the window moved to %d without an authentic packet", in.window.Top())
			}
			if _, _, _, err := in.Open(pkt); err != nil {
				t.Errorf("the untouched packet: %v", err)
			}
		})
	}
}

func TestHighSequenceBitsAreAuthenticated(t *testing.T) {
	for _, s := range suites {
		if !s.esn {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			o := NewOutbound(0x1234, true, newCipher(t, s.encr, s.integ, nil))
			in := NewInbound(0x1234, true, newCipher(t, s.encr, s.integ, nil), 64)
			pkt := o.Seal(make([]byte, 0, 200), 1<<32|5, NextIPv4, withRoom([]byte("x")))
			if _, _, _, err := in.Open(bytes.Clone(pkt)); !errors.Is(err, ErrAuth) {
				t.Errorf("a packet of the next subspace opened at the start: %v", err)
			}
			in.window.Accept(1<<32 - 3)
			if _, _, newest, err := in.Open(pkt); err != nil || !newest {
				t.Errorf("after 2^32-3 the window must expect it: %v", err)
			}
		})
	}
}

func TestPadLengthBeyondThePacketIsMalformed(t *testing.T) {
	c := newCipher(t, aesGCM128, suite.Transform{}, nil)
	header := append(make([]byte, 0, 100), 0, 0, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1)
	pkt := c.Seal(header, header[8:16], []byte{1, 2, 9, NextIPv4}, header[:8], nil)
	in := NewInbound(0x1234, false, newCipher(t, aesGCM128, suite.Transform{}, nil), 64)
	if _, _, _, err := in.Open(pkt); !errors.Is(err, ErrMalformed) {
		t.Errorf("pad length 9 of 2: %v", err)
	}
}

func TestSequenceNumbersMakeDistinctIVs(t *testing.T) {
	o := NewOutbound(1<<20, true, newCipher(t, aesGCM256, suite.Transform{}, nil))
	for _, seq := range []uint64{1, 2, 1 << 32, 1<<32 | 1} {
		pkt := o.Seal(make([]byte, 0, 100), seq, NextIPv4, withRoom(nil))
		if iv := binary.BigEndian.Uint64(pkt[8:16]); iv != seq {
			t.Errorf("sequence %d has IV %d; under one key they must be one to one", seq, iv)
		}
	}
}

func TestPacketPathDoesNotAllocate(t *testing.T) {
	for _, s := range suites {
		o := NewOutbound(0x1234, s.esn, newCipher(t, s.encr, s.integ, nil))
		in := NewInbound(0x1234, s.esn, newCipher(t, s.encr, s.integ, nil), 1024)
		payload := make([]byte, 1400, 1400+MaxTrailer)
		dst := make([]byte, 0, 2000)
		seq := uint64(0)
		n := testing.AllocsPerRun(200, func() {
			seq++
			if _, _, _, err := in.Open(o.Seal(dst, seq, NextIPv4, payload)); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations per packet", s.name, n)
		}
	}
}

// FuzzOpen throws octets at Open; nothing but a packet that was sealed may come
// out.
func FuzzOpen(f *testing.F) {
	o := NewOutbound(0x1234, true, newCipher(f, aesGCM128, suite.Transform{}, nil))
	good := o.Seal(make([]byte, 0, 200), 3, NextIPv4, withRoom([]byte("inner")))
	cbc := NewOutbound(0x1234, false, newCipher(f, aesCBC128, sha256, nil))
	f.Add(good)
	f.Add(good[:20])
	f.Add(cbc.Seal(make([]byte, 0, 200), 4, NextIPv6, withRoom(make([]byte, 33))))
	f.Add([]byte{0xFF})
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range suites[1:4] {
			in := NewInbound(0x1234, s.esn, newCipher(t, s.encr, s.integ, nil), 64)
			got, _, _, err := in.Open(bytes.Clone(b))
			if err == nil && len(got) > len(b) {
				t.Fatalf("%d octets out of %d", len(got), len(b))
			}
			if err != nil && in.window.Top() != 0 {
				t.Fatal("a refused packet moved the window")
			}
		}
	})
}

func BenchmarkSealOpen(b *testing.B) {
	for _, s := range suites {
		b.Run(s.name, func(b *testing.B) {
			o := NewOutbound(0x1234, s.esn, newCipher(b, s.encr, s.integ, nil))
			in := NewInbound(0x1234, s.esn, newCipher(b, s.encr, s.integ, nil), 1024)
			payload := make([]byte, 1400, 1400+MaxTrailer)
			dst := make([]byte, 0, 2000)
			b.SetBytes(1400)
			seq := uint64(0)
			for b.Loop() {
				seq++
				if _, _, _, err := in.Open(o.Seal(dst, seq, NextIPv4, payload)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
