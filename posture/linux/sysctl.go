package linux

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// relevant are the settings that bear on a VPN.
var relevant = regexp.MustCompile(`^net\.(ipv4\.(ip_forward|ip_no_pmtu_disc|tcp_mtu_probing|conf\..+\.(rp_filter|accept_redirects|secure_redirects|send_redirects|accept_source_route|forwarding|log_martians|arp_ignore|arp_announce|disable_policy|disable_xfrm|proxy_arp))|ipv6\.conf\..+\.(accept_redirects|accept_source_route|disable_ipv6|forwarding|accept_ra|proxy_ndp|disable_policy))$`)

// kernelDefaults are those of net/ipv4/devinet.c and net/ipv6/addrconf.c of
// Linux, where nothing is written. Source routes need the setting of "all" and
// of the interface: "default" alone lets none in.
var kernelDefaults = []struct{ key, value string }{
	{"net.ipv4.ip_forward", "0"},
	{"net.ipv4.conf.all.rp_filter", "0"}, {"net.ipv4.conf.default.rp_filter", "0"},
	{"net.ipv4.conf.all.accept_redirects", "1"}, {"net.ipv4.conf.default.accept_redirects", "1"},
	{"net.ipv4.conf.all.send_redirects", "1"}, {"net.ipv4.conf.default.send_redirects", "1"},
	{"net.ipv4.conf.all.accept_source_route", "0"}, {"net.ipv4.conf.default.accept_source_route", "1"},
	{"net.ipv6.conf.all.accept_redirects", "1"}, {"net.ipv6.conf.default.accept_redirects", "1"},
	{"net.ipv6.conf.all.accept_source_route", "0"}, {"net.ipv6.conf.default.accept_source_route", "0"},
	{"net.ipv6.conf.all.disable_ipv6", "0"},
}

// sysctls are the settings in the order in which they are made.
type sysctls struct {
	in      *source.Input
	set     map[string]posture.Value[string]
	order   []string
	globs   []setting       // net.ipv4.conf.*.rp_filter: for what is not named itself
	excepts map[string]bool // "-key" without a value: not by a pattern
}

// mostSettings is far above what any host has.
const mostSettings = 10_000

// sysctl reads the files as sysctl.d(5) orders them: by name whatever the
// directory, a file in etc in place of one of the same name elsewhere;
// sysctl.conf is the last, as sysctl(8) --system has it.
func sysctl(in *source.Input, files []string) {
	if len(files) == 0 {
		return
	}
	s := &sysctls{in: in, set: map[string]posture.Value[string]{}, excepts: map[string]bool{}}
	vendor := false
	for _, dir := range []string{"usr/lib/sysctl.d", "lib/sysctl.d", "usr/local/lib/sysctl.d", "run/sysctl.d"} {
		found, _ := in.Glob(".", dir+"/*.conf")
		for _, p := range found {
			vendor = true
			if !slices.ContainsFunc(files, func(f string) bool { return path.Base(f) == path.Base(p) }) {
				files = append(files, p)
			}
		}
	}
	slices.SortStableFunc(files, func(a, b string) int {
		return cmp.Or(cmp.Compare(last(a), last(b)), strings.Compare(path.Base(a), path.Base(b)))
	})
	var first posture.Pos
	for _, p := range files {
		if text := in.Read(p, false); text != nil {
			first = cmp.Or(first, text.At(0, 0))
			s.file(text)
		}
	}
	s.enter(first, vendor)
}

func last(p string) int {
	if path.Base(p) == "sysctl.conf" {
		return 1
	}
	return 0
}

func (s *sysctls) file(text *source.Text) {
	for n, line := range s.in.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, ignored := strings.CutPrefix(strings.TrimSpace(key), "-")
		key = dotted(strings.TrimSpace(key))
		switch {
		case !ok && ignored:
			s.excepts[key] = true
		case !ok || key == "":
			s.in.Note(posture.Unparsed, text.At(n, 1), "not understood: no setting with =")
		case strings.ContainsAny(key, "*?["):
			if len(s.globs) == mostSettings {
				continue
			}
			s.globs = append(s.globs, setting{key: key, value: strings.TrimSpace(value), at: text.At(n, 1), text: source.Quote(line)})
		case relevant.MatchString(key) && len(s.order) < mostSettings:
			if _, there := s.set[key]; !there {
				s.order = append(s.order, key)
			}
			s.set[key] = posture.Written(strings.TrimSpace(value), text.At(n, 1), source.Quote(line))
		}
	}
}

// dotted is the key with dots between its parts. Where a slash comes first, the
// dots are of a name, such as eth0.1.
func dotted(key string) string {
	if i := strings.IndexAny(key, "./"); i < 0 || key[i] == '.' {
		return key
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '/':
			return '.'
		case '.':
			return '/'
		}
		return r
	}, key)
}

// enter puts what is written, then what follows from patterns and from the
// kernel. Where the distribution's own files were not seen, a default is only
// likely.
func (s *sysctls) enter(at posture.Pos, vendor bool) {
	for _, key := range s.order {
		s.kernel(key, s.set[key])
	}
	for _, d := range kernelDefaults {
		if _, written := s.set[d.key]; written {
			continue
		}
		if v, ok := s.byPattern(d.key); ok {
			s.kernel(d.key, v)
			continue
		}
		value, why := d.value, "default of the kernel"
		if strings.HasSuffix(d.key, ".accept_redirects") && s.forwards(d.key) {
			value, why = "0", "the kernel turns it off with forwarding"
		}
		v := posture.ByDefault(value, at, why)
		if !vendor {
			v = posture.Guess(value, at, why+"; the distribution's own files were not seen")
		}
		s.kernel(d.key, v)
	}
}

func (s *sysctls) forwards(key string) bool {
	if strings.HasPrefix(key, "net.ipv6.") {
		return s.set["net.ipv6.conf.all.forwarding"].V == "1"
	}
	return s.set["net.ipv4.ip_forward"].V == "1" || s.set["net.ipv4.conf.all.forwarding"].V == "1"
}

func (s *sysctls) byPattern(key string) (v posture.Value[string], ok bool) {
	if s.excepts[key] {
		return v, false
	}
	for _, g := range s.globs {
		// A star is one part of the key: in paths below /proc/sys it meets no slash.
		if hit, err := path.Match(strings.ReplaceAll(g.key, ".", "/"), strings.ReplaceAll(key, ".", "/")); err == nil && hit {
			v, ok = posture.Written(g.value, g.at, g.text), true
		}
	}
	return v, ok
}

func (s *sysctls) kernel(key string, v posture.Value[string]) {
	s.in.Host.Kernel = append(s.in.Host.Kernel, posture.Kernel{Subject: subject("kernel", key, v.At), Key: key, Value: v})
}

// kept are modules without which a VPN loses a part.
var kept = []string{"esp4", "esp6", "ah4", "ah6", "ipcomp", "ipcomp6", "xfrm_user", "af_key", "l2tp_core", "l2tp_netlink", "l2tp_ppp", "ppp_mppe", "ppp_generic", "rxrpc", "wireguard"}

// modprobe looks for modules that are kept out, as a work-around for a flaw: by
// "blacklist", which holds against the kernel's own loading, or by "install"
// with a command that does nothing (modprobe.d(5)).
func modprobe(in *source.Input, files []string) {
	for _, p := range files {
		text := in.Read(p, false)
		if text == nil {
			continue
		}
		for n, line := range in.Lines(text) {
			w := strings.Fields(line)
			if len(w) < 2 || w[0] != "blacklist" && (w[0] != "install" || len(w) < 3 || !nothing(w[2])) {
				continue
			}
			module := strings.ReplaceAll(w[1], "-", "_")
			if !slices.Contains(kept, module) || len(in.Host.Kernel) > 2*mostSettings {
				continue
			}
			key, at := "modprobe.blacklist."+module, text.At(n, 1)
			in.Host.Kernel = append(in.Host.Kernel, posture.Kernel{Subject: subject("kernel", key, at), Key: key, Value: posture.Written(w[0], at, source.Quote(strings.TrimSpace(line)))})
		}
	}
}

func nothing(command string) bool {
	return slices.Contains([]string{"false", "true", ":"}, path.Base(command))
}
