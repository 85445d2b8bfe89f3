package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// Secrets are keys that let Wireshark look into a capture.
type Secrets struct {
	IKEv1 []IKEv1Secret
	ESP   []ESPSecret
}

// IKEv1Secret is the encryption key of a phase 1 SA (RFC 2409, Appendix B), by
// the cookie of its initiator.
type IKEv1Secret struct{ Cookie, Key []byte }

// ESPSecret is one ESP SA, in one direction. Src and Dst are the addresses on
// the wire where the capture was made; those that are not valid are any.
type ESPSecret struct {
	Src, Dst     netip.Addr
	SPI          uint32
	Cipher       string // Shark...
	Key          []byte // with GCM, followed by the salt
	Integrity    string // Shark...
	IntegrityKey []byte
}

// Anywhere are the same keys for a capture beyond a NAT, where the addresses
// are others: SPIs alone tell the SAs apart.
func (s Secrets) Anywhere() Secrets {
	s.ESP = slices.Clone(s.ESP)
	for i := range s.ESP {
		s.ESP[i].Src, s.ESP[i].Dst = netip.Addr{}, netip.Addr{}
	}
	return s
}

// Wireshark's names of the algorithms of ESP.
const (
	SharkNullCipher  = "NULL"
	SharkAESCBC      = "AES-CBC [RFC3602]"
	Shark3DES        = "TripleDES-CBC [RFC2451]"
	SharkAESGCM16    = "AES-GCM with 16 octet ICV [RFC4106]"
	SharkNoIntegrity = "NULL"
	SharkSHA1        = "HMAC-SHA-1-96 [RFC2404]"
	SharkSHA256      = "HMAC-SHA-256-128 [RFC4868]"
	SharkSHA384      = "HMAC-SHA-384-192 [RFC4868]"
	SharkSHA512      = "HMAC-SHA-512-256 [RFC4868]"
)

// Frame is what Wireshark makes of one packet.
type Frame struct {
	Number    int
	Protocols string              // as "eth:ethertype:ip:udp:isakmp"
	Info      string              // the line of the list of packets
	Fields    map[string][]string // those that were asked for, each with all its values
	Malformed bool                // some part of it is cut short or breaks its rules
	Faults    []string            // what Wireshark warns of in it, each with its grade
}

// Has tells whether a protocol, in Wireshark's short name, is in the frame.
func (f Frame) Has(protocol string) bool {
	return slices.Contains(strings.Split(f.Protocols, ":"), protocol)
}

func (f Frame) String() string {
	text := fmt.Sprintf("%d %s: %s", f.Number, f.Protocols, f.Info)
	if f.Malformed {
		text += " (malformed)"
	}
	return text + " " + strings.Join(f.Faults, "; ")
}

// Malformed are those of the frames that Wireshark cannot read.
func Malformed(frames []Frame) (bad []Frame) {
	for _, f := range frames {
		if f.Malformed {
			bad = append(bad, f)
		}
	}
	return bad
}

// sharkColumns are the fields of every frame, before those that are asked for.
var sharkColumns = []string{
	"frame.number", "frame.protocols", "_ws.col.Info",
	"_ws.malformed", "_ws.short", "_ws.expert.severity", "_ws.expert.message",
}

// Between fields and between values of one field: characters that Wireshark
// prints nowhere.
const (
	sharkField = "\x1e"
	sharkValue = "\x1f"
)

// Wireshark's numbers of the grades of what it notes.
var sharkGrades = map[string]string{"6291456": "warning", "8388608": "error"}

// Decode runs tshark over a capture and returns its frames, in order. fields
// are further fields to read, in Wireshark's names, such as "l2tp.avp.type".
// The keys are visible to everyone on this machine while it runs.
func Decode(ctx context.Context, file string, s Secrets, fields ...string) ([]Frame, error) {
	if err := Missing("tshark"); err != nil {
		return nil, err
	}
	args := append([]string{"-n", "-r", file, "-T", "fields",
		"-E", "separator=" + sharkField, "-E", "aggregator=" + sharkValue, "-E", "occurrence=a"}, s.preferences()...)
	columns := append(slices.Clone(sharkColumns), fields...)
	for _, c := range columns {
		args = append(args, "-e", c)
	}
	var out, said bytes.Buffer
	c := exec.CommandContext(ctx, "tshark", args...)
	c.Env = append(os.Environ(), "WIRESHARK_CONFIG_DIR=/nonexistent") // no choices of whoever runs the test
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("lab: tshark: %w\n%s", err, said.String())
	}
	var frames []Frame
	for line := range strings.Lines(out.String()) {
		f, err := parseFrame(strings.Split(strings.TrimSuffix(line, "\n"), sharkField), fields)
		if err != nil {
			return nil, fmt.Errorf("lab: tshark: %w in %q", err, line)
		}
		frames = append(frames, f)
	}
	return frames, nil
}

func parseFrame(columns, fields []string) (f Frame, err error) {
	if len(columns) != len(sharkColumns)+len(fields) {
		return f, errors.New("the wrong number of columns")
	}
	if f.Number, err = strconv.Atoi(columns[0]); err != nil {
		return f, err
	}
	f.Protocols, f.Info = columns[1], columns[2]
	f.Malformed = columns[3] != "" || columns[4] != ""
	messages := strings.Split(columns[6], sharkValue)
	for i, severity := range strings.Split(columns[5], sharkValue) {
		if grade, ok := sharkGrades[severity]; ok && i < len(messages) {
			f.Faults = append(f.Faults, grade+": "+messages[i])
		}
	}
	f.Fields = map[string][]string{}
	for i, name := range fields {
		if text := columns[len(sharkColumns)+i]; text != "" {
			f.Fields[name] = strings.Split(text, sharkValue)
		}
	}
	return f, nil
}

// preferences hands over the keys, as rows of Wireshark's tables.
func (s Secrets) preferences() (args []string) {
	for _, k := range s.IKEv1 { // octets go without quotes
		args = append(args, "-o", fmt.Sprintf("uat:ikev1_decryption_table:%x,%x", k.Cookie, k.Key))
	}
	if len(s.ESP) > 0 {
		args = append(args, "-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE")
	}
	for _, k := range s.ESP {
		family := "IPv4"
		if k.Src.Is6() || k.Dst.Is6() {
			family = "IPv6"
		}
		args = append(args, "-o", fmt.Sprintf(`uat:esp_sa:"%s","%s","%s","0x%08x","%s","%s","%s","%s"`,
			family, orAny(k.Src), orAny(k.Dst), k.SPI, k.Cipher, hexOrNone(k.Key), k.Integrity, hexOrNone(k.IntegrityKey)))
	}
	return args
}

func orAny(a netip.Addr) string {
	if !a.IsValid() {
		return "*"
	}
	return a.String()
}

func hexOrNone(key []byte) string {
	if len(key) == 0 {
		return ""
	}
	return fmt.Sprintf("0x%x", key)
}
