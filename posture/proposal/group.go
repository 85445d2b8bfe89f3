package proposal

import (
	"strconv"

	"sallyport/protocol/suite"
)

// Group is the keyword of a key exchange that a product names by its number in
// IANA's registry: "14" is modp2048. The numbers of IKEv1 up to 32 are the same.
func Group(number string) (keyword string, ok bool) {
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 {
		return "", false
	}
	a, ok := suite.Lookup(suite.Transform{Type: suite.KE, ID: uint16(n)})
	return a.Keyword, ok
}
