package packages

import (
	"bytes"
	"compress/gzip"
	"io"
	"regexp"
	"slices"
	"strings"

	"sallyport/posture"
)

// Bounds of one changelog. The kernel's has some megabytes.
const (
	mostChangelog = 32 << 20
	mostIDs       = 20_000
)

var cve = regexp.MustCompile(`CVE-[0-9]{4}-[0-9]{4,7}`)

// changelog lists the CVE ids that a package's changelog names; nil if it has
// none here. Packages of one source and version have the same.
func (r *reader) changelog(name, of string) []string {
	if ids, ok := r.changelogs[of]; ok {
		return ids
	}
	if strings.ContainsAny(name, "/\\") || strings.HasPrefix(name, ".") {
		return nil
	}
	for _, file := range []string{"changelog.Debian.gz", "changelog.Debian", "changelog.gz"} {
		p := "usr/share/doc/" + name + "/" + file
		if !r.in.Exists(p) {
			continue
		}
		if data := r.in.Raw(p, false); data != nil {
			r.changelogs[of] = r.ids(p, data)
			return r.changelogs[of]
		}
	}
	return nil
}

// ids are sorted and each there once. They are those of the newest entries,
// which stand first, if the text is too long.
func (r *reader) ids(p string, data []byte) []string {
	at := posture.Pos{File: r.in.Show(p)}
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			r.in.Note(posture.Malformed, at, "%v", err)
			return nil
		}
		data, err = io.ReadAll(io.LimitReader(z, mostChangelog+1))
		if err != nil {
			r.in.Note(posture.Malformed, at, "cannot be decompressed to its end: %v", err)
		}
	}
	if len(data) > mostChangelog {
		r.in.Note(posture.Limit, at, "has more than %d octets: read up to there", mostChangelog)
		data = data[:mostChangelog]
	}
	ids := []string{} // not nil: there is a changelog
	for _, m := range cve.FindAll(data, mostIDs) {
		ids = append(ids, string(m))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
