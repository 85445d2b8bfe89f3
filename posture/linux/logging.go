package linux

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/source"
)

// logs is what the files of one host say together.
type logs struct {
	in       *source.Input
	log      posture.Logging
	forwards []forward
	keeps    []posture.Value[time.Duration] // of files with a VPN's or logins' records
	journal  posture.Value[time.Duration]
	volatile posture.Value[bool]
	syslog   posture.Pos // of the first syslog daemon's file
	writes   bool        // rsyslog: records go into files
	driver   string      // rsyslog: what "@@" sends through
	driverTo string      // rsyslog: $ActionSendStreamDriverMode
	defaults rotation    // of logrotate.conf, for all blocks
	read     map[string]bool
}

// forward is one way off the host.
type forward struct {
	protected bool
	at        posture.Pos
	text      string
}

// logging makes one entry for the host, if there is any file about logs or the
// clock.
func logging(in *source.Input, files map[kind][]string) {
	l := &logs{in: in, read: map[string]bool{}, defaults: rotation{period: 7 * day}}
	seen := false
	each := func(k kind, read func(*source.Text)) {
		for _, p := range files[k] {
			if seen = true; l.read[p] {
				continue
			}
			l.read[p] = true
			if text := in.Read(p, false); text != nil {
				if l.log.At == (posture.Pos{}) {
					l.log.At = text.At(0, 0)
				}
				read(text)
			}
		}
	}
	// rsyslog.conf includes rsyslog.d, so it comes first.
	slices.SortStableFunc(files[rsyslogFile], mainFirst("rsyslog.conf"))
	slices.SortStableFunc(files[logrotateFile], mainFirst("logrotate.conf"))
	slices.SortStableFunc(files[journaldFile], mainFirst("journald.conf"))
	each(rsyslogFile, l.rsyslog)
	each(syslogNGFile, l.syslogNG)
	each(journaldFile, l.journald)
	each(uploadFile, l.upload)
	each(logrotateFile, l.logrotate)
	each(clockFile, l.clock)
	if seen {
		each(timezoneFile, l.timezone)
		each(jailFile, l.jails)
		l.finish(len(files[journaldFile]) > 0)
		l.log.Subject = subject("logging", "logging", l.log.At)
		in.Host.Logs = append(in.Host.Logs, l.log)
	}
}

func mainFirst(name string) func(a, b string) int {
	rank := func(p string) int {
		if path.Base(p) == name {
			return 0
		}
		return 1
	}
	return func(a, b string) int { return cmp.Compare(rank(a), rank(b)) }
}

// finish draws the conclusions of all files.
func (l *logs) finish(journald bool) {
	l.shippers()
	switch {
	case len(l.forwards) > 0:
		best := l.forwards[0]
		for _, f := range l.forwards {
			// Protection is as good as the worst way.
			if best.protected && !f.protected {
				best = f
			}
		}
		l.log.OffHost = posture.Written(true, best.at, best.text)
		if !l.log.Protected.Known() {
			l.log.Protected = posture.Written(best.protected, best.at, best.text)
		}
	case l.log.OffHost.Known():
	case l.syslog != (posture.Pos{}):
		l.log.OffHost = posture.ByDefault(false, l.syslog, "nothing forwards records")
	case journald:
		l.log.OffHost = posture.ByDefault(false, l.log.At, "journald alone keeps records on the host")
	}
	if !l.writes && l.log.Readable.Origin == posture.Default {
		l.log.Readable = posture.Value[bool]{} // no file is created whose mode could matter
	}
	l.retention()
	l.watch()
	if !l.log.TimeSync.Known() && l.in.IsHost() {
		l.log.TimeSync = posture.Guess(false, l.log.At, "neither chrony nor ntpd nor timesyncd is configured")
	}
}

// retention is the shortest of what rotates the files; of the journal where
// nothing writes files.
func (l *logs) retention() {
	for _, k := range l.keeps {
		if shorter(k, l.log.Retention) {
			l.log.Retention = k
		}
	}
	if l.log.Retention.Known() || l.syslog != (posture.Pos{}) {
		return
	}
	l.log.Retention = l.journal
	if l.volatile.Known() && l.volatile.V {
		// It is gone with the next boot, whatever time is written.
		l.log.Retention = posture.Written(time.Second, l.volatile.At, l.volatile.Text)
	}
}

// shorter tells whether a is known and ends earlier than b. Zero has no end.
func shorter(a, b posture.Value[time.Duration]) bool {
	return a.Known() && (!b.Known() || a.V > 0 && (b.V == 0 || a.V < b.V))
}

// shippers send logs by themselves; their own configuration is not read.
func (l *logs) shippers() {
	for _, p := range []string{
		"etc/filebeat/filebeat.yml", "etc/fluent-bit/fluent-bit.conf", "etc/fluent/fluentd.conf", "etc/td-agent/td-agent.conf", "etc/vector/vector.yaml", "etc/vector/vector.toml",
		"etc/promtail/config.yml", "etc/otelcol/config.yaml", "etc/otelcol-contrib/config.yaml", "etc/alloy/config.alloy", "etc/splunk/outputs.conf",
	} {
		if len(l.forwards) == 0 && !l.log.OffHost.Known() && l.in.Exists(p) {
			l.log.OffHost = posture.Guess(true, posture.Pos{File: l.in.Show(p)}, "a shipper of logs is configured")
		}
	}
}

// Programs that compare the configuration with what it was, by their files.
var comparers = []string{
	"etc/aide/aide.conf", "etc/aide.conf", "etc/tripwire/tw.cfg", "etc/samhain/samhainrc", "etc/cron.daily/sallyport-audit", "etc/systemd/system/sallyport-audit.timer",
}

// watch concludes from the whole host who would notice.
func (l *logs) watch() {
	if !l.in.IsHost() {
		return
	}
	if !l.log.Watched.Known() {
		l.log.Watched = posture.Guess(false, l.log.At, "no jail of fail2ban is for a VPN, and no other watcher was found")
	}
	l.log.Baseline = posture.Guess(false, l.log.At, "neither AIDE nor its like nor an audit of every night is set up")
	for _, p := range comparers {
		if l.in.Exists(p) {
			l.log.Baseline = posture.Guess(true, posture.Pos{File: l.in.Show(p)}, "it compares the configuration with what it was")
			return
		}
	}
}

var vpnJail = regexp.MustCompile(`(?i)ipsec|ike|charon|strongswan|pluto|libreswan|l2tp|ppp|radius|vpn`)

// jails reads jail.conf(5) of fail2ban: a jail for a VPN that is on watches its
// failures.
func (l *logs) jails(text *source.Text) {
	for _, s := range ini(l.in, text) {
		if s.key == "enabled" && truth(s.value) && vpnJail.MatchString(s.section) && !l.log.Watched.Known() {
			l.log.Watched = posture.Written(true, s.at, "["+source.Quote(s.section)+"] "+s.text)
		}
	}
}

// journald reads journald.conf(5) and its parts.
func (l *logs) journald(text *source.Text) {
	for _, s := range ini(l.in, text) {
		if s.section != "Journal" {
			continue
		}
		switch s.key {
		case "MaxRetentionSec":
			if d, ok := span(s.value); ok {
				l.journal = posture.Written(d, s.at, s.text)
			} else {
				l.in.Note(posture.Unparsed, s.at, "%q is no time span", source.Quote(s.value))
			}
		case "Storage":
			l.volatile = posture.Written(s.value == "volatile" || s.value == "none", s.at, s.text)
		case "MaxLevelStore":
			if slices.Contains([]string{"emerg", "alert", "crit", "err", "warning", "0", "1", "2", "3", "4"}, s.value) {
				l.log.Auth = posture.Written(false, s.at, s.text) // logins are at info and notice
			}
		}
	}
	if !l.journal.Known() {
		l.journal = posture.ByDefault(time.Duration(0), text.At(0, 0), "default of journald: bounded by size alone")
	}
}

// units of systemd.time(7). A number alone is seconds.
var spanUnits = map[string]time.Duration{
	"": time.Second, "s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second, "m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour, "d": day, "day": day, "days": day, "w": 7 * day, "week": 7 * day, "weeks": 7 * day,
	"M": 30 * day, "month": 30 * day, "months": 30 * day, "y": 365 * day, "year": 365 * day, "years": 365 * day,
}

const day = 24 * time.Hour

var spanPart = regexp.MustCompile(`([0-9]+)\s*([A-Za-z]*)`)

func span(s string) (time.Duration, bool) {
	parts := spanPart.FindAllStringSubmatch(s, 10)
	var sum time.Duration
	for _, p := range parts {
		n, err := strconv.Atoi(p[1])
		unit, ok := spanUnits[p[2]]
		if err != nil || !ok || n > 1_000_000 {
			return 0, false
		}
		sum += min(time.Duration(n), 100*365*day/unit) * unit
	}
	return sum, len(parts) > 0
}

// upload is systemd-journal-upload: without a URL it does nothing.
func (l *logs) upload(text *source.Text) {
	for _, s := range ini(l.in, text) {
		if s.section == "Upload" && s.key == "URL" && s.value != "" {
			// A bare name is taken for https (systemd-journal-upload(8)).
			to := s.value[strings.LastIndexByte(s.value, '@')+1:] // without a password
			l.forwards = append(l.forwards, forward{!strings.HasPrefix(s.value, "http://"), s.at, "URL=" + source.Quote(to)})
		}
	}
}

// timezone tells whether stamps are in UTC.
func (l *logs) timezone(text *source.Text) {
	for n, line := range l.in.Lines(text) {
		zone := strings.TrimSpace(line)
		if zone == "" || zone[0] == '#' {
			continue
		}
		utc := slices.Contains([]string{"UTC", "Etc/UTC", "Etc/UCT", "Zulu", "Etc/Zulu", "GMT", "Etc/GMT", "Universal", "Etc/Universal"}, zone)
		l.log.UTC = posture.Written(utc, text.At(n, 1), source.Quote(zone))
		return
	}
}

// clock reads the words that name a source of time; those of chrony.conf(5),
// ntp.conf(5), ntpd.conf(5) of OpenNTPD and timesyncd.conf(5) do not clash.
func (l *logs) clock(text *source.Text) {
	timesyncd := strings.Contains(text.Path, "timesyncd")
	for n, line := range l.in.Lines(text) {
		w := strings.Fields(line)
		if len(w) == 0 {
			continue
		}
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case timesyncd && (key == "NTP" || key == "FallbackNTP") && value != "",
			!timesyncd && len(w) > 1 && slices.Contains([]string{"server", "servers", "pool", "peer", "refclock", "sensor"}, w[0]) && !strings.HasPrefix(w[1], "127.127.1."):
			l.log.TimeSync = posture.Written(true, text.At(n, 1), source.Quote(strings.TrimSpace(line)))
			return
		case !timesyncd && (w[0] == "sourcedir" || w[0] == "confdir") && len(w) > 1 && !l.log.TimeSync.Known():
			l.log.TimeSync = posture.Guess(true, text.At(n, 1), "sources are in "+source.Quote(w[1]))
		}
	}
	if l.log.TimeSync.Known() {
		return
	}
	if timesyncd {
		l.log.TimeSync = posture.Guess(true, text.At(0, 0), "timesyncd is installed and has servers of its own")
	} else {
		l.log.TimeSync = posture.ByDefault(false, text.At(0, 0), "no source of time is named")
	}
}

// ours are files with records of logins and VPNs.
var ours = regexp.MustCompile(`(syslog|messages|secure|auth|authpriv|daemon|charon|strongswan|ipsec|pluto|libreswan|racoon|radius|l2tp|ppp|vpn)[^/]*$`)

// logrotate reads logrotate.conf(5): directives for all, and blocks for some
// files.
func (l *logs) logrotate(text *source.Text) {
	all := &l.defaults
	var block *rotation
	var names []string
	script := false
	for n, line := range l.in.Lines(text) {
		line = strings.TrimSpace(line)
		w := strings.Fields(line)
		switch {
		case len(w) == 0 || line[0] == '#':
		case script:
			script = w[0] != "endscript"
		case slices.Contains([]string{"postrotate", "prerotate", "firstaction", "lastaction", "preremove"}, w[0]):
			script = true
		case w[0] == "}":
			l.rotated(names, block)
			block, names = nil, nil
		case block == nil && (line[0] == '/' || line[0] == '"' || line[0] == '{' || line[0] == '*'):
			before, _, opens := strings.Cut(line, "{")
			if len(names) < 1000 {
				names = append(names, strings.Fields(strings.ReplaceAll(before, `"`, ""))...)
			}
			if opens {
				b := *all
				block = &b
			}
		case block != nil:
			block.directive(w, text.At(n, 1), line)
		default:
			all.directive(w, text.At(n, 1), line)
		}
	}
	l.rotated(names, block)
}

// rotated takes a block, if it is about files that matter here.
func (l *logs) rotated(names []string, r *rotation) {
	mine := func(name string) bool { return ours.MatchString(name) && !strings.Contains(name, "connect-errors") }
	if r == nil || !slices.ContainsFunc(names, mine) {
		return
	}
	if k, ok := r.keep(); ok {
		l.keeps = append(l.keeps, k)
	}
	if r.mode.Known() && (!l.log.Readable.Known() || r.mode.V) {
		l.log.Readable = r.mode
	}
}

// rotation is when files are rotated and how many stay.
type rotation struct {
	period time.Duration // 0: by size alone
	count  int           // 0: none stays; -1: all
	maxAge time.Duration
	set    bool // "rotate" is written
	mode   posture.Value[bool]
	at     posture.Pos
	text   string
}

var periods = map[string]time.Duration{"hourly": time.Hour, "daily": day, "weekly": 7 * day, "monthly": 30 * day, "yearly": 365 * day}

func (r *rotation) directive(w []string, at posture.Pos, line string) {
	if p, ok := periods[w[0]]; ok {
		r.period = p
		return
	}
	if len(w) < 2 {
		return
	}
	n, err := strconv.Atoi(w[1])
	switch w[0] {
	case "rotate":
		if err == nil {
			r.count, r.set, r.at, r.text = min(n, 100_000), true, at, source.Quote(line)
		}
	case "maxage":
		if err == nil && n > 0 {
			r.maxAge, r.at, r.text = time.Duration(min(n, 36_500))*day, at, source.Quote(line)
		}
	case "size":
		r.period = 0
	case "create":
		if mode, err := strconv.ParseUint(w[1], 8, 32); err == nil {
			r.mode = posture.Written(mode&0o004 != 0, at, source.Quote(line))
		}
	}
}

// keep is how long a record stays.
func (r *rotation) keep() (posture.Value[time.Duration], bool) {
	switch {
	case r.maxAge > 0 && (r.count < 0 || r.period == 0 || !r.set || r.maxAge < r.period*time.Duration(r.count)):
		return posture.Written(r.maxAge, r.at, r.text), true
	case r.count < 0:
		return posture.Written(time.Duration(0), r.at, r.text), true
	case r.period == 0 || !r.set:
		return posture.Value[time.Duration]{}, false
	}
	return posture.Written(max(r.period*time.Duration(r.count), time.Hour), r.at, r.text), true
}
