package radius

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sallyport/internal/secret"
)

// chance repeats itself.
type chance struct{ *rand.ChaCha8 }

func newChance(seed byte) chance { return chance{rand.NewChaCha8([32]byte{seed})} }

// bench is a client with time and servers that the test plays.
type bench struct {
	t   *testing.T
	c   *Client
	now time.Time
	out ClientOut
}

func newBench(t *testing.T, cfg ClientConfig) *bench {
	t.Helper()
	cfg.random = newChance(1)
	cfg.Common = []Attribute{TextAttr(NASIdentifier, "gw")}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, c: c, now: time.Unix(1_700_000_000, 0)}
}

func servers(n int) []Server {
	var all []Server
	for i := range n {
		all = append(all, Server{Name: string(rune('a' + i)), Secret: secret.Bytes("secret " + string(rune('a'+i)))})
	}
	return all
}

// send begins a request and gives what was sent.
func (b *bench) send(r Request) (uint64, Transmission) {
	b.t.Helper()
	b.out.Reset()
	id := b.c.Send(b.now, r, &b.out)
	if len(b.out.Send) != 1 {
		b.t.Fatalf("%d packets were sent: %+v", len(b.out.Send), b.out)
	}
	return id, b.out.Send[0]
}

// wait lets time pass to the next deadline.
func (b *bench) wait() time.Duration {
	b.t.Helper()
	b.out.Reset()
	d := b.c.Deadline()
	if d.IsZero() {
		b.t.Fatal("there is nothing to wait for")
	}
	passed := max(d.Sub(b.now), 0)
	b.now = b.now.Add(passed)
	b.c.Timeout(b.now, &b.out)
	return passed
}

func (b *bench) receive(at Path, data []byte) {
	b.out.Reset()
	b.c.Receive(b.now, at, data, &b.out)
}

// answer is what the server makes of a request.
func (b *bench) answer(x Transmission, code Code, attributes ...Attribute) []byte {
	b.t.Helper()
	q := parsed(b.t, x.Data)
	p := Packet{Code: code, Identifier: q.Identifier, Attributes: attributes}
	data, err := p.AppendReply(nil, q.Authenticator, b.c.servers[x.Path.Server].Secret)
	if err != nil {
		b.t.Fatal(err)
	}
	return data
}

func (b *bench) drops(server int) Counters { return b.c.Status()[server].Drops }

var login = Request{Code: AccessRequest, Attributes: []Attribute{TextAttr(UserName, "alice")}}

func TestAnAnswerEndsARequest(t *testing.T) {
	b := newBench(t, ClientConfig{Servers: servers(1)})
	id, x := b.send(login)
	q := parsed(t, x.Data)
	if d := checkSignature(x.Data, q.Authenticator, secret.Bytes("secret a"), true); d != 0 || !q.Has(NASIdentifier) || !q.Has(UserName) {
		t.Errorf("the request: %v, %v", d, q.Attributes)
	}
	b.receive(x.Path, b.answer(x, AccessReject, TextAttr(ReplyMessage, "no")))
	if len(b.out.Results) != 1 || b.out.Results[0].ID != id || b.out.Results[0].Err != nil || b.out.Results[0].Reply.Code != AccessReject {
		t.Fatalf("%+v", b.out)
	}
	if !b.c.Deadline().IsZero() || len(b.c.pending) != 0 || b.c.servers[0].outstanding != 0 {
		t.Error("something is left over")
	}
	b.receive(x.Path, b.answer(x, AccessReject))
	if len(b.out.Results) != 0 || b.drops(0)[DropUnasked] != 1 {
		t.Errorf("the duplicate: %+v, %v", b.out, b.drops(0))
	}
}

func TestForgedAnswersAreDroppedAndCounted(t *testing.T) {
	b := newBench(t, ClientConfig{Servers: servers(1)})
	_, x := b.send(login)
	q := parsed(t, x.Data)
	good := b.answer(x, AccessAccept, OctetsAttr(Class, []byte("c")))
	key := secret.Bytes("secret a")
	// rehash makes the Response Authenticator good again, which is what the MD5
	// collision of CVE-2024-3596 gets an attacker who does not know the secret.
	rehash := func(data []byte) []byte {
		data[2], data[3] = byte(len(data)>>8), byte(len(data))
		sum := hash(data, q.Authenticator, key)
		copy(data[4:], sum[:])
		return data
	}
	edit := func(change func(data []byte) []byte) []byte { return change(bytes.Clone(good)) }
	other := newBench(t, ClientConfig{Servers: servers(1)})
	other.c.cfg.random = newChance(2)
	_, elsewhere := other.send(login)

	for _, c := range []struct {
		name string
		data []byte
		want Drop
	}{
		{"nothing", nil, DropMalformed},
		{"truncated", good[:len(good)-1], DropMalformed},
		{"a header", good[:HeaderSize], DropMalformed},
		{"attribute of length 0", edit(func(d []byte) []byte { d[len(d)-2] = 0; return rehash(d) }), DropMalformed},
		{"attribute of length 1", edit(func(d []byte) []byte { d[len(d)-2] = 1; return rehash(d) }), DropMalformed},
		{"attribute too long", edit(func(d []byte) []byte { d[len(d)-2] = 200; return rehash(d) }), DropMalformed},
		{"another identifier", edit(func(d []byte) []byte { d[1]++; return d }), DropUnasked},
		{"a rejection turned to acceptance", func() []byte { d := b.answer(x, AccessReject); d[0] = byte(AccessAccept); return d }(), DropAuthenticator},
		{"the same with the hash collided, without Message-Authenticator", edit(func(d []byte) []byte { return rehash(append(d[:HeaderSize], d[HeaderSize+18:]...)) }), DropNoMessageAuthenticator},
		{"the same with Proxy-State stuffing", func() []byte {
			d := append([]byte{byte(AccessAccept), x.Data[1], 0, 0}, make([]byte, 16)...)
			return rehash(append(d, append([]byte{byte(ProxyState), 220}, make([]byte, 218)...)...))
		}(), DropNoMessageAuthenticator},
		{"a wrong Message-Authenticator", edit(func(d []byte) []byte { d[HeaderSize+5] ^= 1; return rehash(d) }), DropMessageAuthenticator},
		{"an attribute changed under it", edit(func(d []byte) []byte { d[len(d)-1] ^= 1; return rehash(d) }), DropMessageAuthenticator},
		{"a Message-Authenticator twice", edit(func(d []byte) []byte { return rehash(append(d, d[HeaderSize:HeaderSize+18]...)) }), DropMessageAuthenticator},
		{"a short Message-Authenticator", edit(func(d []byte) []byte { d[HeaderSize+1] = 17; d[HeaderSize+17] = 0; return rehash(d) }), 0},
		{"a signed Proxy-State that we never sent", b.answer(x, AccessAccept, OctetsAttr(ProxyState, []byte("x"))), DropProxyState},
		{"an answer to accounting", b.answer(x, AccountingResponse), DropCode},
		{"our own request sent back", x.Data, DropCode},
		{"made with another secret", func() []byte {
			p := Packet{Code: AccessAccept, Identifier: q.Identifier}
			d, _ := p.AppendReply(nil, q.Authenticator, secret.Bytes("secret b"))
			return d
		}(), DropAuthenticator},
		{"the answer to another request", other.answer(elsewhere, AccessAccept), DropAuthenticator},
	} {
		before := b.drops(0)
		b.receive(x.Path, c.data)
		after := b.drops(0)
		if len(b.out.Results) != 0 {
			t.Errorf("%s: accepted", c.name)
		}
		if c.want != 0 && after[c.want] != before[c.want]+1 || after.Total() != before.Total()+1 {
			t.Errorf("%s: not counted as %s: %v", c.name, c.want, after)
		}
	}
	b.receive(Path{0, 1}, good)
	if len(b.out.Results) != 0 {
		t.Error("an answer from another socket is accepted")
	}
	// After all of that the true answer still counts.
	b.receive(x.Path, good)
	if len(b.out.Results) != 1 {
		t.Errorf("the good answer is lost: %v", b.drops(0))
	}
}

func TestEveryBitOfAnAnswerCounts(t *testing.T) {
	b := newBench(t, ClientConfig{Servers: servers(1)})
	_, x := b.send(login)
	good := b.answer(x, AccessAccept, TextAttr(FilterID, "staff"))
	for bit := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		b.receive(x.Path, bad)
		if len(b.out.Results) != 0 {
			t.Fatalf("with bit %d of octet %d turned the answer is accepted", bit%8, bit/8)
		}
	}
}

func TestRetransmissionFollowsRFC5080(t *testing.T) {
	b := newBench(t, ClientConfig{Servers: servers(1)})
	begun := b.now
	id, first := b.send(login)
	want := 2 * time.Second
	for n := range 4 {
		passed := b.wait()
		if n < 3 && (passed < want*8/10 || passed > want*12/10+want/5) {
			t.Errorf("transmission %d after %s, want about %s", n+2, passed, want)
		}
		if len(b.out.Results) == 1 {
			break
		}
		if len(b.out.Send) != 1 || !bytes.Equal(b.out.Send[0].Data, first.Data) || b.out.Send[0].Path != first.Path {
			t.Fatalf("transmission %d is not the same octets over the same path", n+2)
		}
		want = min(2*want, 16*time.Second)
	}
	for len(b.out.Results) == 0 {
		b.wait()
	}
	if r := b.out.Results[0]; r.ID != id || !errors.Is(r.Err, ErrTimeout) || b.now.Sub(begun) > 30*time.Second {
		t.Errorf("%+v after %s", r, b.now.Sub(begun))
	}
	if !b.c.Status()[0].Dead || len(b.out.States) != 1 || !b.out.States[0].Dead {
		t.Errorf("the server is not found dead: %+v", b.c.Status())
	}
	if b.c.servers[0].outstanding != 0 || len(b.c.pending) != 0 {
		t.Error("something is left over")
	}
}

func TestJitterDiffers(t *testing.T) {
	var seen []time.Duration
	for seed := range byte(5) {
		b := newBench(t, ClientConfig{Servers: servers(1)})
		b.c.cfg.random = newChance(seed)
		b.send(login)
		d := b.wait()
		if d < 1800*time.Millisecond || d > 2200*time.Millisecond {
			t.Errorf("the first wait is %s", d)
		}
		seen = append(seen, d)
	}
	slices.Sort(seen)
	if len(slices.Compact(seen)) < 4 {
		t.Errorf("waits are %v", seen)
	}
}

func TestTheNextServerIsAskedWithItsOwnSecret(t *testing.T) {
	b := newBench(t, ClientConfig{Servers: servers(3)})
	id, x := b.send(login)
	for x.Path.Server == 0 {
		b.wait()
		x = b.out.Send[0]
	}
	if x.Path.Server != 1 || !b.c.Status()[0].Dead {
		t.Fatalf("%+v, %+v", x.Path, b.c.Status())
	}
	q := parsed(t, x.Data)
	if d := checkSignature(x.Data, q.Authenticator, secret.Bytes("secret b"), true); d != 0 {
		t.Errorf("the request to the second server: %v", d)
	}
	b.receive(x.Path, b.answer(x, AccessAccept))
	if len(b.out.Results) != 1 || b.out.Results[0].ID != id || b.out.Results[0].Reply.Server != 1 {
		t.Fatalf("%+v", b.out)
	}
	// While it is dead the first server is not asked again, and then it is.
	_, x = b.send(login)
	if x.Path.Server != 1 {
		t.Errorf("the next request goes to server %d", x.Path.Server)
	}
	b.now = b.now.Add(2 * time.Minute)
	_, x = b.send(login)
	if x.Path.Server != 0 {
		t.Errorf("after the dead time a request goes to server %d", x.Path.Server)
	}
	b.receive(x.Path, b.answer(x, AccessAccept))
	if b.c.Status()[0].Dead || len(b.out.States) != 1 || b.out.States[0].Dead {
		t.Errorf("it is not found alive: %+v", b.out.States)
	}
}

func TestPinnedRequestsStay(t *testing.T) {
	b := newBench(t, ClientConfig{Servers: servers(2)})
	r := login
	r.Pin = 1
	b.send(r)
	n := 1
	for len(b.out.Results) == 0 {
		b.wait()
		for _, x := range b.out.Send {
			n++
			if x.Path.Server != 0 {
				t.Fatalf("a pinned request goes to server %d", x.Path.Server)
			}
		}
	}
	if n < 4 || !errors.Is(b.out.Results[0].Err, ErrTimeout) {
		t.Errorf("%d transmissions, %v", n, b.out.Results[0].Err)
	}
	r.Pin = 9
	b.out.Reset()
	b.c.Send(b.now, r, &b.out)
	if len(b.out.Results) != 1 || b.out.Results[0].Err == nil {
		t.Errorf("a server that is not there: %+v", b.out)
	}
}

func TestADeadServerComesBackByStatusServer(t *testing.T) {
	all := servers(2)
	all[0].Status = true
	b := newBench(t, ClientConfig{Servers: all})
	b.send(login)
	for !b.c.Status()[0].Dead {
		b.wait()
	}
	proofs := 0
	for b.c.Status()[0].Dead {
		b.wait()
		for _, x := range b.out.Send {
			if q := parsed(t, x.Data); x.Path.Server == 0 && q.Code == StatusServer {
				// It answers as RFC 5997 shows it: bare.
				p := Packet{Code: AccessAccept, Identifier: q.Identifier}
				data, _ := p.Append(nil)
				sum := hash(data, q.Authenticator, secret.Bytes("secret a"))
				copy(data[4:], sum[:])
				b.receive(x.Path, data)
				proofs++
			}
		}
		if proofs > 5 {
			t.Fatal("it does not come back")
		}
	}
	if proofs != 3 {
		t.Errorf("%d answers brought it back, want 3", proofs)
	}
}

func TestAStatusServerIsNotSentTwice(t *testing.T) {
	all := servers(1)
	all[0].Status = true
	b := newBench(t, ClientConfig{Servers: all})
	b.send(login)
	var seen [][]byte
	for len(seen) < 4 {
		b.wait()
		for _, x := range b.out.Send {
			if parsed(t, x.Data).Code == StatusServer {
				seen = append(seen, x.Data)
			}
		}
	}
	for i, a := range seen {
		for _, c := range seen[i+1:] {
			if bytes.Equal(a[4:20], c[4:20]) {
				t.Error("a Status-Server was sent again (RFC 5997, Section 4.1)")
			}
		}
	}
}

func TestNobodyAnswersAndNobodyIsLetIn(t *testing.T) {
	b := newBench(t, ClientConfig{Servers: servers(3)})
	begun := b.now
	b.send(login)
	for len(b.out.Results) == 0 {
		b.wait()
	}
	if !errors.Is(b.out.Results[0].Err, ErrTimeout) || b.now.Sub(begun) > 31*time.Second {
		t.Errorf("%v after %s", b.out.Results[0].Err, b.now.Sub(begun))
	}
	// With all of them dead a request is still tried: one may be back.
	_, x := b.send(login)
	b.receive(x.Path, b.answer(x, AccessAccept))
	if len(b.out.Results) != 1 || b.out.Results[0].Err != nil {
		t.Errorf("%+v", b.out)
	}
}

func TestIdentifiersAreBounded(t *testing.T) {
	b := newBench(t, ClientConfig{Servers: servers(1)})
	used := map[Path]map[uint8]bool{}
	for range 256 * MaxPaths {
		_, x := b.send(login)
		if used[x.Path] == nil {
			used[x.Path] = map[uint8]bool{}
		}
		if used[x.Path][x.Data[1]] {
			t.Fatalf("identifier %d of %v is used twice", x.Data[1], x.Path)
		}
		used[x.Path][x.Data[1]] = true
	}
	b.out.Reset()
	b.c.Send(b.now, login, &b.out)
	if len(b.out.Results) != 1 || !errors.Is(b.out.Results[0].Err, ErrBusy) || len(b.out.Send) != 0 {
		t.Errorf("beyond the bound: %+v", b.out.Results)
	}
	b.c.Close(&b.out)
	if len(b.c.pending) != 0 || b.c.servers[0].outstanding != 0 || len(b.c.queue) != 0 {
		t.Error("something is left over after Close")
	}
}

func TestAFreedIdentifierRestsBeforeItIsUsedAgain(t *testing.T) {
	b := newBench(t, ClientConfig{Servers: servers(1)})
	var last []uint8
	for range 256 {
		_, x := b.send(login)
		if slices.Contains(last, x.Data[1]) {
			t.Fatalf("identifier %d is used again after %d requests", x.Data[1], len(last))
		}
		last = append(last, x.Data[1])
		b.receive(x.Path, b.answer(x, AccessReject))
	}
}

func TestAStreamSendsOnceAndIsWatched(t *testing.T) {
	all := servers(1)
	all[0].Stream, all[0].Status = true, true
	b := newBench(t, ClientConfig{Servers: all})
	_, x := b.send(login)
	b.receive(x.Path, b.answer(x, AccessAccept))
	// The watchdog asks on the idle connection, and is answered.
	b.wait()
	if len(b.out.Send) == 0 {
		b.wait()
	}
	if len(b.out.Send) != 1 || parsed(t, b.out.Send[0].Data).Code != StatusServer {
		t.Fatalf("%+v", b.out)
	}
	probe := b.out.Send[0]
	b.receive(probe.Path, b.answer(probe, AccessAccept))
	if b.c.Status()[0].Dead {
		t.Error("dead after an answer")
	}
	// The next one is not answered: the connection is to be closed.
	for n := 0; len(b.out.Close) == 0; n++ {
		b.wait()
		if n > 10 {
			t.Fatal("a silent stream stays open")
		}
	}
	if !b.c.Status()[0].Dead || b.out.Close[0] != x.Path {
		t.Errorf("%+v, %+v", b.c.Status(), b.out.Close)
	}
}

func TestALostStreamIsTriedOnceMore(t *testing.T) {
	all := servers(2)
	all[0].Stream, all[1].Stream = true, true
	b := newBench(t, ClientConfig{Servers: all})
	id, x := b.send(login)
	b.out.Reset()
	b.c.Lost(b.now, x.Path, &b.out)
	if len(b.out.Send) != 1 || b.out.Send[0].Path.Server != 0 || b.c.Status()[0].Dead {
		t.Fatalf("after the first loss: %+v", b.out)
	}
	b.out.Reset()
	b.c.Lost(b.now, x.Path, &b.out)
	if len(b.out.Send) != 1 || b.out.Send[0].Path.Server != 1 || !b.c.Status()[0].Dead {
		t.Fatalf("after the second loss: %+v", b.out)
	}
	b.out.Reset()
	b.c.Lost(b.now, Path{1, 0}, &b.out)
	if len(b.out.Results) != 1 || b.out.Results[0].ID != id || !errors.Is(b.out.Results[0].Err, ErrLost) {
		t.Fatalf("after the last: %+v", b.out)
	}
}

func TestCancelledRequestsAreForgotten(t *testing.T) {
	b := newBench(t, ClientConfig{Servers: servers(1)})
	id, x := b.send(login)
	b.c.Cancel(id)
	b.receive(x.Path, b.answer(x, AccessAccept))
	if len(b.out.Results) != 0 || b.c.servers[0].outstanding != 0 || !b.c.Deadline().IsZero() {
		t.Errorf("%+v", b.out)
	}
	b.c.Cancel(id)
}

func TestLossAndReorderingNeverLeak(t *testing.T) {
	for seed := range byte(100) {
		b := newBench(t, ClientConfig{Servers: servers(3)})
		dice := rand.New(newChance(seed + 100))
		open := map[uint64]bool{}
		var wire []Transmission
		drain := func() {
			for _, r := range b.out.Results {
				if !open[r.ID] {
					t.Fatalf("seed %d: request %d ends twice", seed, r.ID)
				}
				delete(open, r.ID)
			}
			wire = append(wire, b.out.Send...)
			b.out.Reset()
		}
		for range 40 {
			open[b.c.Send(b.now, login, &b.out)] = true
			drain()
		}
		for n := 0; len(open) > 0; n++ {
			if n > 10_000 {
				t.Fatalf("seed %d: %d requests do not end", seed, len(open))
			}
			if len(wire) > 0 && dice.IntN(2) == 0 {
				i := dice.IntN(len(wire))
				x := wire[i]
				if dice.IntN(3) > 0 {
					wire = slices.Delete(wire, i, i+1)
				}
				if dice.IntN(3) > 0 {
					b.c.Receive(b.now, x.Path, b.answer(x, AccessAccept), &b.out)
				}
			} else if d := b.c.Deadline(); !d.IsZero() {
				b.now = d
				b.c.Timeout(b.now, &b.out)
			}
			drain()
		}
		for _, s := range b.c.servers {
			if s.outstanding != 0 {
				t.Fatalf("seed %d: server %s has %d outstanding", seed, s.Name, s.outstanding)
			}
		}
		if len(b.c.pending) != 0 || len(b.c.queue) != 0 {
			t.Fatalf("seed %d: %d pending, %d timers", seed, len(b.c.pending), len(b.c.queue))
		}
	}
}

func FuzzClientReceive(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(f, v))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBench(t, ClientConfig{Servers: servers(1)})
		_, x := b.send(login)
		if data = bytes.Clone(data); len(data) > 1 {
			data[1] = x.Data[1]
		}
		b.receive(x.Path, data)
		if len(b.out.Results) != 0 {
			t.Fatalf("accepted %x", data)
		}
	})
}
