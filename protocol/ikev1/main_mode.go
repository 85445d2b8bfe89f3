package ikev1

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// handshake is what only main mode needs. It is dropped once the peer is
// authenticated.
type handshake struct {
	t        transcript
	stage    stage
	choice   choice
	seconds  time.Duration // lifetime agreed upon
	ke       suite.KeyExchange
	peerKE   []byte
	shared   secret.Bytes
	key      *Key      // with a pre-shared key
	iv       []byte    // of the next message
	certReqs [][]byte  // DER names the peer asked for
	identity *Identity // ours, once known
	peer     isakmp.ID // once known
	contact  bool      // INITIAL-CONTACT came
	reported bool      // a wrong pre-shared key is reported once
	trouble  error     // why it will not end well, for the record of a timeout

	// Initiator only.
	offer   *isakmp.SA
	methods []suite.AuthMethod1
	refusal *Record // an unauthenticated refusal, believed only when nothing better comes
	believe time.Time
	until   time.Time
}

// answered: what was refused before an answer came was not refused by the peer.
func (h *handshake) answered() { h.refusal, h.believe = nil, time.Time{} }

// stage is the message of main mode that is awaited.
type stage uint8

const (
	awaitSA   stage = iota // initiator: message 2
	awaitKE                // message 3, or 4
	awaitAuth              // message 5, or 6
)

// String is the last message that came from the responder.
func (s stage) String() string {
	return [...]string{"nothing", "message 2", "message 4"}[s]
}

// clear wipes what is ours; the pre-shared key belongs to who gave it.
func (h *handshake) clear() {
	h.t.skeyid.Clear()
	h.shared.Clear()
	h.key = nil
}

// Limits of main mode.
const (
	nonceSize   = 32      // over half of any PRF's key
	maxChain    = 8       // certificates that a peer may send
	maxCertReqs = 64      // authorities that we look at, of the many that Windows names
	maxNames    = 8 << 10 // octets of them: message 3 is not authenticated
	maxNamed    = 16      // authorities that we name
)

// receiveMain takes a message of main mode. Answers of ours to copies come
// first: they cost nothing but the comparison.
func (s *Session) receiveMain(now time.Time, sa *isakmpSA, h isakmp.Header, d Datagram, out *Out) {
	if s.repeat(sa, d, out) {
		return
	}
	d.Data = slices.Clone(d.Data) // what is read from it outlives the call
	m, err := isakmp.Parse(d.Data)
	encrypted := h.Flags&isakmp.FlagEncryption != 0
	switch {
	case err != nil || sa.hs == nil || h.MessageID != 0:
		s.counts.Malformed++
	case !sa.initiator && h.CookieR != sa.cookieR:
		s.counts.Malformed++ // only a copy of the first message may lack our cookie, which proves where the peer is
	case sa.hs.stage == awaitAuth != encrypted:
		s.counts.Malformed++ // out of turn
	case sa.hs.stage != awaitAuth && s.phase == phaseMain && (path{d.Local, d.Remote}) != s.path:
		s.counts.Malformed++ // nothing is proven yet: only the pair that it began on counts
	case s.phase == phaseUp && !s.onPath(d):
		s.counts.Malformed++
	case sa.initiator:
		s.mainAnswer(now, sa, m, out)
	default:
		s.mainRequest(now, sa, m, d, out)
	}
}

// repeat answers a copy of the last message from memory. Who sends copies for
// ever gets no more, and a copy from elsewhere gets nothing.
func (s *Session) repeat(sa *isakmpSA, d Datagram, out *Out) bool {
	if sa.answer == nil || hashMessage(d.Data) != sa.asked {
		return false
	}
	if p := (path{d.Local, d.Remote}); p == s.path && sa.answers < maxAnswers {
		sa.answers++
		sendTo(p, sa.answer, out)
	}
	return true
}

// remember keeps an answer for copies of the message that it answers.
func (s *Session) remember(now time.Time, sa *isakmpSA, asked []byte, answer [][]byte) {
	sa.asked, sa.answer, sa.answers, sa.forget = hashMessage(asked), answer, 0, now.Add(s.cfg.Policy.halfOpen())
}

// ---- What both sides do

// plain builds a message that is not encrypted.
func (sa *isakmpSA) plain(ps []isakmp.Payload) ([]byte, error) {
	m := isakmp.Message{Header: sa.header(isakmp.ExchangeMain, 0), Payloads: ps}
	return m.Append(nil)
}

// abilities are the vendor IDs we show.
func (s *Session) abilities(version ...[]byte) []isakmp.Payload {
	var ps []isakmp.Payload
	for _, v := range version {
		ps = append(ps, &isakmp.VendorID{Data: v})
	}
	ps = append(ps, &isakmp.VendorID{Data: vidDPD})
	if !s.cfg.Policy.NoFragmentation {
		ps = append(ps, &isakmp.VendorID{Data: vidFragment})
	}
	return ps
}

// readAbilities takes the peer's.
func (s *Session) readAbilities(sa *isakmpSA, seen signs) {
	sa.dpd = seen&signDPD != 0
	sa.fragment = seen&signFragment != 0 && !s.cfg.Policy.NoFragmentation
	sa.natt, _ = agreeNATT(seen)
}

// take puts a choice of phase 1 in force.
func (sa *isakmpSA) take(c choice, ours time.Duration) {
	hs := sa.hs
	hs.choice, sa.suite, hs.seconds = c, c.ike(), lesser(ours, c.seconds)
	hs.t.negotiated, hs.t.signed = sa.suite.PRF, c.method.PRF()
}

// keyPayloads are messages 3 and 4 (RFC 2409, Section 5; RFC 3947, Section 3.2).
func (s *Session) keyPayloads(sa *isakmpSA) []isakmp.Payload {
	hs := sa.hs
	nonce := hs.t.nonceR
	if sa.initiator {
		nonce = hs.t.nonceI
	}
	ps := []isakmp.Payload{&isakmp.KE{Data: hs.ke.Public()}, &isakmp.Nonce{Data: nonce}}
	if hs.choice.method.Signature() {
		ps = append(ps, s.certReqs()...)
	}
	return append(ps, s.natPayloads(sa)...)
}

// certReqs name our authorities, or ask for any: Windows and charon send no
// certificate unasked.
func (s *Session) certReqs() []isakmp.Payload {
	if len(s.cfg.Authorities) == 0 {
		return []isakmp.Payload{&isakmp.CertReq{Encoding: isakmp.CertX509Signature}}
	}
	var ps []isakmp.Payload
	for _, name := range s.cfg.Authorities[:min(len(s.cfg.Authorities), maxNamed)] {
		ps = append(ps, &isakmp.CertReq{Encoding: isakmp.CertX509Signature, Authority: name})
	}
	return ps
}

func (hs *handshake) readCertReqs(ps []isakmp.Payload) {
	size := 0
	for _, name := range hs.certReqs { // of earlier messages
		size += len(name)
	}
	for r := range isakmp.All[*isakmp.CertReq](ps) {
		size += len(r.Authority)
		if r.Encoding == isakmp.CertX509Signature && len(hs.certReqs) < maxCertReqs && size <= maxNames {
			hs.certReqs = append(hs.certReqs, slices.Clone(r.Authority))
		}
	}
}

// readKeys takes KE and nonce of the other side.
func (sa *isakmpSA) readKeys(m *isakmp.Message) error {
	hs := sa.hs
	ke, okKE := isakmp.Find[*isakmp.KE](m.Payloads)
	nonce, okNonce := isakmp.Find[*isakmp.Nonce](m.Payloads)
	switch {
	case !okKE || !okNonce:
		return errors.New("ikev1: main mode: a key exchange without KE or nonce")
	case len(ke.Data) != suite.PublicSize(sa.suite.KE):
		return fmt.Errorf("ikev1: main mode: KE payload has %d octets, %v has %d", len(ke.Data), sa.suite.KE, suite.PublicSize(sa.suite.KE))
	}
	hs.peerKE = slices.Clone(ke.Data)
	if sa.initiator {
		hs.t.publicR, hs.t.nonceR = hs.peerKE, slices.Clone(nonce.Data)
	} else {
		hs.t.publicI, hs.t.nonceI = hs.peerKE, slices.Clone(nonce.Data)
	}
	return nil
}

func (s *Session) newNonce() []byte {
	n := make([]byte, nonceSize)
	s.cfg.random(n)
	return n
}

// awaitMain is await for a main mode. One that was dropped meanwhile stays so.
func (s *Session) awaitMain(now time.Time, sa *isakmpSA, t Task, out *Out, then func(now time.Time, r Result, out *Out)) {
	s.await(now, t, out, func(now time.Time, r Result, out *Out) {
		if slices.Contains(s.isakmpSAs(), sa) {
			then(now, r, out)
		}
	})
}

// withKeys runs the jobs that lead to the keys of sa, and then goes on. A peer
// whose public value is bad loses only that (CVE-2015-3240).
func (s *Session) withKeys(now time.Time, sa *isakmpSA, out *Out, then func(now time.Time, out *Out), failed func(now time.Time, err error, out *Out)) {
	hs := sa.hs
	s.awaitMain(now, sa, SharedSecret{hs.ke, hs.peerKE}, out, func(now time.Time, r Result, out *Out) {
		shared, err := value[secret.Bytes](r)
		if err != nil {
			failed(now, err, out)
			return
		}
		hs.shared = shared
		if hs.choice.method != suite.AuthPSK1 {
			s.derive(now, sa, out, then)
			return
		}
		s.awaitMain(now, sa, SharedKey{Local: s.path.local, Remote: s.path.remote}, out, func(now time.Time, r Result, out *Out) {
			key, err := value[Key](r)
			if err != nil {
				failed(now, err, out)
				return
			}
			hs.key, hs.identity = &key, key.Identity
			s.derive(now, sa, out, then)
		})
	})
}

// derive makes SKEYID and everything from it.
func (s *Session) derive(now time.Time, sa *isakmpSA, out *Out, then func(now time.Time, out *Out)) {
	hs := sa.hs
	prf, err := sa.prf()
	if err != nil {
		s.failMain(now, sa, ClosedInternal, err, out)
		return
	}
	hs.t.cookieI, hs.t.cookieR = sa.cookieI, sa.cookieR
	if hs.key != nil {
		hs.t.skeyid = skeyidPSK(prf, hs.key.Secret, hs.t.nonceI, hs.t.nonceR)
	} else {
		hs.t.skeyid = skeyidSignature(prf, hs.shared, hs.t.nonceI, hs.t.nonceR)
	}
	sa.keys = deriveKeys(prf, sa.suite.Encr, hs.t.skeyid, hs.shared, sa.cookieI, sa.cookieR)
	hs.iv = firstIV(prf, hs.t.publicI, hs.t.publicR)
	hs.shared.Clear()
	hs.ke = nil
	then(now, out)
}

// proof is what messages 5 and 6 carry.
type proof struct {
	id        *isakmp.ID
	chain     [][]byte
	value     []byte // of HASH or SIG
	isHash    bool
	contact   bool // INITIAL-CONTACT, which the hash does not cover, but the encryption does
	lastBlock []byte
}

// openProof decrypts message 5 or 6. Nil: it was not that.
func (s *Session) openProof(sa *isakmpSA, m *isakmp.Message) *proof {
	o, err := sa.open(m, sa.hs.iv)
	if err != nil {
		return nil
	}
	p := &proof{lastBlock: o.next}
	var ok bool
	if p.id, ok = isakmp.Find[*isakmp.ID](o.payloads); !ok {
		return nil
	}
	if h, ok := isakmp.Find[*isakmp.Hash](o.payloads); ok {
		p.value, p.isHash = h.Data, true
	} else if sig, ok := isakmp.Find[*isakmp.Signature](o.payloads); ok {
		p.value = sig.Data
	} else {
		return nil
	}
	if p.isHash == sa.hs.choice.method.Signature() {
		return nil
	}
	for c := range isakmp.All[*isakmp.Cert](o.payloads) {
		if c.Encoding == isakmp.CertX509Signature && len(p.chain) < maxChain {
			p.chain = append(p.chain, c.Data)
		}
	}
	for n := range isakmp.All[*isakmp.Notify](o.payloads) {
		p.contact = p.contact || n.Type == isakmp.NotifyInitialContact
	}
	sa.hs.readCertReqs(o.payloads)
	return p
}

// verify leads a proof of the peer to an Admission. bad is called when it is
// wrong for certain, wrong when it may be somebody else's message.
func (s *Session) verify(now time.Time, sa *isakmpSA, p *proof, at path, out *Out,
	good func(now time.Time, a *Admission, out *Out), bad func(now time.Time, err error, out *Out), wrong func(now time.Time, out *Out)) {
	hs := sa.hs
	want, err := hs.t.hash(sa.initiator, p.id.Octets())
	if err != nil {
		bad(now, err, out)
		return
	}
	role := Responder
	if sa.initiator {
		role = Initiator
	}
	t := &Authenticate{Role: role, PeerID: *p.id, Chain: p.chain, CertReqs: hs.certReqs, Method: hs.choice.method,
		Hash: want, PeerKind: s.kind, Suite: sa.suite, Remote: at.remote, Local: at.local}
	if hs.choice.method.Signature() {
		t.Signature = p.value
	} else if !hmac.Equal(p.value, want) {
		wrong(now, out)
		return
	} else {
		t.Value = hs.key.Value
	}
	hs.peer = *p.id
	s.awaitMain(now, sa, t, out, func(now time.Time, r Result, out *Out) {
		a, err := value[*Admission](r)
		if err == nil && a == nil {
			err = errors.New("ikev1: nobody was admitted")
		}
		if err != nil {
			bad(now, err, out)
			return
		}
		if a.Local != nil {
			hs.identity = a.Local
		}
		good(now, a, out)
	})
}

// ourID is the body of our ID payload, which is our address unless an identity
// says otherwise. Protocol and port stay 0 (RFC 3947, Section 4).
func (s *Session) ourID(sa *isakmpSA) *isakmp.ID {
	if i := sa.hs.identity; i != nil && i.ID.Type != 0 {
		return &isakmp.ID{Type: i.ID.Type, Data: i.ID.Data}
	}
	id := isakmp.AddrID(s.path.local.Addr())
	return &id
}

// prove makes the payloads of message 5 or 6, by a job when it takes a
// signature.
func (s *Session) prove(now time.Time, sa *isakmpSA, out *Out, then func(now time.Time, ps []isakmp.Payload, out *Out)) {
	hs := sa.hs
	id := s.ourID(sa)
	hash, err := hs.t.hash(!sa.initiator, id.Octets())
	if err != nil {
		s.failMain(now, sa, ClosedInternal, err, out)
		return
	}
	if !hs.choice.method.Signature() {
		then(now, []isakmp.Payload{id, &isakmp.Hash{Data: hash}}, out)
		return
	}
	if hs.identity == nil || len(hs.identity.Chain) == 0 {
		s.failMain(now, sa, ClosedInternal, errors.New("ikev1: there is no certificate of ours to answer with"), out)
		return
	}
	s.awaitMain(now, sa, &Sign{Identity: hs.identity, Hash: hash, Method: hs.choice.method}, out, func(now time.Time, r Result, out *Out) {
		sig, err := value[[]byte](r)
		if err != nil {
			s.failMain(now, sa, ClosedInternal, fmt.Errorf("ikev1: no signature of ours: %w", err), out)
			return
		}
		ps := []isakmp.Payload{id}
		for _, c := range hs.identity.Chain {
			ps = append(ps, &isakmp.Cert{Encoding: isakmp.CertX509Signature, Data: c})
		}
		then(now, append(ps, &isakmp.Signature{Data: sig}), out)
	})
}

// authenticated ends main mode: the SA is up.
func (s *Session) authenticated(now time.Time, sa *isakmpSA, a *Admission, lastBlock []byte, out *Out) {
	hs := sa.hs
	sa.iv = bytes.Clone(lastBlock) // not the whole message with it
	sa.hs, sa.pending = nil, nil
	sa.rekeyAt, sa.expireAt = s.span(now, hs.seconds, sa.initiator)
	hs.clear()
	s.heard(now)
	if s.phase == phaseUp {
		s.replaced(now, sa)
		return
	}
	s.phase, s.established, s.limit = phaseUp, now, time.Time{}
	s.admission, s.peerID, s.method = a, isakmp.ID{Type: hs.peer.Type, Data: slices.Clone(hs.peer.Data)}, hs.choice.method
	s.contact = hs.contact
	s.armKeepalive(now)
	out.Events = append(out.Events, Established{Admission: a, PeerID: s.peerID, PeerKind: s.kind, Suite: sa.suite, Method: s.method,
		InitialContact: hs.contact, Local: s.path.local, Remote: s.path.remote})
}

// failMain ends a main mode. The first one takes the session with it; one that
// was to replace an ISAKMP SA is only dropped, and tried again later.
func (s *Session) failMain(now time.Time, sa *isakmpSA, why CloseReason, err error, out *Out) {
	if s.phase == phaseMain {
		s.end(now, why, err, out)
		return
	}
	s.retryMain = now.Add(retryAfter)
	s.dropISAKMP(now, sa, out)
}
