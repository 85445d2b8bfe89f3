package lab

import (
	"fmt"
	"strings"
)

// SwanSA is an IKE SA as strongSwan lists it. Values are keyed by strongSwan's
// own names, such as "state", "encr-alg", "remote-host", "local-vips".
type SwanSA struct {
	Name     string
	Values   map[string]string
	Children []SwanChild
}

// SwanChild is a Child SA as strongSwan lists it: "state", "spi-in",
// "packets-in", "dh-group" and so on.
type SwanChild struct {
	Name   string // the configured name; strongSwan numbers its instances
	Values map[string]string
}

// Suite is the negotiated IKE suite in strongSwan's own words, such as
// "AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384".
func (s SwanSA) Suite() string {
	return joinPresent(s.Values, "encr-alg", "encr-keysize", "integ-alg", "prf-alg", "dh-group")
}

// Suite is the negotiated ESP suite in strongSwan's own words.
func (c SwanChild) Suite() string {
	return joinPresent(c.Values, "encr-alg", "encr-keysize", "integ-alg", "dh-group")
}

func joinPresent(values map[string]string, keys ...string) string {
	var text string
	for _, k := range keys {
		v := values[k]
		switch {
		case v == "":
		case text == "":
			text = v
		case k == "encr-keysize":
			text += "-" + v
		default:
			text += "/" + v
		}
	}
	return text
}

// parseSAs reads the output of swanctl --list-sas --raw --pretty: one "key =
// value", "name {", "key = [", list item, "]" or "}" a line.
func parseSAs(text string) ([]SwanSA, error) {
	var sas []SwanSA
	lines := strings.Split(text, "\n")
	p := rawParser{lines: lines}
	for {
		head, ok := p.next()
		if !ok {
			return sas, nil
		}
		if !strings.HasSuffix(head, "{") {
			continue // "list-sas event" or the final reply
		}
		root, err := p.section()
		if err != nil {
			return nil, err
		}
		for _, ike := range root.sections {
			sas = append(sas, ike.sa())
		}
	}
}

type rawSection struct {
	name     string
	values   map[string]string
	sections []rawSection
}

func (r rawSection) sa() SwanSA {
	sa := SwanSA{Name: r.name, Values: r.values}
	for _, s := range r.sections {
		if s.name != "child-sas" {
			continue
		}
		for _, c := range s.sections {
			sa.Children = append(sa.Children, SwanChild{Name: c.values["name"], Values: c.values})
		}
	}
	return sa
}

type rawParser struct{ lines []string }

func (p *rawParser) next() (string, bool) {
	for len(p.lines) > 0 {
		line := strings.TrimSpace(p.lines[0])
		p.lines = p.lines[1:]
		if line != "" {
			return line, true
		}
	}
	return "", false
}

func (p *rawParser) section() (rawSection, error) {
	s := rawSection{values: map[string]string{}}
	for {
		line, ok := p.next()
		if !ok {
			return s, fmt.Errorf("lab: swanctl output ends inside a section")
		}
		key, value, isValue := strings.Cut(line, " = ")
		switch {
		case line == "}":
			return s, nil
		case isValue && value == "[":
			s.values[key] = p.list()
		case isValue:
			s.values[key] = value
		case strings.HasSuffix(line, "{"):
			child, err := p.section()
			if err != nil {
				return s, err
			}
			child.name = strings.TrimSpace(strings.TrimSuffix(line, "{"))
			s.sections = append(s.sections, child)
		}
	}
}

func (p *rawParser) list() string {
	var items []string
	for {
		line, ok := p.next()
		if !ok || line == "]" {
			return strings.Join(items, " ")
		}
		items = append(items, line)
	}
}
