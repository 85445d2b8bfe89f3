package arch

import (
	"slices"
	"strings"
	"testing"
)

// wall keeps packages from reaching others, however long the way.
type wall struct {
	from []string
	not  []string
	but  []string // exceptions among from
	why  string
}

// runtime is everything that has sockets, files, clocks and goroutines.
var runtime = []string{"engine/...", "gateway/...", "client/...", "dataplane/...", "guard/...", "store/...", "pki/...", "config/...", "profile/...", "telemetry/...", "assure/...", "posture/...", "web/...", "internal/cli/...", "internal/lab/...", "internal/priv/..."}

var walls = []wall{
	{from: []string{"protocol/..."}, not: runtime,
		why: "protocols are machines and codecs, sans I/O: what they want done leaves them as values"},
	{from: []string{"protocol/wire"}, not: []string{"protocol/suite/...", "protocol/ike/...", "internal/..."},
		why: "the reader serves every codec and knows none"},
	{from: []string{"protocol/suite"}, not: []string{"protocol/wire/...", "protocol/ike/...", "protocol/esp/..."},
		why: "the table of algorithms is below every protocol"},
	{from: []string{"protocol/ike/ikemsg"}, not: []string{"protocol/ike", "protocol/esp/..."},
		why: "the IKE codec is also used where there is no machine: scan, audit, capture"},
	{from: []string{"protocol/esp/..."}, not: []string{"protocol/ike/...", "protocol/wire/..."},
		why: "ESP knows keys and packets; who agreed on them is not its business"},
	{from: []string{"protocol/ikev1/isakmp", "protocol/l2tp/l2tpmsg", "protocol/ppp/pppmsg"}, not: []string{"protocol/ikev1", "protocol/l2tp", "protocol/ppp"},
		why: "codecs are also used where there is no machine: scan, audit, capture"},
	{from: []string{"dataplane/..."}, not: []string{"protocol/ikev1/...", "protocol/l2tp", "protocol/ppp"},
		why: "the data plane reads packets and holds no conversation"},
	{from: []string{"protocol/ike"}, not: []string{"protocol/esp/...", "protocol/ikev1/...", "protocol/l2tp/...", "protocol/ppp/..."},
		why: "machines do not know each other; the engine joins them"},
	{from: []string{"protocol/ikev1/...", "protocol/l2tp/...", "protocol/ppp/..."}, not: []string{"protocol/ike"},
		why: "machines do not know each other; the engine joins them"},
	{from: []string{"dataplane/..."}, not: []string{"protocol/ike", "engine/...", "gateway/...", "client/...", "config/...", "pki/...", "store/..."},
		why: "the data plane is told what to do by values, and moves packets"},
	{from: []string{"guard/..."}, not: []string{"protocol/...", "config/...", "engine/...", "gateway/...", "client/...", "dataplane/...", "pki/...", "store/..."},
		why: "the firewall is told what to hold by values, and knows nothing else"},
	{from: []string{"config/..."}, not: []string{"protocol/ike", "engine/...", "gateway/...", "client/...", "dataplane/...", "pki/...", "store/..."},
		why: "a configuration must be checkable anywhere, without anything that runs"},
	{from: []string{"store/..."}, not: []string{"protocol/...", "config/...", "engine/...", "gateway/...", "client/...", "dataplane/...", "pki/..."},
		why: "the store keeps octets and knows no meaning"},
	{from: []string{"pki/..."}, not: []string{"protocol/ike", "engine/...", "gateway/...", "client/...", "dataplane/..."},
		why: "certificates are judged the same in the gateway, the client and the tools"},
	{from: []string{"engine/..."}, not: []string{"gateway/...", "client/...", "web/..."},
		why: "gateway and client stand on the engine, which declares the interfaces it needs from them"},
	{from: []string{"profile/..."}, not: []string{"protocol/ike/...", "engine/...", "gateway/...", "client/...", "dataplane/...", "pki/...", "store/..."},
		why: "a profile is text made of a policy and names: who asks for it, and who signs, is the caller's business"},
	{from: []string{"gateway/..."}, not: []string{"client/..."},
		why: "the gateway is not a client; what both need is in engine"},
	{from: []string{"client/..."}, not: []string{"gateway/...", "web/..."},
		why: "the client is not a gateway; what both need is in engine"},
	{from: []string{"..."}, not: []string{"internal/cli/..."}, but: []string{"cmd/...", "internal/cli/..."},
		why: "the command line is the top: only the program itself is above it"},
	{from: []string{"..."}, not: []string{"internal/lab/..."}, but: []string{"cmd/...", "internal/cli/...", "internal/lab/...", "internal/demo/...", "test/..."},
		why: "network namespaces and real peers are for tests and the demo"},
	{from: []string{"..."}, not: []string{"internal/simnet/..."}, but: []string{"internal/simnet/..."},
		why: "the simulated network is for tests"},
	{from: []string{"..."}, not: []string{"posture/posturetest"}, but: []string{"posture/posturetest"},
		why: "what tests of readers share is for tests"},
	{from: []string{"internal/secret"}, not: []string{"protocol/...", "config/..."},
		why: "the type of secrets is below everything"},
}

func TestImportsPointDownwards(t *testing.T) {
	graph := map[string][]string{}
	for _, p := range packages(t) {
		graph[p.name()] = own(p.Imports)
	}
	for name := range graph {
		for _, w := range walls {
			if !matchesAny(w.from, name) || matchesAny(w.but, name) {
				continue
			}
			if way := wayTo(graph, name, w.not); way != nil {
				t.Errorf("%s\n\t%s", strings.Join(way, " imports "), w.why)
			}
		}
	}
}

// own keeps the imports from this module, without its name.
func own(imports []string) []string {
	var names []string
	for _, i := range imports {
		if name, ok := strings.CutPrefix(i, module+"/"); ok {
			names = append(names, name)
		}
	}
	return names
}

// wayTo finds a shortest chain of imports from a package to a forbidden one.
func wayTo(graph map[string][]string, from string, forbidden []string) []string {
	ways := [][]string{{from}}
	seen := map[string]bool{from: true}
	for len(ways) > 0 {
		way := ways[0]
		ways = ways[1:]
		for _, next := range graph[way[len(way)-1]] {
			longer := append(slices.Clone(way), next)
			if matchesAny(forbidden, next) {
				return longer
			}
			if !seen[next] {
				seen[next] = true
				ways = append(ways, longer)
			}
		}
	}
	return nil
}

// ban keeps packages outside this module from being imported where they would
// break a promise. Only direct imports count: crypto/x509 itself imports net.
type ban struct {
	what []string // import paths
	in   []string // packages that may not import them
	but  []string // exceptions among in
	why  string
}

// machines are sans I/O and sans concurrency; the codecs and the table of
// suites below them may at least guard a table that is made once.
var machines = []string{"protocol/ike", "protocol/ikev1/...", "protocol/l2tp/...", "protocol/ppp/...", "protocol/eap/...", "protocol/radius/..."}

var bans = []ban{
	{what: []string{"net", "net/http", "os", "os/exec", "os/signal", "log", "log/slog", "syscall", "golang.org/x/sys/unix"}, in: []string{"protocol/..."}, but: []string{"protocol/eap/tlspump"},
		why: "protocols are sans I/O: datagrams, jobs and events go in and out as values; crypto/tls wants a net.Conn, which tlspump gives it in memory"},
	{what: []string{"sync", "sync/atomic", "context"}, in: machines,
		why: "one event loop owns a machine: a lock or a context inside it hides who that is"},
	{what: []string{"unsafe", "C"}, in: []string{"..."}, but: []string{"dataplane/...", "internal/priv/..."},
		why: "memory safety is the point of this program"},
	{what: []string{"os/exec"}, in: []string{"..."}, but: []string{"internal/lab/...", "internal/cli/...", "internal/demo/...", "client/...", "test/..."},
		why: "no program is started on the word of a peer; the gateway starts none at all"},
	{what: []string{"math/rand"}, in: []string{"..."},
		why: "what must be unpredictable comes from crypto/rand, and all else from math/rand/v2"},
	{what: []string{"math/rand/v2"}, in: []string{"..."}, but: []string{"internal/simnet/...", "internal/lab/...", "engine/...", "client/...", "protocol/ike"},
		why: "predictable numbers are for the spread of timers and for tests"},
	{what: []string{"crypto/md5", "crypto/des", "crypto/rc4", "crypto/dsa", "golang.org/x/crypto/md4"}, in: []string{"..."}, but: []string{"protocol/ikev1/...", "protocol/l2tp/...", "protocol/ppp/...", "protocol/eap/...", "protocol/radius/..."},
		why: "broken primitives live in the legacy protocols that demand them, and nowhere else"},
	{what: []string{"crypto/sha1"}, in: []string{"..."}, but: []string{"protocol/suite", "protocol/ike", "protocol/ikev1/...", "pki", "profile", "protocol/eap/...", "protocol/ppp/...", "assure/audit"},
		why: "SHA-1 is for NAT detection (RFC 7296, Section 2.23), key identifiers (RFC 5280, Section 4.2.1.2), the thumbprints of Windows waived signatures, and the hashes of Debian's list of weak keys"},
	{what: []string{"io/ioutil", "github.com/pkg/errors"}, in: []string{"..."},
		why: "the standard library has a newer way"},
	{what: []string{"github.com/spf13/cobra", "github.com/spf13/pflag"}, in: []string{"..."}, but: []string{"internal/cli/..."},
		why: "flags and verbs belong to the command line"},
	{what: []string{"github.com/goccy/go-yaml"}, in: []string{"..."}, but: []string{"config/...", "profile", "client", "assure/policy"},
		why: "YAML is read behind config.CheckYAML, which bounds its cost; profile and client write and read the device profile, and policies of audits are YAML, too"},
}

func TestBannedImports(t *testing.T) {
	for _, p := range packages(t) {
		for _, b := range bans {
			if !matchesAny(b.in, p.name()) || matchesAny(b.but, p.name()) {
				continue
			}
			for _, i := range p.Imports {
				if slices.Contains(b.what, i) {
					t.Errorf("%s imports %s\n\t%s", p.name(), i, b.why)
				}
			}
		}
	}
}

func TestWallsAreFoundWhereTheyAreBroken(t *testing.T) {
	graph := map[string][]string{"a": {"b", "c"}, "b": {"a"}, "c": {"d/e"}}
	if way := wayTo(graph, "a", []string{"d/..."}); !slices.Equal(way, []string{"a", "c", "d/e"}) {
		t.Errorf("the way from a to d is %v", way)
	}
	if way := wayTo(graph, "b", []string{"x"}); way != nil {
		t.Errorf("there is no way to x, but %v", way)
	}
}
