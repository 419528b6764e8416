// Package dotnet reads the metadata of .NET assemblies, which stand in PE files.
//
//	data directory 14    CLI header: where the metadata and the resources are
//	metadata             "BSJB", version, stream headers, streams
//	  #~ or #-           tables of types, methods, references; see tables.go
//	  #Strings, #US      names; strings of the program
//	  #GUID, #Blob       identities; signatures and values
//
// Fields are read when they are asked for. Each loop is bounded and charged to
// Options.Work; where a bound was reached, Cut says that there is more than was read.
//
// Sources: ECMA-335, partition II, sections 22 to 25; what YARA 4.5.8 and YARA-X
// 1.19 make of malformed files.
package dotnet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/showcause/showcause/binary/pe"
	"github.com/showcause/showcause/internal/bound"
)

const (
	maxStreams = 256
	maxGUIDs   = 16 // both readers
	maxName    = 1024
	maxNames   = 64 << 10 // bytes of a name in YARA-X's reading, a bound of ours
	maxBlob    = 1 << 20
	ownSteps   = 1 << 20
	ownText    = 64 << 20 // bytes of all that is kept of one file
)

var le = binary.LittleEndian

// Options are how a file is read. The zero value works.
type Options struct {
	// YARA4 follows YARA 4 where it and YARA-X disagree.
	YARA4 bool
	// Work is charged for each step; reading stops where it is false.
	Work func(steps int64) bool
}

// Stream is one stream of the metadata: its offset in the file and its size in
// bytes.
type Stream struct {
	Name         string
	Offset, Size int64
}

// Version is a version of four numbers.
type Version struct{ Major, Minor, Build, Revision uint16 }

// File is a .NET assembly. It is not safe for concurrent use.
type File struct {
	Version string // of the runtime that it was made for
	Streams []Stream

	pe    *pe.File
	win   *bound.Window
	size  int64
	o     Options
	steps int64
	text  int64
	cut   bool

	resources           pe.Directory
	strings, us, blob   Stream
	guid, tables        Stream
	at                  [tableCount]tableAt
	wideS, wideG, wideB bool
	generics            map[uint32][]string // names of parameters by coded owner
	nested              map[int]int
	classes             []Class
	classed             bool
}

// Parse reads the headers. ok is false if the file is no .NET assembly.
func Parse(p *pe.File, o Options) (f *File, ok bool) {
	f = &File{pe: p, win: bound.NewWindow(p.Source()), size: p.Source().Size(), o: o}
	dir, ok := p.Directory(pe.DirCLI)
	if !ok {
		return f, false
	}
	off, ok := p.Offset(uint64(dir.Address))
	if !ok {
		return f, false
	}
	cli := f.bytes(off, 72)
	if cli == nil || le.Uint32(cli) != 72 || o.YARA4 && p.Is64() && p.NumberOfRVAsAndSizes < pe.DirCLI {
		return f, false
	}
	root, size := le.Uint32(cli[8:]), int64(le.Uint32(cli[12:]))
	f.resources = pe.Directory{Address: le.Uint32(cli[24:]), Size: le.Uint32(cli[28:])}
	at, ok := p.Offset(uint64(root))
	if !ok || !f.root(at, size) {
		return f, false
	}
	f.open()
	return f, true
}

// root reads the metadata root (II.24.2.1).
func (f *File) root(at, size int64) bool {
	end := f.size
	if !f.o.YARA4 {
		end = min(end, at+size)
	}
	h := f.bytes(at, 16)
	if h == nil || at+16 > end || le.Uint32(h) != 0x424A5342 {
		return false
	}
	n := int64(le.Uint32(h[12:]))
	if n > 255 || f.o.YARA4 && (n == 0 || n%4 != 0) || at+16+n+4 > end {
		return false
	}
	v := f.bytes(at+16, n)
	if v == nil {
		return false
	}
	version, _, ended := bytes.Cut(v, []byte{0})
	f.Version = string(version)
	if f.o.YARA4 && !ended {
		f.Version = ""
	}
	c := f.bytes(at+16+n+2, 2)
	if c == nil {
		return false
	}
	count := int(le.Uint16(c))
	if f.o.YARA4 {
		count &= 0xff // it reads one byte
	} else if count > maxStreams {
		return false
	}
	return f.streams(at, at+16+n+4, end, min(count, maxStreams)) || f.o.YARA4
}

// streams reads the stream headers (II.24.2.2).
func (f *File) streams(root, at, end int64, count int) bool {
	for range count {
		h := f.bytes(at, 8)
		if h == nil || at+8 > end || !f.step() {
			return false
		}
		s := Stream{Offset: min(root+int64(le.Uint32(h)), 1<<32-1), Size: int64(le.Uint32(h[4:]))}
		limit := min(end-at-8, maxNames)
		if f.o.YARA4 {
			limit = min(limit, 32)
		}
		name, ok := f.cstring(at+8, limit)
		if !ok {
			return false
		}
		s.Name = name
		at += 8 + (int64(len(name))+4)&^3
		f.Streams = append(f.Streams, s)
		switch name {
		case "#~", "#-":
			f.tables = s
		case "#Strings":
			f.strings = s
		case "#US":
			f.us = s
		case "#Blob":
			f.blob = s
		case "#GUID":
			f.guid = s
		}
	}
	return true
}

// Cut tells whether a bound was reached.
func (f *File) Cut() bool { return f.cut }

// Err is the first error of reading.
func (f *File) Err() error { return f.win.Err() }

// step counts a step.
func (f *File) step() bool {
	if f.steps++; f.steps > ownSteps || f.o.Work != nil && !f.o.Work(1) {
		f.cut = true
	}
	return !f.cut
}

// bytes are the n bytes at off, nil if not all are there. They hold until the next
// read.
func (f *File) bytes(off, n int64) []byte {
	if !bound.In(off, n, f.size) || n > maxBlob {
		return nil
	}
	b := f.win.View(off, n)
	if int64(len(b)) == n {
		return b
	}
	out := append(make([]byte, 0, n), b...)
	for int64(len(out)) < n {
		b = f.win.View(off+int64(len(out)), n-int64(len(out)))
		if len(b) == 0 {
			return nil
		}
		out = append(out, b...)
	}
	return out
}

// cstring is the string at off with a zero within limit bytes and one.
func (f *File) cstring(off, limit int64) (string, bool) {
	var out []byte
	for int64(len(out)) <= limit {
		b := f.win.View(off+int64(len(out)), min(64, limit+1-int64(len(out))))
		if len(b) == 0 {
			return "", false
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return f.kept(append(out, b[:i]...)), true
		}
		out = append(out, b...)
	}
	return "", false
}

// kept counts bytes that are kept.
func (f *File) kept(b []byte) string {
	if f.text += int64(len(b)); f.text > ownText {
		f.cut = true
		return ""
	}
	return string(b)
}

// name is a string of the heap of strings (II.24.2.3).
func (f *File) name(index uint32) (string, bool) {
	s := &f.strings
	left := min(s.Size, f.size-s.Offset) - int64(index)
	if s.Name == "" || left <= 0 || !f.step() || !f.o.YARA4 && s.Offset+s.Size > f.size {
		return "", false
	}
	limit := min(left-1, maxNames)
	if f.o.YARA4 {
		limit = min(left-1, maxName)
	}
	v, ok := f.cstring(s.Offset+int64(index), limit)
	if !ok && limit == maxNames {
		f.cut = true
	}
	return v, ok && (f.o.YARA4 || utf8.ValidString(v))
}

// value is a blob of the heap of blobs (II.24.2.4).
func (f *File) value(index uint32) ([]byte, bool) {
	s := &f.blob
	if s.Name == "" || int64(index) >= s.Size || !f.step() || !f.o.YARA4 && s.Offset+s.Size > f.size {
		return nil, false
	}
	at, n, ok := f.length(s.Offset+int64(index), min(s.Offset+s.Size, f.size))
	if !ok {
		return nil, false
	}
	b := f.bytes(at, n)
	if b == nil {
		f.cut = f.cut || n > maxBlob && bound.In(at, n, f.size)
		return nil, false
	}
	return bytes.Clone(b), true
}

// length reads a compressed number at off, and where what follows it begins; false
// if not all of that many bytes are before end.
func (f *File) length(off, end int64) (at, n int64, ok bool) {
	b := f.bytes(off, min(4, f.size-off))
	v, rest, ok := compressed(b)
	if !ok {
		return 0, 0, false
	}
	at = off + int64(len(b)-len(rest))
	return at, int64(v), at+int64(v) <= end
}

// compressed reads a number of one, two or four bytes (II.23.2).
func compressed(b []byte) (v uint32, rest []byte, ok bool) {
	switch {
	case len(b) >= 1 && b[0]&0x80 == 0:
		return uint32(b[0]), b[1:], true
	case len(b) >= 2 && b[0]&0xc0 == 0x80:
		return uint32(b[0]&0x3f)<<8 | uint32(b[1]), b[2:], true
	case len(b) >= 4 && b[0]&0xe0 == 0xc0:
		return uint32(b[0]&0x1f)<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]), b[4:], true
	}
	return 0, nil, false
}

// GUIDs are the identities in the stream of them, sixteen at most.
func (f *File) GUIDs() []string {
	var out []string
	s := &f.guid
	if s.Name == "" || !f.o.YARA4 && s.Offset+s.Size > f.size {
		return nil
	}
	for at := int64(0); at+16 <= s.Size && len(out) < maxGUIDs; at += 16 {
		b := f.bytes(s.Offset+at, 16)
		if b == nil {
			break
		}
		out = append(out, fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16]))
	}
	return out
}

// UserStrings are the strings of the program, UTF-16LE.
func (f *File) UserStrings() []string {
	var out []string
	s := &f.us
	end := min(s.Offset+s.Size, f.size)
	if s.Name == "" || !f.o.YARA4 && s.Offset+s.Size > f.size {
		return nil
	}
	at := s.Offset
	if f.o.YARA4 { // the first is empty
		if b := f.bytes(at, 1); b == nil || b[0] != 0 {
			return nil
		}
		at++
	}
	for at < end && f.step() {
		start, n, ok := f.length(at, end)
		if !ok {
			break
		}
		// A byte that says what kind of letters they are ends each.
		if n >= 3 || n > 0 && f.o.YARA4 {
			b := f.bytes(start, n-1)
			if b == nil {
				f.cut = true
				break
			}
			out = append(out, f.kept(b))
		}
		at = start + n
	}
	return out
}
