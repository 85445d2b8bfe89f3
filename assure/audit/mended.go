package audit

import (
	"slices"
	"strings"
	"time"

	"sallyport/posture"
)

// release is one of a distribution: until when its makers mend what is in it
// without a further contract.
type release struct {
	until time.Time
	only  []string // components; nil: all. Ubuntu's promise ends with main, Red Hat's with what is its own
}

// releases are those that gateways run on. A program that its own project has left
// is maintained as long as the distribution mends it, and no longer.
var releases = map[string]release{
	"debian 10": {day(2024, 6, 30), nil}, "debian 11": {day(2026, 8, 31), nil}, "debian 12": {day(2028, 6, 30), nil}, "debian 13": {day(2030, 6, 30), nil},
	"ubuntu 18.04": {day(2023, 5, 31), ubuntuMain}, "ubuntu 20.04": {day(2025, 5, 31), ubuntuMain}, "ubuntu 22.04": {day(2027, 4, 1), ubuntuMain},
	"ubuntu 24.04": {day(2029, 4, 1), ubuntuMain}, "ubuntu 26.04": {day(2031, 4, 1), ubuntuMain},
	"rhel 7": {day(2024, 6, 30), redHatsOwn}, "rhel 8": {day(2029, 5, 31), redHatsOwn}, "rhel 9": {day(2032, 5, 31), redHatsOwn}, "rhel 10": {day(2035, 5, 31), redHatsOwn},
	"centos 7": {day(2024, 6, 30), redHatsOwn}, "centos 8": {day(2021, 12, 31), redHatsOwn},
	"almalinux 8": {day(2029, 5, 31), redHatsOwn}, "almalinux 9": {day(2032, 5, 31), redHatsOwn},
	"rocky 8": {day(2029, 5, 31), redHatsOwn}, "rocky 9": {day(2032, 5, 31), redHatsOwn},
}

var (
	ubuntuMain = []string{"strongswan", "freeradius", "ppp"}
	redHatsOwn = []string{"libreswan", "freeradius", "ppp"}
)

func day(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// mender is the release that a package is of, if that mends the component.
func mender(p *posture.Package, component string) (release, bool) {
	r, ok := releases[p.Distro]
	return r, ok && (r.only == nil || slices.Contains(r.only, component))
}

var distributions = strings.NewReplacer("debian", "Debian", "ubuntu", "Ubuntu", "rhel", "RHEL", "centos", "CentOS", "almalinux", "AlmaLinux", "rocky", "Rocky Linux")
