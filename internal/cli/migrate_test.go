package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/gateway"
	"sallyport/guard"
	"sallyport/store"
	"sallyport/store/bolt"
)

// noteUse is a program for scripts: it leaves in a state what a gateway records
// of a login. Its arguments are the state, the device, its user, the protocol,
// the client and how many days ago.
func noteUse() {
	if err := writeUse(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writeUse(args []string) error {
	days, err := strconv.Atoi(args[5])
	if err != nil {
		return err
	}
	u := gateway.Use{
		Device: args[1], User: args[2], Identity: args[2], Protocol: args[3], Client: args[4], Zone: "printers", Machine: "certificate",
		Last: time.Now().UTC().AddDate(0, 0, -days).Add(time.Second),
	}
	value, err := json.Marshal(u)
	if err != nil {
		return err
	}
	db, err := bolt.Open(filepath.Join(args[0], "state.db"), bolt.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	key := "/uses/" + u.Device + "/" + u.Protocol + "/" + u.Client
	_, err = db.Txn(context.Background(), store.Txn{Then: []store.Op{store.Put{Key: key, Value: value}}})
	return err
}

func TestThePlanAsAPersonReadsIt(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	use := func(device, client string) gateway.Use {
		return gateway.Use{Device: device, Protocol: "l2tp", Client: client, Zone: "printers", Machine: "certificate", Last: at}
	}
	var b strings.Builder
	(&Env{Getenv: func(string) string { return "" }}).writePlan(&b, gateway.MigrationPlan{
		Zones: []gateway.MigrationZone{{Name: "printers", Cutoff: "2027-03-31"}}, Needing: 2, Ready: 1, Late: 1, Unused: 1,
		Users: []gateway.MigrationUser{
			{User: "alice", Standing: gateway.OnL2TP, Needs: true, L2TP: []gateway.Use{use("pc", "Windows"), use("mac", "Apple")}, Until: "2027-03-31", Next: []gateway.Step{
				{Command: "sallyport device add pc-ikev2 --user alice --zone staff"},
				{Command: "sallyport device profile pc-ikev2 --for macos", Note: "--for ios on an iPhone or iPad"},
			}},
			{User: "bob\n\x1b[2J", RADIUS: "corp", Standing: gateway.OnBoth, Needs: true, Ready: true, Late: true, IKEv2: at,
				L2TP: []gateway.Use{use("radius:corp:bob", "unknown")}, Until: "2026-11-01", Next: []gateway.Step{{Note: "by hand"}}},
			{User: "carol", Standing: gateway.NeverCame},
		},
	})
	want := `USER                       LAST L2TP   CLIENT   DEVICE           MACHINE      ZONE      LAST IKEV2  READY  UNTIL       STANDING
alice                      2026-11-20  Windows  pc               certificate  printers  never       no     2027-03-31  needs L2TP
alice                      2026-11-20  Apple    mac              certificate  printers  never       no     2027-03-31  needs L2TP
"bob\n\x1b[2J" (RADIUS corp)  2026-11-20  unknown  radius:corp:bob  certificate  printers  2026-11-20  yes    2026-11-01  uses both, refused since its last day
carol                      never       -        -                -            -         never       no     -           never came by L2TP

alice:
  sallyport device add pc-ikev2 --user alice --zone staff
  sallyport device profile pc-ikev2 --for macos   # --for ios on an iPhone or iPad

"bob\n\x1b[2J" (RADIUS corp):
  # by hand

2 users need L2TP: 1 ready for IKEv2, 1 not, 1 refused since their last day; 0 moved, 0 away, 1 never came by L2TP
`
	if squeezed(b.String()) != squeezed(want) {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// squeezed leaves columns as wide as they are.
func squeezed(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(out, "\n")
}

func TestAPlanThatIsDone(t *testing.T) {
	for want, p := range map[string]gateway.MigrationPlan{
		"no zone is reached by L2TP, and nobody needs it": {},
		"nobody needs L2TP: 3 moved, 1 away, 0 never came by L2TP; when that is all, remove the zones of L2TP: printers": {
			Zones: []gateway.MigrationZone{{Name: "printers"}}, Moved: 3, Away: 1},
	} {
		if got := planSummary(p); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestStatusTellsOfTheFirewall(t *testing.T) {
	env := &Env{Getenv: func(string) string { return "" }}
	for what, c := range map[string]struct {
		l    *gateway.L2TPStatus
		want string
	}{
		"an IKEv2 zone": {nil, ""},
		"in force": {&gateway.L2TPStatus{Cutoff: "2027-03-31", Firewall: gateway.FirewallStatus{InForce: true, Counts: []guard.Count{
			{Device: "l2tp0", Way: "from", Rule: "out of reach", Drop: true, Packets: 12, Bytes: 720},
			{Device: "l2tp0", Way: "host", Rule: "DNS", Packets: 3, Bytes: 200},
		}}}, "\nL2TP zone printers: 2 sessions, until 2027-03-31, firewall in force\n" +
			"  PACKETS  OCTETS  VERDICT  WHERE           RULE\n" +
			"  12       720 B   refused  from clients    out of reach\n" +
			"  3        200 B   passed   to the gateway  DNS\n"},
		"not in force": {&gateway.L2TPStatus{Firewall: gateway.FirewallStatus{Trouble: "there is no table"}},
			"\nL2TP zone printers: 2 sessions, firewall not in force: there is no table\n"},
	} {
		var b strings.Builder
		env.writeL2TP(&b, gateway.ZoneStatus{Name: "printers", Sessions: 2, L2TP: c.l})
		if b.String() != c.want {
			t.Errorf("%s: got\n%q\nwant\n%q", what, b.String(), c.want)
		}
	}
}

func TestSessionsShowTheirWaivers(t *testing.T) {
	for want, s := range map[string]gateway.SessionInfo{
		"none":             {},
		"CRY-005 CRY-010":  {Waivers: []string{"CRY-005", "CRY-010"}},
		"PSK-003 PPP-017?": {Waivers: []string{"PSK-003"}, WaiversUnknown: []string{"PPP-017"}},
	} {
		if got := waiverText(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
