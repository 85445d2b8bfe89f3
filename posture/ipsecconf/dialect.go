package ipsecconf

import (
	"path"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// How much of the files is looked at to tell the products apart.
const (
	glanceSize  = 64 << 10
	glanceFiles = 200
)

// dialectOf tells which product the files are of, and whether anything said so.
// A package or a path outweighs words, of which people leave many behind when
// they change the product.
func dialectOf(in *source.Input, files []string) (posture.Dialect, bool) {
	score := byHost(in, files)
	for _, f := range files[:min(len(files), glanceFiles)] {
		for line := range strings.Lines(string(in.Head(f, glanceSize))) {
			score += byLine(line)
		}
	}
	switch {
	case score > 0:
		return posture.Libreswan, true
	case score < 0:
		return posture.Starter, true
	}
	return posture.Starter, false
}

// Weights of what is not a word of the file.
const (
	weighsPath    = 1000
	weighsPackage = 100
)

// byHost is what the host tells: positive for Libreswan.
func byHost(in *source.Input, files []string) int {
	score := 0
	if slices.ContainsFunc(files, func(f string) bool { return strings.Contains("/"+path.Dir(f)+"/", "/strongswan") }) {
		score -= weighsPath
	}
	if in.Version(nameLibreswan).Known() || has(in, "libreswan") {
		score += weighsPackage
	}
	if in.Version(nameStrongSwan).Known() || has(in, "strongswan") {
		score -= weighsPackage
	}
	return score
}

// isOpenswan tells whether files that are not strongSwan's are of Openswan, which
// Libreswan followed: by its package, by where Debian's has secrets, or by the
// comment that its own file begins with, if nothing speaks for Libreswan.
func isOpenswan(in *source.Input, files []string) bool {
	switch {
	case in.Version(nameLibreswan).Known(), has(in, "libreswan"):
		return false
	case in.Version(nameOpenswan).Known(), has(in, "openswan"):
		return true
	}
	is := false
	for _, f := range files[:min(len(files), glanceFiles)] {
		for line := range strings.Lines(string(in.Head(f, glanceSize))) {
			lower := strings.ToLower(line)
			switch title := strings.HasPrefix(lower, "#") && strings.Contains(lower, "configuration file"); {
			case title && strings.Contains(lower, "- libreswan"), strings.Contains(line, cryptoPolicy):
				return false
			case title && strings.Contains(lower, "- openswan"), strings.HasPrefix(lower, "include /var/lib/openswan/"):
				is = true
			}
		}
	}
	return is
}

func has(in *source.Input, name string) bool {
	return slices.ContainsFunc(in.Host.Packages, func(p posture.Package) bool {
		return strings.HasPrefix(p.Name, name) || strings.HasPrefix(p.Source, name)
	})
}

// byLine is what one line tells: positive for Libreswan.
func byLine(line string) int {
	if w := byTitle(line); w != 0 {
		return w
	}
	line = strings.TrimSpace(uncomment(line))
	key, value, ok := strings.Cut(line, "=")
	switch {
	case !ok && strings.HasPrefix(line, "ca "):
		return -2
	case !ok && strings.Contains(line, cryptoPolicy):
		return 5
	case !ok && strings.HasPrefix(line, "include /var/lib/strongswan/"):
		return -3
	case !ok && strings.HasPrefix(line, "include /etc/ipsec.d/"):
		return 1 // how Libreswan's own file ends
	case !ok && strings.HasPrefix(line, "version"):
		return 1 // Libreswan's own examples still have it
	case !ok:
		return 0
	}
	key, value = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"`)
	if w := byValue(canonical(key), value); w != 0 {
		return w
	}
	return byKey(strings.ReplaceAll(strings.ToLower(key), "_", "-"))
}

// byTitle weighs the comment by which the products' own files begin.
func byTitle(line string) int {
	line = strings.ToLower(line)
	switch {
	case !strings.HasPrefix(line, "#") || !strings.Contains(line, "configuration file") && !strings.Contains(line, "secrets"):
		return 0
	case strings.Contains(line, "strongswan"):
		return -2
	case strings.Contains(line, "libreswan"):
		return 2
	}
	return 0
}

// byKey weighs words that only one of the products has. Openswan had some of
// Libreswan's, and old strongSwan had some of Openswan's.
func byKey(key string) int {
	side, word := cutSide(key)
	switch {
	case side != "" && sideLibreswan[word]:
		return 2
	case side != "" && sideStrongSwan[word]:
		return -2
	case side != "":
		return 0
	case key == "virtual-private":
		return 3
	case key == "charondebug", key == "charonstart":
		return -4 // names strongSwan's daemon, whatever else was left from a guide
	case key == "strictcrlpolicy":
		return -1
	case key == "phase2alg", key == "salifetime", key == "ipsec-lifetime", key == "aggrmode":
		return 2
	case key == "margintime", key == "lifebytes", key == "sha256-96":
		return -2
	case setupLibreswan[key] || connLibreswan[canonical(key)]:
		return 2
	case setupStrongSwan[key] || connStrongSwan[canonical(key)]:
		return -2
	}
	return 0
}

// libreswanMethod tells of a word in authby= that strongSwan does not take, which
// says "ecdsasig" for ECDSA.
func libreswanMethod(word string) bool {
	word = strings.TrimSpace(word)
	return word == "null" || word == "ecdsa" || strings.HasPrefix(word, "ecdsa-") || strings.HasPrefix(word, "rsa-sha")
}

// byValue weighs values that only one of the products takes.
func byValue(key, value string) int {
	side, word := cutSide(key)
	switch {
	case side != "" && word == "" && value == "%defaultroute":
		return 1 // strongSwan 5 takes it for %any, and many of its guides have it
	case side != "" && word == "sourceip" && (strings.ContainsAny(value, "/%")):
		return -2 // a pool, or what asks for an address: of Libreswan's side it is one address
	case side != "" && word == "auth" && value == "psk":
		return -2 // "secret" in Libreswan, but for the newest, which knows this word, too
	case side != "" && word == "auth" && !slices.Contains([]string{"secret", "rsasig", "null", "eaponly", "rsa", "ecdsa", "psk"}, value):
		return -2
	case side != "" && word == "rsasigkey" && value == "%cert":
		return 1
	case (key == "ike" || key == "esp") && strings.HasSuffix(value, "!"):
		return -3
	case (key == "ike" || key == "esp") && strings.ContainsAny(value, ";+_"):
		return 2
	case key == "authby" && slices.ContainsFunc(strings.Split(value, ","), libreswanMethod):
		return 3
	case key == "authby" && slices.Contains([]string{"xauthpsk", "xauthrsasig", "psk", "pubkey", "ecdsasig", "eap"}, value):
		return -3
	case key == "auto" && slices.Contains([]string{"ondemand", "keep", "up"}, value):
		return 2
	case key == "fragmentation" && value == "accept":
		return -2
	}
	return 0
}
