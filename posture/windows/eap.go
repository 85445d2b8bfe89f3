package windows

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"sallyport/posture"
)

// Bounds of one EAP configuration.
const (
	mostXML   = 1 << 20 // octets
	mostInner = 16      // methods in one another; elements are four times as deep
	mostToken = 20_000
)

// eapTypes are the methods by number (RFC 3748, Section 5; IANA registry).
var eapTypes = map[string]string{"4": "md5", "6": "gtc", "13": "tls", "17": "leap", "18": "sim", "21": "ttls", "23": "aka", "25": "peap", "26": "mschapv2", "43": "fast", "50": "aka'", "55": "teap"}

// eapConfig is what an EapHostConfig tells.
type eapConfig struct {
	types   []string // outer first
	names   bool
	roots   int
	skips   bool // validation is turned off
	prompts bool // the user may be asked to trust a server
}

// clientEAP reads the EAP settings of a profile.
func (r *reader) clientEAP(c *client) {
	method, ok := c.get("AuthenticationMethod")
	if !ok || !slices.ContainsFunc(method.words(), func(w string) bool { return strings.EqualFold(w, "Eap") }) {
		return
	}
	c.hasEAP = true
	c.eap = posture.EAP{Subject: r.subject("eap", c.name, c.at), Product: product, Server: posture.ByDefault(false, c.at, "a client")}
	if p, ok := c.get("EapConfigXmlStream"); ok {
		r.eapXML(&c.eap, p)
	}
	r.in.Host.EAP = append(r.in.Host.EAP, c.eap)
}

func (r *reader) eapXML(e *posture.EAP, p property) {
	text := p.value.text
	if p.value.object != nil {
		o := object{p.value.at, p.value.object}
		if text, _ = o.text("InnerXml"); text == "" {
			text, _ = o.text("OuterXml")
		}
	}
	if text == "" {
		r.in.Note(posture.Opaque, p.at, "EapConfigXmlStream is no text: write it as its InnerXml")
		return
	}
	config, err := parseEAP(text)
	if err != nil {
		r.in.Note(posture.Malformed, p.at, "EapConfigXmlStream is not read: %v", err)
		return
	}
	r.apply(e, p, config)
}

// apply: a server is pinned when both its name and its authority are.
func (r *reader) apply(e *posture.EAP, p property, config eapConfig) {
	pinned := config.names && config.roots > 0 && !config.skips
	what := fmt.Sprintf("server names: %v, trusted roots: %d, validation off: %v, user may be asked: %v", config.names, config.roots, config.skips, config.prompts)
	e.ServerNamed = posture.Written(pinned, p.at, what)
	if len(config.types) == 0 {
		return
	}
	e.DefaultType = posture.Written(config.types[0], p.at, "EAP-"+strings.ToUpper(config.types[0]))
	e.Methods = posture.Written(config.types[:1], p.at, "EAP-"+strings.ToUpper(config.types[0]))
	if len(config.types) > 1 {
		e.Inner = posture.Written(config.types[1:], p.at, strings.Join(config.types[1:], ", "))
	}
	if config.types[0] == "mschapv2" { // proves itself by the password alone
		e.ServerNamed = posture.Value[bool]{}
	}
}

// parseEAP reads an EapHostConfig by the local names of its elements; their
// spaces differ by method and version.
func parseEAP(text string) (eapConfig, error) {
	var c eapConfig
	if len(text) > mostXML {
		return c, fmt.Errorf("it has %d octets, more than %d", len(text), mostXML)
	}
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.Strict = false
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // it is a text already
	var open []string
	c.prompts = true
	for range mostToken {
		token, err := dec.Token()
		if err == io.EOF {
			return c, nil
		}
		if err != nil {
			return c, fmt.Errorf("it is no XML")
		}
		switch t := token.(type) {
		case xml.StartElement:
			open = append(open, t.Name.Local)
		case xml.EndElement:
			open = open[:max(len(open)-1, 0)]
		case xml.CharData:
			if len(open) > 0 {
				c.see(open, strings.TrimSpace(string(t)))
			}
		}
		if len(open) > 4*mostInner {
			return c, fmt.Errorf("its elements are nested too deep")
		}
	}
	return c, fmt.Errorf("it has too many elements")
}

// see takes the text of one element.
func (c *eapConfig) see(open []string, text string) {
	if text == "" {
		return
	}
	within := func(name string) bool { return slices.Contains(open, name) }
	switch open[len(open)-1] {
	case "Type":
		name, ok := eapTypes[text]
		if !ok {
			name = "type " + text
		}
		if len(c.types) < mostInner && !slices.Contains(c.types, name) && (within("EapMethod") || within("Eap")) {
			c.types = append(c.types, name)
		}
	case "ServerNames":
		c.names = true
	case "TrustedRootCA", "TrustedRootCAHash":
		c.roots++
	case "PerformServerValidation", "AcceptServerName":
		if strings.EqualFold(text, "false") {
			c.skips = true
		}
	case "DisableUserPromptForServerValidation", "DisablePrompt":
		c.prompts = !strings.EqualFold(text, "true")
	}
}
