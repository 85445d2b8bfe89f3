package load

import (
	"sallyport/posture/certfile"
	"sallyport/posture/elf"
	"sallyport/posture/fortios"
	"sallyport/posture/freeradius"
	"sallyport/posture/ios"
	"sallyport/posture/ipsecconf"
	"sallyport/posture/linux"
	"sallyport/posture/netfilter"
	"sallyport/posture/own"
	"sallyport/posture/packages"
	"sallyport/posture/pfsense"
	"sallyport/posture/pppd"
	"sallyport/posture/routeros"
	"sallyport/posture/swanctl"
	"sallyport/posture/vyos"
	"sallyport/posture/windows"
	"sallyport/posture/wireguard"
	"sallyport/posture/xl2tpd"
)

// readers are asked in this order whether a file is theirs; the first that says
// so has it. They read in the same order. Packages come first, because versions
// decide defaults; netfilter comes after all of IKE, because it asks whose
// networks are a tunnel's; xl2tpd says which files of pppd it uses; certfile
// comes last, because it takes any PEM file.
var readers = []reader{
	{name: "packages", claims: packages.Claims, read: packages.Read, always: true},
	{name: "swanctl", claims: swanctl.Claims, read: swanctl.Read},
	{name: "ipsecconf", claims: ipsecconf.Claims, read: ipsecconf.Read},
	{name: "xl2tpd", claims: xl2tpd.Claims, read: xl2tpd.Read},
	{name: "pppd", claims: pppd.Claims, read: pppd.Read},
	{name: "freeradius", claims: freeradius.Claims, read: freeradius.Read},
	{name: "netfilter", claims: netfilter.Claims, read: netfilter.Read},
	{name: "fortios", claims: fortios.Claims, alone: true, read: fortios.Read},
	{name: "routeros", claims: routeros.Claims, alone: true, read: routeros.Read},
	{name: "ios", claims: ios.Claims, alone: true, read: ios.Read},
	{name: "pfsense", claims: pfsense.Claims, alone: true, read: pfsense.Read},
	{name: "vyos", claims: vyos.Claims, alone: true, read: vyos.Read},
	{name: "wireguard", claims: wireguard.Claims, read: wireguard.Read},
	{name: "sallyport", claims: own.Claims, read: own.Read},
	{name: "windows", claims: windows.Claims, named: windows.Named, read: windows.Read},
	{name: "linux", claims: linux.Claims, read: linux.Read},
	{name: "elf", claims: elf.Claims, always: true, read: elf.Read},
	{name: "certfile", claims: certfile.Claims, read: certfile.Read},
}
