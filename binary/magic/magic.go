// Package magic describes files in the words of file(1): a description and a media
// type, as far as package filetype tells types apart.
//
// Descriptions begin as those of file 5.44 do, with what rules look for: "PE32+
// executable (DLL) (GUI) x86-64, for MS Windows", "ELF 64-bit LSB executable". They do
// not go on with all that file(1) finds within: numbers of sections, names of packers,
// build identifiers, titles of documents, sizes of pictures. What filetype does not
// know is "data", where file(1) may know better.
package magic

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/binary/elf"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
)

// names are descriptions and media types by the names of package filetype.
var names = map[string][2]string{
	"data":            {"data", "application/octet-stream"},
	"empty":           {"empty", "inode/x-empty"},
	"dos-exe":         {"MS-DOS executable", "application/x-dosexec"},
	"macho-universal": {"Mach-O universal binary", "application/x-mach-binary"},
	"java-class":      {"compiled Java class data", "application/x-java-applet"},
	"text":            {"ASCII text", "text/plain"},
	"utf8-text":       {"Unicode text, UTF-8 text", "text/plain"},
	"utf16le-text":    {"Unicode text, UTF-16, little-endian text", "text/plain"},
	"utf16be-text":    {"Unicode text, UTF-16, big-endian text", "text/plain"},
	"script":          {"script, ASCII text executable", "text/plain"},
	"html":            {"HTML document, ASCII text", "text/html"},
	"utf16-html":      {"HTML document, Unicode text, UTF-16 text", "text/html"},
	"mail":            {"SMTP mail, ASCII text", "message/rfc822"},
	"mhtml":           {"MIME entity, ASCII text", "message/rfc822"},
	"pdf":             {"PDF document", "application/pdf"},
	"rtf":             {"Rich Text Format data", "text/rtf"},
	"swf":             {"Macromedia Flash data", "application/x-shockwave-flash"},
	"swf-compressed":  {"Macromedia Flash data (compressed)", "application/x-shockwave-flash"},
	"zip":             {"Zip archive data", "application/zip"},
	"ooxml-word":      {"Microsoft Word 2007+", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	"ooxml-xl":        {"Microsoft Excel 2007+", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	"ooxml-ppt":       {"Microsoft PowerPoint 2007+", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
	"gzip":            {"gzip compressed data", "application/gzip"},
	"bzip2":           {"bzip2 compressed data", "application/x-bzip2"},
	"xz":              {"XZ compressed data", "application/x-xz"},
	"lzma":            {"LZMA compressed data", "application/x-lzma"},
	"zstd":            {"Zstandard compressed data", "application/zstd"},
	"lz4":             {"LZ4 compressed data", "application/x-lz4"},
	"lzip":            {"lzip compressed data", "application/x-lzip"},
	"lzop":            {"lzop compressed data", "application/x-lzop"},
	"compress":        {"compress'd data", "application/x-compress"},
	"tar":             {"POSIX tar archive", "application/x-tar"},
	"tar-old":         {"tar archive", "application/x-tar"},
	"ar":              {"current ar archive", "application/x-archive"},
	"7z":              {"7-zip archive data", "application/x-7z-compressed"},
	"rar":             {"RAR archive data", "application/x-rar"},
	"arj":             {"ARJ archive data", "application/x-arj"},
	"cab":             {"Microsoft Cabinet archive data", "application/vnd.ms-cab-compressed"},
	"chm":             {"MS Windows HtmlHelp Data", "application/vnd.ms-htmlhelp"},
	"cpio-newc":       {"ASCII cpio archive (SVR4 with no CRC)", "application/x-cpio"},
	"cpio-crc":        {"ASCII cpio archive (SVR4 with CRC)", "application/x-cpio"},
	"cpio-odc":        {"ASCII cpio archive (pre-SVR4 or odc)", "application/x-cpio"},
	"cpio-old":        {"cpio archive", "application/x-cpio"},
	"iso9660":         {"ISO 9660 CD-ROM filesystem data", "application/x-iso9660-image"},
	"xar":             {"xar archive", "application/x-xar"},
	"lha":             {"LHa archive data", "application/x-lzh-compressed"},
	"ace":             {"ACE archive data", "application/octet-stream"},
	"zoo":             {"Zoo archive data", "application/x-zoo"},
	"szdd":            {"MS Compress archive data, SZDD variant", "application/x-ms-compress-szdd"},
	"kwaj":            {"MS Compress archive data, KWAJ variant", "application/x-ms-compress-kwaj"},
	"sis":             {"Symbian installation file", "application/vnd.symbian.install"},
	"uuencode":        {"uuencoded text", "text/plain"},
	"binhex":          {"BinHex binary text", "application/mac-binhex40"},
	"rpm":             {"RPM", "application/x-rpm"},
	"wim":             {"Windows imaging (WIM) image", "application/x-ms-wim"},
	"crx":             {"Google Chrome extension", "application/x-chrome-extension"},
	"tnef":            {"Transport Neutral Encapsulation Format (TNEF)", "application/vnd.ms-tnef"},
	"pst":             {"Microsoft Outlook email folder", "application/vnd.ms-outlook"},
	"dex":             {"Dalvik dex file", "application/octet-stream"},
	"wasm":            {"WebAssembly (wasm) binary module", "application/wasm"},
	"lnk":             {"MS Windows shortcut", "application/x-ms-shortcut"},
	"gif":             {"GIF image data", "image/gif"},
	"png":             {"PNG image data", "image/png"},
	"jpeg":            {"JPEG image data", "image/jpeg"},
	"tiff":            {"TIFF image data", "image/tiff"},
	"bmp":             {"PC bitmap", "image/bmp"},
	"ico":             {"MS Windows icon resource", "image/vnd.microsoft.icon"},
	"webp":            {"RIFF (little-endian) data, Web/P image", "image/webp"},
	"psd":             {"Adobe Photoshop Image", "image/vnd.adobe.photoshop"},
	"mp3":             {"MPEG ADTS, layer III", "audio/mpeg"},
	"mp4":             {"ISO Media", "video/mp4"},
	"ogg":             {"Ogg data", "application/ogg"},
	"flac":            {"FLAC audio bitstream data", "audio/flac"},
	"matroska":        {"Matroska data", "video/x-matroska"},
	"midi":            {"Standard MIDI data", "audio/midi"},
	"postscript":      {"PostScript document text", "application/postscript"},
	"sqlite":          {"SQLite 3.x database", "application/vnd.sqlite3"},
	"registry-hive":   {"MS Windows registry file, NT/2000 or above", "application/octet-stream"},
	"pcap":            {"pcap capture file", "application/vnd.tcpdump.pcap"},
	"binary-plist":    {"Apple binary property list", "application/octet-stream"},
	"jet-database":    {"Microsoft Access Database", "application/x-msaccess"},
}

// Describe is the description and the media type of a layer. work is asked for every
// read behind its first 64 KiB; nil is a bound of its own.
func Describe(src showcause.Source, work func(steps int64) bool) (text, media string) {
	head := bound.Head(src, 64<<10)
	t := filetype.Detect(head, src)
	switch t {
	case filetype.PE:
		return portable(src, work), "application/vnd.microsoft.portable-executable"
	case filetype.ELF:
		return linkable(src, work)
	case filetype.MachO:
		return object(head), "application/x-mach-binary"
	case filetype.OLE2:
		return composite(src, work)
	case filetype.Script:
		return interpreted(head)
	}
	if n, ok := names[t.String()]; ok {
		return n[0], n[1]
	}
	return strings.ReplaceAll(t.String(), "-", " ") + " data", "application/octet-stream"
}

// portable describes a PE file by its headers.
func portable(src showcause.Source, work func(steps int64) bool) string {
	p := bound.NewProbe(src, work)
	le := binary.LittleEndian
	at, _ := p.Uint(le, 60, 4)
	machine, _ := p.Uint(le, int64(at)+4, 2)
	flags, _ := p.Uint(le, int64(at)+22, 2)
	kind, _ := p.Uint(le, int64(at)+24, 2)
	subsystem, _ := p.Uint(le, int64(at)+24+68, 2)
	out := "PE32 executable"
	if kind == 0x20b {
		out = "PE32+ executable"
	}
	const dll = 0x2000
	if flags&dll != 0 {
		out += " (DLL)"
	}
	if s := map[uint64]string{
		1: "native", 2: "GUI", 3: "console", 7: "POSIX", 9: "Windows CE", 10: "EFI application", 11: "EFI boot service driver",
		12: "EFI runtime driver", 13: "EFI ROM", 14: "XBOX",
	}[subsystem]; s != "" {
		out += " (" + s + ")"
	}
	if m := map[uint64]string{0x14c: "Intel 80386", 0x8664: "x86-64", 0x1c0: "ARM", 0x1c4: "ARMv7 Thumb", 0xaa64: "Aarch64", 0x200: "Intel Itanium"}[machine]; m != "" {
		out += " " + m
	}
	return out + ", for MS Windows"
}

// linkable describes an ELF file by its header.
func linkable(src showcause.Source, work func(steps int64) bool) (string, string) {
	f := elf.Parse(src, elf.Options{X: true, Work: work})
	if f == nil {
		return "ELF", "application/octet-stream"
	}
	order := "LSB"
	if h := bound.Head(src, 6); h[5] == 2 {
		order = "MSB"
	}
	bits := 32
	if f.Wide {
		bits = 64
	}
	kind, media := "", "application/octet-stream"
	switch f.Type {
	case 1:
		kind, media = "relocatable", "application/x-object"
	case 2:
		kind, media = "executable", "application/x-executable"
	case 3:
		kind, media = "shared object", "application/x-sharedlib"
		if pie(f) {
			kind, media = "pie executable", "application/x-pie-executable"
		}
	case 4:
		kind, media = "core file", "application/x-coredump"
	}
	out := fmt.Sprintf("ELF %d-bit %s %s", bits, order, kind)
	if m := map[uint16]string{
		2: "SPARC", 3: "Intel 80386", 8: "MIPS", 20: "PowerPC or cisco 4500", 21: "64-bit PowerPC or cisco 7500", 22: "IBM S/390",
		40: "ARM", 50: "IA-64", 62: "x86-64", 183: "ARM aarch64", 243: "UCB RISC-V",
	}[f.Machine]; m != "" {
		out += ", " + m
	}
	system := map[byte]string{0: "SYSV", 1: "HP-UX", 2: "NetBSD", 3: "GNU/Linux", 6: "Solaris", 9: "FreeBSD", 12: "OpenBSD"}[f.OSABI]
	if system != "" {
		out += ", version 1 (" + system + ")"
	}
	return out, media
}

// pie says whether a shared object says of itself that it is a program.
func pie(f *elf.File) bool {
	const flags1, program = 0x6ffffffb, 0x08000000
	for _, d := range f.Dynamic() {
		if d.Tag == flags1 && d.Value&program != 0 {
			return true
		}
	}
	return false
}

// composite describes a compound file by what is at its root.
func composite(src showcause.Source, work func(steps int64) bool) (string, string) {
	const text = "Composite Document File V2 Document"
	f := cfb.Open(src, work)
	if !f.OK {
		return text, "application/CDFV2"
	}
	media := "application/CDFV2"
	const installer = "\x84\x10\x0c\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46" // CLSID
	for _, e := range f.Entries {
		switch {
		case e.Kind == cfb.Root && string(e.Class[:]) == installer:
			return text + ", Little Endian, MSI Installer", "application/x-msi"
		case e.Name == "WordDocument":
			media = "application/msword"
		case e.Name == "Workbook" || e.Name == "Book":
			media = "application/vnd.ms-excel"
		case e.Name == "PowerPoint Document":
			media = "application/vnd.ms-powerpoint"
		case e.Name == "__properties_version1.0":
			media = "application/vnd.ms-outlook"
		}
	}
	return text + ", Little Endian", media
}

// object describes a Mach-O file by its header.
func object(head []byte) string {
	if len(head) < 16 {
		return "Mach-O"
	}
	var order binary.ByteOrder = binary.BigEndian
	if head[0] == 0xce || head[0] == 0xcf {
		order = binary.LittleEndian
	}
	bits := ""
	if head[0] == 0xcf || head[3] == 0xcf {
		bits = " 64-bit"
	}
	cpu := map[uint32]string{7: " i386", 12: " arm", 18: " ppc", 7 | 1<<24: " x86_64", 12 | 1<<24: " arm64", 18 | 1<<24: " ppc64"}[order.Uint32(head[4:])]
	kind := map[uint32]string{
		1: " object", 2: " executable", 4: " core", 5: " preload executable", 6: " dynamically linked shared library",
		7: " dynamic linker", 8: " bundle", 10: " dSYM companion file", 11: " kext bundle",
	}[order.Uint32(head[12:])]
	return "Mach-O" + bits + cpu + kind
}

// interpreted describes a script by the program in its first line.
func interpreted(head []byte) (string, string) {
	line, _, _ := strings.Cut(string(head[:min(len(head), 256)]), "\n")
	words := strings.Fields(strings.TrimPrefix(line, "#!"))
	if !strings.HasPrefix(line, "#!") || len(words) == 0 {
		return names["script"][0], names["script"][1]
	}
	program := words[0][strings.LastIndexByte(words[0], '/')+1:]
	if program == "env" && len(words) > 1 {
		program = words[1]
	}
	known := []struct{ prefix, text, media string }{
		{"bash", "Bourne-Again shell script", "text/x-shellscript"},
		{"dash", "Dash shell script", "text/x-shellscript"},
		{"zsh", "Paul Falstad's zsh script", "text/x-shellscript"},
		{"ksh", "Korn shell script", "text/x-shellscript"},
		{"sh", "POSIX shell script", "text/x-shellscript"},
		{"python", "Python script", "text/x-script.python"},
		{"perl", "Perl script", "text/x-perl"},
		{"ruby", "Ruby script", "text/x-ruby"},
		{"node", "Node.js script", "application/javascript"},
		{"php", "PHP script", "text/x-php"},
	}
	for _, k := range known {
		if strings.HasPrefix(program, k.prefix) {
			return k.text + ", ASCII text executable", k.media
		}
	}
	return "a " + words[0] + " script, ASCII text executable", "text/plain"
}
