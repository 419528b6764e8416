// Package sqlite reads tables of SQLite databases as they stand in the file.
//
//	0     "SQLite format 3\0", 16 bytes of a page u16 (1: 65,536), 20 unused bytes of each u8 (big-endian)
//	100   of page 1: the tree of the table of tables: type, name, table, root page, text
//	page  0 kind u8 (5 inner, 13 leaf of a table), 3 cells u16, 8 last page u32 (inner), places of cells u16
//	cell  inner: page u32, row number; leaf: bytes of the row, row number, row; what does not fit stands in a chain of pages
//	row   bytes of its head, kinds of the columns, columns
//
// Source: SQLite, "Database File Format". Rows that are only in a log (-wal) are not seen.
package sqlite

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

const (
	maxDepth  = 24
	maxRow    = 16 << 20
	maxTables = 1000
)

// File is a database.
type File struct {
	OK bool // it is one; if not, nothing else counts but Short

	p      *bound.Probe
	page   int64
	usable int64
	seen   map[int64]bool
	bad    bool
}

// Open reads the header; OK says whether src is a database. work is asked for
// every read; nil is a bound of its own.
func Open(src showcause.Source, work func(steps int64) bool) *File {
	f := &File{p: bound.NewProbe(src, work)}
	h := f.p.Bytes(0, 100)
	if h == nil || string(h[:16]) != "SQLite format 3\x00" {
		return f
	}
	f.page = int64(binary.BigEndian.Uint16(h[16:]))
	if f.page == 1 {
		f.page = 1 << 16
	}
	f.usable = f.page - int64(h[20])
	f.OK = f.page >= 512 && f.page&(f.page-1) == 0 && f.usable >= 480
	return f
}

// Short says that something was left out: the work was stopped, a bound was reached, or
// the file is damaged there.
func (f *File) Short() bool { return f.bad || f.p.Short() || f.p.Err() != nil }

// Row is a row: its number, where its cell begins in the file, and its columns, nil,
// int64, float64, string or []byte.
type Row struct {
	ID      int64
	Offset  int64
	Columns []any
}

// Table gives the rows of a table, in order, until visit returns false. It is
// false if there is no such table.
func (f *File) Table(name string, visit func(Row) bool) bool {
	if !f.OK {
		return false
	}
	root, n := int64(0), 0
	f.seen = map[int64]bool{}
	f.tree(1, 0, func(r Row) bool {
		if n++; len(r.Columns) >= 4 && r.Columns[0] == "table" && r.Columns[1] == name {
			root, _ = r.Columns[3].(int64)
		}
		return root == 0 && n < maxTables
	})
	if root < 1 {
		return false
	}
	f.seen = map[int64]bool{}
	f.tree(root, 0, visit)
	return true
}

// tree visits the rows below a page; each page is entered once.
func (f *File) tree(page int64, depth int, visit func(Row) bool) bool {
	if page < 1 || depth > maxDepth || f.seen[page] {
		f.bad = true
		return true
	}
	f.seen[page] = true
	at := bound.Mul(page-1, f.page)
	b := f.p.Bytes(at, f.page)
	if b == nil {
		f.bad = true
		return true
	}
	b = bytes.Clone(b)
	h := b
	if page == 1 {
		h = b[100:]
	}
	inner := h[0] == 5
	if !inner && h[0] != 13 {
		f.bad = true
		return true
	}
	cells, cell := int(binary.BigEndian.Uint16(h[3:])), 8
	if inner {
		cell = 12
	}
	for i := range cells {
		if cell+2*i+2 > len(h) {
			f.bad = true
			return true
		}
		p := int64(binary.BigEndian.Uint16(h[cell+2*i:]))
		if p+4 > int64(len(b)) {
			f.bad = true
			continue
		}
		if inner {
			if !f.tree(int64(binary.BigEndian.Uint32(b[p:])), depth+1, visit) {
				return false
			}
			continue
		}
		if r, ok := f.row(b, p, at); !ok {
			f.bad = true
		} else if !visit(r) {
			return false
		}
	}
	if inner {
		return f.tree(int64(binary.BigEndian.Uint32(h[8:])), depth+1, visit)
	}
	return true
}

// varint reads a number of at most nine bytes; n is 0 if it is cut off.
func varint(b []byte) (v uint64, n int) {
	for i, c := range b {
		if i == 8 {
			return v<<8 | uint64(c), 9
		}
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// row reads the cell of a leaf at p of a page.
func (f *File) row(b []byte, p, at int64) (r Row, ok bool) {
	size, n := varint(b[p:])
	if n == 0 || size > maxRow {
		return r, false
	}
	id, m := varint(b[p+int64(n):])
	if m == 0 {
		return r, false
	}
	r.ID, r.Offset = int64(id), at+p
	body := b[p+int64(n+m):]
	local := f.local(int64(size))
	if local > int64(len(body)) {
		return r, false
	}
	data := bytes.Clone(body[:local])
	if local < int64(size) {
		if local+4 > int64(len(body)) {
			return r, false
		}
		next := int64(binary.BigEndian.Uint32(body[local:]))
		for int64(len(data)) < int64(size) {
			want := min(int64(size)-int64(len(data)), f.usable-4)
			if next < 1 {
				return r, false
			}
			o := f.p.Bytes(bound.Mul(next-1, f.page), 4+want)
			if o == nil {
				return r, false
			}
			next = int64(binary.BigEndian.Uint32(o))
			data = append(data, o[4:]...)
		}
	}
	r.Columns, ok = columns(data)
	return r, ok
}

// local is how many bytes of a row stand in the leaf.
func (f *File) local(size int64) int64 {
	most := f.usable - 35
	if size <= most {
		return size
	}
	least := (f.usable-12)*32/255 - 23
	if k := least + (size-least)%(f.usable-4); k <= most {
		return k
	}
	return least
}

func columns(b []byte) (out []any, ok bool) {
	head, n := varint(b)
	if n == 0 || head > uint64(len(b)) || head < uint64(n) {
		return nil, false
	}
	kinds, data := b[n:head], b[head:]
	for len(kinds) > 0 {
		k, n := varint(kinds)
		if n == 0 {
			return nil, false
		}
		kinds = kinds[n:]
		size := uint64(0)
		switch {
		case k <= 6:
			size = []uint64{0, 1, 2, 3, 4, 6, 8}[k]
		case k == 7:
			size = 8
		case k >= 12:
			size = (k - 12) / 2
		}
		if size > uint64(len(data)) {
			return nil, false
		}
		v := data[:size]
		data = data[size:]
		switch {
		case k == 0, k == 10, k == 11:
			out = append(out, nil)
		case k <= 6:
			out = append(out, signed(v))
		case k == 7:
			out = append(out, math.Float64frombits(binary.BigEndian.Uint64(v)))
		case k <= 9:
			out = append(out, int64(k-8))
		case k%2 == 0:
			out = append(out, v)
		default:
			out = append(out, string(v))
		}
	}
	return out, true
}

func signed(b []byte) int64 {
	v := int64(int8(b[0]))
	for _, c := range b[1:] {
		v = v<<8 | int64(c)
	}
	return v
}
