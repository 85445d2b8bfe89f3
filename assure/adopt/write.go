package adopt

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// YAML is the configuration, for a person to go on with. dir is where the files
// that it names will be.
func (r *Result) YAML(dir string) []byte {
	var b bytes.Buffer
	d := r.config
	fmt.Fprintf(&b, "# Made of the configuration of %s.\n# The report says what became of everything there; lines with FILL IN wait for you.\n\n", plain(r.Host))
	if d.name == "" {
		fmt.Fprintf(&b, "gateway:\n  name: vpn.example.org   # FILL IN: the name that clients type; the source does not tell\n")
	} else {
		fmt.Fprintf(&b, "gateway:\n  name: %s\n", scalar(d.name))
	}
	if len(d.names) > 0 {
		fmt.Fprintf(&b, "  names: %s\n", list(d.names))
	}
	if len(d.zones) == 0 {
		b.WriteString("\n# The source has nothing for clients, which is all that the gateway serves.\n")
		return b.Bytes()
	}
	b.WriteString("\nzones:\n")
	for i, z := range d.zones {
		if i > 0 {
			b.WriteByte('\n')
		}
		z.write(&b, d)
	}
	d.writeRADIUS(&b, dir)
	return b.Bytes()
}

func (z *zone) write(b *bytes.Buffer, d *draft) {
	for _, f := range slices.Compact(slices.Clone(z.from)) {
		fmt.Fprintf(b, "  # from %s\n", f)
	}
	fmt.Fprintf(b, "  %s:\n", z.name)
	line := func(key, value string) { fmt.Fprintf(b, "    %s: %s\n", key, value) }
	if z.l2tp {
		line("protocol", "l2tp")
		line("machine", list(z.machine))
	} else {
		z.writePolicy(b)
	}
	line("auth", list(z.auth))
	if z.radius {
		line("radius", "old")
	}
	z.writePool(line)
	if len(z.dns) > 0 {
		line("dns", "{servers: "+list(z.dns)+"}")
	}
	z.writeRoutes(b, line)
	if len(z.listen) > 0 {
		line("listen", list(texts(z.listen)))
	}
	if z.mtu > 0 {
		line("mtu", itoa(z.mtu))
	}
	z.writeNumbers(line)
	if len(z.trust) > 0 {
		fmt.Fprintf(b, "    # FILL IN: to believe certificates of the old CA (%s):\n    # trust: {cas: [/etc/sallyport/old-ca.pem], crls: [/etc/sallyport/old-ca.crl]}\n", strings.Join(once(z.trust), ", "))
	}
}

func (z *zone) writePolicy(b *bytes.Buffer) {
	if len(z.ike) == 0 {
		b.WriteString("    policy: strong\n")
		return
	}
	b.WriteString("    policy:\n")
	for _, l := range []struct {
		key  string
		list []string
	}{{"ike", z.ike}, {"esp", z.esp}} {
		fmt.Fprintf(b, "      %s:\n", l.key)
		for _, p := range l.list {
			fmt.Fprintf(b, "        - %s\n", p)
		}
	}
}

func (z *zone) writePool(line func(key, value string)) {
	var parts []string
	if z.v4.IsValid() {
		parts = append(parts, "ipv4: "+z.v4.String())
	}
	if z.v6.IsValid() {
		parts = append(parts, "ipv6: "+scalar(z.v6.String()))
	}
	if len(parts) > 0 {
		line("pool", "{"+strings.Join(parts, ", ")+"}")
	}
}

func (z *zone) writeRoutes(b *bytes.Buffer, line func(key, value string)) {
	if !z.l2tp {
		if len(z.routes) > 0 {
			line("routes", list(texts(z.routes)))
		}
		return
	}
	if len(z.mayReach) > 0 {
		fmt.Fprintf(b, "    # FILL IN: other connections of the source lead to %s; add what these\n    # clients need, and nothing else.\n", strings.Join(texts(z.mayReach), ", "))
	} else {
		b.WriteString("    # FILL IN: the networks that these clients need, for example [10.20.30.0/24].\n    # Until then they reach no more than this.\n")
	}
	line("reach", list(texts(z.reach)))
}

// numbers are the keys of a zone that are written as they are, in their order.
var numbers = []string{"rekey.ike", "rekey.child", "rekey.bytes", "rekey.packets", "rekey.margin", "dpd", "mobike", "auth_lifetime"}

func (z *zone) writeNumbers(line func(key, value string)) {
	var rekey []string
	for _, key := range numbers {
		v := z.nums[key]
		name, isRekey := strings.CutPrefix(key, "rekey.")
		switch {
		case v == "":
		case isRekey:
			rekey = append(rekey, name+": "+v)
		}
	}
	if len(rekey) > 0 {
		line("rekey", "{"+strings.Join(rekey, ", ")+"}")
	}
	for _, key := range numbers {
		if v := z.nums[key]; v != "" && !strings.HasPrefix(key, "rekey.") && !(z.l2tp && key != "dpd") {
			line(key, v)
		}
	}
}

// texts are values as they are written.
func texts[T fmt.Stringer](all []T) []string {
	var out []string
	for _, v := range all {
		out = append(out, v.String())
	}
	return out
}

// list is a list in one line.
func list(words []string) string {
	var out []string
	for _, w := range words {
		out = append(out, scalar(w))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// scalar quotes what YAML could read otherwise.
func scalar(s string) string {
	if _, err := netip.ParsePrefix(s); err == nil && !strings.Contains(s, ":") {
		return s
	}
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-/") == "" && s[0] >= 'a' {
		return s
	}
	text, _ := json.Marshal(s) // a string cannot fail
	return string(text)
}

func (d *draft) writeRADIUS(b *bytes.Buffer, dir string) {
	if !slices.ContainsFunc(d.zones, func(z *zone) bool { return z.radius }) {
		return
	}
	b.WriteString("\nradius:\n  old:\n    servers:\n")
	each := func(port string) {
		for i, address := range d.radius {
			if port != "" {
				address = address[:strings.LastIndexByte(address, ':')+1] + port
			}
			fmt.Fprintf(b, "      - {address: %s, secret: %s}\n", scalar(address), scalar(strings.TrimSuffix(dir, "/")+"/"+radiusFile(i+1)))
		}
	}
	each("")
	if d.acct {
		b.WriteString("    accounting:\n")
		each("1813")
	}
}

// CSV writes the users as "sallyport user import --format csv" reads them. It
// holds passwords.
func (r *Result) CSV(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"user", "password", "zone", "address"}); err != nil {
		return err
	}
	for _, u := range r.Users {
		if err := c.Write([]string{u.Name, string(u.Password), u.Zone, strings.Join(texts(u.Inner), " ")}); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// Report is the list of fates as data; its form is stable.
type Report struct {
	Version int      `json:"version"`
	Host    string   `json:"host"`
	Zones   []string `json:"zones"`
	Users   int      `json:"users"`
	Keys    int      `json:"device_keys"`
	Taken   int      `json:"taken"`
	Changed int      `json:"changed"`
	Left    int      `json:"left_out"`
	Items   []Line   `json:"items"`
}

// Line is an item in a report.
type Line struct {
	Fate    Fate   `json:"fate"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Subject string `json:"subject"`
	What    string `json:"what"`
	Became  string `json:"became,omitempty"`
	Why     string `json:"why,omitempty"`
	Do      string `json:"do,omitempty"`
}

// Report makes the report.
func (r *Result) Report() Report {
	out := Report{Version: 1, Host: r.Host, Zones: append([]string{}, r.Zones...), Users: len(r.Users), Keys: len(r.Keys), Items: []Line{}}
	for _, i := range r.Items {
		switch i.Fate {
		case Taken:
			out.Taken++
		case Changed:
			out.Changed++
		default:
			out.Left++
		}
		out.Items = append(out.Items, Line{i.Fate, i.At.File, i.At.Line, i.Subject, i.What, i.Became, i.Why, i.Do})
	}
	return out
}

// headings are the parts of the text, what needs somebody first.
var headings = []struct {
	fate  Fate
	title string
}{{Left, "No counterpart"}, {Changed, "Changed"}, {Taken, "Taken as it is"}}

// Text writes the report for a person.
func (r Report) Text(w io.Writer) {
	fmt.Fprintf(w, "%s: %d taken, %d changed, %d left out\n", plain(r.Host), r.Taken, r.Changed, r.Left)
	for _, h := range headings {
		title := "\n" + h.title + "\n"
		for _, l := range r.Items {
			if l.Fate == h.fate && l.Why != noSetting {
				io.WriteString(w, title)
				title = ""
				l.text(w)
			}
		}
	}
	r.settings(w)
}

// settings lists in few lines what is of no use to the gateway.
func (r Report) settings(w io.Writer) {
	file := ""
	for _, l := range r.Items {
		if l.Why != noSetting {
			continue
		}
		if file == "" {
			fmt.Fprintf(w, "\nSettings that the gateway has not, or does by itself\n")
		}
		if l.File != file {
			if file != "" {
				fmt.Fprintln(w)
			}
			file = l.File
			fmt.Fprintf(w, "  %s:", plain(file))
		}
		fmt.Fprintf(w, " %s (%d)", l.What, l.Line)
	}
	if file != "" {
		fmt.Fprintln(w)
	}
}

func (l Line) text(w io.Writer) {
	fmt.Fprintf(w, "  %s%s: %s", l.place(), l.Subject, l.What)
	if l.Became != "" {
		fmt.Fprintf(w, " -> %s", l.Became)
	}
	fmt.Fprintln(w)
	if l.Why != "" {
		fmt.Fprintf(w, "      %s\n", l.Why)
	}
	if l.Do != "" {
		fmt.Fprintf(w, "      do: %s\n", l.Do)
	}
}

func (l Line) place() string {
	switch {
	case l.File == "":
		return ""
	case l.Line == 0:
		return plain(l.File) + ": "
	}
	return fmt.Sprintf("%s:%d: ", plain(l.File), l.Line)
}

// Commands are what to run with the files in a directory, in order.
func (r *Result) Commands(dir string) []string {
	all := []string{
		"sallyport config check " + dir + "/sallyport.yaml",
		"install -D -m 644 " + dir + "/sallyport.yaml /etc/sallyport/sallyport.yaml",
		"sallyport init",
	}
	if r.Empty() {
		return nil
	}
	if len(r.Users) > 0 {
		all = append(all, "sallyport user import "+dir+"/users.csv --format csv --dry-run",
			"sallyport user import "+dir+"/users.csv --format csv",
			"rm "+dir+"/users.csv")
		all = append(all, r.newPasswords()...)
	}
	for _, k := range r.Keys {
		line := fmt.Sprintf("sallyport device add %s --user USER --zone %s --psk --psk-file %s/psk/%s.psk", k.Name, k.Zone, dir, k.Name)
		if k.Address != "" {
			line += " --address " + k.Address
		}
		all = append(all, line)
	}
	return append(all, "# stop what serves now: it holds UDP 500, 4500 and 1701", "sallyport serve")
}

// newPasswords are the commands for users whose password was not taken.
func (r *Result) newPasswords() (all []string) {
	const most = 20
	for _, u := range r.Users {
		if len(u.Password) > 0 {
			continue
		}
		if len(all) == most {
			return append(all, "# and so on: REPORT.txt says for whom")
		}
		all = append(all, "sallyport user password "+u.Name+" --generate")
	}
	return all
}
