package matrix

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sallyport/internal/lab"
)

// scenario is what happens in a case.
type scenario struct {
	play func(*play)
	slow bool // waits for timers, so it runs in a lane of its own
	ours bool // a rule of ours that strongSwan does not have
}

var scenarios map[string]scenario

func init() { // in init, because the scenarios refer to the table through play
	scenarios = map[string]scenario{
		"traffic":                          {play: (*play).traffic},
		"child-rekey-by-client":            {play: func(p *play) { p.rekey("child", p.client.rekeyChild) }},
		"child-rekey-by-gateway":           {play: func(p *play) { p.rekey("child", p.gateway.rekeyChild) }},
		"ike-rekey-by-client":              {play: func(p *play) { p.rekey("IKE", p.client.rekeyIKE) }},
		"ike-rekey-by-gateway":             {play: func(p *play) { p.rekey("IKE", p.gateway.rekeyIKE) }},
		"client-moves":                     {play: (*play).clientMoves},
		"nat-rebinds":                      {play: (*play).natRebinds, slow: true},
		"large-chain-without-ip-fragments": {play: (*play).largeChain},
		"client-vanishes":                  {play: func(p *play) { p.vanish(p.gateway) }, slow: true},
		"gateway-vanishes":                 {play: func(p *play) { p.vanish(p.client) }, slow: true},
		"client-revoked":                   {play: func(p *play) { p.refusedByGateway("AUTHENTICATION_FAILED", "revoked") }},
		"client-expired":                   {play: func(p *play) { p.refusedByGateway("AUTHENTICATION_FAILED", "expired|invalid") }},
		"client-of-wrong-ca":               {play: func(p *play) { p.refusedByGateway("AUTHENTICATION_FAILED", "no issuer|no trusted|unknown authority") }},
		"client-of-wrong-name":             {play: func(p *play) { p.refusedByGateway("AUTHENTICATION_FAILED", "mallory@example.net") }},
		"client-asks-for-other-name":       {play: func(p *play) { p.refusedByGateway("AUTHENTICATION_FAILED", "other.example.org") }},
		"gateway-revoked":                  {play: func(p *play) { p.refusedByClient("revoked") }},
		"gateway-expired":                  {play: func(p *play) { p.refusedByClient("expired|invalid") }},
		"gateway-of-wrong-ca":              {play: func(p *play) { p.refusedByClient("no issuer|no trusted|unknown authority") }},
		"gateway-of-wrong-name":            {play: func(p *play) { p.refusedByClient("other.example.org|AUTHENTICATION_FAILED") }},
		"eap-identity-of-somebody-else":    {play: func(p *play) { p.refusedByGateway("", "no certificate came|no trusted|bob@example.org") }},
		"ike-identity-is-an-address":       {play: (*play).traffic},
		"reauthentication-by-client":       {play: (*play).reauthenticate},
		"client-has-wrong-key":             {play: (*play).wrongKey},
		"client-has-key-of-another":        {play: (*play).wrongKey},
		"key-revoked":                      {play: func(p *play) { p.refusedByGateway("AUTHENTICATION_FAILED", "was revoked") }, ours: true},
		"gateway-by-other-means": {play: func(p *play) {
			p.refusedByClient("constraint requires public key authentication|did not prove that it has the pre-shared key")
		}},
		"client-has-wrong-password":     {play: func(p *play) { p.refusedByGateway("", "the password of") }},
		"client-is-unknown":             {play: func(p *play) { p.refusedByGateway("", "no user \"mallory\"") }},
		"user-revoked":                  {play: func(p *play) { p.refusedByGateway("", "was revoked") }},
		"method-not-taken":              {play: func(p *play) { p.refusedByGateway("", "and wants [EAP-MSCHAPv2]") }},
		"only-sha1-signatures":          {play: (*play).onlySHA1, ours: true},
		"client-proposes-weak-ike":      {play: func(p *play) { p.refusedByGateway("NO_PROPOSAL_CHOSEN", "modp1024|MODP_1024") }},
		"client-proposes-weak-esp":      {play: func(p *play) { p.refusedByGateway("NO_PROPOSAL_CHOSEN", "sha1|SHA1") }},
		"gateway-accepts-only-weak-ike": {play: func(p *play) { p.refusedByGateway("NO_PROPOSAL_CHOSEN", "modp1024|MODP_1024") }},
		"gateway-accepts-only-weak-esp": {play: func(p *play) { p.refusedByGateway("NO_PROPOSAL_CHOSEN", "sha1|SHA1") }},
	}
}

// play is a case that is being run.
type play struct {
	*testing.T
	*world
	ctx context.Context
	c   testCase
	s   setup
}

// connect sets the tunnel up and checks that both ends tell the same of it.
func (p *play) connect() {
	p.Helper()
	if err := p.client.connect(p.ctx, p.s); err != nil {
		p.Fatal("no tunnel:", err)
	}
	for name, e := range map[string]end{"client": p.client, "gateway": p.gateway} {
		tun := p.tunnelOf(e)
		if !tun.up {
			p.Fatalf("the %s does not know of the tunnel", name)
		}
		if tun.ikeSuite != p.c.ike {
			p.Errorf("the %s negotiated %s for IKE, want %s", name, tun.ikeSuite, p.c.ike)
		}
		p.signatures(e)
		if cipher := withoutGroup(p.c.esp); tun.espSuite != cipher {
			p.Errorf("the %s negotiated %s for ESP, want %s", name, tun.espSuite, cipher)
		}
	}
}

// signatures holds the AUTH payloads against the case, in strongSwan's words.
func (p *play) signatures(e end) {
	p.Helper()
	if _, ok := e.(*swanEnd); !ok {
		return
	}
	want := map[string]int{authKinds[p.c.auth].signature: 2}
	if p.c.auth.eap() && p.c.auth != authEAPOnly { // the gateway signs, then both prove the key of EAP
		want[authKinds[authP256].signature] = 1
	}
	seen := map[string]int{}
	for line := range strings.Lines(e.account()) {
		_, how, ok := strings.Cut(line, "authentication of '")
		if !ok || !strings.Contains(how, "' (myself) with ") && !strings.Contains(how, "' with ") {
			continue
		}
		known := false
		for name := range want {
			if strings.Contains(how, " with "+name) || strings.Contains(how, name) && name != "EAP" {
				seen[name]++
				known = true
			}
		}
		if !known {
			p.Errorf("an AUTH payload is made with none of %v: %s", want, strings.TrimSpace(how))
		}
	}
	for name, n := range want {
		if seen[name] != n {
			p.Errorf("strongSwan speaks of %d AUTH payloads with %s, want %d", seen[name], name, n)
		}
	}
}

// withoutGroup: the first Child SA has no key exchange of its own.
func withoutGroup(esp string) string { return esp[:strings.LastIndex(esp, "-")] }

func (p *play) tunnelOf(e end) tunnel {
	p.Helper()
	tun, err := e.tunnel(p.ctx)
	if err != nil {
		p.Fatal(err)
	}
	return tun
}

// await asks an end again and again until its tunnel is as wanted.
func (p *play) await(e end, limit time.Duration, what string, want func(tunnel) bool) tunnel {
	p.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		tun := p.tunnelOf(e)
		if want(tun) {
			return tun
		}
		if time.Now().After(end) {
			p.Fatalf("not within %v: %s; the tunnel is %+v", limit, what, tun)
		}
	}
}

// ping sends both families through the tunnel.
func (p *play) ping() {
	p.Helper()
	for _, dst := range []netip.Addr{inside4, inside6} {
		ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
		_, err := p.lab.At("client").AwaitPing(ctx, dst)
		cancel()
		if err != nil {
			p.Fatal("through the tunnel:", err)
		}
	}
}

// traffic: connect, both families, some TCP, and a disconnection that both
// ends know of.
func (p *play) traffic() {
	p.connect()
	p.ping()
	if _, err := p.lab.At("client").SendTCP(p.ctx, p.lab.At("inside"), inside4, 1<<20); err != nil {
		p.Fatal("through the tunnel:", err)
	}
	if err := p.client.disconnect(p.ctx); err != nil {
		p.Error("disconnect:", err)
	}
	p.await(p.gateway, 3*time.Second, "the gateway forgets the client that said goodbye", func(t tunnel) bool { return !t.up })
}

const (
	flowRate = 500 // datagrams a second: a rekey takes some 10 ms, so several are always under way
	flowSize = 200
)

// under runs an event while datagrams flow, and returns what became of them.
func (p *play) under(dst netip.Addr, event func()) lab.FlowReport {
	p.Helper()
	flow, err := p.lab.At("client").StartFlow(p.ctx, p.lab.At("inside"), dst, flowRate, flowSize)
	if err != nil {
		p.Fatal(err)
	}
	defer flow.Stop(0) // when the event ends the test
	time.Sleep(200 * time.Millisecond)
	event()
	time.Sleep(time.Second)
	return flow.Stop(time.Second)
}

// rekey: new keys by either side, and no datagram lost.
func (p *play) rekey(what string, start func(context.Context) error) {
	p.connect()
	p.ping()
	for range rekeyTries {
		before := p.overflows()
		report := p.rekeyOnce(what, start)
		p.Log(report)
		if report.Sent < minFlow {
			p.Fatalf("too few datagrams to tell anything: %v", report)
		}
		if report.Lost() == 0 {
			return
		}
		if dropped := p.overflows() - before; dropped < report.Lost() {
			p.Fatalf("a rekeying must lose nothing: %v, and only %d of them overflowed a queue", report, dropped)
		}
		p.Log("the machine was too busy to read all datagrams in time; once more")
	}
	p.Fatalf("after %d tries the machine is still too busy to tell", rekeyTries)
}

const (
	rekeyTries = 3
	minFlow    = 100
)

// overflows counts what the kernel dropped on both ends because a program was
// not given the processor in time.
func (p *play) overflows() (sum uint64) {
	p.Helper()
	for _, name := range []string{"client", "gateway", "inside"} {
		n, err := p.lab.At(name).Overflows()
		if err != nil {
			p.Fatal(err)
		}
		sum += n
	}
	return sum
}

// rekeyOnce rekeys while datagrams flow and waits until both ends have the new
// SA.
func (p *play) rekeyOnce(what string, start func(context.Context) error) lab.FlowReport {
	p.Helper()
	name := func(t tunnel) string {
		if what == "IKE" {
			return t.ike
		}
		return t.child
	}
	before := map[end]string{p.client: name(p.tunnelOf(p.client)), p.gateway: name(p.tunnelOf(p.gateway))}
	report := p.under(inside4, func() {
		if err := start(p.ctx); err != nil {
			p.Fatal("start the rekeying:", err)
		}
		for e, old := range before {
			tun := p.await(e, 10*time.Second, "a new "+what+" SA at both ends", func(t tunnel) bool { return t.up && name(t) != old })
			if what == "child" && tun.espSuite != p.c.esp {
				p.Errorf("the new child has %s, want %s, with a key exchange of its own", tun.espSuite, p.c.esp)
			}
		}
	})
	return report
}

// reauthenticate: the client logs in anew, and both ends have another IKE SA.
func (p *play) reauthenticate() {
	p.connect()
	p.ping()
	before := p.tunnelOf(p.gateway)
	client, ok := p.client.(*swanEnd)
	if !ok {
		p.Fatal("only strongSwan can be told to")
	}
	if err := client.daemon.Reauthenticate(p.ctx, "tunnel"); err != nil {
		p.Fatal(err)
	}
	p.await(p.gateway, 10*time.Second, "a new IKE SA at the gateway", func(t tunnel) bool { return t.up && t.ike != before.ike })
	p.await(p.client, 10*time.Second, "a tunnel at the client", func(t tunnel) bool { return t.up })
	p.ping()
}

// clientMoves: the client gets another address and keeps its tunnel (RFC 4555).
func (p *play) clientMoves() {
	p.connect()
	p.ping()
	before := p.tunnelOf(p.gateway)
	moveClient(p, "192.168.77.2/24", "192.168.78.2/24", "192.168.78.1", "0.0.0.0/0", !p.c.ipv6)
	moveClient(p, "fd00:77::2/64", "fd00:78::2/64", "fd00:78::1", "::/0", p.c.ipv6)
	if !p.c.nat { // behind NAT the gateway may see the same address again
		p.await(p.gateway, 10*time.Second, "the gateway sees the client at its new address",
			func(t tunnel) bool { return t.up && t.remote.Addr() != before.remote.Addr() })
	}
	p.ping()
	if after := p.tunnelOf(p.gateway); after.ike != before.ike {
		p.Error("the client did not move with its IKE SA but made a new one")
	}
}

// moveClient gives the client's cable another network for the rest of the case.
func moveClient(p *play, from, to, via, everywhere string, now bool) {
	if !now {
		return
	}
	client, router := p.lab.At("client"), p.lab.At("router")
	oldAddr, newAddr := netip.MustParsePrefix(from), netip.MustParsePrefix(to)
	all, hop := netip.MustParsePrefix(everywhere), netip.MustParseAddr(via)
	oldHop := oldAddr.Addr().Prev()
	must := func(err error) {
		p.Helper()
		if err != nil {
			p.Fatal(err)
		}
	}
	must(router.AddAddr("client", netip.PrefixFrom(hop, newAddr.Bits())))
	must(client.AddAddr("router", newAddr))
	must(client.Route(all, hop))
	must(client.RemoveAddr("router", oldAddr))
	p.Cleanup(func() {
		must(client.AddAddr("router", oldAddr))
		must(client.Route(all, oldHop))
		must(client.RemoveAddr("router", newAddr))
		must(router.RemoveAddr("client", netip.PrefixFrom(hop, newAddr.Bits())))
	})
}

// natRebinds: the router forgets its mappings; the tunnel lives on.
func (p *play) natRebinds() {
	p.connect()
	p.ping()
	// A MOBIKE client compares what the gateway sees of it with what it saw in
	// an earlier DPD exchange (RFC 4555, Section 3.8), so let one go by.
	time.Sleep(6 * time.Second)
	before := p.tunnelOf(p.gateway)
	if err := p.lab.At("router").Rebind(p.ctx, "gateway", 30000, 39999); err != nil {
		p.Fatal(err)
	}
	after := p.awaitUnderPing(before)
	p.ping()
	if after.ike != before.ike {
		p.Error("the client did not keep its IKE SA but made a new one")
	}
}

// awaitUnderPing: the gateway learns the new port from the client's packets,
// or from its next DPD exchange.
func (p *play) awaitUnderPing(before tunnel) tunnel {
	p.Helper()
	go p.lab.At("client").AwaitPing(p.ctx, inside4)
	return p.await(p.gateway, 20*time.Second, "the gateway sees the client at its new port",
		func(t tunnel) bool { return t.up && t.remote != before.remote })
}

// largeChain: certificates of 6 KB on both sides over a path that drops IP
// fragments (RFC 7383).
func (p *play) largeChain() {
	if err := p.lab.At("router").DropFragments(p.ctx); err != nil {
		p.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := p.lab.At("client").Ping(ctx, p.s.gatewayAddr, 4000); err == nil {
		p.Fatal("the path passes IP fragments")
	}
	p.connect()
	p.ping()
}

// vanishTime is our own silence of 10 s before a DPD exchange, and then the
// seven transmissions of it over 127 s.
const vanishTime = 150 * time.Second

// vanish: the road is cut, and the end that remains notices.
func (p *play) vanish(survivor end) {
	p.connect()
	p.ping()
	if err := p.lab.At("router").Cut(p.ctx); err != nil {
		p.Fatal(err)
	}
	cut := time.Now()
	p.await(survivor, vanishTime, "the tunnel to a vanished peer ends", func(t tunnel) bool { return !t.up })
	p.Logf("noticed after %v", time.Since(cut).Round(time.Second))
}

// refusedByGateway: no tunnel, the right notify at the client, and a word of
// the reason at the gateway.
func (p *play) refusedByGateway(notify, reasons string) {
	err := p.client.connect(p.ctx, p.s)
	p.noTunnel(err)
	if p.c.auth.eap() { // EAP has words of its own for it
		p.mentions("client", err.Error()+p.client.account(), "EAP_TLS method failed|EAP_TTLS method failed|EAP_MSCHAPV2 method failed|EAP-TLS as|AUTHENTICATION_FAILED|EAP_FAILURE|EAP/FAIL")
	} else if !strings.Contains(err.Error()+p.client.account(), notify) {
		p.Errorf("the client did not get %s: %v", notify, err)
	}
	p.mentions("gateway", p.gateway.account(), reasons)
}

func (p *play) wrongKey() {
	p.refusedByGateway("AUTHENTICATION_FAILED", "AUTH was not made with the pre-shared key|MAC mismatched")
}

// onlySHA1: without a waiver neither end of ours signs with SHA-1 or believes
// such a signature, and says so.
func (p *play) onlySHA1() {
	err := p.client.connect(p.ctx, p.s)
	p.noTunnel(err)
	p.mentions("one of ours", p.client.account()+p.gateway.account(), "SHA-1")
}

// refusedByClient: the gateway is not the one the client wants.
func (p *play) refusedByClient(reasons string) {
	err := p.client.connect(p.ctx, p.s)
	p.noTunnel(err)
	p.mentions("client", err.Error()+p.client.account(), reasons)
}

func (p *play) noTunnel(err error) {
	p.Helper()
	if err == nil {
		p.Fatal("connected, and should have been refused")
	}
	for _, e := range []end{p.client, p.gateway} {
		p.await(e, 3*time.Second, "no tunnel at either end", func(t tunnel) bool { return !t.up })
	}
}

// mentions looks for one of several words, because each implementation has its
// own.
func (p *play) mentions(who, text, words string) {
	p.Helper()
	for word := range strings.SplitSeq(words, "|") {
		if strings.Contains(text, word) {
			return
		}
	}
	p.Errorf("the %s does not tell the reason, none of %q", who, words)
}
