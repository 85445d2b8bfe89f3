package linux

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// rsyslog reads rsyslog.conf(5): selectors with actions, "$" directives, and the
// newer objects such as action(type="omfwd" …), which may span lines.
func (l *logs) rsyslog(text *source.Text) { l.rsyslogFile(text, []string{text.Path}) }

// createdMode is whether everybody may read what rsyslog creates where nothing
// is written. Red Hat's unit has UMask=0066.
func (l *logs) createdMode(at posture.Pos) posture.Value[bool] {
	if slices.ContainsFunc(l.in.Host.Packages, func(p posture.Package) bool { return p.Manager == "rpm" && !strings.Contains(p.Distro, "suse") }) {
		return posture.ByDefault(false, at, "the unit of Red Hat's package has UMask=0066")
	}
	return posture.ByDefault(true, at, "default of rsyslog: files have mode 0644")
}

func (l *logs) rsyslogFile(text *source.Text, chain []string) {
	if l.syslog == (posture.Pos{}) {
		l.syslog = text.At(0, 0)
		if !l.log.Readable.Known() {
			l.log.Readable = l.createdMode(text.At(0, 0))
		}
	}
	var object strings.Builder
	start, depth := 0, 0
	for n, line := range l.in.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if object.Len() == 0 {
			start = n
		}
		if object.Len() > 0 || objects.MatchString(line) {
			depth += strings.Count(line, "(") - strings.Count(line, ")")
		}
		object.WriteString(line + " ")
		if depth > 0 && object.Len() < source.MostLine {
			continue
		}
		whole := object.String()
		object.Reset()
		depth = 0
		l.rsyslogLine(text.At(start, 1), strings.TrimSpace(whole), chain)
	}
	if object.Len() > 0 {
		l.in.Note(posture.Malformed, text.At(start, 1), "a parenthesis is not closed")
	}
}

var (
	objects   = regexp.MustCompile(`\b(action|module|global|input|template|ruleset|main_queue|include|timezone|parser|lookup_table|dyn_stats)\s*\(`)
	parameter = regexp.MustCompile(`(?i)([a-z0-9._]+)\s*=\s*"([^"]*)"`)
	legacyTo  = regexp.MustCompile(`(@@?)(\([^)]*\))?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?`)
	toFile    = regexp.MustCompile(`(^|\s)-?[/?]`) // "?" names a template of paths
	relp      = regexp.MustCompile(`:omrelp:(\S+)`)
)

func (l *logs) rsyslogLine(at posture.Pos, line string, chain []string) {
	switch {
	case line[0] == '$':
		l.rsyslogDirective(at, strings.Fields(line), chain)
	case objects.MatchString(line):
		l.rsyslogObjects(at, line, chain)
	default:
		l.rsyslogSelector(at, line)
	}
}

func (l *logs) rsyslogDirective(at posture.Pos, w []string, chain []string) {
	if len(w) < 2 {
		return
	}
	switch strings.ToLower(w[0]) {
	case "$includeconfig":
		l.rsyslogInclude(at, w[1], chain)
	case "$filecreatemode":
		l.createMode(at, w[1], strings.Join(w, " "))
	case "$defaultnetstreamdriver":
		l.driver = w[1]
	case "$actionsendstreamdrivermode":
		l.driverTo = w[1]
	}
}

func (l *logs) createMode(at posture.Pos, mode, text string) {
	if m, err := strconv.ParseUint(mode, 8, 32); err == nil && l.log.Readable.Origin != posture.Explicit {
		l.log.Readable = posture.Written(m&0o004 != 0, at, source.Quote(text))
	}
}

func (l *logs) rsyslogInclude(at posture.Pos, pattern string, chain []string) {
	for _, p := range l.in.Include(chain, at, strings.Trim(pattern, `"`)) {
		if l.read[p] {
			continue
		}
		l.read[p] = true
		if text := l.in.Read(p, false); text != nil {
			l.rsyslogFile(text, append(slices.Clone(chain), p))
		}
	}
}

// rsyslogObjects reads the objects of one statement. A selector may stand before.
func (l *logs) rsyslogObjects(at posture.Pos, line string, chain []string) {
	if i := objects.FindStringIndex(line); i[0] > 0 {
		l.records(at, line[:i[0]], line)
	}
	for _, part := range pieces(line) {
		name := strings.TrimSpace(objects.FindStringSubmatch(part)[1])
		p := map[string]string{}
		for _, m := range parameter.FindAllStringSubmatch(part, 100) {
			p[strings.ToLower(m[1])] = m[2]
		}
		switch name {
		case "include":
			if p["file"] != "" {
				l.rsyslogInclude(at, p["file"], chain)
			}
		case "global":
			if d := p["defaultnetstreamdriver"]; d != "" {
				l.driver = d
			}
		case "module":
			if m := p["filecreatemode"]; m != "" {
				l.createMode(at, m, part)
			}
		case "action":
			l.rsyslogAction(at, p)
		}
	}
}

// pieces cuts a statement so that each object stands at the beginning of one.
func pieces(line string) []string {
	at := objects.FindAllStringIndex(line, 1_000)
	var all []string
	for i, span := range at {
		end := len(line)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		all = append(all, line[span[0]:end])
	}
	return all
}

func (l *logs) rsyslogAction(at posture.Pos, p map[string]string) {
	protected := false
	switch strings.ToLower(p["type"]) {
	case "omfwd":
		driver := p["streamdriver"]
		if driver == "" {
			driver = l.driver
		}
		mode := p["streamdrivermode"]
		if p["streamdriver.mode"] != "" {
			mode = p["streamdriver.mode"]
		}
		protected = strings.EqualFold(p["protocol"], "tcp") && tls(driver) && mode == "1"
	case "omrelp":
		protected = strings.EqualFold(p["tls"], "on")
	case "omelasticsearch", "omhttp", "omclickhouse":
		protected = strings.EqualFold(p["usehttps"], "on") || strings.HasPrefix(p["server"], "https:") || p["usehttps"] == "" && strings.EqualFold(p["type"], "omhttp")
	case "omfile":
		l.writes = true
		return
	case "omkafka", "omamqp1", "omazureeventhubs", "omgssapi":
	default:
		return
	}
	l.forwards = append(l.forwards, forward{protected, at, shown(p)})
}

// shown is an action without what may be a password.
func shown(p map[string]string) string {
	var words []string
	for _, key := range []string{"type", "target", "port", "protocol", "streamdriver", "streamdrivermode", "streamdriver.mode", "tls", "usehttps"} {
		if v, ok := p[key]; ok {
			words = append(words, key+"=\""+v+"\"")
		}
	}
	return source.Quote("action(" + strings.Join(words, " ") + ")")
}

// tls tells whether a network stream driver of rsyslog encrypts.
func tls(driver string) bool { return slices.Contains([]string{"gtls", "ossl", "mbedtls"}, driver) }

// rsyslogSelector is the old form: "auth,authpriv.* /var/log/auth.log",
// "*.* @@host:6514".
func (l *logs) rsyslogSelector(at posture.Pos, line string) {
	selector, action, ok := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	action = strings.TrimSpace(action)
	if !ok || action == "" || action == "stop" || action == "~" {
		return
	}
	l.records(at, selector, line)
	l.writes = l.writes || toFile.MatchString(action)
	if m := relp.FindString(action); m != "" {
		l.forwards = append(l.forwards, forward{false, at, source.Quote(line)})
		return
	}
	if m := legacyTo.FindStringSubmatch(action); m != nil && strings.HasPrefix(action, "@") {
		l.forwards = append(l.forwards, forward{m[1] == "@@" && tls(l.driver) && l.driverTo == "1", at, source.Quote(line)})
	}
}

// records tells whether a selector takes logins. Those that name auth only to
// leave it out ("auth,authpriv.none") do not.
func (l *logs) records(at posture.Pos, selector, line string) {
	without := strings.Contains(selector, "authpriv.none")
	for part := range strings.SplitSeq(selector, ";") {
		facility, level, ok := strings.Cut(strings.TrimSpace(part), ".")
		low := slices.Contains([]string{"*", "debug", "info", "notice"}, strings.TrimLeft(level, "="))
		if !ok || !low || l.log.Auth.Known() {
			continue
		}
		for f := range strings.SplitSeq(facility, ",") {
			if f == "auth" || f == "authpriv" || f == "*" && !without {
				l.log.Auth = posture.Written(true, at, source.Quote(line))
			}
		}
	}
}

// Drivers of syslog-ng that leave the host; their words are those of
// "destination" blocks.
var (
	ngDestination = regexp.MustCompile(`\b(network|syslog|tcp6?|udp6?|relp|http|elasticsearch-http|kafka(?:-c)?|loki|opentelemetry|syslog-ng-otlp)\s*\(`)
	ngInclude     = regexp.MustCompile(`^@include\s+["']([^"']+)["']`)
	ngTLS         = regexp.MustCompile(`transport\s*\(\s*"?(tls|proxied-tls)"?\s*\)|\btls\s*\(|https://`)
	ngPerm        = regexp.MustCompile(`\bperm\s*\(\s*"?(0?[0-7]{3})"?\s*\)`)
)

func (l *logs) syslogNG(text *source.Text) { l.syslogNGFile(text, []string{text.Path}) }

// syslogNGFile looks at the statements that name destinations.
func (l *logs) syslogNGFile(text *source.Text, chain []string) {
	if l.syslog == (posture.Pos{}) {
		l.syslog = text.At(0, 0)
	}
	var statement strings.Builder
	var start posture.Pos
	depth := 0
	for n, line := range l.in.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if m := ngInclude.FindStringSubmatch(line); m != nil {
			l.syslogNGInclude(text.At(n, 1), m[1], chain)
			continue
		}
		if line[0] == '@' {
			continue
		}
		if statement.Len() == 0 {
			start = text.At(n, 1)
		}
		statement.WriteString(line + " ")
		depth += strings.Count(line, "{") - strings.Count(line, "}")
		if depth > 0 && statement.Len() < source.MostLine {
			continue
		}
		s := statement.String()
		statement.Reset()
		depth = 0
		l.syslogNGStatement(start, strings.TrimSpace(s))
	}
}

func (l *logs) syslogNGInclude(at posture.Pos, pattern string, chain []string) {
	for _, p := range l.in.Include(chain, at, pattern) {
		if l.read[p] {
			continue
		}
		l.read[p] = true
		if text := l.in.Read(p, false); text != nil {
			l.syslogNGFile(text, append(slices.Clone(chain), p))
		}
	}
}

func (l *logs) syslogNGStatement(at posture.Pos, s string) {
	if m := ngPerm.FindStringSubmatch(s); m != nil {
		l.createMode(at, m[1], m[0])
	}
	m := ngDestination.FindString(s)
	if m == "" || !strings.HasPrefix(s, "destination") {
		return
	}
	name, _, _ := strings.Cut(s, "{") // the rest may hold a password
	l.forwards = append(l.forwards, forward{ngTLS.MatchString(s), at, source.Quote(name + "{ " + m + "...")})
}
