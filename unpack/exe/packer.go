package exe

import (
	"bytes"
	"cmp"
	"strings"
)

// The names that Info.Packer has for programs with an archive behind them end
// in "-sfx": a format for that archive may read it, and only where none did is
// it a gap. A zip archive behind a program has no name here, as the format for
// zip looks for one in any file, and neither have compressions: see Embedded.

// codes are what programs that unpack themselves start with, in hexadecimal,
// "?" for a nibble that varies: operands, for the most part. Measured on
// samples that are harmless, and common knowledge of who writes unpackers.
var codes = [...]struct{ name, code string }{
	{"yc", "558bec53565760e8000000005d81ed"},
	{"pespin", "eb016860e8000000008b1c24"},
	{"petite", "b8????????68????????64ff350000000064892500000000669c6050"},
	{"wwpack", "53558be833dbeb60"},
	{"aspack", "60e803000000e9eb045d4555c3e801"},
	{"aspack", "9060e803000000e9eb045d4555c3e801"},
	{"upack", "be????????ad50ff76"},
	{"upack", "be????????ad8bf89533c0acab"},
	{"fsg", "8725????????619455a4b680ff13"},
	{"fsg", "be????????ad93ad97ad5696b280"},
	{"fsg", "bb????????bf????????be????????53"},
	{"mew", "be????????8bdeadad50ad97b280a4b680ff13"},
	{"nspack", "9c60e8000000005d83ed07"},
	{"nspack", "9c60e8000000005db8"},
	{"pecompact", "b8????????5064ff35000000006489250000000033c08908504543"},
	{"upx", "60be????????8dbe"},
	{"upx", "807c2408010f85????????60be????????8dbe"},
	{"upx", "53565755488d35????????488dbe"},
}

// sectionNames are the names that packers give their sections and nobody else
// does. yC is before UPX, as it is put over files that UPX packed.
var sectionNames = [...]struct{ name, section string }{
	{"yc", "yC"},
	{"aspack", ".aspack"},
	{"petite", ".petite"},
	{"wwpack", ".WWP32"},
	{"mew", "MEW"},
	{"upack", ".Upack"},
	{"upack", ".ByDwing"},
	{"fsg", "FSG!"},
	{"nspack", ".nsp0"},
	{"nspack", "nsp0"},
	{"nspack", ".nsp1"},
	{"mpress", ".MPRESS1"},
	{"mpress", ".MPRESS2"},
	{"pecompact", "PEC2"},
	{"pecompact", "PEC2TO"},
	{"pecompact", "pec1"},
	{"themida", ".themida"},
	{"themida", "Themida"},
	{"themida", ".winlice"},
	{"vmprotect", ".vmp0"},
	{"vmprotect", ".vmp1"},
	{"enigma", ".enigma1"},
	{"enigma", ".enigma2"},
	{"perplex", ".perplex"},
	{"rlpack", ".RLPack"},
	{"neolite", ".neolite"},
	{"neolite", ".neolit"},
	{"svkp", ".svkp"},
	{"kkrunchy", "kkrunchy"},
	{"epack", "!EPack"},
	{"upx", "UPX0"},
	{"upx", "UPX1"},
	{"upx", "UPX2"},
	{"upx", ".UPX0"},
	{"upx", ".UPX1"},
}

// marks are what installers are told by. step is the alignment of the mark's
// start, less lead.
var marks = [...]struct {
	name, mark string
	step, lead int64
}{
	{"nsis", "\xef\xbe\xad\xdeNullsoftInst", 512, 4}, // NSIS: the header after the flags, at a multiple of 512
	{"autoit", "\xa3\x48\x4b\xbe\x98\x6c\x4a\xa9\x99\x4c\x53\x0a\x86\xd6\x48\x7dAU3!EA0", 1, 0},
	{"innosetup", "rDlPtS", 1, 0}, // the loader's table of offsets, in a resource or behind the image
}

// behind are what data after an image starts with.
var behind = [...]struct{ name, start string }{
	{"7z-sfx", "7z\xbc\xaf\x27\x1c"},
	{"7z-sfx", ";!@Install@!UTF-8!"},
	{"rar-sfx", "Rar!\x1a\x07"},
	{"cab-sfx", "MSCF\x00\x00\x00\x00"},
	{"ole2-sfx", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"},
	{"arj-sfx", "\x60\xea"},
	{"squashfs-sfx", "hsqs"},
	{"innosetup", "idska32\x1a"},
	{"innosetup", "zlb\x1a"},
	{"installshield", "ISSetupStream\x00"},
}

// packerPE names what packed a PE file, "" if nothing known did. What carries
// other files is named before what packed the program that unpacks them.
func packerPE(p *pe) string {
	return cmp.Or(carrier(p.f, p.Overlay), stubPE(p))
}

// stubPE names what packed a PE file so that it unpacks itself.
func stubPE(p *pe) string {
	if p.Entry > 0 {
		code := p.f.upTo(p.Entry, 64)
		// MEW starts with a jump back into the headers.
		if len(code) >= 5 && code[0] == 0xe9 {
			to := p.entryRVA + 5 + le.Uint32(code[1:])
			if at, ok := p.raw(to); ok && to < p.header {
				code = p.f.upTo(int64(at), 64)
			}
		}
		for _, c := range codes {
			if fits(code, c.code) {
				return c.name
			}
		}
	}
	n := p.named()
	if n == "" && p.emptyFirst() {
		return "upx"
	}
	return n
}

// fits tells whether b starts with a code in the notation of codes.
func fits(b []byte, code string) bool {
	if len(b) < len(code)/2 {
		return false
	}
	const digits = "0123456789abcdef"
	for i := range len(code) {
		n := b[i/2] >> 4
		if i%2 == 1 {
			n = b[i/2] & 15
		}
		if code[i] != '?' && code[i] != digits[n] {
			return false
		}
	}
	return true
}

// search looks through all of the file, once, for archives that tools find in
// any file, and if asked to for marks of installers, at the first of which it
// ends. It returns the names.
func search(f file, installers bool) (mark, archive string) {
	const keep = 2 * payloadView
	all := archives()
	var starts []string
	for i := range all {
		starts = append(starts, all[i].start)
	}
	if installers {
		for i := range marks {
			starts = append(starts, marks[i].mark)
		}
	}
	var buf []byte
	for at := int64(0); ; at += chunk - keep {
		if at+chunk <= f.src.Size() && f.near.Free(at, at+chunk, starts...) {
			continue
		}
		s := f.stretch(&buf, at)
		if installers {
			if mark = marked(s, at); mark != "" {
				return mark, archive
			}
		}
		for i := 0; i < len(all) && archive == ""; i++ {
			if all[i].place(s, func() bool { return true }) >= 0 {
				archive = all[i].archive
			}
		}
		if len(s.b) < chunk || archive != "" && !installers {
			return "", archive
		}
	}
}

// archiveIn names the archive in a program that has no marks.
func archiveIn(f file) string {
	_, archive := search(f, false)
	return archive
}

// carrier names what carries other files in a program of any kind.
func carrier(f file, overlay int64) string {
	mark, archive := search(f, true)
	return cmp.Or(mark, packerBehind(f, overlay), archive)
}

// marked names the mark in a stretch, the bytes of the file from at on.
func marked(s stretch, at int64) string {
	for _, m := range marks {
		for i := s.index(m.mark, 0); i >= 0; i = s.index(m.mark, i+1) {
			if (at+int64(i)-m.lead)%m.step == 0 {
				return m.name
			}
		}
	}
	return ""
}

// packerBehind names what stands behind an image.
func packerBehind(f file, overlay int64) string {
	if overlay < 0 {
		return ""
	}
	b := f.upTo(overlay, 4096)
	for _, s := range behind {
		if strings.HasPrefix(string(b), s.start) {
			return s.name
		}
	}
	if installShield(b) {
		return "installshield"
	}
	if pyInstaller(f, overlay) {
		return "pyinstaller"
	}
	return ""
}

// installShield tells an InstallShield setup by the start of what is behind
// it: a debug record and then the maker's name, or the name, path, version and
// length of the first file, each a text that ends in a zero.
func installShield(b []byte) bool {
	if bytes.Contains(b, []byte("InstallShield\x00")) {
		return true
	}
	parts := bytes.SplitN(b, []byte{0}, 5)
	if len(parts) < 5 || len(parts[0]) == 0 || len(parts[1]) == 0 || len(parts[2]) == 0 || len(parts[3]) == 0 {
		return false
	}
	only := func(b []byte, set string) bool { return len(bytes.Trim(b, set)) == 0 }
	return bytes.HasSuffix(parts[1], parts[0]) && only(parts[2], "0123456789.") && bytes.IndexByte(parts[2], '.') > 0 && only(parts[3], "0123456789")
}

// packerELF names what packed an ELF file. UPX's record, with the mark "UPX!"
// in its second word, stands after the program headers; another copy is in
// the last bytes.
func packerELF(f file, overlay int64) string {
	e := readELF(f)
	if e == nil {
		return archiveIn(f)
	}
	if e.phoff < 1<<32 && e.phentsize == e.phEntry {
		at := int64(e.phoff) + int64(e.phnum)*int64(e.phentsize)
		if strings.HasPrefix(string(f.upTo(at+4, 4)), "UPX!") {
			return "upx"
		}
	}
	if e.shnum == 0 && bytes.Contains(f.upTo(max(f.src.Size()-64, 0), 64), []byte("UPX!")) {
		return "upx"
	}
	if n := packerBehind(f, overlay); n != "" {
		return n
	}
	if pyInstaller(f, 0) {
		return "pyinstaller"
	}
	return archiveIn(f)
}

// packerMachO names what packed a Mach-O file: UPX leaves its record after
// the load commands.
func packerMachO(f file) string {
	if bytes.Contains(f.upTo(0, 4096), []byte("UPX!")) {
		return "upx"
	}
	if pyInstaller(f, 0) {
		return "pyinstaller"
	}
	return archiveIn(f)
}

// pyInstaller tells PyInstaller's cookie, near the end of the file so that a
// signature may follow, but not before from.
func pyInstaller(f file, from int64) bool {
	const tail = 64 << 10
	return bytes.Contains(f.upTo(max(from, f.src.Size()-tail), tail), []byte("MEI\x0c\x0b\x0a\x0b\x0e"))
}
