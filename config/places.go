package config

import "time"

// Places tell where the keys of a configuration stand in its file. The zero
// Places knows of none.
type Places struct {
	places  map[string]pos
	written map[string]bool
}

// At is where the value of a key stands, such as "zones.staff.rekey.child" or
// "zones.staff.auth[0]"; for a key that is not written it is the nearest section
// that is. Line and column count from 1; zero is the file as a whole.
func (p Places) At(key string) (line, col int) {
	for ; key != ""; key = above(key) {
		if at, ok := p.places[key]; ok && at != (pos{}) {
			return at.line, at.col
		}
	}
	return 0, 0
}

// Written tells whether a key stands in the file, and does not have its default.
func (p Places) Written(key string) bool { return p.written[key] }

// ParseWithPlaces is [Parse] that also tells where the keys stand.
func ParseWithPlaces(file string, b []byte, now time.Time) (*Config, Places, Diagnostics) {
	d := newDecoder(file)
	c, found := d.result(d.parse(b, now))
	return c, Places{places: d.places, written: d.written}, found
}
