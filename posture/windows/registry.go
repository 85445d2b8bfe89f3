package windows

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"sallyport/posture"
	"sallyport/posture/source"
)

// value is one value of the registry.
type value struct {
	name   string
	text   string
	number uint64 // of a DWORD or QWORD
	at     posture.Pos
}

// registry is the values that bear on a VPN, by key and name in lower case.
type registry map[string][]keyed

type keyed struct {
	key string // in lower case
	value
}

// wanted are the values that are read, each with the end of its key.
var wanted = map[string]string{
	"prohibitipsec":                           `rasman\parameters`,
	"negotiatedh2048_aes256":                  `rasman\parameters`,
	"allowl2tpweakcrypto":                     `rasman\parameters`,
	"disableikenameekucheck":                  `rasman\parameters`,
	"assumeudpencapsulationcontextonsendrule": `policyagent`,
	"serverflags":                             `remoteaccess\parameters`,
	"salifetime":                              `remoteaccess\parameters\ikev2`,
	"sadatasize":                              `remoteaccess\parameters\ikev2`,
	"componentid":                             ``,
	"enableforras":                            ``,
}

// mostValues bounds what is kept of one export.
const mostValues = 20_000

// set keeps a value that is wanted. It tells whether it is.
func (g registry) set(key string, v value) bool {
	key = strings.ToLower(strings.TrimRight(key, `\`))
	name := strings.ToLower(v.name)
	end, ok := wanted[name]
	if !ok || key != "" && !(strings.HasSuffix(key, `\`+end) || key == end || end == "") {
		return false
	}
	if len(g[name]) < mostValues {
		g[name] = append(g[name], keyed{key, v})
	}
	return true
}

// find is the value of a name. Of several control sets the current one counts.
func (g registry) find(name string) (value, bool) {
	all := g[strings.ToLower(name)]
	if len(all) == 0 {
		return value{}, false
	}
	if i := slices.IndexFunc(all, func(k keyed) bool { return strings.Contains(k.key, "currentcontrolset") }); i >= 0 {
		return all[i].value, true
	}
	return all[0].value, true
}

// exported reads an export: lines of keys and values. A value goes on in the
// next line after a backslash.
func (r *reader) exported() {
	key, rest, open := "", 0, ""
	var at posture.Pos
	for n, line := range r.in.Lines(r.text) {
		line = strings.TrimSpace(line)
		if open == "" {
			at = r.text.At(n, 1)
		}
		if strings.HasSuffix(line, `\`) && !strings.HasPrefix(open+line, "[") && len(open) < source.MostLine {
			open += strings.TrimSuffix(line, `\`)
			continue
		}
		line, open = open+line, ""
		switch {
		case n == 1 || line == "" || strings.HasPrefix(line, ";"):
		case strings.HasPrefix(line, "["):
			key = strings.Trim(line, "[]")
		default:
			if !r.exportedValue(key, line, at) {
				rest++
			}
		}
	}
	if rest > 0 {
		r.unparsed(r.text.At(0, 0), "%d values of the registry that bear on nothing known here", rest)
	}
}

// exportedValue reads one value; false is one that nobody asks for. What cannot
// be read of those that count is noted.
func (r *reader) exportedValue(key, line string, at posture.Pos) bool {
	name, data, ok := strings.Cut(strings.TrimPrefix(line, `"`), `"=`)
	if strings.HasPrefix(line, "@=") {
		return false // the default value of a key
	}
	if !ok || !strings.HasPrefix(line, `"`) {
		r.unparsed(at, "is no value of the registry")
		return true
	}
	v := value{name: unescape(name), at: at}
	if _, ok := wanted[strings.ToLower(v.name)]; !ok {
		return false
	}
	if !v.decode(data) {
		r.unparsed(at, "the value %q is not understood", source.Quote(v.name))
		return true
	}
	return r.reg.set(key, v)
}

func unescape(s string) string { return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(s) }

// decode reads the data of a value by its type: a text, dword:, hex(b): for a
// QWORD, and hex(1), hex(2) and hex(7) for texts in UTF-16.
func (v *value) decode(data string) bool {
	if text, ok := strings.CutPrefix(data, `"`); ok {
		v.text = unescape(strings.TrimSuffix(text, `"`))
		return true
	}
	kind, digits, ok := strings.Cut(data, ":")
	if !ok {
		return false
	}
	if kind == "dword" {
		n, err := strconv.ParseUint(digits, 16, 32)
		v.number, v.text = n, fmt.Sprint(n)
		return err == nil
	}
	b, err := hex.DecodeString(strings.NewReplacer(",", "", " ", "").Replace(digits))
	if err != nil || !strings.HasPrefix(kind, "hex") {
		return false
	}
	switch kind {
	case "hex(1)", "hex(2)", "hex(7)":
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
		}
		v.text = strings.TrimRight(string(utf16.Decode(units)), "\x00")
	case "hex(b)", "hex(4)":
		for i := min(len(b), 8) - 1; i >= 0; i-- {
			v.number = v.number<<8 | uint64(b[i])
		}
		v.text = fmt.Sprint(v.number)
	}
	return true
}

// registryOf reads what a JSON document has of the registry: values by name, keys
// with values, or a list of objects with Path (or Key), Name and Value.
func (r *reader) registryOf(o object) {
	r.registryKey("", o)
}

func (r *reader) registryKey(key string, o object) {
	if path, ok := o.text("Path"); ok {
		key = path
	} else if path, ok := o.text("Key"); ok {
		key = path
	}
	if name, ok := o.text("Name"); ok {
		if p, ok := o.get("Value"); ok {
			r.registryValue(key, name, p)
			return
		}
	}
	for _, p := range o.properties {
		switch {
		case p.value.object != nil:
			r.registryKey(strings.TrimLeft(key+`\`+p.name, `\`), object{p.value.at, p.value.object})
		case p.value.list != nil:
			for _, n := range p.value.list {
				r.registryKey(key, object{n.at, n.object})
			}
		case strings.HasPrefix(p.name, "PS") || strings.EqualFold(p.name, "Path") || strings.EqualFold(p.name, "Key"):
		default:
			r.registryValue(key, p.name, p)
		}
	}
}

func (r *reader) registryValue(key, name string, p property) {
	if p.value.null() {
		return // looked for and not there
	}
	v := value{name: name, text: p.value.text, at: p.at}
	v.number, _ = strconv.ParseUint(p.value.text, 0, 64)
	if !r.reg.set(key, v) {
		r.unparsed(p.at, "the value %q of the registry bears on nothing known here", source.Quote(name))
	}
}

// The bits of ServerFlags that bear on PPP (PPPCFG_* of rasppp.h). That of
// MS-CHAP version 1, 0x100, is still set everywhere, and means nothing since
// Windows Server 2008, which has no such method.
const (
	flagRequireEncrypt   = 0x00000080
	flagRequireStrong    = 0x00001000
	flagNoAuthentication = 0x00004000
	flagEAP              = 0x00008000
	flagPAP              = 0x00010000
	flagMD5CHAP          = 0x00020000
	flagNoEncryption     = 0x00080000
	flagMSCHAPv2         = 0x00800000
)

// registry enters what the registry alone tells. servers are the objects of the
// cmdlet, which are newer than what the registry says of lifetimes.
func (r *reader) registry(servers []object) {
	if v, ok := r.reg.find("AssumeUDPEncapsulationContextOnSendRule"); ok {
		r.in.Host.Kernel = append(r.in.Host.Kernel, posture.Kernel{Subject: r.subject("registry", v.name, v.at), Key: v.name, Value: posture.Written(v.text, v.at, v.text)})
	}
	r.ports()
	flags, ok := r.reg.find("ServerFlags")
	if ok {
		r.serverPPP(flags)
		if len(servers) == 0 {
			r.serverOfRegistry(flags)
		}
		return
	}
	if v, ok := r.reg.find("AllowL2TPWeakCrypto"); ok && v.number == 1 && len(r.in.Host.Connections) == 0 {
		r.weakL2TP(v)
	}
	if v, ok := r.reg.find("ProhibitIPSec"); ok && len(r.in.Host.L2TP) == 0 {
		r.in.Host.L2TP = append(r.in.Host.L2TP, posture.L2TP{Subject: r.subject("l2tp", product, v.at), Product: product, IPsec: r.insists(v.at),
			Enabled: posture.Guess(true, v.at, "every Windows has an L2TP client"), Server: posture.Guess(false, v.at, "no ServerFlags in the file")})
	}
}

// weakL2TP is what all profiles for L2TP propose to IKE where the registry allows
// it DES and MD5. The profiles themselves are not in the file.
func (r *reader) weakL2TP(v value) {
	all := posture.Guess(true, v.at, "what all profiles for L2TP may propose")
	one := r.base("(each for L2TP)", v.at, posture.Initiates, policy{at: v.at}, false, posture.Value[string]{})
	one.V1, one.V2 = all, as(false, all)
	one.IKE, one.Children = r.l2tpDefaults(v.at), nil
	r.in.Host.Connections = append(r.in.Host.Connections, one)
}

// serverPPP is what Routing and Remote Access takes of clients.
func (r *reader) serverPPP(flags value) {
	has := func(bit uint64) bool { return flags.number&bit != 0 }
	written := func(b bool) posture.Value[bool] {
		return posture.Written(b, flags.at, fmt.Sprintf("ServerFlags = 0x%x", flags.number))
	}
	var methods []posture.PPPMethod
	for _, m := range []struct {
		bit    uint64
		method posture.PPPMethod
	}{{flagPAP, posture.PAP}, {flagMD5CHAP, posture.CHAPMD5}, {flagMSCHAPv2, posture.MSCHAPv2}, {flagEAP, posture.EAPAny}} {
		if has(m.bit) {
			methods = append(methods, m.method)
		}
	}
	encryption := posture.AnyMPPE
	switch {
	case has(flagNoEncryption):
		encryption = posture.NoMPPE
	case has(flagRequireStrong):
		encryption = posture.MPPE128
	case has(flagRequireEncrypt):
		encryption = posture.MPPE40
	}
	r.in.Host.PPP = append(r.in.Host.PPP, posture.PPP{
		Subject: r.subject("ppp", serverName, flags.at), Product: product, Server: posture.ByDefault(true, flags.at, "a server"),
		AuthNeeded: written(!has(flagNoAuthentication)), Methods: as(methods, written(true)), Required: written(!has(flagNoAuthentication)), MPPE: as(encryption, written(true)),
	})
}

// serverOfRegistry is a server of which only the registry is known.
func (r *reader) serverOfRegistry(flags value) {
	o := object{at: flags.at}
	for _, p := range []struct{ of, as string }{{"saLifeTime", "SALifeTimeSeconds"}, {"saDataSize", "SADataSizeForRenegotiationKilobytes"}} {
		if v, ok := r.reg.find(p.of); ok {
			o.properties = append(o.properties, property{p.as, v.at, node{at: v.at, text: v.text, kind: isNumber}})
		}
	}
	for component, as := range map[string]string{"ms_agilevpnminiport": "Ikev2Ports", "ms_l2tpminiport": "L2tpPorts"} {
		if on, at, ok := r.port(component); ok {
			text := "0"
			if on {
				text = "1"
			}
			o.properties = append(o.properties, property{as, at, node{at: at, text: text, kind: isNumber}})
		}
	}
	r.serverConfiguration(o)
}

// port tells whether the miniport of a protocol takes calls.
func (r *reader) port(component string) (on bool, at posture.Pos, ok bool) {
	for _, k := range r.reg["componentid"] {
		if strings.EqualFold(k.text, component) {
			for _, e := range r.reg["enableforras"] {
				if e.key == k.key {
					return e.number != 0, e.at, true
				}
			}
		}
	}
	return false, posture.Pos{}, false
}

// ports are the services of miniports.
func (r *reader) ports() {
	for _, p := range []struct{ component, protocol string }{{"ms_pptpminiport", "pptp"}, {"ms_sstpminiport", "sstp"}} {
		if on, at, ok := r.port(p.component); ok {
			r.service(p.protocol, serverName, posture.Written(on, at, fmt.Sprintf("EnableForRas: %v", on)), at)
		}
	}
}
