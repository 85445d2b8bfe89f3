# 2026-03-08 19:02:55 by RouterOS 7.15.3
# software id = 2Q8W-LZ71
#
# model = RBD52G-5HacD2HnD
/interface bridge
add admin-mac=DC:2C:6E:00:11:22 auto-mac=no name=bridge
/interface wireguard
add listen-port=13231 mtu=1420 name=wg-phone
/interface list
add name=WAN
add name=LAN
/ip ipsec mode-config
add name=provider responder=no src-address-list=via-provider
/ip ipsec policy group
add name=provider
/ip ipsec profile
add dh-group=ecp384,modp3072 enc-algorithm=aes-256 hash-algorithm=sha384 name=provider
add dh-group=modp2048 enc-algorithm=aes-128 name=parents
/ip ipsec peer
add address=vpn12.example.net exchange-mode=ike2 name=provider profile=provider
add address=198.51.100.90/32 name=parents profile=parents
/ip ipsec proposal
add auth-algorithms=sha256 enc-algorithms=aes-256-cbc name=provider pfs-group=none
add enc-algorithms=aes-128-cbc name=parents pfs-group=modp2048
/ip pool
add name=dhcp ranges=192.168.88.10-192.168.88.254
/ip dhcp-server
add address-pool=dhcp interface=bridge name=defconf
/interface bridge port
add bridge=bridge interface=ether2
/interface list member
add interface=bridge list=LAN
add interface=ether1 list=WAN
/interface wireguard peers
add allowed-address=10.99.0.2/32 comment=phone interface=wg-phone public-key=\
    "Zk1T8mQxYb3vWc7nRp5HsLd0JgEuAo2fUiXyNt9Cr4k="
/ip address
add address=192.168.88.1/24 interface=bridge network=192.168.88.0
add address=10.99.0.1/24 interface=wg-phone network=10.99.0.0
/ip dhcp-client
add interface=ether1
/ip dhcp-server network
add address=192.168.88.0/24 gateway=192.168.88.1
/ip dns
set allow-remote-requests=yes servers=9.9.9.9
/ip firewall address-list
add address=192.168.88.128/25 list=via-provider
/ip firewall filter
add action=accept chain=input connection-state=established,related,untracked
add action=drop chain=input connection-state=invalid
add action=accept chain=input protocol=icmp
add action=accept chain=input dst-port=13231 protocol=udp
add action=accept chain=input src-address=198.51.100.90
add action=drop chain=input in-interface-list=!LAN
add action=accept chain=forward ipsec-policy=in,ipsec
add action=accept chain=forward ipsec-policy=out,ipsec
add action=accept chain=forward connection-state=established,related,untracked
add action=drop chain=forward connection-state=invalid
add action=drop chain=forward connection-nat-state=!dstnat connection-state=new \
    in-interface-list=WAN
/ip firewall nat
add action=accept chain=srcnat dst-address=192.168.77.0/24 src-address=192.168.88.0/24
add action=masquerade chain=srcnat ipsec-policy=out,none out-interface-list=WAN
/ip ipsec identity
add auth-method=eap certificate="" eap-methods=eap-mschapv2 generate-policy=port-strict \
    mode-config=provider peer=provider policy-template-group=provider username=u4711
add comment="shared with parents" peer=parents
/ip ipsec policy
add dst-address=192.168.77.0/24 peer=parents proposal=parents src-address=192.168.88.0/24 \
    tunnel=yes
add dst-address=0.0.0.0/0 group=provider proposal=provider src-address=0.0.0.0/0 \
    template=yes
/system clock
set time-zone-name=Europe/Zurich
/system identity
set name=home
/system logging
add disabled=yes topics=ipsec,!packet
