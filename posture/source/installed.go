package source

import (
	"slices"
	"strings"

	"sallyport/posture"
)

// Installed is the version of an installed package, by any of its names and
// without epoch and revision: what [Input.Version] cannot tell where a product
// and its package have different names.
func (in *Input) Installed(names ...string) posture.Value[string] {
	for _, p := range in.Host.Packages {
		if slices.Contains(names, p.Name) || slices.Contains(names, p.Source) {
			return posture.Guess(upstream(p.Version), p.At, "version of package "+p.Name)
		}
	}
	return posture.Value[string]{}
}

// upstream is "3.2.1" of "1:3.2.1+dfsg-4+deb12u1".
func upstream(v string) string {
	if _, rest, ok := strings.Cut(v, ":"); ok {
		v = rest
	}
	if i := strings.IndexAny(v, "-+~"); i > 0 {
		v = v[:i]
	}
	return v
}
