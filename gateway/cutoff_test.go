package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
)

func today(add int) Date { return Date(time.Now().UTC().AddDate(0, 0, add).Format(time.DateOnly)) }

func until(t *testing.T, g *Gateway, user string, day Date) User {
	t.Helper()
	return call[User](t, g.Client(), http.MethodPatch, "/v1/users/"+user, SetUser{L2TPUntil: &day})
}

func TestAUserIsRefusedOverL2TPAfterTheLastDay(t *testing.T) {
	g := newGateway(t, l2tpZones)
	enrol(t, g, "pc", "printers")
	laptop := enrol(t, g, "laptop", "staff")
	call[UserAdded](t, g.Client(), http.MethodPost, "/v1/users", NewUser{Name: "bob", Zone: "printers", Password: goodPassword})
	pc := ownerOfDevice(t, g, "pc")
	logins := map[string]func() error{
		"alice": func() error {
			_, err := overL2TP(g, config.Certificate, pc, eap.Success{Method: eap.TypeTLS, Identity: pc.identity, Value: pc})
			return err
		},
		"bob": func() error {
			_, err := overL2TP(g, groupPSK, peer{}, eap.Success{Method: eap.TypePEAP, Identity: "bob"})
			return err
		},
	}
	for user, login := range logins {
		for day, want := range map[Date]bool{"": true, today(0): true, today(30): true, today(-1): false} {
			if u := until(t, g, user, day); u.L2TPUntil != day {
				t.Errorf("%s was given until %q, the record has %q", user, day, u.L2TPUntil)
			}
			err := login()
			if (err == nil) != want {
				t.Errorf("%s, until %q: %v, want it let in: %v", user, day, err, want)
			}
			r, refused := errors.AsType[*ike.Refusal](err)
			if !want && (!refused || !strings.Contains(r.Reason, string(day)) || !strings.Contains(r.Hint, "IKEv2")) {
				t.Errorf("%s: the record says %v, want the day and a way to IKEv2", user, err)
			}
		}
	}
	until(t, g, "alice", today(-1))
	dial(t, laptop).connect(t, g) // IKEv2 goes on
}

func TestADateIsADate(t *testing.T) {
	g := newGateway(t, l2tpZones)
	enrol(t, g, "pc", "printers")
	for _, wrong := range []Date{"tomorrow", "2027-02-30", "2027-6-1", "30.06.2027"} {
		refusedAs(t, g.Client(), http.StatusBadRequest, "2027-06-30", http.MethodPatch, "/v1/users/alice", SetUser{L2TPUntil: &wrong})
	}
	until(t, g, "alice", "2027-06-30")
	group := []string{}
	if u := call[User](t, g.Client(), http.MethodPatch, "/v1/users/alice", SetUser{Groups: &group}); u.L2TPUntil != "2027-06-30" {
		t.Errorf("another change left %q", u.L2TPUntil)
	}
	call[Imported](t, g.Client(), http.MethodPost, "/v1/users/import", Import{Update: true, Users: []NewUser{{Name: "alice", Password: goodPassword}}})
	if u, _ := g.registry.User("alice"); u.L2TPUntil != "2027-06-30" || !u.Password {
		t.Errorf("an import left %+v", u)
	}
}

func TestSessionsOverL2TPEndWithTheirDay(t *testing.T) {
	inTwoDays := string(today(2))
	for what, c := range map[string]struct {
		zones string
		end   func(*testing.T, *Gateway)
	}{
		"the user's record changes": {l2tpZones, func(t *testing.T, g *Gateway) { until(t, g, "alice", today(-1)) }},
		"the user's day is over": {l2tpZones, func(t *testing.T, g *Gateway) {
			until(t, g, "alice", today(2))
			g.keepMigration(t.Context(), time.Now())
			if n := len(sessionsOf(t, g)); n != 2 {
				t.Errorf("%d sessions two days before the end, want 2", n)
			}
			g.keepMigration(t.Context(), time.Now().AddDate(0, 0, 3))
		}},
		"the zone's day is over": {l2tpZones + "    cutoff: " + inTwoDays + "\n", func(t *testing.T, g *Gateway) {
			g.cutOffAll(time.Now())
			if n := len(sessionsOf(t, g)); n != 2 {
				t.Errorf("%d sessions two days before the end, want 2", n)
			}
			g.cutOffAll(time.Now().AddDate(0, 0, 3))
		}},
	} {
		t.Run(what, func(t *testing.T) {
			g := newGateway(t, c.zones)
			dial(t, enrol(t, g, "laptop", "staff")).connect(t, g)
			enrol(t, g, "pc", "printers")
			d := establish(t, g, byDevice(t, g, "pc"), ike.Windows)
			c.end(t, g)
			await[ike.Closed](t, d)
			eventually(t, 5*time.Second, "the session of IKEv2 is left alone", func() bool {
				list := sessionsOf(t, g)
				return len(list) == 1 && list[0].Protocol == config.IKEv2
			})
		})
	}
}

// lines is a log that a test reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// count tells how many lines have all the words, and forgets all.
func (l *lines) count(words ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	l.b.Reset()
	return n
}

func TestAnEndIsToldOfThreeTimes(t *testing.T) {
	end := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 60)
	path := testConfig(t, l2tpZones+"    cutoff: "+end.Format(time.DateOnly)+"\n")
	initState(t, path)
	var log lines
	start := func() *Gateway {
		g, err := Start(t.Context(), Options{Config: path, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Close(context.Background()) })
		return g
	}
	g := start()
	enrol(t, g, "pc", "printers")
	until(t, g, "alice", dateOf(config.Day{Time: end.AddDate(0, 0, -10)}))
	establish(t, g, byDevice(t, g, "pc"), ike.Windows)
	planOf(t, g)
	ofZone, ofUsers := []string{"L2TP ends soon", `of="zone printers"`, "users=1"}, []string{"L2TP ends soon", "of=users", "users=1"}
	log.count()
	for _, c := range []struct {
		left        int // days of the zone
		zone, users int
		restart     bool
	}{
		{left: 41}, {left: 40, users: 1}, {left: 39}, {left: 31},
		{left: 30, zone: 1}, {left: 30}, {left: 30, restart: true}, {left: 29},
		{left: 16, users: 1}, {left: 11, users: 1}, {left: 10}, // 16 is 6 before the users' end: the gateway was off at 7
		{left: 7, zone: 1}, {left: 6}, {left: 1, zone: 1}, {left: 0}, {left: -1},
	} {
		if c.restart {
			g.Close(context.Background())
			g = start()
			log.count()
		}
		now := end.AddDate(0, 0, -c.left).Add(13 * time.Hour)
		if err := g.warnCutOffs(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		text := log.b.String()
		zone := log.count(ofZone...)
		log.Write([]byte(text))
		if users := log.count(ofUsers...); zone != c.zone || users != c.users {
			t.Errorf("%d days before (restarted: %v): %d warnings of the zone and %d of users, want %d and %d; the log:\n%s",
				c.left, c.restart, zone, users, c.zone, c.users, text)
		}
	}
}
