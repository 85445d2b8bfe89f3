package legacy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
	"sallyport/internal/lab/linux"
)

// inPlan is what a plan says of its one user.
type inPlan struct {
	Standing string
	Late     bool
	L2TP     []struct{ Device, Client, Zone, Machine string }
	Next     []struct{ Command string }
}

// plan reads "migrate plan", whose exit code is its verdict.
func (g *gateway) plan(t *testing.T) (u inPlan) {
	t.Helper()
	var out bytes.Buffer
	args := []string{"migrate", "plan", "--json", "--config", g.config()}
	_, err := g.host.RunCommand(within(t, 10*time.Second), lab.Command{Program: g.program, Args: args, Stdout: &out})
	var report struct {
		Data struct{ Users []inPlan }
	}
	if bad := json.Unmarshal(out.Bytes(), &report); bad != nil || len(report.Data.Users) != 1 {
		t.Fatalf("migrate plan: %v, %v\n%s", err, bad, &out)
	}
	if err == nil {
		t.Error("somebody needs L2TP, and migrate plan is content")
	}
	return report.Data.Users[0]
}

// TestTheLastDayOfAUser: a client that is connected is on record, the firewall
// is seen to hold, and the end of the user's L2TP cuts it and keeps it out.
func TestTheLastDayOfAUser(t *testing.T) {
	l := labtest.Open(t, drawing, append(linux.Programs, "nft")...)
	g := serve(t, l.At("gateway"), printers+"  staff: {}\n")
	c := linux.Client{Server: outside, User: "alice", Fragments: true, ServerID: "@vpn.example.org", IKE: "aes256-sha256-ecp256", ESP: "aes256gcm16", Routes: []netip.Prefix{netip.MustParsePrefix("10.20.30.0/24")}}
	c.Cert, c.Key, c.CA = g.device(t, "laptop", "alice", "printers")
	c.EAP = &linux.EAPTLS{CA: c.CA, Cert: c.Cert, Key: c.Key, Server: "vpn.example.org"}
	vpn, err := boot(t, l.At("client")).Configure(within(t, time.Minute), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vpn.Up(within(t, 40*time.Second)); err != nil {
		t.Fatal(err)
	}

	u := g.plan(t)
	if got := fmt.Sprint(u.Standing, u.L2TP); got != "l2tp[{laptop strongSwan printers certificate}]" {
		t.Errorf("on record as %s", got)
	}
	if len(u.Next) != 2 || u.Next[1].Command != "sallyport device profile laptop-ikev2 --for networkmanager" {
		t.Errorf("to do: %v", u.Next)
	}
	var sessions []struct {
		Protocol string
		Waivers  []string
	}
	if err := g.ask(t, &sessions, "sessions", "list"); err != nil || fmt.Sprint(sessions) != "[{l2tp [CRY-010]}]" {
		t.Errorf("sessions %v, %v", sessions, err)
	}
	g.wantFirewall(t, true)
	if out, err := l.At("gateway").Run(within(t, 10*time.Second), "nft", "delete", "table", "inet", "sallyport"); err != nil {
		t.Fatal(err, out)
	}
	g.wantFirewall(t, false)
	g.run(t, "reload")
	g.wantFirewall(t, true)

	g.run(t, "user", "set", "alice", "--l2tp-until", time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly))
	if err := vpn.AwaitDown(within(t, 20*time.Second)); err != nil {
		t.Errorf("the link stays: %v", err)
	}
	vpn.Down(within(t, 20*time.Second)) // what the client thinks is left
	if link, err := vpn.Up(within(t, 15*time.Second)); err == nil {
		t.Errorf("alice came in again: %+v", link)
	}
	var status struct {
		Refusals []struct{ Reason, Fix string }
	}
	if err := g.ask(t, &status, "status"); err != nil || len(status.Refusals) == 0 {
		t.Fatalf("no refusal is on record: %v", err)
	}
	t.Logf("refused: %+v", status.Refusals)
	if u := g.plan(t); !u.Late {
		t.Errorf("alice is refused, and the plan says %+v", u)
	}
}

func (g *gateway) wantFirewall(t *testing.T, want bool) {
	t.Helper()
	var status struct {
		Zones []struct {
			L2TP struct {
				Firewall struct {
					InForce bool `json:"in_force"`
					Trouble string
				}
			}
		}
	}
	if err := g.ask(t, &status, "status"); err != nil || len(status.Zones) == 0 {
		t.Fatalf("status: %v", err)
	}
	if f := status.Zones[0].L2TP.Firewall; f.InForce != want {
		t.Errorf("firewall in force: %v (%s), want %v", f.InForce, f.Trouble, want)
	}
}
