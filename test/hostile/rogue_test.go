package hostile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// rogue is a gateway that does something else at one step. Without hooks it is
// an honest one for a single client.
type rogue struct {
	w      *world
	socks  map[int]net.PacketConn
	ca     *authority
	chain  [][]byte
	key    crypto.Signer
	client string // path of the profile on the client's host

	mu         sync.Mutex
	sa         *association
	child      *childSA
	inits      int // IKE_SA_INIT requests seen
	auths      int
	plan       plan
	nonceI     []byte
	request    []byte
	response   []byte
	hashes     []uint16
	peer       net.Addr
	answers    chan []ikemsg.Payload // to our own requests
	clientID   *ikemsg.ID
	clientAuth *ikemsg.Auth
	clientCert []*ikemsg.Cert
}

// plan is what a rogue does in place of the honest thing; nil hooks are honest.
type plan struct {
	// forge answers the n-th IKE_SA_INIT request with these datagrams; nil: go
	// on honestly.
	forge func(r *rogue, n int, request *ikemsg.Message) [][]byte
	// init changes the payloads of the honest IKE_SA_INIT answer.
	init func(r *rogue, ps []ikemsg.Payload) []ikemsg.Payload
	// auth changes the payloads of the honest IKE_AUTH answer.
	auth func(r *rogue, ps []ikemsg.Payload) []ikemsg.Payload
	// body replaces the inside of the IKE_AUTH answer.
	body func(r *rogue) (ikemsg.PayloadType, []byte)
	// mute answers nothing after IKE_AUTH.
	mute bool
}

// newRogue draws the lab and gives the client a profile of the rogue's own CA.
func newRogue(t *testing.T) *rogue {
	t.Helper()
	w := &world{T: t, lab: labtest.Open(t, internet), program: program(t), talk: &lines{}}
	r := &rogue{w: w, socks: map[int]net.PacketConn{}, answers: make(chan []ikemsg.Payload, 16), client: "/run/etc/profile.yaml"}
	r.ca = w.newAuthority("Rogue CA", nil, nil)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	r.key = key
	r.chain = [][]byte{r.ca.issue(gatewayName, key.Public(), server)}
	for _, port := range []int{500, 4500} {
		sock, err := w.gateway().ListenPacket("udp", netip.AddrPortFrom(gateway4, uint16(port)).String())
		w.must(err)
		r.socks[port] = sock
		t.Cleanup(func() { sock.Close() })
		go r.listen(port, sock)
	}
	r.writeProfile()
	return r
}

// server makes a device certificate that of a gateway.
func server(c *x509.Certificate) {
	c.EmailAddresses, c.DNSNames = nil, []string{c.Subject.CommonName}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

func (r *rogue) writeProfile() {
	r.w.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.w.must(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	r.w.must(err)
	h := r.w.lab.At("friend")
	pemFile := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	r.w.must(h.WriteFile("/run/etc/own.key", pemFile("PRIVATE KEY", der), 0o600))
	r.w.must(h.WriteFile("/run/etc/own.crt", pemFile("CERTIFICATE", r.ca.issue("laptop@alice", key.Public(), nil)), 0o644))
	r.w.must(h.WriteFile("/run/etc/ca.crt", pemFile("CERTIFICATE", r.ca.cert.Raw), 0o644))
	r.w.must(h.WriteFile(r.client, fmt.Appendf(nil, `device: laptop
remote: "%s"
identity: laptop@alice
remote_id: %s
ca: ca.crt
certificate: own.crt
key: own.key
ike: [%s]
esp: [%s]
routes: [10.9.0.0/24]
ipv4: true
mobike: true
force_encapsulation: true
`, gateway4, gatewayName, ikeProposal, espProposal), 0o600))
}

// meets starts the real client against a plan.
func (r *rogue) meets(p plan) *tunnel {
	r.w.Helper()
	r.mu.Lock()
	r.plan, r.sa, r.child, r.inits, r.auths = p, nil, nil, 0, 0
	r.mu.Unlock()
	for len(r.answers) > 0 {
		<-r.answers
	}
	t := &tunnel{reports: &lines{}}
	var err error
	t.process, err = r.w.lab.At("friend").Start(lab.Command{
		Program: r.w.program, Args: []string{"connect", r.client, "--json", "--once", "--verbose"}, Output: t.reports,
	})
	r.w.must(err)
	return t
}

// ends waits until the client has given up by itself.
func (t *tunnel) ends(patience time.Duration) bool {
	select {
	case <-t.process.Done():
		return true
	case <-time.After(patience):
		return false
	}
}

func (r *rogue) listen(port int, sock net.PacketConn) {
	buf := make([]byte, 65536)
	for {
		n, from, err := sock.ReadFrom(buf)
		if err != nil {
			return
		}
		data := bytes.Clone(buf[:n])
		if port == 4500 {
			if len(data) < 5 || !bytes.Equal(data[:4], make([]byte, 4)) {
				continue // ESP and keepalives
			}
			data = data[4:]
		}
		if h, err := ikemsg.ParseHeader(data); err == nil {
			r.receive(port, from, h, data)
		}
	}
}

func (r *rogue) send(port int, to net.Addr, data []byte) {
	if port == 4500 {
		data = append(make([]byte, 4), data...)
	}
	r.socks[port].WriteTo(data, to)
}

func (r *rogue) receive(port int, from net.Addr, h ikemsg.Header, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peer = from
	switch {
	case h.Exchange == ikemsg.ExchangeIKESAInit && h.Flags&ikemsg.FlagResponse == 0:
		r.serveInit(port, from, data)
	case r.sa == nil || h.SPIr != r.sa.spiR:
	case h.Flags&ikemsg.FlagResponse != 0:
		if ps, err := r.sa.open(data); err == nil {
			select {
			case r.answers <- ps:
			default:
			}
		}
	default:
		ps, err := r.sa.open(data)
		if err != nil {
			return
		}
		if h.Exchange == ikemsg.ExchangeIKEAuth {
			r.serveAuth(port, from, ps)
		} else if !r.plan.mute {
			r.send(port, from, r.sa.seal(r.sa.header(h.Exchange, h.MessageID, true), 0, nil))
		}
	}
}

func (r *rogue) serveInit(port int, from net.Addr, data []byte) {
	m, err := ikemsg.Parse(data)
	if err != nil {
		r.w.Errorf("the client's IKE_SA_INIT cannot be read: %v", err)
		return
	}
	r.inits++
	if r.plan.forge != nil {
		if forged := r.plan.forge(r, r.inits, m); forged != nil {
			for _, one := range forged {
				r.send(port, from, one)
			}
			return
		}
	}
	if r.sa != nil && r.sa.spiI == m.Header.SPIi {
		r.send(port, from, r.response)
		return
	}
	ps, sa, shared, nonceR, ok := r.honestInit(m)
	if !ok {
		return
	}
	if r.plan.init != nil {
		ps = r.plan.init(r, ps)
	}
	answer := ikemsg.Message{Header: sa.header(ikemsg.ExchangeIKESAInit, 0, true), Payloads: ps}
	if r.response, err = answer.Append(nil); err != nil {
		r.w.Errorf("rogue: %v", err)
		return
	}
	r.request, r.sa = data, sa
	nonce, _ := ikemsg.Find[*ikemsg.Nonce](m.Payloads)
	r.nonceI = nonce.Data
	sa.derive(sa.firstSeed(shared, nonce.Data, nonceR), nonce.Data, nonceR)
	r.send(port, from, r.response)
}

func (r *rogue) honestInit(m *ikemsg.Message) (ps []ikemsg.Payload, sa *association, shared, nonceR []byte, ok bool) {
	offer := proposal(suite.ProtocolIKE, ikeProposal)
	own, err := suite.GenerateKE(offer.Of(suite.KE)[0])
	theirs, okKE := ikemsg.Find[*ikemsg.KE](m.Payloads)
	if err != nil || !okKE {
		return nil, nil, nil, nil, false
	}
	public := own.Public()
	shared, err = own.Shared(theirs.Data)
	if err != nil {
		r.w.Errorf("the client's public value: %v", err)
		return nil, nil, nil, nil, false
	}
	nonceR = octets(32)
	chosen := saPayload(offer, nil, false)
	sa = &association{spiI: m.Header.SPIi, spiR: randomSPI(), suite: ikeSuite(chosen)}
	hashes := []byte{}
	for _, h := range suite.OfferedHashes() {
		hashes = binary.BigEndian.AppendUint16(hashes, h)
	}
	if n, ok := ikemsg.FindNotify(m.Payloads, ikemsg.NotifySignatureHashAlgorithms); ok {
		r.hashes = nil
		for b := n.Data; len(b) > 1; b = b[2:] {
			r.hashes = append(r.hashes, binary.BigEndian.Uint16(b))
		}
	}
	return []ikemsg.Payload{
		chosen, &ikemsg.KE{Group: 19, Data: public}, &ikemsg.Nonce{Data: nonceR},
		&ikemsg.Notify{Type: ikemsg.NotifyNATDetectionSourceIP, Data: octets(20)},
		&ikemsg.Notify{Type: ikemsg.NotifyNATDetectionDestinationIP, Data: octets(20)},
		&ikemsg.Notify{Type: ikemsg.NotifySignatureHashAlgorithms, Data: hashes},
	}, sa, shared, nonceR, true
}

// serveAuth is called with the lock held.
func (r *rogue) serveAuth(port int, from net.Addr, asked []ikemsg.Payload) {
	r.auths++
	if r.auths > 1 {
		return // the client's copy; ours is on its way
	}
	r.clientID, _ = ikemsg.FindID(asked, false)
	r.clientAuth, _ = ikemsg.Find[*ikemsg.Auth](asked)
	r.clientCert = slices.Collect(ikemsg.All[*ikemsg.Cert](asked))
	offered, ok := ikemsg.Find[*ikemsg.SA](asked)
	if !ok {
		r.w.Error("the client asks for no Child SA")
		return
	}
	ps := r.honestAuth(offered)
	if r.plan.auth != nil {
		ps = r.plan.auth(r, ps)
	}
	plain, err := ikemsg.AppendPayloads(nil, ps)
	if err != nil {
		r.w.Errorf("rogue: %v", err)
		return
	}
	first := ikemsg.FirstType(ps)
	if r.plan.body != nil {
		first, plain = r.plan.body(r)
	}
	r.send(port, from, r.sa.seal(r.sa.header(ikemsg.ExchangeIKEAuth, 1, true), first, plain))
}

func (r *rogue) honestAuth(offered *ikemsg.SA) []ikemsg.Payload {
	id := &ikemsg.ID{Responder: true, Kind: ikemsg.IDFQDN, Data: []byte(gatewayName)}
	ps := []ikemsg.Payload{id}
	for _, der := range r.chain {
		ps = append(ps, &ikemsg.Cert{Encoding: ikemsg.CertX509Signature, Data: der})
	}
	spi := binary.BigEndian.AppendUint32(nil, 0x10000000|binary.BigEndian.Uint32(octets(4))>>4)
	chosen := saPayload(proposal(suite.ProtocolESP, espProposal), spi, true)
	chosen.Proposals[0].Number = offered.Proposals[0].Number
	nonce, _ := ikemsg.Parse(r.response)
	nonceR, _ := ikemsg.Find[*ikemsg.Nonce](nonce.Payloads)
	// In and out are swapped: we are the responder.
	child, err := r.sa.newChild(espSuite(chosen), nil, r.nonceI, nonceR.Data, binary.BigEndian.Uint32(spi), binary.BigEndian.Uint32(offered.Proposals[0].SPI))
	if err == nil {
		r.child = child
	}
	return append(ps, r.sign(r.key, id),
		&ikemsg.CP{Kind: ikemsg.CPReply, Attributes: []ikemsg.CPAttribute{{Type: ikemsg.InternalIP4Address, Value: []byte{10, 60, 0, 9}}}},
		chosen,
		&ikemsg.TS{Selectors: []ikemsg.TrafficSelector{ikemsg.PrefixSelector(netip.MustParsePrefix("10.60.0.9/32"))}},
		&ikemsg.TS{Responder: true, Selectors: []ikemsg.TrafficSelector{ikemsg.PrefixSelector(netip.MustParsePrefix("10.9.0.0/24"))}})
}

func (r *rogue) sign(key crypto.Signer, id *ikemsg.ID) *ikemsg.Auth {
	sig, err := suite.ChooseSignature(key.Public(), r.hashes, suite.Allow{}, true)
	if err != nil {
		r.w.Errorf("rogue: %v", err)
		return &ikemsg.Auth{}
	}
	data, err := sig.Sign(key, r.sa.octets(r.response, r.nonceI, r.sa.pr, id))
	if err != nil {
		r.w.Errorf("rogue: %v", err)
	}
	return &ikemsg.Auth{Method: ikemsg.AuthMethod(sig.Method), Data: data}
}

// asks sends a request of the rogue's own to the connected client.
func (r *rogue) asks(x ikemsg.ExchangeType, first ikemsg.PayloadType, plain []byte) ([]ikemsg.Payload, error) {
	for range 6 {
		r.mu.Lock()
		r.send(4500, r.peer, r.sa.seal(r.sa.header(x, r.sa.nextOut, false), first, plain))
		r.mu.Unlock()
		select {
		case ps := <-r.answers:
			r.mu.Lock()
			r.sa.nextOut++
			r.mu.Unlock()
			return ps, nil
		case <-time.After(400 * time.Millisecond):
		}
	}
	return nil, errSilence
}
