package gateway

import (
	"time"

	"sallyport/config"
)

// judge shows a configuration to the audit before it is taken. Each finding that
// does not refuse it is a line of the log, at every start and reload: what
// somebody answers for until a day should not be forgotten before.
func (g *Gateway) judge(cfg *config.Config) (config.Diagnostics, error) {
	if g.audit == nil {
		return nil, nil
	}
	found := g.audit(cfg)
	for _, d := range found {
		if d.Severity == config.Warning {
			g.log.Warn("the audit of the configuration: "+d.String(), "hint", d.Hint)
		}
	}
	if found.Err() != nil {
		return nil, &ConfigError{Reloaded{Diagnostics: found}}
	}
	return found, nil
}

// taken is how the configuration in force was taken.
type taken struct {
	findings config.Diagnostics // of the audit
	read     time.Time          // just before its file was read
}
