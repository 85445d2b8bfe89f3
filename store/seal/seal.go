// Package seal encrypts the secrets that the store has to keep: pre-shared keys
// and the password hashes that MSCHAPv2 needs. Whoever copies the store, or
// finds a backup of it, has none of them without the key.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sallyport/internal/file"
	"sallyport/internal/secret"
)

// Where the key comes from.
const (
	// Credential is the name under which systemd hands the key over
	// (LoadCredentialEncrypted=, sealed by the TPM of the host); it counts before
	// the file.
	Credential = "sallyport-seal"
	// FileName is the file of the key, in the state directory and beside the
	// store, not in it.
	FileName = "seal.key"

	keySize = 32 // AES-256
)

// Box seals and opens. It is safe for concurrent use.
type Box struct {
	aead   cipher.AEAD
	digest secret.Bytes
}

// Open takes the key from systemd's credentials or from the state directory,
// where a missing one is made.
func Open(dir string) (*Box, error) {
	key, err := credential()
	if err == nil && key == nil {
		key, err = fromFile(filepath.Join(dir, FileName))
	}
	if err != nil {
		return nil, err
	}
	defer key.Clear()
	return New(key)
}

// New makes a box of a key of 32 octets.
func New(key secret.Bytes) (*Box, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("seal: the key has %d octets, not %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	digest, err := hkdf.Expand(sha256.New, key, "digest of secrets", keySize)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return &Box{aead, digest}, nil
}

// credential is nil when systemd hands over none.
func credential() (secret.Bytes, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, nil
	}
	key, err := os.ReadFile(filepath.Join(dir, Credential))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("seal: the credential %s: %w", Credential, err)
	}
	return key, nil
}

// fromFile reads the key, or makes it. A file that others can read, or that is
// damaged, is refused and never replaced: what it sealed would be lost.
func fromFile(path string) (secret.Bytes, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		key := make(secret.Bytes, keySize)
		rand.Read(key)
		if err := file.Create(path, key, file.Private); !errors.Is(err, fs.ErrExist) {
			return key, err
		}
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("seal: %w", err)
	case !info.Mode().IsRegular():
		return nil, &DamagedError{Path: path}
	}
	if err := file.CheckOwn(path); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if len(key) != keySize {
		return nil, &DamagedError{Path: path, Size: len(key)}
	}
	return key, nil
}

// DamagedError says that a file is no key.
type DamagedError struct {
	Path string
	Size int // octets that it has
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("seal: %s has %d octets, not %d: it is damaged", e.Path, e.Size, keySize)
}

// Hint says what to do.
func (e *DamagedError) Hint() string { return "restore it from the backup of the state directory" }

// Seal encrypts plain. Only [Box.Open] with the same name gives it back, so that
// one record's secret cannot be put into another record.
func (b *Box) Seal(name string, plain secret.Bytes) []byte {
	return b.aead.Seal(nil, nil, plain, []byte(name))
}

// Digest is the same for equal secrets, and tells nothing to guess against
// without the key of the box.
func (b *Box) Digest(plain secret.Bytes) []byte {
	m := hmac.New(sha256.New, b.digest)
	m.Write(plain)
	return m.Sum(nil)
}

// errSealed is all that is known: another key, another record, or damage.
var errSealed = errors.New("it does not open with this key: was seal.key replaced, or the store copied from another gateway?")

// Open decrypts what Seal made for name.
func (b *Box) Open(name string, sealed []byte) (secret.Bytes, error) {
	plain, err := b.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("seal: the secret of %q: %w", name, errSealed)
	}
	return plain, nil
}
