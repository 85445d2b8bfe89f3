package threat

import (
	"encoding/json"
	"io"
)

// JSON writes the model as one document. What could end a script in a page is
// written as numbers, so that the document may be embedded.
func (m *Model) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(m)
}
