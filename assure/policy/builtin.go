package policy

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed files/*.yaml
var files embed.FS

// names of the built-in policies, in the order they are listed.
var names = []string{"default", "rfc", "nist-800-77r1", "cnsa1", "cnsa2", "bsi-2026", "anssi", "stig-vpn-srg", "legacy-l2tp"}

// Names lists the built-in policies, the default first.
func Names() []string { return slices.Clone(names) }

// Source is the file of a built-in policy.
func Source(name string) ([]byte, bool) {
	b, err := files.ReadFile(path.Join("files", name+".yaml"))
	return b, err == nil
}

// Named is a built-in policy.
func Named(name string) (*Policy, bool) {
	p, ok := builtin()[name]
	return p, ok
}

// Default is the policy that judges when no other is named.
func Default() *Policy { return builtin()["default"] }

// builtin reads the built-in policies. They are part of the program: one that
// cannot be read is a mistake of ours, which a test finds first.
var builtin = sync.OnceValue(func() map[string]*Policy {
	all := map[string]*Policy{}
	for _, name := range names {
		b, _ := Source(name)
		p, found := Parse(name, b, ruleIDs(b))
		if err := found.Err(); err != nil {
			panic(fmt.Sprintf("policy %s: %v", name, err))
		}
		all[name] = p
	}
	return all
})

// ruleIDs takes the ids in a built-in file for known: the catalogue is above
// this package, and a test of it holds that they exist.
func ruleIDs(b []byte) []string {
	var ids []string
	for line := range strings.Lines(string(b)) {
		if id, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && strings.Contains(id, "-0") {
			ids = append(ids, id)
		}
	}
	return ids
}
