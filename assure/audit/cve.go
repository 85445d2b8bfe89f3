package audit

import "sallyport/posture"

// update is what to do about a flaw that a newer version does not have.
var update = map[posture.Dialect]string{
	posture.Linux:    `apt-get update && apt-get upgrade, dnf upgrade, or apk upgrade; then start the daemon again, or the host for a kernel`,
	posture.RouterOS: `/system package update set channel=long-term; /system package update install; then /system routerboard upgrade`,
	posture.IOS:      `copy <image> to flash, boot system flash:<image>, reload; Cisco's Software Checker names the image`,
	posture.FortiOS:  `execute restore image tftp <image> <server>, along the upgrade path that Fortinet gives`,
	posture.PfSense:  `System > Update: the latest stable version`,
	posture.VyOS:     `add system image <image of a current release>; reboot`,
}

// cleanUp is what to do about a flaw that somebody uses.
var cleanUp = map[posture.Dialect]string{
	posture.RouterOS: update[posture.RouterOS] + `; then change all passwords, and look for unknown users, scripts and schedulers`,
	posture.IOS:      update[posture.IOS] + `; no ip http server and no ip http secure-server until then, and look for unknown users`,
	posture.FortiOS:  update[posture.FortiOS] + `; then change all passwords and keys, and look for unknown administrators`,
}

var cveRules = []Rule{
	{
		ID: "CVE-001", Title: "No installed version has a known flaw", Severity: High, Risk: "R5", Checks: []string{"C7"}, Needs: Config,
		Why:  "What is published is tried out against every address that answers, often within days.",
		Refs: []string{"NIST SP 800-40r4", "docs/vulnerability-data.md"},
		Fix:  update, judge: cveKnown,
	},
	{
		ID: "CVE-002", Title: "No known flaw is within reach of the configuration", Severity: High, Risk: "R5", Checks: []string{"C7"}, Needs: Config,
		Why:  "The part of the program that has the flaw is switched on, so that a packet gets to it; the part can be switched off before the update comes.",
		Refs: []string{"NIST SP 800-40r4", "docs/vulnerability-data.md"},
		Fix: map[posture.Dialect]string{
			posture.Swanctl:    `charon { plugins { <plugin> { load = no } } } in strongswan.conf, or take the version, method or role out of connections.{name}; then update`,
			posture.Starter:    `load = no for the plugin in strongswan.conf, or take the version, method or role out of conn {name}; then update`,
			posture.Libreswan:  `ikev1-policy=drop in config setup, or take what is named out of conn {name}; then update`,
			posture.PPPD:       `take what is named out of the options, and refuse-eap until the update`,
			posture.FreeRADIUS: `take the method out of mods-enabled/eap until the update`,
		}, judge: cveReached,
	},
	{
		ID: "CVE-003", Title: "The software is still maintained", Severity: High, Risk: "R5", Checks: []string{"C7"}, Needs: Config,
		Why:  "Nobody looks for flaws in it any more but those who use them, and nobody mends them.",
		Refs: []string{"NIST SP 800-40r4", "CVE-2019-10155"},
		Fix: map[posture.Dialect]string{
			posture.Linux:    `go to a maintained version or program: strongSwan 6, Libreswan 5, ppp 2.5, FreeRADIUS 3.2; IKEv2 in the place of PPTP`,
			posture.RouterOS: `/system package update set channel=upgrade; /system package update install; that is RouterOS 7`,
			posture.IOS:      `IOS XE 17 on hardware that Cisco still supports`,
			posture.FortiOS:  `FortiOS 7.4 or later, along the upgrade path that Fortinet gives`,
			posture.PfSense:  `System > Update: the latest stable version`,
			posture.VyOS:     `add system image <image of 1.4 or later>; reboot`,
		}, judge: cveDead,
	},
	{
		ID: "CVE-004", Title: "The appliance has no flaw that is known to be exploited", Severity: Critical, Risk: "R5", Checks: []string{"C7"}, Needs: Config,
		Why:  "CISA lists the flaw because somebody uses it: whoever was not fast enough must also look for what was left behind.",
		Refs: []string{"CISA Known Exploited Vulnerabilities Catalog", "CISA BOD 22-01"},
		Fix:  cleanUp, judge: cveExploited,
	},
	{
		ID: "CVE-005", Title: "Versions and patches are known", Severity: Info, Risk: "R5", Checks: []string{"C7"}, Needs: Config,
		Why:  "Without them nobody can say which flaws the software has; that no finding is there proves nothing.",
		Refs: []string{"NIST SP 800-40r4", "docs/vulnerability-data.md"},
		Fix: map[posture.Dialect]string{
			posture.Swanctl:    givePackages,
			posture.Starter:    givePackages,
			posture.Libreswan:  givePackages,
			posture.Xl2tpd:     givePackages,
			posture.PPPD:       givePackages,
			posture.FreeRADIUS: givePackages,
			posture.RouterOS:   `export with /export, which writes the version in its first line, or give --product-version RouterOS=<version>`,
			posture.IOS:        `give the whole of show running-config, or --product-version "IOS XE=<version>" with all its numbers`,
			posture.FortiOS:    `give the whole backup with its first line, or --product-version FortiOS=<version>`,
			posture.VyOS:       `give config.boot with its last lines, or --product-version VyOS=<version>`,
		}, judge: cveUntold,
	},
	{
		ID: "CVE-006", Title: "No work-around outlives the flaw", Severity: Medium, Risk: "R5", Checks: []string{"C7"}, Needs: Config,
		Why:  "A kernel that may not load ESP breaks every IPsec tunnel that it should carry; once it has the fix, the ban only harms.",
		Refs: []string{"CVE-2026-43284", "modprobe.d(5)"},
		Fix: map[posture.Dialect]string{
			posture.Linux: `remove the line from modprobe.d, run update-initramfs -u or dracut -f, and restart with the fixed kernel`,
		}, judge: cveStale,
	},
	{
		ID: "CVE-007", Title: "The data about flaws is recent", Severity: Info, Risk: "R5", Checks: []string{"C7"}, Needs: Config,
		Why:  "What was found since then is not in it.",
		Refs: []string{"docs/vulnerability-data.md"},
		Fix: map[posture.Dialect]string{
			posture.Linux: `update sallyport, or give newer data with --vulndb <file>`,
		}, judge: cveAge,
	},
	{
		ID: "CVE-008", Title: "Daemons are built and run so that a flaw is worth less", Severity: Low, Risk: "R5", Checks: []string{"C7"}, Needs: Config,
		Why:  "A daemon that reads packets from anybody as root, without a filter of system calls, hands over the host with its first flaw.",
		Refs: []string{"systemd.exec(5)", "ipsec.conf(5)"},
		Fix: map[posture.Dialect]string{
			posture.Linux:     `[Service] NoNewPrivileges=yes, ProtectSystem=strict, CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_RAW, SystemCallFilter=@system-service; programs with -fPIE -pie -Wl,-z,relro,-z,now,-z,noexecstack`,
			posture.Libreswan: "# only where \"ipsec pluto --version\" names seccomp: built without it, as by Debian, it refuses the word and does not start\n" + setup("seccomp=enabled"),
		}, judge: cveConfined,
	},
}

const givePackages = `read the whole host, or put its packages beside the configuration: var/lib/dpkg/status with usr/share/doc/*/changelog.Debian.gz, or rpm -qa > rpm-qa.txt, with etc/os-release`
