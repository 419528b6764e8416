package osdb

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// dpkg reads the database of Debian: /var/lib/dpkg/status or one elsewhere, and status.d of images
// without dpkg (deb822(5), dpkg-query(1)).
func dpkg() look.Reader {
	return look.Reader{
		Name: "dpkg", Method: "records of dpkg",
		Match: func(f *look.File) bool {
			return path.Base(f.Lower) == "status" && (strings.HasSuffix(f.Lower, "/dpkg/status") || f.Magic("Package: ")) ||
				strings.HasSuffix(path.Dir(f.Lower), "/dpkg/updates") || // changes that are not in status yet
				path.Base(path.Dir(f.Lower)) == "status.d" && strings.Contains(f.Lower, "/dpkg/") && !strings.HasSuffix(f.Lower, ".md5sums")
		},
		Read: func(f *look.File, o *look.Out) { readDeb(f, o, product.Installed) },
	}
}

// control reads what a package of Debian says of itself.
func control() look.Reader {
	return look.Reader{
		Name: "deb", Method: "control files of .deb packages",
		Match: func(f *look.File) bool { return path.Base(f.Lower) == "control" && f.Magic("Package:") },
		Read:  func(f *look.File, o *look.Out) { readDeb(f, o, product.Installer) },
	}
}

func readDeb(f *look.File, o *look.Out, class product.Class) {
	b, ok := f.Bytes(o, maxDatabase)
	if !ok {
		return
	}
	stanzas(b, ":", func(s stanza) bool {
		s.capital()
		c, state := class, s.fields["Status"]
		if word := strings.Fields(state); class == product.Installed && len(word) > 0 {
			switch word[len(word)-1] {
			case "not-installed":
				return true
			case "config-files":
				c = product.Remnant
			}
		}
		for _, name := range s.names(o, "Package") {
			o.Add(product.Observation{
				Platform: product.Deb, Class: c,
				Evidence: product.Evidence{Offset: s.off, Length: s.n, Record: "Package: " + name},
				Facts: look.Facts("package", name, "version", s.fields["Version"], "publisher", s.fields["Maintainer"], "status", state,
					"title", firstLine(s.fields["Description"])),
			})
		}
		return o.Work(1)
	})
}

// capital gives the fields that are read the spelling that is used here: dpkg takes them in letters of any case, and
// takes space before the colon; a mark of the order of bytes is no part of a name.
func (s *stanza) capital() {
	for _, want := range []string{"Package", "Status", "Version", "Maintainer", "Description"} {
		for _, k := range slices.Sorted(maps.Keys(s.fields)) {
			if k != want && strings.EqualFold(strings.TrimSpace(strings.TrimPrefix(k, "\ufeff")), want) {
				values := append([]string{s.fields[k]}, s.twice[k]...)
				if _, twice := s.fields[want]; !twice {
					s.fields[want], values = values[0], values[1:]
				}
				s.twice[want] = append(s.twice[want], values...)
			}
		}
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
