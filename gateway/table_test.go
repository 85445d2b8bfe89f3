package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/dataplane"
	"sallyport/engine"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
)

func sessionOf(zone, device string) *live {
	return &live{admission: &ike.Admission{Zone: zone, Device: device}}
}

// TestASessionThatWasNeverFiledChangesNoCount: a reload can take a zone away
// while a client of it logs in, and that session ends without having been there.
func TestASessionThatWasNeverFiledChangesNoCount(t *testing.T) {
	var tb table
	tb.remove(sessionOf("printers", "pc"))
	filed := sessionOf("printers", "pc")
	tb.add(filed)
	tb.remove(sessionOf("printers", "pc"))
	if n := tb.zones["printers"]; n != 1 {
		t.Errorf("the zone counts %d sessions, and has one", n)
	}
	tb.remove(filed)
	if n := tb.zones["printers"]; n != 0 {
		t.Errorf("the zone counts %d sessions, and has none", n)
	}
}

// TestAFullZoneTakesItsOwnClientsBack: one that crashed has a session until
// somebody notices, and must not wait for that.
func TestAFullZoneTakesItsOwnClientsBack(t *testing.T) {
	g := newGateway(t, l2tpZones+"    limits: {sessions: 2}\n")
	var admissions []*ike.Admission
	for _, pc := range []string{"pc-1", "pc-2", "pc-3"} {
		enrol(t, g, pc, "printers")
		admissions = append(admissions, byDevice(t, g, pc))
	}
	establish(t, g, admissions[0], ike.Windows)
	establish(t, g, admissions[1], ike.Windows)
	byDevice(t, g, "pc-1")
	pc := ownerOfDevice(t, g, "pc-3")
	if _, err := overL2TP(g, config.Certificate, pc, eap.Success{Method: eap.TypeTLS, Identity: pc.identity, Value: pc}); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("a third one: %v, want the limit", err)
	}
	// Its login had been judged before the second one was there.
	await[ike.Closed](t, establish(t, g, admissions[2], ike.Windows))
	eventually(t, 5*time.Second, "the zone has two sessions", func() bool {
		return len(g.table.matching(func(l *live) bool { return l.admission.Zone == "printers" })) == 2
	})
}

// TestAReloadDuringALoginIsNotMissed: a session that is filed when the reload has
// looked through all of them, and that found its zone before.
func TestAReloadDuringALoginIsNotMissed(t *testing.T) {
	for what, change := range map[string][2]string{
		"the zone is removed":    {"  printers:", "  labels:"},
		"its pool is another":    {"10.62.0.0/24", "10.63.0.0/24"},
		"nothing that is for it": {"staff: {}", "staff: {dpd: 30s}"},
	} {
		g := newGateway(t, l2tpZones)
		enrol(t, g, "pc", "printers")
		a := byDevice(t, g, "pc")
		z := g.realm.Load().zones["printers"]
		rewrite(t, g.path, change[0], change[1])
		call[Reloaded](t, g.Client(), http.MethodPost, "/v1/reload", nil)
		l := &live{admission: a, terms: a.Value.(*terms), zone: z, pool: z.pool}
		g.table.add(l)
		if why := g.mayStay(l); (why == "") != strings.HasPrefix(what, "nothing") {
			t.Errorf("%s: it goes because of %q", what, why)
		}
		g.table.remove(l)
	}
}

// TestAZoneKeepsItsProtocolUntilARestart: its sessions, their addresses and the
// firewall of its device are those of the protocol that it has.
func TestAZoneKeepsItsProtocolUntilARestart(t *testing.T) {
	g := newGateway(t, l2tpZones)
	enrol(t, g, "pc", "printers")
	establish(t, g, byDevice(t, g, "pc"), ike.Windows)
	rewrite(t, g.path, l2tpZones, "zones:\n  staff: {}\n  printers: {pool: {ipv4: 10.62.0.0/24}}\n")
	if done := call[Reloaded](t, g.Client(), http.MethodPost, "/v1/reload", nil); done.Closed != 0 {
		t.Errorf("%d sessions closed", done.Closed)
	}
	z, _ := g.Config().Zone("printers")
	if z.Protocol != config.L2TP || len(z.Reach) != 1 || z.Device == "" {
		t.Errorf("the zone in force is %+v, and its device has no firewall if it is not L2TP", z)
	}
}

// TestAReloadThatFailsChangesNothing: which addresses an interface has is seen
// when the L2TP zones are opened. Here two of them turn out to share one.
func TestAReloadThatFailsChangesNothing(t *testing.T) {
	g := newGateway(t, l2tpZones)
	enrol(t, g, "pc", "printers")
	d := establish(t, g, byDevice(t, g, "pc"), ike.Windows)
	before := g.realm.Load()
	rewrite(t, g.path, l2tpZones, "zones:\n  staff: {}\n"+
		"  labels: {protocol: l2tp, listen: [lo], device: l2tp-labels, pool: {ipv4: 10.64.0.0/24}}\n"+
		"  scales: {protocol: l2tp, listen: [127.0.0.1], device: l2tp-scales, pool: {ipv4: 10.65.0.0/24}}\n")
	refusedAs(t, g.Client(), http.StatusInternalServerError, "", http.MethodPost, "/v1/reload", nil)
	if g.realm.Load() != before {
		t.Error("the reload failed, and its zones are in force")
	}
	if n := len(g.table.matching(func(l *live) bool { return l.admission.Zone == "printers" })); n != 1 {
		t.Errorf("%d sessions of the zone that is still there, want 1", n)
	}
	d.close()
}

// TestACallWithoutRateIsLeftAsItIs, for the packet path may be reading it: the
// race detector sees it written.
func TestACallWithoutRateIsLeftAsItIs(t *testing.T) {
	c, g := new(dataplane.Call), new(Gateway)
	read := make(chan *dataplane.Rate)
	go func() { read <- c.Rate }()
	g.shapeCall(&engine.Session{Data: new(live)}, c)
	if <-read != nil {
		t.Error("a rate where there is none")
	}
	limited := new(dataplane.Rate)
	g.shapeCall(&engine.Session{Data: &live{rate: limited}}, c)
	if c.Rate != limited {
		t.Error("the session's rate is not the call's")
	}
}
