package radius

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"sallyport/internal/file"
	"sallyport/protocol/radius"
)

// maxSpooled is the most that a waiting record takes in the file, in octets:
// twice a common one. A larger file is not read.
const maxSpooled = 2048

// spool is the file of waiting records.
type spool struct {
	Version int             `json:"version"`
	Records []radius.Record `json:"records"`
}

const spoolVersion = 1

// save writes what waits into the file, when it is likely to wait on: at the
// end, and while no server answers. Nothing waiting is no file.
func (a *Accounting) save(end bool) error {
	if a.cfg.File == "" {
		return nil
	}
	a.mu.Lock()
	failing := !a.status.Failing.IsZero() || a.status.Delivered+a.status.Refused == 0 // none has answered yet
	var all []radius.Record
	if end || failing {
		all = a.records()
	}
	a.mu.Unlock()
	if len(all) == 0 {
		if err := os.Remove(a.cfg.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return describe(a.cfg.File, err)
		}
		return nil
	}
	text, err := json.Marshal(spool{spoolVersion, all})
	if err == nil {
		err = file.Write(a.cfg.File, text, file.Private)
	}
	if err != nil {
		return describe(a.cfg.File, err)
	}
	return nil
}

// records are all that wait, each session's in order; those on their way too,
// for nobody knows whether they arrive.
func (a *Accounting) records() []radius.Record {
	all := make([]radius.Record, 0, a.count)
	for _, b := range a.sessions {
		if b.sending {
			all = append(all, b.records...)
		}
	}
	for _, b := range a.ready {
		all = append(all, b.records...)
	}
	return all
}

// load reads the file. A damaged one is put aside, where a person can look at
// it, and does not keep the gateway from starting.
func (a *Accounting) load() ([]radius.Record, error) {
	if a.cfg.File == "" {
		return nil, nil
	}
	text, err := readSome(a.cfg.File, int64(max(a.cfg.Capacity, defaultCapacity))*maxSpooled)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, describe(a.cfg.File, err)
	}
	var s spool
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err = d.Decode(&s); err == nil && s.Version != spoolVersion {
		err = fmt.Errorf("version %d is not %d", s.Version, spoolVersion)
	}
	if err == nil {
		return s.Records, nil
	}
	aside := a.cfg.File + ".damaged"
	if err := os.Rename(a.cfg.File, aside); err != nil {
		return nil, describe(a.cfg.File, err)
	}
	a.cfg.Logger.Error("RADIUS accounting records of before cannot be read, and were put aside", "file", aside, "error", err.Error())
	return nil, nil
}

func readSome(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("it has %d octets, at most %d are read: move it away", info.Size(), most)
	}
	return os.ReadFile(path)
}

// describe names the file in an error.
func describe(file string, err error) error {
	return fmt.Errorf("radius: accounting records in %q: %w", file, err)
}
