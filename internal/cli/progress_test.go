package cli

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneLongStepIsTalkedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, talk := talking()
		p := env.progress()
		p.at("judging %q", "gw")
		time.Sleep(5 * time.Second)
		p.end()
		p.end()
		if n := strings.Count(talk.String(), `sallyport: judging "gw"`); n != 2 {
			t.Errorf("said %d times in five seconds: %s", n, talk)
		}
	})
}

func TestShortWorkIsNotTalkedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, talk := talking()
		p := env.progress()
		p.at("reading")
		time.Sleep(time.Second)
		p.end()
		if talk.Len() > 0 {
			t.Errorf("%s", talk)
		}
	})
}
