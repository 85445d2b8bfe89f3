package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"sallyport/gateway"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// insider is a peer with an honest certificate and bad intentions, beside a
// friend whose traffic must never stop.
type insider struct {
	*testing.T
	w      *world
	who    device
	friend gateway.SessionInfo
}

// TestAHostileSessionEndsAlone is everything that an authenticated peer can do
// to a session.
func TestAHostileSessionEndsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	who := w.enrol("mallory", "laptop-m")
	b := w.bystander()
	friend := w.sessions()[0]
	before, lines := w.resident(), w.talk.total()

	for _, c := range []struct {
		name string
		run  func(*insider)
	}{
		{"MalformedBodiesInIKE_AUTHEstablishNothing", malformedAuth},
		{"MalformedBodiesInCREATE_CHILD_SAEndOnlyTheirSession", malformedCreateChild},
		{"MalformedBodiesInINFORMATIONALEndOnlyTheirSession", malformedInformational},
		{"RequestsWithWrongMessageIDsAreNotAnswered", wrongMessageIDs},
		{"AReplayedRequestGetsItsOldAnswerOrNone", replayedRequests},
		{"MessagesInTheClearChangeNothing", messagesInTheClear},
		{"ResponsesToNothingChangeNothing", responsesToNothing},
		{"AnUnknownCriticalPayloadIsRefusedByNameAndTheSessionLives", unknownCritical},
		{"RekeysOfUnknownSPIsAreAnsweredWithTheSPI", rekeyUnknown},
		{"CVE_2023_38710_REKEY_SAForAnotherProtocolIsRefused", rekeyOtherProtocol},
		{"CVE_2023_23009_SelectorsWithWrongLengthsEndOnlyTheirSession", selectorLengths},
		{"NoncesOfWrongSizesInCREATE_CHILD_SAEndOnlyTheirSession", childNonces},
		{"PublicValuesThatAreNoneInCREATE_CHILD_SAMakeNoChild", childPublicValues},
		{"ChildSAsOfOneSessionAreBounded", manyChildren},
		{"IKERekeysOfOneSessionAreBoundedAndOrderlyOnesAreNot", manyIKERekeys},
		{"TwoRekeysOfTheSameChildLeaveAWorkingTunnel", twoRekeys},
		{"DeletesOfForeignSPIsDeleteNothing", foreignDeletes},
		{"ADeleteFollowedByANotifyEndsTheSessionOnce", deleteThenNotify},
		{"SelectorsNeverWiden", widening},
		{"NobodyGetsAnotherOnesAddress", foreignAddresses},
		{"GarbageInTheConfigurationPayloadIsIgnored", configurationGarbage},
		{"HugeCertificateRequestsAndChainsAreBounded", hugeCertificates},
		{"MOBIKENeverAimsTrafficAtAnAddressThatDoesNotAnswer", mobikeVictim},
		{"AHundredSessionsOfOneDeviceAreNotHad", manySessions},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := w.on(t)
			c.run(&insider{t, w, who, friend})
			w.unharmed()
		})
	}

	after := w.sessions()
	if i := slices.IndexFunc(after, func(s gateway.SessionInfo) bool { return s.ID == friend.ID }); i < 0 {
		t.Errorf("the friend's session %d is gone", friend.ID)
	}
	t.Logf("resident memory: %d MiB before, %d MiB after; %d lines in the log", before>>20, w.resident()>>20, w.talk.total()-lines)
	if grown := w.resident() - before; grown > 64<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	b.undisturbed(w, 2)
}

func (i *insider) connected() *peer {
	i.Helper()
	return i.w.newPeer(i.who).mustConnect()
}

func (i *insider) mustBeAlive(p *peer, after string) {
	i.Helper()
	if !p.alive() {
		i.Errorf("the session ended after %s", after)
	}
}

// samples has one honest payload of each kind, to be spoilt.
func samples(w *world) []ikemsg.Payload {
	return []ikemsg.Payload{
		saPayload(proposal(suite.ProtocolESP, espProposal), octets(4), false),
		&ikemsg.KE{Group: 19, Data: octets(64)},
		&ikemsg.ID{Kind: ikemsg.IDFQDN, Data: []byte("mallory.example.org")},
		&ikemsg.ID{Responder: true, Kind: ikemsg.IDIPv4Addr, Data: octets(4)},
		&ikemsg.Cert{Encoding: ikemsg.CertX509Signature, Data: octets(100)},
		&ikemsg.CertReq{Encoding: ikemsg.CertX509Signature, Authorities: octets(40)},
		&ikemsg.Auth{Method: 14, Data: octets(80)},
		&ikemsg.Nonce{Data: octets(32)},
		&ikemsg.Notify{Type: ikemsg.NotifyRekeySA, Protocol: ikemsg.ProtoESP, SPI: octets(4)},
		&ikemsg.Delete{Protocol: ikemsg.ProtoESP, SPIs: []uint32{1000, 2000}},
		&ikemsg.VendorID{Data: octets(16)},
		&ikemsg.TS{Selectors: everywhere},
		&ikemsg.TS{Responder: true, Selectors: everywhere},
		&ikemsg.CP{Kind: ikemsg.CPRequest, Attributes: []ikemsg.CPAttribute{{Type: ikemsg.InternalIP4Address, Value: octets(4)}}},
		&ikemsg.EAP{Packet: []byte{1, 1, 0, 5, 1}},
		&ikemsg.Unknown{Type: 200, Critical: true, Body: octets(8)},
	}
}

// spoilt are the inside of SK with one payload that is broken in some way.
func spoilt(p ikemsg.Payload, seeded *rand.Rand) map[string][]byte {
	whole, err := ikemsg.AppendPayloads(nil, []ikemsg.Payload{p})
	if err != nil {
		panic(err)
	}
	with := func(change func(b []byte) []byte) []byte { return change(bytes.Clone(whole)) }
	length := func(n int) []byte {
		return with(func(b []byte) []byte { binary.BigEndian.PutUint16(b[2:], uint16(n)); return b })
	}
	cut := len(whole) - 1
	return map[string][]byte{
		"its last octet missing":        whole[:cut],
		"its body missing":              with(func(b []byte) []byte { b[2], b[3] = 0, 4; return b[:4] }),
		"half its header":               whole[:2],
		"a length of 0":                 length(0),
		"a length of 65535":             length(65535),
		"a length one short":            length(cut),
		"a body of ones":                with(func(b []byte) []byte { copy(b[4:], bytes.Repeat([]byte{0xff}, len(b))); return b }),
		"a body of zeros":               with(func(b []byte) []byte { clear(b[4:]); return b }),
		"a payload promised and absent": with(func(b []byte) []byte { b[0] = 33; return b }),
		"an SK inside":                  with(func(b []byte) []byte { b[0] = 46; return append(b, 0, 0, 0, 4) }),
		"octets to spare":               append(bytes.Clone(whole), octets(7)...),
		"itself 300 times": with(func(b []byte) []byte {
			b[0] = byte(p.PayloadType())
			many := bytes.Repeat(b, 300)
			many[len(many)-len(b)] = 0
			return many[:min(len(many), 40000)]
		}),
		"flips": with(func(b []byte) []byte {
			for range 6 {
				b[seeded.IntN(len(b))] ^= 1 << seeded.IntN(8)
			}
			return b
		}),
	}
}

// throughEachKind does something with every spoilt body of every kind.
func (i *insider) throughEachKind(seed uint64, do func(name string, first ikemsg.PayloadType, body []byte)) {
	seeded := rand.New(rand.NewPCG(seed, seed))
	for _, p := range samples(i.w) {
		for how, body := range spoilt(p, seeded) {
			do(fmt.Sprintf("%v with %s", p.PayloadType(), how), p.PayloadType(), body)
		}
	}
}

func malformedAuth(i *insider) {
	established := i.w.status().Engine.Established
	answered := 0
	i.throughEachKind(1, func(name string, first ikemsg.PayloadType, body []byte) {
		p := i.w.newPeer(i.who)
		defer p.sock.Close()
		if err := p.saInit(ikeProposal); err != nil {
			i.Fatalf("%s: %v", name, err)
		}
		sa := p.sa
		p.send(sa.seal(sa.header(ikemsg.ExchangeIKEAuth, 1, false), first, body))
		data, err := p.answerTo(1, 500*time.Millisecond)
		if err != nil {
			return // dropped
		}
		answered++
		if ps, err := sa.open(data); err != nil || notified(ps) == 0 {
			i.Errorf("%s in IKE_AUTH: answered by %v, %v", name, ps, err)
		}
	})
	if answered < 150 {
		i.Errorf("only %d bodies reached the machine", answered)
	}
	if now := i.w.status().Engine.Established; now != established {
		i.Errorf("%d sessions were established", now-established)
	}
}

func malformedCreateChild(i *insider)   { malformed(i, ikemsg.ExchangeCreateChildSA) }
func malformedInformational(i *insider) { malformed(i, ikemsg.ExchangeInformational) }

// malformed: what cannot be read ends the session with INVALID_SYNTAX (RFC
// 7296, Section 2.21.3); what only makes no sense is answered or ignored.
func malformed(i *insider, x ikemsg.ExchangeType) {
	p := i.connected()
	ended := 0
	i.throughEachKind(uint64(x), func(name string, first ikemsg.PayloadType, body []byte) {
		sa := p.sa
		p.send(sa.seal(sa.header(x, sa.nextOut, false), first, body))
		data, err := p.answerTo(sa.nextOut, 2*time.Second)
		if err != nil {
			i.Errorf("%s in %v: an authenticated request was not answered", name, x)
			p = i.connected()
			return
		}
		ps, err := sa.open(data)
		if err != nil {
			i.Fatalf("%s in %v: %v", name, x, err)
		}
		sa.nextOut++
		switch notified(ps) {
		case ikemsg.NotifyInvalidSyntax:
			if deadSoon(p) {
				ended++
				p.sock.Close()
				p = i.connected()
			}
		default:
			if d, ok := ikemsg.Find[*ikemsg.Delete](ps); ok && len(d.SPIs) > 0 {
				i.Errorf("%s in %v: deleted %x", name, x, d.SPIs)
			}
			if _, ok := ikemsg.Find[*ikemsg.SA](ps); ok {
				i.Errorf("%s in %v: made an SA", name, x)
			}
		}
	})
	i.Logf("%d bodies ended their session", ended)
}

// deadSoon asks once: a session that is gone answers INVALID_IKE_SPI or not at
// all, and nothing protected.
func deadSoon(p *peer) bool {
	sa := p.sa
	p.send(sa.seal(sa.header(ikemsg.ExchangeInformational, sa.nextOut, false), 0, nil))
	data, err := p.answerTo(sa.nextOut, time.Second)
	if err != nil {
		return true
	}
	if _, err := sa.open(data); err != nil {
		return true
	}
	sa.nextOut++
	return false
}

func wrongMessageIDs(i *insider) {
	p := i.connected()
	sa := p.sa
	right := sa.nextOut
	for _, id := range []uint32{right + 1, right + 2, right + 100, 1 << 31, 0xffffffff, 0} {
		for _, x := range []ikemsg.ExchangeType{ikemsg.ExchangeInformational, ikemsg.ExchangeCreateChildSA, ikemsg.ExchangeIKEAuth} {
			p.send(sa.seal(sa.header(x, id, false), 0, nil))
		}
	}
	if !p.quiet(200 * time.Millisecond) {
		i.Error("a request with a wrong message ID was answered")
	}
	i.mustBeAlive(p, "wrong message IDs")
	p.gone()
}

func replayedRequests(i *insider) {
	p := i.connected()
	sa := p.sa
	var asked, answered [][]byte
	for range 3 {
		ask := sa.seal(sa.header(ikemsg.ExchangeInformational, sa.nextOut, false), 0, nil)
		answer, err := p.exchange(ask, sa.nextOut)
		i.w.must(err)
		sa.nextOut++
		asked, answered = append(asked, ask), append(answered, answer)
	}
	for range 10 {
		p.send(asked[0])
		p.send(asked[1])
	}
	if !p.quiet(150 * time.Millisecond) {
		i.Error("a request of long ago was answered again")
	}
	again, err := p.exchangeOnce(asked[2], sa.nextOut-1)
	if err != nil || !bytes.Equal(again, answered[2]) {
		i.Errorf("the copy of the last request: %v, the same answer: %v", err, bytes.Equal(again, answered[2]))
	}
	forged := bytes.Clone(asked[2])
	forged[len(forged)-1] ^= 1
	p.send(forged)
	if !p.quiet(150 * time.Millisecond) {
		i.Error("a forged copy of the last request was answered")
	}
	i.mustBeAlive(p, "replays")
	p.gone()
}

// messagesInTheClear has the right SPIs and message ID and no protection.
func messagesInTheClear(i *insider) {
	p := i.connected()
	sa := p.sa
	for _, x := range []ikemsg.ExchangeType{ikemsg.ExchangeInformational, ikemsg.ExchangeCreateChildSA, ikemsg.ExchangeIKEAuth, ikemsg.ExchangeIKESAInit} {
		for _, response := range []bool{false, true} {
			for _, one := range []ikemsg.Payload{
				&ikemsg.Delete{Protocol: ikemsg.ProtoIKE}, &ikemsg.Notify{Type: ikemsg.NotifyInvalidIKESPI},
				&ikemsg.Notify{Type: ikemsg.NotifyInvalidSyntax}, &ikemsg.Notify{Type: ikemsg.NotifyAuthenticationFailed},
				&ikemsg.Notify{Type: ikemsg.NotifyInvalidMajorVersion, Data: []byte{3}}, &ikemsg.Unknown{Type: 222, Critical: true},
			} {
				m := ikemsg.Message{Header: sa.header(x, sa.nextOut, response), Payloads: []ikemsg.Payload{one}}
				b, err := m.Append(nil)
				i.w.must(err)
				p.send(b)
			}
		}
	}
	if !p.quiet(150 * time.Millisecond) {
		i.Error("a message in the clear was answered")
	}
	i.mustBeAlive(p, "messages in the clear")
	p.gone()
}

func responsesToNothing(i *insider) {
	p := i.connected()
	sa := p.sa
	for id := range uint32(20) {
		plain, err := ikemsg.AppendPayloads(nil, []ikemsg.Payload{&ikemsg.Delete{Protocol: ikemsg.ProtoIKE}})
		i.w.must(err)
		p.send(sa.seal(sa.header(ikemsg.ExchangeInformational, id, true), ikemsg.PayloadDelete, plain))
		mirrored := sa.header(ikemsg.ExchangeInformational, sa.nextOut, false)
		mirrored.Flags ^= ikemsg.FlagInitiator // as if from ourselves
		p.send(sa.seal(mirrored, ikemsg.PayloadDelete, plain))
	}
	i.mustBeAlive(p, "responses to nothing")
	p.gone()
}

func unknownCritical(i *insider) {
	p := i.connected()
	for _, x := range []ikemsg.ExchangeType{ikemsg.ExchangeInformational, ikemsg.ExchangeCreateChildSA} {
		ps, err := p.request(x, &ikemsg.Unknown{Type: 201, Critical: true, Body: octets(4)})
		i.w.must(err)
		n, ok := ikemsg.FindNotify(ps, ikemsg.NotifyUnsupportedCriticalPayload)
		if !ok || !bytes.Equal(n.Data, []byte{201}) {
			i.Errorf("%v: answered by %v", x, ps)
		}
	}
	if ps, err := p.request(ikemsg.ExchangeInformational, &ikemsg.Unknown{Type: 201, Body: octets(4)}); err != nil || notified(ps) != 0 {
		i.Errorf("an unknown payload that is not critical: %v, %v", ps, err)
	}
	i.mustBeAlive(p, "unknown payloads")
	p.gone()
}

func rekeyUnknown(i *insider) {
	p := i.connected()
	foreign, _ := strconv.ParseUint(i.friend.Children[0].SPIOut, 16, 32)
	for _, spi := range []uint32{0, 1, 255, 256, 0xffffffff, p.child.spiOut, uint32(foreign)} {
		c := p.newChildRequest(nil)
		c.rekey = rekeyNotify(ikemsg.ProtoESP, spi)
		_, answer, err := p.createChild(c)
		n, ok := ikemsg.FindNotify(answer, ikemsg.NotifyChildSANotFound)
		if !ok || binary.BigEndian.Uint32(n.SPI) != spi {
			i.Errorf("rekey of %08x: %v, %v", spi, answer, err)
		}
	}
	i.mustBeAlive(p, "rekeys of unknown SPIs")
	p.gone()
}

func rekeyOtherProtocol(i *insider) {
	p := i.connected()
	for _, protocol := range []ikemsg.ProtocolID{0, 1, 2, 4, 255} {
		for _, size := range []int{0, 1, 4, 8, 255} {
			c := p.newChildRequest(nil)
			c.rekey = &ikemsg.Notify{Type: ikemsg.NotifyRekeySA, Protocol: protocol, SPI: octets(size)}
			if size == 4 {
				binary.BigEndian.PutUint32(c.rekey.SPI, p.child.spiIn)
			}
			_, answer, err := p.createChild(c)
			if refusal(err) != ikemsg.NotifyChildSANotFound {
				i.Errorf("protocol %d, %d octets of SPI: %v, %v", protocol, size, answer, err)
			}
		}
	}
	i.mustBeAlive(p, "REKEY_SA for other protocols")
	p.gone()
}

func selectorLengths(i *insider) {
	p := i.connected()
	whole, err := ikemsg.AppendPayloads(nil, p.newChildRequest(nil).payloads())
	i.w.must(err)
	at := bytes.Index(whole, []byte{7, 0, 0, 16}) // the first selector
	for _, length := range []uint16{0, 3, 8, 15, 17, 40, 255, 0xffff} {
		for _, count := range []byte{0, 1, 2, 255} {
			body := bytes.Clone(whole)
			binary.BigEndian.PutUint16(body[at+2:], length)
			body[at-4] = count
			ps, err := p.requestBody(ikemsg.ExchangeCreateChildSA, ikemsg.PayloadSA, body)
			if err != nil || notified(ps) != ikemsg.NotifyInvalidSyntax {
				i.Errorf("a selector of %d octets, %d announced: %v, %v", length, count, ps, err)
			}
			p.sock.Close()
			p = i.connected()
		}
	}
	p.gone()
}

func childNonces(i *insider) {
	for _, n := range []int{0, 7, 15, 257, 2000} {
		p := i.connected()
		c := p.newChildRequest(p.child)
		ps := c.payloads()
		at := slices.Index(ps, ikemsg.Payload(c.nonce))
		ps[at] = &ikemsg.Unknown{Type: ikemsg.PayloadNonce, Body: octets(n)}
		answer, err := p.request(ikemsg.ExchangeCreateChildSA, ps...)
		if err != nil || notified(answer) != ikemsg.NotifyInvalidSyntax {
			i.Errorf("a nonce of %d octets: %v, %v", n, answer, err)
		}
		p.sock.Close()
	}
}

func childPublicValues(i *insider) {
	p := i.connected()
	for name, ke := range map[string]*ikemsg.KE{
		"off the curve": {Group: 19, Data: octets(64)},
		"zero":          {Group: 19, Data: make([]byte, 64)},
		"short":         {Group: 19, Data: octets(63)},
		"long":          {Group: 19, Data: octets(5000)},
		"empty":         {Group: 19},
		"other group":   {Group: 2, Data: octets(128)},
		"no group":      {Group: 0, Data: octets(64)},
	} {
		for _, old := range []*childSA{nil, p.child} {
			c := p.newChildRequest(old)
			c.ke = ke
			_, answer, err := p.createChild(c)
			if n := refusal(err); n != ikemsg.NotifyInvalidSyntax && n != ikemsg.NotifyInvalidKEPayload {
				i.Errorf("%s: %v, %v", name, answer, err)
			}
		}
	}
	c := p.newChildRequest(nil)
	c.ke = nil
	if _, answer, err := p.createChild(c); refusal(err) == 0 {
		i.Errorf("no KE though the proposal has a group: %v, %v", answer, err)
	}
	i.mustBeAlive(p, "bad public values")
	if !p.ping(p.leased, 3*time.Second) {
		i.Error("the tunnel no longer carries a ping")
	}
	p.gone()
}

func manyChildren(i *insider) {
	p := i.connected()
	made := 1
	for range 40 {
		_, _, err := p.createChild(p.newChildRequest(nil))
		switch refusal(err) {
		case 0:
			i.w.must(err)
			made++
		case ikemsg.NotifyNoAdditionalSAs:
		default:
			i.Fatal(err)
		}
	}
	if made > 16 {
		i.Errorf("one session made %d Child SAs", made)
	}
	for _, s := range i.w.sessions() {
		if s.Device == i.who.name && len(s.Children) > 16 {
			i.Errorf("one session has %d Child SAs", len(s.Children))
		}
	}
	i.mustBeAlive(p, "too many Child SAs")
	p.gone()
}

func manyIKERekeys(i *insider) {
	p := i.connected()
	refused := false
	for n := range 20 { // none of the old ones is deleted
		switch err := p.rekeyIKE(); refusal(err) {
		case 0:
			i.w.must(err)
			if n > 8 {
				i.Fatalf("%d IKE SAs in one session", n)
			}
		case ikemsg.NotifyTemporaryFailure:
			refused = true
		default:
			i.Fatal(err)
		}
	}
	if !refused {
		i.Error("twenty IKE SAs without a DELETE were taken")
	}
	for len(p.older) > 0 {
		i.w.must(p.deleteOldest())
	}
	for range 20 { // as it should be
		i.w.must(p.rekeyIKE())
		i.w.must(p.deleteOldest())
	}
	i.mustBeAlive(p, "forty rekeys")
	if !p.ping(p.leased, 3*time.Second) {
		i.Error("the Child SA did not survive the rekeys")
	}
	p.gone()
}

// twoRekeys is strongSwan #2945: a second rekey before the DELETE of the first.
func twoRekeys(i *insider) {
	p := i.connected()
	old := p.child
	var made []*childSA
	for range 3 {
		c, _, err := p.createChild(p.newChildRequest(old))
		if refusal(err) == ikemsg.NotifyTemporaryFailure || refusal(err) == ikemsg.NotifyChildSANotFound {
			continue
		}
		i.w.must(err)
		made = append(made, c)
	}
	if len(made) == 0 {
		i.Fatal("no rekey went through")
	}
	_, err := p.request(ikemsg.ExchangeInformational, &ikemsg.Delete{Protocol: ikemsg.ProtoESP, SPIs: []uint32{old.spiIn, old.spiIn, old.spiIn}})
	i.w.must(err)
	for _, c := range made[:len(made)-1] {
		_, err := p.request(ikemsg.ExchangeInformational, &ikemsg.Delete{Protocol: ikemsg.ProtoESP, SPIs: []uint32{c.spiIn}})
		i.w.must(err)
	}
	p.child = made[len(made)-1]
	if !p.ping(p.leased, 3*time.Second) {
		i.Error("the tunnel is gone after several rekeys of one child")
	}
	p.gone()
}

func foreignDeletes(i *insider) {
	p := i.connected()
	var spis []uint32
	for _, text := range []string{i.friend.Children[0].SPIIn, i.friend.Children[0].SPIOut} {
		spi, err := strconv.ParseUint(text, 16, 32)
		i.w.must(err)
		spis = append(spis, uint32(spi))
	}
	for len(spis) < 1000 {
		spis = append(spis, binary.BigEndian.Uint32(octets(4)))
	}
	for _, protocol := range []ikemsg.ProtocolID{ikemsg.ProtoESP, ikemsg.ProtoAH, 0, 200} {
		answer, err := p.request(ikemsg.ExchangeInformational, &ikemsg.Delete{Protocol: protocol, SPIs: spis})
		i.w.must(err)
		if d, ok := ikemsg.Find[*ikemsg.Delete](answer); ok && len(d.SPIs) > 0 {
			i.Errorf("protocol %d: %d of somebody else's Child SAs were deleted", protocol, len(d.SPIs))
		}
	}
	if !p.ping(p.leased, 3*time.Second) {
		i.Error("the own Child SA went, too")
	}
	p.gone()
}

// deleteThenNotify is the order of CVE-2023-38712 in IKEv2's words.
func deleteThenNotify(i *insider) {
	p := i.connected()
	_, err := p.request(ikemsg.ExchangeInformational,
		&ikemsg.Delete{Protocol: ikemsg.ProtoESP, SPIs: []uint32{p.child.spiIn}},
		&ikemsg.Delete{Protocol: ikemsg.ProtoIKE}, &ikemsg.Delete{Protocol: ikemsg.ProtoIKE},
		&ikemsg.Notify{Type: ikemsg.NotifyInvalidSyntax}, &ikemsg.Notify{Type: ikemsg.NotifyUpdateSAAddresses},
		&ikemsg.Notify{Type: ikemsg.NotifyCookie2, Data: octets(16)})
	i.w.must(err)
	if !deadSoon(p) {
		i.Error("the session answers after its DELETE")
	}
}

func widening(i *insider) {
	p := i.connected()
	lan := ikemsg.PrefixSelector(netip.MustParsePrefix("10.9.0.0/24"))
	own := ikemsg.PrefixSelector(netip.PrefixFrom(p.leased, 32))
	for _, old := range []*childSA{nil, p.child} {
		_, answer, err := p.createChild(p.newChildRequest(old)) // asks for everything
		i.w.must(err)
		tsi, _ := ikemsg.FindTS(answer, false)
		tsr, _ := ikemsg.FindTS(answer, true)
		if len(tsi.Selectors) != 1 || tsi.Selectors[0] != own || len(tsr.Selectors) != 1 || tsr.Selectors[0] != lan {
			i.Errorf("asked for everything, got TSi %v, TSr %v; wanted %v and %v", tsi.Selectors, tsr.Selectors, own, lan)
		}
	}
	for _, foreign := range []string{i.friend.IPv4.String() + "/32", "10.60.0.1/32", "10.9.0.10/32", "198.51.100.10/32", "0.0.0.0/8", "224.0.0.0/4"} {
		c := p.newChildRequest(nil)
		c.tsi.Selectors = []ikemsg.TrafficSelector{ikemsg.PrefixSelector(netip.MustParsePrefix(foreign))}
		if _, answer, err := p.createChild(c); refusal(err) != ikemsg.NotifyTSUnacceptable {
			i.Errorf("TSi %s: %v, %v", foreign, answer, err)
		}
	}
	for _, beyond := range []string{"203.0.113.0/24", "127.0.0.0/8", "10.60.0.0/24"} {
		c := p.newChildRequest(nil)
		c.tsr.Selectors = []ikemsg.TrafficSelector{ikemsg.PrefixSelector(netip.MustParsePrefix(beyond))}
		if _, answer, err := p.createChild(c); refusal(err) != ikemsg.NotifyTSUnacceptable {
			i.Errorf("TSr %s: %v, %v", beyond, answer, err)
		}
	}
	many := p.newChildRequest(nil)
	for n := range 250 {
		s := own
		s.StartPort, s.EndPort = uint16(n), uint16(n)
		many.tsi.Selectors = append(many.tsi.Selectors, s)
	}
	if _, _, err := p.createChild(many); err != nil {
		i.Errorf("251 selectors: %v", err)
	}
	p.gone()
}

func foreignAddresses(i *insider) {
	for _, want := range []netip.Addr{i.friend.IPv4, netip.MustParseAddr("10.60.0.1"), netip.MustParseAddr("10.60.0.255"), netip.MustParseAddr("10.9.0.10"), netip.IPv4Unspecified()} {
		p := i.w.newPeer(i.who)
		i.w.must(p.saInit(ikeProposal))
		ps := p.authPayloads()
		for _, one := range ps {
			if cp, ok := one.(*ikemsg.CP); ok {
				cp.Attributes = []ikemsg.CPAttribute{{Type: ikemsg.InternalIP4Address, Value: want.AsSlice()}}
			}
		}
		i.w.must(p.auth(ps))
		if p.leased == want || !netip.MustParsePrefix("10.60.0.0/24").Contains(p.leased) {
			i.Errorf("asked for %v and got %v", want, p.leased)
		}
		p.gone()
	}
}

func configurationGarbage(i *insider) {
	var many []ikemsg.CPAttribute
	for n := range 250 {
		many = append(many, ikemsg.CPAttribute{Type: ikemsg.CPAttributeType(n % 40), Value: octets(n)})
	}
	p := i.connected()
	for _, kind := range []ikemsg.CPType{ikemsg.CPRequest, ikemsg.CPReply, ikemsg.CPSet, ikemsg.CPAck, 0, 200} {
		ps, err := p.request(ikemsg.ExchangeInformational, &ikemsg.CP{Kind: kind, Attributes: many})
		if err != nil || notified(ps) != 0 {
			i.Errorf("a CP of kind %d: %v, %v", kind, ps, err)
		}
	}
	p.gone()
	for _, kind := range []ikemsg.CPType{ikemsg.CPReply, ikemsg.CPSet, 200} {
		p := i.w.newPeer(i.who)
		i.w.must(p.saInit(ikeProposal))
		ps := p.authPayloads()
		for _, one := range ps {
			if cp, ok := one.(*ikemsg.CP); ok {
				cp.Kind, cp.Attributes = kind, many
			}
		}
		if err := p.auth(ps); refusal(err) == 0 {
			i.Errorf("a CP of kind %d in place of a request got a Child SA: %v", kind, err)
		}
		p.gone()
	}
}

func hugeCertificates(i *insider) {
	before := i.w.resident()
	for name, more := range map[string][]ikemsg.Payload{
		"3000 authorities":                       {&ikemsg.CertReq{Encoding: ikemsg.CertX509Signature, Authorities: octets(3000 * 20)}},
		"a certificate of 60000 octets":          {&ikemsg.Cert{Encoding: ikemsg.CertX509Signature, Data: octets(60000)}},
		"100 copies of the certificate":          slices.Repeat([]ikemsg.Payload{&ikemsg.Cert{Encoding: ikemsg.CertX509Signature, Data: i.who.chain[0]}}, 60),
		"CVE_2022_40617_a URL for a certificate": {&ikemsg.Cert{Encoding: ikemsg.CertHashURL, Data: append(octets(20), "http://10.9.0.10/x.der"...)}},
		"PKCS#7":                                 {&ikemsg.Cert{Encoding: 1, Data: octets(500)}},
	} {
		p := i.w.newPeer(i.who)
		i.w.must(p.saInit(ikeProposal))
		ps := p.authPayloads()
		ps = slices.Insert(ps, 1+len(i.who.chain), more...)
		if err := p.auth(ps); err != nil && refusal(err) != ikemsg.NotifyAuthenticationFailed {
			i.Errorf("%s: %v", name, err)
		}
		p.gone()
		p.sock.Close()
	}
	if grown := i.w.resident() - before; grown > 32<<20 {
		i.Errorf("memory grew by %d MiB", grown>>20)
	}
}

// mobikeVictim sends UPDATE_SA_ADDRESSES from an address that does not answer,
// while the inside sends to the device (RFC 4555, Section 3.7).
func mobikeVictim(i *insider) {
	p := i.w.newPeer(i.who)
	i.w.must(p.saInit(ikeProposal))
	i.w.must(p.auth(append(p.authPayloads(), &ikemsg.Notify{Type: ikemsg.NotifyMOBIKESupported})))
	x := i.w.newWire()
	victim := x.stranger()
	sa := p.sa
	plain, err := ikemsg.AppendPayloads(nil, []ikemsg.Payload{
		&ikemsg.Notify{Type: ikemsg.NotifyUpdateSAAddresses},
		&ikemsg.Notify{Type: ikemsg.NotifyNATDetectionSourceIP, Data: octets(20)},
		&ikemsg.Notify{Type: ikemsg.NotifyNATDetectionDestinationIP, Data: octets(20)},
	})
	i.w.must(err)
	update := sa.seal(sa.header(ikemsg.ExchangeInformational, sa.nextOut, false), ikemsg.PayloadNotify, plain)
	x.ask("update", victim, 4500, append(make([]byte, 4), update...))

	ctx, cancel := context.WithTimeout(i.Context(), 2*time.Second)
	defer cancel()
	for range 10 {
		once, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		i.w.lab.At("inside").Ping(once, p.leased, 800) // into the tunnel; nobody answers
		stop()
	}
	x.mu.Lock()
	answers := x.books[victim].answers
	x.mu.Unlock()
	esp, control := 0, 0
	for _, a := range answers {
		if len(a) > 4 && bytes.Equal(a[:4], make([]byte, 4)) {
			control += len(a)
		} else {
			esp++
		}
	}
	if len(answers) == 0 {
		i.Error("the update was not even answered: the attack did not reach the machine")
	}
	if esp > 0 {
		i.Errorf("%d packets of the tunnel were aimed at an address that never answered", esp)
	}
	if control > 1500 {
		i.Errorf("%d octets of IKE went to the victim in two seconds", control)
	}
	i.Logf("the victim got %d octets of IKE in %d datagrams, and no ESP", control, len(answers))
}

func manySessions(i *insider) {
	refused := 0
	for range 100 {
		p := i.w.newPeer(i.who)
		if err := p.connect(); refusal(err) == ikemsg.NotifyAuthenticationFailed {
			refused++
		} else {
			i.w.must(err)
		}
		p.sock.Close() // without goodbye
	}
	n := 0
	for _, s := range i.w.sessions() {
		if s.Device == i.who.name {
			n++
		}
	}
	if n > 20 || refused < 80 {
		i.Errorf("one device has %d sessions, %d of 100 were refused", n, refused)
	}
}
