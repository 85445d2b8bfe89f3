package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/config"
)

// TestAConfigurationThatTheAuditRefusesIsNotTaken: neither at the start nor by a
// reload, and a warning is a line of the log and of the status.
func TestAConfigurationThatTheAuditRefusesIsNotTaken(t *testing.T) {
	path := testConfig(t, "")
	initState(t, path)
	var log bytes.Buffer
	verdict := config.Diagnostics{{File: "f", Severity: config.Error, Message: "a key that is a word", Hint: "make another"}}
	o := Options{Config: path, Version: "test", Logger: slog.New(slog.NewTextHandler(&log, nil)), Audit: func(*config.Config) config.Diagnostics { return verdict }}
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "a key that is a word") {
		t.Fatalf("started: %v", err)
	}
	verdict[0].Severity = config.Warning
	g, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	if !strings.Contains(log.String(), "level=WARN msg=\"the audit of the configuration: f: a key that is a word\" hint=\"make another\"") {
		t.Errorf("the log says\n%s", &log)
	}
	before := call[Status](t, g.Client(), "GET", "/v1/status", nil)
	if len(before.Findings) != 1 || before.Loaded.IsZero() {
		t.Errorf("status: findings %v, loaded %v", before.Findings, before.Loaded)
	}
	old := g.Config()
	verdict = config.Diagnostics{{File: "f", Severity: config.Error, Message: "worse"}}
	_, err = g.Reload(t.Context())
	if _, ok := errors.AsType[*ConfigError](err); !ok || g.Config() != old {
		t.Errorf("reload: %v", err)
	}
	var p *ProblemError
	if err := g.Client().Call(t.Context(), "POST", "/v1/reload", nil, nil); !errors.As(err, &p) || p.Status != 422 || len(p.Diagnostics) != 1 {
		t.Errorf("reload by the socket: %v", err)
	}
	if after := call[Status](t, g.Client(), "GET", "/v1/status", nil); !slices.Equal(after.Findings, before.Findings) || !after.Loaded.Equal(before.Loaded) {
		t.Errorf("status after a refused reload: %v %v", after.Findings, after.Loaded)
	}
	verdict = nil
	if _, err := g.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := call[Status](t, g.Client(), "GET", "/v1/status", nil); len(after.Findings) != 0 || !after.Loaded.After(before.Loaded) {
		t.Errorf("status after a reload: %v %v", after.Findings, after.Loaded)
	}
}

func TestAStatusTellsHowLongCertificatesLast(t *testing.T) {
	g := newGateway(t, "")
	st := call[Status](t, g.Client(), "GET", "/v1/status", nil)
	uses := map[string]int{}
	for _, c := range st.Certificates {
		uses[c.Use]++
		if c.Subject == "" || c.NotAfter.Before(time.Now()) || c.Renews != (c.Use == UseServer) || c.Due {
			t.Errorf("%+v", c)
		}
	}
	if uses[UseCA] != 1 || uses[UseServer] == 0 {
		t.Errorf("certificates: %+v", st.Certificates)
	}
	if len(st.CRLs) != 1 || st.CRLs[0].Zone != "" || st.CRLs[0].NextUpdate.Before(time.Now()) {
		t.Errorf("CRLs: %+v", st.CRLs)
	}
	enrol(t, g, "laptop", "")
	call[Revoked](t, g.Client(), "POST", "/v1/devices/laptop/revoke", Revocation{})
	if st := call[Status](t, g.Client(), "GET", "/v1/status", nil); st.CRLs[0].Revoked != 1 {
		t.Errorf("after a revocation: %+v", st.CRLs)
	}
}
