package pppd

import (
	"path"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// Link is one way in which pppd is started.
type Link struct {
	Name   string
	At     posture.Pos         // what starts it
	Server posture.Value[bool] // who answers, if what starts it knows
	Words  []Word              // of the command line, before the file's
	File   string              // option file as that names it; empty: none but /etc/ppp/options
	FileAt posture.Pos         // where it is named
}

// Reader reads the option files of one host, each file once.
type Reader struct {
	in       *source.Input
	texts    map[string]*source.Text
	lexed    map[string][]Word
	included map[string]bool
	noted    map[posture.Note]bool
	entered  map[posture.Pos]bool // passwords of option files
	proofs   *proofs
	count    int // links
}

// Bounds. Real hosts have some words in a file of options, and some links; the
// accounts of a large provider fit.
const (
	mostOptions = 2_000   // words of one file of options
	mostSecrets = 500_000 // words of one file of secrets
	mostLinks   = 500     // option files that are links of their own
)

// NewReader makes one of the files of a host.
func NewReader(in *source.Input) *Reader {
	r := &Reader{in: in.For(posture.PPPD, in.Files), texts: map[string]*source.Text{}, lexed: map[string][]Word{}, included: map[string]bool{}, noted: map[posture.Note]bool{}, entered: map[posture.Pos]bool{}}
	for _, n := range in.Host.Notes {
		r.noted[n] = true
	}
	return r
}

// Link enters a link that another daemon starts, and returns it. It is named in
// the option file's place, so that no second link is made of that file.
func (r *Reader) Link(l Link) posture.PPP {
	p := ""
	if l.File != "" {
		p = r.Locate(l.File)
		if p != "" {
			l.At = posture.Pos{File: r.in.Show(p)}
		}
	}
	return r.build(l, options, p)
}

// note records what was not recorded of the same place before: /etc/ppp/options
// is part of every link.
func (r *Reader) note(kind posture.NoteKind, at posture.Pos, format string, word string) {
	n := posture.Note{Kind: kind, Dialect: posture.PPPD, At: at, Text: format + word}
	if !r.noted[n] && len(r.in.Host.Notes) <= source.MostNotes {
		r.noted[n] = true
		r.in.Note(kind, at, format+"%s", word)
	}
}

// Where configuration lies below the root of what was given.
var home = []string{"etc/ppp", "usr/local/etc/ppp", "ppp", "."}

// Locate finds a file that a directive names by its whole path. What was given
// may be a part of /etc. It is empty for a file that is not here.
func (r *Reader) Locate(name string) string {
	name = path.Clean(name)
	if !path.IsAbs(name) {
		for _, dir := range home {
			if p := path.Join(dir, name); r.in.Exists(p) {
				return p
			}
		}
		return ""
	}
	if p := strings.TrimPrefix(name, "/"); r.in.Exists(p) {
		return p
	}
	if found, ok := r.in.Glob(".", strings.NewReplacer("*", "\\*", "?", "\\?", "[", "\\[").Replace(name)); ok && len(found) == 1 {
		return found[0]
	}
	if r.in.IsHost() {
		return ""
	}
	rest := strings.TrimPrefix(name, "/etc/")
	for _, p := range []string{rest, path.Base(name)} {
		if r.in.Exists(p) {
			return p
		}
	}
	return ""
}

// own finds one of pppd's files by the name that it has in /etc/ppp.
func (r *Reader) own(name string) string {
	for _, dir := range home {
		if p := path.Join(dir, name); r.in.Exists(p) {
			return p
		}
	}
	for _, p := range r.in.Files {
		if k := kindOf(p); path.Base(p) == path.Base(name) && k != none && k != peer {
			return p
		}
	}
	return ""
}

func (r *Reader) text(p string, secrets bool) *source.Text {
	if t, ok := r.texts[p]; ok {
		return t
	}
	t := r.in.Read(p, secrets)
	r.texts[p] = t
	return t
}

func (r *Reader) words(p string, secrets bool) []Word {
	if w, ok := r.lexed[p]; ok {
		return w
	}
	var w []Word
	if t := r.text(p, secrets); t != nil {
		most := mostOptions
		if secrets {
			most = mostSecrets
		}
		if w = words(t, most); len(w) == most {
			r.note(posture.Limit, w[most-1].At, "the file has too many words: the rest is left out", "")
		}
	}
	r.lexed[p] = w
	return w
}

// build reads a link's words in pppd's order: /etc/ppp/options, the command
// line, the files that it names. Later words win.
func (r *Reader) build(l Link, k kind, file string) posture.PPP {
	s := &settings{reader: r}
	if sys := r.own("options"); sys != "" {
		s.file(sys, nil)
	} else if !r.in.IsHost() {
		s.unseen = "no /etc/ppp/options is here, which comes first"
	}
	s.own = true
	s.words(l.Words, nil)
	switch {
	case file != "" && k != system:
		s.file(file, nil)
	case l.File != "":
		s.lost = true
		r.note(posture.Unreadable, l.FileAt, "the option file is not here: ", source.Quote(l.File))
	}
	if k == system {
		s.adopt()
	}
	ppp := s.posture(l, k)
	r.in.Host.PPP = append(r.in.Host.PPP, ppp)
	return ppp
}

// file applies an option file. chain is the files that led to it.
func (s *settings) file(p string, chain []string) {
	if len(chain) >= source.MostNesting || slices.Contains(chain, p) {
		s.reader.note(posture.Limit, posture.Pos{File: s.reader.in.Show(p)}, "option files in a circle or too deep inside each other", "")
		return
	}
	if s.files++; s.files > mostFiles {
		s.reader.note(posture.Limit, posture.Pos{File: s.reader.in.Show(p)}, "one link takes in too many files", "")
		return
	}
	s.words(s.reader.words(p, false), append(slices.Clip(chain), p))
}

// mostFiles bounds the files of one link, counting repeats: files that name each
// other twice would double at every step.
const mostFiles = 64

// words applies words with their arguments.
func (s *settings) words(all []Word, chain []string) {
	var password posture.Pos
	for len(all) > 0 {
		w := all[0]
		all = all[1:]
		n, known := numberOfArguments(w.Text)
		if !known {
			shown := setting.Shown(w.Text)
			if w.At.File == password.File && w.At.Line == password.Line { // a password with a space and without quotes
				shown = setting.Shown("")
			}
			s.reader.note(posture.Unparsed, w.At, "unknown option: ", shown)
			all = nextLine(all) // its arguments are not known either
			continue
		}
		if n > len(all) {
			s.reader.note(posture.Malformed, w.At, "option without its argument: ", source.Quote(w.Text))
			return
		}
		var arg Word
		if n == 1 {
			arg, all = all[0], all[1:]
		}
		if w.Text == "password" {
			password = arg.At
		}
		s.apply(w, arg, chain)
	}
}

func nextLine(all []Word) []Word {
	i := slices.IndexFunc(all, func(w Word) bool { return w.First })
	if i < 0 {
		return nil
	}
	return all[i:]
}

// include applies the file that "file" or "call" names.
func (s *settings) include(w, arg Word, chain []string) {
	r := s.reader
	p := ""
	if w.Text == "call" {
		if !path.IsAbs(arg.Text) && !strings.Contains("/"+arg.Text+"/", "/../") {
			p = r.own(path.Join("peers", arg.Text))
		}
	} else {
		p = r.Locate(arg.Text)
	}
	if p == "" {
		s.lost = true
		r.note(posture.Unreadable, w.At, "the option file is not here: ", source.Quote(arg.Text))
		return
	}
	r.included[p] = true
	s.file(p, chain)
}
