package lnk

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/showcause/showcause"
)

func wide(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func u16(v int) string { return string(binary.LittleEndian.AppendUint16(nil, uint16(v))) }

func u32(v ...int) (s string) {
	for _, n := range v {
		s += string(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	}
	return s
}

const id16 = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"

// build writes a link with everything that is read, and an overlay.
func build(unicode, wideInfo bool) []byte {
	flags := 0x7f
	text := func(s string) string { return u16(len(s)) + s }
	if unicode {
		flags |= isUnicode
		text = func(s string) string { return u16(len(wide(s))/2) + wide(s) }
	}
	item := func(s string) string { return u16(len(s)+2) + s }
	list := item("\x1f\x50"+id16) + item("\x2fC:\\\x00\x00\x00") + item("\x2e\x00"+id16) +
		item("\x31\x00"+u32(0, 0)+u16(16)+"WINDOWS\x00\x00") + item("\x36\x00"+u32(0, 0)+u16(16)+wide("Datei.txt")+"\x00\x00") +
		item("\x42\x00\x00\\\\server\\share\x00") + item("\x00"+strings.Repeat("\x00", 21)+wide("C:\\evil.cpl")+"\x00\x00") + item("\x61?") + "\x00\x00"
	volume := u32(17+4, 3, 0x12345678, 16) + "DISK\x00"
	if wideInfo {
		volume = u32(20+10, 3, 0x12345678, 0x14, 20) + wide("Disk") + "\x00\x00"
	}
	header := 28
	if wideInfo {
		header = 36
	}
	base, suffix := "C:\\base\x00", "suffix\x00"
	at := []int{header, header + len(volume), header + len(volume) + len(base)}
	end := at[2] + len(suffix)
	info := u32(header, 3, at[0], at[1], 0, at[2])
	tail := ""
	if wideInfo {
		info += u32(end, end+len(wide("C:\\Bäse"))+2)
		tail = wide("C:\\Bäse") + "\x00\x00" + wide("Süffix") + "\x00\x00"
	}
	info = u32(end+len(tail)) + info + volume + base + suffix + tail
	b := u32(headerSize) + classID + u32(flags, 0x20) + u32(0, 0x1d00000, 0, 0x1d10000, 0, 0x1d20000) + u32(4096, 7, 3) + strings.Repeat("\x00", 12)
	b += u16(len(list)) + list + info
	for _, s := range []string{"a name", "..\\relative", "C:\\work", "-arg é", "icon.dll"} {
		b += text(s)
	}
	track := u32(96, tracker, 88, 0) + "machine" + strings.Repeat("\x00", 9) + strings.Repeat(id16, 4)
	return []byte(b + u32(12, 0xa0000001) + "abcd" + track + u32(0) + "overlay")
}

func TestFile(t *testing.T) {
	for i := range 4 {
		unicode, wideInfo := i&1 != 0, i&2 != 0
		b := build(unicode, wideInfo)
		f := Parse(showcause.Bytes(b), nil)
		if !f.OK {
			t.Fatalf("%d: no link", i)
		}
		const id = "04030201-0605-0807-090a-0b0c0d0e0f10"
		have := func(s string) Text { return Text{s, true} }
		arguments, base, suffix, label := have("-arg é"), "C:\\base", "suffix", "DISK"
		if wideInfo {
			base, suffix, label = "C:\\Bäse", "Süffix", "Disk"
		}
		want := &File{
			OK:         true,
			Attributes: 0x20, Created: 0x1d00000 << 32, Accessed: 0x1d10000 << 32, Written: 0x1d20000 << 32, Size: 4096, Icon: 7, Show: 3,
			HasVolume: true, DriveType: 3, Serial: 0x12345678, Label: have(label), BasePath: have(base), PathSuffix: have(suffix),
			Name: have("a name"), RelativePath: have("..\\relative"), WorkingDir: have("C:\\work"), Arguments: arguments, IconLocation: have("icon.dll"),
			Tracker:       &Tracker{0, "machine", id, id, id, id},
			OverlayOffset: int64(len(b) - 7), OverlaySize: 7,
			Targets: []Item{
				{Class: 0x1f, Kind: 0x1f, RootID: have(id)},
				{Class: 0x2f, Kind: 0x20, VolumeName: have("C:\\")},
				{Class: 0x2e, Kind: 0x20, VolumeID: have(id)},
				{Class: 0x31, Kind: 0x30, FileName: have("WINDOWS")},
				{Class: 0x36, Kind: 0x30, FileName: have("Datei.txt")},
				{Class: 0x42, Kind: 0x40, Network: have("\\\\server\\share")},
				{CPLPath: have("C:\\evil.cpl")},
				{Class: 0x61, Kind: 0x61},
			},
		}
		for k := range f.Targets {
			if f.Targets[k].Data == "" {
				t.Errorf("item %d without data", k)
			}
			f.Targets[k].Data = ""
		}
		want.p = f.p
		if !reflect.DeepEqual(f, want) {
			t.Errorf("%d:\n%+v\nwant\n%+v", i, f, want)
		}
	}
}

// everything is a link without the reader.
func everything(b []byte) any {
	f := Parse(showcause.Bytes(b), nil)
	if !f.OK {
		return nil
	}
	short := f.Short()
	f.p = nil
	return []any{*f, short}
}

// TestTruncated holds that a link that is cut off before its end is none.
func TestTruncated(t *testing.T) {
	for i := range 4 {
		b := build(i&1 != 0, i&2 != 0)
		for n := range b {
			if got := everything(b[:n]); (got != nil) != (n >= len(b)-7) {
				t.Errorf("%d of %d bytes: %v", n, len(b), got)
			}
			for _, c := range []byte{0xff, 0x7f, 0x80, 0, 1, 2, 3} {
				old := b[n]
				b[n] = c
				everything(b)
				b[n] = old
			}
		}
	}
}

// TestUnended holds which links lack nothing but the block that ends them.
func TestUnended(t *testing.T) {
	b := build(true, true)
	whole := Parse(showcause.Bytes(b), nil)
	end := int(whole.OverlayOffset)
	for n := range b {
		f := Parse(showcause.Bytes(b[:n]), nil)
		if want := n >= end-4 && n < end; f.Unended != want && n >= end-20 {
			t.Errorf("%d of %d bytes: %v", n, end, f.Unended)
		}
		if f.Unended && (f.OK || f.Arguments != whole.Arguments) && n >= end-20 {
			t.Errorf("%d of %d bytes: %+v", n, end, f)
		}
	}
}

func TestHostile(t *testing.T) {
	h := build(false, false)[:headerSize]
	binary.LittleEndian.PutUint32(h[20:], 0)
	many := append([]byte(nil), h...)
	for range 1 << 20 {
		many = append(many, 4, 0, 0, 0)
	}
	if Parse(showcause.Bytes(many), nil).OK {
		t.Error("a link without end")
	}
	left := int64(1000)
	if f := Parse(showcause.Bytes(append(many, 0, 0, 0, 0)), func(n int64) bool { left -= n; return left > 0 }); f.OK || !f.Short() || left < -100 {
		t.Error("no end of work")
	}
	binary.LittleEndian.PutUint32(h[20:], hasTargets)
	if Parse(showcause.Bytes(append(h, 0xff, 0xff, 3, 0)), nil).OK {
		t.Error("a list that is not there")
	}
}

func FuzzParse(f *testing.F) {
	for i := range 4 {
		f.Add(build(i&1 != 0, i&2 != 0))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if one, two := everything(b), everything(b); !reflect.DeepEqual(one, two) {
			t.Error("two answers")
		}
	})
}
