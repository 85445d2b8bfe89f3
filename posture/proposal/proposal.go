// Package proposal reads the notations in which products write sets of
// algorithms, and knows what each version of a product offers by default.
package proposal

import (
	"slices"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// New makes a proposal of keywords of package suite ("aes256gcm16", "sha256",
// "prfsha384", "ecp384"). A word that is in no registry is kept in Unknown. In
// an IKE proposal that names no PRF, the PRFs follow from the hashes, as all
// products have it; text is what the file says.
func New(p suite.Protocol, text string, at posture.Pos, words ...string) posture.Proposal {
	out := posture.Proposal{At: at, Text: text}
	for _, word := range words {
		a, ok := suite.ByKeyword(word)
		if !ok {
			out.Unknown = append(out.Unknown, word)
			continue
		}
		if !slices.Contains(out.Transforms, a.Transform) {
			out.Transforms = append(out.Transforms, a.Transform)
		}
	}
	if p == suite.ProtocolIKE && len(out.Of(suite.PRF)) == 0 {
		for _, t := range out.Of(suite.Integ) {
			if prf := suite.PRFOfHash(t); prf != (suite.Transform{}) && !slices.Contains(out.Transforms, prf) {
				out.Transforms = append(out.Transforms, prf)
			}
		}
	}
	return out
}
