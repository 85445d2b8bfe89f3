package windows

import "strings"

// set is a table of names, which PowerShell takes in any case.
func set(names string) map[string]bool {
	m := map[string]bool{}
	for n := range strings.FieldsSeq(names) {
		m[strings.ToLower(n)] = true
	}
	return m
}

// The properties of each kind of object. Those that nothing here reads bear on
// comfort, or are states.
var (
	cimKnown = set(`CimClass CimInstanceProperties CimSystemProperties PSComputerName PSShowComputerName RunspaceId PSSourceJobInstanceId PSPath Caption Description ElementName InstanceID`)

	connectionKnown = set(`Name ServerAddress AllUserConnection Guid TunnelType AuthenticationMethod EncryptionLevel L2tpIPsecAuth
		UseWinlogonCredential EapConfigXmlStream ConnectionStatus NapState RememberCredential SplitTunneling DnsSuffix IdleDisconnectSeconds
		ServerList Routes VpnTrigger Proxy ProfileType ProvisioningAuthority IsAutoTriggerEnabled IPSecCustomPolicy MachineCertificateEKUFilter
		MachineCertificateIssuerFilter VpnConfigurationXml PlugInApplicationID CustomConfiguration DnsSuffixSearchList TrustedNetwork DnsConfig
		ApplicationID LockDown DeviceTunnel RegisterDNS`)

	policyKnown = set(`ConnectionName Name AuthenticationTransformConstants CipherTransformConstants DHGroup IntegrityCheckMethod PfsGroup EncryptionMethod CustomPolicy`)

	serverKnown = set(`CustomPolicy EncryptionType IdleDisconnect IdleDisconnectSeconds Ikev2Ports L2tpPorts SstpPorts GrePorts PptpPorts SADataSizeForRenegotiation
		SADataSizeForRenegotiationKilobytes SALifeTime SALifeTimeSeconds MMSALifeTime MMSALifeTimeSeconds TunnelType EncryptionMethod IntegrityCheckMethod
		CipherTransformConstants PfsGroup AuthenticationTransformConstants DHGroup`)

	siteKnown = set(`Name Destination AdminStatus ConnectionState IPv4Subnet IPv6Subnet Protocol EncryptionType AuthenticationMethod EapMethod Certificate
		UserName ResponderAuthenticationMethod NumberOfTries RetryInterval RetryIntervalSeconds SADataSizeForRenegotiation SADataSizeForRenegotiationKilobytes
		SALifeTime SALifeTimeSeconds MMSALifeTime MMSALifeTimeSeconds NetworkOutageTime NetworkOutageTimeSeconds IdleDisconnect IdleDisconnectSeconds InternalIPv4 InternalIPv6
		PromoteAlternate LastError UnReachabilityReasons UnreachabilityReasons CustomPolicy AuthenticationTransformConstants DHGroup CipherTransformConstants
		EncryptionMethod IntegrityCheckMethod PfsGroup Persistent RoutingDomain RadiusAttributeClass EnableQoS TxBandwidthKbps RxBandwidthKbps AutoConnectEnabled
		IPv4TriggerFilter IPv6TriggerFilter IPv4TriggerFilterAction IPv6TriggerFilterAction SourceIpAddress PostConnectionIPv4Subnet PostConnectionIPv6Subnet
		SharedSecret GreTunnelKey LocalVpnTrafficSelector RemoteVpnTrafficSelector`)

	authKnown = set(`UserAuthProtocolAccepted TunnelAuthProtocolsAdvertised RootCertificateNameToAccept CertificateAdvertised CertificateEKUsToAccept`)

	radiusKnown = set(`ServerName Purpose Port Score Timeout MsgAuthenticator AccountingOnOffMsg SharedSecret RadiusPort`)
)
