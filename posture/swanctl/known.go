package swanctl

import "strings"

// words makes a set.
func words(list string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(list) {
		set[word] = true
	}
	return set
}

// What may stand in swanctl.conf (swanctl.conf(5)), also where it has no bearing
// on security. Names that a suffix may follow end in *.
var (
	topKnown  = words("connections secrets pools authorities")
	connKnown = words("version local_addrs remote_addrs local_port remote_port proposals vips aggressive pull dscp encap mobike dpd_delay dpd_timeout " +
		"fragmentation childless send_certreq send_cert ocsp ppk_id ppk_required keyingtries unique reauth_time rekey_time over_time rand_time pools " +
		"if_id_in if_id_out mediation mediated_by mediation_peer local* remote* children")
	authKnown = words("round certs cert* pubkeys auth id eap_id aaa_id xauth_id groups cert_policy cacerts cacert* ca_id revocation")
	certKnown = words("file handle slot module")
	// per_cpu_sas is from 6.0.
	childKnown = words("ah_proposals esp_proposals sha256_96 local_ts remote_ts rekey_time life_time rand_time rekey_bytes life_bytes rand_bytes " +
		"rekey_packets life_packets rand_packets updown hostaccess mode policies policies_fwd_out dpd_action ipcomp inactivity reqid priority interface " +
		"mark_in mark_in_sa mark_out set_mark_in set_mark_out if_id_in if_id_out label label_mode tfc_padding replay_window hw_offload " +
		"copy_df copy_ecn copy_dscp start_action close_action per_cpu_sas")
	secretKnown    = words("secret id* file handle slot module pin")
	poolKnown      = words("addrs dns nbns dhcp netmask server subnet split_include split_exclude")
	authorityKnown = words("cacert file handle slot module crl_uris ocsp_uris cert_uri_base")
)

// What may stand in strongswan.conf (strongswan.conf(5)): the sections of the
// programs, of which only those of the daemon are read, and its settings.
var (
	programs = words("charon charon-systemd charon-svc charon-nm charon-cmd charon-tkm charon-xpc starter swanctl pki pool scepclient scepd aikgen aikpub2 " +
		"aikgen2 attest manager medsrv medcli openac pacman sec-updater sw-collector imv_policy_manager conftest libimcv libtls libtnccs libtncif " +
		"libtpmtss libstrongswan libhydra libcharon libipsec pt-tls-client tpm_extendpcr vici charon-stroke ipsec stroke pluto")
	daemonKnown = words("accept_private_algs accept_unencrypted_mainmode_messages block_threshold cache_crls cert_cache check_current_path cisco_flexvpn " +
		"cisco_unity close_ike_on_child_failure cookie_threshold cookie_threshold_ip crypto_test delete_rekeyed delete_rekeyed_delay dh_exponent_ansi_x9_42 " +
		"dlopen_use_rtld_now dns1 dns2 dos_protection filelog flush_auth_cfg follow_redirects force_eap_only_authentication fragment_size group " +
		"half_open_timeout hash_and_url host_resolver i_dont_care_about_security_and_use_aggressive_mode_psk ignore_acquire_ts ignore_routing_tables " +
		"ikesa_limit ikesa_table_segments ikesa_table_size imcv inactivity_close_ike init_limit_half_open init_limit_job_load initiator_only install_routes " +
		"install_virtual_ip install_virtual_ip_on integrity_test interfaces_ignore interfaces_use iptfs keep_alive keep_alive_dpd_margin leak_detective load " +
		"load_modular make_before_break max_ikev1_exchanges max_packet multiple_authentication nbns1 nbns2 ocsp_nonce_len plugins port port_nat_t " +
		"prefer_best_path prefer_configured_proposals prefer_temporary_addrs process_route processor rdn_matching receive_delay receive_delay_request " +
		"receive_delay_response receive_delay_type reject_trusted_end_entity replay_window retransmit_base retransmit_jitter retransmit_limit " +
		"retransmit_timeout retransmit_tries retry_initiate_interval reuse_ikesa routing_table routing_table_prio rsa_pss rsa_pss_trailerfield send_delay " +
		"send_delay_request send_delay_response send_delay_type send_vendor_id signature_authentication signature_authentication_constraints spi_label " +
		"spi_mask spi_max spi_min start-scripts stop-scripts syslog threads tls tnc user x509 journal custom_log customlog")
	serverKnown = words("address secret auth_port acct_port port nas_identifier preference sockets retransmit_base retransmit_timeout retransmit_tries")
	tlsKnown    = words("cipher key_exchange ke_group mac signature send_certreq_authorities suites version_min version_max")
	loggerKnown = words("path append flush_line ike_name json log_level map_level time_add_ms time_format time_precision default identifier " + groups)
)

// groups are the parts of the daemon that log by themselves.
const groups = "dmn mgr ike chd job cfg knl net asn enc lib esp tls tnc imc imv pts app"

// plain are plugins without settings of their own besides load.
var plain = words("acert aes aesni af-alg agent android-dns android-log blowfish ccm chapoly cmac connmark constraints counters ctr curve25519 des " +
	"dnskey dumm eap-identity eap-md5 eap-mschapv2 eap-sim-file eap-sim-pcsc eap-simaka-pseudonym eap-simaka-reauth farp fips-prf gcm " +
	"gmp hmac kdf kernel-iph kernel-wfp keychain ldap maemo md4 md5 medcli medsrv mgf1 ml mysql newhope nonce ocsp openxpki padlock pem " +
	"pgp pkcs1 pkcs12 pkcs7 pkcs8 pubkey rc2 rdrand selinux sha1 sha2 sha3 smp socket-dynamic socket-win soup sqlite sshkey " +
	"test-vectors tnc-tnccs tnccs-dynamic uci unity winhttp x509 xauth-generic xauth-noauth xcbc ")

// pluginKnown are the settings of plugins. Any may have load.
var pluginKnown = map[string]string{
	"addrblock":       "depth strict",
	"attr-sql":        "crash_recovery database lease_history",
	"bliss":           "use_bliss_b",
	"botan":           "internal_rng_only",
	"bypass-lan":      "interfaces_ignore interfaces_use",
	"certexpire":      "csv",
	"coupling":        "file hash max",
	"curl":            "redir",
	"dhcp":            "force_server_address identity_lease interface server use_server_port",
	"dnscert":         "enable",
	"drbg":            "max_drbg_requests",
	"duplicheck":      "enable socket",
	"eap-aka":         "request_identity",
	"eap-aka-3gpp":    "seq_check",
	"eap-aka-3gpp2":   "seq_check",
	"eap-dynamic":     "prefer_user preferred",
	"eap-gtc":         "backend",
	"eap-peap":        "fragment_size include_length max_message_count phase2_method phase2_piggyback phase2_tnc request_peer_auth",
	"eap-radius":      "accounting accounting_close_on_timeout accounting_interval accounting_requires_vip accounting_send_class class_group close_all_on_timeout dae eap_start filter_id forward id_prefix nas_identifier port retransmit_base retransmit_timeout retransmit_tries secret server servers sockets station_id_with_port xauth",
	"eap-sim":         "request_identity",
	"eap-simaka-sql":  "database remove_used",
	"eap-tls":         "fragment_size include_length max_message_count",
	"eap-tnc":         "max_message_count protocol",
	"eap-ttls":        "fragment_size include_length max_message_count phase2_method phase2_piggyback phase2_tnc phase2_tnc_method request_peer_auth",
	"error-notify":    "socket",
	"ext-auth":        "script",
	"forecast":        "groups interface reinject",
	"gcrypt":          "quick_random",
	"ha":              "autobalance buflen fifo_interface heartbeat_delay heartbeat_timeout local monitor pools remote resync secret segment_count",
	"ipseckey":        "enable",
	"kernel-libipsec": "allow_peer_ts",
	"kernel-netlink":  "buflen force_receive_buffer_size fwmark hw_offload_feature_interface ignore_retransmit_errors mss mtu parallel_route parallel_xfrm policy_update port_bypass process_rules receive_buffer_size retries roam_events set_proto_port_transport_sa spdh_thresh timeout xfrm_acq_expires",
	"kernel-pfkey":    "events_buffer_size route_via_internal",
	"kernel-pfroute":  "mtu vip_wait",
	"led":             "activity_led blink_time",
	"load-tester":     "addrs addrs_keep addrs_prefix ca_dir child_rekey crl delay delete_after_established digest dpd_delay dynamic_port eap_password enable esp fake_kernel ike_rekey init_limit initiator initiator_auth initiator_id initiator_match initiator_tsi initiator_tsr initiators issuer_cert issuer_key iterations mode pool preshared_key proposal request_virtual_ip responder responder_auth responder_id responder_tsi responder_tsr shutdown_when_complete socket version",
	"lookip":          "socket",
	"ntru":            "parameter_set",
	"openssl":         "engine_id fips_mode load_legacy",
	"osx-attr":        "append",
	"p-cscf":          "enable",
	"pkcs11":          "modules reload_certs use_dh use_ecc use_hasher use_pubkey use_rng",
	"radattr":         "dir message_id",
	"random":          "random strong_equals_true urandom",
	"resolve":         "file resolvconf",
	"revocation":      "enable_crl enable_ocsp timeout",
	"save-keys":       "esp ike load wireshark_keys",
	"socket-default":  "fwmark set_source set_sourceif use_ipv4 use_ipv6",
	"sql":             "database loglevel",
	"stroke":          "allow_swap ignore_missing_ca_basic_constraint max_concurrent prevent_loglevel_changes secrets_file socket timeout",
	"systime-fix":     "interval reauth threshold threshold_format timeout",
	"tnc-ifmap":       "client_cert client_key device_name renew_session_interval server_cert server_uri username_password",
	"tnc-imc":         "dlclose preferred_language",
	"tnc-imv":         "dlclose recommendation_policy",
	"tnc-pdp":         "pt_tls radius server timeout",
	"tnccs-11":        "max_message_size",
	"tnccs-20":        "max_batch_size max_message_size mutual tests",
	"tpm":             "ek_handle fips_186_4 tcti use_rng",
	"unbound":         "dlv_anchors resolv_conf trust_anchors",
	"updown":          "dns_handler",
	"vici":            "socket",
	"whitelist":       "enable socket",
	"wolfssl":         "fips_mode",
	"xauth-eap":       "backend",
	"xauth-pam":       "pam_service session trim_email",
}

// allows tells whether a set has a word, or its beginning with a *.
func allows(set map[string]bool, word string) bool {
	if set[word] {
		return true
	}
	for known := range set {
		if prefix, ok := strings.CutSuffix(known, "*"); ok && strings.HasPrefix(word, prefix) {
			return true
		}
	}
	return false
}
