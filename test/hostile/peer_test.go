package hostile

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// What the attacker proposes, in keywords.
const (
	ikeProposal = "aes256gcm16-prfsha256-ecp256"
	espProposal = "aes256gcm16-ecp256-noesn"
)

// peer is the hostile initiator: it can do what a client does, and at each
// step something else. It speaks to port 4500 from a socket of its own.
type peer struct {
	w      *world
	sock   net.PacketConn
	to     net.Addr
	who    device
	suite  suite.Proposal
	sa     *association
	older  []*association // replaced ones, still able to speak
	nonceI []byte
	nonceR []byte
	ke     suite.KeyExchange

	initRequest, initResponse []byte
	authID                    *ikemsg.ID
	hashes                    []uint16
	leased                    netip.Addr
	child                     *childSA

	answers chan []byte   // IKE datagrams that are responses
	packets chan []byte   // ESP
	mute    bool          // does not answer the gateway's requests
	mu      sync.Mutex    // guards sa, older
	deleted chan struct{} // closed when the gateway sends DELETE of the IKE SA
}

// newPeer opens a socket on mallory's host, at another of its addresses each
// time: the limits per source are a matter of tests of their own.
func (w *world) newPeer(who device) *peer {
	w.Helper()
	a := malloryOthers.Addr().As4()
	a[3] += byte(w.peers.Add(1) % malloryAddrs)
	return w.newPeerAt("mallory", netip.AddrPortFrom(netip.AddrFrom4(a), 0), who)
}

func (w *world) newPeerAt(host string, local netip.AddrPort, who device) *peer {
	w.Helper()
	sock, err := w.lab.At(host).ListenPacket("udp", local.String())
	w.must(err)
	p := &peer{
		w: w, sock: sock, who: who, to: net.UDPAddrFromAddrPort(netip.AddrPortFrom(gateway4, 4500)),
		answers: make(chan []byte, 256), packets: make(chan []byte, 256), deleted: make(chan struct{}),
	}
	w.Cleanup(func() { sock.Close() })
	go p.listen(sock)
	return p
}

func (p *peer) listen(sock net.PacketConn) {
	buf := make([]byte, 65536)
	for {
		n, _, err := sock.ReadFrom(buf)
		if err != nil {
			return
		}
		data := bytes.Clone(buf[:n])
		if len(data) < 4 || !bytes.Equal(data[:4], make([]byte, 4)) {
			queue(p.packets, data)
			continue
		}
		data = data[4:]
		h, err := ikemsg.ParseHeader(data)
		if err == nil && h.Flags&ikemsg.FlagResponse == 0 {
			p.serve(h, data)
			continue
		}
		queue(p.answers, data)
	}
}

func queue(to chan []byte, data []byte) {
	select {
	case to <- data:
	default:
	}
}

// serve answers a request of the gateway like a good peer, unless mute.
func (p *peer) serve(h ikemsg.Header, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sa := range append([]*association{p.sa}, p.older...) {
		if sa == nil || sa.spiI != h.SPIi || sa.spiR != h.SPIr {
			continue
		}
		ps, err := sa.open(data)
		if err != nil {
			return
		}
		if d, ok := ikemsg.Find[*ikemsg.Delete](ps); ok && d.Protocol == ikemsg.ProtoIKE && sa == p.sa {
			select {
			case <-p.deleted:
			default:
				close(p.deleted)
			}
		}
		if !p.mute {
			var answer []ikemsg.Payload
			if n, ok := ikemsg.FindNotify(ps, ikemsg.NotifyCookie2); ok {
				answer = append(answer, n)
			}
			plain, _ := ikemsg.AppendPayloads(nil, answer)
			p.send(sa.seal(sa.header(h.Exchange, h.MessageID, true), ikemsg.FirstType(answer), plain))
		}
		return
	}
}

// send sends one IKE message with the non-ESP marker, sendESP without.
func (p *peer) send(data []byte) {
	p.sock.WriteTo(append(make([]byte, 4), data...), p.to)
}

func (p *peer) sendESP(data []byte) { p.sock.WriteTo(data, p.to) }

// answerTo waits for the response with the message ID.
func (p *peer) answerTo(id uint32, patience time.Duration) ([]byte, error) {
	timeout := time.After(patience)
	for {
		select {
		case data := <-p.answers:
			if h, err := ikemsg.ParseHeader(data); err == nil && h.MessageID == id {
				return data, nil
			}
		case <-timeout:
			return nil, errSilence
		}
	}
}

var errSilence = errors.New("hostile: no answer")

// quiet empties what has come and tells whether anything comes for a while.
func (p *peer) quiet(patience time.Duration) bool {
	for {
		select {
		case <-p.answers:
			return false
		case <-time.After(patience):
			return true
		}
	}
}

func proposal(protocol suite.Protocol, text string) suite.Proposal {
	o, err := suite.ParseProposal(protocol, text)
	if err != nil {
		panic(err)
	}
	return o
}

// saPayload offers one proposal.
func saPayload(o suite.Proposal, spi []byte, noKE bool) *ikemsg.SA {
	p := ikemsg.Proposal{Number: 1, Protocol: ikemsg.ProtocolID(o.Protocol), SPI: spi}
	for _, t := range o.Transforms {
		if t.Type != suite.KE || !noKE {
			p.Transforms = append(p.Transforms, ikemsg.Transform{Transform: t})
		}
	}
	return &ikemsg.SA{Proposals: []ikemsg.Proposal{p}}
}

func octets(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func randomSPI() ikemsg.SPI { return ikemsg.SPI(binary.BigEndian.Uint64(octets(8)) | 1) }

// prepare chooses SPI, nonce and key pair of a new IKE_SA_INIT.
func (p *peer) prepare(keywords string) {
	p.suite = proposal(suite.ProtocolIKE, keywords)
	ke, err := suite.GenerateKE(p.suite.Of(suite.KE)[0])
	p.w.must(err)
	p.ke, p.nonceI = ke, octets(32)
	p.mu.Lock()
	p.sa = &association{initiator: true, spiI: randomSPI()}
	p.mu.Unlock()
}

// initPayloads are those of an honest IKE_SA_INIT.
func (p *peer) initPayloads() []ikemsg.Payload {
	hashes := []byte{}
	for _, h := range suite.OfferedHashes() {
		hashes = binary.BigEndian.AppendUint16(hashes, h)
	}
	return []ikemsg.Payload{
		saPayload(p.suite, nil, false),
		&ikemsg.KE{Group: p.suite.Of(suite.KE)[0].ID, Data: p.ke.Public()},
		&ikemsg.Nonce{Data: p.nonceI},
		&ikemsg.Notify{Type: ikemsg.NotifyNATDetectionSourceIP, Data: octets(20)},
		&ikemsg.Notify{Type: ikemsg.NotifyNATDetectionDestinationIP, Data: octets(20)},
		&ikemsg.Notify{Type: ikemsg.NotifySignatureHashAlgorithms, Data: hashes},
		&ikemsg.Notify{Type: ikemsg.NotifyFragmentationSupported},
		&ikemsg.VendorID{Data: make([]byte, 120)}, // longer than the answer, so that no cookie is needed
	}
}

// initMessage is an IKE_SA_INIT request with these payloads.
func (p *peer) initMessage(ps []ikemsg.Payload) []byte {
	m := ikemsg.Message{Header: p.sa.header(ikemsg.ExchangeIKESAInit, 0, false), Payloads: ps}
	b, err := m.Append(nil)
	p.w.must(err)
	return b
}

// saInit does IKE_SA_INIT, with a cookie when asked for one.
func (p *peer) saInit(keywords string) error {
	p.prepare(keywords)
	ps := p.initPayloads()
	for range 3 {
		p.initRequest = p.initMessage(ps)
		data, err := p.exchange(p.initRequest, 0)
		if err != nil {
			return fmt.Errorf("IKE_SA_INIT: %w", err)
		}
		m, err := ikemsg.Parse(data)
		if err != nil {
			return err
		}
		if n, ok := ikemsg.FindNotify(m.Payloads, ikemsg.NotifyCookie); ok {
			ps = append([]ikemsg.Payload{n}, p.initPayloads()...)
			continue
		}
		return p.initAnswer(data, m)
	}
	return errors.New("hostile: cookies for ever")
}

func (p *peer) initAnswer(data []byte, m *ikemsg.Message) error {
	chosen, okSA := ikemsg.Find[*ikemsg.SA](m.Payloads)
	ke, okKE := ikemsg.Find[*ikemsg.KE](m.Payloads)
	nonce, okNonce := ikemsg.Find[*ikemsg.Nonce](m.Payloads)
	if !okSA || !okKE || !okNonce {
		n, _ := ikemsg.Find[*ikemsg.Notify](m.Payloads)
		return fmt.Errorf("hostile: IKE_SA_INIT was answered by %v", n)
	}
	shared, err := p.ke.Shared(ke.Data)
	if err != nil {
		return err
	}
	if n, ok := ikemsg.FindNotify(m.Payloads, ikemsg.NotifySignatureHashAlgorithms); ok {
		p.hashes = nil
		for b := n.Data; len(b) > 1; b = b[2:] {
			p.hashes = append(p.hashes, binary.BigEndian.Uint16(b))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	sa := p.sa
	sa.suite, sa.spiR, sa.nextOut = ikeSuite(chosen), m.Header.SPIr, 1
	p.nonceR, p.initResponse = bytes.Clone(nonce.Data), data
	return sa.derive(sa.firstSeed(shared, p.nonceI, p.nonceR), p.nonceI, p.nonceR)
}

func ikeSuite(chosen *ikemsg.SA) (s suite.IKE) {
	for _, t := range chosen.Proposals[0].Transforms {
		switch t.Type {
		case suite.Encr:
			s.Encr = t.Transform
		case suite.PRF:
			s.PRF = t.Transform
		case suite.Integ:
			s.Integ = t.Transform
		case suite.KE:
			s.KE = t.Transform
		}
	}
	return s
}

func espSuite(chosen *ikemsg.SA) (s suite.ESP) {
	for _, t := range chosen.Proposals[0].Transforms {
		switch t.Type {
		case suite.Encr:
			s.Encr = t.Transform
		case suite.Integ:
			s.Integ = t.Transform
		case suite.ESN:
			s.ESN = t.ID == 1
		}
	}
	return s
}

// exchange sends a request and waits for the response, with a few copies.
func (p *peer) exchange(data []byte, id uint32) ([]byte, error) {
	for range 8 {
		p.send(data)
		if answer, err := p.answerTo(id, 400*time.Millisecond); err == nil {
			return answer, nil
		}
	}
	return nil, errSilence
}

// request does one protected exchange.
func (p *peer) request(x ikemsg.ExchangeType, ps ...ikemsg.Payload) ([]ikemsg.Payload, error) {
	plain, err := ikemsg.AppendPayloads(nil, ps)
	p.w.must(err)
	return p.requestBody(x, ikemsg.FirstType(ps), plain)
}

// requestBody does one exchange with any octets inside SK. An answer frees the
// window; without one the message ID stays.
func (p *peer) requestBody(x ikemsg.ExchangeType, first ikemsg.PayloadType, plain []byte) ([]ikemsg.Payload, error) {
	sa := p.sa
	request := p.seal(x, first, plain)
	for range 8 {
		p.send(request)
		for {
			data, err := p.answerTo(sa.nextOut, 400*time.Millisecond)
			if err != nil {
				break
			}
			p.mu.Lock()
			answer, err := sa.open(data)
			p.mu.Unlock()
			if err == nil { // what is not protected says nothing
				sa.nextOut++
				return answer, nil
			}
		}
	}
	return nil, fmt.Errorf("%v: %w", x, errSilence)
}

// seal makes the request that is next.
func (p *peer) seal(x ikemsg.ExchangeType, first ikemsg.PayloadType, plain []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sa.seal(p.sa.header(x, p.sa.nextOut, false), first, plain)
}

// notified is the first error notify of an answer, 0 without one.
func notified(ps []ikemsg.Payload) ikemsg.NotifyType {
	for n := range ikemsg.All[*ikemsg.Notify](ps) {
		if n.Type.Error() {
			return n.Type
		}
	}
	return 0
}

// identity is IDi as the device's certificate has it.
func (p *peer) identity() *ikemsg.ID {
	return &ikemsg.ID{Kind: ikemsg.IDRFC822Addr, Data: []byte(p.who.identity)}
}

// sign makes an AUTH payload over octets with any key.
func (p *peer) sign(key crypto.Signer, octets []byte) *ikemsg.Auth {
	sig, err := suite.ChooseSignature(key.Public(), p.hashes, suite.Allow{}, true)
	p.w.must(err)
	data, err := sig.Sign(key, octets)
	p.w.must(err)
	return &ikemsg.Auth{Method: ikemsg.AuthMethod(sig.Method), Data: data}
}

// authPayloads are those of an honest IKE_AUTH request.
func (p *peer) authPayloads() []ikemsg.Payload {
	id := p.identity()
	p.authID = id
	ps := []ikemsg.Payload{id}
	for _, der := range p.who.chain {
		ps = append(ps, &ikemsg.Cert{Encoding: ikemsg.CertX509Signature, Data: der})
	}
	return append(ps,
		p.sign(p.who.key, p.sa.octets(p.initRequest, p.nonceR, p.sa.pi, id)),
		&ikemsg.CP{Kind: ikemsg.CPRequest, Attributes: []ikemsg.CPAttribute{{Type: ikemsg.InternalIP4Address}}},
		saPayload(proposal(suite.ProtocolESP, espProposal), p.newChildSPI(), true),
		&ikemsg.TS{Selectors: everywhere}, &ikemsg.TS{Responder: true, Selectors: everywhere},
	)
}

var everywhere = []ikemsg.TrafficSelector{ikemsg.PrefixSelector(netip.MustParsePrefix("0.0.0.0/0"))}

func (p *peer) newChildSPI() []byte {
	spi := octets(4)
	spi[0] |= 1 // never below 256
	return spi
}

// connect authenticates honestly.
func (p *peer) connect() error {
	if err := p.saInit(ikeProposal); err != nil {
		return err
	}
	return p.auth(p.authPayloads())
}

// auth does IKE_AUTH with these payloads and takes the Child SA.
func (p *peer) auth(ps []ikemsg.Payload) error {
	answer, err := p.request(ikemsg.ExchangeIKEAuth, ps...)
	if err != nil {
		return err
	}
	if n := notified(answer); n != 0 {
		return fmt.Errorf("hostile: IKE_AUTH was answered %w", refusedWith(n))
	}
	if cp, ok := ikemsg.Find[*ikemsg.CP](answer); ok {
		for _, a := range cp.Attributes {
			if a.Type == ikemsg.InternalIP4Address && len(a.Value) == 4 {
				p.leased = netip.AddrFrom4([4]byte(a.Value))
			}
		}
	}
	offered, _ := ikemsg.Find[*ikemsg.SA](ps)
	chosen, ok := ikemsg.Find[*ikemsg.SA](answer)
	if !ok || offered == nil {
		return nil // an IKE SA alone
	}
	p.child, err = p.sa.newChild(espSuite(chosen), nil, p.nonceI, p.nonceR,
		binary.BigEndian.Uint32(offered.Proposals[0].SPI), binary.BigEndian.Uint32(chosen.Proposals[0].SPI))
	return err
}

// refusedWith is the notify that an exchange was refused with.
type refusedWith ikemsg.NotifyType

func (r refusedWith) Error() string { return ikemsg.NotifyType(r).String() }

// refusal is the notify in an error of auth, 0 for another error.
func refusal(err error) ikemsg.NotifyType {
	var r refusedWith
	if errors.As(err, &r) {
		return ikemsg.NotifyType(r)
	}
	return 0
}

// mustConnect is connect that has to work.
func (p *peer) mustConnect() *peer {
	p.w.Helper()
	if err := p.connect(); err != nil {
		p.w.Fatalf("an honest set-up failed: %v\n%s", err, lastOf(p.w.server.Output(), 4000))
	}
	return p
}

// alive tells whether the gateway still answers in this IKE SA.
func (p *peer) alive() bool {
	ps, err := p.request(ikemsg.ExchangeInformational)
	return err == nil && notified(ps) == 0
}

// gone deletes the IKE SA.
func (p *peer) gone() {
	p.request(ikemsg.ExchangeInformational, &ikemsg.Delete{Protocol: ikemsg.ProtoIKE})
}

// ping sends an echo request from an inner source and tells whether the answer
// came back through the tunnel.
func (p *peer) ping(source netip.Addr, patience time.Duration) bool {
	id := binary.BigEndian.Uint16(octets(2))
	p.sendESP(p.child.seal(4, echoPacket(source, inside4, id)))
	return p.echoed(id, patience)
}

func (p *peer) echoed(id uint16, patience time.Duration) bool {
	timeout := time.After(patience)
	for {
		select {
		case packet := <-p.packets:
			inner, _, _, err := p.child.in.Open(packet)
			if err == nil && len(inner) >= 28 && inner[9] == 1 && inner[20] == 0 && binary.BigEndian.Uint16(inner[24:]) == id {
				return true
			}
		case <-timeout:
			return false
		}
	}
}

// echoPacket is an ICMP echo request in IPv4.
func echoPacket(source, destination netip.Addr, id uint16) []byte {
	b := make([]byte, 20+8+16)
	b[0], b[8], b[9] = 0x45, 64, 1
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], source.AsSlice())
	copy(b[16:], destination.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b[:20]))
	b[20] = 8
	binary.BigEndian.PutUint16(b[24:], id)
	binary.BigEndian.PutUint16(b[22:], checksum(b[20:]))
	return b
}

func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
