package ppp

import (
	"strings"
	"testing"
)

// rfcTable is RFC 1661, Section 4.1, as it is printed there.
const rfcTable = `
 Up   |    2     irc,scr/6     -         -         -         -
 Down |    -         -         0       tls/1       0         1
 Open |  tls/1       1     irc,scr/6     3r        5r        5r
 Close|    0       tlf/0       2         2         4         4
      |
  TO+ |    -         -         -         -       str/4     str/5
  TO- |    -         -         -         -       tlf/2     tlf/3
      |
 RCR+ |    -         -       sta/2 irc,scr,sca/8   4         5
 RCR- |    -         -       sta/2 irc,scr,scn/6   4         5
 RCA  |    -         -       sta/2     sta/3       4         5
 RCN  |    -         -       sta/2     sta/3       4         5
      |
 RTR  |    -         -       sta/2     sta/3     sta/4     sta/5
 RTA  |    -         -         2         3       tlf/2     tlf/3
      |
 RUC  |    -         -       scj/2     scj/3     scj/4     scj/5
 RXJ+ |    -         -         2         3         4         5
 RXJ- |    -         -       tlf/2     tlf/3     tlf/2     tlf/3
      |
 RXR  |    -         -         2         3         4         5
` + `
 Up   |    -         -         -           -
 Down |    1         1         1         tld/1
 Open |    6         7         8           9r
 Close|irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
      |
  TO+ |  scr/6     scr/6     scr/8         -
  TO- |  tlf/3p    tlf/3p    tlf/3p        -
      |
 RCR+ |  sca/8   sca,tlu/9   sca/8   tld,scr,sca/8
 RCR- |  scn/6     scn/7     scn/6   tld,scr,scn/6
 RCA  |  irc/7     scr/6x  irc,tlu/9   tld,scr/6x
 RCN  |irc,scr/6   scr/6x  irc,scr/8   tld,scr/6x
      |
 RTR  |  sta/6     sta/6     sta/6   tld,zrc,sta/5
 RTA  |    6         6         8       tld,scr/6
      |
 RUC  |  scj/6     scj/7     scj/8       scj/9
 RXJ+ |    6         6         8           9
 RXJ- |  tlf/3     tlf/3     tlf/3   tld,irc,str/5
      |
 RXR  |    6         7         8         ser/9
`

var (
	rfcEvents  = map[string]event{"Up": up, "Down": down, "Open": open, "Close": shut, "TO+": toPlus, "TO-": toMinus, "RCR+": rcrPlus, "RCR-": rcrMinus, "RCA": rca, "RCN": rcn, "RTR": rtr, "RTA": rta, "RUC": ruc, "RXJ+": rxjPlus, "RXJ-": rxjMinus, "RXR": rxr}
	rfcActions = map[string]action{"tlu": tlu, "tld": tld, "tls": tls, "tlf": tlf, "irc": irc, "zrc": zrc, "scr": scr, "sca": sca, "scn": scn, "str": str, "sta": sta, "scj": scj, "ser": ser}
)

// cellOf reads a cell as the RFC writes it; p, r and x are notes.
func cellOf(text string) transition {
	if text == "-" {
		return transition{}
	}
	text = strings.TrimRight(text, "prx")
	actions, next, both := strings.Cut(text, "/")
	if !both {
		actions, next = "", text
	}
	var do []action
	for _, name := range strings.Split(actions, ",") {
		if name != "" {
			do = append(do, rfcActions[name])
		}
	}
	return to(state(next[0]-'0'), do...)
}

func TestTheTableIsTheOneOfRFC1661(t *testing.T) {
	first := map[event]state{}
	cells := 0
	for _, line := range strings.Split(rfcTable, "\n") {
		name, row, ok := strings.Cut(line, "|")
		if !ok || strings.TrimSpace(row) == "" {
			continue
		}
		e, known := rfcEvents[strings.TrimSpace(name)]
		if !known {
			t.Fatalf("no event %q", name)
		}
		s := first[e]
		for _, text := range strings.Fields(row) {
			if got, want := table[e][s], cellOf(text); got != want {
				t.Errorf("%s in %v: %+v, and the RFC has %s", strings.TrimSpace(name), s, got, text)
			}
			s++
			cells++
		}
		first[e] = s
	}
	if cells != 160 {
		t.Errorf("%d cells were compared, and the RFC has 160", cells)
	}
}

func TestTheRestartTimerRunsWhereTheTableHasTimeouts(t *testing.T) {
	for s := range states {
		if got, want := s.timed(), table[toPlus][s].legal; got != want {
			t.Errorf("%v: the timer runs: %t, and the table has TO events: %t", s, got, want)
		}
	}
}
