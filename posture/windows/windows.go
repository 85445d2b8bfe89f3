// Package windows reads what PowerShell says of the VPN clients and servers of
// Windows: objects of Get-VpnConnection, Get-VpnServerConfiguration and their
// kind as ConvertTo-Json or Format-List write them, and exports of the registry.
//
// A file is one object, a list, or a document that names several:
//
//	{"ComputerName": "GW1", "VpnConnection": [...], "VpnServerConfiguration": {...}, "Registry": {...}}
//
// Sources are the pages of the cmdlets and of their classes (VpnConnection,
// VpnServerIPsecConfiguration, VpnAuthProtocol), [MS-RRASM], and iketypes.h and
// ipsectypes.h for numbers.
package windows

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// product is the name in Host.Products.
const product = "Windows"

// exports are how an export of the registry begins; the second is the older form,
// in which texts are not in UTF-16.
var exports = []string{"Windows Registry Editor Version 5", "REGEDIT4"}

func isExport(text []byte) bool {
	text = bytes.TrimSpace(text)
	return slices.ContainsFunc(exports, func(head string) bool { return bytes.HasPrefix(text, []byte(head)) })
}

var (
	jsonBegins = regexp.MustCompile(`^\s*[\[{]`)
	// ours are names of documents, and properties that only these objects have.
	ours = regexp.MustCompile(`"(VpnConnection|VpnServerConfiguration|VpnServerIPsecConfiguration|VpnS2SInterface|VpnAuthProtocol|VpnConnectionIPsecConfiguration|` +
		`RemoteAccess|RemoteAccessAccounting|RemoteAccessRadius|L2tpIPsecAuth|Ikev2Ports|L2tpPorts|SstpPorts|TunnelAuthProtocolsAdvertised|` +
		`ResponderAuthenticationMethod|CipherTransformConstants|EapConfigXmlStream|VpnS2SStatus)"\s*:`)
	// profile are properties that only the shorter form of a connection has together.
	profile = regexp.MustCompile(`"(ServerAddress|TunnelType|EncryptionLevel|SplitTunneling)"\s*:`)
	ourKeys = regexp.MustCompile(`(?i)(RasMan|RemoteAccess|PolicyAgent|RasSstp|RasPptp|RasL2tp|IKEEXT)`)
)

// Claims tells whether a file is of Windows' VPN: JSON or a listing with the
// properties of its objects, or an export of the registry with its keys.
func Claims(p string, head func() []byte) bool {
	switch strings.ToLower(path.Ext(p)) {
	case ".json":
		text := head()
		return isOurs(text)
	case ".reg":
		text := head()
		return isExport(text)
	case ".txt":
		text := head()
		return isExport(text) && ourKeys.Match(text) || isOurs(text) || isListing(text)
	}
	return false
}

// isOurs tells whether a text is JSON with what only Windows' VPN has. Selected
// properties of a connection are told by three that stand together.
func isOurs(text []byte) bool {
	if !jsonBegins.Match(text) {
		return false
	}
	if ours.Match(text) {
		return true
	}
	seen := map[string]bool{}
	for _, m := range profile.FindAllSubmatch(text, -1) {
		seen[string(m[1])] = true
	}
	return len(seen) >= 3
}

// Named is the name of the host that a file is of, as far as its beginning tells.
func Named(head []byte) string {
	if m := computer.FindSubmatch(head); m != nil {
		return strings.ToLower(string(m[1]))
	}
	return ""
}

var computer = regexp.MustCompile(`"(?:ComputerName|CsName)"\s*:\s*"([^"\\]{1,255})"`)

// reader fills a host from its files.
type reader struct {
	in     *source.Input
	text   *source.Text            // that is parsed
	texts  map[string]*source.Text // without content, by shown path
	server bool                    // the files are of a server
	reg    registry

	policies map[string]object // of Get-VpnConnectionIPsecConfiguration, by connection
	auth     *object           // Get-VpnAuthProtocol
}

// Read reads the files of one host: what one cmdlet says, another's file and the
// registry bear on.
func Read(in *source.Input) {
	in = in.For(posture.Windows, in.Files)
	r := &reader{in: in, reg: registry{}, policies: map[string]object{}, texts: map[string]*source.Text{}}
	all := map[string][]object{}
	documents := 0
	for _, p := range in.Files {
		if r.text = in.Read(p, false); r.text == nil {
			continue
		}
		r.texts[r.text.Show] = &source.Text{Path: r.text.Path, Show: r.text.Show}
		if isExport(r.text.Data) {
			r.exported()
		} else if !jsonBegins.Match(r.text.Data) && isListing(r.text.Data) {
			documents++
			r.collect(node{kind: isList, list: r.listing()}, "", all, 0)
		} else if root, ok := r.parse(); ok {
			documents++
			r.collect(root, "", all, 0)
		}
	}
	if documents > 0 {
		r.objects(all)
	} else {
		r.registry(nil)
	}
	in.Product(product, in.Version(product))
}

// objects reads what the documents have, by kind.
func (r *reader) objects(all map[string][]object) {
	for _, o := range all["Registry"] {
		r.registryOf(o)
	}
	r.header(all["ComputerInfo"])
	for _, o := range all["VpnConnectionIPsecConfiguration"] {
		if name, ok := o.text("ConnectionName"); ok {
			r.policies[strings.ToLower(name)] = o
		}
	}
	if list := all["VpnAuthProtocol"]; len(list) > 0 {
		r.auth = &list[0]
		r.check(list[0], authKnown)
	}
	servers := slices.Concat(all["VpnServerConfiguration"], all["VpnServerIPsecConfiguration"])
	r.server = len(servers) > 0 || len(all["VpnAuthProtocol"]) > 0
	for _, o := range all["VpnConnection"] {
		r.connection(o)
	}
	for _, o := range all["VpnS2SInterface"] {
		r.site(o)
	}
	if len(servers) == 0 && r.auth != nil {
		servers = []object{{at: r.auth.at}}
	}
	for _, o := range servers {
		r.serverConfiguration(o)
	}
	r.accounting(all["RemoteAccessAccounting"])
	r.radius(slices.Concat(all["RemoteAccessRadius"]))
	r.cryptoSets(all["NetIPsecMainModeCryptoSet"])
	r.registry(servers)
}

// signs tell an object by a property that only its kind has.
var signs = []struct{ property, kind string }{
	{"L2tpIPsecAuth", "VpnConnection"},
	{"EapConfigXmlStream", "VpnConnection"},
	{"ResponderAuthenticationMethod", "VpnS2SInterface"},
	{"TunnelAuthProtocolsAdvertised", "VpnAuthProtocol"},
	{"Ikev2Ports", "VpnServerConfiguration"},
	{"L2tpPorts", "VpnServerConfiguration"},
	{"SstpPorts", "VpnServerConfiguration"},
	{"ConnectionName", "VpnConnectionIPsecConfiguration"},
	{"AccountingType", "RemoteAccessAccounting"},
	{"VpnS2SStatus", "RemoteAccess"},
}

// kinds are names of documents: the nouns of the cmdlets, with or without Get-.
var kinds = []string{
	"VpnConnection", "VpnServerConfiguration", "VpnServerIPsecConfiguration", "VpnS2SInterface", "VpnAuthProtocol", "VpnConnectionIPsecConfiguration",
	"NetIPsecMainModeCryptoSet", "RemoteAccess", "RemoteAccessAccounting", "RemoteAccessRadius", "Registry", "ComputerInfo",
}

// headers are plain properties of a document.
var headers = []string{"ComputerName", "CsName", "OSVersion", "OsVersion", "WindowsVersion", "Version", "Caption", "OsName", "Date", "User"}

// mostObjects bounds one file.
const mostObjects = 20_000

// collect sorts the objects of a tree by kind.
func (r *reader) collect(n node, kind string, all map[string][]object, depth int) {
	switch {
	case n.list != nil:
		for _, item := range n.list {
			r.collect(item, kind, all, depth+1)
		}
	case n.object == nil:
		if kind != "" && !n.null() {
			r.unparsed(n.at, "%s is no object", kind)
		}
	case kind != "" || kindOf(n.object) != "":
		if kind == "" {
			kind = kindOf(n.object)
		}
		if len(all[kind]) == mostObjects {
			r.in.Note(posture.Limit, n.at, "more than %d objects of %s: the rest was not read", mostObjects, kind)
		}
		if len(all[kind]) <= mostObjects {
			all[kind] = append(all[kind], object{at: n.at, properties: n.object})
		}
	default:
		r.named(n, all, depth)
	}
}

// kindOf tells an object by its properties, or by the class that PowerShell may
// add.
func kindOf(properties []property) string {
	for _, s := range signs {
		if slices.ContainsFunc(properties, func(p property) bool { return strings.EqualFold(p.name, s.property) && p.value.object == nil }) {
			return s.kind
		}
	}
	// Get-VpnConnection | Select-Object keeps what was asked for alone.
	o := object{properties: properties}
	_, server := o.get("ServerAddress")
	if _, tunnel := o.get("TunnelType"); server && tunnel {
		return "VpnConnection"
	}
	_, destination := o.get("Destination")
	if _, method := o.get("AuthenticationMethod"); destination && method {
		return "VpnS2SInterface"
	}
	_, name := o.get("Name")
	if _, cipher := o.get("CipherTransformConstants"); cipher && !name {
		return "VpnServerIPsecConfiguration"
	}
	return ""
}

// named reads a document that names its objects.
func (r *reader) named(n node, all map[string][]object, depth int) {
	o := object{at: n.at, properties: n.object}
	for _, p := range n.object {
		name := strings.TrimPrefix(p.name, "Get-")
		if i := slices.IndexFunc(kinds, func(k string) bool { return strings.EqualFold(k, name) }); i >= 0 {
			r.collect(p.value, kinds[i], all, depth+1)
			continue
		}
		switch {
		case slices.ContainsFunc(headers, func(h string) bool { return strings.EqualFold(h, name) }):
		case p.value.list != nil || p.value.object != nil:
			r.collect(p.value, "", all, depth+1)
		default:
			r.unparsed(p.at, "the property %s is not known", setting.Key(p.name, "is there"))
		}
	}
	all["ComputerInfo"] = append(all["ComputerInfo"], o)
}

// header takes the host's name and version from the first document that has them.
func (r *reader) header(docs []object) {
	for _, o := range docs {
		for _, key := range []string{"ComputerName", "CsName"} {
			if name, ok := o.text(key); ok && r.in.Host.Name == "" {
				r.in.Host.Name = name
			}
		}
		for _, key := range []string{"OSVersion", "OsVersion"} {
			if p, ok := o.get(key); ok && p.value.text != "" {
				r.in.Product(product, posture.Written(p.value.text, p.at, p.value.text))
			}
		}
	}
}

func (r *reader) unparsed(at posture.Pos, format string, args ...any) {
	r.in.Note(posture.Unparsed, at, format, args...)
}

// check notes properties that are not known. Those of CIM itself are.
func (r *reader) check(o object, known map[string]bool) {
	for _, p := range o.properties {
		if name := strings.ToLower(p.name); !known[name] && !cimKnown[name] {
			r.unparsed(p.at, "the property %s is not known", setting.Key(p.name, "is there"))
		}
	}
}
