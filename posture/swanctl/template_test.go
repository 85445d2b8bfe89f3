package swanctl

import (
	"strings"
	"testing"

	"sallyport/posture"
)

const template = `{{#tunnels}}
connections {
  # ${not} {{this}}
  ${name} {
    version = {{ version }}
    remote_addrs = ${peer}
    proposals = ${ike}, default
    {% if psk %}
    local { auth = psk }
    {% endif %}
    remote {
      auth = <%= auth %>
      id = site-{{ id, "x" }}
    }
    children { {{name}} { esp_proposals = aes256gcm16-ecp384 } }
  }
}
secrets { ike-${name} { secret = ${psk} } eap { secret = "{{ password }}" } }
`

func TestATemplateIsReadAsWhatItWillBe(t *testing.T) {
	h := host("5.9.8", "etc/swanctl/swanctl.conf", template, "etc/strongswan.conf", "charon { plugins { eap-radius { server = 10.0.0.9 \n secret = \"${radius}\" } } }\n")
	if len(h.Notes) != 1 || h.Notes[0].Kind != posture.Opaque || !strings.Contains(h.Notes[0].Text, "template") {
		t.Error(h.Notes)
	}
	if len(h.Connections) != 1 || h.Connections[0].Name != "${name}" || h.Connections[0].At.Line != 4 {
		t.Fatalf("%+v", h.Connections)
	}
	c := h.Connections[0]
	if c.V1.Known() || c.IKE.Known() || c.AnyPeer.Known() || c.Remote[0].Method.Known() || c.Remote[0].ID.Known() || !posture.Is(c.Local[0].Method, posture.MethodPSK) {
		t.Errorf("%+v", c)
	}
	if len(c.Children) != 1 || c.Children[0].Name != "${name}/{{name}}" || !posture.Is(c.Children[0].PFS, posture.Always) {
		t.Errorf("%+v", c.Children)
	}
	for _, s := range h.Secrets {
		if s.Storage != posture.Elsewhere || s.Value != nil {
			t.Errorf("%+v", s)
		}
	}
}

func TestALineThatTheDaemonRefusesIsToldOnce(t *testing.T) {
	if _, notes := parse(t, "a.conf", "[x] y } } {\n} z\n"); len(notes) != 2 {
		t.Error(notes)
	}
}
