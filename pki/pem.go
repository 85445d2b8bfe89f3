package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
)

const (
	pemCert = "CERTIFICATE"
	pemKey  = "PRIVATE KEY" // PKCS#8
	pemCRL  = "X509 CRL"

	maxFile = 32 << 20 // a CRL of a million entries
)

// LoadIdentity reads a PEM file with one private key (PKCS#8, or the older
// SEC 1 and PKCS#1 forms of other products) and its certificate, followed by
// the intermediate ones.
func LoadIdentity(path string) (*Issued, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	id, err := ParseIdentity(b)
	return id, inFile(path, err)
}

// ParseIdentity is [LoadIdentity] of a file's content.
func ParseIdentity(b []byte) (*Issued, error) {
	id := new(Issued)
	for block, line := range blocks(b) {
		var err error
		switch block.Type {
		case pemKey, "EC PRIVATE KEY", "RSA PRIVATE KEY":
			if id.Key != nil {
				return nil, &FileError{Line: line, Reason: "a second private key"}
			}
			id.Key, err = parseKey(block)
		case pemCert:
			var c *x509.Certificate
			if c, err = x509.ParseCertificate(block.Bytes); err == nil && id.Cert == nil {
				id.Cert = c
			}
			id.Chain = append(id.Chain, block.Bytes)
		}
		if err != nil {
			return nil, &FileError{Line: line, Reason: "damaged " + block.Type, Err: err}
		}
	}
	switch {
	case id.Key == nil:
		return nil, &FileError{Reason: "no private key in it"}
	case id.Cert == nil:
		return nil, &FileError{Reason: "no certificate in it"}
	}
	pub, ok := id.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(id.Cert.PublicKey) {
		return nil, &FileError{Reason: "the private key does not belong to the first certificate"}
	}
	return id, nil
}

func parseKey(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	return signer, nil
}

// LoadCertificates reads all certificates of a PEM file, or the one of a DER
// file. Bundles of roots are common; a reader that stops after the first loses
// the others silently.
func LoadCertificates(path string) ([]*x509.Certificate, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	certs, err := ParseCertificates(b)
	return certs, inFile(path, err)
}

// ParseCertificates is [LoadCertificates] of a file's content.
func ParseCertificates(b []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for block, line := range blocks(b) {
		if block.Type != pemCert {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, &FileError{Line: line, Reason: "damaged certificate", Err: err}
		}
		certs = append(certs, c)
	}
	if len(certs) > 0 {
		return certs, nil
	}
	c, err := x509.ParseCertificate(b)
	if err != nil {
		return nil, &FileError{Reason: "no certificate in it, neither PEM nor DER"}
	}
	return []*x509.Certificate{c}, nil
}

// blocks yields the PEM blocks of b and the lines they begin at.
func blocks(b []byte) func(func(*pem.Block, int) bool) {
	return func(yield func(*pem.Block, int) bool) {
		line := 1
		for rest := b; ; {
			block, next := pem.Decode(rest)
			if block == nil {
				return
			}
			used := rest[:len(rest)-len(next)]
			begin := max(bytes.LastIndex(used, []byte("-----BEGIN")), 0)
			if !yield(block, line+bytes.Count(used[:begin], []byte("\n"))) {
				return
			}
			line += bytes.Count(used, []byte("\n"))
			rest = next
		}
	}
}

func readFile(path string) ([]byte, error) {
	i, err := os.Stat(path)
	if err == nil && i.Size() > maxFile {
		return nil, &FileError{File: path, Reason: "over 32 MiB"}
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, &FileError{File: path, Reason: "cannot be read", Err: err}
	}
	return b, nil
}

// inFile puts the path into the errors of a parser.
func inFile(path string, err error) error {
	var e *FileError
	if errors.As(err, &e) {
		e.File = path
	}
	return err
}

// encodeIdentity is the content of an identity file: key, certificate, chain.
func encodeIdentity(id *Issued) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		return nil, &FileError{Reason: "the private key cannot be written", Err: err}
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), encodeCerts(id.Chain...)...), nil
}

func encodeCerts(ders ...[]byte) (b []byte) {
	for _, der := range ders {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: der})...)
	}
	return b
}
