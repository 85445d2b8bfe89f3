package report

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// CBOM writes the list of cryptography of the target, as CycloneDX 1.6: each
// connection and each kind of Child SA as a protocol, the algorithms they may
// use, and keys and certificates without their private halves. One target in
// one state gives one document, down to its serial number.
func (r *Report) CBOM(w io.Writer) error {
	b := billWriter{refs: map[string]bool{}}
	for i := range r.crypto.Connections {
		b.connection(i+1, &r.crypto.Connections[i])
	}
	for i := range r.crypto.Keys {
		b.key(i+1, &r.crypto.Keys[i])
	}
	bom := b.bom(r)
	serial, err := serialNumber(bom)
	if err != nil {
		return err
	}
	bom.SerialNumber = serial
	return encode(w, bom)
}

// encode does without the conversion of the library, which loses levels of 0.
func encode(w io.Writer, bom *cdx.BOM) error {
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(bom)
}

// serialNumber is a UUID of version 8 (RFC 9562, Section 5.8) made of the
// document itself.
func serialNumber(bom *cdx.BOM) (string, error) {
	var text bytes.Buffer
	if err := encode(&text, bom); err != nil {
		return "", err
	}
	sum := sha256.Sum256(text.Bytes())
	u := sum[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]), nil
}

// targetRef names the target as a whole.
const targetRef = "target"

// billWriter collects components, each algorithm once.
type billWriter struct {
	algorithms []cdx.Component
	others     []cdx.Component
	refs       map[string]bool
	top        []string // what the target depends on
	depends    []cdx.Dependency
}

func (b *billWriter) bom(r *Report) *cdx.BOM {
	slices.SortFunc(b.algorithms, func(x, y cdx.Component) int { return strings.Compare(x.BOMRef, y.BOMRef) })
	components := append(append([]cdx.Component{}, b.others...), b.algorithms...)
	b.depend(targetRef, b.top)
	bom := cdx.NewBOM()
	bom.JSONSchema, bom.SpecVersion = "http://cyclonedx.org/schema/bom-1.6.schema.json", cdx.SpecVersion1_6
	bom.Metadata = &cdx.Metadata{
		Timestamp: r.Created.Format(time.RFC3339),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: r.Tool.Name, Version: r.Tool.Version}}},
		Component: &cdx.Component{BOMRef: targetRef, Type: cdx.ComponentTypePlatform, Name: clean(r.Target)},
	}
	if n := r.crypto.LeftOut; n > 0 {
		bom.Metadata.Properties = &[]cdx.Property{{Name: "sallyport:left-out", Value: fmt.Sprint(n)}}
	}
	bom.Components, bom.Dependencies = &components, &b.depends
	return bom
}

// asset is a component of cryptography that is in a file.
func asset(ref, name string, host string, s posture.Subject, p *cdx.CryptoProperties, more ...cdx.Property) cdx.Component {
	properties := []cdx.Property{{Name: "sallyport:host", Value: clean(host)}, {Name: "sallyport:dialect", Value: string(s.Dialect)}, {Name: "sallyport:kind", Value: s.Kind}}
	properties = append(properties, more...)
	c := cdx.Component{BOMRef: ref, Type: cdx.ComponentTypeCryptographicAsset, Name: clean(name), CryptoProperties: p, Properties: &properties}
	if s.At.File != "" {
		o := cdx.EvidenceOccurrence{Location: clean(s.At.File)}
		if s.At.Line > 0 {
			o.Line = &s.At.Line
		}
		c.Evidence = &cdx.Evidence{Occurrences: &[]cdx.EvidenceOccurrence{o}}
	}
	return c
}

// connection enters an IKE configuration and its children. What speaks version
// 1 alone has no transforms of version 2, and lists its algorithms.
func (b *billWriter) connection(n int, c *Connection) {
	ref := fmt.Sprintf("ike-%d", n)
	t := b.transforms(c.IKE)
	for _, word := range c.Auth {
		t.auth = append(t.auth, b.auth(word))
	}
	p := &cdx.CryptoProtocolProperties{Type: cdx.CryptoProtocolTypeIKE, Version: versions(c)}
	if c.V1 && !c.V2 {
		p.CryptoRefArray = list(slices.Concat(t.all(), t.auth))
	} else {
		p.IKEv2TransformTypes = t.ikev2(false)
	}
	more := t.notes()
	if c.PPK {
		more = append(more, cdx.Property{Name: "sallyport:ppk", Value: "true"})
	}
	b.others = append(b.others, asset(ref, name(c.Subject), c.Host, c.Subject, &cdx.CryptoProperties{AssetType: cdx.CryptoAssetTypeProtocol, ProtocolProperties: p}, more...))
	uses := slices.Concat(t.all(), t.auth)
	for i := range c.Children {
		uses = append(uses, b.child(fmt.Sprintf("%s-child-%d", ref, i+1), c, &c.Children[i]))
	}
	b.top = append(b.top, ref)
	b.depend(ref, uses)
}

func name(s posture.Subject) string {
	if s.Name == "" {
		return s.Kind
	}
	return s.Name
}

func versions(c *Connection) string {
	switch {
	case c.V1 && c.V2:
		return "1.0, 2.0"
	case c.V1:
		return "1.0"
	case c.V2:
		return "2.0"
	}
	return ""
}

func (b *billWriter) child(ref string, c *Connection, child *Child) string {
	t := b.transforms(child.ESP)
	p := &cdx.CryptoProtocolProperties{Type: cdx.CryptoProtocolTypeIPSec, IKEv2TransformTypes: t.ikev2(child.ESN)}
	protocol := "ESP"
	if child.AH {
		protocol = "AH"
	}
	s := child.Subject
	more := append(t.notes(), cdx.Property{Name: "sallyport:protocol", Value: protocol})
	b.others = append(b.others, asset(ref, name(s), c.Host, s, &cdx.CryptoProperties{AssetType: cdx.CryptoAssetTypeProtocol, ProtocolProperties: p}, more...))
	b.depend(ref, t.all())
	return ref
}

func (b *billWriter) depend(ref string, on []string) {
	d := cdx.Dependency{Ref: ref}
	if on = unique(on); len(on) > 0 {
		d.Dependencies = &on
	}
	b.depends = append(b.depends, d)
}

// used are references to algorithms by their part in the protocol.
type used struct {
	encr, prf, integ, ke, auth []string
	unknown                    []string
}

// transforms enters the algorithms of all proposals.
func (b *billWriter) transforms(proposals []posture.Proposal) used {
	var u used
	for _, p := range proposals {
		for _, t := range slices.Concat(p.Transforms, p.AddKE) {
			a, known := suite.Lookup(t)
			switch {
			case known && (a.Title == "NONE"):
			case t.Type == suite.Encr:
				u.encr = append(u.encr, b.algorithm(t, a))
			case t.Type == suite.PRF:
				u.prf = append(u.prf, b.algorithm(t, a))
			case t.Type == suite.Integ:
				u.integ = append(u.integ, b.algorithm(t, a))
			case t.Type == suite.KE:
				u.ke = append(u.ke, b.algorithm(t, a))
			}
		}
		u.unknown = append(u.unknown, p.Unknown...)
	}
	u.encr, u.prf, u.integ, u.ke = unique(u.encr), unique(u.prf), unique(u.integ), unique(u.ke)
	return u
}

func (u *used) all() []string { return slices.Concat(u.encr, u.prf, u.integ, u.ke) }

func (u *used) notes() (more []cdx.Property) {
	for _, word := range unique(u.unknown) {
		more = append(more, cdx.Property{Name: "sallyport:unknown-algorithm", Value: clean(short(word))})
	}
	return more
}

// ikev2 writes references by name, the form of CycloneDX 1.6.
func (u *used) ikev2(esn bool) *cdx.IKEv2TransformTypes {
	t := &cdx.IKEv2TransformTypes{ESN: esn}
	t.Encr = refs(u.encr, func(r cdx.BOMReference) cdx.IKEv2Enc { return cdx.IKEv2Enc{BOMRef: r} })
	t.PRF = refs(u.prf, func(r cdx.BOMReference) cdx.IKEv2Prf { return cdx.IKEv2Prf{BOMRef: r} })
	t.Integ = refs(u.integ, func(r cdx.BOMReference) cdx.IKEv2Integ { return cdx.IKEv2Integ{BOMRef: r} })
	t.KE = refs(u.ke, func(r cdx.BOMReference) cdx.IKEv2Ke { return cdx.IKEv2Ke{BOMRef: r} })
	t.Auth = refs(u.auth, func(r cdx.BOMReference) cdx.IKEv2Auth { return cdx.IKEv2Auth{BOMRef: r} })
	return t
}

func refs[T any](names []string, as func(cdx.BOMReference) T) *[]T {
	if len(names) == 0 {
		return nil
	}
	var all []T
	for _, n := range names {
		all = append(all, as(cdx.BOMReference(n)))
	}
	return &all
}

func list(names []string) *[]cdx.BOMReference {
	return refs(names, func(r cdx.BOMReference) cdx.BOMReference { return r })
}

// unique keeps the first of equal words, in order.
func unique(words []string) (kept []string) {
	seen := map[string]bool{}
	for _, w := range words {
		if !seen[w] {
			seen[w], kept = true, append(kept, w)
		}
	}
	return kept
}

// once enters a component of algorithms that was not entered before.
func (b *billWriter) once(ref, name, description string, p cdx.CryptoAlgorithmProperties) string {
	if !b.refs[ref] {
		b.refs[ref] = true
		b.algorithms = append(b.algorithms, cdx.Component{
			BOMRef: ref, Type: cdx.ComponentTypeCryptographicAsset, Name: name, Description: description,
			CryptoProperties: &cdx.CryptoProperties{AssetType: cdx.CryptoAssetTypeAlgorithm, AlgorithmProperties: &p},
		})
	}
	return ref
}

var transformWords = map[suite.TransformType]string{suite.Encr: "encr", suite.PRF: "prf", suite.Integ: "integ", suite.KE: "ke"}

// algorithm enters a transform; a is its row in the table of algorithms, which
// is empty for numbers that nobody registered.
func (b *billWriter) algorithm(t suite.Transform, a suite.Algorithm) string {
	word, description := a.Keyword, a.Title+", "+a.RFC
	if word == "" {
		word, description = fmt.Sprintf("%d-%d", t.ID, t.KeyBits), "not in the registry"
	}
	p := cdx.CryptoAlgorithmProperties{Primitive: primitive(t.Type, word), Mode: mode(t.Type, word)}
	switch {
	case t.KeyBits > 0:
		p.ParameterSetIdentifier = fmt.Sprint(t.KeyBits)
	case p.Primitive == cdx.CryptoPrimitiveKEM:
		p.ParameterSetIdentifier = strings.TrimPrefix(word, "mlkem")
	}
	functions := functionsOf[p.Primitive]
	if t.Type == suite.PRF {
		functions = []cdx.CryptoFunction{cdx.CryptoFunctionKeyderive}
	}
	if len(functions) > 0 {
		p.CryptoFunctions = &functions
	}
	if s, ok := strengthOf(t, word); ok {
		p.ClassicalSecurityLevel, p.NistQuantumSecurityLevel, p.Curve = level(s.classical), level(s.quantum), s.curve
	}
	return b.once("algorithm-"+transformWords[t.Type]+"-"+word, word, description, p)
}

func level(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

var functionsOf = map[cdx.CryptoPrimitive][]cdx.CryptoFunction{
	cdx.CryptoPrimitiveAE:          {cdx.CryptoFunctionEncrypt, cdx.CryptoFunctionDecrypt, cdx.CryptoFunctionTag},
	cdx.CryptoPrimitiveBlockCipher: {cdx.CryptoFunctionEncrypt, cdx.CryptoFunctionDecrypt},
	cdx.CryptoPrimitiveMAC:         {cdx.CryptoFunctionTag},
	cdx.CryptoPrimitiveKeyAgree:    {cdx.CryptoFunctionKeygen, cdx.CryptoFunctionKeyderive},
	cdx.CryptoPrimitiveKEM:         {cdx.CryptoFunctionKeygen, cdx.CryptoFunctionEncapsulate, cdx.CryptoFunctionDecapsulate},
	cdx.CryptoPrimitiveSignature:   {cdx.CryptoFunctionSign, cdx.CryptoFunctionVerify},
}

// aead are parts of the names of ciphers that authenticate.
var aead = []string{"gcm", "ccm", "poly1305", "mgm"}

func primitive(typ suite.TransformType, word string) cdx.CryptoPrimitive {
	switch {
	case typ == suite.PRF, typ == suite.Integ:
		return cdx.CryptoPrimitiveMAC
	case typ == suite.KE && strings.HasPrefix(word, "mlkem"):
		return cdx.CryptoPrimitiveKEM
	case typ == suite.KE:
		return cdx.CryptoPrimitiveKeyAgree
	case word == "null":
		return cdx.CryptoPrimitiveOther
	case strings.Contains(word, "gmac"):
		return cdx.CryptoPrimitiveMAC
	case slices.ContainsFunc(aead, func(part string) bool { return strings.Contains(word, part) }):
		return cdx.CryptoPrimitiveAE
	}
	return cdx.CryptoPrimitiveBlockCipher
}

func mode(typ suite.TransformType, word string) cdx.CryptoAlgorithmMode {
	switch {
	case typ != suite.Encr || strings.Contains(word, "poly1305") || word == "null":
		return ""
	case strings.Contains(word, "gcm"):
		return cdx.CryptoAlgorithmModeGCM
	case strings.Contains(word, "ccm"):
		return cdx.CryptoAlgorithmModeCCM
	case strings.Contains(word, "ctr"):
		return cdx.CryptoAlgorithmModeCTR
	case primitive(typ, word) == cdx.CryptoPrimitiveBlockCipher:
		return cdx.CryptoAlgorithmModeCBC // ESP has no other (RFC 2451, RFC 3602)
	}
	return cdx.CryptoAlgorithmModeOther
}

// strength is what an algorithm withstands: bits, and the category of NIST
// against quantum computers, in which 0 is none. -1: not said here.
type strength struct {
	classical, quantum int
	curve              string
}

// strengths: NIST SP 800-57 Part 1, Table 2; SP 800-56A, Appendix D; FIPS 203.
// Ciphers other than AES, PRFs and MACs have no agreed category.
var strengths = map[string]strength{
	"des": {56, 0, ""}, "3des": {112, 0, ""}, "chacha20poly1305": {256, -1, ""},
	"modp768": {-1, 0, ""}, "modp1024": {80, 0, ""}, "modp1536": {-1, 0, ""}, "modp2048": {112, 0, ""}, "modp3072": {128, 0, ""},
	"modp4096": {152, 0, ""}, "modp6144": {176, 0, ""}, "modp8192": {200, 0, ""},
	"modp1024s160": {80, 0, ""}, "modp2048s224": {112, 0, ""}, "modp2048s256": {112, 0, ""},
	"ecp192": {96, 0, "nist/P-192"}, "ecp224": {112, 0, "nist/P-224"}, "ecp256": {128, 0, "nist/P-256"}, "ecp384": {192, 0, "nist/P-384"}, "ecp521": {256, 0, "nist/P-521"},
	"ecp224bp": {112, 0, "brainpool/brainpoolP224r1"}, "ecp256bp": {128, 0, "brainpool/brainpoolP256r1"}, "ecp384bp": {192, 0, "brainpool/brainpoolP384r1"}, "ecp512bp": {256, 0, "brainpool/brainpoolP512r1"},
	"x25519": {128, 0, "other/Curve25519"}, "x448": {224, 0, "other/Curve448"},
	"mlkem512": {128, 1, ""}, "mlkem768": {192, 3, ""}, "mlkem1024": {256, 5, ""},
}

// aesCategories are of the search for a key, by which NIST defines them.
var aesCategories = map[uint16]int{128: 1, 192: 3, 256: 5}

func strengthOf(t suite.Transform, word string) (strength, bool) {
	if category, ok := aesCategories[t.KeyBits]; ok && t.Type == suite.Encr && strings.HasPrefix(word, "aes") && !strings.Contains(word, "gmac") {
		return strength{int(t.KeyBits), category, ""}, true
	}
	s, ok := strengths[word]
	return s, ok
}

// auth enters a way of authentication.
func (b *billWriter) auth(word string) string {
	title, p := "IKE authentication by "+word, cdx.CryptoAlgorithmProperties{Primitive: cdx.CryptoPrimitiveOther}
	switch posture.Method(word) {
	case posture.MethodPSK:
		title, p.Primitive = "IKE authentication by pre-shared key", cdx.CryptoPrimitiveMAC
	case posture.MethodPubkey:
		title, p.Primitive = "IKE authentication by signature", cdx.CryptoPrimitiveSignature
	}
	if functions := functionsOf[p.Primitive]; len(functions) > 0 {
		p.CryptoFunctions = &functions
	}
	word = clean(short(word))
	return b.once("auth-"+word, word, clean(title), p)
}

// key enters a public key and the certificate around it. Of a private key it is
// said that it is there.
func (b *billWriter) key(n int, k *Key) {
	algorithm := b.keyAlgorithm(k)
	ref := fmt.Sprintf("key-%d", n)
	p := cdx.RelatedCryptoMaterialProperties{Type: cdx.RelatedCryptoMaterialTypePublicKey, AlgorithmRef: cdx.BOMReference(algorithm), Size: level(k.Bits)}
	if k.Bits == 0 {
		p.Size = nil
	}
	if k.Private {
		p.Type = cdx.RelatedCryptoMaterialTypePrivateKey
	}
	b.others = append(b.others, asset(ref, name(k.Subject), k.Host, k.Subject, &cdx.CryptoProperties{AssetType: cdx.CryptoAssetTypeRelatedCryptoMaterial, RelatedCryptoMaterialProperties: &p}))
	top, uses := ref, []string{}
	if algorithm != "" {
		uses = append(uses, algorithm)
	}
	b.depend(ref, uses)
	if k.Certificate {
		top = fmt.Sprintf("certificate-%d", n)
		b.certificate(top, ref, k)
	}
	b.top = append(b.top, top)
}

func (b *billWriter) certificate(ref, key string, k *Key) {
	signature := b.once("signature-"+k.SignatureAlgorithm, k.SignatureAlgorithm, "signature of certificates", cdx.CryptoAlgorithmProperties{
		Primitive: cdx.CryptoPrimitiveSignature, CryptoFunctions: &[]cdx.CryptoFunction{cdx.CryptoFunctionSign, cdx.CryptoFunctionVerify},
	})
	b.others = append(b.others, asset(ref, name(k.Subject), k.Host, k.Subject, &cdx.CryptoProperties{AssetType: cdx.CryptoAssetTypeCertificate, CertificateProperties: &cdx.CertificateProperties{
		SubjectName: clean(k.SubjectName), IssuerName: clean(k.IssuerName), CertificateFormat: "X.509",
		NotValidBefore: k.NotBefore.UTC().Format(time.RFC3339), NotValidAfter: k.NotAfter.UTC().Format(time.RFC3339),
		SignatureAlgorithmRef: cdx.BOMReference(signature), SubjectPublicKeyRef: cdx.BOMReference(key),
	}}))
	b.depend(ref, []string{key, signature})
}

// keyAlgorithm enters the algorithm of a key: all of those that are known fall
// to a quantum computer. It is empty where nothing is known.
func (b *billWriter) keyAlgorithm(k *Key) string {
	if k.Algorithm == "" {
		return ""
	}
	p := cdx.CryptoAlgorithmProperties{Primitive: cdx.CryptoPrimitiveSignature, NistQuantumSecurityLevel: level(0), Curve: k.Curve, ParameterSetIdentifier: fmt.Sprint(k.Bits)}
	functions := functionsOf[p.Primitive]
	p.CryptoFunctions = &functions
	word := fmt.Sprintf("%s-%d", k.Algorithm, k.Bits)
	if k.Curve != "" {
		word = k.Algorithm + "-" + k.Curve
	}
	return b.once("key-algorithm-"+word, word, "public key", p)
}
