package radius

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/lab/labtest"
	"sallyport/protocol/radius"
)

func openAccounting(t *testing.T, cfg AccountingConfig) *Accounting {
	t.Helper()
	a, err := OpenAccounting(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		a.Close(ctx)
	})
	return a
}

// delivered waits until nothing waits.
func delivered(t *testing.T, a *Accounting) AccountingStatus {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		s := a.Status()
		if s.Waiting == 0 {
			return s
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("%+v", s)
		}
	}
}

func TestAccountingIsWrittenByFreeRADIUS(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	c := openClient(t, Config{Servers: []Server{udpServer(f.Acct)}})
	a := openAccounting(t, AccountingConfig{Client: c})
	begun := time.Now().Add(-90 * time.Second)
	record := radius.Record{
		Status: radius.AcctStart, Time: begun, SessionID: "5a11-0001", UserName: "alice", Authentic: radius.AuthenticRADIUS,
		Class: [][]byte{{1, 2, 255}}, IPv4: netip.MustParseAddr("10.9.8.7"), IPv6: []netip.Addr{netip.MustParseAddr("2001:db8::7")},
		Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8:7::/64")}, Attributes: port,
	}
	add := func(r radius.Record) {
		t.Helper()
		if err := a.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	add(record)
	delivered(t, a)
	record.Status, record.Time, record.Duration = radius.AcctInterim, time.Now(), time.Minute
	record.Usage = radius.Usage{InOctets: 1000, OutOctets: 2000, InPackets: 10, OutPackets: 20}
	add(record)
	delivered(t, a)
	record.Status, record.Duration, record.Cause = radius.AcctStop, 90*time.Second, radius.CauseAdminReset
	record.Usage = radius.Usage{InOctets: 5<<32 + 7, OutOctets: 3<<32 + 9, InPackets: 11, OutPackets: 22}
	add(record)
	if s := delivered(t, a); s.Delivered != 4 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	text := f.Detail("Acct-Terminate-Cause = Admin-Reset")
	for _, want := range []string{
		"Acct-Status-Type = Accounting-On", "Acct-Status-Type = Start", "Acct-Status-Type = Interim-Update", "Acct-Status-Type = Stop",
		`Acct-Session-Id = "5a11-0001"`, `User-Name = "alice"`, "Class = 0x0102ff", "Framed-IP-Address = 10.9.8.7",
		"Framed-IPv6-Address = 2001:db8::7", "Framed-IPv6-Prefix = 2001:db8:7::/64", "Acct-Authentic = RADIUS",
		"Acct-Input-Octets = 7", "Acct-Input-Gigawords = 5", "Acct-Output-Octets = 9", "Acct-Output-Gigawords = 3",
		"Acct-Session-Time = 90", "Acct-Delay-Time = 90", `NAS-Identifier = "gw.example.org"`, "NAS-Port-Type = Virtual",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the detail file has no %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	on, start := strings.Index(text, "Accounting-On"), strings.Index(text, "= Start")
	if on > start {
		t.Error("the Accounting-On came after a Start")
	}
}

func TestAccountingWaitsForTheServer(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	f.Stop()
	file := filepath.Join(t.TempDir(), "accounting.json")
	c := openClient(t, Config{Servers: []Server{udpServer(f.Acct)}, Plan: radius.Plan{Initial: 50 * time.Millisecond, Count: 2, Duration: time.Second}, Watch: 100 * time.Millisecond, Proofs: 1})
	a := openAccounting(t, AccountingConfig{Client: c, File: file})
	for n := range 20 {
		r := radius.Record{Status: radius.AcctStart, Time: time.Now(), SessionID: fmt.Sprint("session-", n), UserName: "alice"}
		if err := a.Add(r); err != nil {
			t.Fatal(err)
		}
		for range 5 { // of updates only the last one waits
			r.Status = radius.AcctInterim
			if err := a.Add(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	for begun := time.Now(); a.Status().Failing.IsZero(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatal("it does not notice that the server is down")
		}
	}
	if s := a.Status(); s.Waiting != 41 || s.Merged != 80 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	// The gateway restarts, and so does the server; but first it ends suddenly.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	sudden := openAccounting(t, AccountingConfig{Client: c, File: file})
	if err := sudden.save(false); err != nil { // as it is done every few seconds
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("what waits is not kept: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := sudden.Close(ctx); err != nil {
		t.Fatal(err)
	}
	f.Start()
	a = openAccounting(t, AccountingConfig{Client: c, File: file})
	s := delivered(t, a)
	if s.Delivered != 45 || s.Lost != 0 { // 41, and an On and an Off of each of two ends
		t.Errorf("%+v", s)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	text := f.Detail("session-19")
	if n := strings.Count(text, "Acct-Status-Type = Start"); n != 20 {
		t.Errorf("%d Starts arrived, want 20", n)
	}
	for n := range 20 {
		id := fmt.Sprintf("Acct-Session-Id = %q", fmt.Sprint("session-", n))
		var kinds []string
		for _, entry := range strings.Split(text, "\n\n") {
			if strings.Contains(entry, id) {
				_, kind, _ := strings.Cut(entry, "Acct-Status-Type = ")
				kind, _, _ = strings.Cut(kind, "\n")
				kinds = append(kinds, kind)
			}
		}
		if !slices.Equal(kinds, []string{"Start", "Interim-Update"}) {
			t.Errorf("session %d: %q", n, kinds)
		}
	}
	if !strings.Contains(text, "Accounting-Off") {
		t.Error("no Accounting-Off arrived")
	}
}

func TestAccountingIsBounded(t *testing.T) {
	c := openClient(t, Config{Servers: []Server{udpServer(silent(t))}})
	a := openAccounting(t, AccountingConfig{Client: c, Capacity: 10})
	full := 0
	for n := range 1000 {
		if err := a.Add(radius.Record{Status: radius.AcctStart, Time: time.Now(), SessionID: fmt.Sprint(n)}); errors.Is(err, ErrFull) {
			full++
		}
	}
	if s := a.Status(); s.Waiting != 10 || full != 991 || s.Lost != 991 {
		t.Errorf("%+v, %d refused", s, full)
	}
	// A Stop takes the place of an update even in a full queue.
	b := openAccounting(t, AccountingConfig{Client: c, Capacity: 3})
	for _, status := range []radius.StatusType{radius.AcctStart, radius.AcctInterim, radius.AcctInterim, radius.AcctStop} {
		if err := b.Add(radius.Record{Status: status, Time: time.Now(), SessionID: "x"}); err != nil {
			t.Errorf("%s: %v", status, err)
		}
	}
}

func TestADamagedFileIsPutAside(t *testing.T) {
	for name, text := range map[string]string{
		"cut": `{"version":1,"records":[{"Status":1`, "empty": "", "of tomorrow": `{"version":2,"records":[]}`, "something else": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "accounting.json")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var log labtest.Transcript
			c := openClient(t, Config{Servers: []Server{udpServer(silent(t))}})
			openAccounting(t, AccountingConfig{Client: c, File: file, Logger: logTo(&log)})
			if b, err := os.ReadFile(file + ".damaged"); err != nil || string(b) != text {
				t.Errorf("%q, %v", b, err)
			}
			if !strings.Contains(log.String(), "accounting.json.damaged") {
				t.Errorf("the log says:\n%s", log.String())
			}
		})
	}
}
