package audit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

// product is a program on a host whose files are weak, and what it says of them
// itself.
type product struct {
	name          string
	programs      []string
	weak          func(t *testing.T) map[string]string
	rules         []string // what an audit must find, and no more after the patch
	says          func(t *testing.T, ctx context.Context, l *lab.Lab, h *lab.Host, s *site) string
	before, after []string // lines of what it says: of the weak files alone, of the patched alone
}

var products = []product{
	{"FreeRADIUS", []string{"freeradius"}, weakRADIUS,
		[]string{"PPP-011", "PPP-012", "LOG-002", "LOG-006"}, radiusSays,
		[]string{"require_message_authenticator = no", `tls_min_version = "1.0"`, "auth = no", "auth_badpass = yes", "auth_goodpass = yes"},
		[]string{"require_message_authenticator = yes", `tls_min_version = "1.2"`, "auth = yes", "auth_badpass = no", "auth_goodpass = no"}},
	{"pppd", []string{"pppd"}, files(weakPPP),
		[]string{"PPP-002", "PPP-004", "NAT-003", "LOG-002"}, pppdSays,
		[]string{"require-mschap", "mtu 1500", "mru 1500", "show-password"},
		[]string{"require-mschap-v2", "mtu 1280", "mru 1280", "hide-password"}},
	{"pppd of PPTP", []string{"pppd"}, files(weakPPTP),
		[]string{"PPP-003", "PPP-010"}, pppdSays,
		[]string{"require-chap"}, []string{"require-mschap-v2", "require-mppe-128"}},
	{"xl2tpd", []string{"xl2tpd", "pppd"}, files(weakL2TP),
		[]string{"PPP-001"}, xl2tpdSays,
		nil, []string{`"auth"`}},
	{"xl2tpd that requires CHAP", []string{"xl2tpd", "pppd"}, files(weakL2TPChap),
		[]string{"PPP-003"}, xl2tpdSays,
		[]string{`"require-chap"`}, nil},
	{"sysctl", []string{"sysctl"}, files(weakKernel),
		[]string{"LEAK-008"}, sysctlSays,
		[]string{"net.ipv4.conf.all.accept_redirects = 1", "net.ipv4.conf.all.send_redirects = 1", "net.ipv4.conf.all.rp_filter = 0", "net.ipv6.conf.all.accept_redirects = 1"},
		[]string{"net.ipv4.conf.all.accept_redirects = 0", "net.ipv4.conf.all.send_redirects = 0", "net.ipv4.conf.all.rp_filter = 2", "net.ipv6.conf.all.accept_redirects = 0"}},
	{"strongSwan by ipsec.conf", []string{"ipsec"}, files(weakStarter),
		[]string{"CRY-005", "CRY-008", "CRY-010", "CRY-012", "CRY-018", "NAT-001", "NAT-009", "RPL-002", "RPL-004", "KEY-001"}, starterSays,
		[]string{"ike=aes256-sha1-modp1024,aes256-sha256-ecp384", "esp=aes128-sha1", "branch: 127.0.0.1...198.51.100.9 IKEv1/2"},
		[]string{"ike=aes256-sha256-ecp384!", "esp=aes256gcm16-ecp384!", "branch: 127.0.0.1...198.51.100.9 IKEv2, dpddelay=30s"}},
}

func files(m map[string]string) func(*testing.T) map[string]string {
	return func(*testing.T) map[string]string { return m }
}

// TestProductsTakeWhatIsWritten: each product reads its weak files and says what
// they set; then they are mended, and it reads them again and says otherwise.
//
// Libreswan is not among them, because its package and strongSwan's exclude each
// other. Patches for it were loaded by hand into pluto 4.10 and 5.2, as Debian 12 and
// 13 build it, in a network namespace and with the packages only unpacked: five
// connections with IKEv1 and IKEv2, L2TP, AH and aggressive mode. "addconn
// --checkconfig" takes the files, pluto takes each connection that it had taken before
// and some that it had not, and "whack --status" shows what was written: algorithms,
// PFS, ESN, ipsec_max_bytes, replay_window, retransmit-timeout, dpddelay and ddos-mode.
// A mended 4.10 and a mended strongSwan set up an IKE SA with ECP 384 and agreed on the
// child; packets did not cross, for want of ESP in the kernel. The same was done with
// the words that are advised for Libreswan, where "seccomp" alone was refused: Debian's
// pluto is built without it.
func TestProductsTakeWhatIsWritten(t *testing.T) {
	labtest.Open(t, "")
	program := labtest.Sallyport(t)
	for _, p := range products {
		t.Run(strings.ReplaceAll(p.name, " ", "_"), func(t *testing.T) { p.try(t, program) })
	}
}

func (p product) try(t *testing.T, program string) {
	l := labtest.Open(t, "", p.programs...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := siteOf(t, program, p.weak(t))
	said := func(host string) []string {
		h, err := l.Host(host)
		if err != nil {
			t.Fatal(err)
		}
		return lines(p.says(t, ctx, l, h, s))
	}
	was := said("weak")
	s.mended(p.rules)
	is := said("mended")
	for _, c := range []struct {
		when        string
		want        []string
		then, other []string
	}{{"before", p.before, was, is}, {"after", p.after, is, was}} {
		for _, line := range c.want {
			if !has(c.then, line) || has(c.other, line) {
				t.Errorf("%s the patch, and only then, the product should say %q; it says:\n%s", c.when, line, strings.Join(c.then, "\n"))
			}
		}
	}
}

// label is what a daemon puts before its lines.
var label = regexp.MustCompile(`^(xl2tpd\[\d+\]:|\d+\[[A-Z]+\])\s*`)

// lines are those of a text, with single spaces.
func lines(text string) (all []string) {
	for line := range strings.Lines(text) {
		all = append(all, strings.Join(strings.Fields(label.ReplaceAllString(line, "")), " "))
	}
	return all
}

func has(lines []string, want string) bool {
	for _, line := range lines {
		if line == want || strings.HasPrefix(line, want+" # (from ") {
			return true
		}
	}
	return false
}

// place puts the files of a directory of the site where the product looks for them.
func (s *site) place(h *lab.Host, dir string) error {
	if err := h.Mount("/" + dir); err != nil {
		return err
	}
	return h.Do(func() error { return os.CopyFS("/"+dir, os.DirFS(filepath.Join(s.dir, dir))) })
}

const radiusDir = "etc/freeradius/3.0"

// weakRADIUS is laid out as Debian does it: a module is turned on by a link.
func weakRADIUS(t *testing.T) map[string]string {
	a := labtest.NewAuthority(t, "an authority")
	server := a.Issue(t, labtest.Leaf{Name: "radius.example.org", ID: "radius.example.org", Key: labtest.P256})
	in := map[string]string{
		"radiusd.conf": "prefix = /usr\nlibdir = /usr/lib/freeradius\nname = freeradius\nconfdir = /etc/freeradius/3.0\ncertdir = ${confdir}/certs\nlogdir = /run\nrun_dir = /run\ndb_dir = /run\n" +
			"log {\n\tdestination = files\n\tfile = ${logdir}/radius.log\n\tauth = no # too much\n\tauth_badpass = yes\n\tauth_goodpass = yes\n}\nsecurity {\n\tallow_vulnerable_openssl = yes\n}\n" +
			"$INCLUDE clients.conf\nmodules {\n\t$INCLUDE mods-enabled/\n}\nserver default {\n\tlisten {\n\t\ttype = auth\n\t\tipaddr = 127.0.0.1\n\t\tport = 0\n\t}\n\tauthorize {\n\t\teap\n\t}\n\tauthenticate {\n\t\teap\n\t}\n}\n",
		"clients.conf": "client l2tp-gw {\n\tipaddr = 10.1.0.10\n\tsecret = \"" + key + "\"\n\trequire_message_authenticator = no # an old device\n}\n",
		"mods-available/eap": "eap {\n\tdefault_eap_type = tls\n\ttls-config tls-common {\n\t\tprivate_key_file = ${certdir}/server.pem\n\t\tcertificate_file = ${certdir}/server.pem\n\t\tca_file = ${certdir}/ca.pem\n" +
			"\t\ttls_min_version = \"1.0\" # old phones\n\t\ttls_max_version = \"1.2\"\n\t\tcipher_list = \"DEFAULT\"\n\t}\n\ttls {\n\t\ttls = tls-common\n\t}\n}\n",
		"mods-enabled/eap": linkTo + "../mods-available/eap",
		"certs/server.pem": string(server.PEM()),
		"certs/ca.pem":     string(labtest.CertPEM(a.Cert)),
		"dictionary":       "$INCLUDE /usr/share/freeradius/dictionary\n",
	}
	all := map[string]string{}
	for name, text := range in {
		all[radiusDir+"/"+name] = text
	}
	return all
}

func radiusSays(t *testing.T, ctx context.Context, _ *lab.Lab, h *lab.Host, s *site) string {
	must(t, s.place(h, "etc/freeradius"))
	out, err := h.Run(ctx, "freeradius", "-XC", "-d", "/"+radiusDir)
	must(t, err)
	return out
}

const secrets = "# client server secret address\n\"anna\" l2tp-gw \"" + key + "\" 10.9.0.11\n"

var weakPPP = map[string]string{
	"etc/ppp/options.xl2tpd": "name l2tp-gw\nauth\nrequire-pap # old phones\nrequire-mschap\nmtu 1500\nmru 1500\nms-dns 10.0.0.53\nnodefaultroute lcp-echo-interval 30\nshow-password debug\n",
	"etc/ppp/chap-secrets":   secrets, "etc/ppp/pap-secrets": secrets,
	"etc/xl2tpd/xl2tpd.conf": "[global]\n\n[lns default]\nip range = 10.9.0.10-10.9.0.20\nlocal ip = 10.9.0.1\nrequire authentication = yes\npppoptfile = /etc/ppp/options.xl2tpd\n",
}

var weakPPTP = map[string]string{
	"etc/pptpd.conf":        "option /etc/ppp/pptpd-options\nlocalip 10.9.0.1\nremoteip 10.9.0.10-20\n",
	"etc/ppp/pptpd-options": "name l2tp-gw\nauth\nrequire-chap\nmtu 1280\nmru 1280\nms-dns 10.0.0.53\n",
	"etc/ppp/chap-secrets":  secrets,
}

// pppdSays lists the options that pppd has in effect, of which pppd 2.4.9 leaves out
// "auth" and "require-pap". It asks for no more of /dev/ppp than that it can be
// opened.
func pppdSays(t *testing.T, ctx context.Context, _ *lab.Lab, h *lab.Host, s *site) string {
	must(t, s.place(h, "etc/ppp"))
	devices(t, h)
	file := "options.xl2tpd"
	if _, err := os.Stat(filepath.Join(s.dir, "etc/ppp", file)); err != nil {
		file = "pptpd-options"
	}
	out, err := h.Run(ctx, "pppd", "pty", "true", "logfd", "1", "dump", "dryrun", "file", "/etc/ppp/"+file)
	must(t, err)
	return out
}

// devices gives a host those that pppd opens before it reads its options.
func devices(t *testing.T, h *lab.Host) {
	t.Helper()
	must(t, h.Mount("/dev"))
	must(t, h.Do(func() error {
		if err := unix.Mknod("/dev/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
			return err
		}
		return os.Symlink("null", "/dev/ppp")
	}))
}

const lns = "[global]\nlisten-addr = 127.0.0.1\n\n[lns default]\nip range = 10.9.0.10-10.9.0.20\nlocal ip = 10.9.0.1\n%spppoptfile = /etc/ppp/options.xl2tpd\nlength bit = yes\n"

var weakL2TP = map[string]string{
	"etc/xl2tpd/xl2tpd.conf": fmt.Sprintf(lns, "require authentication = no ; for now\n"),
	"etc/ppp/options.xl2tpd": "name l2tp-gw\nmtu 1280\nmru 1280\nms-dns 10.0.0.53\n",
	"etc/ppp/chap-secrets":   secrets,
}

var weakL2TPChap = map[string]string{
	"etc/xl2tpd/xl2tpd.conf": fmt.Sprintf(lns, "require authentication = yes\nrequire chap = yes\n"),
	"etc/ppp/options.xl2tpd": "name l2tp-gw\nauth\nrequire-mschap-v2\nmtu 1280\nmru 1280\nms-dns 10.0.0.53\n",
	"etc/ppp/chap-secrets":   secrets,
}

// xl2tpdSays calls xl2tpd from another one, and gives the words with which it
// starts pppd for the caller.
func xl2tpdSays(t *testing.T, ctx context.Context, _ *lab.Lab, h *lab.Host, s *site) string {
	must(t, s.place(h, "etc/xl2tpd"))
	must(t, s.place(h, "etc/ppp"))
	must(t, h.WriteFile("/run/caller.conf", []byte("[global]\nport = 1702\nlisten-addr = 127.0.0.2\n[lac gw]\nlns = 127.0.0.1\nautodial = yes\npppoptfile = /run/caller.options\n"), 0o600))
	must(t, h.WriteFile("/run/caller.options", nil, 0o600))
	server := xl2tpd(t, h, "/etc/xl2tpd/xl2tpd.conf", "server")
	awaitText(t, ctx, server, "Listening on IP address")
	xl2tpd(t, h, "/run/caller.conf", "caller")
	awaitText(t, ctx, server, "Call established with")
	return server.Output()
}

func xl2tpd(t *testing.T, h *lab.Host, conf, name string) *lab.Process {
	t.Helper()
	p, err := h.Start(lab.Command{Program: "xl2tpd", Args: []string{"-D", "-c", conf, "-p", "/run/" + name + ".pid", "-C", "/run/" + name + ".control"}})
	must(t, err)
	t.Cleanup(p.Stop)
	return p
}

// awaitText waits until a program has said something.
func awaitText(t *testing.T, ctx context.Context, p *lab.Process, text string) {
	t.Helper()
	for !strings.Contains(p.Output(), text) {
		select {
		case <-p.Done():
			t.Fatalf("%s ended, and was to say %q:\n%s", p.Name, text, p.Output())
		case <-ctx.Done():
			t.Fatalf("%s does not say %q:\n%s", p.Name, text, p.Output())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

var weakKernel = map[string]string{
	"etc/sysctl.d/10-vpn.conf": "# vpn\nnet.ipv4.ip_forward = 1\nnet.ipv4.conf.all.accept_redirects=1\nnet/ipv4/conf/all/send_redirects = 1\n-net.ipv4.conf.all.rp_filter = 0\nnet.ipv6.conf.all.accept_redirects = 1\n",
	"etc/hostname":             "gw\n",
}

func sysctlSays(t *testing.T, ctx context.Context, _ *lab.Lab, h *lab.Host, s *site) string {
	_, err := h.Run(ctx, "sysctl", "-p", filepath.Join(s.dir, "etc/sysctl.d/10-vpn.conf"))
	must(t, err)
	out, err := h.Run(ctx, "sysctl", "-a", "--pattern", `^net\.ipv[46]\.conf\.all\.`)
	must(t, err)
	return out
}

var weakStarter = map[string]string{
	"etc/ipsec.conf": "config setup\n\nconn %default\n\tikelifetime=48h\n\nconn branch # to the branch\n\tkeyexchange=ike\n\tleft=127.0.0.1\n\tleftid=@hq.example.org\n\tright=198.51.100.9\n\trightid=@branch.example.org\n\tauthby=secret\n" +
		"\tike=aes256-sha1-modp1024,aes256-sha256-ecp384 # old\n\tesp=aes128-sha1\n\tcompress=yes\n\tfragmentation=no\n\tauto=add\n",
	"etc/ipsec.secrets":   "@hq.example.org @branch.example.org : PSK \"" + key + "\"\n",
	"etc/strongswan.conf": "charon {\n}\n",
}

// starterConf has charon tell what the starter hands to it.
const starterConf = `charon {
	load_modular = no
	load = random nonce openssl curve25519 pem pkcs1 pkcs8 x509 revocation constraints pubkey sha1 sha2 aes gcm hmac kdf kernel-netlink socket-default stroke
	filelog {
		stderr {
			default = 1
			cfg = 2
		}
	}
}
`

func starterSays(t *testing.T, ctx context.Context, _ *lab.Lab, h *lab.Host, s *site) string {
	must(t, h.WriteFile("/run/strongswan.conf", []byte(starterConf), 0o600))
	env := []string{"STRONGSWAN_CONF=/run/strongswan.conf"}
	p, err := h.Start(lab.Command{Program: "ipsec", Args: []string{"start", "--nofork", "--conf", filepath.Join(s.dir, "etc/ipsec.conf")}, Env: env, Alone: true})
	must(t, err)
	defer p.Stop()
	awaitText(t, ctx, p, "added configuration 'branch'")
	status, err := h.RunCommand(ctx, lab.Command{Program: "ipsec", Args: []string{"statusall"}, Env: env})
	must(t, err)
	if out := p.Output(); strings.Contains(out, "unknown") || strings.Contains(out, "failed") {
		t.Error(out)
	}
	return p.Output() + status
}
