package cli

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker: -X sallyport/internal/cli.version=v1.2.3.
var version = ""

// build says what this binary was made from.
type build struct {
	Version  string   `json:"version"`
	Revision string   `json:"revision,omitempty"`
	Time     string   `json:"time,omitempty"`
	Modified bool     `json:"modified"`
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Modules  []module `json:"modules"`
}

// module is one dependency that is linked into this binary.
type module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Sum     string `json:"sum,omitempty"`
}

func newVersion(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		GroupID: groupTools,
		Short:   "Show what this binary was built from",
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			b := thisBuild()
			return env.report(c, b, func(w io.Writer) { b.write(w) })
		},
	}
	withJSON(c)
	return c
}

func thisBuild() build {
	b := build{Version: version, Modules: []module{}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	b.Go = info.GoVersion
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	b.Revision, b.Time, b.Modified = settings["vcs.revision"], settings["vcs.time"], settings["vcs.modified"] == "true"
	b.Platform = settings["GOOS"] + "/" + settings["GOARCH"]
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		b.Modules = append(b.Modules, module{d.Path, d.Version, d.Sum})
	}
	return b
}

func (b build) write(w io.Writer) {
	fmt.Fprintf(w, "sallyport %s\n", b.Version)
	if b.Revision != "" {
		changed := ""
		if b.Modified {
			changed = ", with uncommitted changes"
		}
		fmt.Fprintf(w, "revision %s of %s%s\n", b.Revision, b.Time, changed)
	}
	fmt.Fprintf(w, "built with %s for %s, %s\n", b.Go, b.Platform, plural(len(b.Modules), "module"))
}
