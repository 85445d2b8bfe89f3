package adopt

import (
	"reflect"
	"strings"
	"testing"

	"sallyport/posture"
)

// TestEveryFieldOfAPostureHasAFate keeps a field that is added to a posture from
// being passed over in silence.
func TestEveryFieldOfAPostureHasAFate(t *testing.T) {
	for _, c := range []struct {
		of   any
		rows map[string]row
	}{
		{posture.Connection{}, connectionRows}, {posture.Child{}, childRows}, {posture.L2TP{}, l2tpRows}, {posture.PPP{}, pppRows}, {posture.Daemon{}, daemonRows},
	} {
		typ := reflect.TypeOf(c.of)
		seen := map[string]bool{}
		for f := range typ.Fields() {
			if !strings.HasPrefix(f.Type.Name(), "Value[") {
				continue
			}
			seen[f.Name] = true
			r, ok := c.rows[f.Name]
			if !ok {
				t.Errorf("%s.%s has no row", typ.Name(), f.Name)
			}
			for _, o := range []outcome{r.on, r.off} {
				if !r.own && (o.fate == "" || o.fate == Taken && o.became == "" || o.fate != Taken && o.why == "" || r.label == "") {
					t.Errorf("%s.%s: a row without fate or reason: %+v", typ.Name(), f.Name, r)
				}
			}
		}
		for name := range c.rows {
			if !seen[name] {
				t.Errorf("the row %s is of no field of %s", name, typ.Name())
			}
		}
	}
}

func TestRangesBecomeNetworks(t *testing.T) {
	for text, want := range map[string]string{
		"192.168.42.10-192.168.42.250": "192.168.42.0/24 false true",
		"10.0.0.0/8":                   "10.0.0.0/8 true true",
		"10.1.2.3/8":                   "10.0.0.0/8 true true",
		"10.0.0.1":                     "10.0.0.1/32 true true",
		"fd00::1-fd00::ff":             "fd00::/120 false true",
		"10.0.0.9-10.0.0.1":            "invalid Prefix false false",
		"%dhcp":                        "invalid Prefix false false",
		"10.0.0.1-fd00::1":             "invalid Prefix false false",
		"0.0.0.0-255.255.255.255":      "0.0.0.0/0 false true",
	} {
		p, exact, ok := network(text)
		if got := p.String() + " " + yes(exact) + " " + yes(ok); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
