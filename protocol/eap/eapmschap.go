package eap

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"sallyport/internal/secret"
	"sallyport/protocol/eap/mschapv2"
	"sallyport/protocol/wire"
)

// OpCodes of EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2-02, Section 2).
const (
	opChallenge = 1
	opResponse  = 2
	opSuccess   = 3
	opFailure   = 4
)

// mschapMessage is the Data of an EAP-MSCHAPv2 packet.
type mschapMessage struct {
	Op         uint8
	ID         uint8  // MS-CHAPv2-ID
	Challenge  []byte // of the sender; in a challenge and a response
	NTResponse []byte // in a response
	Text       []byte // the sender's name, or the text of a success or failure
}

const (
	mschapResponseSize = mschapv2.ChallengeSize + 8 + mschapv2.ResponseSize + 1
	mschapHeaderSize   = 4
)

// parseMSCHAP reads a message. Responses to success and failure are the bare
// OpCode.
func parseMSCHAP(code Code, data []byte) (mschapMessage, error) {
	r := wire.NewReader("EAP-MSCHAPv2 message", data)
	m := mschapMessage{Op: r.U8()}
	if code == CodeResponse && (m.Op == opSuccess || m.Op == opFailure) {
		r.Rest() // some peers send the whole header
		return m, r.Finish()
	}
	m.ID = r.U8()
	if n := int(r.U16()); r.Err() == nil && n != len(data) {
		r.Fail("length %d, but %d octets came", n, len(data))
	}
	switch {
	case m.Op == opChallenge && code == CodeRequest:
		m.Challenge = mschapValue(r, mschapv2.ChallengeSize)
		m.Text = mschapName(r)
	case m.Op == opResponse && code == CodeResponse:
		v := mschapValue(r, mschapResponseSize)
		if v != nil {
			m.Challenge, m.NTResponse = v[:mschapv2.ChallengeSize], v[mschapv2.ChallengeSize+8:mschapResponseSize-1]
		}
		m.Text = mschapName(r)
	case (m.Op == opSuccess || m.Op == opFailure) && code == CodeRequest:
		m.Text = r.Rest()
	default:
		r.Fail("OpCode %d in a %s", m.Op, code)
	}
	return m, r.Finish()
}

// mschapValue reads Value-Size and Value, of one size only.
func mschapValue(r *wire.Reader, size int) []byte {
	if n := int(r.U8()); r.Err() == nil && n != size {
		r.Fail("value of %d octets, not %d", n, size)
	}
	return r.Bytes(size)
}

func mschapName(r *wire.Reader) []byte {
	if r.Len() > MaxIdentity {
		r.Fail("name of %d octets is over %d", r.Len(), MaxIdentity)
	}
	return r.Rest()
}

func (m mschapMessage) append(b []byte) []byte {
	start := len(b)
	b = append(b, m.Op, m.ID, 0, 0)
	switch m.Op {
	case opChallenge:
		b = append(append(b, mschapv2.ChallengeSize), m.Challenge...)
	case opResponse:
		b = append(append(b, mschapResponseSize), m.Challenge...)
		b = append(append(b, make([]byte, 8)...), m.NTResponse...)
		b = append(b, 0)
	}
	b = append(b, m.Text...)
	// Everything in it is bounded far below 64 KiB.
	if err := wire.SetLen16(b, start+2, start); err != nil {
		panic("eap: " + err.Error())
	}
	return b
}

// wrongPassword is the text of a failure (RFC 2759, Section 6): authentication
// failure, no retry, no new challenge to try it with.
func wrongPassword(challenge []byte) string {
	return fmt.Sprintf("E=691 R=0 C=%X V=3 M=Authentication failed", challenge)
}

// errorTexts are the error codes of RFC 2759, Section 6.
var errorTexts = map[string]string{
	"646": "logon is not allowed at this hour", "647": "the account is disabled", "648": "the password has expired",
	"649": "the account has no permission to dial in", "691": "user name or password is wrong", "709": "the password could not be changed",
}

// failureText puts a failure's text into words; whatever it is, it is quoted.
func failureText(text []byte) (Reason, string) {
	code := ""
	for field := range strings.FieldsSeq(string(text)) {
		if v, ok := strings.CutPrefix(field, "E="); ok {
			code = v
			break
		}
	}
	switch meaning, known := errorTexts[code]; {
	case code == "691":
		return ReasonWrongPassword, "the server says that " + meaning
	case known:
		return ReasonAccountDisabled, "the server says that " + meaning
	}
	return ReasonRefused, fmt.Sprintf("the server refused the password with %q", text[:min(len(text), maxText)])
}

// judgeAccount turns the answer to LookupPassword into an account and whether
// it is real. For an unknown user it is made up, so that what follows takes
// the same time.
func judgeAccount(r Result, made []byte) (account Account, unknown *Failure, err error) {
	account, _ = r.Value.(Account)
	refusal, refused := errors.AsType[*Refusal](r.Err)
	switch {
	case refused:
		unknown = refusal.failure()
	case r.Err != nil:
		return Account{}, nil, r.Err
	case len(account.NTHash) == 0:
		unknown = &Failure{Reason: ReasonUnknownUser, Text: "no such user"}
	case account.Identity == "" || len(account.NTHash) != mschapv2.HashSize:
		return Account{}, nil, errors.New("an account without name or with a hash that is none")
	}
	if unknown != nil {
		return Account{NTHash: made}, unknown, nil
	}
	account.NTHash = account.NTHash.Clone() // ours is cleared in the end
	return account, nil, nil
}

// mschapKeys is the MSK: what the server receives with, what it sends with,
// and 32 octets zero.
func mschapKeys(e *mschapv2.Exchange, ntResponse []byte) (secret.Bytes, error) {
	send, receive, err := e.Keys(ntResponse)
	if err != nil {
		return nil, err
	}
	msk := make(secret.Bytes, 0, mskSize)
	return append(append(msk, receive...), send...)[:mskSize], nil
}

// mschapServer is the server's end of EAP-MSCHAPv2.
type mschapServer struct {
	cfg      *ServerConfig
	state    mschapState
	exchange mschapv2.Exchange
	response []byte
	result   step // once the response is judged
}

type mschapState uint8

const (
	mschapChallenged mschapState = iota
	mschapLooking
	mschapSucceeding // the success request is out
	mschapFailing    // the failure request is out
)

// mschapID is the MS-CHAPv2-ID; there is one exchange per conversation.
const mschapID = 1

func (m *mschapServer) about() (string, Inner) { return m.exchange.User, InnerNone }

func (m *mschapServer) close() { m.exchange.NTHash.Clear() }

func (m *mschapServer) start() step {
	m.exchange.Authenticator = m.cfg.random(mschapv2.ChallengeSize)
	return step{send: mschapMessage{Op: opChallenge, ID: mschapID, Challenge: m.exchange.Authenticator, Text: []byte(m.cfg.Name)}.append(nil)}
}

// receive takes a message in the one state in which it may come: a Success
// that answers the Challenge proves nothing.
func (m *mschapServer) receive(data []byte) step {
	msg, err := parseMSCHAP(CodeResponse, data)
	switch {
	case err != nil:
		return fail(ReasonProtocol, "%v", err)
	case m.state == mschapChallenged && msg.Op == opResponse:
		m.state = mschapLooking
		m.exchange.User, m.exchange.Peer, m.response = string(msg.Text), msg.Challenge, msg.NTResponse
		return step{task: LookupPassword{User: m.exchange.User}}
	case m.state == mschapSucceeding && msg.Op == opSuccess:
		return m.result
	case m.state == mschapSucceeding && msg.Op == opFailure:
		f := fail(ReasonRefused, "the peer did not accept our proof of knowing its password")
		f.failure.ByPeer = true
		return f
	case m.state == mschapFailing && msg.Op != opResponse:
		return m.result
	}
	return fail(ReasonProtocol, "EAP-MSCHAPv2 message %d out of turn", msg.Op)
}

// done judges the response.
func (m *mschapServer) done(r Result) step {
	account, unknown, err := judgeAccount(r, m.cfg.random(mschapv2.HashSize))
	if err != nil {
		return fail(ReasonBackend, "the account could not be looked up: %v", err)
	}
	m.exchange.NTHash = account.NTHash
	verdict := proveMSCHAP(&m.exchange, m.response, unknown)
	if verdict.failure != nil {
		m.state, m.result = mschapFailing, step{failure: verdict.failure}
		last := m.say(opFailure, wrongPassword(m.cfg.random(mschapv2.ChallengeSize)))
		last.failure = verdict.failure
		return last
	}
	m.state = mschapSucceeding
	m.result = step{success: &Success{MSK: verdict.keys, Identity: account.Identity}}
	return m.say(opSuccess, verdict.proof+" M=OK")
}

func (m *mschapServer) say(op uint8, text string) step {
	return step{send: mschapMessage{Op: op, ID: mschapID, Text: []byte(text)}.append(nil)}
}

// mschapVerdict is the judgement of a response.
type mschapVerdict struct {
	failure *Failure
	proof   string // ours, for the peer
	keys    secret.Bytes
}

// proveMSCHAP judges a response. It computes everything in any case, and tells
// an unknown user from a wrong password only at the end.
func proveMSCHAP(e *mschapv2.Exchange, response []byte, unknown *Failure) mschapVerdict {
	expected, err1 := e.NTResponse()
	proof, err2 := e.AuthenticatorResponse(response)
	keys, err3 := mschapKeys(e, response)
	wrong := subtle.ConstantTimeCompare(expected, response) != 1
	switch err := errors.Join(err1, err2, err3); {
	case err != nil:
		return mschapVerdict{failure: fail(ReasonBackend, "%v", err).failure}
	case unknown != nil:
		return mschapVerdict{failure: unknown}
	case wrong:
		return mschapVerdict{failure: fail(ReasonWrongPassword, "the password of %q is wrong", e.User).failure}
	}
	return mschapVerdict{proof: proof, keys: keys}
}

// mschapPeer is the peer's end of EAP-MSCHAPv2.
type mschapPeer struct {
	cfg      *PeerConfig
	exchange *mschapv2.Exchange // once challenged
	response []byte
}

func (m *mschapPeer) inner() Inner { return InnerNone }

func (m *mschapPeer) done(Result) step { return fail(ReasonBackend, "an answer to no question") }

func (m *mschapPeer) close() {
	if m.exchange != nil {
		m.exchange.NTHash.Clear()
	}
}

func (m *mschapPeer) receive(_ uint8, data []byte) step {
	msg, err := parseMSCHAP(CodeRequest, data)
	switch {
	case err != nil:
		return fail(ReasonProtocol, "%v", err)
	case msg.Op == opChallenge && m.exchange == nil:
		return m.respond(msg)
	case msg.Op == opFailure && m.exchange != nil:
		reason, text := failureText(msg.Text)
		return step{send: []byte{opFailure}, failure: &Failure{Reason: reason, Text: text, ByPeer: true}}
	case msg.Op == opSuccess && m.exchange != nil:
		return m.accept(msg)
	}
	return fail(ReasonProtocol, "EAP-MSCHAPv2 message %d out of turn", msg.Op)
}

func (m *mschapPeer) respond(challenge mschapMessage) step {
	e, response, err := answerMSCHAP(m.cfg, challenge.Challenge, random(m.cfg.rand, mschapv2.ChallengeSize))
	if err != nil {
		return fail(ReasonBackend, "%v", err)
	}
	m.exchange, m.response = e, response
	return step{send: mschapMessage{Op: opResponse, ID: challenge.ID, Challenge: e.Peer, NTResponse: response, Text: []byte(e.User)}.append(nil)}
}

// answerMSCHAP computes the peer's proof.
func answerMSCHAP(cfg *PeerConfig, authenticator, own []byte) (*mschapv2.Exchange, []byte, error) {
	hash, err := mschapv2.NTHash(cfg.Password)
	if err != nil {
		return nil, nil, err
	}
	e := &mschapv2.Exchange{User: cfg.user(), Authenticator: authenticator, Peer: own, NTHash: hash}
	response, err := e.NTResponse()
	return e, response, err
}

// accept checks that the server knows the password too.
func (m *mschapPeer) accept(msg mschapMessage) step {
	if f := checkProof(m.exchange, m.response, msg.Text); f != nil {
		return step{send: []byte{opFailure}, failure: f}
	}
	keys, err := mschapKeys(m.exchange, m.response)
	if err != nil {
		return fail(ReasonBackend, "%v", err)
	}
	return step{send: []byte{opSuccess}, success: &Success{MSK: keys}}
}

// checkProof compares the "S=" of a success text.
func checkProof(e *mschapv2.Exchange, response, text []byte) *Failure {
	want, err := e.AuthenticatorResponse(response)
	switch {
	case err != nil:
		return fail(ReasonBackend, "%v", err).failure
	case len(text) < len(want) || subtle.ConstantTimeCompare([]byte(want), text[:len(want)]) != 1:
		return fail(ReasonProtocol, "the server does not know the password of %q: its proof is wrong", e.User).failure
	}
	return nil
}
