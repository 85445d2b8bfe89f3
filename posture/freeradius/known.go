package freeradius

import "strings"

// What is known and has no bearing here makes no note. The lists are those of
// the distribution's files of 3.0 and 3.2, comments included.
var (
	topKeys = words(`prefix exec_prefix sysconfdir localstatedir sbindir logdir raddbdir radacctdir name confdir modconfdir certdir cadir run_dir db_dir libdir
pidfile correct_escapes panic_action max_request_time cleanup_delay max_requests hostname_lookups unlang checkrad proxy_requests postauth_client_lost
regular_expressions extended_expressions debug_level log_destination log_file user group allow_core_dumps reverse_lookups resources bind_address port
snmp delete_blocked_requests max_fds talloc_pool_size client_port delay_proxy_rejects heartbeat snmptrap`)

	topSections = words(`log ENV security thread modules instantiate policy proxy home_server home_server_pool realm client clients server listen templates
trigger snmp unlang dictionary performance migrate main config radius radiusd stats`)

	logKeys = words(`destination colourise file syslog_facility stripped_names auth auth_accept auth_reject auth_badpass auth_goodpass msg_goodpass
msg_badpass msg_denied suppress_secrets timestamp use_utc localtime requests`)

	securityKeys = words(`chroot user group allow_core_dumps max_attributes reject_delay status_server require_message_authenticator limit_proxy_state
allow_vulnerable_openssl openssl_fips_mode`)

	clientKeys = words(`ipaddr ipv4addr ipv6addr netmask src_ipaddr proto secret shortname nas_type nastype require_message_authenticator
limit_proxy_state login password virtual_server response_window coa_server dynamic_clients lifetime rate_limit directory nas_type
add_cui track_connections community require_ma max_connections idle_timeout response_timeouts host server description
protocol_error psk_identity psk_hexphrase`)

	homeKeys = words(`type ipaddr ipv4addr ipv6addr virtual_server port proto secret src_ipaddr response_window response_timeouts zombie_period revive_interval
status_check check_interval check_timeout num_answers_to_alive num_pings_to_alive ping_check ping_interval ping_timeout max_outstanding username password
require_message_authenticator no_response_fail hostname limit_proxy_state nonblock affinity`)

	eapKeys = words(`default_eap_type timer_expire ignore_unknown_eap_types cisco_accounting_username_bug max_sessions dedup_key
mod_accounting_username_bug max_eap_type`)

	tlsKeys = words(`rsa_key_exchange dh_key_exchange rsa_key_length dh_key_length verify_depth ca_path ca_path_reload_interval pem_file_type private_key_file
certificate_file ca_file CA_file CA_path private_key_password psk_identity psk_hexphrase psk_query dh_file random_file fragment_size include_length auto_chain
disable_single_dh_use check_crl check_all_crl allow_expired_crl check_cert_cn cipher_list cipher_server_preference check_cert_issuer
reject_unknown_intermediate_ca require_client_cert sigalgs_list ecdh_curve disable_tlsv1 disable_tlsv1_1 disable_tlsv1_2 tls_min_version tls_max_version
realm_dir fix_cert_order connect_timeout tls13_enable_magic make_cert_command virtual_server configurable_client_cert tls use_tls allow_renegotiation
keylog_file check_client_connections proxy_protocol hostname certdir cadir`)

	mschapKeys = words(`use_mppe require_encryption require_strong with_ntdomain_hack ntlm_auth ntlm_auth_timeout winbind_username winbind_domain
winbind_retry_with_normalised_username allow_retry retry_msg use_open_directory normalise auth_type passwd read_timeout`)

	// Modules by their type: a section's first word.
	modules = words(`abfab_psk_sql acct_unique always attr_filter attr_rewrite cache cache_auth chap checkval couchbase counter csv cui date detail dhcp digest
dpsk dynamic_clients eap echo etc_group exec expiration expr files idn ippool json kafka krb5 ldap linelog logintime mac2ip mac2vlan mschap ntlm_auth
opendirectory otp pam pap passwd perl policy preprocess proxy_rate_limit python python3 radutmp realm redis rediswho redis_ippool replicate rest ruby
sigtran smbpasswd smsotp soh sometimes sql sql_map sqlcounter sqlippool sradutmp suffix totp unbound unix unpack utf8 wimax yubikey test unlang`)

	eapMethods = words(`md5 leap gtc tls ttls peap mschapv2 pwd fast sim aka aka-prime ikev2 teap tnc otp psk fast`)

	// What may be in an eap section besides methods.
	eapSections = words(`tls-config`)
)

func words(list string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}
