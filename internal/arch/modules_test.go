package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dependency is a module that may be linked into the program or its tests.
type dependency struct {
	module  string
	licence string // a key of licences
	why     string
}

// dependencies is the whole list. A new one is a decision: give it a row here
// and a page in docs/decisions.
var dependencies = []dependency{
	{"filippo.io/bigmod", "BSD", "constant-time modular arithmetic for the MODP groups"},
	{"github.com/CycloneDX/cyclonedx-go", "Apache", "the audit's list of cryptography (CBOM)"},
	{"github.com/boombuler/barcode", "MIT", "QR codes on the terminal"},
	{"github.com/ccojocar/zxcvbn-go", "MIT", "how many guesses a secret that somebody chose withstands"},
	{"github.com/gaissmai/bart", "MIT", "longest-prefix match in the data plane"},
	{"github.com/goccy/go-yaml", "MIT", "YAML with positions, for the configuration"},
	{"github.com/google/go-cmp", "BSD", "needed by the tests of github.com/mdlayher/netlink"},
	{"github.com/google/nftables", "Apache", "the firewall of isolated zones, without running nft"},
	{"github.com/inconshreveable/mousetrap", "Apache", "needed by cobra on Windows"},
	{"github.com/knqyf263/go-apk-version", "Apache", "the order of versions of Alpine packages"},
	{"github.com/knqyf263/go-deb-version", "MIT", "the order of versions of Debian packages"},
	{"github.com/knqyf263/go-rpm-version", "MIT", "the order of versions of RPM packages"},
	{"github.com/mdlayher/netlink", "MIT", "the socket of github.com/google/nftables and the size of its buffers"},
	{"github.com/mdlayher/socket", "MIT", "needed by github.com/mdlayher/netlink"},
	{"github.com/micromdm/plist", "BSD", "Apple's configuration profiles"},
	{"github.com/miekg/dns", "BSD", "the resolver of the demo and the DNS tests"},
	{"github.com/rogpeppe/go-internal", "BSD", "testscript, for the tests of the command line"},
	{"github.com/santhosh-tekuri/jsonschema/v6", "Apache", "validates the audit's reports in tests"},
	{"github.com/smallstep/pkcs7", "MIT", "the signature of Apple's configuration profiles (CMS)"},
	{"github.com/spf13/cobra", "Apache", "verbs, flags and shell completion"},
	{"github.com/spf13/pflag", "BSD", "flags of cobra"},
	{"github.com/vishvananda/netlink", "Apache", "interfaces, addresses and routes without a shell"},
	{"github.com/vishvananda/netns", "Apache", "network namespaces of the lab and the demo"},
	{"go.etcd.io/bbolt", "MIT", "the embedded store"},
	{"golang.org/x/crypto", "BSD", "ChaCha20-Poly1305, OCSP and other cryptography of the Go project"},
	{"golang.org/x/net", "BSD", "batched sockets, and needed by github.com/miekg/dns"},
	{"golang.org/x/sync", "BSD", "needed by github.com/mdlayher/socket"},
	{"golang.org/x/sys", "BSD", "socket options and other system calls"},
	{"golang.org/x/text", "BSD", "needed by github.com/santhosh-tekuri/jsonschema"},
	{"golang.org/x/tools", "BSD", "needed by testscript"},
	{"golang.zx2c4.com/wintun", "MIT", "needed by golang.zx2c4.com/wireguard on Windows"},
	{"golang.zx2c4.com/wireguard", "MIT", "the TUN device with offloads, and the benchmark's peer"},
	{"software.sslmate.com/src/go-pkcs12", "BSD", "PKCS#12 files for devices"},
}

// licences are the accepted ones, each by a phrase of its text.
var licences = map[string]string{
	"Apache": "Apache License",
	"BSD":    "Redistribution and use in source and binary forms",
	"MIT":    "Permission is hereby granted, free of charge",
}

func TestEveryDependencyIsAllowed(t *testing.T) {
	listed := map[string]dependency{}
	for _, d := range dependencies {
		listed[d.module] = d
	}
	required := requirements(t)
	for _, path := range required {
		if _, ok := listed[path]; !ok {
			t.Errorf("go.mod requires %s, which has no row in dependencies\n\ta new dependency is a decision: say its licence and why it is needed", path)
		}
	}
	for path := range listed {
		if !slices.Contains(required, path) {
			t.Errorf("%s has a row in dependencies, but go.mod does not require it\n\tdelete the row", path)
		}
	}
}

// requirements lists the modules of go.mod.
func requirements(t *testing.T) []string {
	t.Helper()
	var mod struct{ Require []struct{ Path string } }
	if err := json.Unmarshal(goTool(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, r := range mod.Require {
		paths = append(paths, r.Path)
	}
	return paths
}

func TestLinkedModulesHaveTheirLicence(t *testing.T) {
	licence := map[string]string{}
	for _, d := range dependencies {
		licence[d.module] = d.licence
	}
	for path, dir := range linked(t) {
		want, ok := licences[licence[path]]
		if !ok {
			t.Errorf("%s is linked in without an accepted licence\n\tthe program is Apache-2.0, and what it links must be no stricter", path)
			continue
		}
		if text := licenceText(t, dir); !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("%s: its licence file does not read like %s", path, licence[path])
		}
	}
}

// linked lists the modules of all packages and their tests, with the place of
// their source.
func linked(t *testing.T) map[string]string {
	t.Helper()
	dirs := map[string]string{}
	d := json.NewDecoder(bytes.NewReader(goTool(t, "list", "-e", "-deps", "-test", "-json=Module", "./...")))
	for {
		var p struct {
			Module *struct {
				Path, Dir string
				Main      bool
			}
		}
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return dirs
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && !p.Module.Main {
			dirs[p.Module.Path] = p.Module.Dir
		}
	}
}

func licenceText(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[LC][IO][CP]*"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	return text.String()
}
