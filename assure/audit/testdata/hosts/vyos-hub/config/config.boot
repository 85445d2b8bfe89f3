firewall {
    global-options {
        all-ping enable
    }
    ipv4 {
        forward {
            filter {
                default-action drop
                rule 10 {
                    action accept
                    state established
                    state related
                }
                rule 20 {
                    action accept
                    inbound-interface {
                        name eth1
                    }
                }
                rule 30 {
                    action accept
                    ipsec {
                        match-ipsec-in
                    }
                }
            }
        }
        input {
            filter {
                default-action drop
                rule 10 {
                    action accept
                    state established
                    state related
                }
                rule 20 {
                    action accept
                    inbound-interface {
                        name eth1
                    }
                }
                rule 30 {
                    action accept
                    destination {
                        port "500,4500"
                    }
                    protocol udp
                }
                rule 40 {
                    action accept
                    protocol esp
                }
                rule 50 {
                    action accept
                    protocol icmp
                }
            }
        }
    }
}
interfaces {
    ethernet eth0 {
        address 192.0.2.1/24
        description WAN
    }
    ethernet eth1 {
        address 10.10.0.1/24
        description LAN
        ip {
            adjust-mss clamp-mss-to-pmtu
        }
    }
    loopback lo {
    }
    vti vti10 {
        address 10.254.10.1/30
        ip {
            adjust-mss 1350
        }
    }
    wireguard wg01 {
        address 10.40.0.1/24
        peer admin {
            allowed-ips 10.40.0.2/32
            preshared-key "aYDcpAq8mCXg/TpdR/9bQRcnJwuiy3lVmcfmI/ogQ1A="
            public-key "cCIULuaownDzsXVBQ+XIkRZZs5Q9GUD35W8wSTWttgg="
        }
        port 51820
        private-key "J8vcaH9JfX9fw9ywQ3h327kFt2Wesziu89d2c3CH2Qs="
    }
}
nat {
    source {
        rule 10 {
            destination {
                address 10.20.0.0/24
            }
            exclude
            outbound-interface {
                name eth0
            }
            source {
                address 10.10.0.0/24
            }
        }
        rule 100 {
            outbound-interface {
                name eth0
            }
            source {
                address 10.10.0.0/24
            }
            translation {
                address masquerade
            }
        }
    }
}
protocols {
    static {
        route 0.0.0.0/0 {
            next-hop 192.0.2.254 {
            }
        }
        route 10.21.0.0/24 {
            interface {
                vti10
            }
        }
    }
}
service {
    ntp {
        server ntp1.example.org {
        }
        server ntp2.example.org {
        }
    }
    ssh {
        port 22
    }
}
system {
    config-management {
        commit-revisions 100
    }
    domain-name example.org
    host-name hub
    login {
        user admin {
            authentication {
                encrypted-password "$6$rounds=656000$invented$0nlyAnExampleThatIsNoHashOfAnything"
            }
        }
    }
    name-server 10.10.0.53
    syslog {
        local {
            facility all {
                level info
            }
        }
        remote 10.10.0.9 {
            facility all {
                level info
            }
            port 6514
            protocol tcp
            tls {
                auth-mode certvalid
                ca-certificate log-ca
                enable
            }
        }
    }
}
vpn {
    ipsec {
        authentication {
            psk lyon {
                id 192.0.2.1
                id 198.51.100.7
                secret "f3U91zmQL7PObRKnKqgci3XcxebhZEPxVgYtrwIxo7s="
            }
        }
        esp-group esp-strong {
            lifetime 3600
            pfs dh-group20
            proposal 10 {
                encryption aes256gcm128
                hash sha384
            }
        }
        ike-group ike-people {
            dead-peer-detection {
                action clear
                interval 30
            }
            ikev2-reauth
            key-exchange ikev2
            lifetime 14400
            proposal 10 {
                dh-group 20
                encryption aes256gcm128
                hash sha384
                prf prfsha384
            }
        }
        ike-group ike-sites {
            close-action start
            dead-peer-detection {
                action restart
                interval 30
            }
            ikev2-reauth
            key-exchange ikev2
            lifetime 14400
            proposal 10 {
                dh-group 20
                encryption aes256gcm128
                hash sha384
            }
        }
        interface eth0
        log {
            level 1
            subsystem ike
        }
        options {
            disable-route-autoinstall
        }
        remote-access {
            connection people {
                authentication {
                    client-mode eap-tls
                    local-id vpn.example.org
                    server-mode x509
                    x509 {
                        ca-certificate people-ca
                        certificate hub
                    }
                }
                esp-group esp-strong
                ike-group ike-people
                local-address 192.0.2.1
                pool people-v4
                pool people-v6
                replay-window 128
            }
            pool people-v4 {
                name-server 10.10.0.53
                prefix 10.30.0.0/24
            }
            pool people-v6 {
                name-server 2001:db8:10::53
                prefix 2001:db8:30::/64
            }
        }
        site-to-site {
            peer lyon {
                authentication {
                    local-id 192.0.2.1
                    mode pre-shared-secret
                    remote-id 198.51.100.7
                }
                connection-type respond
                default-esp-group esp-strong
                ike-group ike-sites
                local-address 192.0.2.1
                remote-address 198.51.100.7
                replay-window 128
                tunnel 1 {
                    local {
                        prefix 10.10.0.0/24
                    }
                    remote {
                        prefix 10.20.0.0/24
                    }
                }
            }
            peer oslo {
                authentication {
                    local-id hub.example.org
                    mode x509
                    remote-id oslo.example.org
                    x509 {
                        ca-certificate site-ca
                        certificate hub
                    }
                }
                connection-type initiate
                default-esp-group esp-strong
                ike-group ike-sites
                local-address 192.0.2.1
                remote-address 203.0.113.9
                replay-window 128
                vti bind {
                    'vti10'
                }
                vti esp-group {
                    'esp-strong'
                }
            }
        }
    }
}


// Warning: Do not remove the following line.
// vyos-config-version: "firewall@15:ipsec@13:l2tp@9:pki@1:system@28:vyos-accel-ppp@2"
// Release version: 1.5.0
