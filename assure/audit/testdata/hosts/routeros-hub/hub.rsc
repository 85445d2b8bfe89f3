# 2026-10-02 06:30:11 by RouterOS 7.20.4
# software id = LK2M-9ZZT
#
# model = CCR2116-12G-4S+
/interface bridge
add name=lan
/interface list
add name=WAN
add name=LAN
/ip ipsec mode-config
add address-pool=staff name=staff split-include=10.10.0.0/16 static-dns=10.10.0.53 \
    system-dns=no
/ip ipsec policy group
add name=staff
/ip ipsec profile
set [ find default=yes ] dh-group=ecp384 enc-algorithm=aes-256 hash-algorithm=sha384 \
    proposal-check=strict
add dh-group=ecp384 dpd-interval=30s enc-algorithm=aes-256 hash-algorithm=sha384 \
    lifetime=8h name=sites proposal-check=strict
add dh-group=ecp384,ecp256 dpd-interval=30s enc-algorithm=aes-256 hash-algorithm=\
    sha256 lifetime=8h name=staff proposal-check=strict
/ip ipsec peer
add address=198.51.100.20/32 exchange-mode=ike2 local-address=192.0.2.2 name=geneva \
    profile=sites
add address=203.0.113.77/32 exchange-mode=ike2 local-address=192.0.2.2 name=lugano \
    profile=sites
add exchange-mode=ike2 local-address=192.0.2.2 name=staff passive=yes profile=staff
/ip ipsec proposal
set [ find default=yes ] auth-algorithms=sha256 enc-algorithms=aes-256-cbc pfs-group=\
    ecp384
add auth-algorithms="" enc-algorithms=aes-256-gcm lifetime=1h name=sites pfs-group=\
    ecp384
add auth-algorithms=sha256 enc-algorithms=aes-256-gcm,aes-256-cbc lifetime=1h name=\
    staff pfs-group=ecp384
/ip pool
add name=staff ranges=10.40.0.10-10.40.3.250
/system logging action
add check-certificate=yes name=siem remote=10.10.0.80 remote-port=6514 \
    remote-protocol=tls target=remote
/interface list member
add interface=lan list=LAN
add interface=sfp-sfpplus1 list=WAN
/ip address
add address=192.0.2.2/29 interface=sfp-sfpplus1 network=192.0.2.0
add address=10.10.0.1/16 interface=lan network=10.10.0.0
/ip dns
set servers=10.10.0.53
/ip firewall address-list
add address=10.40.0.0/22 list=staff
/ip firewall filter
add action=accept chain=input connection-state=established,related,untracked
add action=drop chain=input connection-state=invalid
add action=accept chain=input protocol=icmp
add action=accept chain=input dst-port=500,4500 protocol=udp
add action=accept chain=input protocol=ipsec-esp
add action=accept chain=input ipsec-policy=in,ipsec src-address=10.0.0.0/8
add action=drop chain=input in-interface-list=!LAN
add action=drop chain=forward dst-address-list=staff src-address-list=staff
add action=drop chain=forward dst-address=10.0.0.0/8 ipsec-policy=out,none \
    out-interface-list=WAN
add action=accept chain=forward ipsec-policy=in,ipsec
add action=accept chain=forward ipsec-policy=out,ipsec
add action=accept chain=forward connection-state=established,related,untracked
add action=drop chain=forward connection-state=invalid
add action=drop chain=forward connection-nat-state=!dstnat connection-state=new \
    in-interface-list=WAN
/ip firewall mangle
add action=change-mss chain=forward ipsec-policy=in,ipsec new-mss=1360 protocol=tcp \
    tcp-flags=syn tcp-mss=!0-1360
add action=change-mss chain=forward ipsec-policy=out,ipsec new-mss=1360 protocol=tcp \
    tcp-flags=syn tcp-mss=!0-1360
/ip firewall nat
add action=masquerade chain=srcnat ipsec-policy=out,none out-interface-list=WAN
/ip ipsec identity
add auth-method=digital-signature certificate=hub.example.org peer=geneva \
    remote-certificate=geneva.example.org
add auth-method=digital-signature certificate=hub.example.org peer=lugano \
    remote-certificate=lugano.example.org
add auth-method=eap-radius certificate=hub.example.org,issuing-ca generate-policy=\
    port-strict mode-config=staff peer=staff policy-template-group=staff
/ip ipsec policy
set 0 disabled=yes
add dst-address=10.20.0.0/16 peer=geneva proposal=sites src-address=10.10.0.0/16 tunnel=\
    yes
add dst-address=10.21.0.0/16 peer=lugano proposal=sites src-address=10.10.0.0/16 tunnel=\
    yes
add dst-address=10.40.0.0/22 group=staff proposal=staff src-address=10.10.0.0/16 \
    template=yes
/ip service
set telnet disabled=yes
set ftp disabled=yes
set api disabled=yes
/certificate settings
set crl-download=yes crl-use=yes
/radius
add address=10.10.0.81 comment="NPS" require-message-auth=yes-for-request-resp service=\
    ipsec timeout=2s
/radius incoming
set accept=yes
/system clock
set time-zone-autodetect=no time-zone-name=Etc/UTC
/system identity
set name=hub
/system logging
add action=siem topics=info
add action=siem topics=warning
/system ntp client
set enabled=yes
/system ntp client servers
add address=10.10.0.123
