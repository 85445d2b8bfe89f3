package swanctl

import (
	"strings"

	"sallyport/posture"
)

// Levels of the log (strongswan.conf(5), LOGGER CONFIGURATION).
const (
	levelFlow    = 1 // logins and why they fail
	levelSecrets = 4 // keys, too
)

// logger is one place that the daemon logs to.
type logger struct {
	view
	journal bool
}

// loggers are all that the files set up. Without any, the daemon logs at level 1
// by syslog, or charon-systemd in the journal.
func loggers(t *tree, charon view) []logger {
	var all []logger
	for _, kind := range []string{"filelog", "syslog"} {
		for _, name := range charon.sub(kind).names() {
			all = append(all, logger{view: charon.path(kind, name)})
		}
	}
	if journal := t.view().path("charon-systemd", "journal"); journal.exists() {
		all = append(all, logger{journal, true})
	}
	return all
}

func (r *reader) logging(d *posture.Daemon, t *tree, charon view) {
	d.LogsAuth, d.LogsSecrets, d.LogsID = normal(r, true, d.At), normal(r, false, d.At), normal(r, false, d.At)
	all := loggers(t, charon)
	for i, l := range all {
		r.known(l.view, loggerKnown, "a log")
		r.logs(d, l, i == 0)
	}
	r.saved(d, charon.path("plugins", "save-keys"))
}

// logs adds what one log holds. The best of them counts for logins, the worst
// for secrets.
func (r *reader) logs(d *posture.Daemon, l logger, first bool) {
	level := r.level(l, "ike")
	if logins := follows(level.V >= levelFlow, level); first || logins.V && !d.LogsAuth.V {
		d.LogsAuth = logins
	}
	for group := range strings.FieldsSeq("default " + groups) {
		if level := r.level(l, group); level.V >= levelSecrets && !d.LogsSecrets.V {
			d.LogsSecrets = follows(true, level)
		}
	}
	if l.journal && !d.LogsID.V {
		d.LogsID = posture.Guess(true, l.at(), "charon-systemd enters the name of the SA in the journal")
	}
	for _, key := range []string{"ike_name", "json"} {
		if named := r.flag(l.view, key, false); named.V || named.Origin == posture.Explicit && !d.LogsID.V {
			d.LogsID = named
		}
	}
}

// level is that of one group, or of all.
func (r *reader) level(l logger, group string) posture.Value[int] {
	if _, ok := l.get(group); ok {
		return r.number(l.view, group, levelFlow)
	}
	return r.number(l.view, "default", levelFlow)
}

// saved: the plugin save-keys writes the keys of SAs to a file.
func (r *reader) saved(d *posture.Daemon, v view) {
	if s, ok := v.get("load"); !ok || !loads(s.value) {
		return
	}
	for _, key := range []string{"ike", "esp"} {
		if saves := r.flag(v, key, false); saves.V {
			d.LogsSecrets = saves
		}
	}
}
