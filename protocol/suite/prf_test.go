package suite

import (
	"bytes"
	"crypto/hmac"
	"testing"
)

func newTestPRF(t testing.TB, keyword string) PRFunc {
	t.Helper()
	a, ok := ByKeyword(keyword)
	if !ok {
		t.Fatalf("no %s", keyword)
	}
	p, err := NewPRF(a.Transform)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPRFsGiveTheValuesOfRFC4231(t *testing.T) {
	for _, v := range hmacVectors {
		key, data := unhex(v.key), unhex(v.data)
		for keyword, want := range map[string]string{"prfsha256": v.sha256, "prfsha384": v.sha384, "prfsha512": v.sha512} {
			p := newTestPRF(t, keyword)
			if got := p.Sum(key, data[:3], nil, data[3:]); !bytes.Equal(got, unhex(want)) || len(got) != p.Size() {
				t.Errorf("%s, %s: %x", v.name, keyword, got)
			}
		}
	}
}

// plusReference is RFC 7296, Section 2.13, written down as it stands there.
func plusReference(p PRFunc, key []byte, n int, seed []byte) []byte {
	var last, out []byte
	for i := byte(1); len(out) < n; i++ {
		mac := hmac.New(p.hash.new, key)
		mac.Write(append(append(bytes.Clone(last), seed...), i))
		last = mac.Sum(nil)
		out = append(out, last...)
	}
	return out[:n]
}

func TestPlusIsTheFormulaOfRFC7296(t *testing.T) {
	seed := counting(80)
	for _, keyword := range []string{"prfsha256", "prfsha384", "prfsha512"} {
		p := newTestPRF(t, keyword)
		for _, n := range []int{0, 1, p.Size() - 1, p.Size(), p.Size() + 1, 7 * 64, 255 * p.Size()} {
			want := plusReference(p, counting(48), n, seed)
			if got := p.Plus(counting(48), n, seed[:32], seed[32:64], seed[64:]); !bytes.Equal(got, want) {
				t.Errorf("%s: %d octets differ from the formula", keyword, n)
			}
		}
	}
}

func TestPlusRefusesMoreThan255Blocks(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the one-octet counter wrapped")
		}
	}()
	p := newTestPRF(t, "prfsha256")
	p.Plus(counting(32), 255*p.Size()+1, nil)
}

func TestOnlySHA2PRFsAreBuilt(t *testing.T) {
	for _, a := range All() {
		_, err := NewPRF(a.Transform)
		if built := err == nil; built != (a.Type == PRF && a.Usable()) {
			t.Errorf("%v: built is %v", a.Transform, built)
		}
	}
}

// Seven keys of an IKE SA with AES-256-GCM: 3 of the PRF's size, 2 of 36.
func BenchmarkPlus(b *testing.B) {
	nonces, spis := counting(64), counting(16)
	for _, keyword := range []string{"prfsha256", "prfsha384", "prfsha512"} {
		p := newTestPRF(b, keyword)
		b.Run(keyword, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Plus(counting(32), 3*p.Size()+2*36, nonces, spis)
			}
		})
	}
}
