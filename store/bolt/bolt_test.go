package bolt

import (
	"path/filepath"
	"testing"

	"sallyport/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Engine {
		clock := new(storetest.Clock)
		s, err := Open(filepath.Join(t.TempDir(), "state", "sallyport.db"), Options{Create: true, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return storetest.Engine{Store: s, Advance: clock.Advance}
	})
}
