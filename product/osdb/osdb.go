// Package osdb reads databases of installed packages, and what packages say of
// themselves: one file for each.
package osdb

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/product/look"
)

// places are where systems keep their databases, from their root on.
var places = []string{"/usr/lib/apk/db/", "/usr/lib/sysimage/rpm/", "/usr/share/rpm/", "/var/lib/dpkg/", "/var/lib/rpm/", "/lib/apk/db/"}

// databases are the files in these places, by the last name of the place.
var databases = map[string][]string{"dpkg": {"status"}, "apk": {"installed"}, "rpm": {"rpmdb.sqlite", "packages", "packages.db"}}

// Within is how many bytes at the start of a path, in small letters, are the folder that is the root of another
// system, whose database stands there: a root for chroot, a machine's or a container's. 0: the tree's own, or the
// place tells nothing.
func Within(lower string) int {
	at := len(lower)
	for _, place := range places {
		if i := strings.Index(lower, place); i >= 0 {
			at = min(at, i)
		}
	}
	return at % max(len(lower), 1)
}

// Lost tells whether a path, in small letters, is where a system keeps a database, and where it led, a link's value in small
// letters, is not known to be one: what stands there would not be read. What is no link, and neither file nor folder, leads to "".
func Lost(lower, to string) bool {
	if to != "" && to[0] != '/' {
		to = path.Dir(lower) + "/" + to
	}
	at := path.Clean(to)
	for _, place := range places {
		for _, file := range databases[path.Base(strings.TrimSuffix(place, "/db/"))] {
			switch lower + "/" {
			case place:
				at = path.Clean(to) + "/" + file
			case place + file + "/":
			default:
				continue
			}
			f := &look.File{Path: at, Lower: at}
			if to == "" || !slices.ContainsFunc([]look.Reader{dpkg(), apk(), rpm()}, func(r look.Reader) bool { return r.Match(f) }) {
				return true
			}
		}
	}
	return false
}

// Readers are the readers of this package.
func Readers() []look.Reader {
	return []look.Reader{dpkg(), control(), apk(), apkPackage(), rpm(), snap(), snapState(), flatpak(), brew(), msi(), receipt(), android(), system()}
}

// maxDatabase is how many bytes of a database in text are read.
const maxDatabase = 128 << 20

// stanza is a record of lines "Key: value"; of keys that stand twice the first counts, and twice has the others' values.
type stanza struct {
	off, n int64
	fields map[string]string
	twice  map[string][]string
}

// names are what a record calls its package. None, or more than one, is a gap: the record was not understood.
func (s *stanza) names(o *look.Out, key string) []string {
	names := append([]string{s.fields[key]}, s.twice[key]...)
	if names[0] == "" || len(names) > 1 {
		o.Unread(showcause.Corrupt, s.off, s.n, "a record without a name of its package, or with more than one")
	}
	return names
}

// maxTwice is how many values of a key that stands again are kept: one more than none is a gap already.
const maxTwice = 100

// stanzas gives the records of a text, empty lines between, until visit returns false. What stands
// between the key and the value is sep.
func stanzas(b []byte, sep string, visit func(stanza) bool) {
	s := stanza{fields: map[string]string{}, twice: map[string][]string{}}
	for at := 0; at < len(b); {
		line := b[at:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			s.n = int64(at) - s.off
			if len(s.fields) > 0 && !visit(s) {
				return
			}
			s = stanza{off: int64(at + len(line)), fields: map[string]string{}, twice: map[string][]string{}}
		} else if k, v, ok := strings.Cut(text, sep); ok && text[0] != ' ' && text[0] != '\t' {
			if _, twice := s.fields[k]; !twice {
				s.fields[k] = strings.TrimSpace(v)
			} else if len(s.twice[k]) < maxTwice {
				s.twice[k] = append(s.twice[k], strings.TrimSpace(v))
			}
		}
		at += len(line)
	}
	s.n = int64(len(b)) - s.off
	if len(s.fields) > 0 {
		visit(s)
	}
}
