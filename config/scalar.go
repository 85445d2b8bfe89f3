package config

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// scalar is how one Go type is written in the file.
type scalar struct {
	name   string // "a duration, such as 30s or 1h"
	kinds  []kind // forms of YAML that may hold it
	parse  func(text string) (any, error)
	format func(v any) string // in the form that parse reads; quoted later
}

// scalars are all types of a single value.
var scalars = map[reflect.Type]scalar{
	reflect.TypeFor[string](): {"text", []kind{kindText}, parseText, func(v any) string { return v.(string) }},
	reflect.TypeFor[bool](): {"true or false", []kind{kindBool},
		func(s string) (any, error) { return strconv.ParseBool(strings.ToLower(s)) },
		func(v any) string { return strconv.FormatBool(v.(bool)) }},
	reflect.TypeFor[int](): {"a whole number", []kind{kindNumber},
		func(s string) (any, error) { n, err := strconv.ParseInt(s, 10, 32); return int(n), err },
		func(v any) string { return strconv.Itoa(v.(int)) }},
	reflect.TypeFor[uint16](): {"a whole number", []kind{kindNumber},
		func(s string) (any, error) { n, err := strconv.ParseUint(s, 10, 16); return uint16(n), err },
		func(v any) string { return strconv.Itoa(int(v.(uint16))) }},
	reflect.TypeFor[uint64](): {"a whole number", []kind{kindNumber},
		func(s string) (any, error) { return strconv.ParseUint(s, 10, 64) },
		func(v any) string { return strconv.FormatUint(v.(uint64), 10) }},
	reflect.TypeFor[time.Duration](): {"a duration, such as 30s or 1h", []kind{kindText, kindNumber},
		func(s string) (any, error) { return parseDuration(s) },
		func(v any) string { return formatDuration(v.(time.Duration)) }},
	reflect.TypeFor[Size](): {"a size, such as 500MiB or 4GiB", []kind{kindText, kindNumber},
		func(s string) (any, error) { return parseSize(s) },
		func(v any) string { return v.(Size).String() }},
	reflect.TypeFor[Bitrate](): {"a rate, such as 20Mbit or 1Gbit", []kind{kindNumber, kindText}, // 0 needs no quotes
		func(s string) (any, error) { return parseBitrate(s) },
		func(v any) string { return v.(Bitrate).String() }},
	reflect.TypeFor[netip.Addr](): {"an address, such as 192.0.2.1", []kind{kindText},
		func(s string) (any, error) { return parseAddr(s) },
		func(v any) string { return v.(netip.Addr).String() }},
	reflect.TypeFor[netip.AddrPort](): {"an address and a port, such as 192.0.2.1:3799", []kind{kindText},
		func(s string) (any, error) { return parseAddrPort(s) },
		func(v any) string { return formatAddrPort(v.(netip.AddrPort)) }},
	reflect.TypeFor[time.Time](): {"a day, such as 2027-03-31", []kind{kindText},
		func(s string) (any, error) { return parseDate(s) },
		func(v any) string { return v.(time.Time).Format(time.DateOnly) }},
	reflect.TypeFor[Day](): {"a day, such as 2027-03-31, or none", []kind{kindText},
		func(s string) (any, error) { return parseDay(s) },
		func(v any) string { return v.(Day).String() }},
	reflect.TypeFor[netip.Prefix](): {"a network, such as 10.60.0.0/16", []kind{kindText},
		func(s string) (any, error) { return parsePrefix(s) },
		func(v any) string { return formatPrefix(v.(netip.Prefix)) }},
	reflect.TypeFor[Listen](): {"an interface or an address", []kind{kindText},
		func(s string) (any, error) { return parseListen(s) },
		func(v any) string { return v.(Listen).String() }},
	reflect.TypeFor[Server](): {"an address or the word gateway", []kind{kindText},
		func(s string) (any, error) { return parseServer(s) },
		func(v any) string { return v.(Server).String() }},
}

// mistake is a value that cannot be read, and what to write instead.
type mistake struct{ what, hint string }

func (m *mistake) Error() string { return m.what }

func wrong(hint, format string, args ...any) error {
	return &mistake{fmt.Sprintf(format, args...), hint}
}

// parseText refuses what a terminal or a log would not show as it is.
func parseText(s string) (any, error) {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return nil, wrong("type it again: a character that cannot be seen came along", "text with the unprintable character %U", r)
		}
	}
	return s, nil
}

// parseDuration reads Go's durations and whole days ("7d").
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, wrong("write a number and a unit: 30s, 5m, 1h or 7d", "%q is not one", s)
	case d < 0:
		return 0, wrong("write it without the sign", "%q is negative", s)
	case d%time.Second != 0:
		return 0, wrong(fmt.Sprintf("write %s", max(d.Truncate(time.Second), time.Second)), "%q is not in whole seconds", s)
	}
	return d, nil
}

// formatDuration drops the zero units of Go's own form: 1h, not 1h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// units are names of multiples, from large to small, so that text finds the
// largest that fits.
type units []struct {
	name string
	of   uint64
}

// parse reads a whole number and a unit.
func (us units) parse(s string) (n uint64, ok bool) {
	for _, u := range us {
		digits, has := strings.CutSuffix(s, u.name)
		if !has {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || n > math.MaxUint64/u.of {
			return 0, false
		}
		return n * u.of, true
	}
	return 0, false
}

// text writes a number in the largest unit that holds it exactly; zero is for 0.
func (us units) text(n uint64, zero string) string {
	for _, u := range us {
		if n%u.of == 0 && n > 0 {
			return fmt.Sprintf("%d%s", n/u.of, u.name)
		}
	}
	return zero
}

var sizeUnits = units{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func parseSize(s string) (Size, error) {
	n, ok := sizeUnits.parse(s)
	if !ok {
		return 0, wrong("write a whole number and a unit: B, KiB, MiB, GiB or TiB", "%q is not one", s)
	}
	return Size(n), nil
}

// String returns the size in the largest unit that holds it exactly.
func (s Size) String() string { return sizeUnits.text(uint64(s), "0B") }

// bitrateUnits go in steps of a thousand, as networks count.
var bitrateUnits = units{{"Gbit", 1e9}, {"Mbit", 1e6}, {"kbit", 1e3}}

const unlimited = "0" // no limit

func parseBitrate(s string) (Bitrate, error) {
	if s == unlimited {
		return 0, nil
	}
	n, ok := bitrateUnits.parse(s)
	if !ok || n == 0 {
		return 0, wrong("write a whole number and a unit: kbit, Mbit or Gbit; or 0 for no limit", "%q is not one", s)
	}
	return Bitrate(n), nil
}

// String returns the rate in the largest unit that holds it exactly.
func (r Bitrate) String() string { return bitrateUnits.text(uint64(r), unlimited) }

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
		return netip.Addr{}, wrong("name one address, without a network, a port or an interface", "%q is not the address of a host", s)
	}
	return a.Unmap(), nil
}

func parseAddrPort(s string) (netip.AddrPort, error) {
	if s == none {
		return netip.AddrPort{}, nil
	}
	a, err := netip.ParseAddrPort(s)
	switch {
	case err != nil:
		return netip.AddrPort{}, wrong("for example 192.0.2.1:3799 or \"[2001:db8::1]:3799\"", "%q is not one", s)
	case a.Addr().IsUnspecified() || a.Addr().IsMulticast() || a.Port() == 0:
		return netip.AddrPort{}, wrong("name one address of this host", "%q is not the address of a host", s)
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), nil
}

func formatAddrPort(a netip.AddrPort) string {
	if !a.IsValid() {
		return none
	}
	return a.String()
}

// none is the word for "no network of this family".
const none = "none"

func parseDate(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, wrong("write year, month and day", "%q is not one", s)
	}
	return t, nil
}

func parseDay(s string) (Day, error) {
	if s == none {
		return Day{}, nil
	}
	t, err := parseDate(s)
	return Day{t}, err
}

// String returns the day as it is written in the file.
func (d Day) String() string {
	if d.IsZero() {
		return none
	}
	return d.Format(time.DateOnly)
}

func parsePrefix(s string) (netip.Prefix, error) {
	if s == none {
		return netip.Prefix{}, nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		if a, err := netip.ParseAddr(s); err == nil {
			return netip.Prefix{}, wrong(fmt.Sprintf("write %q for this one address", netip.PrefixFrom(a, a.BitLen())), "%q has no prefix length", s)
		}
		return netip.Prefix{}, wrong("write an address, a slash and the length of the prefix", "%q is not a network", s)
	case p.Addr().Is4In6():
		return netip.Prefix{}, wrong("write it as IPv4", "%q is an IPv4 network in IPv6 dress", s)
	case p != p.Masked():
		return netip.Prefix{}, wrong(fmt.Sprintf("write %q", p.Masked()), "%q has bits set after its prefix", s)
	}
	return p, nil
}

func formatPrefix(p netip.Prefix) string {
	if !p.IsValid() {
		return none
	}
	return p.String()
}

func parseListen(s string) (Listen, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.IsUnspecified() || a.IsMulticast() {
			return Listen{}, wrong("leave listen out to serve on all addresses", "%q is no address of a host", s)
		}
		return Listen{Addr: a.Unmap()}, nil
	}
	if _, err := netip.ParseAddrPort(s); err == nil {
		return Listen{}, wrong("ports stand in gateway.ports", "%q has a port", s)
	}
	if !validInterface(s) {
		return Listen{}, wrong(interfaceHint, "%q is neither an address nor the name of an interface", s)
	}
	return Listen{Interface: s}, nil
}

const interfaceHint = "an interface is 1 to 15 letters, digits, dots and hyphens, such as eth0"

// validInterface follows Linux: 1 to 15 octets, no slash, colon or space.
func validInterface(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= 15 && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '/' || r == ':'
	})
}

// String returns the interface or the address.
func (l Listen) String() string {
	if l.Addr.IsValid() {
		return l.Addr.String()
	}
	return l.Interface
}

const gatewayWord = "gateway"

func parseServer(s string) (Server, error) {
	if s == gatewayWord {
		return Server{Gateway: true}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
		return Server{}, wrong("name one address, or write gateway for the gateway's own resolver", "%q is not the address of a resolver", s)
	}
	return Server{Addr: a.Unmap()}, nil
}

// String returns the address, or "gateway".
func (s Server) String() string {
	if s.Gateway {
		return gatewayWord
	}
	return s.Addr.String()
}
