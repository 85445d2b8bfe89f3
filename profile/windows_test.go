package profile

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// cmdlets are what the script may run: those of the VPN client, of the DNS
// client and of certificates, and PowerShell's own that touch nothing.
var cmdlets = []string{
	"Add-VpnConnection", "Set-VpnConnection", "Get-VpnConnection", "Remove-VpnConnection", "Set-VpnConnectionIPsecConfiguration",
	"Add-VpnConnectionRoute", "Remove-VpnConnectionRoute",
	"Get-DnsClientNrptRule", "Add-DnsClientNrptRule", "Remove-DnsClientNrptRule",
	"Import-Certificate", "Import-PfxCertificate", "Get-ChildItem", "Remove-Item", "Test-Path",
	"Set-StrictMode", "Get-Location", "Join-Path", "Read-Host", "Write-Host", "Out-Null", "Where-Object", "ForEach-Object",
}

var verbNoun = regexp.MustCompile(`^[A-Z][a-z]+-[A-Z][A-Za-z0-9]+$`)

// TestTheWindowsScriptRunsOnlyWhatItShould: it changes the connection, its
// rules and its certificates; no policy, no registry, no firewall, no check.
func TestTheWindowsScriptRunsOnlyWhatItShould(t *testing.T) {
	tokens, err := tokenizePowerShell(windowsScript)
	if err != nil {
		t.Fatal(err)
	}
	var own, used []string
	for i, token := range tokens {
		switch {
		case token.kind != "word" || !verbNoun.MatchString(token.text):
		case i > 0 && tokens[i-1].text == "function":
			own = append(own, token.text)
		default:
			used = append(used, token.text)
		}
	}
	if len(own) < 10 || len(used) < 30 {
		t.Fatalf("%d functions and %d calls found; this test would hold nothing", len(own), len(used))
	}
	for _, name := range used {
		if !slices.Contains(cmdlets, name) && !slices.Contains(own, name) {
			t.Errorf("the script runs %s", name)
		}
	}
	for _, name := range own {
		if !slices.Contains(used, name) {
			t.Errorf("nothing runs the function %s", name)
		}
	}
	for _, word := range []string{"HKLM", "DisableIKENameEkuCheck", "Invoke-", "iex", "&", "Exportable", "NoEncryption", "Optional", "-SkipCertificateCheck"} {
		if slices.ContainsFunc(tokens, func(p psToken) bool { return (p.kind == "word" || len(word) > 3) && strings.Contains(p.text, word) }) {
			t.Errorf("the script says %s", word)
		}
	}
}

// TestEveryValueOfTheWindowsScriptIsSet: strict mode stops at a variable that
// nobody has set, on the user's machine.
func TestEveryValueOfTheWindowsScriptIsSet(t *testing.T) {
	script := strings.ReplaceAll(mustMake(t, "windows", testInput(t, testZone(t, "strong", ""), "ecdsa")).Files[0].Content, "\r\n", "\n")
	tokens, err := tokenizePowerShell(script)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{"$_": true, "$true": true, "$null": true, "$false": true, "$PSScriptRoot": true}
	variable := regexp.MustCompile(`^\$(script:)?[A-Za-z_]\w*`)
	name := func(token psToken) string { return strings.Replace(variable.FindString(token.text), "script:", "", 1) }
	for i, token := range tokens {
		if n := name(token); token.kind == "word" && n != "" && i+1 < len(tokens) {
			before := psToken{}
			if i > 0 {
				before = tokens[i-1]
			}
			assigned := tokens[i+1].text == "=" && n == strings.Replace(token.text, "script:", "", 1)
			parameter := before.text == "]" && (tokens[i+1].text == "," || tokens[i+1].text == ")" || tokens[i+1].kind == "newline")
			loop := before.text == "(" && tokens[i+1].text == "in"
			plain := before.text == "(" && i > 2 && tokens[i-3].text == "function"
			if assigned || parameter || loop || plain {
				set[n] = true
			}
		}
	}
	for _, token := range tokens {
		if n := name(token); token.kind == "word" && n != "" && !set[n] {
			t.Errorf("nobody sets %s", n)
		}
	}
	values, _, _ := strings.Cut(strings.SplitN(script, "$Comment", 2)[1], "\n$here")
	for _, m := range regexp.MustCompile(`(?m)^\$(\w+) =`).FindAllStringSubmatch(values, -1) {
		if strings.Count(script, "$"+m[1]) < 2 {
			t.Errorf("nobody reads $%s", m[1])
		}
	}
}
