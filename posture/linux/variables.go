package linux

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/secret"
	"sallyport/posture"
	"sallyport/posture/source"
)

// sensitive are variables that hold a VPN's secrets, such as those that images
// of L2TP servers take (VPN_IPSEC_PSK, VPN_PASSWORD).
var sensitive = regexp.MustCompile(`(?i)\b([A-Z0-9_]*(?:IPSEC_PSK|VPN_PSK|L2TP_PSK|IKE_PSK|PRE_?SHARED_KEY|VPN_PASSWORDS?|VPN_ADDL_PASSWORDS|L2TP_PASSWORD|L2TP_SECRET|RADIUS_SECRET|RADIUS_KEY|XAUTH_PASSWORD|PPP_PASSWORD)|PSK)\b`)

// assignment is a variable with its value in an environment file, a compose file
// (both as "- NAME=value" and "NAME: value") or a script in cloud-init.
var assignment = regexp.MustCompile(`(?i)^\s*(?:-\s+)?["']?(?:export\s+|ENV\s+|-e\s+)?([A-Z0-9_]+)\s*(?:=|:\s)\s*(.*?)\s*$`)

// ipsecSecret is a line of ipsec.secrets inside of cloud-init.
var ipsecSecret = regexp.MustCompile(`:\s*PSK\s+["']([^"']+)["']`)

func mayHoldVariables(base string) bool {
	switch base {
	case ".env", "docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml", "user-data", "user-data.txt", "user-data.yaml", "user-data.yml", "cloud-init.yaml", "cloud-init.yml", "cloud-config.yaml", "cloud-config.yml", "cloud.cfg":
		return true
	}
	return path.Ext(base) == ".env" || strings.HasPrefix(base, "docker-compose.") || strings.HasPrefix(base, ".env.")
}

// kinds tell what a secret is for by its variable's name; the first hit counts.
var kinds = []struct {
	word string
	kind posture.SecretKind
}{
	{"RADIUS", posture.RADIUSSecret}, {"PASSWORD", posture.UserPassword}, {"L2TP_SECRET", posture.TunnelSecret}, {"", posture.PSK},
}

// mostSecrets bounds those of one file.
const mostSecrets = 1_000

// variables looks for secrets in a file that configures no VPN itself, but hands
// a container or a machine its secrets. It lies in repositories and backups as
// it is. Of all other lines nothing is said: they are not a VPN's.
func variables(in *source.Input, p string) {
	text := in.Read(p, true)
	if text == nil {
		return
	}
	v := &variableFile{in: in, text: text, users: map[string][]string{}}
	v.names()
	for n, line := range in.Lines(text) {
		if len(in.Host.Secrets) >= mostSecrets {
			in.Note(posture.Limit, text.At(n, 1), "more than %d secrets: the rest is left out", mostSecrets)
			return
		}
		v.line(n, line)
	}
}

type variableFile struct {
	in    *source.Input
	text  *source.Text
	users map[string][]string // of VPN_USER and VPN_ADDL_USERS
}

func (v *variableFile) names() {
	for _, line := range v.in.Lines(v.text) {
		if m := assignment.FindStringSubmatch(line); m != nil && strings.Contains(strings.ToUpper(m[1]), "USER") {
			v.users[strings.ToUpper(m[1])] = strings.Fields(plain(m[2]))
		}
	}
}

func (v *variableFile) line(n int, line string) {
	if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "#") {
		return
	}
	if m := ipsecSecret.FindStringSubmatch(line); m != nil {
		v.add(n, "PSK", posture.PSK, m[1], nil)
		return
	}
	m := assignment.FindStringSubmatch(line)
	if m == nil || sensitive.FindString(m[1]) != m[1] {
		return
	}
	name, value := strings.ToUpper(m[1]), plain(m[2])
	kind := kinds[slices.IndexFunc(kinds, func(k struct {
		word string
		kind posture.SecretKind
	}) bool {
		return strings.Contains(name, k.word)
	})].kind
	values := []string{value}
	if strings.HasSuffix(name, "PASSWORDS") {
		values = strings.Fields(value)
	}
	users := v.users[strings.NewReplacer("PASSWORD", "USER").Replace(name)]
	for i, one := range values {
		var ids []string
		if kind == posture.UserPassword && i < len(users) {
			ids = users[i : i+1]
		}
		v.add(n, m[1], kind, one, ids)
	}
}

// plain takes the quotes off.
func plain(value string) string {
	value = strings.TrimSuffix(strings.TrimSpace(value), ",")
	if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
		return value[1 : len(value)-1]
	}
	// The closing quote of "NAME=value" in a list.
	return strings.TrimRight(value, `"'`)
}

// elsewhere is a value that is a variable, a file or a reference to a store.
var elsewhere = regexp.MustCompile(`^(\$\{?[A-Za-z_]|\$\(|/run/secrets/|!|\{\{|<[^>]*>$|vault:|arn:)`)

func (v *variableFile) add(n int, name string, kind posture.SecretKind, value string, ids []string) {
	if value == "" || len(v.in.Host.Secrets) >= mostSecrets {
		return
	}
	s := posture.Secret{Subject: subject("secret", name, v.text.At(n, 1)), Kind: kind, Storage: posture.Elsewhere, IDs: ids, Backup: true}
	if !elsewhere.MatchString(value) {
		s.Storage, s.Value = posture.Clear, secret.Bytes(value)
	}
	v.in.Host.Secrets = append(v.in.Host.Secrets, s)
}
