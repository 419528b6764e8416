// Package products holds the identities of products that ship with Showcause, as
// text: one file for each family, docs/format/identity.md says how they are written.
package products

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml
var files embed.FS

// Files are the files of identities, *.yaml.
func Files() fs.FS { return files }
