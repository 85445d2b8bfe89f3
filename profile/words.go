package profile

import "maps"

// Windows: Set-VpnConnectionIPsecConfiguration has six values for one proposal.
// GCM in IKE came with Windows 11.
var (
	windowsESP = words{
		"aes256gcm16": "GCMAES256", "aes192gcm16": "GCMAES192", "aes128gcm16": "GCMAES128",
		"aes256": "AES256", "aes192": "AES192", "aes128": "AES128", "sha256": "SHA256128",
		"modp2048": "PFS2048", "ecp256": "ECP256", "ecp384": "ECP384",
	}
	windows10IKE = words{
		"aes256": "AES256", "aes192": "AES192", "aes128": "AES128",
		"sha256": "SHA256", "sha384": "SHA384", "prfsha256": "SHA256", "prfsha384": "SHA384",
		"modp2048": "Group14", "ecp256": "ECP256", "ecp384": "ECP384",
	}
	windows10 = say{"Windows 10", windows10IKE, windowsESP}
	windows11 = say{"Windows", with(windows10IKE, words{"aes256gcm16": "GCMAES256", "aes128gcm16": "GCMAES128"}), windowsESP}
	// ProfileXML calls the same two ciphers of IKE otherwise.
	windowsXML = say{"Windows", with(windows10IKE, words{"aes256gcm16": "AES_GCM_256", "aes128gcm16": "AES_GCM_128"}), windowsESP}
)

// Apple: the payload has one proposal for each protocol; SHA2 names the PRF
// where the cipher is an AEAD.
var appleWords = words{
	"aes256gcm16": "AES-256-GCM", "aes128gcm16": "AES-128-GCM", "chacha20poly1305": "ChaCha20Poly1305",
	"aes256": "AES-256", "aes128": "AES-128",
	"sha256": "SHA2-256", "sha384": "SHA2-384", "sha512": "SHA2-512",
	"prfsha256": "SHA2-256", "prfsha384": "SHA2-384", "prfsha512": "SHA2-512",
	"modp2048": "14", "modp3072": "15", "modp4096": "16", "ecp256": "19", "ecp384": "20", "ecp521": "21", "x25519": "31",
}

var apple = say{"Apple", appleWords, appleWords}

// MikroTik RouterOS 7: IKE ("profile") has AES-CBC alone, and its PRF follows
// the hash.
var mikrotik = say{
	"RouterOS",
	words{
		"aes256": "aes-256", "aes192": "aes-192", "aes128": "aes-128",
		"sha256": "sha256", "sha384": "sha384", "sha512": "sha512",
		"prfsha256": "sha256", "prfsha384": "sha384", "prfsha512": "sha512",
		"modp2048": "modp2048", "modp3072": "modp3072", "modp4096": "modp4096",
		"ecp256": "ecp256", "ecp384": "ecp384", "ecp521": "ecp521",
	},
	words{
		"aes256gcm16": "aes-256-gcm", "aes192gcm16": "aes-192-gcm", "aes128gcm16": "aes-128-gcm",
		"aes256": "aes-256-cbc", "aes192": "aes-192-cbc", "aes128": "aes-128-cbc",
		"sha256": "sha256", "sha512": "sha512",
		"modp2048": "modp2048", "modp3072": "modp3072", "modp4096": "modp4096",
		"ecp256": "ecp256", "ecp384": "ecp384", "ecp521": "ecp521",
	},
}

// Android's built-in client has no setting at all: these are what it always
// offers, so that a card is written only where it will do.
var android = say{
	"Android's built-in client",
	same("aes256gcm16", "aes192gcm16", "aes128gcm16", "chacha20poly1305", "aes256", "aes192", "aes128",
		"sha256", "sha384", "sha512", "prfsha256", "prfsha384", "prfsha512", "modp4096", "x25519", "modp3072", "modp2048"),
	// Its Child SAs have no key exchange of their own, also when it rekeys.
	same("aes256gcm16", "aes192gcm16", "aes128gcm16", "chacha20poly1305", "aes256", "aes192", "aes128", "sha256", "sha384", "sha512"),
}

func with(a, b words) words {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func same(keywords ...string) words {
	out := words{}
	for _, k := range keywords {
		out[k] = k
	}
	return out
}
