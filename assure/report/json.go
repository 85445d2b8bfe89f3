package report

import (
	"encoding/json"
	"io"
)

// JSON writes the document that the schema describes.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
