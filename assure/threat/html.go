package threat

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"time"
)

//go:embed model.html
var pageText string

//go:embed model.css
var style string

var pageTemplate = template.Must(template.New("model").Funcs(template.FuncMap{
	"class": class, "marks": marksText, "place": place, "plural": plural,
	"shown": func(l []Holder) []Holder { return l[:min(len(l), mostShown)] },
}).Parse(pageText))

// HTML writes the model as one file that needs no other, runs no script and may
// load nothing: its policy allows the one style sheet that is inside, by hash.
func (m *Model) HTML(w io.Writer) error {
	sum := sha256.Sum256([]byte(style))
	return pageTemplate.Execute(w, struct {
		*Model
		Style  template.CSS
		Policy string
		Date   string
		Flow   *Diagram
	}{m, template.CSS(style), "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'", m.Created.Format(time.DateOnly), m.Diagram()})
}
