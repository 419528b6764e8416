package pe

import (
	"strings"
	"unicode/utf16"
)

const maxPairs = 1 << 14 // of one file

// Pair is a key and value of the version information.
type Pair struct{ Key, Value string }

// Version are the strings of all version resources (StringFileInfo), in order: in
// YARA 4's reading the low bytes of their letters, 63 of a key and 255 of a value;
// in YARA-X's they are UTF-8 (Microsoft, "VS_VERSIONINFO structure").
func (f *File) Version() []Pair {
	if f.version != nil {
		return *f.version
	}
	var out []Pair
	f.version = &out
	r := f.Resources()
	if r == nil {
		return nil
	}
	for i := range r.List {
		x := &r.List[i]
		if x.Type.Number != typeVersion || x.Type.text && f.o.Reading == YARAX || !x.Placed {
			continue
		}
		if f.o.Reading == YARA4 {
			f.version4(x.Offset, &out)
		} else {
			f.versionX(x.Offset, &out)
		}
		if f.cut {
			break
		}
	}
	return out
}

// pair keeps a pair.
func (f *File) pair(out *[]Pair, key, value string) {
	if f.text += int64(len(key) + len(value)); len(*out) >= maxPairs || f.text > ownText {
		f.cut = true
		return
	}
	*out = append(*out, Pair{key, value})
}

// up4 rounds up to a multiple of four.
func up4(n int64) int64 { return (n + 3) &^ 3 }

// node is the length of a node of the version information, 0 if it is not there.
func (f *File) node(off int64) (length, value int64) {
	b := f.bytes(off, 6)
	if b == nil || !f.step(1) {
		return 0, 0
	}
	return int64(le.Uint16(b)), int64(le.Uint16(b[2:]))
}

// keyed tells whether the node at off has a key, as YARA 4 compares it.
func (f *File) keyed(off int64, key string) bool {
	b := f.bytes(off+6, int64(len(key)+1)*2)
	if b == nil {
		return false
	}
	for i := range len(key) {
		if b[2*i] != key[i] || b[2*i+1] != 0 {
			return false
		}
	}
	return b[2*len(key)] == 0 && b[2*len(key)+1] == 0
}

// wide is the length in letters of the UTF-16 string at off, up to its zero, and
// the low bytes of the first limit letters up to one that is zero. ok is false if
// it has no zero.
func (f *File) wide(off int64, limit int) (low string, units int64, ok bool) {
	var out []byte
	ended := false
	for units = 0; ; units++ {
		b := f.bytes(off+2*units, 2)
		if b == nil || units&15 == 0 && !f.step(1) {
			return "", 0, false
		}
		if b[0] == 0 && b[1] == 0 {
			return string(out), units, true
		}
		ended = ended || b[0] == 0
		if !ended && len(out) < limit {
			out = append(out, b[0])
		}
	}
}

// version4 reads one version resource as YARA 4 does. Lengths are rounded up to a
// multiple of four by themselves, so that all stands where the resource does.
func (f *File) version4(at int64, out *[]Pair) {
	const fixed = 6 + 86 // to the end of VS_FIXEDFILEINFO
	if !f.keyed(at, "VS_VERSION_INFO") {
		return
	}
	at += fixed
	for f.keyed(at, "VarFileInfo") {
		n, _ := f.node(at)
		if n == 0 {
			break
		}
		at += up4(n)
	}
	for f.keyed(at, "StringFileInfo") {
		n, _ := f.node(at)
		if n == 0 {
			return
		}
		table, end := at+36, at+up4(n)
		at = end
		for table < end && !f.cut {
			n, _ := f.node(table)
			_, units, ok := f.wide(table+6, 0)
			if n == 0 || !ok {
				break
			}
			s := table + up4(6+2*(units+1))
			table += up4(n)
			f.strings4(s, table, out)
		}
	}
}

// strings4 reads the strings of a table that ends at end.
func (f *File) strings4(s, end int64, out *[]Pair) {
	for s < end && !f.cut {
		n, length := f.node(s)
		key, units, ok := f.wide(s+6, 63)
		if n == 0 || !ok {
			return
		}
		if value, _, ok := f.wide(s+up4(6+2*(units+1)), 255); ok {
			if length == 0 {
				value = ""
			}
			f.pair(out, key, value)
		}
		s += up4(n)
	}
}

// info is a node of the version information as YARA-X reads it.
type info struct {
	key         string
	value       int64
	text        int64 // where the value is
	start, next int64
	end         int64
}

// info reads the node at off of a parent that ends at limit.
func (f *File) info(off, limit int64) (info, bool) {
	n, value := f.node(off)
	end := off + up4(n)
	if n < 6 || end > limit {
		return info{}, false
	}
	key, after, ok := f.utf16(off+6, end)
	at := off + up4(after-off)
	if !ok || at > end {
		return info{}, false
	}
	return info{key: key, value: value, text: at, start: off, next: end, end: end}, true
}

// utf16 is the string at off, up to its zero or to end, as UTF-8, and what is
// behind it.
func (f *File) utf16(off, end int64) (string, int64, bool) {
	var units []uint16
	for off+2 <= end {
		b := f.bytes(off, 2)
		if b == nil || len(units)&255 == 0 && !f.step(1) {
			return "", 0, false
		}
		off += 2
		c := le.Uint16(b)
		if c == 0 {
			return string(utf16.Decode(units)), off, true
		}
		units = append(units, c)
	}
	return string(utf16.Decode(units)), off, off == end
}

// versionX reads one version resource as YARA-X does: a VarFileInfo at most, then
// a StringFileInfo.
func (f *File) versionX(off int64, out *[]Pair) {
	root, ok := f.info(off, f.size)
	if !ok || root.key != "VS_VERSION_INFO" {
		return
	}
	at := root.text
	if root.value > 0 && at+52 <= root.end {
		at += 52
	}
	n, ok := f.info(at, root.end)
	if ok && n.key == "VarFileInfo" {
		n, ok = f.info(n.next, root.end)
	}
	if !ok || n.key != "StringFileInfo" {
		return
	}
	var all []Pair
	for at := n.text; at < n.end && !f.cut; {
		table, ok := f.info(at, n.end)
		if !ok {
			break
		}
		found := false
		for s := table.text; s < table.end && !f.cut; {
			x, ok := f.info(s, table.end)
			if !ok {
				break
			}
			value := ""
			if x.value > 0 {
				value, _, _ = f.utf16(x.text, x.end)
			}
			f.pair(&all, x.key, value)
			found, s = true, x.next
		}
		if !found {
			break
		}
		at = table.next
	}
	*out = append(*out, all...)
}

// Value is the last value of a key, in any case of ASCII letters.
func Value(pairs []Pair, key string) (string, bool) {
	for i := len(pairs) - 1; i >= 0; i-- {
		if strings.EqualFold(pairs[i].Key, key) {
			return pairs[i].Value, true
		}
	}
	return "", false
}
