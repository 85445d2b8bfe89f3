package checklist

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// ran adds a run with one item.
func ran(h *History, at time.Time, s Standing, open int) Item {
	items := []Item{{ID: "C1", Standing: s, Open: open}}
	h.Add(items, at)
	return items[0]
}

func TestATrendIsToldAgainstTheRunBefore(t *testing.T) {
	var h History
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	for i, c := range []struct {
		standing Standing
		open     int
		want     Trend
		since    int // day
	}{
		{NotMet, 2, First, 0},
		{NotMet, 2, Same, 0},
		{NotMet, 1, Better, 0},
		{NotMet, 3, Worse, 0},
		{OK, 0, Better, 4},
		{OK, 0, Same, 4},
		{Problem, 1, Worse, 6},
		{NotMet, 5, Better, 7},
		{Unassessable, 0, Better, 8},
		{OK, 0, Better, 9},
	} {
		it := ran(&h, day(i), c.standing, c.open)
		if it.Trend != c.want || !it.Since.Equal(day(c.since)) {
			t.Errorf("run %d: %s since %s, want %s since %s", i, it.Trend, it.Since.Format(time.DateOnly), c.want, day(c.since).Format(time.DateOnly))
		}
	}
}

func TestAnItemThatIsNewHasNoTrend(t *testing.T) {
	h := History{Runs: []Run{{At: now, Items: map[string]Was{"C2": {Standing: OK}}}}}
	if it := ran(&h, now, OK, 0); it.Trend != First || !it.Since.Equal(now) {
		t.Errorf("%s since %s", it.Trend, it.Since)
	}
}

func TestAHistoryIsBoundedAndKeepsSinceWhen(t *testing.T) {
	dir := t.TempDir()
	full := History{Version: historyVersion}
	for n := range mostRuns + 50 {
		ran(&full, now.Add(time.Duration(n)*time.Hour), NotMet, 1)
	}
	if err := full.Write(dir); err != nil {
		t.Fatal(err)
	}
	h, err := ReadHistory(dir)
	if err != nil || len(h.Runs) != mostRuns || !h.Runs[0].At.Equal(now.Add(50*time.Hour)) {
		t.Fatalf("%d runs, the first of %s: %v", len(h.Runs), h.Runs[0].At, err)
	}
	if it := ran(&h, now.AddDate(1, 0, 0), NotMet, 1); it.Trend != Same || !it.Since.Equal(now) {
		t.Errorf("%s since %s", it.Trend, it.Since)
	}
	if info, err := os.Stat(filepath.Join(dir, HistoryFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestADamagedHistoryIsBegunAnewAndSaidSo(t *testing.T) {
	for name, text := range map[string]string{"damaged": `{"schema_version": 1, "runs": [`, "of another version": `{"schema_version": 9}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, HistoryFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if h, err := ReadHistory(dir); err == nil || len(h.Runs) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadHistory(t.TempDir()); err != nil {
		t.Errorf("without a file: %v", err)
	}
}
