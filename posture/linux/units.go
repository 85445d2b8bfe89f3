package linux

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// daemons are the units that are looked at, and whose they are.
var daemons = map[string]string{
	"strongswan": "strongSwan", "strongswan-starter": "strongSwan", "strongswan-swanctl": "strongSwan", "charon": "strongSwan", "charon-systemd": "strongSwan",
	"ipsec": "", "pluto": "Libreswan", "xl2tpd": "xl2tpd", "freeradius": "FreeRADIUS", "radiusd": "FreeRADIUS", "accel-ppp": "accel-ppp", "softether-vpnserver": "SoftEther", "vpnserver": "SoftEther",
}

// unitOf is the name of the daemon whose unit, or part of one, the file is; it is
// empty for all others.
func unitOf(p string) string {
	name := path.Base(p)
	if dir, ok := strings.CutSuffix(path.Base(path.Dir(p)), ".service.d"); ok && strings.HasSuffix(name, ".conf") {
		name = dir
	} else if name, ok = strings.CutSuffix(name, ".service"); !ok {
		return ""
	}
	if _, ok := daemons[name]; !ok {
		return ""
	}
	return name
}

// unitDirs are where packages put units; those of etc come in their place.
var unitDirs = []string{"usr/lib/systemd/system", "lib/systemd/system"}

// units makes one entry of each unit with all its parts.
func units(in *source.Input, files []string) {
	parts := map[string][]string{}
	for _, p := range files {
		parts[unitOf(p)] = append(parts[unitOf(p)], p)
	}
	for name := range daemons {
		if slices.ContainsFunc(parts[name], isWhole) {
			continue
		}
		for _, dir := range unitDirs {
			if p := path.Join(dir, name+".service"); in.Exists(p) {
				parts[name] = append(parts[name], p)
				break
			}
		}
	}
	var names []string
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		unit(in, name, parts[name])
	}
}

func isWhole(p string) bool { return strings.HasSuffix(p, ".service") }

// unit reads the unit itself and then its parts by name (systemd.unit(5)).
func unit(in *source.Input, name string, files []string) {
	slices.SortFunc(files, func(a, b string) int {
		if isWhole(a) != isWhole(b) {
			return map[bool]int{true: -1, false: 1}[isWhole(a)]
		}
		return cmp.Or(strings.Compare(path.Base(a), path.Base(b)), strings.Compare(a, b))
	})
	u := posture.Unit{Subject: subject("unit", name+".service", posture.Pos{}), Product: daemons[name]}
	for _, p := range files {
		text := in.Read(p, false)
		if text == nil {
			continue
		}
		if u.At == (posture.Pos{}) {
			u.At = text.At(0, 0)
		}
		if isWhole(p) {
			unconfined(&u, text.At(0, 0))
		}
		for _, s := range ini(in, text) {
			if s.section == "Service" {
				confine(&u, s)
			}
		}
	}
	if u.At != (posture.Pos{}) {
		in.Host.Units = append(in.Host.Units, u)
	}
}

// unconfined is what systemd does where nothing is written (systemd.exec(5)).
func unconfined(u *posture.Unit, at posture.Pos) {
	const why = "default of systemd"
	u.User = posture.ByDefault("root", at, why)
	u.NoNewPrivileges = posture.ByDefault(false, at, why)
	u.SystemCalls = posture.ByDefault(false, at, why)
	u.Capabilities = posture.ByDefault(false, at, why)
	u.ProtectSystem = posture.ByDefault("no", at, why)
	u.ProtectHome = posture.ByDefault("no", at, why)
}

// confine takes one line. An empty value takes back what was there before.
func confine(u *posture.Unit, s setting) {
	switch s.key {
	case "User":
		u.User = posture.Written(cmp.Or(s.value, "root"), s.at, s.text)
	case "DynamicUser":
		if truth(s.value) {
			dynamic(u, s)
		}
	case "NoNewPrivileges":
		u.NoNewPrivileges = posture.Written(truth(s.value), s.at, s.text)
	case "SystemCallFilter":
		u.SystemCalls = posture.Written(s.value != "", s.at, s.text)
	case "CapabilityBoundingSet":
		// "~" alone is every capability.
		u.Capabilities = posture.Written(s.value != "~", s.at, s.text)
	case "ProtectSystem":
		u.ProtectSystem = posture.Written(level(s.value), s.at, s.text)
	case "ProtectHome":
		u.ProtectHome = posture.Written(level(s.value), s.at, s.text)
	}
}

// level is a boolean or the word for more than that.
func level(v string) string {
	switch {
	case truth(v):
		return "yes"
	case v == "strict" || v == "full" || v == "read-only" || v == "tmpfs":
		return v
	}
	return "no"
}

// dynamic is DynamicUser=yes, which brings the rest along.
func dynamic(u *posture.Unit, s setting) {
	u.User = posture.Written("dynamic", s.at, s.text)
	u.NoNewPrivileges = posture.Written(true, s.at, s.text)
	u.ProtectSystem = posture.Written("strict", s.at, s.text)
	u.ProtectHome = posture.Written("read-only", s.at, s.text)
}
