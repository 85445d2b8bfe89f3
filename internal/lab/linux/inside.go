package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sallyport/internal/lab"
)

// guestVariable in the environment of the first process makes it a guest's. It
// names the guest's mailbox, as the host has it.
const guestVariable = "SALLYPORT_LAB_GUEST"

// inMain is set when the program called Main.
var inMain bool

// Main is what TestMain calls. In a guest it is the machine's first process and
// never returns; elsewhere it runs the tests and exits.
func Main(m interface{ Run() int }) {
	inMain = true
	if os.Getpid() == 1 && os.Getenv(guestVariable) != "" {
		first()
	}
	os.Exit(m.Run())
}

// first is the life of a guest's first process.
func first() {
	err := errors.Join(mountAll(), loadModules(), settle())
	if err == nil {
		err = listenOn("/dev/ttyS0")
	}
	fmt.Println("the guest's first process ends:", err)
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {} // the kernel panics when its first process ends
}

// mounts are a guest's file systems over those of this machine, in order.
var mounts = []struct{ dir, kind, data string }{
	{"/proc", "proc", ""},
	{"/sys", "sysfs", ""},
	{"/dev", "devtmpfs", ""},
	{"/dev/pts", "devpts", "mode=0620,ptmxmode=0666"},
	{"/run", "tmpfs", "mode=0755"},
	{"/var/log", "tmpfs", "mode=0755"},
	{"/etc/ppp", "tmpfs", "mode=0755"},
	{"/etc/ipsec.d", "tmpfs", "mode=0755"},
}

// ownFiles are files of this machine that a guest has its own of. pppd is the
// one that fills in resolv.conf, through the link.
var ownFiles = []struct{ name, text string }{
	{"/etc/resolv.conf", ""},
	{"/etc/ipsec.conf", ""},
	{"/etc/ipsec.secrets", ""},
}

func mountAll() error {
	for _, m := range mounts {
		if m.dir == "/dev/pts" {
			if err := os.MkdirAll(m.dir, 0o755); err != nil {
				return err
			}
		}
		err := unix.Mount(m.kind, m.dir, m.kind, 0, m.data)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EBUSY) {
			continue // a package that is not installed here has no directory, and the kernel itself mounts /dev
		}
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	for _, f := range ownFiles {
		own := "/run/own" + f.name
		if err := os.MkdirAll(path.Dir(own), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(own, []byte(f.text), 0o600); err != nil {
			return err
		}
		if err := unix.Mount(own, f.name, "", unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("mount %s: %w", f.name, err)
		}
	}
	if err := errors.Join(os.MkdirAll("/run/log", 0o755), os.MkdirAll(guestMailbox, 0o755)); err != nil {
		return err
	}
	if err := unix.Mount("none", guestMailbox, "hostfs", unix.MS_RDONLY, os.Getenv(guestVariable)); err != nil {
		return fmt.Errorf("mount the mailbox: %w", err)
	}
	return nil
}

// moduleNames are the parts of the kernel that a guest has loaded. Nothing else
// is ever loaded: the program that the kernel would ask for a module may be
// missing here.
var moduleNames = []string{
	"ipv6", "esp4", "esp6", "xfrm_user", "af_key", "udp_tunnel",
	"authenc", "echainiv", "seqiv", "cbc", "ecb", "ctr", "gcm", "hmac", "cmac", "xcbc", "sha512_generic", "jitterentropy_rng", "drbg",
	"des_generic", "ghash-generic", "crypto_null", "cryptomgr",
	"ppp_generic", "ppp_async", "ppp_synctty", "ppp_mppe", "ppp_deflate", "bsd_comp", "pppox", "l2tp_core", "l2tp_ppp",
	"tun", "nf_tables", "nft_ct", "nft_counter",
}

// loadModules loads them, each after those it needs.
func loadModules() error {
	var version unix.Utsname
	if err := unix.Uname(&version); err != nil {
		return err
	}
	dir := filepath.Join("/usr/lib/uml/modules", unix.ByteSliceToString(version.Release[:]))
	text, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return err
	}
	files := map[string][]string{} // the module's file, then those of what it needs
	for line := range strings.Lines(string(text)) {
		file, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		name := strings.TrimSuffix(path.Base(file), ".ko")
		files[name] = append([]string{file}, strings.Fields(needs)...)
	}
	for _, name := range moduleNames {
		list := files[name] // empty where it is a part of the kernel itself
		for i := len(list) - 1; i >= 0; i-- {
			if err := loadModule(filepath.Join(dir, list[i])); err != nil {
				return fmt.Errorf("module %s: %w", list[i], err)
			}
		}
	}
	return nil
}

func loadModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// settle prepares what every program expects.
func settle() error {
	for _, v := range [][2]string{
		{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		{"TMPDIR", "/run"}, {"HOME", "/run"}, {"LANG", "C.UTF-8"},
	} {
		if err := os.Setenv(v[0], v[1]); err != nil {
			return err
		}
	}
	if err := os.Chdir("/run"); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// listenOn serves the serial line, as octets and not as lines of a person.
func listenOn(terminal string) error {
	line, err := os.OpenFile(terminal, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer line.Close()
	t, err := unix.IoctlGetTermios(int(line.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CLOCAL
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(line.Fd()), unix.TCSETS, t); err != nil {
		return err
	}
	// Nothing may be sent to the terminal before it carries octets: it would be
	// echoed.
	if _, err := line.WriteString("{}\n"); err != nil {
		return err
	}
	return serve(line)
}

// here is the guest itself, with what package lab can do on a host.
var here = func() *lab.Host {
	l := &lab.Lab{}
	return l.Here("guest")
}()

// furniture is what a guest is told when it has booted.
type furniture struct {
	Name   string
	Cables []cable
}

// furnish gives the guest its name, addresses and routes.
var furnish = Inside("furnish", func(_ context.Context, f furniture) (struct{}, error) {
	here.Name = f.Name
	if err := unix.Sethostname([]byte(f.Name)); err != nil {
		return struct{}{}, err
	}
	for key, value := range map[string]string{
		"net/ipv6/conf/all/accept_dad": "0", "net/ipv6/conf/default/accept_dad": "0",
		"net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/default/rp_filter": "0",
	} {
		if err := lab.WriteSysctl(key, value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return struct{}{}, err
		}
	}
	for i, c := range f.Cables {
		if err := c.plug(fmt.Sprintf("vec%d", i)); err != nil {
			return struct{}{}, fmt.Errorf("interface %s: %w", c.Name, err)
		}
	}
	for _, c := range f.Cables {
		for _, r := range c.Routes {
			if err := here.Route(r.To, r.Via); err != nil {
				return struct{}{}, fmt.Errorf("route to %v: %w", r.To, err)
			}
		}
	}
	if len(f.Cables) > 1 {
		return struct{}{}, here.Forward()
	}
	return struct{}{}, nil
})

// plug makes one of the kernel's interfaces the cable's.
func (c cable) plug(device string) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.LinkSetName(link, c.Name), netlink.LinkSetMTU(link, c.MTU)); err != nil {
		return err
	}
	// An address is usable at once, not after a second of detection. Routers are
	// heard where a tunnel is, and not on the cable.
	for _, key := range []string{"accept_dad", "accept_ra"} {
		if err := lab.WriteSysctl("net/ipv6/conf/"+c.Name+"/"+key, "0"); err != nil {
			return err
		}
	}
	if err := here.SetUp(c.Name, true); err != nil {
		return err
	}
	for _, a := range c.Addrs {
		if err := here.AddAddr(c.Name, a); err != nil {
			return err
		}
	}
	return nil
}

// lastLines is the end of a program's talk, for an error.
func lastLines(text []byte, n int) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}
