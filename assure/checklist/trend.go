package checklist

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"sallyport/internal/file"
)

// Trend is what became of an item since the run before.
type Trend string

// The trends.
const (
	First  Trend = "first" // there is no run before
	Same   Trend = "same"
	Better Trend = "better"
	Worse  Trend = "worse"
)

// HistoryFile is the name of the history in the state directory.
const HistoryFile = "checklist.json"

const (
	// mostRuns is more than a run a day for a year.
	mostRuns = 400
	// mostHistory is far above what so many runs need in octets.
	mostHistory = 4 << 20
	// historyVersion grows when a field changes its meaning or goes away.
	historyVersion = 1
)

// History is what earlier runs have said, oldest first.
type History struct {
	Version int   `json:"schema_version"`
	Runs    []Run `json:"runs"`
}

// Run is one of them.
type Run struct {
	At    time.Time      `json:"at"`
	Items map[string]Was `json:"items"` // by id
}

// Was is where an item stood.
type Was struct {
	Standing Standing  `json:"standing"`
	Open     int       `json:"open"`
	Since    time.Time `json:"since"`
}

// ReadHistory reads the history of a state directory. Without a file it is
// empty; with one that cannot be used it is empty too, and the error says why.
func ReadHistory(state string) (History, error) {
	path := filepath.Join(state, HistoryFile)
	none := History{Version: historyVersion}
	b, err := readAll(path, mostHistory)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	var h History
	if err := json.Unmarshal(b, &h); err != nil {
		return none, fmt.Errorf("%s: it is damaged, and begun anew: %w", path, err)
	}
	if h.Version != historyVersion {
		return none, fmt.Errorf("%s: it is of version %d and not %d, and begun anew", path, h.Version, historyVersion)
	}
	return h, nil
}

// Write keeps the history in a state directory.
func (h *History) Write(state string) error {
	b, err := json.MarshalIndent(h, "", " ")
	if err != nil {
		return err
	}
	return file.Write(filepath.Join(state, HistoryFile), append(b, '\n'), file.Private)
}

// rank orders standings from good to bad.
var rank = map[Standing]int{OK: 0, Unassessable: 1, NotMet: 2, Problem: 3}

// Add gives items their trend and since when they stand so, and enters the run.
// What is older than the last 400 runs is forgotten, but not since when an item
// stands as it does.
func (h *History) Add(items []Item, now time.Time) {
	var before map[string]Was
	if n := len(h.Runs); n > 0 {
		before = h.Runs[n-1].Items
	}
	run := Run{At: now.UTC().Truncate(time.Second), Items: map[string]Was{}}
	for i := range items {
		it := &items[i]
		was, ok := before[it.ID]
		it.Trend, it.Since = trend(was, ok, it), run.At
		if ok && was.Standing == it.Standing {
			it.Since = was.Since
		}
		run.Items[it.ID] = Was{it.Standing, it.Open, it.Since}
	}
	h.Runs = append(h.Runs, run)
	if over := len(h.Runs) - mostRuns; over > 0 {
		h.Runs = append([]Run(nil), h.Runs[over:]...)
	}
}

// trend compares standings, and where they are equal how much is open.
func trend(was Was, ok bool, it *Item) Trend {
	if !ok {
		return First
	}
	change := rank[it.Standing] - rank[was.Standing]
	if change == 0 {
		change = it.Open - was.Open
	}
	switch {
	case change > 0:
		return Worse
	case change < 0:
		return Better
	}
	return Same
}
