// Package lab builds small networks out of Linux network namespaces and runs
// real peers in them. The end-to-end tests and the demo stand on it.
//
// A [Host] is a network namespace with a mount namespace of its own, held by
// two file descriptors and by nothing else: it has no name in the file system
// and no interface in the machine's own namespace. So two labs never collide,
// and when the process ends, even by SIGKILL, the kernel removes every process
// (parent-death signal), interface, rule and mount of the lab with it. There is
// nothing to sweep.
//
// No shell is run anywhere: interfaces and routes are set through netlink,
// programs are executed directly with their arguments.
package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// Lab is a set of hosts and the processes in them. Its methods may be called
// from any goroutine.
type Lab struct {
	mu    sync.Mutex
	hosts map[string]*Host
	procs []*Process
}

// ErrNotRoot is returned by [Open] for an ordinary user: network namespaces
// with real interfaces need root.
var ErrNotRoot = errors.New("lab: network namespaces need root; run this as root")

// Open returns an empty lab. The caller must Close it.
func Open() (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, ErrNotRoot
	}
	return &Lab{hosts: map[string]*Host{}}, nil
}

// Host returns the host with that name, and makes it when it does not exist.
func (l *Lab) Host(name string) (*Host, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h, ok := l.hosts[name]; ok {
		return h, nil
	}
	h, err := newHost(l, name)
	if err != nil {
		return nil, err
	}
	l.hosts[name] = h
	return h, nil
}

// At returns a host of the drawing. It panics when the drawing has no such
// host: that is a mistake in the program, not in its input.
func (l *Lab) At(name string) *Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.hosts[name]
	if !ok {
		panic(fmt.Sprintf("lab: no host %q in the drawing", name))
	}
	return h
}

// Close stops the processes, newest first, and lets go of the namespaces. It
// is safe to call twice.
func (l *Lab) Close() error {
	l.mu.Lock()
	procs, hosts := l.procs, l.hosts
	l.procs, l.hosts = nil, map[string]*Host{}
	l.mu.Unlock()

	for i := len(procs) - 1; i >= 0; i-- {
		procs[i].Stop()
	}
	var errs []error
	for _, h := range hosts {
		errs = append(errs, h.close())
	}
	return errors.Join(errs...)
}

// Packages are the Debian packages that hold the programs the lab and the tests
// may run.
var Packages = map[string]string{
	"nft":            "nftables",
	"charon-systemd": "charon-systemd strongswan-swanctl libcharon-extra-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins",
	"swanctl":        "strongswan-swanctl",
	"ping":           "iputils-ping",
	"sysctl":         "procps",
	"freeradius":     "freeradius",
	"radclient":      "freeradius-utils",
	"eapol_test":     "eapoltest",
	"hostapd":        "hostapd",
	"ip":             "iproute2",
	"openssl":        "openssl",
	"groff":          "groff-base",
	"curl":           "curl",
	"zbarimg":        "zbar-tools",
	"node":           "nodejs",
	"linux.uml":      "user-mode-linux",
	"ipsec":          "strongswan-starter strongswan-charon",
	"xl2tpd":         "xl2tpd",
	"pppd":           "ppp",
	"tshark":         "tshark",
	"iptables":       "iptables",
}

// Missing tells, as an error with the line to run, which of the programs are
// not installed; nil when all are there.
func Missing(programs ...string) error {
	var absent, packages []string
	for _, p := range programs {
		if _, err := lookPath(p); err != nil {
			absent = append(absent, p)
			packages = append(packages, Packages[p])
		}
	}
	if absent == nil {
		return nil
	}
	return fmt.Errorf("lab: %s not installed; run: apt-get install -y %s",
		strings.Join(absent, ", "), strings.Join(packages, " "))
}

// lookPath also looks where daemons live: a user's PATH often lacks sbin.
func lookPath(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + program); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("lab: %q is not installed", program)
}
