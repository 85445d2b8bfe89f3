package profile

import (
	"crypto/sha1"
	"encoding/xml"
	"fmt"
	"strings"
)

// eapHostConfig is how Windows is told of an EAP method, in the order of its
// schemas. An element without a namespace of its own has that of the one around
// it.
type eapHostConfig struct {
	XMLName xml.Name  `xml:"http://www.microsoft.com/provisioning/EapHostConfig EapHostConfig"`
	Method  eapMethod `xml:"EapMethod"`
	Config  struct {
		EAP  *baseEAP `xml:"http://www.microsoft.com/provisioning/BaseEapConnectionPropertiesV1 Eap"`
		TTLS *eapTTLS `xml:"http://www.microsoft.com/provisioning/EapTtlsConnectionPropertiesV1 EapTtls"`
	} `xml:"Config"`
}

type eapMethod struct {
	Type       int `xml:"http://www.microsoft.com/provisioning/EapCommon Type"`
	VendorID   int `xml:"http://www.microsoft.com/provisioning/EapCommon VendorId"`
	VendorType int `xml:"http://www.microsoft.com/provisioning/EapCommon VendorType"`
	Author     int `xml:"http://www.microsoft.com/provisioning/EapCommon AuthorId"`
}

// baseEAP is one method; one of the pointers is set.
type baseEAP struct {
	Type   int        `xml:"Type"`
	TLS    *eapTLS    `xml:"http://www.microsoft.com/provisioning/EapTlsConnectionPropertiesV1 EapType"`
	PEAP   *eapPEAP   `xml:"http://www.microsoft.com/provisioning/MsPeapConnectionPropertiesV1 EapType"`
	MSCHAP *eapMSCHAP `xml:"http://www.microsoft.com/provisioning/MsChapV2ConnectionPropertiesV1 EapType"`
}

// serverValidation pins the gateway: its names, its CA, and nobody is asked to
// trust another.
type serverValidation struct {
	NoPrompt bool   `xml:"DisableUserPromptForServerValidation"`
	Names    string `xml:"ServerNames"`
	CA       string `xml:"TrustedRootCA"` // SHA-1 of the certificate
}

type eapTLS struct {
	SimpleSelection   bool             `xml:"CredentialsSource>CertificateStore>SimpleCertSelection"`
	Server            serverValidation `xml:"ServerValidation"`
	DifferentUsername bool             `xml:"DifferentUsername"`
	Validate          bool             `xml:"http://www.microsoft.com/provisioning/EapTlsConnectionPropertiesV2 PerformServerValidation"`
	CheckName         bool             `xml:"http://www.microsoft.com/provisioning/EapTlsConnectionPropertiesV2 AcceptServerName"`
}

type eapPEAP struct {
	Server         serverValidation `xml:"ServerValidation"`
	FastReconnect  bool             `xml:"FastReconnect"`
	InnerOptional  bool             `xml:"InnerEapOptional"`
	Inner          *baseEAP         `xml:"http://www.microsoft.com/provisioning/BaseEapConnectionPropertiesV1 Eap"`
	Quarantine     bool             `xml:"EnableQuarantineChecks"`
	RequireBinding bool             `xml:"RequireCryptoBinding"`
	Extensions     struct {
		Validate  bool `xml:"http://www.microsoft.com/provisioning/MsPeapConnectionPropertiesV2 PerformServerValidation"`
		CheckName bool `xml:"http://www.microsoft.com/provisioning/MsPeapConnectionPropertiesV2 AcceptServerName"`
	} `xml:"PeapExtensions"`
}

type eapTTLS struct {
	Names       string `xml:"ServerValidation>ServerNames"`
	CA          string `xml:"ServerValidation>TrustedRootCAHash"`
	NoPrompt    bool   `xml:"ServerValidation>DisablePrompt"`
	WindowsUser bool   `xml:"Phase2Authentication>MSCHAPv2Authentication>UseWinlogonCredentials"`
	Anonymous   bool   `xml:"Phase1Identity>IdentityPrivacy"`
}

type eapMSCHAP struct {
	WindowsUser bool `xml:"UseWinLogonCredentials"`
}

// The numbers of the methods (IANA's registry of EAP) and Microsoft's as the
// author of its TTLS.
const (
	eapTypeTLS      = 13
	eapTypeTTLS     = 21
	eapTypePEAP     = 25
	eapTypeMSCHAPv2 = 26
	microsoft       = 311
)

// eapHost is Windows' configuration of the chosen method.
func (in *Input) eapHost() eapHostConfig {
	server := serverValidation{NoPrompt: true, Names: strings.Join(in.eapNames(), ";"), CA: in.thumbprint()}
	mschap := &baseEAP{Type: eapTypeMSCHAPv2, MSCHAP: &eapMSCHAP{}}
	var e eapHostConfig
	switch in.auth {
	case authEAPTLS:
		e.Config.EAP = &baseEAP{Type: eapTypeTLS, TLS: &eapTLS{SimpleSelection: true, Server: server, Validate: true, CheckName: true}}
	case authPEAP:
		peap := &eapPEAP{Server: server, Inner: mschap, RequireBinding: true}
		peap.Extensions.Validate, peap.Extensions.CheckName = true, true
		e.Config.EAP = &baseEAP{Type: eapTypePEAP, PEAP: peap}
	case authEAPTTLS:
		e.Method = eapMethod{Type: eapTypeTTLS, Author: microsoft}
		e.Config.TTLS = &eapTTLS{Names: server.Names, CA: server.CA, NoPrompt: true}
		return e
	case authMSCHAPv2:
		e.Config.EAP = mschap
	}
	e.Method.Type = e.Config.EAP.Type
	return e
}

// thumbprint names the gateway's CA as Windows does.
func (in *Input) thumbprint() string {
	sum := sha1.Sum(in.ca.Raw)
	return fmt.Sprintf("% x", sum)
}
