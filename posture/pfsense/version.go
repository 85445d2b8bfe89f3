package pfsense

import (
	"fmt"
	"strconv"
	"strings"

	"sallyport/posture"
)

// revisions are the revisions of the configuration, oldest first, with the
// release that began to write each. Several releases share one, so that the
// release is known from below only. To 18.0 they are as in the manual's table of
// versions ("Versions of pfSense and FreeBSD"); later ones as releases were seen
// to write them.
var revisions = []struct {
	revision float64
	release  string
}{
	{3.0, "1.2"}, {8.0, "2.0"}, {9.8, "2.1"}, {10.1, "2.1.1"}, {11.6, "2.2"}, {11.7, "2.2.1"}, {11.9, "2.2.4"}, {12.0, "2.2.5"},
	{15.0, "2.3"}, {15.4, "2.3.1"}, {15.5, "2.3.2"}, {15.8, "2.3.3"}, {17.0, "2.4"}, {17.3, "2.4.1"}, {17.9, "2.4.3"}, {18.0, "2.4.3-p1"},
	{18.8, "2.4.4"}, {19.1, "2.4.5"}, {21.4, "2.5.0"}, {21.7, "2.5.2"}, {22.2, "2.6.0"}, {22.9, "2.7.0"}, {23.3, "2.7.2"}, {24.0, "2.8.0"},
}

// release is what a revision tells of the version of pfSense.
func release(e *element) posture.Value[string] {
	rev, err := strconv.ParseFloat(e.value(), 64)
	if err != nil {
		return posture.Value[string]{}
	}
	known := ""
	for _, r := range revisions {
		if r.revision <= rev {
			known = r.release
		}
	}
	if known == "" {
		return posture.Value[string]{}
	}
	return posture.Guess(known, e.at, fmt.Sprintf("revision %s of the configuration, which pfSense %s or a later one writes", e.text, known))
}

// headed is the version in the header of an encrypted backup, such as
// "Version: OPNsense 24.7".
func headed(head string) (product, version string) {
	for line := range strings.Lines(head) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "Version: ")
		if !ok {
			continue
		}
		product, version, _ = strings.Cut(rest, " ")
		version, _, _ = strings.Cut(version, " ")
		return product, version
	}
	return "", ""
}

// racoon tells whether the version is one with racoon in the place of strongSwan,
// which came with 2.2.
func (r *reader) racoon() bool {
	v := r.version
	return r.dialect == posture.PfSense && v.Known() && (strings.HasPrefix(v.V, "1.") || strings.HasPrefix(v.V, "2.0") || strings.HasPrefix(v.V, "2.1"))
}
