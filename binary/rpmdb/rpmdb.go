// Package rpmdb reads headers of RPM packages: those in databases of installed
// packages, in each form that there was, and the one of a package file.
//
//	sqlite   rpmdb.sqlite: table Packages: number, header
//	ndb      Packages.db: "RpmP", 12 pages of slots u32; slots of 16 bytes from 32 on: "Slot", number, block, blocks;
//	         at 16 x block: "BlbS", number, generation, bytes u32, header (little-endian)
//	bdb      Packages: Berkeley DB, hash: 12 magic 0x61561 u32, 20 bytes of a page u32, 32 last page u32; pages: 16 next u32,
//	         20 entries u16, 22 end of data u16, 25 kind u8 (2, 13 hash; 7 long data), 26 places u16, key and value in turn;
//	         a value: 1 and the bytes, or 3, page u32 at 4, bytes u32 at 8
//	header   entries u32, bytes of data u32, entries {tag, type, offset, count u32}, data (big-endian)
//	package  lead of 96 bytes, header of signatures to a multiple of 8, header; each has 8 bytes in front of it
//
// Sources: rpm, docs/manual/format_header.md and lib/backend; Oracle, Berkeley DB, dbinc/db_page.h.
package rpmdb

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/sqlite"
	"github.com/showcause/showcause/internal/bound"
)

const (
	maxHeader  = 16 << 20
	maxEntries = 1 << 16
	maxPages   = 1 << 22
)

// Package is what a header says. Texts are the package's own words.
type Package struct {
	Name, Epoch, Version, Release, Arch, Vendor, Packager, Summary, URL, License, Source string
	// Offset and Length are where the record begins in the file and how long the header is. It may stand in pieces.
	Offset, Length int64
}

// EVR is epoch, version and release as rpm writes them.
func (p *Package) EVR() string {
	s := p.Version
	if p.Release != "" {
		s += "-" + p.Release
	}
	if p.Epoch != "" && p.Epoch != "0" {
		s = p.Epoch + ":" + s
	}
	return s
}

// File is a database or a package.
type File struct {
	Form  string // "sqlite", "ndb", "bdb", "package"; "" if it is none of these
	Short bool   // something was left out: the work was stopped, a bound was reached, or it is damaged
	List  []Package
}

// Parse reads all headers of a source. work is asked for every read; nil is a
// bound of its own.
func Parse(src showcause.Source, work func(steps int64) bool) *File {
	f := &File{}
	r := &reader{f: f, src: src, p: bound.NewProbe(src, work), work: work}
	head := append([]byte(nil), r.p.Bytes(0, min(src.Size(), 96))...)
	switch {
	case bytes.HasPrefix(head, []byte("SQLite format 3\x00")):
		r.sqlite()
	case bytes.HasPrefix(head, []byte("RpmP")):
		r.ndb()
	case bytes.HasPrefix(head, []byte("\xed\xab\xee\xdb")):
		r.pkg()
	case len(head) >= 36 && binary.LittleEndian.Uint32(head[12:]) == hashMagic:
		r.bdb(binary.LittleEndian)
	case len(head) >= 36 && binary.BigEndian.Uint32(head[12:]) == hashMagic:
		r.bdb(binary.BigEndian)
	}
	f.Short = f.Short || r.p.Short() || r.p.Err() != nil
	return f
}

const hashMagic = 0x61561

type reader struct {
	f    *File
	src  showcause.Source
	p    *bound.Probe
	work func(int64) bool
}

func (r *reader) cut() { r.f.Short = true }

// add reads a header.
func (r *reader) add(b []byte, off int64) {
	p, ok := header(b)
	if !ok {
		r.cut()
		return
	}
	p.Offset, p.Length = off, int64(len(b))
	r.f.List = append(r.f.List, p)
}

func (r *reader) sqlite() {
	db := sqlite.Open(r.src, r.work)
	found := db.Table("Packages", func(row sqlite.Row) bool {
		if len(row.Columns) < 2 {
			r.cut()
			return true
		}
		b, _ := row.Columns[1].([]byte)
		r.add(b, row.Offset)
		return true
	})
	if found {
		r.f.Form = "sqlite"
	}
	r.f.Short = r.f.Short || db.Short()
}

func (r *reader) ndb() {
	r.f.Form = "ndb"
	le := binary.LittleEndian
	var pages uint32
	if b := r.p.Bytes(12, 4); b != nil {
		pages = le.Uint32(b)
	} else {
		r.cut()
	}
	end := int64(min(pages, 1<<16)) * 4096
	if pages > 1<<16 || end > r.p.Size() {
		r.cut()
	}
	for at := int64(32); at+16 <= min(end, r.p.Size()); at += 16 {
		s := r.p.Bytes(at, 16)
		if s == nil {
			return
		}
		block := int64(le.Uint32(s[8:])) * 16
		if string(s[:4]) != "Slot" || block == 0 {
			continue
		}
		h := r.p.Bytes(block, 16)
		if h == nil || string(h[:4]) != "BlbS" {
			r.cut()
			continue
		}
		n := int64(le.Uint32(h[12:]))
		r.add(r.p.Bytes(block+16, min(n, maxHeader+1)), block)
	}
}

func (r *reader) bdb(o binary.ByteOrder) {
	r.f.Form = "bdb"
	head := r.p.Bytes(0, 36)
	if head == nil {
		return
	}
	page, last := int64(o.Uint32(head[20:])), int64(o.Uint32(head[32:]))
	if page < 512 || page > 1<<16 || page&(page-1) != 0 || last > maxPages || bound.Mul(last, page) > r.p.Size() {
		r.cut()
	}
	if page < 512 || page > 1<<16 {
		return
	}
	for n := int64(1); n <= min(last, maxPages); n++ {
		b := bytes.Clone(r.p.Bytes(n*page, page))
		if b == nil {
			r.cut()
			return
		}
		if b[25] != 2 && b[25] != 13 {
			continue
		}
		entries := int(o.Uint16(b[20:]))
		for i := 1; i < entries; i += 2 { // values
			at, end := place(o, b, i), place(o, b, i-1)
			if at < 26 || at >= int(page) || end <= at || end > int(page) {
				r.cut()
				continue
			}
			switch v := b[at:end]; {
			case v[0] == 1:
				if len(v) > 9 { // the first record is the greatest number
					r.add(v[1:], n*page+int64(at))
				}
			case v[0] == 3 && len(v) >= 12:
				r.add(r.long(o, page, int64(o.Uint32(v[4:])), int64(o.Uint32(v[8:]))), n*page+int64(at))
			default:
				r.cut()
			}
		}
	}
}

// place is where item i of a page begins, -1 if it has none.
func place(o binary.ByteOrder, b []byte, i int) int {
	if 26+2*i+2 > len(b) {
		return -1
	}
	return int(o.Uint16(b[26+2*i:]))
}

// long reads data of n bytes in a chain of pages.
func (r *reader) long(o binary.ByteOrder, page, at, n int64) (out []byte) {
	for at > 0 && int64(len(out)) < n && n <= maxHeader {
		b := r.p.Bytes(bound.Mul(at, page), page)
		if b == nil || b[25] != 7 {
			return nil
		}
		used := min(int64(o.Uint16(b[22:])), page-26, n-int64(len(out)))
		if used == 0 {
			return nil
		}
		out = append(out, b[26:26+used]...)
		at = int64(o.Uint32(b[16:]))
	}
	return out
}

// pkg reads the header of a package file.
func (r *reader) pkg() {
	r.f.Form = "package"
	at := int64(96)
	for i := range 2 {
		h := r.p.Bytes(at, 16)
		if h == nil || string(h[:3]) != "\x8e\xad\xe8" {
			r.cut()
			return
		}
		n := 8 + 16*int64(binary.BigEndian.Uint32(h[8:])) + int64(binary.BigEndian.Uint32(h[12:]))
		if i == 1 {
			r.add(r.p.Bytes(at+8, min(n, maxHeader+1)), at)
			return
		}
		at += (8 + n + 7) &^ 7
	}
}

// Tags of a header (rpm, docs/manual/tags.md).
const (
	tagName = 1000 + iota
	tagVersion
	tagRelease
	tagEpoch
	tagSummary
)

const (
	tagVendor   = 1011
	tagLicense  = 1014
	tagPackager = 1015
	tagURL      = 1020
	tagArch     = 1022
	tagSource   = 1044
)

// header reads a header. ok is false if it is none, or has no name.
func header(b []byte) (p Package, ok bool) {
	if len(b) < 8 || len(b) > maxHeader {
		return p, false
	}
	be := binary.BigEndian
	n, size := int64(be.Uint32(b)), int64(be.Uint32(b[4:]))
	if n > maxEntries || 8+16*n+size > int64(len(b)) {
		return p, false
	}
	data := b[8+16*n:][:size]
	texts := map[uint32]*string{
		tagName: &p.Name, tagVersion: &p.Version, tagRelease: &p.Release, tagSummary: &p.Summary, tagVendor: &p.Vendor,
		tagLicense: &p.License, tagPackager: &p.Packager, tagURL: &p.URL, tagArch: &p.Arch, tagSource: &p.Source,
	}
	for i := range n {
		e := b[8+16*i:]
		tag, kind, off := be.Uint32(e), be.Uint32(e[4:]), int64(be.Uint32(e[8:]))
		if off >= size {
			continue
		}
		if t := texts[tag]; t != nil && (kind == 6 || kind == 9) {
			if z := bytes.IndexByte(data[off:], 0); z >= 0 {
				*t = string(data[off : off+int64(z)])
			}
		}
		if tag == tagEpoch && kind == 4 && off+4 <= size {
			p.Epoch = strconv.FormatUint(uint64(be.Uint32(data[off:])), 10)
		}
	}
	return p, p.Name != ""
}
