package ike

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// windowsInit is what Windows 10 proposes before its profile is run: every
// cipher with MODP-1024.
func windowsInit() []byte {
	var ps []ikemsg.Proposal
	for i, c := range []suite.Transform{{Type: suite.Encr, ID: 3}, {Type: suite.Encr, ID: 12, KeyBits: 256}} {
		p := ikemsg.Proposal{Number: uint8(i + 1), Protocol: ikemsg.ProtoIKE}
		for _, t := range []suite.Transform{c, {Type: suite.PRF, ID: 2}, {Type: suite.Integ, ID: 2}, {Type: suite.KE, ID: 2}} {
			p.Transforms = append(p.Transforms, ikemsg.Transform{Transform: t})
		}
		ps = append(ps, p)
	}
	return initMessage(func(m *ikemsg.Message) {
		m.Payloads[0] = &ikemsg.SA{Proposals: ps}
		m.Payloads[1] = &ikemsg.KE{Group: 2, Data: make([]byte, 128)}
		m.Payloads = append(m.Payloads, &ikemsg.VendorID{Data: append(slices.Clone(vendorIDs[0].prefix), 0, 0, 0, 9)})
	})
}

func TestRecordTellsWhatWindowsMustChange(t *testing.T) {
	w := newWorld(t, 1)
	answer := w.initAnswer(windowsInit())
	wantNotify(t, "Windows' default proposals", answer.Payloads, ikemsg.NotifyNoProposalChosen)
	if len(w.r.records) != 1 {
		t.Fatalf("%d records", len(w.r.records))
	}
	r := w.r.records[0]
	if r.PeerKind != Windows || r.Stage != StageInit || r.WindowsError != 13868 || !r.Time.Equal(w.now()) || r.Remote != w.i.addr {
		t.Errorf("record %+v", r)
	}
	if want := []string{"3des-prfsha1-sha1-modp1024", "aes256-prfsha1-sha1-modp1024"}; !slices.Equal(r.Offer, want) {
		t.Errorf("offer %q, want %q", r.Offer, want)
	}
	if !strings.Contains(r.Nearest, "aes256") || len(r.Difference) != 3 || !strings.Contains(strings.Join(r.Difference, "; "), "key exchange: modp1024 offered, ecp256 modp2048 accepted") {
		t.Errorf("nearest %q, difference %q", r.Nearest, r.Difference)
	}
	if !strings.Contains(r.Fix, "Set-VpnConnectionIPsecConfiguration") {
		t.Errorf("fix %q", r.Fix)
	}
	if !w.r.session.Dead() || len(w.r.spis) != 0 || w.r.closed == nil {
		t.Error("the refused exchange left state")
	}
}

func TestRecordOnTheInitiatorsSide(t *testing.T) {
	w := newWorld(t, 1)
	w.i.policy.IKE = ikeProposals("chacha20poly1305-prfsha512-x25519")
	w.connect()
	w.run(10 * time.Second)
	if w.i.closed == nil || w.i.closed.Reason != ClosedRefused || len(w.i.records) != 1 {
		t.Fatalf("closed %+v, records %+v", w.i.closed, w.i.records)
	}
	r := w.i.records[0]
	if !r.ByPeer || r.Notify != ikemsg.NotifyNoProposalChosen || len(r.Offer) != 1 || !strings.Contains(r.Offer[0], "chacha20poly1305") || r.Fix == "" {
		t.Errorf("record %+v", r)
	}
}

func TestForgedRefusalDoesNotStopTheSetUp(t *testing.T) {
	w := newWorld(t, 1)
	first := true
	w.mangle = func(p *peer, d Datagram) []Datagram {
		if h, _ := ikemsg.ParseHeader(d.Data); p == w.i && first {
			first = false
			forged := must(initNotify(h, ikemsg.NotifyNoProposalChosen, nil))
			w.net.At(w.now(), func() { w.i.deliver(Datagram{Local: d.Local, Remote: d.Remote, Data: forged}) })
		}
		return []Datagram{d}
	}
	w.up()
	if len(w.i.records) != 0 {
		t.Errorf("records %+v", w.i.records)
	}
}

func TestPeerTextInRecordsIsQuoted(t *testing.T) {
	w := newWorld(t, 1)
	evil := "alice\"; rm -rf /\n\x1b[31m"
	id := *w.i.cred.identity
	id.ID.Data = []byte(evil)
	w.i.cred = &credential{&id, w.i.cred.signer}
	w.connect()
	w.run(time.Second)
	if len(w.r.records) != 1 || strings.ContainsAny(w.r.records[0].PeerID, "\n\x1b") || !strings.HasPrefix(w.r.records[0].PeerID, `"`) {
		t.Errorf("records %+v", w.r.records)
	}
}

func TestJobThatNeverComesBackEndsTheSession(t *testing.T) {
	w := newWorld(t, 1)
	w.r.jobDelay = 10 * time.Minute
	w.connect()
	w.run(5 * time.Minute)
	if w.r.closed == nil {
		t.Fatal("the responder waits for ever")
	}
	if w.r.session.Deadline() != (time.Time{}) {
		t.Error("a dead session has a deadline")
	}
	w.run(20 * time.Minute) // the late answers are ignored
}

func TestSlowJobsDelayAndLoseNothing(t *testing.T) {
	w := newWorld(t, 1)
	w.i.jobDelay, w.r.jobDelay = 1500*time.Millisecond, 1500*time.Millisecond
	w.connect()
	w.run(30 * time.Second)
	w.settled(1)
	w.both(rekeyOnly)
	w.run(time.Minute)
	w.settled(1)
	w.both(func(*peer) Command { return RekeyIKE{} })
	w.run(time.Minute)
	w.settled(1)
}
