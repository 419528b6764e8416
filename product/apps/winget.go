package apps

import (
	"path"
	"strings"

	"github.com/showcause/showcause/binary/sqlite"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// winget reads the database of what winget installed: table manifest has the numbers of rows in ids, names
// and versions (microsoft/winget-cli, doc/specs; schema 1.x).
func winget() look.Reader {
	return look.Reader{
		Name: "winget", Method: "records of winget",
		Match: func(f *look.File) bool {
			return path.Base(f.Lower) == "installed.db" && strings.Contains(f.Lower, "winget") && f.Magic("SQLite format 3\x00")
		},
		Read: func(f *look.File, o *look.Out) {
			db := sqlite.Open(f.Source, o.Work)
			words := map[string]map[int64]string{}
			for _, table := range []string{"ids", "names", "versions"} {
				words[table] = map[int64]string{}
				db.Table(table, func(r sqlite.Row) bool {
					for _, c := range r.Columns {
						if s, ok := c.(string); ok {
							words[table][r.ID] = s
						}
					}
					return true
				})
			}
			db.Table("manifest", func(r sqlite.Row) bool {
				number := func(i int) int64 {
					if i < len(r.Columns) {
						n, _ := r.Columns[i].(int64)
						return n
					}
					return 0
				}
				id := words["ids"][number(0)]
				o.Add(product.Observation{
					Platform: product.Winget, Evidence: product.Evidence{Offset: r.Offset, Record: "manifest: " + id},
					Facts: look.Facts("package", id, "title", words["names"][number(1)], "version", words["versions"][number(3)]),
				})
				return true
			})
			o.Short(!db.OK || db.Short())
		},
	}
}
