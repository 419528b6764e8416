package inline

import (
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// Manifest looks into the list of parts that an OpenDocument package has (OpenDocument 1.3,
// part 2, 4.8.4): parts that are encrypted stand in the zip as if they were data, and only this list says so.
func Manifest() unpack.Format {
	return unpack.Format{
		Name:  "odf",
		Match: func(p *unpack.Probe) bool { return strings.EqualFold(p.Name, "META-INF/manifest.xml") },
		Walk: func(src showcause.Source, out *unpack.Out) {
			for _, text := range []string{"encryption-data", "e\x00n\x00c\x00r\x00y\x00p\x00t\x00i\x00o\x00n\x00-\x00d\x00a\x00t\x00a"} {
				if at, ok := out.Find(src, 0, []byte(text), nil); ok {
					out.Gap(showcause.Encrypted, at, -1)
					return
				}
			}
		},
	}
}
