package filetype

import (
	"archive/tar"
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

func put(size int, parts ...any) string {
	b := make([]byte, size)
	for i := 0; i+1 < len(parts); i += 2 {
		copy(b[parts[i].(int):], parts[i+1].(string))
	}
	return string(b)
}

func utf16le(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteByte(c)
		b.WriteByte(0)
	}
	return b.String()
}

func tarFile() string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: "a", Size: 3, Mode: 0o644})
	_, _ = w.Write([]byte("abc"))
	_ = w.Close()
	return b.String()
}

// oldTarFile has the checksum and not the word ustar.
func oldTarFile() string {
	b := []byte(tarFile())
	copy(b[257:], "\x00\x00\x00\x00\x00\x00\x00\x00")
	sum := 0
	for i := range 512 {
		if i >= 148 && i < 156 {
			sum += ' '
		} else {
			sum += int(b[i])
		}
	}
	copy(b[148:], []byte{byte('0' + sum>>15&7), byte('0' + sum>>12&7), byte('0' + sum>>9&7), byte('0' + sum>>6&7), byte('0' + sum>>3&7), byte('0' + sum&7), 0, ' '})
	return string(b)
}

func zlibData() string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(bytes.Repeat([]byte("some text to pack "), 40))
	_ = w.Close()
	return b.String()
}

func zipOf(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(put(30, 0, "PK\x03\x04", 26, string([]byte{byte(len(n)), 0})) + n)
	}
	for _, n := range names {
		b.WriteString(put(46, 0, "PK\x01\x02", 28, string([]byte{byte(len(n)), 0})) + n)
	}
	b.WriteString(put(22, 0, "PK\x05\x06"))
	return b.String()
}

const mailText = "Return-Path: <a@example.org>\nReceived: from x\nFrom: a\nSubject: s\n\nbody\n"

var samples = []struct{ name, data string }{
	{"empty", ""},
	{"data", "\x00\x01\x02\x03\x04\x05"},
	{"text", "plain words\n"},
	{"text", "a"},
	{"text", "caf\xe9 in latin-1\n"},
	{"utf8-text", "caf\u00e9 in UTF-8\n"},
	{"script", "#!/bin/sh\necho\n"},
	{"utf16le-text", "\xff\xfe" + utf16le("hello\r\n")},
	{"utf16le-text", utf16le("no mark\r\n")},
	{"utf16be-text", "\xfe\xff\x00h\x00i\x00\n"},
	{"utf16be-text", "\x00h\x00i\x00\n"},
	{"html", "<html><body>"},
	{"html", "text <IMG src=x>"},
	{"html", "<!DOCTYPE html>\n<p>"},
	{"html", "<hTmL>"},
	{"html", "x <a class=b\nhref='u'>"},
	{"html", "\x00\x01<script>"},
	{"text", "a < b, html> is no tag; <a name=x>\n"},
	{"utf16-html", "\xff\xfe" + utf16le("<html><head>")},
	{"mail", mailText},
	{"mail", "From a@b Mon Jan 1 00:00:00 2024\nSubject: x\n\n"},
	{"mail", "junk\nFrom: a\nMIME-Version: 1.0\n\n"},
	{"mhtml", "junk\nMIME-Version: 1.0\nContent-Type: text/html\n\n"},
	{"mail", "FROM: a\nto: b\n\n"},
	{"mail", "X-Thing: 1\nSender: a\nDate: now\nMIME-Version: 1.0\n\nbody"},
	{"mhtml", "MIME-Version: 1.0\nContent-Type: text/html\n\n"},
	{"text", "Package: x\nVersion: 1\nDate: now\n\ntext\n"},
	{"pdf", "%PDF-1.4\n"},
	{"rtf", `{\rtf1 x}`},
	{"ole2", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00"},
	{"swf", "FWS\x05"},
	{"swf-compressed", "CWS\x06"},
	{"pe", put(256, 0, "MZ", 60, "\x80", 128, "PE\x00\x00")},
	{"dos-exe", put(128, 0, "MZ", 60, "\x40", 64, "NE")},
	{"dos-exe", "MZ"},
	{"elf", "\x7fELF"},
	{"macho", "\xcf\xfa\xed\xfe\x07"},
	{"macho-universal", "\xca\xfe\xba\xbe\x00\x00\x00\x02"},
	{"java-class", "\xca\xfe\xba\xbe\x00\x00\x00\x34"},
	{"zip", zipOf("a.txt")},
	{"zip", zipOf("[Content_Types].xml", "_rels/.rels", "docProps/app.xml")},
	{"ooxml-word", zipOf("[Content_Types].xml", "_rels/.rels", "docProps/app.xml", "word/document.xml")},
	{"ooxml-xl", zipOf("xl/workbook.xml")},
	{"gzip", "\x1f\x8b\x08"},
	{"bzip2", "BZh91AY&SY"},
	{"text", "BZh9 is what it starts with\n"},
	{"xz", "\xfd7zXZ\x00\x00"},
	{"lzma", "\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x20"},
	{"zstd", "\x28\xb5\x2f\xfd"},
	{"lz4", "\x04\x22\x4d\x18"},
	{"lz4", "\x50\x2a\x4d\x18\x01\x00\x00\x00x\x04\x22\x4d\x18"},
	{"zstd", "\x51\x2a\x4d\x18\x01\x00\x00\x00x"},
	{"zlib", zlibData()},
	{"tar", tarFile()},
	{"tar-old", oldTarFile()},
	{"ar", "!<arch>\n"},
	{"uuencode", "begin 644 f\n"},
	{"text", "begin with this\n"},
	{"binhex", "(This file must be converted with BinHex 4.0)\n"},
	{"7z", "7z\xbc\xaf\x27\x1c"},
	{"rar", "Rar!\x1a\x07\x00"},
	{"arj", "\x60\xea\x2b\x00"},
	{"data", "\x60\xea\x00\x00\x00"},
	{"cab", "MSCF\x00\x00\x00\x00"},
	{"cab", put(44, 0, "MSCF\x01", 24, "\x03\x01")},
	{"text", "MSCF is a magic, and this is a text that has it in front\n"},
	{"gzip", "\x1f\x9e\x08"},
	{"pack", "\x1f\x1e\x00\x00\x00\x2c\x05\x00\x00\x00\x08\x10"},
	{"data", "\x1f\x1e\x00\x00\x00\x2c\xff\x00\x00"},
	{"lzh-compress", "\x1f\xa0\x00"},
	{"lzip", "LZIP\x00\x17"},
	{"text", "LZIP is a magic\n"},
	{"lzma", "\x5d\x00\x08\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x20\x90"},
	{"lzma", "\x5d\x01\x00\x00\x00\x2c\x00\x00\x00\x00\x00\x00\x00\x00\x20\x90"},
	{"data", put(600, 0, "\x5d\x00\x08\x00\x00\x2c")},
	{"zstd-legacy", "\x1e\xb5\x2f\xfd"},
	{"zstd-legacy", "\x27\xb5\x2f\xfd"},
	{"iso9660", put(0x9000, 0x8000, "\x00CD001")},
	{"udf", put(0x9000, 0x8000, "\x00BOOT2")},
	{"gpt", put(5000, 4096, "EFI PART")},
	{"vhd", put(2048, 1537, "conectix")},
	{"chm", "ITSF"},
	{"cpio-odc", "070707"},
	{"cpio-newc", "070701"},
	{"cpio-crc", "070702"},
	{"cpio-old", put(26, 0, "\xc7\x71", 6, "\xa4\x81", 20, "\x02")},
	{"cpio-old", put(26, 0, "\x71\xc7", 6, "\x81\xa4", 20, "\x00\x02")},
	{"iso9660", put(0x9000, 0x8000, "\x01CD001")},
	{"udf", put(0x9000, 0x8000, "\x00BEA01")},
	{"dmg", put(2048, 1536, "koly")},
	{"vhd", put(2048, 1536, "conectix")},
	{"mbr", put(512, 446, "\x80\x00\x00\x00\x83\x00\x00\x00\x01\x00\x00\x00\x01", 510, "\x55\xaa")},
	{"data", put(512, 446, "\x13", 510, "\x55\xaa")},
	{"gpt", put(1024, 510, "\x55\xaa", 512, "EFI PART")},
	{"apm", put(1024, 0, "ER", 512, "PM\x00\x00")},
	{"ext", put(4096, 1080, "\x53\xef")},
	{"hfsplus", put(4096, 1024, "H+\x00\x04")},
	{"ntfs", put(512, 3, "NTFS    ", 510, "\x55\xaa")},
	{"lha", "\x20\x31-lh5-\x00"},
	{"szdd", "SZDD"},
	{"egg", "EGGA"},
	{"alz", "ALZ\x01"},
	{"tnef", "\x78\x9f\x3e\x22"},
	{"sis", put(32, 8, "\x19\x04\x00\x10")},
	{"xml-word", `<?xml version="1.0"?><w:wordDocument>`},
	{"xml-xl", `<?xml version="1.0"?><Workbook>`},
	{"xml-hwp", "\xef\xbb\xbf" + `<?xml version="1.0"?><HWPML>`},
	{"xdp", "<xdp:xdp>"},
	{"gif", "GIF89a"},
	{"png", "\x89PNG\r\n\x1a\n"},
	{"jpeg", "\xff\xd8\xff\xe0"},
	{"tiff", "MM\x00*"},
	{"text", "MM is no picture\n"},
	{"bmp", put(64, 0, "BM", 14, "\x28")},
	{"text", "BM is no picture here\n"},
	{"webp", "RIFF\x00\x00\x00\x00WEBP"},
	{"riff", "RIFF\x00\x00\x00\x00WAVE"},
	{"mp3", "ID3"},
	{"ico", put(22, 0, "\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00\x01")},
	{"python-compiled", "\xa7\x0d\x0d\x0a\x00\x00\x00\x00"},
	{"python-compiled", "\x03\xf3\x0d\x0a\x00\x00\x00\x00"},
	{"text", "ab\r\ntext\r\n"},
	{"lnk", "L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"},
	{"qcow2", "QFI\xfb"},
	{"squashfs", "hsqs"},
	{"wasm", "\x00asm"},
	{"sqlite", "SQLite format 3\x00"},
	{"rpm", "\xed\xab\xee\xdb"},
}

func TestDetect(t *testing.T) {
	for _, s := range samples {
		b := []byte(s.data)
		if got := Detect(b[:min(len(b), 64<<10)], showcause.Bytes(b)); got.String() != s.name {
			t.Errorf("%.40q is %s, want %s", s.data, got, s.name)
		}
	}
}

// TestAlso holds that a type that the first bytes do not tell is told behind
// any first bytes, and that what is none has none.
func TestAlso(t *testing.T) {
	entry := "\x80\x01\x01\x00\x83\x01\x02\x00\x01\x00\x00\x00\x01"
	super := put(80, 0, "\x10", 4, "\x10", 32, "\x10", 40, "\x10", 56, "\x53\xef")
	forms := []struct{ want, data string }{
		{"[iso9660]", put(0x9000, 0x8000, "\x01CD001")},
		{"[iso9660]", put(0x9000, 0x8000, "\xffCD001")},
		{"[udf]", put(0x9000, 0x8000, "\x00BEA01")},
		{"[dmg]", put(4096, 4096-512, "koly")},
		{"[vhd]", put(4096, 4096-512, "conectix")},
		{"[vhd]", put(4096, 4096-511, "conectix")},
		{"[vdi]", put(4096, 64, "\x7f\x10\xda\xbe")},
		{"[gpt]", put(4096, 512, "EFI PART")},
		{"[mbr]", put(4096, 446, entry, 510, "\x55\xaa")},
		{"[ext]", put(4096, 1024, super)},
		{"[hfsplus]", put(4096, 1024, "H+\x00\x04")},
		{"[pdf]", put(4096, 1000, "%PDF-")},
		{"[pdf iso9660 vhd]", put(0x9000, 1000, "%PDF-", 0x8000, "\x01CD001", 0x9000-512, "conectix")},
		{"[]", put(4096, 510, "\x55\xaa")},
		{"[]", put(4096, 446, "\x80\x00\x00\x00\x83\x00\x00\x00\x01\x00\x00\x00\x01", 510, "\x55\xaa")},
		{"[]", put(4096, 1080, "\x53\xef")},
		{"[]", put(4096, 100, "CD001")},
		{"[]", put(4096, 54, "FAT1")},
	}
	for _, f := range forms {
		for _, start := range []string{"GIF89a", "\x7fELF", "MZ", "FWS", "%!PS-Adobe-", "SQLite format 3\x00", "#!/bin/sh\n"} {
			b := []byte(start + f.data[len(start):])
			if got := fmt.Sprint(Also(b[:min(len(b), 64<<10)], showcause.Bytes(b))); got != f.want {
				t.Errorf("%q: %s, want %s", start, got, f.want)
			}
			for n := range min(len(b), 2048) {
				Also(b[:n], showcause.Bytes(b[:n]))
			}
		}
	}
	if got := Also([]byte("MZ-lh5-"), nil); len(got) != 1 || got[0] != lha {
		t.Errorf("lha behind MZ: %v", got)
	}
}

// TestDetectBeyondHead has the telling bytes where only src has them.
func TestDetectBeyondHead(t *testing.T) {
	b := []byte(put(0x20000, 0x10040, "_BHRfS_M"))
	if got := Detect(b[:64<<10], showcause.Bytes(b)); got.String() != "btrfs" {
		t.Errorf("btrfs is %s", got)
	}
	if got := Detect(b[:64<<10], nil); got != Unknown {
		t.Errorf("without a source: %s", got)
	}
}

// TestTruncated cuts every sample at every place: no panic, and a layer that
// is cut before its head ends is judged by what there is.
func TestTruncated(t *testing.T) {
	for _, s := range samples {
		for n := range min(len(s.data), 2048) {
			Detect([]byte(s.data[:n]), showcause.Bytes(s.data[:n]))
			Detect([]byte(s.data[:n]), showcause.Bytes(s.data)) // and a short head
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, ty := range All() {
		n := ty.String()
		if n == "" || seen[n] || n != strings.ToLower(n) || strings.ContainsAny(n, " .") {
			t.Errorf("type %d has the name %q", ty, n)
		}
		seen[n] = true
		if got, ok := Parse(n); !ok || got != ty {
			t.Errorf("Parse(%q) is %d, %v", n, got, ok)
		}
		if !strings.HasPrefix(ty.ClamAV(), "CL_TYPE_") {
			t.Errorf("%s has the ClamAV name %q", n, ty.ClamAV())
		}
		if got, ok := Parse(ty.ClamAV()); !ok || got.ClamAV() != ty.ClamAV() {
			t.Errorf("Parse(%q) is %d, %v", ty.ClamAV(), got, ok)
		}
	}
	if Type(255).String() != "data" {
		t.Errorf("an invalid type is %q", Type(255))
	}
	if _, ok := Parse("CL_TYPE_NOSUCH"); ok {
		t.Error("an unknown name parses")
	}
	if ty, ok := Parse("CL_TYPE_MSEXE"); !ok || ty != PE {
		t.Errorf("CL_TYPE_MSEXE is %s", ty)
	}
}

// TestHides holds the line between what raw bytes say and what they hide.
func TestHides(t *testing.T) {
	for n, want := range map[string]bool{
		"zip": true, "pdf": true, "ole2": true, "rtf": true, "swf-compressed": true, "ooxml-word": true, "tar": true, "dmg": true, "qcow2": true, "uuencode": true,
		"pe": false, "elf": false, "text": false, "html": false, "png": false, "mp3": false, "swf": false, "java-class": false, "data": false, "mail": true, "mhtml": true,
	} {
		ty, ok := Parse(n)
		if !ok || ty.Hides() != want {
			t.Errorf("%s hides: %v", n, ty.Hides())
		}
	}
}

// TestHTMLWork holds that anchors without a target cost a line, not a square.
func TestHTMLWork(t *testing.T) {
	if LooksHTML(bytes.Repeat([]byte("<a "), 1<<20)) { // ends
		t.Error("an anchor without a target is HTML")
	}
	if !LooksHTML([]byte("<a x href")) || LooksHTML([]byte("href <a x")) {
		t.Error("an anchor's target has to follow it")
	}
}

func FuzzDetect(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s.data))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ty := Detect(b[:min(len(b), 64<<10)], showcause.Bytes(b))
		if int(ty) >= len(rows) {
			t.Fatalf("type %d", ty)
		}
		if again := Detect(b[:min(len(b), 64<<10)], showcause.Bytes(b)); again != ty {
			t.Fatalf("%s, then %s", ty, again)
		}
		LooksHTML(b)
		LooksMail(b)
	})
}

// File systems and disks that no format reads are told all the same: what is
// not known would be nothing found.
func TestUnreadDisks(t *testing.T) {
	for _, c := range []struct {
		name string
		off  int
		mark string
	}{
		{"apfs", 32, "NXSB"},
		{"refs", 3, "ReFS\x00\x00\x00\x00"},
		{"lvm2", 512, "LABELONE"},
		{"f2fs", 1024, "\x10\x20\xf5\xf2"},
		{"md-raid", 4096, "\xfc\x4e\x2b\xa9\x01\x00\x00\x00"},
		{"bcachefs", 4120, "\xc6\x85\x73\xf6"},
		{"zfs", 0x4000, "\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x24\x00\x00\x00\x20\x00\x00\x00\x07version"},
		{"ufs", 0x255c, "\x54\x19\x01\x00"},
		{"ufs", 0x1055c, "\x19\x01\x54\x19"},
		{"jfs", 0x8000, "JFS1"},
		{"reiserfs", 0x2034, "ReIsErFs"},
		{"reiserfs", 0x10034, "ReIsEr"},
		{"xfs", 0, "XFSB"},
		{"ubi", 0, "UBI#"},
		{"ubifs", 0, "\x31\x18\x10\x06"},
		{"jffs2", 0, "\x85\x19\x01\xe0"},
		{"jffs2", 0, "\x19\x85\x20\x03"},
		{"parallels", 0, "WithoutFreeSpace"},
		{"qed", 0, "QED\x00"},
		{"ewf", 0, "EVF\x09\x0d\x0a\xff\x00"},
	} {
		b := make([]byte, 0x12000)
		copy(b[c.off:], c.mark)
		got := Detect(b[:64<<10], showcause.Bytes(b))
		if got.String() != c.name || !got.Hides() {
			t.Errorf("%s at %d: %s", c.name, c.off, got)
		}
		b[c.off+len(c.mark)-1] ^= 0x20
		if got := Detect(b[:64<<10], showcause.Bytes(b)); got.Hides() {
			t.Errorf("%s at %d, changed: %s", c.name, c.off, got)
		}
	}
}
