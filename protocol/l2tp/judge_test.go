package l2tp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/l2tp/l2tpmsg"
)

// oddAVPs are AVPs that a message may have too, or not.
var oddAVPs = map[string]struct {
	avp   l2tpmsg.AVP
	fatal bool
	err   l2tpmsg.ErrorCode
	text  string
}{
	"unknown":                       {avp: l2tpmsg.AVP{Type: 999}},
	"unknown, M":                    {l2tpmsg.AVP{Type: 999, Mandatory: true}, true, l2tpmsg.ErrorMandatoryAVP, "unknown mandatory AVP 999"},
	"of a vendor":                   {avp: l2tpmsg.AVP{Type: 7, Vendor: 9}},
	"of a vendor, M":                {l2tpmsg.AVP{Type: 7, Vendor: 9, Mandatory: true}, true, l2tpmsg.ErrorMandatoryAVP, "unknown mandatory AVP 7 of vendor 9"},
	"reserved bits":                 {avp: l2tpmsg.AVP{Type: l2tpmsg.HostName, Reserved: 1}},
	"reserved bits, M":              {l2tpmsg.AVP{Type: l2tpmsg.HostName, Reserved: 1, Mandatory: true}, true, l2tpmsg.ErrorMandatoryAVP, "unknown mandatory Host Name AVP with reserved bits"},
	"a Result Code, out of place":   {avp: l2tpmsg.Result{Code: 1}.AVP()},
	"a bad ACCM, out of place":      {avp: l2tpmsg.Octets(l2tpmsg.ACCM, []byte{1})},
	"hidden, of no use, M":          {avp: l2tpmsg.AVP{Type: l2tpmsg.ProxyAuthenType, Hidden: true, Mandatory: true}},
	"a second Message Type":         {avp: l2tpmsg.U16(l2tpmsg.MessageTypeAVP, uint16(l2tpmsg.StopCCN))},
	"a Random Vector without H":     {avp: l2tpmsg.Octets(l2tpmsg.RandomVector, []byte("vector"))},
	"a hidden Random Vector, not M": {avp: l2tpmsg.AVP{Type: l2tpmsg.RandomVector, Hidden: true}},
}

func TestOddAVPsOfTheTunnelAreSkippedUnlessMandatory(t *testing.T) {
	for name, c := range oddAVPs {
		s := newScript(t, Config{})
		got := s.sccrq(c.avp)
		if !c.fatal {
			want(t, name, got, "SCCRP")
			continue
		}
		want(t, name, got, "StopCCN")
		if r := resultOf(t, got[0]); r.Code != uint16(l2tpmsg.StopError) || r.Error != c.err || r.Text != c.text {
			t.Errorf("%s: %+v", name, r)
		}
		if r, ok := s.events[0].(Refused); !ok || r.Reason != "the peer sent what is no L2TP: "+c.text {
			t.Errorf("%s: %+v", name, s.events)
		}
	}
}

func TestOddAVPsOfACallAreSkippedUnlessMandatory(t *testing.T) {
	for name, c := range oddAVPs {
		s := newScript(t, Config{})
		s.tunnelUp()
		got := s.icrq(c.avp)
		if !c.fatal {
			want(t, name, got, "ICRP")
			continue
		}
		want(t, name, got, "CDN")
		if r := resultOf(t, got[0]); r.Code != uint16(l2tpmsg.CallError) || r.Error != c.err || r.Text != c.text || got[0].Header.Session != mySession {
			t.Errorf("%s: %+v to session %d", name, r, got[0].Header.Session)
		}
		if s.e.live == nil {
			t.Errorf("%s: the tunnel is gone too", name)
		}
	}
}

func TestMandatoryAVPInAnEstablishedTunnelEndsWhatItIsAbout(t *testing.T) {
	unknown := l2tpmsg.AVP{Type: 999, Mandatory: true}
	s := newScript(t, Config{})
	session := s.callUp()
	want(t, "SLI", s.say(l2tpmsg.SLI, session, l2tpmsg.Octets(l2tpmsg.ACCM, make([]byte, 10)), unknown), "CDN")
	if s.e.live == nil || len(s.e.live.calls) != 0 {
		t.Errorf("%+v", s.events)
	}
	want(t, "HELLO", s.say(l2tpmsg.HELLO, 0, unknown), "StopCCN")
	if s.e.live != nil {
		t.Error("the tunnel lives on")
	}
}

func TestRequiredAVPs(t *testing.T) {
	for kind := l2tpmsg.SCCRQ; kind <= l2tpmsg.SLI; kind++ {
		row := kind.Content()
		if row == nil {
			continue
		}
		whole := content(kind, myTunnel, mySession)
		var cfg Config
		if _, f := cfg.judge(append([]l2tpmsg.AVP{l2tpmsg.U16(l2tpmsg.MessageTypeAVP, uint16(kind))}, whole...)); f != nil {
			t.Errorf("%v: %+v", kind, f)
		}
		for i, left := range whole {
			avps := []l2tpmsg.AVP{l2tpmsg.U16(l2tpmsg.MessageTypeAVP, uint16(kind))}
			for j, a := range whole {
				if j != i {
					avps = append(avps, a)
				}
			}
			_, f := cfg.judge(avps)
			if want := fmt.Sprintf("the %v has no valid %v AVP", kind, left.Type); f == nil || f.text != want {
				t.Errorf("%v without %v: %+v", kind, left.Type, f)
			}
			if form, _ := left.Type.Form(); form.Min == 0 {
				continue // a number of no digits is one
			}
			bad := left // one that is there, and is of no use
			bad.Mandatory, bad.Value = false, nil
			if _, f := cfg.judge(append(avps, bad)); f == nil {
				t.Errorf("%v with an empty %v passes", kind, left.Type)
			}
			bad.Mandatory = true
			if _, f := cfg.judge(append(avps, bad)); f == nil || f.code != l2tpmsg.ErrorLength {
				t.Errorf("%v with an empty mandatory %v: %+v", kind, left.Type, f)
			}
		}
	}
}

func TestSCCRQWithoutAnAddressIsDroppedAndTold(t *testing.T) {
	for name, avps := range map[string][]l2tpmsg.AVP{
		"no Assigned Tunnel ID": content(l2tpmsg.SCCRQ, 0, 0)[:3],
		"Assigned Tunnel ID 0":  content(l2tpmsg.SCCRQ, 0, 0),
	} {
		s := newScript(t, Config{})
		want(t, name, s.say(l2tpmsg.SCCRQ, 0, avps...), "")
		if len(s.events) != 1 || !s.e.Idle() {
			t.Errorf("%s: %+v", name, s.events)
		}
	}
}

func TestSCCRQsThatAreNotAcceptable(t *testing.T) {
	for name, c := range map[string]struct {
		change func(avps []l2tpmsg.AVP) []l2tpmsg.AVP
		code   l2tpmsg.StopCode
		err    l2tpmsg.ErrorCode
		reason string
		hint   string
	}{
		"version 2.3": {func(a []l2tpmsg.AVP) []l2tpmsg.AVP { a[0] = l2tpmsg.U16(l2tpmsg.ProtocolVersion, 0x0203); return a },
			l2tpmsg.StopVersion, 0x0100, "the peer speaks version 2.3 of L2TP, not 1.0", ""},
		"a window of 0": {func(a []l2tpmsg.AVP) []l2tpmsg.AVP { return append(a, l2tpmsg.U16(l2tpmsg.ReceiveWindowSize, 0)) },
			l2tpmsg.StopError, l2tpmsg.ErrorValue, "the peer sent what is no L2TP: Receive Window Size 0", ""},
		"a Challenge": {func(a []l2tpmsg.AVP) []l2tpmsg.AVP { return append(a, l2tpmsg.Octets(l2tpmsg.Challenge, []byte("?"))) },
			l2tpmsg.StopNotAuthorized, 0, "a Challenge, and no tunnel secret here", hintSecret},
		"a hidden Assigned Tunnel ID beside it": {func(a []l2tpmsg.AVP) []l2tpmsg.AVP {
			return append(a, l2tpmsg.AVP{Type: l2tpmsg.AssignedTunnelID, Hidden: true, Mandatory: true, Value: []byte("hidden")})
		}, l2tpmsg.StopError, l2tpmsg.ErrorMandatoryAVP, "the peer sent what is no L2TP: hidden Assigned Tunnel ID AVP, and no tunnel secret here", hintSecret},
		"no Framing Capabilities": {func(a []l2tpmsg.AVP) []l2tpmsg.AVP { return append(a[:1], a[2:]...) },
			l2tpmsg.StopError, l2tpmsg.ErrorValue, "the peer sent what is no L2TP: the SCCRQ has no valid Framing Capabilities AVP", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, Config{})
			got := s.say(l2tpmsg.SCCRQ, 0, c.change(s.introduction())...)
			want(t, name, got, "StopCCN")
			r := resultOf(t, got[0])
			if got[0].Header.Tunnel != myTunnel || r.Code != uint16(c.code) || r.Error != c.err {
				t.Errorf("%v %+v", got[0].Header, r)
			}
			if e, ok := s.events[0].(Refused); !ok || e.Reason != c.reason || e.Hint != c.hint || e.ByPeer {
				t.Errorf("%+v", s.events)
			}
			s.tunnel, s.ns, s.nr = 0, 0, 0
			want(t, "the SCCRQ once more", s.say(l2tpmsg.SCCRQ, 0, c.change(s.introduction())...), "ZLB")
		})
	}
}

func TestUnknownMessages(t *testing.T) {
	odd := l2tpmsg.U16(l2tpmsg.MessageTypeAVP, 99)
	for _, mandatory := range []bool{false, true} {
		odd.Mandatory = mandatory
		s := newScript(t, Config{})
		session := s.callUp()
		b, err := l2tpmsg.Message{Header: l2tpmsg.ControlHeader{Tunnel: s.tunnel, Session: session, Ns: s.ns, Nr: s.nr}, AVPs: []l2tpmsg.AVP{odd}}.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got := s.raw(b)
		if mandatory {
			want(t, "an unknown mandatory message", got, "StopCCN")
			if r := resultOf(t, got[0]); r.Text != "unknown mandatory message type 99" {
				t.Errorf("%+v", r)
			}
		} else {
			want(t, "an unknown message", got, "ZLB")
		}
		if (s.e.live == nil) != mandatory {
			t.Errorf("mandatory %v: %+v", mandatory, s.events)
		}
	}
}

func TestBodiesThatDoNotParseEndTheTunnel(t *testing.T) {
	for name, body := range map[string]string{
		"AVP of length 0":         "\x80\x00\x00\x00\x00\x00",
		"AVP past the end":        "\x80\x09\x00\x00\x00\x00\x00\x06",
		"no Message Type":         "\x80\x08\x00\x00\x00\x09\x00\x06",
		"a hidden Message Type":   "\xc0\x08\x00\x00\x00\x00\x00\x06",
		"half a Message Type":     "\x80\x07\x00\x00\x00\x00\x06",
		"one octet":               "\x80",
		"octets that are no AVPs": "\xff\xff\xff\xff\xff\xff\xff",
	} {
		s := newScript(t, Config{})
		s.callUp()
		h := l2tpmsg.ControlHeader{Tunnel: s.tunnel, Ns: s.ns, Nr: s.nr}.AppendZLB(nil)
		h[3] += byte(len(body))
		want(t, name, s.raw(append(h, body...)), "StopCCN")
		if d, ok := s.events[len(s.events)-1].(TunnelDown); !ok || d.Result != l2tpmsg.StopError {
			t.Errorf("%s: %+v", name, s.events)
		}
	}
}

func TestPeerTextIsCutAndLeftToTheCallerToQuote(t *testing.T) {
	s := newScript(t, Config{})
	long := l2tpmsg.Octets(l2tpmsg.VendorName, bytes.Repeat([]byte("\x1b"), 1000))
	s.sccrq(long)
	s.say(l2tpmsg.SCCCN, 0)
	number := l2tpmsg.Octets(l2tpmsg.CallingNumber, bytes.Repeat([]byte("7"), l2tpmsg.MaxValue))
	s.iccn(avp(t, s.icrq(number)[0], l2tpmsg.AssignedSessionID).U16())
	up, ok := s.events[0].(TunnelUp)
	if !ok || up.VendorName != strings.Repeat("\x1b", maxName) {
		t.Errorf("%+v", up)
	}
	if up, ok := s.events[1].(CallUp); !ok || up.CallingNumber != strings.Repeat("7", maxName) || up.Serial != 42 {
		t.Errorf("%+v", up)
	}
}

var tunnelSecret = secret.Bytes("a tunnel secret")

func TestTunnelChallengeProvesBothEnds(t *testing.T) {
	for name, c := range map[string]struct {
		lac, lns secret.Bytes
		up       bool
		reason   string // at the gateway
	}{
		"the same secret":    {tunnelSecret, tunnelSecret, true, ""},
		"no secret":          {nil, nil, true, ""},
		"different secrets":  {tunnelSecret, secret.Bytes("another"), false, "the peer closed the tunnel: not authorized, \"a wrong Challenge Response\""},
		"only the client's":  {tunnelSecret, nil, false, "a Challenge, and no tunnel secret here"},
		"only the gateway's": {nil, tunnelSecret, false, "the peer closed the tunnel: not authorized, \"a Challenge, and no tunnel secret here\""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.lac.cfg.Secret, w.lns.cfg.Secret = c.lac, c.lns
			w.lac.connect()
			w.run(10 * pathDelay)
			if w.agree() != c.up {
				t.Fatalf("%s\n%s", w.show(w.lac), w.show(w.lns))
			}
			if r, ok := last[Refused](w.lns); ok == c.up || ok && r.Reason != c.reason {
				t.Errorf("%s", w.show(w.lns))
			}
			if c.up {
				return
			}
			if _, ok := last[Refused](w.lac); !ok {
				t.Errorf("the client was told nothing")
			}
			w.run(2 * time.Minute)
			w.bothAreDone()
		})
	}
}

func TestSCCCNMustProveTheSecret(t *testing.T) {
	for name, c := range map[string]struct {
		response func(challenge []byte) []l2tpmsg.AVP
		answer   string
	}{
		"the right one": {func(ch []byte) []l2tpmsg.AVP {
			return []l2tpmsg.AVP{l2tpmsg.Respond(l2tpmsg.SCCCN, ch, tunnelSecret)}
		}, "ZLB"},
		"the one for SCCRP": {func(ch []byte) []l2tpmsg.AVP {
			return []l2tpmsg.AVP{l2tpmsg.Respond(l2tpmsg.SCCRP, ch, tunnelSecret)}
		}, "StopCCN"},
		"none": {func([]byte) []l2tpmsg.AVP { return nil }, "StopCCN"},
		"a short one, not M": {func(ch []byte) []l2tpmsg.AVP {
			a := l2tpmsg.Respond(l2tpmsg.SCCCN, ch, tunnelSecret)
			return []l2tpmsg.AVP{{Type: l2tpmsg.ChallengeResponse, Value: a.Value[:15]}}
		}, "StopCCN"},
		"zeros": {func([]byte) []l2tpmsg.AVP {
			return []l2tpmsg.AVP{l2tpmsg.Octets(l2tpmsg.ChallengeResponse, make([]byte, 16))}
		}, "StopCCN"},
	} {
		s := newScript(t, Config{Secret: tunnelSecret})
		challenge := avp(t, s.sccrq()[0], l2tpmsg.Challenge).Value
		want(t, name, s.say(l2tpmsg.SCCCN, 0, c.response(challenge)...), c.answer)
		if up := s.e.live != nil; up != (c.answer == "ZLB") {
			t.Errorf("%s: %+v", name, s.events)
		}
	}
}

func TestHiddenAVPsAreReadWithTheSecret(t *testing.T) {
	hide := func(kind l2tpmsg.AVPType, value, vector string) l2tpmsg.AVP {
		a, err := l2tpmsg.Hide(kind, []byte(value), []byte("padding"), []byte(vector), tunnelSecret)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	vector := func(s string) l2tpmsg.AVP { return l2tpmsg.Octets(l2tpmsg.RandomVector, []byte(s)) }
	broken := hide(l2tpmsg.VendorName, "Hidden", "one")
	broken.Value = broken.Value[:5]
	mandatory := broken
	mandatory.Mandatory = true
	for name, c := range map[string]struct {
		avps   []l2tpmsg.AVP
		vendor string
		refuse bool
	}{
		"after its vector":                   {[]l2tpmsg.AVP{vector("one"), hide(l2tpmsg.VendorName, "Hidden", "one")}, "Hidden", false},
		"after two vectors, of which 1 acts": {[]l2tpmsg.AVP{vector("zero"), vector("one"), hide(l2tpmsg.VendorName, "Hidden", "one")}, "Hidden", false},
		"before any vector, not M":           {[]l2tpmsg.AVP{hide(l2tpmsg.VendorName, "Hidden", "one"), vector("one")}, "", false},
		"before any vector, M":               {[]l2tpmsg.AVP{hide(l2tpmsg.BearerCapability, "\x00\x00\x00\x00", "one"), vector("one")}, "", true},
		"one that must not be hidden, M":     {[]l2tpmsg.AVP{vector("one"), hide(l2tpmsg.ReceiveWindowSize, "\x00\x08", "one")}, "", true},
		"cut off, not M":                     {[]l2tpmsg.AVP{vector("one"), broken}, "", false},
		"cut off, M":                         {[]l2tpmsg.AVP{vector("one"), mandatory}, "", true},
		"of the wrong size inside, M":        {[]l2tpmsg.AVP{vector("one"), hide(l2tpmsg.BearerCapability, "\x00", "one")}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, Config{Secret: tunnelSecret})
			got := s.sccrq(c.avps...)
			if c.refuse {
				want(t, name, got, "StopCCN")
				return
			}
			want(t, name, got, "SCCRP")
			if v := s.e.live.setup.up.VendorName; v != c.vendor {
				t.Errorf("vendor %q", v)
			}
		})
	}
}

func TestIDsOfZeroAreRefused(t *testing.T) {
	s := newScript(t, Config{})
	s.tunnelUp()
	want(t, "ICRQ with session 0", s.say(l2tpmsg.ICRQ, 0, content(l2tpmsg.ICRQ, 0, 0)...), "StopCCN")
	s = newScript(t, Config{Role: LAC})
	dial(s)
	s.mine = 0
	want(t, "SCCRP with tunnel 0", s.say(l2tpmsg.SCCRP, 0, s.introduction()...), "StopCCN")
	s = newScript(t, Config{Role: LAC})
	dial(s)
	session := avp(t, s.say(l2tpmsg.SCCRP, 0, s.introduction()...)[1], l2tpmsg.AssignedSessionID).U16()
	want(t, "ICRP with session 0", s.say(l2tpmsg.ICRP, session, content(l2tpmsg.ICRP, 0, 0)...), "CDN")
}

func TestALACAsksForFramingThatTheLNSHas(t *testing.T) {
	for has, asks := range map[uint32]uint32{
		l2tpmsg.FramingSync: l2tpmsg.FramingSync, l2tpmsg.FramingAsync: l2tpmsg.FramingAsync,
		l2tpmsg.FramingSync | l2tpmsg.FramingAsync: l2tpmsg.FramingSync,
	} {
		s := newScript(t, Config{Role: LAC})
		dial(s)
		avps := s.introduction()
		avps[1] = l2tpmsg.U32(l2tpmsg.FramingCapability, has)
		session := avp(t, s.say(l2tpmsg.SCCRP, 0, avps...)[1], l2tpmsg.AssignedSessionID).U16()
		iccn := s.say(l2tpmsg.ICRP, session, content(l2tpmsg.ICRP, 0, mySession)...)
		if got := avp(t, iccn[0], l2tpmsg.FramingType).U32(); got != asks {
			t.Errorf("an LNS with framing %d is asked for %d", has, got)
		}
	}
}

func TestHangingUpBeforeTheTunnelIsThere(t *testing.T) {
	s := newScript(t, Config{Role: LAC})
	dial(s)
	want(t, "CloseCall", s.do(CloseCall{Session: s.e.live.calls[0].id}), "")
	if r, ok := s.events[0].(Refused); !ok || r.Reason != "we hung up" {
		t.Errorf("%+v", s.events)
	}
	want(t, "SCCRP", s.say(l2tpmsg.SCCRP, 0, s.introduction()...), "SCCCN")
	want(t, "nobody uses the tunnel", s.wait(lonelyTime), "SCCCN SCCCN SCCCN SCCCN SCCCN StopCCN")
}
