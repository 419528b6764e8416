package archive

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var (
	arMagic = []byte("!<arch>\n")
	arThin  = []byte("!<thin>\n")
)

// arOutside says of a thin archive that its members stand elsewhere.
const arOutside = showcause.Unsupported + ".format.ar-thin"

// arHeader is the size in bytes of a member's header.
const arHeader = 60

// Ar reads ar archives (ar(5)), and so Debian packages and static libraries.
//
//	magic, then for each member: name (16 bytes), date (12), owner (6),
//	group (6), mode (8), size (10), "`\n", content padded to two bytes
//
// Long names stand in a member "//" (System V, GNU: "/123") or before the
// content (BSD: "#1/20"). Every member is a child, "ar.file", the tables too.
// The members of a thin archive are other files, which is a gap; only its tables
// stand in it.
func Ar() unpack.Format {
	return unpack.Format{
		Name:  "ar",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, arMagic) || bytes.HasPrefix(p.Head, arThin) },
		Walk:  arWalk,
	}
}

func arWalk(src showcause.Source, out *unpack.Out) {
	magic := bound.Head(src, len(arMagic))
	thin := bytes.Equal(magic, arThin)
	var names []byte
	outside := false
	for off := int64(len(arMagic)); off < src.Size() && out.Work(1024); {
		b, _ := bound.ReadAt(src, off, min(arHeader, src.Size()-off), arHeader)
		name, size, ok := parseAr(b)
		if !ok {
			if src.Size()-off == 1 && b[0] == '\n' {
				return // padding behind the last member
			}
			next, found := arNext(src, out, off+1)
			if !out.Lost(src, off, next, found) {
				return
			}
			off = next
			continue
		}
		data := off + arHeader
		next := bound.Add(data, size)
		next = bound.Add(next, next&1)
		table := name == "/" || name == "//" || name == "/SYM64/"
		switch {
		case name == "//":
			names, _ = bound.ReadAt(src, data, min(size, tarMaxPax), tarMaxPax)
		case thin && !table:
			if !outside {
				out.Gap(arOutside, off, -1)
			}
			outside = true
			off = data
			continue
		case strings.HasPrefix(name, "#1/"):
			name, data, size = arBSD(src, name, data, size)
		case !table:
			name = arGNU(name, names)
		}
		if !out.Section(src, "ar.file", name, data, size) {
			return
		}
		off = next
	}
}

// parseAr reads a member's header.
func parseAr(b []byte) (name string, size int64, ok bool) {
	if len(b) < arHeader || b[58] != '`' || b[59] != '\n' {
		return "", 0, false
	}
	v, err := strconv.ParseUint(strings.TrimRight(string(b[48:58]), " "), 10, 63)
	return strings.TrimRight(string(b[:16]), " "), int64(v), err == nil
}

// arNext looks for a member's header from off on.
func arNext(src showcause.Source, out *unpack.Out, off int64) (int64, bool) {
	at, ok := out.Find(src, bound.Add(off, 58), []byte("`\n"), nil)
	for ok && out.Work(512) {
		b, _ := bound.ReadAt(src, at-58, arHeader, arHeader)
		if _, _, good := parseAr(b); good && digits(bytes.TrimRight(b[40:48], " "), 8) {
			return at - 58, true
		}
		at, ok = out.Find(src, at+1, []byte("`\n"), nil)
	}
	return 0, false
}

// arBSD takes the name from the start of the content.
func arBSD(src showcause.Source, name string, data, size int64) (string, int64, int64) {
	n, err := strconv.ParseInt(name[3:], 10, 63)
	if err != nil || n < 0 || n > size {
		return name, data, size
	}
	b, _ := bound.ReadAt(src, data, min(n, unpack.MaxName), unpack.MaxName)
	return cstring(b), data + n, size - n
}

// arGNU takes a name from the table, where it ends with "/\n", or strips the
// slash that ends a short one.
func arGNU(name string, names []byte) string {
	if n, err := strconv.Atoi(strings.TrimPrefix(name, "/")); err == nil && name[0] == '/' && n >= 0 && n < len(names) {
		b := names[n:min(len(names), n+unpack.MaxName)]
		if i := bytes.IndexAny(b, "\n\x00"); i >= 0 {
			b = b[:i]
		}
		name = string(b)
	}
	return strings.TrimSuffix(name, "/")
}
