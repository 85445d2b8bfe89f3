package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// TestStrangersGetNothing is everything that a source without a session can
// send, against one gateway with a friend on it.
func TestStrangersGetNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	mallory := w.enrol("mallory", "laptop-m")
	b := w.bystander()
	w.newPeer(mallory).mustConnect().gone()
	before, lines := w.resident(), w.talk.total()

	for _, c := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"EveryTruncationOfAFirstRequestIsDroppedWithoutAnAnswer", everyTruncation},
		{"FlippedBitsNeverEarnMoreThanTheyCost", flippedBits},
		{"WrongLengthsAreDroppedWithoutAnAnswer", wrongLengths},
		{"OtherVersionsFlagsAndSPIsAreRefusedOrDropped", wrongHeaders},
		{"PublicValuesThatAreNoneMakeNoSession", badPublicValues},
		{"NoncesOfWrongSizesAreDropped", badNonces},
		{"CountsThatCannotBeAreDropped", hugeCounts},
		{"ProposalsOfTheUnknownAreRefusedInOneShortAnswer", strangeProposals},
		{"OversizedDatagramsAreDropped", oversized},
		{"NoiseOnBothPortsIsDropped", noise},
		{"AReplayedFirstRequestGetsTheSameAnswerOnce", replayedInit},
		{"CVE_2019_12312_AnotherExchangeInPlaceOfIKE_AUTHGetsNoAnswer", wrongExchange},
		{"GarbageInPlaceOfIKE_AUTHLeavesTheSetUpIntact", garbageAuth},
		{"FragmentsWithAbsurdNumbersAreDropped", absurdFragments},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := w.on(t)
			c.run(t, w)
			w.unharmed()
		})
	}

	if grown := w.talk.total() - lines; grown > 140 {
		t.Errorf("the server wrote %d lines about strangers:\n%s", grown, lastOf(w.talk.since(lines), 6000))
	} else {
		t.Logf("the server wrote %d lines about all of that", grown)
	}
	if after := w.resident(); after > before+48<<20 {
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	} else {
		t.Logf("resident memory: %d MiB before, %d MiB after", before>>20, after>>20)
	}
	t.Logf("dropped: %v", w.status().Engine.Dropped)
	w.newPeer(mallory).mustConnect().gone()
	b.undisturbed(w, 5)
}

// firstRequest is an honest IKE_SA_INIT request, which mutants are made from.
func firstRequest(w *world) []byte {
	p := &peer{w: w}
	p.prepare(ikeProposal)
	return p.initMessage(p.initPayloads())
}

// mustBeSilence fails for each account that got an answer.
func mustBeSilence(t *testing.T, accounts map[string]*account) {
	t.Helper()
	n := 0
	for _, a := range accounts {
		if len(a.answers) > 0 {
			if n++; n <= 5 {
				t.Errorf("answered: %v: %x", a, a.answers[0])
			}
		}
	}
	if n > 5 {
		t.Errorf("and %d more were answered", n-5)
	}
}

// mustBeNotify demands one answer, which is this notify alone.
func mustBeNotify(t *testing.T, a *account, want ikemsg.NotifyType) {
	t.Helper()
	if len(a.answers) != 1 {
		t.Errorf("%v, want one with %v", a, want)
		return
	}
	m, err := ikemsg.Parse(a.answers[0])
	if err != nil {
		t.Errorf("%v: %v", a, err)
		return
	}
	if n, ok := m.Payloads[0].(*ikemsg.Notify); !ok || n.Type != want || len(m.Payloads) != 1 {
		t.Errorf("%s: answered by %v, want %v alone", a.name, m.Payloads[0], want)
	}
}

func everyTruncation(t *testing.T, w *world) {
	whole := firstRequest(w)
	cut, mended := map[string][]byte{}, map[string][]byte{}
	for n := range whole {
		cut[fmt.Sprintf("the first %d octets", n)] = whole[:n]
		if n >= ikemsg.HeaderLen {
			m := bytes.Clone(whole[:n])
			binary.BigEndian.PutUint32(m[24:], uint32(n))
			mended[fmt.Sprintf("%d octets with a fitting Length", n)] = m
		}
	}
	x := w.newWire()
	mustBeSilence(t, x.volley(cut))
	mustBeSilence(t, x.volley(mended))
}

func flippedBits(t *testing.T, w *world) {
	whole := firstRequest(w)
	seeded := rand.New(rand.NewPCG(1, 2))
	mutants := map[string][]byte{}
	for bit := range 8 * 64 { // each bit of the header and of the first proposal
		m := bytes.Clone(whole)
		m[bit/8] ^= 1 << (bit % 8)
		mutants[fmt.Sprintf("bit %d", bit)] = m
	}
	for i := range 800 {
		m := bytes.Clone(whole)
		for range 1 + seeded.IntN(12) {
			m[seeded.IntN(len(m))] ^= 1 << seeded.IntN(8)
		}
		mutants[fmt.Sprintf("flips of seed %d", i)] = m
	}
	w.newWire().volley(mutants)
}

func wrongLengths(t *testing.T, w *world) {
	whole := firstRequest(w)
	lies := map[string][]byte{}
	for _, n := range []uint32{0, 1, 27, 28, 29, uint32(len(whole)) - 1, uint32(len(whole)) + 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff} {
		m := bytes.Clone(whole)
		binary.BigEndian.PutUint32(m[24:], n)
		lies[fmt.Sprintf("Length %d", n)] = m
	}
	for _, n := range []uint16{0, 1, 3, 4, 5, 0x7fff, 0xffff} {
		m := bytes.Clone(whole)
		binary.BigEndian.PutUint16(m[ikemsg.HeaderLen+2:], n)
		lies[fmt.Sprintf("Payload Length %d", n)] = m
		m = bytes.Clone(whole)
		binary.BigEndian.PutUint16(m[ikemsg.HeaderLen+4+2:], n)
		lies[fmt.Sprintf("Proposal Length %d", n)] = m
		m = bytes.Clone(whole)
		binary.BigEndian.PutUint16(m[ikemsg.HeaderLen+4+8+2:], n)
		lies[fmt.Sprintf("Transform Length %d", n)] = m
	}
	mustBeSilence(t, w.newWire().volley(lies))
}

func wrongHeaders(t *testing.T, w *world) {
	whole := firstRequest(w)
	with := func(change func(m []byte)) []byte {
		m := bytes.Clone(whole)
		change(m)
		return m
	}
	silent := map[string][]byte{
		"version 0":              with(func(m []byte) { m[17] = 0x00 }),
		"version 1":              with(func(m []byte) { m[17] = 0x10 }),
		"a response":             with(func(m []byte) { m[19] |= 0x20 }),
		"a response, version 3":  with(func(m []byte) { m[17], m[19] = 0x30, 0x28 }),
		"message ID 1":           with(func(m []byte) { m[23] = 1 }),
		"SPIi zero":              with(func(m []byte) { clear(m[:8]) }),
		"IKE_SESSION_RESUME":     with(func(m []byte) { m[18] = 38 }),
		"exchange type 0":        with(func(m []byte) { m[18] = 0 }),
		"exchange type 255":      with(func(m []byte) { m[18] = 255 }),
		"IKE_AUTH without SPIr":  with(func(m []byte) { m[18] = 35 }),
		"CREATE_CHILD_SA, no SA": with(func(m []byte) { m[18] = 36 }),
		"INFORMATIONAL, no SA":   with(func(m []byte) { m[18] = 37 }),
	}
	x := w.newWire()
	mustBeSilence(t, x.volley(silent))

	answers := x.insist(map[string][]byte{
		"not of an initiator":           with(func(m []byte) { m[19] = 0 }),
		"version 3":                     with(func(m []byte) { m[17] = 0x30 }),
		"version 15":                    with(func(m []byte) { m[17] = 0xf0 }),
		"IKE_AUTH of an unknown SPIr":   with(func(m []byte) { m[15], m[18] = 7, 35 }),
		"an unknown critical payload":   firstWith(w, &ikemsg.Unknown{Type: 200, Critical: true, Body: make([]byte, 40)}),
		"an unknown harmless payload":   firstWith(w, &ikemsg.Unknown{Type: 200, Body: make([]byte, 40)}),
		"a minor version from tomorrow": with(func(m []byte) { m[17] = 0x2f }),
		"reserved flags":                with(func(m []byte) { m[19] |= 0xc7 }),
	})
	mustBeNotify(t, answers["not of an initiator"], ikemsg.NotifyInvalidIKESPI)
	mustBeNotify(t, answers["version 3"], ikemsg.NotifyInvalidMajorVersion)
	mustBeNotify(t, answers["version 15"], ikemsg.NotifyInvalidMajorVersion)
	mustBeNotify(t, answers["IKE_AUTH of an unknown SPIr"], ikemsg.NotifyInvalidIKESPI)
	mustBeNotify(t, answers["an unknown critical payload"], ikemsg.NotifyUnsupportedCriticalPayload)
	for _, name := range []string{"an unknown harmless payload", "a minor version from tomorrow", "reserved flags"} {
		if a := answers[name]; len(a.answers) != 1 || len(a.answers[0]) < 150 {
			t.Errorf("%v, want a set-up to go on", a)
		}
	}
}

// firstWith is an honest first request with payloads more.
func firstWith(w *world, more ...ikemsg.Payload) []byte {
	p := &peer{w: w}
	p.prepare(ikeProposal)
	return p.initMessage(append(p.initPayloads(), more...))
}

// firstWithout replaces the payload of one type by others.
func firstInstead(w *world, keywords string, t ikemsg.PayloadType, by ...ikemsg.Payload) []byte {
	p := &peer{w: w}
	p.prepare(keywords)
	var ps []ikemsg.Payload
	for _, one := range p.initPayloads() {
		if one.PayloadType() == t {
			ps = append(ps, by...)
		} else {
			ps = append(ps, one)
		}
	}
	return p.initMessage(ps)
}

// modp3072 is the prime of RFC 3526, Section 4, as the formula there makes it.
func modp3072() *big.Int {
	// 2^3072 - 2^3008 - 1 + 2^64 * ([2^2942 pi] + 1690314), pi by Machin's formula.
	const bits = 3100
	one := new(big.Int).Lsh(big.NewInt(1), bits)
	arctan := func(x int64) *big.Int {
		sum, term := new(big.Int), new(big.Int).Div(one, big.NewInt(x))
		for n := int64(1); term.Sign() != 0; n += 2 {
			part := new(big.Int).Div(term, big.NewInt(n))
			if n%4 == 1 {
				sum.Add(sum, part)
			} else {
				sum.Sub(sum, part)
			}
			term.Div(term, big.NewInt(x*x))
		}
		return sum
	}
	pi := new(big.Int).Sub(new(big.Int).Mul(arctan(5), big.NewInt(16)), new(big.Int).Mul(arctan(239), big.NewInt(4)))
	pi.Rsh(pi, bits-2942)
	p := new(big.Int).Lsh(big.NewInt(1), 3072)
	p.Sub(p, new(big.Int).Lsh(big.NewInt(1), 3008))
	p.Sub(p, big.NewInt(1))
	pi.Add(pi, big.NewInt(1690314))
	return p.Add(p, pi.Lsh(pi, 64))
}

// badPublicValues: the gateway does its half before it looks at ours, so some
// of these get an answer; none must get a session that takes IKE_AUTH.
func badPublicValues(t *testing.T, w *world) {
	prime := modp3072()
	if !prime.ProbablyPrime(8) {
		t.Fatal("the prime is none")
	}
	number := func(n *big.Int) []byte { return n.FillBytes(make([]byte, 384)) }
	modp, ecp := "aes256gcm16-prfsha256-modp3072", ikeProposal
	offCurve := octets(64)
	for _, c := range []struct {
		name, proposal string
		group          uint16
		value          []byte
	}{
		{"CVE_2015_3240_zero", modp, 15, number(big.NewInt(0))},
		{"one", modp, 15, number(big.NewInt(1))},
		{"p-1", modp, 15, number(new(big.Int).Sub(prime, big.NewInt(1)))},
		{"p", modp, 15, number(prime)},
		{"p+1", modp, 15, number(new(big.Int).Add(prime, big.NewInt(1)))},
		{"all ones", modp, 15, bytes.Repeat([]byte{0xff}, 384)},
		{"one octet short", modp, 15, make([]byte, 383)},
		{"one octet long", modp, 15, make([]byte, 385)},
		{"empty", modp, 15, nil},
		{"CVE_2023_41913_as long as a datagram takes", ecp, 19, make([]byte, 3000)},
		{"off the curve", ecp, 19, offCurve},
		{"point zero", ecp, 19, make([]byte, 64)},
		{"coordinates over the field", ecp, 19, bytes.Repeat([]byte{0xff}, 64)},
		{"compressed form", ecp, 19, append([]byte{2}, make([]byte, 32)...)},
		{"X25519 of order one", "aes256gcm16-prfsha256-x25519", 31, make([]byte, 32)},
		{"CVE_2014_9221_a private group", ecp, 1025, octets(64)},
		{"group none", ecp, 0, nil},
	} {
		p := w.newPeer(device{})
		p.prepare(c.proposal)
		p.initRequest = firstInstead(w, c.proposal, ikemsg.PayloadKE, &ikemsg.KE{Group: c.group, Data: c.value})
		copy(p.initRequest, binary.BigEndian.AppendUint64(nil, uint64(p.sa.spiI)))
		data, err := p.exchangeOnce(p.initRequest, 0)
		if err != nil {
			continue // dropped: as good as a refusal
		}
		if len(data) > len(p.initRequest) {
			t.Errorf("%s: %d octets were answered by %d", c.name, len(p.initRequest), len(data))
		}
		m, err := ikemsg.Parse(data)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if _, ok := ikemsg.Find[*ikemsg.SA](m.Payloads); !ok {
			continue
		}
		// The gateway learns what the value is worth when it computes with it,
		// which it does for a message that can be an IKE_AUTH.
		p.sa.spiR = m.Header.SPIr
		h := p.sa.header(ikemsg.ExchangeIKEAuth, 1, false)
		prefix, err := ikemsg.SKPrefix(h, ikemsg.PayloadIDi, 200)
		w.must(err)
		p.send(append(prefix, octets(200)...))
		if answer, err := p.answerTo(1, 100*time.Millisecond); err == nil {
			if m, err := ikemsg.Parse(answer); err != nil || len(m.Payloads) != 1 || m.Payloads[0].PayloadType() != ikemsg.PayloadNotify {
				t.Errorf("%s: an IKE_AUTH was answered by %x", c.name, answer)
			}
		}
	}
}

// exchangeOnce sends one copy and waits for a short while.
func (p *peer) exchangeOnce(data []byte, id uint32) ([]byte, error) {
	p.send(data)
	return p.answerTo(id, 100*time.Millisecond)
}

func badNonces(t *testing.T, w *world) {
	silent, good := map[string][]byte{}, map[string][]byte{}
	for _, n := range []int{0, 1, 8, 15, 257, 300, 1000} {
		silent[fmt.Sprintf("a nonce of %d octets", n)] = firstInstead(w, ikeProposal, ikemsg.PayloadNonce, &ikemsg.Unknown{Type: ikemsg.PayloadNonce, Body: octets(n)})
	}
	for _, n := range []int{16, 256} {
		good[fmt.Sprint(n)] = firstInstead(w, ikeProposal, ikemsg.PayloadNonce, &ikemsg.Nonce{Data: octets(n)})
	}
	x := w.newWire()
	mustBeSilence(t, x.volley(silent))
	for n, a := range x.insist(good) {
		if len(a.answers) != 1 {
			t.Errorf("a nonce of %s octets is legal and got %d answers", n, len(a.answers))
		}
	}
}

func hugeCounts(t *testing.T, w *world) {
	proposals := []byte{}
	for i := range 120 {
		proposals = append(proposals, 2, 0, 0, 16, byte(i+1), 1, 0, 1, 0, 0, 0, 8, 1, 0, 0, 3)
	}
	transforms := []byte{0, 0, 0, 0, 1, 1, 0, 255}
	for range 255 {
		transforms = append(transforms, 3, 0, 0, 8, 4, 0, 0, 19)
	}
	binary.BigEndian.PutUint16(transforms[2:], uint16(len(transforms)))
	many := make([]ikemsg.Payload, 300)
	for i := range many {
		many[i] = &ikemsg.VendorID{Data: []byte{1}}
	}
	none := []byte{0, 0, 0, 8, 1, 1, 0, 0}
	x := w.newWire()
	mustBeSilence(t, x.volley(map[string][]byte{
		"120 proposals that go on":       firstInstead(w, ikeProposal, ikemsg.PayloadSA, &ikemsg.Unknown{Type: ikemsg.PayloadSA, Body: proposals}),
		"255 transforms that go on":      firstInstead(w, ikeProposal, ikemsg.PayloadSA, &ikemsg.Unknown{Type: ikemsg.PayloadSA, Body: transforms}),
		"a count of transforms too high": firstInstead(w, ikeProposal, ikemsg.PayloadSA, &ikemsg.Unknown{Type: ikemsg.PayloadSA, Body: []byte{0, 0, 0, 16, 1, 1, 0, 200, 0, 0, 0, 8, 1, 0, 0, 20}}),
		"an empty SA":                    firstInstead(w, ikeProposal, ikemsg.PayloadSA, &ikemsg.Unknown{Type: ikemsg.PayloadSA}),
		"no SA":                          firstInstead(w, ikeProposal, ikemsg.PayloadSA),
		"no KE":                          firstInstead(w, ikeProposal, ikemsg.PayloadKE),
		"no nonce":                       firstInstead(w, ikeProposal, ikemsg.PayloadNonce),
		"300 payloads":                   firstWith(w, many...),
	}))
	// Legal and useless: whatever comes is short.
	for _, a := range x.volley(map[string][]byte{
		"a proposal of nothing": firstInstead(w, ikeProposal, ikemsg.PayloadSA, &ikemsg.Unknown{Type: ikemsg.PayloadSA, Body: none}),
		"two nonces":            firstWith(w, &ikemsg.Nonce{Data: octets(32)}),
		"a cookie nobody gave":  firstWith(w, &ikemsg.Notify{Type: ikemsg.NotifyCookie, Data: octets(64)}),
		"an empty cookie":       firstWith(w, &ikemsg.Notify{Type: ikemsg.NotifyCookie}),
	}) {
		t.Log(a)
	}
}

func strangeProposals(t *testing.T, w *world) {
	transforms := func(ts ...suite.Transform) *ikemsg.SA {
		p := ikemsg.Proposal{Number: 1, Protocol: ikemsg.ProtoIKE}
		for _, one := range ts {
			p.Transforms = append(p.Transforms, ikemsg.Transform{Transform: one})
		}
		return &ikemsg.SA{Proposals: []ikemsg.Proposal{p}}
	}
	tripleDES, md5, sha1, group2 := suite.Transform{Type: suite.Encr, ID: 3}, suite.Transform{Type: suite.PRF, ID: 1}, suite.Transform{Type: suite.Integ, ID: 2}, suite.Transform{Type: suite.KE, ID: 2}
	gcm, prf := suite.Transform{Type: suite.Encr, ID: 20, KeyBits: 256}, suite.Transform{Type: suite.PRF, ID: 5}
	unfit := map[string]*ikemsg.SA{
		"3DES, MD5 and MODP-1024":           transforms(tripleDES, md5, sha1, group2),
		"CVE_2016_5391_no group":            transforms(gcm, prf),
		"CVE_2018_10811_PRF of MD5":         transforms(gcm, md5, suite.Transform{Type: suite.KE, ID: 19}),
		"CVE_2016_3071_AES-XCBC":            transforms(suite.Transform{Type: suite.Encr, ID: 12, KeyBits: 128}, suite.Transform{Type: suite.PRF, ID: 4}, suite.Transform{Type: suite.Integ, ID: 5}, suite.Transform{Type: suite.KE, ID: 19}),
		"no encryption":                     transforms(suite.Transform{Type: suite.Encr, ID: 11}, prf, suite.Transform{Type: suite.Integ, ID: 12}, suite.Transform{Type: suite.KE, ID: 19}),
		"GCM with a key of 64 bits":         transforms(suite.Transform{Type: suite.Encr, ID: 20, KeyBits: 64}, prf, suite.Transform{Type: suite.KE, ID: 19}),
		"GCM without a key length":          transforms(suite.Transform{Type: suite.Encr, ID: 20}, prf, suite.Transform{Type: suite.KE, ID: 19}),
		"only numbers from the private use": transforms(suite.Transform{Type: suite.Encr, ID: 65535}, suite.Transform{Type: suite.PRF, ID: 65535}, suite.Transform{Type: suite.KE, ID: 65535}),
	}
	requests := map[string][]byte{}
	for name, sa := range unfit {
		requests[name] = firstInstead(w, ikeProposal, ikemsg.PayloadSA, sa)
	}
	answers := w.newWire().insist(requests)
	for _, name := range slices.Sorted(maps.Keys(unfit)) {
		mustBeNotify(t, answers[name], ikemsg.NotifyNoProposalChosen)
	}
}

func oversized(t *testing.T, w *world) {
	long := map[string][]byte{}
	for _, n := range []int{4097, 9000, 30000, 60000} {
		var pad []ikemsg.Payload
		for rest := n - len(firstRequest(w)); rest > 0; rest -= 20000 {
			pad = append(pad, &ikemsg.VendorID{Data: octets(min(rest, 20000))})
		}
		long[fmt.Sprintf("%d octets", n)] = firstWith(w, pad...)
	}
	mustBeSilence(t, w.newWire().volley(long))
}

func noise(t *testing.T, w *world) {
	x := w.newWire()
	for i := range 600 {
		data := octets(rand.IntN(1400))
		if len(data) > 17 {
			data[17] &= 0x2f // version 2 or below: a higher one has its answer
		}
		x.ask(fmt.Sprintf("noise %d", i), x.stranger(), []uint16{500, 4500}[i%2], data)
		if i%32 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
	for name, data := range map[string][]byte{
		"an empty datagram":      {},
		"a keepalive":            {0xff},
		"half a marker":          {0, 0},
		"a marker alone":         {0, 0, 0, 0},
		"a marker and an octet":  {0, 0, 0, 0, 1},
		"an ESP header alone":    {1, 2, 3, 4, 0, 0, 0, 1},
		"a reserved SPI":         append([]byte{0, 0, 0, 255}, make([]byte, 60)...),
		"half a header of IKE":   append(make([]byte, 4), octets(14)...),
		"IKE without the marker": firstRequest(w),
	} {
		x.ask(name, x.stranger(), 4500, data)
	}
	accounts := x.close()
	for name, a := range accounts {
		if len(a.answers) > 0 && strings.HasPrefix(name, "noise") {
			mustBeNotify(t, a, ikemsg.NotifyInvalidIKESPI) // what looks like version 2
			delete(accounts, name)
		}
	}
	mustBeSilence(t, accounts)
}

func replayedInit(t *testing.T, w *world) {
	p := w.newPeer(device{})
	p.w.must(p.saInit(ikeProposal))
	for range 20 {
		again, err := p.exchange(p.initRequest, 0)
		w.must(err)
		if !bytes.Equal(again, p.initResponse) {
			t.Fatal("a copy of the request got another answer: two sessions were made")
		}
	}
	before := w.status().Engine.HalfOpen
	other := bytes.Clone(p.initRequest)
	other[len(other)-1] ^= 1
	if data, err := p.exchangeOnce(other, 0); err == nil && !bytes.Equal(data, p.initResponse) {
		t.Errorf("a changed copy with the same SPI and source got an answer of its own: %x", data)
	}
	if half := w.status().Engine.HalfOpen; half > before {
		t.Errorf("a changed copy made %d half-open sessions of %d", half, before)
	}
}

func wrongExchange(t *testing.T, w *world) {
	for _, x := range []ikemsg.ExchangeType{ikemsg.ExchangeInformational, ikemsg.ExchangeCreateChildSA, ikemsg.ExchangeIntermediate, 240} {
		p := w.newPeer(device{})
		p.w.must(p.saInit(ikeProposal))
		sa := p.sa
		for _, ps := range [][]ikemsg.Payload{nil, {&ikemsg.Delete{Protocol: ikemsg.ProtoIKE}}, {&ikemsg.Notify{Type: ikemsg.NotifyAuthenticationFailed}}} {
			plain, err := ikemsg.AppendPayloads(nil, ps)
			w.must(err)
			p.send(sa.seal(sa.header(x, 1, false), ikemsg.FirstType(ps), plain))
			m := ikemsg.Message{Header: sa.header(x, 1, false), Payloads: ps} // and in the clear
			open, err := m.Append(nil)
			w.must(err)
			p.send(open)
		}
		if !p.quiet(100 * time.Millisecond) {
			t.Errorf("%v before IKE_AUTH was answered", x)
		}
	}
}

// garbageAuth: until something decrypts, nothing has been said.
func garbageAuth(t *testing.T, w *world) {
	p := w.newPeer(w.enrol("mallory", "laptop-g"))
	p.w.must(p.saInit(ikeProposal))
	sa := p.sa
	good := sa.seal(sa.header(ikemsg.ExchangeIKEAuth, 1, false), ikemsg.PayloadIDi, octets(600))
	for n := range 64 {
		forged := bytes.Clone(good)
		forged[ikemsg.HeaderLen+n] ^= 0x40
		p.send(forged)
		p.send(good[:len(good)-1-n])
	}
	prefix, err := ikemsg.SKPrefix(sa.header(ikemsg.ExchangeIKEAuth, 1, false), ikemsg.PayloadIDi, 8)
	w.must(err)
	p.send(append(prefix, octets(8)...)) // too short for an IV and a tag
	if !p.quiet(150 * time.Millisecond) {
		t.Error("a forged IKE_AUTH was answered")
	}
	if err := p.auth(p.authPayloads()); err != nil {
		t.Errorf("the true IKE_AUTH after the forged ones: %v", err)
	}
	p.gone()
}

func absurdFragments(t *testing.T, w *world) {
	p := w.newPeer(w.enrol("mallory", "laptop-f"))
	p.w.must(p.saInit(ikeProposal))
	sa := p.sa
	h := sa.header(ikemsg.ExchangeIKEAuth, 1, false)
	before := w.resident()
	for n := range 3000 { // forged: never stored
		prefix, err := ikemsg.SKFPrefix(h, ikemsg.PayloadIDi, uint16(n%65535+1), 65535, 1000)
		w.must(err)
		p.send(append(prefix, octets(1000)...))
		if n%64 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	for _, one := range []struct{ number, total uint16 }{{1, 65535}, {65535, 65535}, {97, 97}, {1, 200}, {200, 200}} {
		p.send(sa.sealFragment(h, ikemsg.PayloadIDi, one.number, one.total, octets(500))) // sealed, over the limit
	}
	for number := uint16(1); number < 96; number++ { // sealed and stored, never complete
		p.send(sa.sealFragment(h, ikemsg.PayloadIDi, number, 96, octets(600)))
	}
	if !p.quiet(150 * time.Millisecond) {
		t.Error("fragments of nothing were answered")
	}
	if grown := w.resident() - before; grown > 16<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
}

// TestAHundredThousandSpoofedRequestsAreHeldOffByCookies is the flood.
func TestAHundredThousandSpoofedRequestsAreHeldOffByCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	mallory := w.enrol("mallory", "laptop-m")
	b := w.bystander()
	w.newPeer(mallory).mustConnect().gone()
	before, lines := w.resident(), w.talk.total()

	const requests = 100_000
	x := w.newWire()
	template := firstRequest(w)
	connected := make(chan error, 1)
	peak := 0
	for i := range requests {
		m := bytes.Clone(template)
		binary.BigEndian.PutUint64(m, rand.Uint64()|1)
		x.ask(fmt.Sprint(i), x.stranger(), 500, m)
		if i%32 == 0 {
			time.Sleep(time.Millisecond)
		}
		switch {
		case i == requests/2: // in the thick of it
			p := w.newPeer(mallory)
			go func() { connected <- p.connect() }()
		case i%20_000 == 0:
			peak = max(peak, w.status().Engine.HalfOpen)
		}
	}
	select {
	case err := <-connected:
		if err != nil {
			t.Errorf("a good client could not connect during the flood: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a good client hangs")
	}
	accounts := x.close()
	cookies, setups, silent := 0, 0, 0
	for _, a := range accounts {
		switch {
		case len(a.answers) == 0:
			silent++
		case a.answers[0][16] == byte(ikemsg.PayloadNotify):
			cookies++
		default:
			setups++
		}
	}
	t.Logf("%d requests: %d cookies, %d set-ups begun, %d without answer; at most %d half-open", requests, cookies, setups, silent, peak)
	if cookies < requests/4 {
		t.Errorf("only %d of %d requests under load were asked for a cookie", cookies, requests)
	}
	if setups > 2000 || peak > 2000 {
		t.Errorf("%d set-ups were begun for spoofed sources, %d at a time", setups, peak)
	}
	if grown := w.talk.total() - lines; grown > 20 {
		t.Errorf("the server wrote %d lines about the flood:\n%s", grown, lastOf(w.talk.since(lines), 3000))
	}
	if after := w.resident(); after > before+64<<20 {
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}
	w.unharmed()
	w.newPeer(mallory).mustConnect().gone()
	b.undisturbed(w, 30)
}

// TestRefusalsOfStrangersDoNotFillTheLog: whoever sends a proposal can cause a
// refusal, from any address and with any name.
func TestRefusalsOfStrangersDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	weak := "aes256gcm16-prfsha256-modp2048" // not of the strong policy
	lines := w.talk.total()
	x := w.newWire()
	const requests = 3000
	for i := range requests {
		p := &peer{w: w}
		p.prepare(weak)
		if i%64 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
		m := bytes.Clone(p.initMessage(p.initPayloads()))
		x.ask(fmt.Sprint(i), x.stranger(), 500, m)
	}
	x.close()
	st := w.status()
	if st.Engine.Refused < requests/2 {
		t.Errorf("%d of %d refusals were counted", st.Engine.Refused, requests)
	}
	if grown := w.talk.total() - lines; grown > 140 {
		t.Errorf("%d spoofed requests made %d lines in the log, such as\n%s", requests, grown, lastOf(w.talk.since(lines), 900))
	}
	lines = w.talk.total()
	for i := range 50 { // names are free for whoever does a key exchange
		p := w.newPeer(device{})
		w.must(p.saInit(ikeProposal))
		name := fmt.Sprintf("\x1b[31mmallory%d\n2026-01-01 level=INFO msg=\"all is well\"$(reboot)", i)
		p.request(ikemsg.ExchangeIKEAuth,
			&ikemsg.ID{Kind: ikemsg.IDFQDN, Data: []byte(name)}, &ikemsg.Auth{Method: 14, Data: octets(80)},
			saPayload(proposal(suite.ProtocolESP, espProposal), p.newChildSPI(), true), &ikemsg.TS{Selectors: everywhere}, &ikemsg.TS{Responder: true, Selectors: everywhere})
		p.sock.Close()
	}
	if grown := w.talk.total() - lines; grown > 125 {
		t.Errorf("50 made-up names made %d lines in the log", grown)
	}
	if text := w.talk.since(lines); strings.Contains(text, "\x1b") || w.talk.count(`msg="all is well"`) > 0 {
		t.Errorf("a peer's text reached the log unquoted:\n%s", lastOf(text, 800))
	}
	w.unharmed()
}
