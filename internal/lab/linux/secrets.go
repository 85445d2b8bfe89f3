package linux

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"sallyport/internal/lab"
)

// What strongSwan logs of a phase 1 SA, in this order: what NAT detection
// hashes, which begins with the initiator's cookie (RFC 3947, Section 3.2), and
// the encryption key (RFC 2409, Appendix B).
const (
	logNATD = "natd_chunk =>"
	logKey  = "encryption key Ka =>"
)

// dumped is a line of a hex dump in strongSwan's log.
var dumped = regexp.MustCompile(`\[IKE\] +\d+: ((?:[0-9A-F]{2} )+) `)

// ikeSecrets finds the phase 1 keys in a log of strongSwan.
func ikeSecrets(log string) (secrets []lab.IKEv1Secret) {
	var natd, key []byte
	var into *[]byte // whose dump is being read
	flush := func() {
		if len(natd) >= 8 && key != nil {
			secrets = append(secrets, lab.IKEv1Secret{Cookie: natd[:8:8], Key: key})
			key = nil
		}
	}
	for line := range strings.Lines(log) {
		if m := dumped.FindStringSubmatch(line); m != nil {
			if into != nil {
				octets, _ := hex.DecodeString(strings.ReplaceAll(m[1], " ", ""))
				*into = append(*into, octets...)
			}
			continue
		}
		if into == &key {
			flush()
		}
		into = nil
		switch {
		case strings.Contains(line, logNATD):
			natd, into = nil, &natd
		case strings.Contains(line, logKey):
			key, into = nil, &key
		}
	}
	flush()
	return secrets
}

// espSecrets reads what ip xfrm state says of the SAs of a kernel.
func espSecrets(state string) (secrets []lab.ESPSecret, err error) {
	for line := range strings.Lines(state) {
		words := strings.Fields(line)
		if len(words) == 4 && words[0] == "src" && words[2] == "dst" {
			s := lab.ESPSecret{Cipher: lab.SharkNullCipher, Integrity: lab.SharkNoIntegrity}
			var errDst error
			s.Src, err = netip.ParseAddr(words[1])
			s.Dst, errDst = netip.ParseAddr(words[3])
			if err != nil || errDst != nil {
				return nil, fmt.Errorf("linux: ip xfrm state: %q", line)
			}
			secrets = append(secrets, s)
			continue
		}
		if len(secrets) == 0 || len(words) < 3 {
			continue
		}
		if err := espDetail(&secrets[len(secrets)-1], words); err != nil {
			return nil, fmt.Errorf("linux: ip xfrm state: %q: %w", line, err)
		}
	}
	return secrets, nil
}

func espDetail(s *lab.ESPSecret, words []string) (err error) {
	switch words[0] {
	case "proto":
		if i := indexOf(words, "spi"); i > 0 && i+1 < len(words) {
			spi, err := strconv.ParseUint(words[i+1], 0, 32)
			s.SPI = uint32(spi)
			return err
		}
	case "enc":
		s.Cipher, err = sharkName(words[1])
		s.Key = fromHex(words[2])
	case "aead":
		s.Cipher, err = sharkName(words[1])
		s.Key = fromHex(words[2])
	case "auth-trunc", "auth":
		s.Integrity, err = sharkName(words[1])
		s.IntegrityKey = fromHex(words[2])
	}
	return err
}

// sharkName is Wireshark's name of an algorithm of the kernel.
func sharkName(kernel string) (string, error) {
	switch kernel {
	case "cbc(aes)":
		return lab.SharkAESCBC, nil
	case "cbc(des3_ede)":
		return lab.Shark3DES, nil
	case "rfc4106(gcm(aes))":
		return lab.SharkAESGCM16, nil
	case "hmac(sha1)":
		return lab.SharkSHA1, nil
	case "hmac(sha256)":
		return lab.SharkSHA256, nil
	case "hmac(sha384)":
		return lab.SharkSHA384, nil
	case "hmac(sha512)":
		return lab.SharkSHA512, nil
	}
	return "", fmt.Errorf("no name for the algorithm %q", kernel)
}

// fromHex is nil where there is no key.
func fromHex(text string) []byte {
	octets, _ := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	return octets
}

func indexOf(words []string, word string) int {
	for i, w := range words {
		if w == word {
			return i
		}
	}
	return -1
}
