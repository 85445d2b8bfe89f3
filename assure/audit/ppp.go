package audit

import "sallyport/posture"

// bestPPP is what PPP should be asked for, in each dialect.
var bestPPP = map[posture.Dialect]string{
	posture.PPPD:     "# for L2TP the clients of Android and of RouterOS have no EAP, and Apple's by a profile only: move those to IKEv2 first\nauth\nrequire-eap  # and no other require-*\nca CA-FILE\ncert CERTIFICATE-FILE\nkey KEY-FILE\n# with a line for each user in eaptls-server, and none in chap-secrets and pap-secrets",
	posture.RouterOS: "/interface {name} server set authentication=mschap2\n# of a client: /interface l2tp-client set [find name=\"{name}\"] allow=mschap2\n# better than any method of PPP: IKEv2 with certificates",
	posture.VyOS: "delete vpn {name} remote-access authentication protocols\nset vpn {name} remote-access authentication protocols mschap-v2\n" +
		"# of SSTP: vpn sstp authentication protocols; better than any method of PPP: vpn ipsec remote-access with client-mode eap-tls",
	posture.IOS: "interface {name}\n ppp authentication ms-chap-v2\n! better than any method of PPP: IKEv2 with certificates",
	posture.Windows: "# of a client\nSet-VpnConnection -Name \"{name}\" -AuthenticationMethod Eap -EapConfigXmlStream $tls\n" +
		"# of the server RRAS\nnetsh ras add authtype type=EAP\nnetsh ras delete authtype type=PAP  # and MD5CHAP, MSCHAP, MSCHAPv2",
	posture.PfSense: `VPN > IPsec > Tunnels, the phase 1 of mobile clients: IKEv2, Authentication Method EAP-TLS; then VPN > L2TP: off (against PAP and CHAP alone: Authentication Type MS-CHAPv2)`,
}

// onlyMSCHAPv2 is what every client of pppd has. EAP, which is better, the clients of
// Android and of RouterOS have not, nor those of Apple without a profile (PPP-005).
const onlyMSCHAPv2 = "require-mschap-v2\n# better, where all clients have EAP with certificates: require-eap instead"

// oneMethod is the least to write to be rid of a worse method.
func oneMethod(dialects ...posture.Dialect) map[posture.Dialect]string {
	lines := map[posture.Dialect]string{}
	for _, d := range dialects {
		lines[d] = bestPPP[d]
		if d == posture.PPPD {
			lines[d] = onlyMSCHAPv2 + "\n# and no other require-* nor its short form (+pap, +chap, +mschap)"
		}
	}
	return lines
}

var pppRules = []Rule{
	{
		ID: "PPP-001", Title: "PPP asks peers to prove who they are", Severity: Critical, Risk: "R2", Checks: []string{"C2"},
		Why:  "Whoever reaches the listener is in, without name or password.",
		Refs: []string{"RFC 1661, Section 6.2"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.PPPD:    "auth  # and no noauth\n" + onlyMSCHAPv2,
			posture.Xl2tpd:  "[{name}]\nrequire authentication = yes\n; and in the file of pppoptfile: require-eap (until clients can, require-mschap-v2)",
			posture.IOS:     "interface {name}\n ppp authentication ms-chap-v2\n! better than any method of PPP: IKEv2 with certificates",
			posture.Windows: "netsh ras set authmode mode=STANDARD",
		}, judge: pppAsks,
	},
	{
		ID: "PPP-002", Title: "PAP is not taken", Severity: High, Risk: "R2", Checks: []string{"C2"},
		Why:  "PAP sends the password itself: to whoever reads the line, and to whoever answers in the server's place.",
		Refs: []string{"RFC 1334, Section 2", "RFC 3193, Section 5"}, Needs: Config,
		Fix: oneMethod(posture.PPPD, posture.RouterOS, posture.VyOS, posture.IOS, posture.Windows, posture.PfSense), judge: pppPAP,
	},
	{
		ID: "PPP-003", Title: "CHAP with MD5 is not taken", Severity: Medium, Risk: "R2", Checks: []string{"C2"},
		Why:  "One recorded answer is enough to guess the password offline by MD5, and the server must keep every password in clear.",
		Refs: []string{"RFC 1994, Section 2.2", "RFC 6151, Section 2"}, Needs: Config,
		Fix: oneMethod(posture.PPPD, posture.RouterOS, posture.VyOS, posture.IOS, posture.Windows, posture.PfSense), judge: pppCHAP,
	},
	{
		ID: "PPP-004", Title: "MS-CHAP version 1 is not taken", Severity: High, Risk: "R2", Checks: []string{"C2"},
		Why:  "It hands out the LAN Manager answer, which falls in seconds, and proves nothing of the server.",
		Refs: []string{"RFC 2433, Section 11"}, Needs: Config,
		Fix: oneMethod(posture.PPPD, posture.RouterOS, posture.VyOS, posture.IOS), judge: pppMSCHAPv1,
	},
	{
		ID: "PPP-005", Title: "Users prove themselves by more than MS-CHAPv2", Severity: Medium, Risk: "R2", Checks: []string{"C2"},
		Why:  "An answer of MS-CHAPv2 yields the NT hash, which is as good as the password, to one search of 56 bits. Whoever answers in the gateway's place gets such an answer.",
		Refs: []string{"RFC 2759, Section 8.5", "RFC 5216, Section 2.1.1"}, Needs: Config,
		Fix: merge(bestPPP, map[posture.Dialect]string{
			posture.Swanctl:   "# in connections.{conn}.remote\nauth = eap-tls",
			posture.Starter:   conn("rightauth=eap-tls"),
			posture.RouterOS:  "/ip ipsec peer add name=clients passive=yes exchange-mode=ike2\n/ip ipsec identity add peer=clients auth-method=digital-signature certificate=OURS generate-policy=port-strict mode-config=MODE-CONFIG\n# when the clients have moved\n/interface {name} server set enabled=no",
			posture.IOS:       "interface {name}\n ppp authentication eap\n! EAP-TLS on the RADIUS server; better: IKEv2 with certificates",
			posture.VyOS:      "set vpn ipsec remote-access connection {name} authentication client-mode eap-tls\n# L2TP and SSTP have nothing better: move their clients to such a connection",
			posture.OPNsense:  `VPN > IPsec > Connections "{name}", remote authentication: EAP-TLS`,
			posture.Sallyport: "zones:\n  {name}:\n    auth: [eap-tls, peap]\n    waivers: []  # without that of PPP-005",
		}), judge: pppMSCHAPv2,
	},
	{
		ID: "PPP-006", Title: "The answering side requires, and does not only refuse", Severity: High, Risk: "R2", Checks: []string{"C2"},
		Why:  "refuse-pap and its like say what this side will not prove itself by. Of the peer they ask nothing: what looks closed is open.",
		Refs: []string{"RFC 1661, Section 6.2"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.PPPD: "auth\n" + onlyMSCHAPv2,
		}, judge: pppRefuses,
	},
	{
		ID: "PPP-007", Title: "PPP takes one method", Severity: Medium, Risk: "R6", Checks: []string{"C2"},
		Why:  "Of several methods the peer, or who sits between, picks the worst by refusing the others.",
		Refs: []string{"RFC 1661, Section 6.2"}, Needs: Config,
		Fix: oneMethod(posture.PPPD, posture.RouterOS, posture.VyOS, posture.IOS, posture.Windows), judge: pppSeveral,
	},
	{
		ID: "PPP-008", Title: "EAP's default is not a weak method", Severity: Medium, Risk: "R2", Checks: []string{"C2"},
		Why:  "EAP-MD5 and LEAP fall to offline guessing and prove nothing of the server; GTC hands the password over.",
		Refs: []string{"RFC 3748, Section 5.4", "RFC 3748, Section 7.2.1"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.FreeRADIUS: "# in mods-enabled/eap, without the sections md5, leap and gtc\neap {\n\tdefault_eap_type = tls\n\tttls {\n\t\tdefault_eap_type = mschapv2\n\t}\n}",
			posture.Swanctl:    "# in connections.NAME.remote, where it is {name}\nauth = eap-tls\n# or, with eap-ttls, in strongswan.conf, section charon.plugins.eap-ttls\nphase2_method = mschapv2\n# or, with eap-dynamic, in section charon.plugins.eap-dynamic, and with load = no for eap-md5 and eap-gtc\npreferred = tls",
			posture.Starter:    "conn NAME  # where it is {name}\n    rightauth=eap-tls\n# or, with eap-ttls, in strongswan.conf, section charon.plugins.eap-ttls\nphase2_method = mschapv2\n# or, with eap-dynamic, in section charon.plugins.eap-dynamic, and with load = no for eap-md5 and eap-gtc\npreferred = tls",
		}, judge: pppWeakEAP,
	},
	{
		ID: "PPP-009", Title: "TLS of EAP has a key of its own, and clients check the server's name", Severity: High, Risk: "R2", Checks: []string{"C2"},
		Why:  "A client that takes any certificate, or one whose key everybody has, gives its password or session to whoever stands between.",
		Refs: []string{"RFC 5216, Section 5.2", "RFC 9190, Section 2.2"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.FreeRADIUS: "# in mods-enabled/eap, without private_key_password or with a new one\ntls-config tls-common {\n\tprivate_key_file = KEY-FILE\n\tcertificate_file = CERTIFICATE-FILE\n\tca_file = OWN-CA-FILE\n}",
			posture.PPPD:       "ca CA-FILE\ntls-verify-method name\nremotename SERVER-NAME",
			posture.Swanctl:    "# in connections.{conn}.remote\nid = SERVER-NAME  # that its certificate has, too\ncacerts = CA-FILE",
			posture.Starter:    conn("rightid=SERVER-NAME  # that its certificate has, too\n    rightca=\"DN-OF-ITS-AUTHORITY\""),
			posture.Windows:    "# in the EAP XML of {name}\n<ServerValidation>\n  <DisableUserPromptForServerValidation>true</DisableUserPromptForServerValidation>\n  <ServerNames>SERVER</ServerNames>\n  <TrustedRootCA>THUMBPRINT</TrustedRootCA>\n</ServerValidation>",
		}, judge: pppServerUnchecked,
	},
	{
		ID: "PPP-010", Title: "PPP is encrypted with 128 bits where IPsec is not forced", Severity: Medium, Risk: "R2", Checks: []string{"C3"},
		Why:  "Without IPsec around it MPPE is all there is, and with 40 bits or none the traffic is readable. MPPE's RC4 is no answer either: force IPsec.",
		Refs: []string{"RFC 3078, Section 2", "RFC 7465, Section 1"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.PPPD:     "# inside IPsec clients of L2TP have no MPPE, and to ask for it locks them out: force IPsec in the packet filter\niptables -I INPUT 1 -p udp --dport 1701 -m policy --dir in --pol none -j DROP",
			posture.RouterOS: "/interface l2tp-server server set use-ipsec=required\n# PPTP cannot be inside IPsec: /interface pptp-server server set enabled=no\n# of a client: /interface l2tp-client set [find name=\"{name}\"] use-ipsec=yes ipsec-secret=SECRET",
			posture.VyOS:     vyosFilter1701 + "\n# where IPsec is out of the question: set vpn l2tp remote-access ppp-options mppe require",
			posture.Windows:  "Set-VpnConnection -Name \"{name}\" -TunnelType Ikev2\n# where it must be PPP: -EncryptionLevel Maximum",
		}, judge: pppMPPE,
	},
	{
		ID: "PPP-011", Title: "TLS of EAP is 1.2 or newer", Severity: Medium, Risk: "R3", Checks: []string{"C3"},
		Why:  "TLS 1.0 and 1.1 rest on MD5 and SHA-1 and on CBC as it was attacked.",
		Refs: []string{"RFC 8996, Section 4", "RFC 9190, Section 2.1"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.FreeRADIUS: `tls_min_version = "1.2"  # in tls-config tls-common`,
			posture.Swanctl:    charon("tls {\n    version_min = 1.2\n}"),
			posture.Starter:    charon("tls {\n    version_min = 1.2\n}"),
			posture.PPPD:       `max-tls-version 1.3`,
		}, judge: pppTLS,
	},
	{
		ID: "PPP-012", Title: "RADIUS answers need a Message-Authenticator", Severity: High, Risk: "R2", Checks: []string{"C2", "C5"},
		Why:  "Without it, who sits between gateway and RADIUS server turns a No into a Yes by a collision of MD5, and comes in as anybody.",
		Refs: []string{"CVE-2024-3596", "RFC 3579, Section 3.2", "RFC 6614, Section 2"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.FreeRADIUS: "# in client {name}; limit_proxy_state from FreeRADIUS 3.2.5 on; better: RadSec\nrequire_message_authenticator = yes\nlimit_proxy_state = yes",
			posture.RouterOS:   "# RouterOS 7.15 and newer\n/radius set [find address=\"{name}\"] require-message-auth=yes-for-request-resp",
			posture.FortiOS:    "# FortiOS 7.2.10, 7.4.5, 7.6.1 and newer\n" + inTable("user radius", "set require-message-authenticator enable"),
		}, judge: pppMessageAuth,
	},
	{
		ID: "PPP-013", Title: "Every account has a name, a secret, a server and an address", Severity: High, Risk: "R2", Checks: []string{"C2"},
		Why:  "A star for the client or an empty secret lets anybody in; a star for server and address lets an account be used for every service, from every place.",
		Refs: []string{"RFC 1661, Section 6.2"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.PPPD:       "# instead of the line of {name}\n\"USER\" \"SERVER\" \"SECRET\" ADDRESS",
			posture.FreeRADIUS: "# instead of the line of {name} with Auth-Type := Accept\nUSER Crypt-Password := \"<output of openssl passwd -6>\"  # not for MS-CHAP, which needs 16 random characters in clear; better: certificates",
		}, judge: pppWildcards,
	},
	{
		ID: "PPP-014", Title: "Users' passwords withstand guessing, and so do their hashes", Severity: High, Risk: "R2", Checks: []string{"C2"},
		Why:  "One recorded login of CHAP or MS-CHAPv2, or one look at an old hash, lets a weak password be guessed at leisure.",
		Refs: []string{"RFC 2759, Section 10", "RFC 1994, Section 2.3"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.PPPD:       `"{name}" "<server's name>" "<16 random characters>" <address>  # better: certificates and EAP-TLS`,
			posture.Libreswan:  "# in ipsec.d/passwd, instead of the line of {name}\nUSER:<output of \"openssl passwd -6\">:<connection>",
			posture.FreeRADIUS: "{name} Crypt-Password := \"<output of openssl passwd -6>\"  # not for MS-CHAP, which needs 16 random characters in clear; better: certificates",
			posture.Swanctl:    "# in secrets.{name}; where it is a hash (ntlm), in a new section eap-USER with the same id\nsecret = \"<16 random characters>\"",
			posture.Starter:    "# in ipsec.secrets, instead of the line of {name}\nUSER : EAP \"<16 random characters>\"",
			posture.RouterOS:   "/ppp secret set [find name=\"{name}\"] password=\"RANDOM\"\n# RANDOM: 16 random characters",
			posture.VyOS:       "set {setting} '<16 random characters>'",
			posture.IOS:        "username {name} password RANDOM\n! RANDOM: 16 random characters; CHAP and MS-CHAP need them readable, others not:\n! username {name} algorithm-type scrypt secret RANDOM",
			posture.FortiOS:    inTable("user local", "set passwd SIXTEEN-RANDOM-CHARACTERS"),
			posture.Linux:      fromStore[posture.Linux],
			posture.PfSense:    `VPN > IPsec > Pre-Shared Keys (Secret type EAP) or VPN > L2TP > Users > {name}: 16 random characters`,
			posture.OPNsense:   `VPN > IPsec > Pre-Shared Keys (EAP), "{name}": 16 random characters`,
		}, judge: pppPasswords,
	},
	{
		ID: "PPP-015", Title: "L2TP itself is authenticated where IPsec is not forced", Severity: Low, Risk: "R2", Checks: []string{"C5"},
		Why:  "Without a challenge anybody opens tunnels to the listener and takes its sessions; the challenge is no encryption, so force IPsec.",
		Refs: []string{"RFC 2661, Section 5.1.1", "RFC 2661, Section 9.1", "RFC 3193, Section 2"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Xl2tpd:  "[{name}]\nchallenge = yes\nhidden bit = yes\n; with a secret in l2tp-secrets; better: a packet filter that takes UDP 1701 from IPsec alone",
			posture.VyOS:    vyosFilter1701,
			posture.PfSense: `Firewall > Rules > WAN: no rule that passes UDP 1701; Firewall > Rules > IPsec: one that does`,
			posture.IOS:     "vpdn-group {name}\n l2tp tunnel authentication\n l2tp tunnel password RANDOM\n l2tp hidden\n! better, from anybody in IPsec alone: l2tp security crypto-profile PROFILE",
		}, judge: pppTunnel,
	},
	{
		ID: "PPP-016", Title: "PPTP, and SSTP with old methods, are off", Severity: High, Risk: "R2", Checks: []string{"C2", "C5"},
		Why:  "PPTP's encryption hangs on MS-CHAPv2 and RC4: a recording is opened later. Beside a good VPN it is the door that is tried.",
		Refs: []string{"RFC 3079, Section 5.1", "RFC 7465, Section 1"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.PPPD:     "# in the place of {name}: IKEv2, or L2TP inside IPsec, by strongSwan or Libreswan; then\nrm /etc/ppp/{name}",
			posture.Linux:    `systemctl disable --now pptpd  # or, in accel-ppp.conf: no pptp and no sstp in [modules]`,
			posture.PfSense:  `VPN > PPTP: Off; and update, for 2.3 and newer have none`,
			posture.RouterOS: "/interface pptp-server server set enabled=no\n/interface sstp-server server set authentication=mschap2 tls-version=only-1.2",
			posture.Windows:  "Set-VpnConnection -Name \"{name}\" -TunnelType Ikev2\n# of the server RRAS: Routing and Remote Access > Ports > WAN Miniport (PPTP): no remote access connections",
			posture.VyOS:     "delete vpn {name}\n# SSTP may stay with mschap-v2 as the only one of vpn sstp authentication protocols",
			posture.IOS:      "vpdn-group {name}\n accept-dialin\n  no protocol pptp\n  protocol l2tp\n! of a group with request-dialin: no vpdn-group {name}",
			posture.FortiOS:  "config vpn pptp\n    set status disable\nend",
		}, judge: pppOldServices,
	},
	{
		ID: "PPP-017", Title: "EAP over TLS 1.2 has the extended master secret", Severity: Medium, Risk: "R6", Checks: []string{"C3"},
		Why:  "Without it the keys of a TLS 1.2 handshake are not bound to its certificates: who sits between two handshakes can make both have the same keys and speak as the other (triple handshake).",
		Refs: []string{"RFC 7627, Section 1", "RFC 9190, Section 2.1"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Sallyport: "zones:\n  {name}:\n    waivers: []  # without that of PPP-017, after the clients' TLS is up to date",
		}, judge: pppUnbound,
	},
}
