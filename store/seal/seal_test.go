package seal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/file"
	"sallyport/internal/secret"
)

func open(t *testing.T, dir string) *Box {
	t.Helper()
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestASecretOpensUnderItsOwnNameOnly(t *testing.T) {
	dir := t.TempDir()
	sealed := open(t, dir).Seal("/psk/laptop", secret.Bytes("correct horse"))
	if bytes.Contains(sealed, []byte("horse")) {
		t.Error("the secret stands in what is stored")
	}
	again := open(t, dir) // after a restart
	if got, err := again.Open("/psk/laptop", sealed); err != nil || string(got) != "correct horse" {
		t.Errorf("opened as %q, %v", []byte(got), err)
	}
	if _, err := again.Open("/psk/phone", sealed); err == nil {
		t.Error("it opens in the record of another device")
	}
	if _, err := open(t, t.TempDir()).Open("/psk/laptop", sealed); err == nil {
		t.Error("it opens on another gateway")
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := again.Open("/psk/laptop", bad); err == nil {
			t.Fatalf("it opens with octet %d changed", i)
		}
		if _, err := again.Open("/psk/laptop", sealed[:i]); err == nil {
			t.Fatalf("%d octets of it open", i)
		}
	}
}

func TestTheKeyFileIsForItsOwnerAndNeverReplaced(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	path := filepath.Join(dir, FileName)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	var readable *file.OpenError
	if _, err := Open(dir); !errors.As(err, &readable) {
		t.Errorf("a key that a group can read: %v", err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o600)
	if _, err := Open(dir); err == nil {
		t.Error("a damaged key is taken")
	}
	if b, _ := os.ReadFile(path); string(b) != "short" {
		t.Error("a damaged key is overwritten")
	}
}

func TestTheCredentialOfSystemdCountsBeforeTheFile(t *testing.T) {
	state, credentials := t.TempDir(), t.TempDir()
	key := bytes.Repeat([]byte{7}, keySize)
	if err := os.WriteFile(filepath.Join(credentials, Credential), key, 0o400); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	sealed := open(t, state).Seal("a", secret.Bytes("b"))
	if _, err := os.Stat(filepath.Join(state, FileName)); err == nil {
		t.Error("a key file was made all the same")
	}
	box, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := box.Open("a", sealed); err != nil || string(got) != "b" {
		t.Errorf("%q, %v", []byte(got), err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", t.TempDir()) // there, and without ours
	open(t, state)
}

func TestADigestTellsEqualSecretsOfOneBoxAndNothingElse(t *testing.T) {
	here, there := open(t, t.TempDir()), open(t, t.TempDir())
	key := secret.Bytes("correct horse")
	if !bytes.Equal(here.Digest(key), here.Digest(key.Clone())) {
		t.Error("equal secrets have two digests")
	}
	if bytes.Equal(here.Digest(key), here.Digest(secret.Bytes("correct house"))) {
		t.Error("two secrets have one digest")
	}
	if bytes.Equal(here.Digest(key), there.Digest(key)) {
		t.Error("the digest can be guessed against without the key of the box")
	}
}
