package cli

import (
	"strings"
	"testing"
	"time"

	"sallyport/gateway"
)

func TestStatusTellsOfRADIUSServers(t *testing.T) {
	var b strings.Builder
	heard := time.Now()
	(&Env{Getenv: func(string) string { return "" }}).writeRealm(&b, gateway.RealmStatus{
		Name:    "corp",
		Servers: []gateway.RADIUSServer{{Name: "r1:1812", Dead: true, Since: heard, Trouble: "compare the secrets", Drops: map[string]uint64{"wrong authenticator": 2}}, {Name: "r2:1812", Heard: heard}, {Name: "r3:1812"}},
		Queue:   &gateway.AccountingBacklog{Waiting: 3, Delivered: 7, Lost: 1},
	})
	want := "\nRADIUS corp:\n  logins: r1:1812 does not answer since " + heard.Local().Format(time.DateTime) +
		": compare the secrets\n    discarded: 2 wrong authenticator\n  logins: r2:1812 answers, last " + heard.Local().Format(time.DateTime) + "\n  logins: r3:1812 not asked yet\n  records: 7 delivered, 3 waiting, 1 lost\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
