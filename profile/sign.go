package profile

import (
	"fmt"

	"github.com/smallstep/pkcs7"
)

// sign wraps a profile in a CMS message (RFC 5652) with SHA-256, the
// signature's certificate and the chain above it.
func (s *Signer) sign(content []byte) ([]byte, error) {
	if len(s.Chain) == 0 {
		return nil, fmt.Errorf("the signer has no certificate")
	}
	m, err := pkcs7.NewSignedData(content)
	if err != nil {
		return nil, err
	}
	m.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := m.AddSignerChain(s.Chain[0], s.Key, s.Chain[1:], pkcs7.SignerInfoConfig{}); err != nil {
		return nil, err
	}
	return m.Finish()
}
