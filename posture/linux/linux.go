// Package linux reads what a Linux system adds to a VPN: kernel settings, where
// logs go, how long they stay and who watches them, the clock, how daemons are
// confined, SAs that scripts key by hand, secrets in files of containers and of
// first boot, and services besides IPsec and L2TP.
package linux

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// kind is what a file is.
type kind uint8

const (
	foreign kind = iota
	sysctlFile
	rsyslogFile
	syslogNGFile
	journaldFile
	uploadFile
	logrotateFile
	clockFile
	modprobeFile
	unitFile
	envFile
	hostnameFile
	releaseFile
	timezoneFile
	pptpdFile
	accelFile
	manualFile
	jailFile
)

// named are files that are known by their whole name.
var named = map[string]kind{
	"sysctl.conf": sysctlFile, "rsyslog.conf": rsyslogFile, "syslog-ng.conf": syslogNGFile, "journald.conf": journaldFile, "journal-upload.conf": uploadFile,
	"logrotate.conf": logrotateFile, "chrony.conf": clockFile, "ntp.conf": clockFile, "ntpd.conf": clockFile, "timesyncd.conf": clockFile, "hostname": hostnameFile,
	"os-release": releaseFile, "timezone": timezoneFile, "pptpd.conf": pptpdFile, "accel-ppp.conf": accelFile, "jail.local": jailFile,
}

// within are directories whose files are all of one kind.
var within = map[string]kind{
	"sysctl.d": sysctlFile, "rsyslog.d": rsyslogFile, "journald.conf.d": journaldFile, "timesyncd.conf.d": clockFile, "modprobe.d": modprobeFile, "logrotate.d": logrotateFile, "jail.d": jailFile,
}

// Claims tells whether a file is one of the system's that is read. Files of
// environments and of cloud-init are only if they name a secret of a VPN.
func Claims(p string, head func() []byte) bool { return kindOf(p, head) != foreign }

func kindOf(p string, head func() []byte) kind {
	base, dir := path.Base(p), path.Base(path.Dir(p))
	above := path.Base(path.Dir(path.Dir(p)))
	switch {
	case named[base] != foreign:
		return named[base]
	case within[dir] == logrotateFile, within[dir] != foreign && (strings.HasSuffix(base, ".conf") || within[dir] == jailFile && strings.HasSuffix(base, ".local")):
		return within[dir]
	case dir == "conf.d" && above == "syslog-ng" && strings.HasSuffix(base, ".conf"):
		return syslogNGFile
	case (dir == "conf.d" || dir == "sources.d") && above == "chrony":
		return clockFile
	case unitOf(p) != "":
		return unitFile
	case mayKey(p, head):
		return manualFile
	case mayHoldVariables(base) && sensitive.Match(head()):
		return envFile
	}
	return foreign
}

// Read enters all that the files say.
func Read(in *source.Input) {
	in = in.For(posture.Linux, in.Files)
	files := map[kind][]string{}
	for _, p := range in.Files {
		k := kindOf(p, func() []byte { return in.Head(p, 8<<10) })
		files[k] = append(files[k], p)
	}
	hostname(in, files[hostnameFile])
	for _, p := range files[releaseFile] {
		in.Read(p, false) // packages know what it says
	}
	sysctl(in, files[sysctlFile])
	modprobe(in, files[modprobeFile])
	logging(in, files)
	units(in, files[unitFile])
	for _, p := range files[envFile] {
		variables(in, p)
	}
	for _, p := range files[manualFile] {
		manual(in, p)
	}
	services(in, files[pptpdFile], files[accelFile])
}

func subject(kind, name string, at posture.Pos) posture.Subject {
	return posture.Subject{Dialect: posture.Linux, Kind: kind, Name: name, At: at}
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$`)

// hostname takes the first line that is no comment (hostname(5)).
func hostname(in *source.Input, files []string) {
	for _, p := range files {
		text := in.Read(p, false)
		if text == nil {
			continue
		}
		for n, line := range in.Lines(text) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			switch {
			case !validName.MatchString(line):
				in.Note(posture.Malformed, text.At(n, 1), "is no name of a host")
			case in.Host.Name == "":
				in.Host.Name = line
			}
			break
		}
	}
}

// setting is a line such as "Key=value" in a section.
type setting struct {
	section, key, value string
	at                  posture.Pos
	text                string
}

// ini reads the form of systemd.syntax(7), which accel-ppp has, too: sections,
// keys, comments, and lines that a backslash joins. A line without a value is a
// key alone. Keys that nobody asks for are the service manager's business and
// make no note.
func ini(in *source.Input, text *source.Text) []setting {
	var all []setting
	var section string
	var joined strings.Builder
	var start int
	for n, line := range in.Lines(text) {
		line = strings.TrimSpace(line)
		if joined.Len() == 0 {
			start = n
		}
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if before, ok := strings.CutSuffix(line, `\`); ok && joined.Len() < source.MostLine {
			joined.WriteString(before + " ")
			continue
		}
		if joined.Len() > 0 {
			line = joined.String() + line
			joined.Reset()
		}
		if line[0] == '[' {
			section = strings.Trim(line, "[]")
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		all = append(all, setting{section, strings.TrimSpace(key), strings.TrimSpace(value), text.At(start, 1), source.Quote(line)})
	}
	return all
}

// truth is a boolean of systemd.syntax(7).
func truth(s string) bool {
	return slices.Contains([]string{"1", "yes", "true", "on", "y", "t"}, strings.ToLower(s))
}

// services are VPNs besides IPsec and L2TP. A daemon that is configured is taken
// to run: whether it is started is not in these files.
func services(in *source.Input, pptpd, accel []string) {
	for _, p := range pptpd {
		if text := in.Read(p, false); text != nil {
			at := text.At(0, 0)
			in.Product("pptpd", in.Version("pptpd"))
			in.Host.Services = append(in.Host.Services, posture.Service{
				Subject: subject("service", "pptpd", at), Protocol: "pptp", Enabled: posture.Guess(true, at, "pptpd is configured"),
			})
		}
	}
	for _, p := range accel {
		if text := in.Read(p, true); text != nil {
			in.Product("accel-ppp", in.Version("accel-ppp"))
			accelPPP(in, text)
		}
	}
}

// accelPPP looks at the modules that are loaded: each protocol is one.
func accelPPP(in *source.Input, text *source.Text) {
	for _, s := range ini(in, text) {
		switch {
		case s.section != "modules":
		case s.key == "pptp" || s.key == "sstp":
			in.Host.Services = append(in.Host.Services, posture.Service{
				Subject: subject("service", "accel-ppp "+s.key, s.at), Protocol: s.key, Enabled: posture.Written(true, s.at, s.text),
			})
		case s.key == "l2tp":
			in.Note(posture.Unparsed, s.at, "L2TP by accel-ppp is not judged")
		}
	}
}
