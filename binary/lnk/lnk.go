// Package lnk reads shell links, the shortcuts of Windows. A link that is cut off or
// does not end as it should is none, as YARA-X has it.
//
// Sources: Microsoft, [MS-SHLLINK]; J. Metz, "Windows Shell Item format
// specification" (libfwsi) for what is in the items; lib/src/modules/lnk of YARA-X.
package lnk

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

const (
	headerSize = 76
	classID    = "\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"
	maxText    = 1 << 20 // bytes of a path
	tracker    = 0xa0000003
)

// Flags of the header.
const (
	hasTargets = 1 << iota
	hasInfo
	hasName
	hasRelative
	hasWorking
	hasArguments
	hasIcon
	isUnicode
)

// Text is a text that may be absent. It is UTF-8, with U+FFFD for what is none.
type Text struct {
	Value string
	Have  bool
}

// File is a shell link. Times are FILETIMEs: 100 nanoseconds since 1601, UTC.
type File struct {
	OK bool // it is one; if not, nothing else counts but Short and Unended
	// Unended says that it is whole but for the block that ends it: the file ends there.
	// Windows reads such links.
	Unended bool

	Attributes                 uint32 // of the target
	Created, Accessed, Written uint64
	Size                       uint32 // of the target, modulo 2^32
	Icon, Show                 uint32

	Targets []Item // of the list of item IDs

	HasVolume         bool // drive type and serial number are there
	DriveType, Serial uint32
	Label             Text
	BasePath          Text
	PathSuffix        Text
	Name              Text
	RelativePath      Text
	WorkingDir        Text
	Arguments         Text
	IconLocation      Text
	Tracker           *Tracker
	OverlayOffset     int64 // where the link ends
	OverlaySize       int64

	p *bound.Probe
}

// Tracker is where the link tracking service last saw the target.
type Tracker struct {
	Version                                       uint32
	Machine, Volume, File, BirthVolume, BirthFile string
}

// Parse reads a link; OK says whether src is one. work is asked for every read; nil
// is a bound of its own.
func Parse(src showcause.Source, work func(steps int64) bool) *File {
	f := &File{p: bound.NewProbe(src, work)}
	h := f.p.Bytes(0, headerSize)
	if h == nil || binary.LittleEndian.Uint32(h) != headerSize || string(h[4:20]) != classID {
		return f
	}
	u32, u64 := binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	flags := u32(h[20:])
	f.Attributes, f.Created, f.Accessed, f.Written = u32(h[24:]), u64(h[28:]), u64(h[36:]), u64(h[44:])
	f.Size, f.Icon, f.Show = u32(h[52:]), u32(h[56:]), u32(h[60:])
	at, ok := int64(headerSize), true
	if flags&hasTargets != 0 {
		at, ok = f.targets(at)
	}
	if ok && flags&hasInfo != 0 {
		at, ok = f.info(at)
	}
	for i, t := range []*Text{&f.Name, &f.RelativePath, &f.WorkingDir, &f.Arguments, &f.IconLocation} {
		if ok && flags&(hasName<<i) != 0 {
			at, ok = f.data(at, t, flags&isUnicode != 0)
		}
	}
	if ok {
		at, ok = f.extra(at)
	}
	f.OK = ok
	f.OverlayOffset, f.OverlaySize = at, src.Size()-at
	return f
}

// Short says that something was left out, because the work was stopped, a bound of
// this package was reached, or the source could not be read.
func (f *File) Short() bool { return f.p.Short() || f.p.Err() != nil }

func (f *File) number(at int64, size int) (uint32, bool) {
	v, ok := f.p.Uint(binary.LittleEndian, at, size)
	return uint32(v), ok
}

// text reads a text that ends in a zero or at end.
func (f *File) text(at, end int64, wide bool) Text {
	if at > end {
		return Text{}
	}
	if !wide {
		s, ended := f.p.Text(at, min(end-at, maxText))
		if !ended && end-at > maxText {
			f.p.Cut()
		}
		return Text{lossy(s), true}
	}
	n := min(end-at, maxText) &^ 1
	return Text{wideText(f.p.Bytes(at, n)), true}
}

// wideText decodes UTF-16 up to a zero.
func wideText(b []byte) string {
	var units []uint16
	for ; len(b) > 1; b = b[2:] {
		u := binary.LittleEndian.Uint16(b)
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

func lossy(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// data reads a text with its length before it.
func (f *File) data(at int64, t *Text, wide bool) (int64, bool) {
	n, ok := f.number(at, 2)
	size := int64(n)
	if wide {
		size *= 2
	}
	at += 2
	if !ok || !f.p.Has(at, size) {
		return 0, false
	}
	b := f.p.Bytes(at, size)
	if b == nil && size > 0 {
		return 0, false
	}
	if *t = (Text{lossy(string(b)), true}); wide {
		t.Value = wideText(b)
	}
	return at + size, true
}

// info reads where the target was when the link was made.
func (f *File) info(at int64) (int64, bool) {
	b := f.p.Bytes(at, 28)
	if b == nil {
		return 0, false
	}
	var n [7]uint32 // size, size of the header, flags, offsets: volume, base path, network, suffix
	for i := range n {
		n[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	var wide [2]uint32 // offsets of base path and suffix in UTF-16
	if n[1] >= 0x24 {
		for i := range wide {
			v, ok := f.number(at+28+4*int64(i), 4)
			if !ok {
				return 0, false
			}
			wide[i] = v
		}
	}
	end := at + int64(n[0])
	if !f.p.Has(at, int64(n[0])) {
		return 0, false
	}
	path := func(narrow, wide uint32) Text {
		if wide > 0 {
			return f.text(at+int64(wide), end, true)
		}
		return f.text(at+int64(narrow), end, false)
	}
	const volume, network = 1, 2
	if n[2]&volume != 0 {
		f.volume(at+int64(n[3]), end)
		f.BasePath = path(n[4], wide[0])
	}
	if n[2]&network != 0 {
		f.PathSuffix = path(n[6], wide[1])
	}
	return end, true
}

// volume reads the volume of the target, as far as it is there.
func (f *File) volume(at, end int64) {
	if !bound.In(at, 16, end) {
		return
	}
	b := f.p.Bytes(at, 16)
	if b == nil {
		return
	}
	u32 := binary.LittleEndian.Uint32
	f.HasVolume, f.DriveType, f.Serial = true, u32(b[4:]), u32(b[8:])
	size, label := int64(u32(b)), int64(u32(b[12:]))
	if !bound.In(at, size, end) {
		return
	}
	if label != 0x14 {
		f.Label = f.text(at+label, end, false)
		return
	}
	// The label is in UTF-16, and where it is stands in the next field.
	if v, ok := f.number(at+16, 4); ok && bound.In(at+16, 4, end) {
		f.Label = f.text(at+int64(v), at+size, true)
	}
}

// extra reads the blocks at the end of a link and returns where it ends.
func (f *File) extra(at int64) (int64, bool) {
	for {
		size, ok := f.number(at, 4)
		if !ok {
			f.Unended = !f.Short()
			return 0, false
		}
		if size < 4 {
			return at + 4, true
		}
		if !f.p.Has(at, int64(size)) {
			return 0, false
		}
		if kind, ok := f.number(at+4, 4); ok && size >= 8 && kind == tracker {
			f.track(at+8, at+int64(size))
		}
		at += int64(size)
	}
}

func (f *File) track(at, end int64) {
	b := f.p.Bytes(at, 88)
	if b == nil || at+88 > end {
		return
	}
	machine, _, _ := strings.Cut(string(b[8:24]), "\x00")
	f.Tracker = &Tracker{
		Version: binary.LittleEndian.Uint32(b[4:]), Machine: lossy(machine),
		Volume: guid(b[24:]), File: guid(b[40:]), BirthVolume: guid(b[56:]), BirthFile: guid(b[72:]),
	}
}

// guid writes the identifier in the first 16 bytes.
func guid(b []byte) string {
	x := []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]}
	s := hex.EncodeToString(append(x, b[8:16]...))
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
