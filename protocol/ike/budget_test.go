package ike

import (
	"runtime"
	"testing"
	"time"
)

// direct runs a set-up between two machines without a network and gives the
// time spent in the responder: in the machine, and in its jobs.
type direct struct {
	w             *world
	machine, jobs time.Duration
}

func (x *direct) setUp(t testing.TB) (i, r *Session) {
	w := x.w
	var outI, outR Out
	timed := func(total *time.Duration, f func()) {
		start := time.Now()
		f()
		*total += time.Since(start)
	}
	i = NewInitiator(w.i.cfg, Connect{Local: w.i.addr, Remote: w.r.addr, Identity: w.i.cred.identity, Child: w.i.child, Request: Request{IPv4: true, DNS: true}}, w.now(), &outI)
	for n := 0; n < 100 && (len(outI.Send)+len(outI.Jobs)+len(outR.Send)+len(outR.Jobs) > 0); n++ {
		for len(outI.Jobs) > 0 {
			j := outI.Jobs[0]
			outI.Jobs = outI.Jobs[1:]
			v, err := w.i.work(j.Task)
			i.Done(w.now(), Result{j.ID, v, err}, &outI)
		}
		for _, d := range outI.Send {
			back := Datagram{Local: d.Remote, Remote: d.Local, Data: d.Data}
			timed(&x.machine, func() {
				if r == nil {
					if v := w.r.front.Receive(w.now(), back, Load{}); v.Action != Accept {
						t.Fatalf("%+v", v)
					}
					r = NewResponder(w.r.cfg, w.now(), back, &outR)
				} else {
					r.Receive(w.now(), back, &outR)
				}
			})
		}
		outI.Reset()
		for len(outR.Jobs) > 0 {
			j := outR.Jobs[0]
			outR.Jobs = outR.Jobs[1:]
			var v any
			var err error
			timed(&x.jobs, func() { v, err = w.r.work(j.Task) })
			timed(&x.machine, func() { r.Done(w.now(), Result{j.ID, v, err}, &outR) })
		}
		for _, d := range outR.Send {
			i.Receive(w.now(), Datagram{Local: d.Remote, Remote: d.Local, Data: d.Data}, &outI)
		}
		outR.Reset()
	}
	if i.Established().IsZero() || r == nil || r.Established().IsZero() {
		t.Fatal("not established")
	}
	return i, r
}

// BenchmarkResponder is one set-up with ECDSA P-256, ECP-256 and AES-GCM.
// machine-ns is what this package costs a responder, jobs-ns the public-key
// work and the chain check beside it.
func BenchmarkResponder(b *testing.B) {
	x := &direct{w: newWorld(b, 1)}
	x.setUp(b)
	x.machine, x.jobs = 0, 0
	b.ReportAllocs()
	for b.Loop() {
		x.setUp(b)
	}
	b.ReportMetric(float64(x.machine.Nanoseconds())/float64(b.N), "machine-ns/op")
	b.ReportMetric(float64(x.jobs.Nanoseconds())/float64(b.N), "jobs-ns/op")
}

// sessionBudget is what an established session may keep on the heap in this
// package; the goal for a whole session with its data plane is 8 KB.
const sessionBudget = 2560

func TestHeapPerEstablishedSession(t *testing.T) {
	const n = 500
	x := &direct{w: newWorld(t, 1)}
	x.setUp(t)
	keep := make([]*Session, 0, n)
	before := heap()
	for range n {
		_, r := x.setUp(t)
		keep = append(keep, r)
	}
	atOnce := (heap() - before) / n
	var out Out
	later := x.w.now().Add(responseKept)
	for _, s := range keep {
		s.lastHeard = later // there is traffic
		s.Timeout(later, &out)
		out.Reset()
	}
	idle := (heap() - before) / n
	t.Logf("%d octets per session right after IKE_AUTH, %d once the last answer is forgotten", atOnce, idle)
	if idle > sessionBudget {
		t.Errorf("%d octets per idle session, the budget is %d", idle, sessionBudget)
	}
	runtime.KeepAlive(keep)
	runtime.KeepAlive(x)
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
