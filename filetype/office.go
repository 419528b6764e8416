package filetype

import (
	"bytes"

	"github.com/showcause/showcause"
)

// members are the names by which the members of a zip file tell what kind of
// document it is; the first group tells nothing but that it may be one.
var members = [...]struct {
	name string
	t    Type
}{
	{"_rels/.rels", Zip},
	{"[Content_Types].xml", Zip},
	{"docProps/", Zip},
	{"customXml/", Zip},
	{"mimetype", Zip},
	{"version.xml", Zip},
	{"BinData", Zip},
	{"settings.xml", Zip},
	{"Preview/PrvText.txt", Zip},
	{"META-INF/container.xml", Zip},
	{"Contents/content.hpf", ooxmlHWP},
	{"word/", ooxmlWord},
	{"ppt/", ooxmlPPT},
	{"xl/", ooxmlXL},
}

// directorySize is how much of the end of a zip file is looked at for names.
const directorySize = 64 << 10

// office tells Office documents from other zip files as ClamAV does: by the
// names of the first three members, and, where those make it likely, by the
// names of all. It looks at the head and at the end of the directory, not
// at the whole of it.
func office(head []byte, src showcause.Source) Type {
	likely := false
	t := named(head, "PK\x03\x04", 30, 3, &likely)
	if t != Zip || !likely {
		return t
	}
	if t = named(head, "PK\x03\x04", 30, 64, &likely); t != Zip || src == nil {
		return t
	}
	from := max(src.Size()-directorySize, 0)
	tail := make([]byte, src.Size()-from)
	n, _ := src.ReadAt(tail, from)
	return named(tail[:n], "PK\x01\x02", 46, 4096, &likely)
}

// named looks at up to limit records that start with sig and have a name at
// off, and returns the first type that a name tells, Zip if none does.
func named(b []byte, sig string, off, limit int, likely *bool) Type {
	for ; limit > 0; limit-- {
		i := bytes.Index(b, []byte(sig))
		if i < 0 || len(b)-i < off {
			break
		}
		b = b[i+off:]
		for _, m := range members {
			if hasPrefix(b, m.name) {
				if m.t != Zip {
					return m.t
				}
				*likely = true
			}
		}
	}
	return Zip
}
