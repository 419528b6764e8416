package exe

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func gzipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name = "name"
	w.Write([]byte(s))
	w.Close()
	return b.Bytes()
}

// start7z is a signature header of 7z.
func start7z() []byte {
	b := make([]byte, 40)
	copy(b, "7z\xbc\xaf\x27\x1c\x00\x04")
	b[12], b[20] = 4, 4
	le.PutUint32(b[8:], crc32.ChecksumIEEE(b[12:32]))
	return b
}

func startCab(reserved byte) []byte {
	b := make([]byte, 80)
	copy(b, "MSCF")
	b[4], b[8], b[16], b[24], b[25], b[26], b[28] = reserved, 80, 44, 3, 1, 1, 1
	return b
}

func startRar5() []byte {
	b := append([]byte("Rar!\x1a\x07\x01\x00\x00\x00\x00\x00"), 5, 1, 5, 6, 0, 0, 0, 0, 0)
	le.PutUint32(b[8:], crc32.ChecksumIEEE(b[12:18]))
	return b
}

func startXZ() []byte {
	b := append([]byte("\xfd7zXZ\x00\x00\x04"), 0, 0, 0, 0, 0, 0)
	le.PutUint32(b[8:], crc32.ChecksumIEEE(b[6:8]))
	return b
}

func startTar() []byte {
	b := make([]byte, 1024)
	copy(b, "name")
	copy(b[257:], "ustar\x0000")
	sum := 8 * 32
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], "00000000"[:6])
	for i := 5; i >= 0; i-- {
		b[148+i] = byte('0' + sum&7)
		sum >>= 3
	}
	return b
}

// carried are the starts of what programs carry.
func carried() map[string][]byte {
	lzma := append([]byte("\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x20\x91"), make([]byte, 20)...)
	return map[string][]byte{
		"gzip": gzipped(strings.Repeat("content ", 40)), "xz": startXZ(), "bzip2": []byte("BZh91AY&SY0000000000"), "bzip2, empty": []byte("BZh9\x17\x72\x45\x38\x50\x90\x00\x00\x00\x00"),
		"zstd": []byte("\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello"), "lz4": []byte("\x04\x22\x4d\x18\x64\x40\xa7\x05\x00\x00\x80hello"),
		"lzip": []byte("LZIP\x01\x17\x00\x20\x91"), "lzop": []byte("\x89LZO\x00\r\n\x1a\n\x10"), "7z": start7z(), "rar 5": startRar5(),
		"rar 4": append([]byte("Rar!\x1a\x07\x00\xcf\x90\x73\x00\x00\x0d\x00"), make([]byte, 20)...), "cab": startCab(0), "cab, reserved": startCab(1),
		"tar": startTar(), "compress": []byte("\x1f\x9d\x90\x61\xc4\xc4"), "lzma": lzma,
	}
}

func walkAs(t testing.TB, data []byte) (r unpacktest.Result, match bool) {
	if match = Embedded(nil).Match(unpacktest.Probe(showcause.Bytes(data))); match {
		r = unpacktest.Walk(t, Embedded(nil), data, showcause.Limits{})
	}
	return r, match
}

// TestScriptPayload holds that what a script carries behind its text is a
// child, whatever the bytes in front make of the layer's type.
func TestScriptPayload(t *testing.T) {
	for name, data := range carried() {
		for _, script := range []string{
			"#!/bin/sh\ntail -n +4 \"$0\" | gzip -dc\nexit\n",
			"tail -n +3 $0 | x -dc\nexit\n",
			"GIF89a=1\ntail -n +3 $0 | x -dc; exit\n",
			"<html><!--\ntail -n +3 $0 | x -dc; exit\n",
			"#!/bin/sh\n" + strings.Repeat("# a long line of a script\n", 12000) + "tail\n",
			"#!/bin/sh\n# \x00\x01\x02\nexit\n",
		} {
			all := cat([]byte(script), data)
			r, _ := walkAs(t, all)
			if len(r.Children) != 1 || r.Children[0].Op != "exe.payload" || !bytes.Equal(r.Children[0].Data, data) {
				t.Errorf("%s behind %.20q (%s): %s", name, script, filetype.Detect(all[:min(len(all), 64<<10)], nil), r)
			}
		}
	}
	// In a file that is no script by its first two bytes, too, behind text and 4 KiB of what is none.
	for name, front := range map[string]string{"text": strings.Repeat("tail -n +3 $0 | x -dc\n", 9000), "not text": "tail -n +3 $0 | x -dc; exit\n\x00" + strings.Repeat("\x01", 4000) + "\n"} {
		if r, _ := walkAs(t, cat([]byte(front), carried()["lzma"])); len(r.Children) != 1 {
			t.Errorf("behind %s: %s", name, r)
		}
	}
	// Without a line's end in front, for what has a long magic.
	r, _ := walkAs(t, cat([]byte("#!/bin/sh\ntail -c +50 $0 | gzip -dc; exit\nxxxx"), gzipped("content of it")))
	if len(r.Children) != 1 {
		t.Errorf("%s", r)
	}
}

// TestScriptWithout holds that scripts and data that only speak of these
// formats carry nothing.
func TestScriptWithout(t *testing.T) {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write([]byte("zlib is no payload"))
	w.Close()
	for name, data := range map[string][]byte{
		"words":           []byte("#!/bin/sh\ncase $magic in BZh9) ;; LZIP) ;; Rar!*) ;; MSCF*) ;; 7z*) ;; ustar) ;; esac\nexit 0 # and so on\n"),
		"magics":          []byte("#!/bin/sh\n\x1f\x8b\x08\x00\n\xfd7zXZ\x00\n\x28\xb5\x2f\xfd\n7z\xbc\xaf\x27\x1c\nMSCF\x00\x00\x00\x00\nRar!\x1a\x07\x00\n\x1f\x9d\xff\n\x5d\x00\n"),
		"zlib":            cat([]byte("#!/bin/sh\nexit # behind this is something else\n"), z.Bytes()),
		"no deflate":      cat([]byte("#!/bin/sh\nexit # behind this is something else\n"), []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"), bytes.Repeat([]byte{0xff}, 600)),
		"no script":       cat([]byte("\x00\x01\x02 data\n"), make([]byte, 300), gzipped("x")),
		"empty line":      cat([]byte("\n\x12\x10 data\n"), make([]byte, 300), gzipped("x")),
		"compiled python": cat([]byte("o\r\r\n"), make([]byte, 300), gzipped("x")),
		"no line":         cat(bytes.Repeat([]byte("x"), 300), gzipped("x")),
		"object of Go":    cat([]byte("go object linux amd64 go1.26\n!\n\x00"), make([]byte, 5000), []byte("\n\x1f\x9d\x90\x61\xc4\xc4\n\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x20\x91\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01"), make([]byte, 50)),
		"ustar in a text": []byte("#!/bin/sh\n" + strings.Repeat("ustar  ", 200)),
	} {
		if r, _ := walkAs(t, data); len(r.Children)+len(r.Gaps) > 0 {
			t.Errorf("%s: %s", name, r)
		}
	}
}

// TestOverlayPayload holds that a compression right behind a program is its
// child, also where the section headers of an ELF file lead nowhere.
func TestOverlayPayload(t *testing.T) {
	elf := plainELF(true, false)
	bare := plainELF(true, false)
	bare.shnum, bare.shentsize = 0, 0
	pe := plainPE().build()
	info, _ := parse(cat(pe, []byte("x")))
	for name, image := range map[string][]byte{"pe": pe[:info.Overlay], "elf": elf.build(), "elf without sections": bare.build()} {
		if i, ok := parse(cat(image, []byte("x"))); ok {
			image = image[:min(int64(len(image)), i.Overlay)]
		}
		for kind, data := range carried() {
			if kind == "compress" || kind == "lzma" { // behind lines alone
				continue
			}
			for _, pad := range []string{"", "\x00", "\x00\x00\x00\x00\x00", strings.Repeat("pad ", 900)} {
				r, _ := walkAs(t, cat(image, []byte(pad), data))
				told := Packer(showcause.Bytes(cat(image, []byte(pad), data)), detect(image))
				switch kind {
				case "7z", "cab", "cab, reserved", "rar 4", "rar 5":
					if len(r.Children) > 0 || !strings.HasSuffix(told, "-sfx") {
						t.Errorf("%s behind %s and %d bytes: packer %q, %s", kind, name, len(pad), told, r)
					}
				default:
					if len(r.Children) != 1 || r.Children[0].Op != "exe.overlay" || !bytes.Equal(r.Children[0].Data, data) || told != "" {
						t.Errorf("%s behind %s and %d bytes: packer %q, %s", kind, name, len(pad), told, r)
					}
				}
			}
		}
	}
}

// TestArchivesAnywhere holds that an archive that tools find in any file is
// told wherever it stands in a program.
func TestArchivesAnywhere(t *testing.T) {
	macho := machoSpec{cpu: 18, big: true, thread: true, pc: 0x1000}.build()
	fat := fatFile(false, [3]int64{7, 0x1000, 0x100})
	for want, data := range map[string][]byte{"7z-sfx": start7z(), "cab-sfx": startCab(0), "rar-sfx": startRar5()} {
		for name, image := range map[string][]byte{"pe": plainPE().build(), "elf": plainELF(true, false).build(), "macho": macho, "universal": fat, "dos": append([]byte("MZ"), make([]byte, 100)...)} {
			for _, pad := range []int{0, 1, 5, 700, 256<<10 - len(image) - 3, 1 << 20} {
				b := cat(image, make([]byte, pad), data)
				if name == "elf" {
					copy(b[0x180:], "rDlPtS") // a mark of programs for Windows alone
				}
				if got := Packer(showcause.Bytes(b), detect(b)); got != want {
					t.Errorf("%s with %d bytes and %s: %q", name, pad, want, got)
				}
			}
			in := plainPE().build()
			copy(in[0x700:], data)
			if got := Packer(showcause.Bytes(in), detect(in)); got != want {
				t.Errorf("%s in an image: %q", want, got)
			}
		}
	}
	for name, data := range map[string]string{
		"7z, wrong CRC": "7z\xbc\xaf\x27\x1c\x00\x04\x01\x02\x03\x04" + strings.Repeat("\x01", 20),
		"cab, a string": "MSCF\x00\x00\x00\x00MSCF and other words that stand in a program",
		"rar, a string": "Rar!\x1a\x07\x00Rar!\x1a\x07\x01\x00 and other words that stand in a program",
	} {
		b := plainPE().build()
		copy(b[0x700:], data)
		if got := Packer(showcause.Bytes(b), detect(b)); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestPayloadFlood holds that a flood of magics ends at the limit of work.
func TestPayloadFlood(t *testing.T) {
	b := append([]byte("#!/bin/sh\n"), bytes.Repeat([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff"), 100_000)...)
	r := unpacktest.Walk(t, Embedded(nil), b, showcause.Limits{Work: 1 << 24})
	if !r.Has(showcause.LimitWork) {
		t.Errorf("%s", r)
	}
}

func FuzzPayload(f *testing.F) {
	for _, data := range carried() {
		f.Add(cat([]byte("#!/bin/sh\nexit\n"), data))
		f.Add(cat(plainELF(true, false).build(), data))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		everything(b)
		walkAs(t, b)
	})
}

// TestCarried holds that archives are found behind pictures and in data, and what
// looks like one is not.
func TestCarried(t *testing.T) {
	rar4 := []byte("Rar!\x1a\x07\x00\xcf\x90\x73\x00\x00\x0d\x00\x00\x00\x00\x00\x00\x00")
	fronts := map[string][]byte{
		"png":   []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"),
		"jpeg":  []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"),
		"gif":   []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00;"),
		"data":  bytes.Repeat([]byte{0x91, 0x02, 0xee, 0x00}, 200),
		"class": append([]byte("\xca\xfe\xba\xbe\x00\x00\x00\x34"), make([]byte, 40)...),
	}
	for front, f := range fronts {
		for name, c := range map[string]struct {
			data []byte
			want int
		}{
			"7z":                     {start7z(), 1},
			"RAR 4":                  {rar4, 1},
			"RAR 5":                  {startRar5(), 1},
			"cabinet":                {startCab(0), 1},
			"7z with a wrong sum":    {cat(start7z()[:12], make([]byte, 40)), 0},
			"7z, the magic in zeros": {cat([]byte("7z\xbc\xaf\x27\x1c"), make([]byte, 200)), 0},
			"the magic of RAR alone": {cat([]byte("Rar!\x1a\x07\x00"), make([]byte, 200)), 0},
			"MSCF in text":           {[]byte("MSCF is what a cabinet begins with, as is well known to all of us"), 0},
		} {
			data := cat(f, c.data)
			p := unpacktest.Probe(showcause.Bytes(data))
			if !Embedded(nil).Match(p) {
				t.Errorf("%s (%s), %s: no match", front, p.Type, name)
				continue
			}
			r := unpacktest.Walk(t, Embedded(nil), data, showcause.Limits{})
			if len(r.Children) != c.want || len(r.Gaps) > 0 || c.want == 1 && !bytes.Equal(r.Children[0].Data, c.data) {
				t.Errorf("%s (%s), %s: %s", front, p.Type, name, r)
			}
		}
	}
}
