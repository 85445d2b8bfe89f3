package gateway

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/lab/labtest"
	"sallyport/internal/secret"
	"sallyport/protocol/ike"
	"sallyport/protocol/radius"
)

// eapolTest has wpa_supplicant's EAP peer talk to a conversation: eapol_test
// brings its packets in RADIUS, and compares the keys of the end with its own.
func eapolTest(t *testing.T, c *relay, network ...string) string {
	t.Helper()
	labtest.Need(t, "eapol_test")
	s, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	go func() {
		for b := make([]byte, radius.MaxPacket); ; {
			n, from, err := s.ReadFrom(b)
			if err != nil {
				return
			}
			if answer, err := answerEAPOL(c, b[:n]); err == nil {
				s.WriteTo(answer, from)
			} else {
				t.Error(err)
			}
		}
	}()
	file := filepath.Join(t.TempDir(), "eapol.conf")
	if err := os.WriteFile(file, []byte("network={\n\tkey_mgmt=WPA-EAP\n\t"+strings.Join(network, "\n\t")+"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.LocalAddr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, "eapol_test", "-c", file, "-a", "127.0.0.1", "-p", port, "-s", labtest.RADIUSSecret, "-r", "0").CombinedOutput() // its last word says how it went
	return string(out)
}

// answerEAPOL gives one packet to the conversation.
func answerEAPOL(c *relay, b []byte) ([]byte, error) {
	request, err := radius.Parse(b)
	if err != nil {
		return nil, err
	}
	packet, err := request.JoinEAP()
	if err != nil {
		return nil, err
	}
	if _, under := request.Find(radius.State); !under { // it answers before it is asked
		if _, err := stepOf(c, nil); err != nil {
			return nil, err
		}
		packet[1] = firstID
	}
	out, err := stepOf(c, packet)
	if err != nil {
		return nil, err
	}
	answer := radius.Packet{Code: radius.AccessChallenge, Identifier: request.Identifier}
	answer.Add(radius.SplitEAP(out.Packet)...)
	switch {
	case out.Failure != nil:
		answer.Code = radius.AccessReject
	case out.Success != nil:
		answer.Code = radius.AccessAccept
		for n, half := range map[radius.VendorType][]byte{radius.MSMPPERecvKey: out.Success.MSK[:32], radius.MSMPPESendKey: out.Success.MSK[32:]} {
			key, err := radius.HideKey(n, half, [2]byte{0x80 | byte(n), 1}, request.Authenticator, secret.Bytes(labtest.RADIUSSecret))
			if err != nil {
				return nil, err
			}
			answer.Add(key)
		}
	default:
		answer.Add(radius.TextAttr(radius.State, "under way"))
	}
	return answer.AppendReply(nil, request.Authenticator, secret.Bytes(labtest.RADIUSSecret))
}

// TestWPASupplicantIsJudged: a peer that takes PEAP without crypto-binding,
// which FreeRADIUS does not have.
func TestWPASupplicantIsJudged(t *testing.T) {
	o := newOrganisation(t, "peap")
	g := newGateway(t, strings.Replace(radiusZone(t, []string{o.Auth}, nil, ""), "eap-ttls]", "eap-ttls, peap]", 1))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, labtest.CertPEM(o.ca.Cert), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		password, want string
		network        []string
	}{
		"PEAP-MSCHAPv2":  {goodPassword, "SUCCESS", []string{"eap=PEAP", `phase2="auth=MSCHAPV2"`}},
		"TTLS-MSCHAPv2":  {goodPassword, "SUCCESS", []string{"eap=TTLS", `phase2="auth=MSCHAPV2"`}},
		"TTLS-PAP":       {goodPassword, "SUCCESS", []string{"eap=TTLS", `phase2="auth=PAP"`}},
		"wrong password": {"wrong password", "FAILURE", []string{"eap=PEAP", `phase2="auth=MSCHAPV2"`}},
	} {
		t.Run(what, func(t *testing.T) {
			r := g.realm.Load()
			conversation := newRelay(&login{g: g, r: r, local: r.order[0].identities[0], t: &ike.EAP{}}, r.order[0], g.realms["corp"])
			defer conversation.Close()
			out := eapolTest(t, conversation, append(c.network, fmt.Sprintf("ca_cert=%q", ca), `identity="plain"`, fmt.Sprintf("password=%q", c.password))...)
			if !strings.HasSuffix(strings.TrimSpace(out), c.want) || c.want == "SUCCESS" && !strings.Contains(out, "MPPE keys OK: 1  mismatch: 0") {
				t.Errorf("want %s:\n%s", c.want, out[max(0, len(out)-3000):])
			}
		})
	}
}
