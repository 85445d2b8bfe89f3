package pfsense

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// certificates reads <cert>, <ca> and <crl>: PEM in base64. A private key beside
// a certificate is in the clear for whoever has the file. What IPsec uses is judged
// as it is in files of its own; the rest is of web pages and other servers.
func (r *reader) certificates() {
	certs, cas := r.users()
	for _, e := range r.root.all("cert") {
		r.readCertificate(e, false, certs)
	}
	for _, e := range r.root.all("ca") {
		r.readCertificate(e, true, cas)
	}
	for _, e := range r.root.all("crl") {
		r.revocations(e)
	}
	for _, e := range r.root.get("OPNsense", "IPsec", "keyPairs").all("keyPair") {
		r.keyPair(e)
	}
}

func (r *reader) readCertificate(e *element, ca bool, used map[string][]string) {
	name := source.Quote(e.value("descr"))
	k := posture.Key{Subject: r.subject("certificate", name, e.at), CA: ca, Used: used[name]}
	if len(k.Used) > 0 {
		k.Dialect = posture.X509
	}
	if block := r.block(e.get("crt")); block != nil {
		k.Certificate = block.Bytes
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			k.Public, k.CA = cert.PublicKey, ca || cert.IsCA
		} else {
			r.in.Note(posture.Malformed, e.where("crt"), "the certificate cannot be read")
		}
	}
	if block := r.block(e.get("prv")); block != nil {
		k.Private, k.Encrypted, k.PrivateAt = true, encryptedKey(block), e.where("prv")
	}
	if k.Certificate != nil || k.Private {
		r.in.Host.Keys = append(r.in.Host.Keys, k)
	}
}

// block is the first PEM block of an element. pfSense has it in base64, some
// fields of OPNsense as it is.
func (r *reader) block(e *element) *pem.Block {
	if e == nil || e.text == "" {
		return nil
	}
	text := []byte(e.text)
	if !strings.HasPrefix(e.text, "-----") {
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(e.text), ""))
		if err != nil {
			r.in.Note(posture.Malformed, e.at, "<%s> is not base64", e.name)
			return nil
		}
		text = b
	}
	block, _ := pem.Decode(text)
	if block == nil {
		r.in.Note(posture.Malformed, e.at, "<%s> is not PEM", e.name)
	}
	return block
}

func encryptedKey(b *pem.Block) bool {
	return strings.HasPrefix(b.Type, "ENCRYPTED") || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED")
}

// users are the connections that prove themselves by each certificate, and those
// that each authority is for: its certificates are taken or shown there.
func (r *reader) users() (certs, cas map[string][]string) {
	certs, cas = map[string][]string{}, map[string][]string{}
	issuers := r.issuers()
	for _, c := range r.in.Host.Connections {
		for _, a := range c.Local {
			if a.CertFile == "" {
				continue
			}
			certs[a.CertFile] = append(certs[a.CertFile], c.Name)
			if ca := issuers[a.CertFile]; ca != "" {
				cas[ca] = append(cas[ca], c.Name)
			}
		}
		for _, a := range c.Remote {
			if a.CA.Origin == posture.Explicit && a.CA.V != "" {
				cas[a.CA.V] = append(cas[a.CA.V], c.Name)
			}
		}
	}
	return certs, cas
}

// issuers are the authorities of certificates, by the names of both.
func (r *reader) issuers() map[string]string {
	all := map[string]string{}
	for _, e := range r.root.all("cert") {
		if ca := e.value("caref"); ca != "" {
			all[source.Quote(e.value("descr"))] = r.described("ca", ca)
		}
	}
	return all
}

// keyPair is a key without certificate, of OPNsense.
func (r *reader) keyPair(e *element) {
	k := posture.Key{Subject: r.subject("key", source.Quote(e.value("name")), e.at)}
	if block := r.block(e.get("publicKey")); block != nil {
		if pub, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			k.Public = pub
		}
	}
	if block := r.block(e.get("privateKey")); block != nil {
		k.Private, k.Encrypted = true, encryptedKey(block)
		if k.Public == nil {
			k.Public = public(block.Bytes)
		}
	}
	if k.Public != nil || k.Private {
		r.in.Host.Keys = append(r.in.Host.Keys, k)
	}
}

// public is the public half of a private key.
func public(der []byte) any {
	var key any
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		key = k
	} else if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		key = k
	} else if k, err := x509.ParseECPrivateKey(der); err == nil {
		key = k
	}
	if s, ok := key.(crypto.Signer); ok {
		return s.Public()
	}
	return nil
}

// revocations are the lists that the firewall keeps, or was given.
func (r *reader) revocations(e *element) {
	text := e.get("text")
	if text == nil || text.text == "" {
		return
	}
	block := r.block(text)
	if block == nil {
		return
	}
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		r.in.Note(posture.Malformed, text.at, "the revocation list cannot be read")
		return
	}
	r.in.Host.CRLs = append(r.in.Host.CRLs, posture.CRL{
		Subject: r.subject("crl", source.Quote(e.value("descr")), e.at), Issuer: list.Issuer.String(), ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate,
	})
}
