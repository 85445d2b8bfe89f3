firewall {
    name OUTSIDE-LOCAL {
        default-action drop
        rule 10 {
            action accept
            state {
                established enable
                related enable
            }
        }
        rule 40 {
            action accept
            protocol esp
        }
        rule 41 {
            action accept
            destination {
                port 500
            }
            protocol udp
        }
        rule 42 {
            action accept
            destination {
                port 4500
            }
            protocol udp
        }
        rule 43 {
            action accept
            destination {
                port 1701
            }
            protocol udp
        }
    }
}
interfaces {
    ethernet eth0 {
        address 203.0.113.45/24
        firewall {
            local {
                name OUTSIDE-LOCAL
            }
        }
    }
    ethernet eth1 {
        address 192.168.0.1/24
    }
}
nat {
    source {
        rule 100 {
            outbound-interface eth0
            source {
                address 192.168.0.0/24
            }
            translation {
                address masquerade
            }
        }
    }
}
service {
    ssh {
        port 22
    }
}
system {
    host-name branch
    ntp {
        server 0.pool.ntp.org {
        }
    }
    syslog {
        global {
            facility all {
                level info
            }
        }
    }
    time-zone Europe/Paris
}
vpn {
    ipsec {
        esp-group office-srv-esp {
            compression disable
            lifetime 1800
            mode tunnel
            pfs enable
            proposal 1 {
                encryption aes256
                hash sha1
            }
        }
        ike-group office-srv-ike {
            ikev2-reauth no
            key-exchange ikev1
            lifetime 3600
            proposal 1 {
                encryption aes256
                hash sha1
            }
        }
        ipsec-interfaces {
            interface eth0
        }
        nat-traversal enable
        site-to-site {
            peer 198.51.100.3 {
                authentication {
                    mode pre-shared-secret
                    pre-shared-secret Office2016
                }
                ike-group office-srv-ike
                local-address 203.0.113.45
                tunnel 0 {
                    allow-nat-networks disable
                    allow-public-networks disable
                    esp-group office-srv-esp
                    local {
                        prefix 192.168.0.0/24
                    }
                    remote {
                        prefix 10.0.0.0/21
                    }
                }
            }
        }
    }
    l2tp {
        remote-access {
            authentication {
                local-users {
                    username alice {
                        password summer2019
                    }
                }
                mode local
            }
            client-ip-pool start {
                '192.168.255.2'
            }
            client-ip-pool stop {
                '192.168.255.254'
            }
            dns-servers {
                server-1 8.8.8.8
            }
            ipsec-settings {
                authentication {
                    mode pre-shared-secret
                    pre-shared-secret Office2016
                }
            }
            outside-address 203.0.113.45
        }
    }
}


// Warning: Do not remove the following line.
// vyos-config-version: "firewall@5:ipsec@5:l2tp@3:nat@4:system@18"
// Release version: 1.2.9
