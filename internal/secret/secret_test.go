package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// key is what must never appear, as text, as hex or as numbers.
var key = Bytes("correct horse")

// leaks reports any rendering of the key in text.
func leaks(text string) bool {
	for _, form := range []string{"correct", fmt.Sprintf("%x", []byte(key[:4])), "99 111 114", "99,111,114", "Y29ycmVj"} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
			return true
		}
	}
	return false
}

func TestASecretPrintsAsNothingButItsName(t *testing.T) {
	inside := struct {
		Name string
		Key  Bytes
		List []Bytes
	}{"alice", key, []Bytes{key}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		args := []any{inside}
		if strings.Count(verb, "%") == 2 {
			args = append(args, key)
		}
		if text := fmt.Sprintf(verb, args...); leaks(text) {
			t.Errorf("%s prints %q", verb, text)
		}
		if text := fmt.Sprintf(strings.Replace(verb, "%T ", "", 1), key); text != redacted {
			t.Errorf("%s of a secret is %q, want %q", verb, text, redacted)
		}
	}
	if text := key.String(); text != redacted {
		t.Errorf("String is %q", text)
	}
}

func TestASecretIsLoggedAndMarshalledAsNothingButItsName(t *testing.T) {
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("keys", "key", key, "wrapped", slog.GroupValue(slog.Any("key", key)))
	if leaks(log.String()) || !strings.Contains(log.String(), redacted) {
		t.Errorf("the log has %s", log.String())
	}
	doc, err := json.Marshal(map[string]any{"key": key})
	if err != nil || leaks(string(doc)) || !strings.Contains(string(doc), redacted) {
		t.Errorf("JSON is %s, %v", doc, err)
	}
}

func TestASecretCannotBeReadFromADocument(t *testing.T) {
	var got struct{ Key Bytes }
	if err := json.Unmarshal([]byte(`{"Key": "correct horse"}`), &got); err == nil {
		t.Errorf("a secret was read from JSON: %d octets", len(got.Key))
	}
}

func TestSecretsCompareCloneAndClear(t *testing.T) {
	other := key.Clone()
	if !other.Equal(key) || other.Equal(key[:4]) || other.Equal(Bytes("correct house")) {
		t.Error("Equal does not tell equal from different")
	}
	other.Clear()
	if !bytes.Equal(other, make([]byte, len(key))) {
		t.Error("Clear left octets behind")
	}
	if string(key) != "correct horse" {
		t.Error("clearing a clone changed the secret")
	}
}
