package adopt

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"sallyport/posture"
)

// Fate is what became of a thing in the source.
type Fate string

// The three fates.
const (
	Taken   Fate = "taken"
	Changed Fate = "changed"
	Left    Fate = "left out"
)

// Item is one thing of the source and its fate. It never holds a secret.
type Item struct {
	Fate    Fate
	At      posture.Pos
	Subject string // `connection "rw"`
	What    string // as the source has it
	Became  string // as the configuration has it
	Why     string
	Do      string // what somebody should do

	whole bool // it speaks for all lines of its section
}

func (a *adopter) add(i Item) {
	a.out.Items = append(a.out.Items, i)
	a.known[told{i.At, i.Subject}] = true
	a.known[told{at: i.At}] = true
}

// left says that a whole subject is not carried over.
func (a *adopter) left(s posture.Subject, why, do string) {
	a.add(Item{Fate: Left, At: s.At, Subject: subject(s), What: "all of it", Why: why, Do: do, whole: true})
}

// written is what of a value concerns its fate.
type written struct {
	at   posture.Pos
	text string
}

func of[T any](v posture.Value[T]) written { return written{v.At, v.Text} }

func (a *adopter) took(s posture.Subject, w written, label, became string) {
	a.add(Item{Fate: Taken, At: w.at, Subject: subject(s), What: what(label, w.text), Became: became})
}

func (a *adopter) changed(s posture.Subject, w written, label, became, why, do string) {
	a.add(Item{Fate: Changed, At: w.at, Subject: subject(s), What: what(label, w.text), Became: became, Why: why, Do: do})
}

func (a *adopter) without(s posture.Subject, w written, label, why, do string) {
	a.add(Item{Fate: Left, At: w.at, Subject: subject(s), What: what(label, w.text), Why: why, Do: do})
}

func what(label, text string) string {
	if text == "" {
		return label
	}
	return label + ": " + plain(text)
}

func subject(s posture.Subject) string {
	if s.Name == "" {
		return s.Kind
	}
	return s.Kind + " " + plain(s.Name)
}

// plain is text of a file as it can be shown: without control characters, and
// no longer than a line.
func plain(text string) string {
	const most = 120
	odd := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "..."
	}
	if strings.ContainsFunc(text, odd) {
		return strconv.QuoteToASCII(text)
	}
	return text
}

func itoa(n int) string { return strconv.Itoa(n) }

// outcome is a fate in a table.
type outcome struct {
	fate        Fate
	became, why string
}

// row says what becomes of one field of a posture. A flag has an outcome for
// each of its values, everything else has one in on.
type row struct {
	label   string
	on, off outcome
	own     bool // another function decides
}

func taken(became string) outcome       { return outcome{fate: Taken, became: became} }
func turned(became, why string) outcome { return outcome{Changed, became, why} }
func dropped(why string) outcome        { return outcome{fate: Left, why: why} }
func elsewhere(label string) row        { return row{label: label, own: true} }
func always(label string, o outcome) row {
	return row{label: label, on: o, off: o}
}

// The fates of fields that no function decides. A test holds that each field of
// a posture that can be written is in one of the tables.
var connectionRows = map[string]row{
	"Role": always("who begins", taken("the gateway answers")), "V1": elsewhere(""), "V2": elsewhere(""),
	"Address": always("peers", taken("clients come from any address")), "AnyPeer": elsewhere(""),
	"Aggressive":  {"aggressive mode", dropped("it shows the identity, and a hash that lets the key be guessed; the gateway has none"), taken("there is none"), false},
	"IKE":         elsewhere(""),
	"IKEImplicit": elsewhere(""),
	"PPK":         always("post-quantum pre-shared key", dropped("the gateway has no PPKs (RFC 8784)")),
	"Childless":   always("childless IKE SAs", dropped("the gateway always makes a child with the IKE SA")),
	"IKELife":     elsewhere(""), "Reauth": elsewhere(""),
	"Rekey": {"rekeying", taken("rekey"), turned("rekey", "keys are always replaced"), false},
	"DPD":   elsewhere(""), "Fragments": {"IKE fragmentation", taken("fragment: 1280"), turned("fragment: 1280", "without it large messages are lost on the way"), false},
	"NATT":         {"NAT traversal", taken("encapsulation: forced"), turned("encapsulation: forced", "NAT traversal is always on"), false},
	"FragmentSize": always("size of fragments", turned("fragment: 1280", "1280 passes every path")),
	"MOBIKE":       elsewhere(""),
	"Obeys":        {"the peer's lifetimes", dropped("the gateway keeps to its own lifetimes"), taken("the gateway keeps to its own lifetimes"), false},
	"Revocation":   always("revocation", turned("trust.strict: true", "a client whose CA has no current list is refused, and a revoked device at once")),
	"SendsVID":     {"vendor id", dropped("the gateway does not say what it is"), taken("there is none"), false},
	"SHA1Sig":      {"signatures with SHA-1", dropped("they can be forged; the gateway takes them by a waiver of CRY-019 alone"), taken("they are refused"), false},
	"PrivateAlg":   {"algorithms of private use", dropped("the gateway knows those of the registry alone"), taken("there are none"), false},
	"DNS":          elsewhere(""), "Pool": elsewhere(""), "AsksAddress": elsewhere(""),
}

var childRows = map[string]row{
	"ESP": elsewhere(""), "ESPImplicit": elsewhere(""),
	"AH":  {"AH", dropped("it does not encrypt; the gateway has ESP alone"), taken("there is none"), false},
	"PFS": elsewhere(""), "Life": elsewhere(""), "Bytes": elsewhere(""), "Packets": elsewhere(""),
	"Replay":      always("replay window", turned("the gateway's own", "replay protection is always on, with a window that cannot be set")),
	"ESN":         elsewhere(""),
	"IPComp":      {"compression", dropped("the gateway has no IPComp, whose lengths tell of the content"), taken("there is none"), false},
	"SHA256Trunc": {"truncated SHA-256", dropped("the gateway has the 128 bits of RFC 4868 alone"), taken("128 bits"), false},
	"Transport":   elsewhere(""),
	"FailOpen":    {"packets in the clear", dropped("the gateway never lets the packets of a client out in the clear"), taken("never"), false},
	"Routed":      elsewhere(""),
	"LocalTS":     elsewhere(""), "RemoteTS": always("networks of the client", turned("its address from the pool", "a client has the address that it was given, and no network behind it")),
}

var l2tpRows = map[string]row{
	"Enabled": elsewhere(""), "Server": elsewhere(""), "IPsec": elsewhere(""), "Listen": elsewhere(""), "Pool": elsewhere(""), "Local": elsewhere(""), "AuthNeeded": elsewhere(""),
	"Challenge":  {"tunnel authentication", dropped("IPsec proves the machine before L2TP begins, without MD5"), taken("there is none"), false},
	"HiddenAVPs": {"hidden AVPs", dropped("they hide by MD5 what ESP hides already"), taken("there are none"), false},
	"Access":     always("access control", dropped("who may call is decided by IPsec, by machine and by user")),
	"SharedNAT":  {"clients behind one NAT", taken("they are kept apart"), turned("they are kept apart", "several clients behind one NAT are always served"), false},
}

var pppRows = map[string]row{
	"Server": elsewhere(""), "AuthNeeded": {"authentication", taken("auth"), turned("auth", "a user always proves who they are"), false},
	"Methods": elsewhere(""), "Required": elsewhere(""), "IPsecForced": elsewhere(""), "MTU": elsewhere(""), "MRU": elsewhere(""), "DNS": elsewhere(""),
	"Refused":     always("methods refused", taken("PAP, CHAP and bare MS-CHAP are nowhere")),
	"MPPE":        always("MPPE", turned("ESP", "IPsec encrypts; MPPE inside it adds nothing")),
	"TLSMin":      always("least TLS", turned("TLS 1.2", "the gateway's own least")),
	"TLSMax":      always("newest TLS", dropped("the newest TLS of both sides is taken")),
	"TLSVerify":   {"checks of certificates", taken("always"), turned("always", "certificates are always checked"), false},
	"MSSClamp":    {"MSS clamping", taken("always"), turned("always", "the gateway clamps TCP to the tunnel's MTU"), false},
	"IPv6":        {"IPv6", dropped("an IPv6 network for clients is not in the source; write pool.ipv6, a /48 to /60"), taken("pool.ipv6: none"), false},
	"ProxyARP":    {"proxy ARP", dropped("the gateway routes; hosts of the LAN need a route to the pool by way of the gateway"), taken("there is none"), false},
	"Debug":       always("debugging", turned("logging.level", "the level of the log is the gateway's")),
	"ShowsSecret": always("passwords in the log", dropped("the gateway logs no secrets")),
	"Accounting":  {"accounting", turned("radius accounting", "see the RADIUS servers"), taken("none"), false},
	"Echo":        always("LCP echo", turned("dpd", "the gateway asks silent clients by itself")),
	"Split":       elsewhere(""),
}

var daemonRows = map[string]row{
	"Replay":        always("replay window", turned("the gateway's own", "replay protection is always on, with a window that cannot be set")),
	"DNS":           always("DNS for all clients", taken("dns.servers of the zones with pools")),
	"Cookies":       {"cookies", taken("gateway.limits.cookie_after: 200"), turned("gateway.limits.cookie_after: 200", "cookies are asked under load"), false},
	"HalfOpenLimit": always("half-open SAs", turned("gateway.limits.half_open: 10000", "the gateway's own bound")),
	"BlockLimit":    always("half-open SAs of one source", turned("gateway.limits.per_source: 50", "the gateway's own bound")),
	"AggressivePSK": {"aggressive mode with PSK", dropped("the gateway has no aggressive mode"), taken("there is none"), false},
	"FragmentSize":  always("size of fragments", turned("fragment: 1280", "1280 passes every path")),
	"SendsVID":      {"vendor id", dropped("the gateway does not say what it is"), taken("there is none"), false},
	"SHA1Sig":       {"signatures with SHA-1", dropped("they can be forged"), taken("they are refused"), false},
	"PrivateAlg":    {"algorithms of private use", dropped("the gateway knows those of the registry alone"), taken("there are none"), false},
	"UnencryptedV1": {"unencrypted messages in main mode", dropped("the gateway drops them"), taken("they are dropped"), false},
	"StrictCRL":     always("revocation", turned("trust.strict: true", "a client whose CA has no current list is refused")),
	"CRLFetch":      always("fetching of lists", dropped("lists are files: trust.crls, read again on reload")),
	"OCSP":          always("OCSP", dropped("the gateway has revocation lists, and its own devices in its store")),
	"TLSMin":        always("least TLS", turned("TLS 1.2", "the gateway's own least")),
	"EAPFirst":      always("EAP that is asked for first", dropped("a zone has one method, and clients choose none")),
	"StrongRNG":     {"randomness", taken("the kernel's"), turned("the kernel's", "randomness is no setting"), false},
	"Sandboxed":     always("sandbox", dropped("see the unit of the gateway")),
	"Plugins":       always("plugins", dropped("the gateway has none")),
	"CopyDF":        always("copying of DF", dropped("packets that are too large are answered, not fragmented")),
	"SkipsLAN":      {"bypass of local networks", dropped("what goes past the tunnel is the clients' to say, and here nothing does"), taken("there is none"), false},
	"LogsAuth":      {"record of logins", taken("always"), turned("always", "logins are always recorded"), false},
	"LogsSecrets":   {"secrets in the log", dropped("the gateway logs no secrets"), taken("never"), false},
	"LogsID":        always("form of the log", turned("logging.format", "each record names its session; json is for machines")),
	"Accounting":    always("accounting", turned("radius accounting", "see the RADIUS servers")),
	"Keepalive":     always("NAT keepalive", dropped("the gateway's clients keep their mappings open")),
}

// fields gives every field of a subject that is written, and that no function
// decides, the fate of its table.
func (a *adopter) fields(s posture.Subject, p any, rows map[string]row) {
	v := reflect.ValueOf(p)
	for i := range v.NumField() {
		r := rows[v.Type().Field(i).Name]
		f, ok := valueOf(v.Field(i))
		if !ok || r.own || f.origin != posture.Explicit {
			continue
		}
		if f.at.Line > 0 && a.known[told{f.at, subject(s)}] {
			continue
		}
		o := r.on
		if on, flag := f.value.(bool); flag && !on {
			o = r.off
		}
		a.add(Item{Fate: o.fate, At: f.at, Subject: subject(s), What: what(r.label, f.text), Became: o.became, Why: o.why})
	}
}

// anyValue is a posture.Value of any type.
type anyValue struct {
	value  any
	origin posture.Origin
	at     posture.Pos
	text   string
}

func valueOf(v reflect.Value) (anyValue, bool) {
	if v.Kind() != reflect.Struct || !strings.HasPrefix(v.Type().Name(), "Value[") {
		return anyValue{}, false
	}
	origin, _ := v.FieldByName("Origin").Interface().(posture.Origin)
	at, _ := v.FieldByName("At").Interface().(posture.Pos)
	return anyValue{v.FieldByName("V").Interface(), origin, at, v.FieldByName("Text").String()}, true
}

// rest are the subjects that a configuration of ours has no words for.
func (a *adopter) rest() {
	h := a.host
	for _, m := range h.Manual {
		a.left(m.Subject, "keys that are set by hand never change", "let the peer speak IKEv2")
	}
	for _, d := range h.Daemons {
		a.fields(d.Subject, d, daemonRows)
	}
	for _, e := range h.EAP {
		if e.At.Line > 0 && a.known[told{at: e.At}] {
			continue // the method of a connection
		}
		a.left(e.Subject, "the gateway judges EAP itself, or asks a RADIUS server, which stays as it is", "name the server in radius to go on with it")
	}
	for _, s := range h.Services {
		a.left(s.Subject, s.Protocol+" is not served", "move its users to IKEv2")
	}
	for _, t := range h.Tunnels {
		a.left(t.Subject, "WireGuard is not served", "it can stay beside the gateway, on its own port")
	}
	for _, f := range h.Firewalls {
		a.left(f.Subject, "the host's own firewall stays as it is; an L2TP zone has one of its own besides", "let in UDP 500 and 4500, and forward for the pools above")
	}
	for _, k := range h.Keys {
		a.left(k.Subject, "the gateway has a CA of its own, made by: sallyport init", "to keep a certificate: identity; to believe clients of another CA: trust")
	}
	for _, c := range h.CRLs {
		a.left(c.Subject, "the gateway keeps its own", "with trust.cas, name it in trust.crls")
	}
	a.counted(len(h.Kernel), "settings of the kernel", "they hold for the host, not for a product; forwarding must stay on")
	a.counted(len(h.Logs), "settings of logging", "they hold for the host; the gateway logs to its standard error, see logging")
	a.counted(len(h.Units), "units", "the gateway has one of its own; stop and disable those of the old product")
	a.counted(len(h.Binaries), "programs", "how they were built says nothing of the gateway's")
	a.counted(len(h.Packages), "packages", "remove those of the old product when its last client has moved")
}

func (a *adopter) counted(n int, what, why string) {
	if n > 0 {
		a.add(Item{Fate: Left, Subject: "host", What: fmt.Sprintf("%d %s", n, what), Why: why})
	}
}

// notes are what could not be read: whoever moves must look at it.
func (a *adopter) notes() {
	for _, n := range a.host.Notes {
		a.add(Item{Fate: Left, At: n.At, Subject: "line", What: plain(n.Text), Why: "it was not understood (" + string(n.Kind) + ")", Do: "see whether it matters"})
	}
}
