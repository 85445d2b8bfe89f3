package eap

import (
	"crypto/tls"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/secret"
)

// everything offers all methods, in the order given.
func everything(order ...Type) []Offer {
	var list []Offer
	for _, t := range order {
		o := Offer{Method: t}
		switch t {
		case TypePEAP:
			o.Inner = []Inner{InnerEAPTLS, InnerEAPMSCHAPv2}
		case TypeTTLS:
			o.Inner = []Inner{InnerEAPMSCHAPv2, InnerEAPTLS, InnerMSCHAPv2, InnerPAP}
		}
		list = append(list, o)
	}
	return list
}

func both(server, peer []Offer) (*ServerConfig, *PeerConfig) {
	p := thePKI()
	return &ServerConfig{Offers: server, TLS: p.serverTLS(0), Name: "sallyport"},
		&PeerConfig{Identity: "bob@example.org", Offers: peer, TLS: p.peerTLS(0), User: testUser, Password: secret.Bytes(testPassword)}
}

func TestServerPrefersAndPeerRefuses(t *testing.T) {
	for _, c := range []struct {
		name         string
		server, peer []Type
		want         Type
	}{
		{"the server's first", []Type{TypeTLS, TypePEAP, TypeTTLS}, []Type{TypeTTLS, TypePEAP, TypeTLS}, TypeTLS},
		{"the only one of the peer", []Type{TypeTLS, TypePEAP, TypeTTLS}, []Type{TypeTTLS}, TypeTTLS},
		{"the server's preference among the peer's", []Type{TypeTLS, TypePEAP, TypeTTLS}, []Type{TypeTTLS, TypePEAP}, TypePEAP},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLink(t, first(both(everything(c.server...), everything(c.peer...))), second(both(everything(c.server...), everything(c.peer...))))
			l.run()
			if s, _ := l.wantSuccess(); s.Method != c.want {
				t.Errorf("they agree on %v", s.Method)
			}
		})
	}
}

func first[A, B any](a A, _ B) A  { return a }
func second[A, B any](_ A, b B) B { return b }

func TestInnerMethodIsNegotiated(t *testing.T) {
	for _, outer := range []Type{TypePEAP, TypeTTLS} {
		for _, c := range []struct {
			server, peer []Inner
			want         Inner
		}{
			{[]Inner{InnerEAPTLS, InnerEAPMSCHAPv2}, []Inner{InnerEAPMSCHAPv2, InnerEAPTLS}, InnerEAPTLS},
			{[]Inner{InnerEAPTLS, InnerEAPMSCHAPv2}, []Inner{InnerEAPMSCHAPv2}, InnerEAPMSCHAPv2},
			{[]Inner{InnerEAPMSCHAPv2, InnerEAPTLS}, []Inner{InnerEAPTLS}, InnerEAPTLS},
		} {
			sc, pc := both([]Offer{{outer, c.server}}, []Offer{{outer, c.peer}})
			l := newLink(t, sc, pc)
			l.run()
			if s, _ := l.wantSuccess(); s.Inner != c.want {
				t.Errorf("%v: they agree on %v inside", outer, s.Inner)
			}
		}
	}
}

func TestNothingInCommonIsRefused(t *testing.T) {
	sc, pc := both(everything(TypeTLS, TypePEAP), everything(TypeTTLS))
	l := newLink(t, sc, pc)
	l.run()
	l.wantFailure(ReasonNoCommonMethod, ReasonRefused)
	f, _ := outcome[Failure](l.serverEvents)
	if !strings.Contains(f.Text, "EAP-TLS") || !strings.Contains(f.Text, "EAP-TTLS") || f.Hint == "" {
		t.Errorf("the record says %q, %q", f.Text, f.Hint)
	}
}

func TestInnerMethodThatIsNotAllowedIsRefused(t *testing.T) {
	for _, c := range []struct {
		method       Type
		server, peer Inner
	}{
		{TypeTTLS, InnerEAPMSCHAPv2, InnerPAP}, {TypeTTLS, InnerEAPTLS, InnerMSCHAPv2}, {TypeTTLS, InnerPAP, InnerMSCHAPv2},
		{TypeTTLS, InnerPAP, InnerEAPMSCHAPv2}, {TypeTTLS, InnerEAPTLS, InnerEAPMSCHAPv2}, {TypePEAP, InnerEAPTLS, InnerEAPMSCHAPv2},
	} {
		sc, pc := both([]Offer{{c.method, []Inner{c.server}}}, []Offer{{c.method, []Inner{c.peer}}})
		l := newLink(t, sc, pc)
		l.answer = func(task Task) (any, error) {
			if _, ok := task.(*Handshake); !ok {
				t.Errorf("%v: %v for %v leads to %T", c.method, c.peer, c.server, task)
			}
			return accounts(task)
		}
		l.run()
		l.wantFailure(ReasonNoCommonMethod, ReasonRefused)
	}
}

// A client that refuses EAP-TLS in favour of EAP-MSCHAPv2, as Apple's and
// Android's do with a password, is told apart and gets nothing weaker.
func TestNakForMSCHAPv2IsNotFollowedWithoutTheOption(t *testing.T) {
	sc, _ := both(everything(TypeTLS, TypePEAP), nil)
	m, identity := soloServer(t, sc)
	request := m.answer(identity, TypeIdentity, []byte("bob"))
	if p := m.answer(request, TypeNak, []byte{byte(TypeMSCHAPv2)}); p.Code != CodeFailure {
		t.Errorf("answered by %+v", p)
	}
	m.want(ReasonNoCommonMethod)
	if f := m.failure(); !strings.Contains(f.Text, "EAP-MSCHAPv2") {
		t.Errorf("the record says %q", f.Text)
	}
}

func TestNakFormsAtTheServer(t *testing.T) {
	for name, c := range map[string]struct {
		kind Type
		data string
		want Type // 0 = Failure
	}{
		"legacy":                  {TypeNak, "19", TypePEAP},
		"several":                 {TypeNak, "04 06 15 19", TypePEAP},
		"none":                    {TypeNak, "00", 0},
		"empty":                   {TypeNak, "", 0},
		"the one it was asked":    {TypeNak, "0d", 0},
		"expanded":                {TypeExpanded, "000000 00000003 fe 000000 00000015", TypeTTLS},
		"expanded of a vendor":    {TypeExpanded, "000000 00000003 fe 000137 00000015", 0},
		"all the types there are": {TypeNak, allTypes(), TypePEAP},
	} {
		t.Run(name, func(t *testing.T) {
			sc, _ := both(everything(TypeTLS, TypePEAP, TypeTTLS), nil)
			m, identity := soloServer(t, sc)
			request := m.answer(identity, TypeIdentity, []byte("bob"))
			p := m.answer(request, c.kind, unhex(c.data))
			if c.want == 0 && p.Code != CodeFailure || c.want != 0 && p.Type != c.want {
				t.Errorf("answered by %+v", p)
			}
		})
	}
}

func allTypes() string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i := range 256 {
		b.WriteByte(digits[i>>4])
		b.WriteByte(digits[i&15])
	}
	return b.String()
}

// Trap 44: a Nak after the method has begun, or of something else, is dropped
// (RFC 3748, Section 5.3.1).
func TestNakInTheMiddleIsDropped(t *testing.T) {
	m, challenge := began(t, bareMSCHAP)
	result := m.answer(challenge, TypeMSCHAPv2, mschapMessage{Op: opResponse, Challenge: make([]byte, 16), NTResponse: make([]byte, 24), Text: []byte(testUser)}.append(nil))
	m.wantNothing(Packet{CodeResponse, result.Identifier, TypeNak, []byte{13}}.Append(nil)[:5])
	before := len(m.events)
	if sent := m.give(Packet{CodeResponse, result.Identifier, TypeNak, []byte{13}}.Append(nil)); len(sent) > 0 || len(m.events) != before {
		t.Errorf("answered by % x", sent)
	}
}

// pppd answers a copy of our last flight by a Nak when its acknowledgement was
// lost, and says nothing else any more.
func TestPPPDsNakStandsForALostAcknowledgement(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, wanted := range []Type{TypeTLS, TypeMSCHAPv2} {
			sc, pc := (combination{method: TypeTLS, version: version}).configs()
			l := newLink(t, sc, pc)
			replaced := 0
			l.tap = func(toPeer bool, b []byte) []byte {
				m, _ := l.server.method.(*tlsServer)
				if toPeer || m == nil || m.phase != phaseLastFlight || m.fragments.sending {
					return b
				}
				replaced++
				return Packet{CodeResponse, b[1], TypeNak, []byte{byte(wanted)}}.Append(nil)
			}
			l.run()
			if _, in := outcome[Success](l.serverEvents); !in || replaced == 0 {
				t.Errorf("%s, a Nak for %v: let in is %v, %d packets were replaced", tls.VersionName(version), wanted, in, replaced)
			}
		}
	}
}

func TestPacketsThatAnswerNothingAreDropped(t *testing.T) {
	m, request := began(t, combination{method: TypeTLS})
	id := request.Identifier
	for _, b := range [][]byte{
		nil, {2}, Packet{CodeResponse, id + 1, TypeTLS, []byte{0}}.Append(nil), Packet{CodeResponse, id - 1, TypeTLS, []byte{0}}.Append(nil),
		Packet{CodeRequest, id, TypeTLS, []byte{0}}.Append(nil), Packet{Code: CodeSuccess, Identifier: id}.Append(nil),
		Packet{Code: CodeFailure, Identifier: id}.Append(nil), Packet{CodeResponse, id, TypePEAP, []byte{0}}.Append(nil),
		Packet{CodeResponse, id, TypeNotification, nil}.Append(nil), unhex("02 02 ffff 0d"), unhex("05 02 0004"),
		Packet{CodeResponse, id, TypeExpanded, unhex("000137 00000001")}.Append(nil),
	} {
		m.wantNothing(b)
	}
}

func TestPeerRefusesWhatItDoesNotWant(t *testing.T) {
	_, pc := both(nil, everything(TypeTLS, TypeTTLS))
	m := soloPeer(t, pc)
	for n, kind := range []Type{TypeMD5, TypeMSCHAPv2, TypePEAP, TypeGTC, 200} {
		nak := m.say(Packet{CodeRequest, uint8(n), kind, []byte{1, 2, 3}})
		if nak.Type != TypeNak || !slices.Equal(nak.Data, []byte{13, 21}) || nak.Identifier != uint8(n) {
			t.Errorf("%v is answered by %+v", kind, nak)
		}
	}
	nak := m.say(Packet{CodeRequest, 9, TypeExpanded, unhex("000137 00000001 ff")})
	if types, err := parseNak(nak); err != nil || nak.Type != TypeExpanded || !slices.Equal(types, []Type{TypeTLS, TypeTTLS}) {
		t.Errorf("an expanded type is answered by %+v", nak)
	}
}

func TestPeerTakesOneMethodOnly(t *testing.T) {
	_, pc := both(nil, everything(TypeTLS, TypeTTLS))
	m := soloPeer(t, pc)
	m.say(Packet{CodeRequest, 1, TypeTLS, []byte{flagStart}})
	m.give(Packet{CodeRequest, 2, TypeTTLS, []byte{flagStart}}.Append(nil))
	m.want(ReasonProtocol)
}

func TestPeerAnswersANotification(t *testing.T) {
	_, pc := both(nil, everything(TypeTLS))
	m := soloPeer(t, pc)
	if p := m.say(Packet{CodeRequest, 3, TypeNotification, []byte("password expires\n")}); p.Type != TypeNotification || len(p.Data) != 0 || p.Identifier != 3 {
		t.Errorf("answered by %+v", p)
	}
	if n, ok := outcome[Notice](m.events); !ok || n.Text != "password expires\n" {
		t.Errorf("%+v", m.events)
	}
}

func TestPeerAnswersADuplicateAsBefore(t *testing.T) {
	_, pc := both(nil, everything(TypeTLS))
	m := soloPeer(t, pc)
	request := Packet{CodeRequest, 1, TypeTLS, []byte{flagStart}}
	hello, jobs := m.say(request), len(m.tasks)
	again := m.say(request)
	if !equalPackets(hello, again) || len(m.tasks) != jobs {
		t.Errorf("the duplicate is answered by %+v, after %d jobs more", again, len(m.tasks)-jobs)
	}
}

func TestServerCanSkipTheIdentity(t *testing.T) {
	sc, _ := combination{method: TypeTLS}.configs()
	s, err := NewServer(sc)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out Out
	s.StartWith(start, "known", 41, &out)
	if p, err := Parse(out.Send[0]); err != nil || p.Type != TypeTLS || p.Identifier != 42 {
		t.Errorf("%+v, %v", p, err)
	}
}

// PEAP servers of higher versions have to take 0 for an answer.
func TestPeerAnswersPEAPVersion1With0(t *testing.T) {
	_, pc := combination{TypePEAP, InnerEAPMSCHAPv2, 0}.configs()
	for version := range byte(8) {
		m := soloPeer(t, pc)
		if p := m.say(Packet{CodeRequest, 1, TypePEAP, []byte{flagStart | version}}); p.Type != TypePEAP || p.Data[0]&maskVersion != 0 {
			t.Errorf("version %d is answered by % .8x", version, p.Data)
		}
	}
}

func TestServerRefusesPEAPAndTTLSOfOtherVersions(t *testing.T) {
	for _, c := range []combination{{TypePEAP, InnerEAPMSCHAPv2, 0}, {TypeTTLS, InnerPAP, 0}} {
		m, request := began(t, c)
		m.answer(request, c.method, []byte{1, 22, 3, 1})
		m.want(ReasonProtocol)
	}
}

func TestConfigurationsThatCannotWork(t *testing.T) {
	p := thePKI()
	noVerify := &TLS{Certificates: []tls.Certificate{p.server}}
	for name, c := range map[string]*ServerConfig{
		"no offer":                {TLS: p.serverTLS(0)},
		"no certificate":          {Offers: everything(TypeTLS), TLS: &TLS{Verify: p.verifyClient()}},
		"no TLS":                  {Offers: everything(TypePEAP)},
		"no Verify":               {Offers: everything(TypeTLS), TLS: noVerify},
		"no Verify inside":        {Offers: []Offer{{TypeTTLS, []Inner{InnerPAP, InnerEAPTLS}}}, TLS: noVerify},
		"bare MSCHAPv2":           {Offers: everything(TypeMSCHAPv2), TLS: p.serverTLS(0)},
		"PEAP with nothing":       {Offers: []Offer{{Method: TypePEAP}}, TLS: p.serverTLS(0)},
		"PEAP with PAP":           {Offers: []Offer{{TypePEAP, []Inner{InnerPAP}}}, TLS: p.serverTLS(0)},
		"TLS with something":      {Offers: []Offer{{TypeTLS, []Inner{InnerPAP}}}, TLS: p.serverTLS(0)},
		"PEAP twice":              {Offers: []Offer{{TypePEAP, []Inner{InnerEAPTLS}}, {TypePEAP, []Inner{InnerEAPMSCHAPv2}}}, TLS: p.serverTLS(0)},
		"EAP-MD5":                 {Offers: []Offer{{Method: TypeMD5}}, TLS: p.serverTLS(0)},
		"TLS 1.1":                 {Offers: everything(TypeTLS), TLS: &TLS{Certificates: noVerify.Certificates, Verify: p.verifyClient(), MaxVersion: tls.VersionTLS11}},
		"MTU too small":           {Offers: everything(TypeTLS), TLS: p.serverTLS(0), MTU: MinMTU - 1},
		"MTU too large":           {Offers: everything(TypeTLS), TLS: p.serverTLS(0), MTU: MaxPacket + 1},
		"an inner method twofold": {Offers: []Offer{{TypeTTLS, []Inner{InnerNone}}}, TLS: p.serverTLS(0)},
	} {
		if _, err := NewServer(c); err == nil {
			t.Errorf("server: %s is taken", name)
		}
	}
	if _, err := NewServer(&ServerConfig{Offers: []Offer{{TypeTTLS, []Inner{InnerPAP}}}, TLS: noVerify}); err != nil {
		t.Errorf("a server for passwords needs no Verify: %v", err)
	}
	good := secret.Bytes("x")
	for name, c := range map[string]*PeerConfig{
		"no offer":        {TLS: p.peerTLS(0), Password: good},
		"no password":     {Offers: []Offer{{TypeTTLS, []Inner{InnerPAP}}}, TLS: p.peerTLS(0)},
		"no certificate":  {Offers: everything(TypeTLS), TLS: &TLS{Verify: p.verifyServer()}},
		"no Verify":       {Offers: []Offer{{TypeTTLS, []Inner{InnerPAP}}}, TLS: &TLS{}, Password: good},
		"no TLS":          {Offers: []Offer{{TypeTTLS, []Inner{InnerPAP}}}, Password: good},
		"bare MSCHAPv2":   {Offers: everything(TypeMSCHAPv2), Password: good},
		"a long identity": {Offers: everything(TypeTLS), TLS: p.peerTLS(0), Identity: strings.Repeat("x", MaxIdentity+1)},
	} {
		if _, err := NewPeer(c); err == nil {
			t.Errorf("peer: %s is taken", name)
		}
	}
}

// Limits of a conversation.

func TestRoundsAreLimited(t *testing.T) {
	m, request := began(t, combination{TypeTTLS, InnerPAP, tls.VersionTLS12})
	rounds := 2
	for ; !m.server.Over() && rounds < 2*MaxRounds; rounds++ {
		// One octet of a flight of 64 KiB at a time.
		request = m.answer(request, TypeTTLS, frame{Flags: flagLength | flagMore, Length: maxFlight, TLS: []byte{0}}.append(nil))
	}
	m.want(ReasonLimit)
	if rounds != MaxRounds+1 {
		t.Errorf("the server went %d rounds", rounds)
	}
	_, pc := both(nil, everything(TypeTLS))
	p := soloPeer(t, pc)
	for n := 0; !p.peer.Over(); n++ {
		if n > MaxRounds {
			t.Fatal("the peer goes on and on")
		}
		p.give(Packet{CodeRequest, uint8(n), TypeIdentity, nil}.Append(nil))
	}
	p.want(ReasonLimit)
}

func TestOctetsAreLimited(t *testing.T) {
	_, pc := both(nil, everything(TypeTLS))
	p := soloPeer(t, pc)
	big := make([]byte, MaxPacket-headerSize-1)
	for n := 0; !p.peer.Over(); n++ {
		if n > MaxOctets/len(big)+1 {
			t.Fatal("the peer takes it all")
		}
		p.give(Packet{CodeRequest, uint8(n), TypeIdentity, big}.Append(nil))
	}
	p.want(ReasonLimit)
}

func TestTimeIsLimited(t *testing.T) {
	m, _ := began(t, combination{method: TypeTLS})
	if d := m.server.Deadline(); !d.Equal(start.Add(MaxDuration)) {
		t.Errorf("the deadline is %v", d)
	}
	var out Out
	m.server.Timeout(start.Add(MaxDuration-1), &out)
	if len(out.Send)+len(out.Events) > 0 {
		t.Error("it ends too early")
	}
	m.server.Timeout(start.Add(MaxDuration), &out)
	if p := m.only(m.finish(&out)); p.Code != CodeFailure {
		t.Errorf("ends by %+v", p)
	}
	m.want(ReasonTimeout)
	if !m.server.Deadline().IsZero() {
		t.Error("there is a deadline after the end")
	}
	_, pc := both(nil, everything(TypeTLS))
	p := soloPeer(t, pc)
	out.Reset()
	p.peer.Timeout(p.peer.Deadline(), &out)
	p.finish(&out)
	p.want(ReasonTimeout)
}

func TestRequestsAreRetransmitted(t *testing.T) {
	sc, _ := combination{method: TypeTLS}.configs()
	sc.Retransmit = time.Second
	m, identity := soloServer(t, sc)
	var waits []time.Duration
	for now := start; !m.server.Over(); {
		next := m.server.Deadline()
		waits = append(waits, next.Sub(now))
		now = next
		var out Out
		m.server.Timeout(now, &out)
		if sent := m.finish(&out); !m.server.Over() {
			if p := m.only(sent); !equalPackets(p, identity) {
				t.Errorf("retransmits %+v", p)
			}
		}
	}
	if want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second}; !slices.Equal(waits, want) {
		t.Errorf("waits %v", waits)
	}
	m.want(ReasonTimeout)
}

// While a job runs, packets are dropped and nothing is retransmitted.
func TestOneJobAtATime(t *testing.T) {
	sc, pc := combination{method: TypeTLS}.configs()
	sc.Retransmit = time.Second
	p := soloPeer(t, pc)
	hello := p.say(Packet{CodeRequest, 2, TypeTLS, []byte{flagStart}})
	hello.Data = bytesJoin(t, p, hello)
	m, identity := soloServer(t, sc)
	m.answer(identity, TypeIdentity, []byte("bob"))
	var out Out
	b := Packet{CodeResponse, m.server.id, TypeTLS, hello.Data}.Append(nil)
	m.server.Receive(start, b, &out)
	if len(out.Jobs) != 1 {
		t.Fatalf("%+v", out)
	}
	job := out.Jobs[0]
	out.Reset()
	m.server.Receive(start, b, &out)
	m.server.Timeout(start.Add(30*time.Second), &out)
	m.server.Done(start, Result{ID: job.ID + 1}, &out)
	if len(out.Send)+len(out.Jobs)+len(out.Events) > 0 {
		t.Errorf("something happens: %+v", out)
	}
	v, err := job.Task.(*Handshake).Run()
	m.server.Done(start, Result{job.ID, v, err}, &out)
	if len(out.Send) != 1 {
		t.Errorf("%+v", out)
	}
	out.Reset()
	m.server.Done(start, Result{job.ID, v, err}, &out)
	if len(out.Send)+len(out.Jobs)+len(out.Events) > 0 {
		t.Errorf("a second answer does something: %+v", out)
	}
}

// bytesJoin is the whole of a peer's fragmented flight as one frame.
func bytesJoin(t *testing.T, p *solo, m Packet) []byte {
	t.Helper()
	var all []byte
	for id := uint8(100); ; id++ {
		f, err := parseFrame(m.Data)
		must(err)
		all = append(all, f.TLS...)
		if f.Flags&flagMore == 0 {
			return frame{TLS: all}.append(nil)
		}
		m = p.say(Packet{CodeRequest, id, TypeTLS, []byte{0}})
	}
}

// Large chains, of 6 KB each way, twice over in PEAP with EAP-TLS inside.
func TestLargeChainsFitTheLimits(t *testing.T) {
	p := thePKI()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := combination{TypePEAP, InnerEAPTLS, version}
		sc, pc := c.configs()
		server, peer := *sc.TLS, *pc.TLS
		server.Certificates = []tls.Certificate{padded(p.server)}
		peer.Certificates = []tls.Certificate{padded(p.client)}
		sc.TLS, pc.TLS = &server, &peer
		l := newLink(t, sc, pc)
		l.run()
		l.wantSuccess()
		if l.server.spent.rounds > MaxRounds*6/10 {
			t.Errorf("it takes %d rounds of %d", l.server.spent.rounds, MaxRounds)
		}
		t.Logf("%s: %d rounds, %d octets from the peer", tls.VersionName(version), l.server.spent.rounds, l.server.spent.octets)
	}
}

// padded is a certificate with intermediates that nobody needs, 6 KB in all.
func padded(c tls.Certificate) tls.Certificate {
	size := len(c.Certificate[0])
	for c.Certificate = slices.Clone(c.Certificate); size < 6000; size += len(thePKI().other.cert.Raw) {
		c.Certificate = append(c.Certificate, thePKI().other.cert.Raw)
	}
	return c
}

// In FIPS 140-only mode, what would need MD4, DES or SHA-1 is refused when it
// is set up, and nothing panics later.
func TestFIPSOnlyModeRefusesBrokenMethods(t *testing.T) {
	if os.Getenv("EAP_TEST_FIPS") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFIPSOnlyModeRefusesBrokenMethods$", "-test.v")
		cmd.Env = append(os.Environ(), "EAP_TEST_FIPS=1", "GODEBUG=fips140=only")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	some := &TLS{Certificates: []tls.Certificate{{Certificate: [][]byte{{}}}}, Verify: func([][]byte) (Verified, error) { return Verified{}, nil }}
	for _, c := range combinations() {
		broken := c.method == TypePEAP || c.byPassword() && c.inner != InnerPAP
		_, err := NewServer(&ServerConfig{Offers: c.offers(), TLS: some, BareMSCHAPv2: true})
		if (err != nil) != broken {
			t.Errorf("%v at the server: %v", c, err)
		}
		_, err = NewPeer(&PeerConfig{Offers: c.offers(), TLS: some, BareMSCHAPv2: true, Password: secret.Bytes("x")})
		if (err != nil) != broken {
			t.Errorf("%v at the peer: %v", c, err)
		}
	}
}
