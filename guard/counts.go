package guard

import (
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
)

// Count is how often a rule of a zone was met since it was applied.
type Count struct {
	Device  string `json:"device"`
	Way     string `json:"way"`  // from: past the host; to: to clients; host: to the host itself
	Rule    string `json:"rule"` // what the rule is for, such as "out of reach"
	Drop    bool   `json:"drop"` // the rule refuses
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Counts reads the counters of all zones, in the order of the rules; those of
// the two families of addresses are one. It fails when no table is there: the
// zones are open then.
func Counts() ([]Count, error) {
	c, err := open()
	if err != nil {
		return nil, err
	}
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("guard: reading the firewall: %w", err)
	}
	var counts []Count
	found := false
	for _, chain := range chains {
		if chain.Table.Name != tableName {
			continue
		}
		found = true
		way, device, ours := strings.Cut(chain.Name, "-")
		if !ours {
			continue
		}
		rules, err := c.GetRules(chain.Table, chain)
		if err != nil {
			return nil, fmt.Errorf("guard: reading chain %q: %w", chain.Name, err)
		}
		for _, r := range rules {
			counts = add(counts, countOf(r, way, device))
		}
	}
	if !found {
		return nil, errNoTable
	}
	return counts, nil
}

// countOf reads the comment, the counter and the verdict of a rule.
func countOf(r *nftables.Rule, way, device string) Count {
	count := Count{Device: device, Way: way}
	count.Rule, _ = userdata.GetString(r.UserData, userdata.TypeComment)
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Counter:
			count.Packets, count.Bytes = e.Packets, e.Bytes
		case *expr.Verdict:
			count.Drop = e.Kind == expr.VerdictDrop
		}
	}
	return count
}

// add joins a count with that of the other family. Rules without a comment count
// nothing.
func add(counts []Count, c Count) []Count {
	if c.Rule == "" {
		return counts
	}
	for i := range counts {
		if o := &counts[i]; o.Device == c.Device && o.Way == c.Way && o.Rule == c.Rule {
			o.Packets, o.Bytes = o.Packets+c.Packets, o.Bytes+c.Bytes
			return counts
		}
	}
	return append(counts, c)
}
