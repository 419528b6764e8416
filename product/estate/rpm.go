package estate

import (
	"encoding/binary"
	"slices"
	"strings"
)

// RPMHeader is the header of a package.
func RPMHeader(name, version, release, vendor string) []byte {
	be := binary.BigEndian
	var index, data []byte
	n := uint32(0)
	for _, e := range []struct {
		tag  uint32
		text string
	}{{1000, name}, {1001, version}, {1002, release}, {1011, vendor}, {1022, "x86_64"}} {
		index = be.AppendUint32(index, e.tag)
		index = be.AppendUint32(index, 6)
		index = be.AppendUint32(index, uint32(len(data)))
		index = be.AppendUint32(index, 1)
		data = append(append(data, e.text...), 0)
		n++
	}
	out := be.AppendUint32(nil, n)
	out = be.AppendUint32(out, uint32(len(data)))
	return slices.Concat(out, index, data)
}

// RPMFile is a package without files.
func RPMFile(header []byte) []byte {
	lead := make([]byte, 96)
	copy(lead, "\xed\xab\xee\xdb\x03\x00")
	magic := []byte("\x8e\xad\xe8\x01\x00\x00\x00\x00")
	payload := "070701" + strings.Repeat("0", 8*11) + "0000000B" + "00000000" + "TRAILER!!!\x00\x00\x00\x00"
	return slices.Concat(lead, magic, make([]byte, 8), magic, header, Gzip([]byte(payload)))
}

// NDB is a database of rpm in the form of its own.
func NDB(headers ...[]byte) []byte {
	b := make([]byte, 4096)
	copy(b, "RpmP")
	le.PutUint32(b[12:], 1)
	le.PutUint32(b[16:], uint32(len(headers)+1))
	for i, h := range headers {
		s := b[32+16*i:]
		copy(s, "Slot")
		le.PutUint32(s[4:], uint32(i+1))
		le.PutUint32(s[8:], uint32(len(b)/16))
		blob := append([]byte("BlbS"), make([]byte, 12)...)
		le.PutUint32(blob[4:], uint32(i+1))
		le.PutUint32(blob[12:], uint32(len(h)))
		blob = append(blob, h...)
		for len(blob)%16 != 0 {
			blob = append(blob, 0)
		}
		le.PutUint32(s[12:], uint32(len(blob)/16))
		b = append(b, blob...)
	}
	return b
}

// BDB is a database of rpm in a hash of Berkeley DB: each header in pages of its own.
func BDB(headers ...[]byte) []byte {
	const page = 4096
	b := make([]byte, 2*page)
	le.PutUint32(b[12:], 0x61561)
	le.PutUint32(b[20:], page)
	b[25] = 8
	p := b[page : 2*page]
	p[25] = 13
	var at []uint16
	end := page
	item := func(v []byte) {
		end -= len(v)
		copy(p[end:], v)
		at = append(at, uint16(end))
	}
	var pages []byte
	next := uint32(2)
	for i, h := range headers {
		item([]byte{1, byte(i + 1), 0, 0, 0})
		v := make([]byte, 12)
		v[0] = 3
		le.PutUint32(v[4:], next)
		le.PutUint32(v[8:], uint32(len(h)))
		item(v)
		for len(h) > 0 {
			o := make([]byte, page)
			n := copy(o[26:], h)
			h = h[n:]
			o[25] = 7
			le.PutUint16(o[22:], uint16(n))
			next++
			if len(h) > 0 {
				le.PutUint32(o[16:], next)
			}
			pages = append(pages, o...)
		}
	}
	le.PutUint16(p[20:], uint16(len(at)))
	for i, v := range at {
		le.PutUint16(p[26+2*i:], v)
	}
	le.PutUint32(b[32:], next-1)
	return append(b, pages...)
}

// SQLite is a database of rpm in SQLite, small enough for two pages.
func SQLite(headers ...[]byte) []byte {
	const page = 1 << 16
	number := func(v int) []byte {
		if v < 0x80 {
			return []byte{byte(v)}
		}
		if v < 0x4000 {
			return []byte{byte(v>>7) | 0x80, byte(v & 0x7f)}
		}
		return []byte{byte(v>>14) | 0x80, byte(v>>7) | 0x80, byte(v & 0x7f)}
	}
	be := binary.BigEndian
	leaf := func(b []byte, at int, rows [][]byte) {
		b[at] = 13
		be.PutUint16(b[at+3:], uint16(len(rows)))
		end := page
		for i, r := range rows {
			cell := slices.Concat(number(len(r)), number(i+1), r)
			end -= len(cell)
			copy(b[end:], cell)
			be.PutUint16(b[at+8+2*i:], uint16(end))
		}
	}
	b := make([]byte, 2*page)
	copy(b, "SQLite format 3\x00\x00\x01\x01\x01\x00\x40\x20\x20")
	be.PutUint32(b[28:], 2)
	text := "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)"
	row := slices.Concat([]byte{7, 13 + 2*5, 13 + 2*8, 13 + 2*8, 1}, number(13+2*len(text)), []byte("tablePackagesPackages\x02"+text))
	leaf(b, 100, [][]byte{row})
	var rows [][]byte
	for _, h := range headers {
		kind := number(12 + 2*len(h))
		rows = append(rows, slices.Concat([]byte{byte(2 + len(kind)), 0}, kind, h))
	}
	leaf(b[page:], 0, rows)
	return b
}
