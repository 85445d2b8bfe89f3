// Package readme runs the README's first gateway as it is written: every
// command of that chapter, in order, on a gateway and on a laptop with
// strongSwan. Not one word is replaced, so what the README says is what works.
package readme

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

// reader is somebody who follows the README on two machines.
type reader struct {
	t               *testing.T
	ctx             context.Context
	gateway, laptop *lab.Host
	desk            string // working directory of both: "move it to the laptop" is done
	program         string
}

func TestTheFirstGatewayOfTheREADME(t *testing.T) {
	l := labtest.Open(t, lab.RoadWarrior, "charon-systemd", "swanctl", "ping", "sysctl")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := &reader{t: t, ctx: ctx, gateway: l.At("gateway"), laptop: l.At("client"), desk: t.TempDir(), program: labtest.Sallyport(t)}
	chapter := blocks(t, "## A first gateway")
	if len(chapter) != 4 {
		t.Fatalf("the chapter has %d blocks of commands; this test knows what to look at after each of 4", len(chapter))
	}
	r.freshMachines()

	r.follow(r.gateway, chapter[0])
	r.follow(r.laptop, chapter[1])
	r.reaches("10.60.0.1", true)
	r.follow(r.gateway, chapter[2])
	r.reaches("10.60.0.1", false)
	r.follow(r.gateway, chapter[3])
}

// blocks are the commands of a chapter, one list for each block of shell.
func blocks(t *testing.T, chapter string) (out [][]string) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), chapter+"\n")
	if !found {
		t.Fatalf("the README has no chapter %q", chapter)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	for {
		_, after, ok := strings.Cut(rest, "```sh\n")
		if !ok {
			return out
		}
		block, after, _ := strings.Cut(after, "```")
		out = append(out, strings.Split(strings.TrimSpace(block), "\n"))
		rest = after
	}
}

// freshMachines gives both hosts what a new installation has: the gateway an
// empty /etc and /var/lib of its own, so that nothing is left on this machine.
func (r *reader) freshMachines() {
	r.t.Helper()
	for _, dir := range []string{"/etc", "/var/lib"} {
		if err := r.gateway.Mount(dir); err != nil {
			r.t.Fatal(err)
		}
	}
	swan, err := r.laptop.StartStrongSwan(r.ctx)
	if err == nil {
		err = swan.Load(r.ctx, lab.SwanFiles{Conf: "include conf.d/*.conf\n"}) // as Debian ships it
	}
	if err == nil {
		err = r.laptop.Do(func() error { return os.Mkdir("/etc/swanctl/conf.d", 0o755) })
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// follow types each line on a host. A line that ends in & runs on.
func (r *reader) follow(h *lab.Host, lines []string) {
	r.t.Helper()
	for _, line := range lines {
		words := strings.Fields(line)
		c := lab.Command{Program: words[0], Args: words[1:], Dir: r.desk, Env: []string{"STRONGSWAN_CONF=/run/strongswan.conf"}}
		if c.Program == "sallyport" {
			c.Program = r.program
		}
		if last := len(c.Args) - 1; last >= 0 && c.Args[last] == "&" {
			c.Args = c.Args[:last]
			r.start(h, c)
			continue
		}
		if out, err := h.RunCommand(r.ctx, c); err != nil {
			r.t.Fatalf("%s# %s\n%s%v", h.Name, line, out, err)
		}
	}
}

// start starts a gateway and waits for its control socket, as a person waits
// for the first line of its log.
func (r *reader) start(h *lab.Host, c lab.Command) {
	r.t.Helper()
	p, err := h.Start(c)
	if err != nil {
		r.t.Fatal(err)
	}
	for h.Do(func() error { _, err := os.Stat("/run/sallyport/control.sock"); return err }) != nil {
		select {
		case <-p.Done():
			r.t.Fatalf("%s ended:\n%s", strings.Join(c.Args, " "), p.Output())
		case <-r.ctx.Done():
			r.t.Fatalf("no control socket:\n%s", p.Output())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (r *reader) reaches(addr string, want bool) {
	r.t.Helper()
	out, err := r.laptop.Run(r.ctx, "ping", "-n", "-c", "1", "-W", "2", addr)
	if got := err == nil; got != want {
		r.t.Fatalf("the laptop reaches %s: %v, want %v\n%s", addr, got, want, out)
	}
}

// TestEveryPageThatTheREADMENamesIsThere keeps its links alive.
func TestEveryPageThatTheREADMENamesIsThere(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	links := strings.Split(string(text), "](")[1:]
	if len(links) == 0 {
		t.Fatal("the README links to nothing")
	}
	for _, link := range links {
		target, _, _ := strings.Cut(link, ")")
		i, err := os.Stat(filepath.Join("../..", target))
		if err != nil {
			t.Errorf("%s: %v", target, err)
		} else if i.Size() == 0 {
			t.Errorf("%s is empty", target)
		}
	}
}

// TestTheMakeTargetsOfTheREADMEExist asks make itself.
func TestTheMakeTargetsOfTheREADMEExist(t *testing.T) {
	for _, target := range []string{"demo", "test", "build"} {
		if out, err := exec.Command("make", "-C", "../..", "-n", target).CombinedOutput(); err != nil {
			t.Errorf("make %s: %v\n%s", target, err, out)
		}
	}
}
