package hostile

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"sallyport/gateway"
	"sallyport/protocol/ike/ikemsg"
)

// promised is what the gateway has acknowledged: commands that returned
// success and addresses that were handed out.
type promised struct {
	mu      sync.Mutex
	users   map[string]bool
	devices map[string]device
	revoked map[string]bool
	leases  map[string]netip.Addr
}

// TestNothingPromisedIsLostWhenTheServerIsKilled kills the server at random
// moments while devices are added, revoked, and come and go.
func TestNothingPromisedIsLostWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	p := &promised{users: map[string]bool{}, devices: map[string]device{}, revoked: map[string]bool{}, leases: map[string]netip.Addr{}}
	for n := range 4 {
		d := w.enrol("resident", fmt.Sprintf("resident-%d", n))
		p.devices[d.name] = d
	}
	p.users["resident"] = true

	const rounds = 4
	for round := range rounds {
		stop, busy := make(chan struct{}), sync.WaitGroup{}
		busy.Go(func() { p.enrolUntil(w, round, stop) })
		busy.Go(func() { p.comeAndGoUntil(w, stop) })
		time.Sleep(200*time.Millisecond + rand.N(900*time.Millisecond))
		w.server.Kill()
		<-w.server.Done()
		close(stop)
		busy.Wait()
		w.serve()
		p.check(w)
		if t.Failed() {
			t.Fatalf("after kill %d of %d", round+1, rounds)
		}
	}
	t.Logf("after %d kills: %d users, %d devices, %d revocations and %d leases are as promised", rounds, len(p.users), len(p.devices), len(p.revoked), len(p.leases))
	if len(p.revoked) == 0 || len(p.leases) == 0 {
		t.Error("nothing was revoked or leased: the kills proved nothing")
	}
}

// enrolUntil adds a user, two devices, and revokes one of them, again and
// again. What returns an error is not promised.
func (p *promised) enrolUntil(w *world, round int, stop chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		user := fmt.Sprintf("user-%d-%d", round, n)
		if _, err := w.try("user", "add", user); err == nil {
			p.note(func() { p.users[user] = true })
		}
		var names []string
		for _, suffix := range []string{"a", "b"} {
			name := user + suffix
			if _, err := w.try("device", "add", name, "--user", user, "--out", deviceDir); err == nil {
				p.note(func() { p.devices[name] = device{name: name, user: user} })
				names = append(names, name)
			}
		}
		if len(names) == 2 {
			if _, err := w.try("device", "revoke", names[0]); err == nil {
				p.note(func() { p.revoked[names[0]] = true })
			}
		}
	}
}

// comeAndGoUntil connects the residents in turn and remembers what they were
// given. A device keeps its address, so it must be the same each time.
func (p *promised) comeAndGoUntil(w *world, stop chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		name := fmt.Sprintf("resident-%d", n%4)
		var who device
		p.note(func() { who = p.devices[name] })
		c := w.newPeer(who)
		err := c.connectOnce()
		if err == nil {
			p.note(func() {
				if had, ok := p.leases[name]; ok && had != c.leased {
					w.Errorf("%s had %v and got %v", name, had, c.leased)
				}
				p.leases[name] = c.leased
			})
			if n%2 == 0 {
				c.send(c.seal(ikemsg.ExchangeInformational, ikemsg.PayloadDelete, []byte{0, 0, 0, 8, 1, 0, 0, 0}))
			}
		}
		c.sock.Close()
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *promised) note(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// connectOnce gives up soon: the server may be dead.
func (p *peer) connectOnce() error {
	done := make(chan error, 1)
	go func() { done <- p.connect() }()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Second):
		return errSilence
	}
}

// check holds the restarted server against every promise.
func (p *promised) check(w *world) {
	w.Helper()
	users, err := ask[[]gateway.User](w, "user", "list")
	w.must(err)
	devices, err := ask[[]gateway.Device](w, "device", "list")
	w.must(err)
	haveUsers, haveDevices := map[string]bool{}, map[string]gateway.Device{}
	for _, u := range users {
		haveUsers[u.Name] = true
	}
	for _, d := range devices {
		haveDevices[d.Name] = d
	}
	for name := range p.users {
		if !haveUsers[name] {
			w.Errorf("user %s is lost", name)
		}
	}
	for name := range p.devices {
		d, ok := haveDevices[name]
		if !ok {
			w.Errorf("device %s is lost", name)
		}
		if p.revoked[name] && d.Revoked.IsZero() {
			w.Errorf("the revocation of %s is lost", name)
		}
	}
	tried := 0
	for name := range p.revoked {
		if tried++; tried > 3 {
			break
		}
		if err := w.newPeer(w.keyOf(device{name: name, identity: haveDevices[name].Identity})).connect(); refusal(err) != ikemsg.NotifyAuthenticationFailed {
			w.Errorf("revoked device %s: %v, want AUTHENTICATION_FAILED", name, err)
		}
	}
	for name, had := range p.leases {
		c := w.newPeer(p.devices[name]).mustConnect()
		if c.leased != had {
			w.Errorf("%s had %v and came back to %v", name, had, c.leased)
		}
		if !c.ping(c.leased, 5*time.Second) {
			w.Errorf("%s has no working tunnel after the restart", name)
		}
		c.gone()
	}
}
