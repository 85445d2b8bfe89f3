package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"sallyport/assure/audit"
)

// mostSARIF is how many results GitHub takes of one run; of more it takes none.
const mostSARIF = 25_000

// mostNotices bounds the notifications, which nobody counts but everybody loads.
const mostNotices = 1_000

// The part of SARIF 2.1.0 that is written. Names are the standard's.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool                `json:"tool"`
		Invocations []sarifInvocation        `json:"invocations"`
		Bases       map[string]sarifArtifact `json:"originalUriBaseIds,omitempty"`
		ColumnKind  string                   `json:"columnKind"`
		Results     []sarifResult            `json:"results"`
		Properties  map[string]any           `json:"properties,omitempty"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string         `json:"id"`
		Short      sarifText      `json:"shortDescription"`
		Full       *sarifText     `json:"fullDescription,omitempty"`
		Help       *sarifText     `json:"help,omitempty"`
		Default    sarifDefault   `json:"defaultConfiguration"`
		Properties map[string]any `json:"properties,omitempty"`
	}
	sarifDefault struct {
		Enabled bool   `json:"enabled"`
		Level   string `json:"level,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful bool          `json:"executionSuccessful"`
		End        string        `json:"endTimeUtc"`
		Notices    []sarifNotice `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotice struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Kind         string             `json:"kind"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints,omitempty"`
		Baseline     string             `json:"baselineState,omitempty"`
		Suppressions []sarifSuppression `json:"suppressions"`
		Properties   map[string]any     `json:"properties,omitempty"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI  string `json:"uri"`
		Base string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind,omitempty"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// severityScores are what GitHub sorts and blocks by: over 9 is critical, from
// 7 high, from 4 medium, over 0 low.
var severityScores = map[audit.Severity]string{audit.Critical: "9.5", audit.High: "8.0", audit.Medium: "5.5", audit.Low: "3.0", audit.Info: "0.0"}

var sarifLevels = map[audit.Severity]string{audit.Critical: "error", audit.High: "error", audit.Medium: "warning", audit.Low: "note", audit.Info: "note"}

// SARIF writes the findings in the Static Analysis Results Interchange Format
// (SARIF 2.1.0 of OASIS), for GitHub and whoever else reads it. What could not
// be assessed is a result of kind "review"; waived findings are suppressed.
func (r *Report) SARIF(w io.Writer) error {
	rules, index := r.sarifRules()
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: r.Tool.Name, Version: r.Tool.Version, Rules: rules}},
		Invocations: []sarifInvocation{{Successful: true, End: r.Created.Format(time.RFC3339), Notices: r.sarifNotices()}},
		ColumnKind:  "unicodeCodePoints",
		Results:     r.sarifResults(index),
		Properties:  map[string]any{"grade": r.Grade.String(), "policy": r.Policy, "target": r.Target},
	}
	if run.usesRoot() {
		run.Bases = map[string]sarifArtifact{sarifRoot: {URI: "file:///"}}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

// sarifRules describes the rules that were asked, and those that only something
// else can answer as disabled.
func (r *Report) sarifRules() (rules []sarifRule, index map[string]int) {
	index, rules = map[string]int{}, []sarifRule{}
	worst := r.worst()
	for _, id := range slices.Sorted(maps.Keys(r.rules)) {
		rule := r.rules[id]
		severity, ok := worst[id]
		if !ok {
			severity = rule.Severity
		}
		index[id] = len(rules)
		rules = append(rules, sarifRule{
			ID: id, Short: sarifText{rule.Title}, Full: &sarifText{rule.Why}, Help: &sarifText{helpText(rule)},
			Default:    sarifDefault{Enabled: true, Level: sarifLevels[severity]},
			Properties: map[string]any{"security-severity": severityScores[severity], "tags": []string{"security", "vpn", rule.Area()}},
		})
	}
	for _, n := range r.NotLookedAt {
		if _, ok := index[n.ID]; !ok {
			index[n.ID] = len(rules)
			rules = append(rules, sarifRule{ID: n.ID, Short: sarifText{n.Title}, Properties: map[string]any{"needs": n.Needs}})
		}
	}
	return rules, index
}

// worst are the severities that the rules have in this report: a policy or a
// case may raise or lower them.
func (r *Report) worst() map[string]audit.Severity {
	worst := map[string]audit.Severity{}
	for i := range r.Findings {
		f := &r.Findings[i]
		worst[f.Rule] = max(worst[f.Rule], f.Severity)
	}
	return worst
}

func helpText(rule *audit.Rule) string {
	text := rule.Why
	if len(rule.Refs) > 0 {
		text += "\n\nSee " + strings.Join(rule.Refs, "; ") + "."
	}
	return text
}

// sarifNotices say what could not be read, and what was left out.
func (r *Report) sarifNotices() []sarifNotice {
	var notices []sarifNotice
	if all := len(r.Findings) + len(r.Unassessable); all > mostSARIF {
		notices = append(notices, sarifNotice{Level: "warning", Message: sarifText{fmt.Sprintf("%d of %d results are left out, the least severe ones: one run may have %d", all-mostSARIF, all, mostSARIF)}})
	}
	for i, n := range r.Notes {
		if i == mostNotices {
			return append(notices, sarifNotice{Level: "warning", Message: sarifText{fmt.Sprintf("%d more notes are left out", len(r.Notes)-i)}})
		}
		level := "warning"
		if n.Kind == "unparsed" {
			level = "note"
		}
		notice := sarifNotice{Level: level, Message: sarifText{plain(n.Kind + ": " + n.Text)}}
		if p := physical(n.File, n.Line, 0); p != nil {
			notice.Locations = []sarifLocation{{Physical: p}}
		}
		notices = append(notices, notice)
	}
	return notices
}

func (r *Report) sarifResults(index map[string]int) []sarifResult {
	results := []sarifResult{}
	seen := map[string]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if len(results) == mostSARIF {
			return results
		}
		seen[f.Fingerprint]++
		x := f.sarif(index[f.Rule], seen[f.Fingerprint])
		if r.Drift != nil {
			x.Baseline = "unchanged"
			if r.New(i) {
				x.Baseline = "new"
			}
		}
		results = append(results, x)
	}
	for i := range r.Unassessable {
		if len(results) == mostSARIF {
			return results
		}
		results = append(results, r.Unassessable[i].sarif(index[r.Unassessable[i].Rule]))
	}
	return results
}

// sarif is a finding as a result. GitHub knows a finding again by the one name
// that it gives fingerprints, which counts those that are equal.
func (f *Finding) sarif(index, nth int) sarifResult {
	x := sarifResult{
		RuleID: f.Rule, RuleIndex: index, Kind: "fail", Level: sarifLevels[f.Severity],
		Message:      sarifText{plain(f.message())},
		Locations:    locations(f.File, f.Line, f.Column, f.Host, f.Kind, f.Subject),
		Fingerprints: map[string]string{"primaryLocationLineHash": fmt.Sprintf("%s:%d", f.Fingerprint, nth)},
		Suppressions: []sarifSuppression{},
		Properties:   map[string]any{"security-severity": severityScores[f.Severity], "severity": f.Severity, "dialect": f.Dialect, "origin": f.Origin, "value": f.Value},
	}
	if f.Waived() {
		x.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: waiver(f)}}
	}
	return x
}

// message is what was found and what to write, for formats with one text.
func (f *Finding) message() string {
	text := f.Detail + "\n\nWhere: " + where(f.File, f.Line, f.Kind, f.Subject) + "\nValue: " + value(f)
	if f.Waiver != nil {
		text += "\nWaiver: " + waiver(f)
	}
	if f.Fix != "" {
		text += "\n\nFix:\n" + f.Fix
	}
	return text
}

func (u *Unassessed) sarif(index int) sarifResult {
	return sarifResult{
		RuleID: u.Rule, RuleIndex: index, Kind: "review", Level: "none",
		Message:      sarifText{plain("cannot be assessed for " + subject(u.Kind, u.Subject) + ": " + u.Reason)},
		Locations:    locations(u.File, u.Line, 0, u.Host, u.Kind, u.Subject),
		Suppressions: []sarifSuppression{},
	}
}

func locations(file string, line, column int, host, kind, name string) []sarifLocation {
	return []sarifLocation{{
		Physical: physical(file, line, column),
		Logical:  []sarifLogical{{Name: strings.Join([]string{clean(host), kind, clean(name)}, "/"), Kind: kind}},
	}}
}

// physical is a place in a file; nil where there is no file.
func physical(file string, line, column int) *sarifPhysical {
	if file == "" {
		return nil
	}
	p := &sarifPhysical{Artifact: artifact(file)}
	if line > 0 {
		p.Region = &sarifRegion{Line: line, Column: column}
	}
	return p
}

// sarifRoot is the name of the root directory in URIs.
const sarifRoot = "ROOT"

// artifact is a file's name as a relative URI (RFC 3986, Section 4.2), which an
// absolute name is to the root. A colon in it would make a scheme.
func artifact(file string) sarifArtifact {
	var a sarifArtifact
	file = path.Clean(file)
	if rest, ok := strings.CutPrefix(file, "/"); ok {
		a.Base, file = sarifRoot, rest
	}
	parts := strings.Split(file, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.PathEscape(p), ":", "%3A")
	}
	a.URI = strings.Join(parts, "/")
	return a
}

func (run *sarifRun) usesRoot() bool {
	uses := func(l []sarifLocation) bool {
		return slices.ContainsFunc(l, func(l sarifLocation) bool { return l.Physical != nil && l.Physical.Artifact.Base != "" })
	}
	return slices.ContainsFunc(run.Results, func(x sarifResult) bool { return uses(x.Locations) }) ||
		slices.ContainsFunc(run.Invocations[0].Notices, func(n sarifNotice) bool { return uses(n.Locations) })
}

// plain keeps the text of a file from becoming a link (SARIF 2.1.0, Section
// 3.11.6) and from hiding anything.
func plain(s string) string { return strings.ReplaceAll(cleanLines(s), "](", "] (") }
