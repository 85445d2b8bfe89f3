package engine

import "testing"

// TestAFloodOfOneClassDisplacesNoOther: what comes inside of tunnels is bounded
// by itself.
func TestAFloodOfOneClassDisplacesNoOther(t *testing.T) {
	for flood := range classes {
		if flood == classOwed {
			continue // bounded by what it belongs to
		}
		m := newMailbox()
		taken := 0
		for range 2 * capacity[flood] {
			if m.put(item{class: flood}) {
				taken++
			}
		}
		if taken != capacity[flood] {
			t.Errorf("class %d took %d items, its bound is %d", flood, taken, capacity[flood])
		}
		for other := range classes {
			if got := m.put(item{class: other}); got != (other != flood) {
				t.Errorf("with class %d full, class %d takes: %t", flood, other, got)
			}
		}
		if n := len(m.take(nil)); n != taken+int(classes)-1 {
			t.Errorf("%d items were taken out", n)
		}
		if !m.put(item{class: flood}) {
			t.Errorf("class %d is still full when all is taken", flood)
		}
	}
}
