package threat

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/assure/audit"
	"sallyport/internal/secret"
	"sallyport/posture"
)

var update = flag.Bool("update", false, "write the golden files")

// modelOf is the model of hosts and what was said of them.
func modelOf(results []audit.Result, hosts ...*posture.Host) *Model {
	var c Collector
	for _, h := range hosts {
		c.Add(h)
	}
	return c.Model(results, now)
}

func (m *Model) threat(t *testing.T, id string) *Threat {
	t.Helper()
	i := slices.IndexFunc(m.Threats, func(x Threat) bool { return x.ID == id })
	if i < 0 {
		t.Fatalf("%s does not arise", id)
	}
	return &m.Threats[i]
}

func (m *Model) arises(id string) bool {
	return slices.ContainsFunc(m.Threats, func(x Threat) bool { return x.ID == id })
}

func (m *Model) reach(name string) []Reach {
	var all []Reach
	for _, e := range m.EntryPoints {
		if e.Name == name {
			all = append(all, e.Reach)
		}
	}
	return all
}

// known are the rules of the catalogue, and those that the data of
// vulnerabilities answers.
func known() map[string]bool {
	ids := map[string]bool{}
	for _, r := range audit.Rules() {
		ids[r.ID] = true
	}
	for i := 1; i <= 8; i++ {
		ids[fmt.Sprintf("CVE-%03d", i)] = true
	}
	return ids
}

func TestEveryRuleBearsOnAThreat(t *testing.T) {
	for id := range known() {
		if opens, bears := OfRule(id); len(opens)+len(bears) == 0 {
			t.Errorf("no threat of the table makes use of %s", id)
		}
	}
}

func TestASeriousFindingAlwaysOpensAThreat(t *testing.T) {
	for _, r := range audit.Rules() {
		if opens, _ := OfRule(r.ID); r.Severity >= audit.High && len(opens) == 0 {
			t.Errorf("%s is %s and opens nothing", r.ID, r.Severity)
		}
	}
}

func TestAWeaknessDoesNotOpenAThreat(t *testing.T) {
	results := append(passes("gw2", "RPL-001"), said("gw2", "RPL-002", audit.Found, "rw", "32 packets"))
	x := modelOf(results, certGateway()).threat(t, "T-20")
	if x.Status != Closed || x.StatusText() != "closed, with weaknesses" || len(x.Weaknesses) != 1 || len(x.Open) != 0 {
		t.Errorf("%s: %+v", x.StatusText(), x)
	}
}

func TestEveryThreatHasARuleOrAReason(t *testing.T) {
	rules, seen := known(), map[string]bool{}
	for i, r := range table {
		if want := fmt.Sprintf("T-%02d", i+1); r.id != want {
			t.Errorf("%s is where %s should be", r.id, want)
		}
		if (len(r.proof) == 0) != (r.reason != "") {
			t.Errorf("%s needs rules of proof, or a reason why there are none", r.id)
		}
		for _, id := range r.rules() {
			if !rules[id] {
				t.Errorf("%s names %s, which is no rule", r.id, id)
			}
			if seen[r.id+id] {
				t.Errorf("%s names %s twice", r.id, id)
			}
			seen[r.id+id] = true
		}
	}
}

func TestRowsAreWhole(t *testing.T) {
	for _, r := range table {
		if len(r.actors) == 0 || len(r.assets) == 0 || len(r.entries) == 0 || len(r.boundaries) == 0 || len(r.where) == 0 || r.title == "" || r.stride.Title() == "" {
			t.Errorf("%s lacks something", r.id)
		}
		for _, b := range r.boundaries {
			if !slices.ContainsFunc(borders, func(x border) bool { return x.id == b }) {
				t.Errorf("%s crosses %s, which is no boundary", r.id, b)
			}
		}
	}
}

// TestRisksAreThoseOfTheRegister holds the table against docs/threats.md: every
// risk has a threat, and no other word is used.
func TestRisksAreThoseOfTheRegister(t *testing.T) {
	doc, err := os.ReadFile("../../docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	risks := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (R[0-9]+) \|`).FindAllStringSubmatch(string(doc), -1) {
		risks[m[1]] = false
	}
	for _, r := range table {
		if _, ok := risks[r.risk]; !ok {
			t.Errorf("%s is of %q, which is no risk", r.id, r.risk)
		}
		risks[r.risk] = true
	}
	for risk, used := range risks {
		if !used {
			t.Errorf("no threat is of %s", risk)
		}
	}
}

func TestAGroupKeyLetsItsHoldersPoseAsTheGateway(t *testing.T) {
	m := modelOf([]audit.Result{said("vpn1", "PSK-003", audit.Found, "%any", "for any peer")}, l2tpHost())
	x := m.threat(t, "T-03")
	if x.Status != Open || len(x.Open) != 1 || x.Open[0].Rule != "PSK-003" || x.Open[0].Subject != "%any" || x.Severity != audit.High {
		t.Errorf("%+v", x)
	}
	keys := slices.IndexFunc(m.Assets, func(a Asset) bool { return a.Kind == psks })
	if a := m.Assets[keys]; a.Name != "1 pre-shared key" || a.Worst() != Open {
		t.Errorf("the key as an asset: %+v", a)
	}
}

func TestL2TPThatIsOpenToAllIsReachedByAnyone(t *testing.T) {
	h := l2tpHost()
	m := modelOf([]audit.Result{said("vpn1", "LEAK-001", audit.Found, "lns default", "open")}, h)
	if got := m.reach("UDP 1701"); !slices.Equal(got, []Reach{Anyone}) {
		t.Errorf("reached by %v", got)
	}
	for _, b := range m.Boundaries {
		if b.ID == intoL2TP && (b.Status != Open || b.Holders[0].Text != "UDP 1701 is taken from anywhere") {
			t.Errorf("%+v", b)
		}
	}
	h.Firewalls = []posture.Firewall{{L2TPNeedsIPsec: yes(in("nft", 3))}}
	if got := modelOf(nil, h).reach("UDP 1701"); !slices.Equal(got, []Reach{InIPsec}) {
		t.Errorf("behind a filter for IPsec it is reached by %v", got)
	}
	h.Firewalls = nil
	if got := modelOf(nil, h).reach("UDP 1701"); !slices.Equal(got, []Reach{NotKnown}) {
		t.Errorf("without a filter it is reached by %v", got)
	}
	h.L2TP[0].Listen.V = []string{"127.0.0.1"}
	if got := modelOf(nil, h).reach("UDP 1701"); !slices.Equal(got, []Reach{Local}) {
		t.Errorf("on loopback it is reached by %v", got)
	}
}

func TestIKEIsReachedAsThePacketFilterSays(t *testing.T) {
	for _, c := range []struct {
		says string
		f    []posture.Firewall
		want Reach
	}{
		{"no filter", nil, NotKnown},
		{"open", []posture.Firewall{{IKEOpen: yes(in("f", 1))}}, Anyone},
		{"named addresses", []posture.Firewall{{IKEOpen: no(in("f", 1))}}, Known},
		{"one of two open", []posture.Firewall{{IKEOpen: no(in("f", 1))}, {IKEOpen: yes(in("g", 1))}}, Anyone},
		{"dropped", []posture.Firewall{{IKEReachable: no(in("f", 1))}}, Nobody},
	} {
		h := certGateway()
		h.Firewalls = c.f
		if got := modelOf(nil, h).reach("UDP 500"); !slices.Equal(got, []Reach{c.want}) {
			t.Errorf("%s: reached by %v, and not %v", c.says, got, c.want)
		}
	}
}

func TestAGatewayWithCertificatesHasNoThreatsOfKeysAndPPP(t *testing.T) {
	m := modelOf(nil, certGateway())
	for _, id := range []string{"T-01", "T-02", "T-03", "T-08", "T-09", "T-13", "T-14", "T-40"} {
		if m.arises(id) {
			t.Errorf("%s arises", id)
		}
	}
	for _, id := range []string{"T-16", "T-22", "T-25", "T-28", "T-41"} {
		if !m.arises(id) {
			t.Errorf("%s does not arise", id)
		}
	}
	if m.Counts.Absent != len(m.Absent) || len(m.Absent)+len(m.Threats) != len(table) {
		t.Errorf("%d arise and %d do not, of %d", len(m.Threats), len(m.Absent), len(table))
	}
}

func TestInnerNetworksComeFromSelectorsAndPools(t *testing.T) {
	var got []string
	for _, a := range modelOf(nil, certGateway(), l2tpHost()).Assets {
		if a.Kind == networks {
			got = append(got, a.Name)
		}
	}
	if want := []string{"10.99.0.0/24", "10.1.0.0/16", "fd00:1::/48"}; !slices.Equal(got, want) {
		t.Errorf("%q, and not %q", got, want)
	}
}

func TestWhatPassedClosesAThreat(t *testing.T) {
	x := modelOf(passes("gw2", "CRY-007", "CRY-008", "CRY-009"), certGateway()).threat(t, "T-16")
	if x.Status != Closed || x.StatusText() != "closed" || len(x.Evidence) != 3 || x.Evidence[0] != (Evidence{"CRY-007", "No group is 1 or 22", 1}) {
		t.Errorf("%+v", x)
	}
}

func TestWhatBearsOnAThreatIsNoProofOfIt(t *testing.T) {
	x := modelOf(passes("gw2", "CRY-009"), certGateway()).threat(t, "T-16")
	if x.Status != NotAssessed || len(x.Missing) != 1 || !strings.Contains(x.Missing[0].Reason, "CRY-007, CRY-008") {
		t.Errorf("%+v", x)
	}
}

func TestOneRuleThatCannotBeJudgedLeavesAThreatUnassessed(t *testing.T) {
	results := append(passes("branch", "PSK-005"), said("branch", "PSK-001", audit.Unassessable, "hub", "the export does not hold the key"), said("branch", "PSK-001", audit.Unassessable, "spoke", "the export does not hold the key"))
	x := modelOf(results, routerExport()).threat(t, "T-01")
	if x.Status != NotAssessed || !slices.Contains(x.Missing, Missing{"PSK-001", "branch", "the export does not hold the key", 2}) {
		t.Errorf("%s: %+v", x.Status, x.Missing)
	}
}

func TestAThreatIsNotClosedByTheOtherHosts(t *testing.T) {
	second := certGateway()
	second.Name = "gw3"
	x := modelOf(passes("gw2", "RPL-001"), certGateway(), second).threat(t, "T-20")
	if x.Status != NotAssessed || !slices.Equal(x.Hosts, []HostStatus{{"gw2", Closed}, {"gw3", NotAssessed}}) {
		t.Errorf("%s: %+v", x.Status, x.Hosts)
	}
}

func TestAnAssetIsAsWellOffAsItsHost(t *testing.T) {
	second := certGateway()
	second.Name = "gw3"
	results := append(passes("gw2", "KEY-012"), said("gw3", "KEY-012", audit.Found, "ca.key", "the authority's key is here"))
	for _, a := range modelOf(results, certGateway(), second).Assets {
		i := slices.IndexFunc(a.Marks, func(m Mark) bool { return m.Threat == "T-26" })
		if a.Kind != authority {
			continue
		}
		if want := map[string]Status{"gw2": Closed, "gw3": Open}[a.Host]; i < 0 || a.Marks[i].Status != want {
			t.Errorf("%s: %+v", a.Host, a.Marks)
		}
	}
}

func TestAWaiverAcceptsAThreatUntilItsDay(t *testing.T) {
	found := said("gw2", "LEAK-011", audit.Found, "rw", "clients reach each other")
	for until, want := range map[string]Status{"2026-11-25": Open, "2026-11-26": Accepted, "2027-01-31": Accepted} {
		x := modelOf([]audit.Result{waived(found, until)}, certGateway()).threat(t, "T-33")
		if x.Status != want {
			t.Errorf("until %s: %s", until, x.Status)
		}
		if want == Accepted && x.StatusText() != "accepted until "+until {
			t.Errorf("until %s: %s", until, x.StatusText())
		}
		if want == Open && !x.Open[0].Waiver.Expired {
			t.Errorf("that the waiver is over is not told: %+v", x.Open[0])
		}
	}
	both := modelOf([]audit.Result{waived(found, "2027-01-31"), said("gw2", "LEAK-011", audit.Found, "other", "")}, certGateway()).threat(t, "T-33")
	if both.Status != Open || len(both.Accepted) != 1 || len(both.Open) != 1 {
		t.Errorf("one of two findings is waived: %s", both.Status)
	}
}

func TestWhatOnlyADrillTellsIsMissing(t *testing.T) {
	x := modelOf(passes("gw2", "KEY-010"), certGateway()).threat(t, "T-25")
	if x.Status != NotAssessed || !slices.ContainsFunc(x.Missing, func(m Missing) bool { return m.Rule == "KEY-016" && strings.Contains(m.Reason, "drill") }) {
		t.Errorf("%s: %+v", x.Status, x.Missing)
	}
	x = modelOf(append(passes("gw2", "KEY-010"), passes("gw2", "KEY-016")...), certGateway()).threat(t, "T-25")
	if x.Status != Closed {
		t.Errorf("with the drill: %s, %+v", x.Status, x.Missing)
	}
}

func TestAThreatWithoutRulesSaysWhy(t *testing.T) {
	x := modelOf(nil, certGateway()).threat(t, "T-41")
	if x.Status != NotAssessed || len(x.Missing) != 1 || !strings.Contains(x.Missing[0].Reason, "SSH") {
		t.Errorf("%+v", x)
	}
}

func TestAFindingIsToldWhereTheThreatDidNotSeemToArise(t *testing.T) {
	if x := modelOf([]audit.Result{said("gw2", "PPP-001", audit.Found, "p", "no proof")}, certGateway()).threat(t, "T-08"); x.Status != Open {
		t.Errorf("%+v", x)
	}
}

func TestWhatConcernsAllHostsConcernsEachAsset(t *testing.T) {
	r := said("", "KEY-007", audit.Found, "gw2.key", "a prime in common")
	for _, a := range modelOf([]audit.Result{r}, certGateway()).Assets {
		if a.Kind == privateKeys && a.Worst() != Open {
			t.Errorf("%+v", a)
		}
	}
}

func TestGapsAreToldAndWordsThatNobodyKnowsAreNone(t *testing.T) {
	want := []Gap{{"vpn1", "unreadable", 1, "etc/ipsec.d/private: permission denied"}}
	if got := modelOf(nil, l2tpHost()).Gaps; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func formats() map[string]func(*Model, io.Writer) error {
	return map[string]func(*Model, io.Writer) error{"md": (*Model).Markdown, "json": (*Model).JSON, "html": (*Model).HTML}
}

func written(t *testing.T, m *Model, write func(*Model, io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(m, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheModelOfThreeHosts(t *testing.T) {
	c, results := three()
	m := c.Model(results, now)
	for ext, write := range formats() {
		golden(t, "three."+ext, written(t, m, write))
	}
}

func TestTheModelOfEachHost(t *testing.T) {
	_, results := three()
	for name, h := range map[string]*posture.Host{"l2tp.md": l2tpHost(), "certificates.md": certGateway(), "router.md": routerExport()} {
		own := slices.DeleteFunc(slices.Clone(results), func(r audit.Result) bool { return r.Host != h.Name })
		golden(t, name, written(t, modelOf(own, h), (*Model).Markdown))
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was; look at the difference after go test ./assure/threat -update:\n%s", file, firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\n got: %s\nwant: %s", i+1, a[i], b[i])
		}
	}
	return "one is longer"
}

func TestTheSameIsWrittenWhateverTheOrder(t *testing.T) {
	c, results := three()
	first := c.Model(results, now)
	back := slices.Clone(results)
	slices.Reverse(back)
	var d Collector
	d.Add(routerExport())
	d.Add(certGateway())
	d.Add(l2tpHost())
	for ext, write := range formats() {
		want := written(t, first, write)
		for range 5 {
			if got := written(t, c.Model(results, now), write); got != want {
				t.Errorf("%s is not the same twice: %s", ext, firstDifference(got, want))
			}
		}
		if got := written(t, d.Model(back, now), write); got != want {
			t.Errorf("%s depends on the order of hosts and results: %s", ext, firstDifference(got, want))
		}
	}
}

func TestNoSecretIsKept(t *testing.T) {
	c, results := three()
	if strings.Contains(fmt.Sprintf("%#v", *c.hosts[0]), theKey) {
		t.Error("the collector keeps a secret")
	}
	for ext, write := range formats() {
		got := written(t, c.Model(results, now), write)
		if strings.Contains(got, theKey) || strings.Contains(got, "alice") {
			t.Errorf("a secret or the name of a user without a finding is in %s", ext)
		}
	}
}

// hostile is a name that would be markup in each of the formats.
const hostile = "</script><script>alert(1)</script>\x1b[31m|`x` [a](http://evil.example) @all \u202egpj\n# head\x00\xff"

func hostileModel() *Model {
	h := certGateway()
	h.Name = hostile
	h.Products[0].Name = hostile
	h.Connections[0].Name = hostile
	h.Connections[0].Pool.V = []string{hostile}
	h.Keys[0].Name, h.Keys[0].At.File = hostile, hostile
	h.Firewalls[0].IKEOpen.At.File = hostile
	h.Services = []posture.Service{{Subject: sub(posture.Linux, hostile, hostile, in(hostile, 1)), Protocol: hostile}}
	h.Secrets = []posture.Secret{{Subject: sub(posture.Linux, hostile, hostile, in(hostile, 1)), Kind: posture.PSK, Storage: posture.Storage(hostile), Value: secret.Bytes(theKey)}}
	h.Notes = []posture.Note{{Kind: posture.NoteKind(hostile), At: in(hostile, 1), Text: hostile}}
	r := said(hostile, "LEAK-011", audit.Found, hostile, hostile)
	r.Subject.Kind, r.Evidence.At.File = hostile, hostile
	w := waived(r, "2026-12-31")
	w.Waived.Owner, w.Waived.Reason = hostile, hostile
	return modelOf([]audit.Result{r, w, said(hostile, "RPL-001", audit.Unassessable, hostile, hostile)}, h)
}

func TestHostileNamesAreTextEverywhere(t *testing.T) {
	for ext, write := range formats() {
		got := written(t, hostileModel(), write)
		for _, bad := range []string{"\x1b", "\x00", "\u202e", "\xff", "\n# head"} {
			if strings.Contains(got, bad) {
				t.Errorf("%q reaches %s", bad, ext)
			}
		}
		if ext != "md" && strings.Contains(strings.ToLower(got), "<script") {
			t.Errorf("a script reaches %s", ext)
		}
	}
}

// TestNothingOfANameIsMarkupInMarkdown takes code spans and escapes away: what
// is left of a hostile name has no markup.
func TestNothingOfANameIsMarkupInMarkdown(t *testing.T) {
	fences := regexp.MustCompile("(`+)[^`].*?[^`](`+)")
	for line := range strings.Lines(written(t, hostileModel(), (*Model).Markdown)) {
		plain := withoutSpans(strings.ReplaceAll(line, `\|`, ""))
		for _, bad := range []string{"<", "](", "@", "http:", "`"} {
			if i := strings.Index(plain, bad); i >= 0 && !strings.HasSuffix(plain[:i], `\`) {
				t.Errorf("%q is markup in %q (spans %q)", bad, plain, fences.FindString(line))
			}
		}
	}
}

// withoutSpans takes code spans out, as CommonMark finds them (Section 6.1), and
// escaped characters outside of them.
func withoutSpans(s string) string {
	var b strings.Builder
	for s != "" {
		switch s[0] {
		case '\\':
			s = s[min(2, len(s)):]
		case '`':
			n := len(s) - len(strings.TrimLeft(s, "`"))
			end := closing(s[n:], n)
			if end < 0 {
				b.WriteString(s[:n])
				s = s[n:]
				continue
			}
			s = s[n+end+n:]
		default:
			b.WriteByte(s[0])
			s = s[1:]
		}
	}
	return b.String()
}

// closing is where a run of exactly n backticks begins.
func closing(s string, n int) int {
	for i := 0; i < len(s); {
		run := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
		if run == n {
			return i
		}
		i += max(run, 1)
	}
	return -1
}

func TestRowsHaveAsManyCellsAsTheirTable(t *testing.T) {
	columns := 0
	for line := range strings.Lines(written(t, hostileModel(), (*Model).Markdown)) {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if columns == 0 {
			columns = n
		}
		if n != columns {
			t.Errorf("%d bars, and not %d: %s", n, columns, line)
		}
	}
}

func TestThePageLoadsAndRunsNothing(t *testing.T) {
	c, results := three()
	got := written(t, c.Model(results, now), (*Model).HTML)
	if !strings.Contains(got, `content="default-src &#39;none&#39;; style-src &#39;sha256-`) {
		t.Error("there is no policy that forbids it")
	}
	for _, bad := range []string{"<script", "src=", "url(", " style=", "@import", "href=\"http", " on"} {
		for line := range strings.Lines(got) {
			if i := strings.Index(line, bad); i >= 0 && (bad != " on" || regexp.MustCompile(`<[^>]* on[a-z]+=`).MatchString(line)) {
				t.Errorf("%q in %s", bad, line)
			}
		}
	}
	if !strings.Contains(got, "@media print") {
		t.Error("there is no style for paper")
	}
	if !strings.Contains(got, "<style>"+style+"</style>") {
		t.Error("the style sheet is not what the policy has the hash of")
	}
}

func TestTheDocumentHasAVersionAndNoNulls(t *testing.T) {
	var d map[string]any
	if err := json.Unmarshal([]byte(written(t, modelOf(nil), (*Model).JSON)), &d); err != nil {
		t.Fatal(err)
	}
	if d["schema_version"] != float64(SchemaVersion) {
		t.Errorf("version %v", d["schema_version"])
	}
	c, results := three()
	if got := written(t, c.Model(results, now), (*Model).JSON); strings.Contains(got, "null") {
		t.Error("a list is null")
	}
}

func TestACollectorIsBounded(t *testing.T) {
	h := certGateway()
	for i := range 10 * mostOfHost {
		h.Connections[0].Pool.V = append(h.Connections[0].Pool.V, fmt.Sprintf("10.%d.%d.0/24", i/256, i%256))
		h.Notes = append(h.Notes, posture.Note{Kind: posture.Limit})
	}
	var c Collector
	c.Add(h)
	m := c.Model(nil, now)
	if len(m.Assets) > mostOfHost || m.LeftOut < 9*mostOfHost || len(m.Gaps) != 1 {
		t.Errorf("%d assets, %d left out, %d gaps", len(m.Assets), m.LeftOut, len(m.Gaps))
	}
	for i := range mostHosts + 10 {
		c.Add(&posture.Host{Name: fmt.Sprint(i)})
	}
	if m := c.Model(nil, now); len(m.Hosts) != mostHosts {
		t.Errorf("%d hosts", len(m.Hosts))
	}
	many := make([]audit.Result, 0, 3*mostFindings)
	for i := range 3 * mostFindings {
		many = append(many, said("gw2", "LEAK-011", audit.Found, fmt.Sprint(i), ""))
	}
	if x := modelOf(many, certGateway()).threat(t, "T-33"); len(x.Open) != mostFindings || x.LeftOut != 2*mostFindings {
		t.Errorf("%d findings and %d left out", len(x.Open), x.LeftOut)
	}
}

// TestARealAuditMakesAModel runs the rules themselves.
func TestARealAuditMakesAModel(t *testing.T) {
	a := audit.New(audit.Options{Now: now})
	var c Collector
	for _, h := range []*posture.Host{l2tpHost(), certGateway(), routerExport()} {
		a.Host(h)
		c.Add(h)
	}
	a.End()
	m := c.Model(a.Results, now)
	if x := m.threat(t, "T-03"); x.Status != Open {
		t.Errorf("a key for any peer: %s", x.Status)
	}
	for ext, write := range formats() {
		if got := written(t, m, write); strings.Contains(got, theKey) {
			t.Errorf("a secret reaches %s", ext)
		}
	}
}
