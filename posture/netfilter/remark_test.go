package netfilter

import "testing"

func TestAShownRuleHasNoWordsOfPeople(t *testing.T) {
	for rule, want := range map[string]string{
		`-A INPUT -m comment --comment "key x" -j ACCEPT`: `-A INPUT -m comment --comment "..." -j ACCEPT`,
		`udp dport 1701 accept comment "key x"`:           `udp dport 1701 accept comment "..."`,
		`-A INPUT -m string --string key -j DROP`:         `-A INPUT -m string --string "..." -j DROP`,
	} {
		if got := uncommented(rule); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
