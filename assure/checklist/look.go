package checklist

import (
	"context"
	"os"
	"time"

	"sallyport/config"
	"sallyport/gateway"
)

// Look asks a running gateway for all that the checklist rests on, and audits
// its configuration.
func Look(ctx context.Context, client *gateway.Client, c *config.Config, file string, now time.Time) (*Seen, error) {
	s := &Seen{Now: now, Config: c, File: file}
	for _, q := range []struct {
		path string
		into any
	}{
		{"/v1/status", &s.Status},
		{"/v1/sessions", &s.Sessions},
		{"/v1/devices", &s.Devices},
		{"/v1/users", &s.Users},
		{"/v1/refusals", &s.Refusals},
	} {
		if err := client.Call(ctx, "GET", q.path, nil, q.into); err != nil {
			return nil, err
		}
	}
	if info, err := os.Stat(file); err == nil {
		s.Written = info.ModTime()
	}
	s.Results = Audit(c, file, now).Results
	return s, nil
}
