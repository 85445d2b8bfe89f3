package radius

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"sallyport/protocol/radius"
)

// Bounds of the accounting queue.
const (
	// defaultCapacity is two records for each of 30,000 sessions, about 40 MiB at
	// the worst: an accounting server may be away while everybody logs in.
	defaultCapacity = 60_000
	// maxInFlight leaves identifiers for retries and spares the server after an
	// outage.
	maxInFlight = 64
	// firstPause and lastPause are how long nothing is sent after no server
	// answered; each request has waited out its own plan before.
	firstPause = time.Second
	lastPause  = time.Minute
	// saveEvery is how much is lost by a sudden end while servers are down.
	saveEvery = 5 * time.Second
)

// AccountingConfig is what an Accounting is opened with.
type AccountingConfig struct {
	Client   *Client      // of the accounting servers
	File     string       // where records wait over a restart; empty for nowhere
	Capacity int          // records; default 60,000
	Logger   *slog.Logger // nil for none
}

// Accounting delivers records, each session's in order, for as long as it takes
// a server to answer (RFC 2866, Section 2: until acknowledged). It is bounded:
// a newer update takes the place of an older one, and what does not fit is
// dropped and counted. It is safe for concurrent use.
type Accounting struct {
	cfg  AccountingConfig
	wake chan struct{}
	done chan struct{}
	stop context.CancelFunc

	mu       sync.Mutex
	sessions map[string]*backlog
	ready    []*backlog // whose first record may be sent, in order
	count    int        // records in all backlogs, those being sent included
	inFlight int
	barrier  bool // an Accounting-On or -Off is being sent
	pause    time.Duration
	resume   time.Time
	closed   bool
	status   AccountingStatus
}

// backlog is what a session has waiting. The first one may be on its way.
type backlog struct {
	session string
	records []radius.Record
	sending bool
}

// AccountingStatus is how the queue stands.
type AccountingStatus struct {
	Waiting   int       // records without an answer
	Delivered uint64    // acknowledged by a server
	Merged    uint64    // updates that a newer record made needless
	Refused   uint64    // by a server that does no accounting (RFC 6614, Section 2.5)
	Lost      uint64    // for want of room
	Failing   time.Time // since when no server answers; zero when one does
}

// ErrFull says that a record was dropped because the queue is full.
var ErrFull = errors.New("radius: accounting queue is full: no accounting server has answered for long")

// OpenAccounting begins to deliver: first what waited in the file, then an
// Accounting-On, by which the server learns that no session of before lives
// (RFC 2866, Section 5.1).
func OpenAccounting(cfg AccountingConfig) (*Accounting, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Capacity == 0 {
		cfg.Capacity = defaultCapacity
	}
	a := &Accounting{cfg: cfg, wake: make(chan struct{}, 1), done: make(chan struct{}), sessions: make(map[string]*backlog)}
	old, err := a.load()
	if err != nil {
		return nil, err
	}
	for _, r := range old {
		a.Add(r) // what a smaller capacity has no room for is counted
	}
	if err := a.Add(radius.Record{Status: radius.AcctOn, Time: time.Now()}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	go a.run(ctx)
	return a, nil
}

// Add takes a record and never waits. The only error is ErrFull.
func (a *Accounting) Add(r radius.Record) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.sessions[r.SessionID]
	if b != nil && !a.closed && b.merge(&r) {
		a.status.Merged++
		a.count--
	}
	if a.count >= a.cfg.Capacity || a.closed {
		a.status.Lost++
		return ErrFull
	}
	if b == nil {
		b = &backlog{session: r.SessionID}
		a.sessions[r.SessionID] = b
		a.ready = append(a.ready, b)
	}
	b.records = append(b.records, r)
	a.count++
	a.poke()
	return nil
}

// merge takes out the update that waits last, when r tells all it told: octets
// are counted from the beginning of the session.
func (b *backlog) merge(r *radius.Record) bool {
	last := len(b.records) - 1
	if r.Status != radius.AcctInterim && r.Status != radius.AcctStop || b.records[last].Status != radius.AcctInterim || last == 0 && b.sending {
		return false
	}
	b.records = b.records[:last]
	return true
}

// Status tells how the queue stands.
func (a *Accounting) Status() AccountingStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.status
	s.Waiting = a.count
	return s
}

// Close adds an Accounting-Off, waits until everything is delivered or ctx
// ends, and saves what is left. The error says that it could not be saved. A
// second Close does nothing.
func (a *Accounting) Close(ctx context.Context) error {
	a.mu.Lock()
	again := a.closed
	a.mu.Unlock()
	if again {
		return nil
	}
	if err := a.Add(radius.Record{Status: radius.AcctOff, Time: time.Now()}); err != nil {
		a.cfg.Logger.Warn("RADIUS accounting ends without Accounting-Off", "error", err.Error())
	}
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for a.Status().Waiting > 0 && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	a.stop()
	<-a.done
	return a.save(true)
}

func (a *Accounting) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run sends what may be sent, and saves.
func (a *Accounting) run(ctx context.Context) {
	defer close(a.done)
	saving := time.NewTimer(saveEvery)
	defer saving.Stop()
	for {
		wait := a.send()
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-time.After(wait):
		case begun := <-saving.C:
			if err := a.save(false); err != nil {
				a.cfg.Logger.Error("RADIUS accounting records are not saved, and would be lost in a restart", "error", err.Error())
			}
			// A long queue takes long to save, and may have a tenth of the time.
			saving.Reset(max(saveEvery, 10*time.Since(begun)))
		}
	}
}

// send begins as many records as it may, and tells how long to rest.
func (a *Accounting) send() time.Duration {
	for {
		b, r, wait := a.next(time.Now())
		if b == nil {
			return wait
		}
		a.cfg.Client.Do(r, func(reply radius.Reply, err error) { a.answered(b, reply, err) })
	}
}

// next is the first record whose turn it is.
func (a *Accounting) next(now time.Time) (*backlog, radius.Request, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case now.Before(a.resume):
		return nil, radius.Request{}, a.resume.Sub(now)
	case len(a.ready) == 0 || a.inFlight == maxInFlight || a.barrier:
		return nil, radius.Request{}, time.Hour
	}
	b := a.ready[0]
	// An Accounting-On that overtook a Start would end a living session.
	if b.session == "" {
		if a.inFlight > 0 {
			return nil, radius.Request{}, time.Hour
		}
		a.barrier = true
	}
	a.ready[0] = nil
	a.ready = a.ready[1:]
	b.sending = true
	a.inFlight++
	return b, b.records[0].Request(now), 0
}

// answered is called by the client.
func (a *Accounting) answered(b *backlog, reply radius.Reply, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.poke()
	a.inFlight--
	b.sending = false
	if b.session == "" {
		a.barrier = false
	}
	if err != nil {
		a.failed(b, err)
		return
	}
	a.recovered()
	a.status.Delivered++
	if reply.Has(radius.ErrorCauseAttr) {
		a.status.Delivered--
		if a.status.Refused++; a.status.Refused == 1 {
			a.cfg.Logger.Error("RADIUS server refuses accounting: send it to another one", "server", a.cfg.Client.cfg.Servers[reply.Server].name())
		}
	}
	a.count--
	if b.records = b.records[1:]; len(b.records) == 0 {
		delete(a.sessions, b.session)
		return
	}
	a.ready = append(a.ready, b)
}

// failed puts a record back, in front, and rests. After Close nothing is tried
// any more, and the record is saved.
func (a *Accounting) failed(b *backlog, err error) {
	a.ready = append([]*backlog{b}, a.ready...)
	now := time.Now()
	if a.status.Failing.IsZero() && !errors.Is(err, radius.ErrClosed) {
		a.status.Failing = now
		a.cfg.Logger.Warn("RADIUS accounting is not delivered, and waits", "waiting", a.count, "error", err.Error())
	}
	if now.Before(a.resume) {
		return // another of the same outage
	}
	a.pause = min(max(2*a.pause, firstPause), lastPause)
	a.resume = now.Add(a.pause)
}

func (a *Accounting) recovered() {
	a.pause, a.resume = 0, time.Time{}
	if !a.status.Failing.IsZero() {
		a.cfg.Logger.Info("RADIUS accounting is delivered again", "waiting", a.count, "for", time.Since(a.status.Failing).Round(time.Second).String())
		a.status.Failing = time.Time{}
	}
}
