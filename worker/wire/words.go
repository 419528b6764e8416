package wire

import (
	"maps"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
)

// otherOp and otherCode are word 0 of their lists: they stand for words that
// are missing there. A test holds that none is. A gap with the code 0 is about
// unread bytes, as a new code may be.
const (
	otherOp   = "other"
	otherCode = showcause.Unsupported + ".other"
)

// words are the closed lists, the same in the reader and the broker, which are
// one binary.
type words struct {
	types []string
	ops   []string
	codes []showcause.Code

	typeOf map[string]uint8
	opOf   map[string]uint16
	codeOf map[showcause.Code]uint16
}

func newWords() *words {
	w := &words{ops: append([]string{otherOp}, allOps()...), codes: append([]showcause.Code{otherCode}, allCodes()...)}
	for _, t := range filetype.All() {
		w.types = append(w.types, t.String())
	}
	w.typeOf, w.opOf, w.codeOf = map[string]uint8{}, map[string]uint16{}, map[showcause.Code]uint16{}
	for i, s := range w.types {
		w.typeOf[s] = uint8(i)
	}
	for i, s := range w.ops {
		w.opOf[s] = uint16(i)
	}
	for i, s := range w.codes {
		w.codeOf[s] = uint16(i)
	}
	return w
}

// zipMethods are the words for methods of zip members.
func zipMethods() []string {
	return strings.Fields(`stored shrink reduce implode tokenize deflate deflate64 dcl-implode bzip2 lzma
		cmpsc terse lz77 zstd mp3 xz jpeg wavpack ppmd aes unknown`)
}

// archive is a format with what its members are derived by.
type archive struct {
	format string
	words  []string
}

// members are the archives whose ops are the format and a word of its own.
func members() (out []archive) {
	for _, line := range strings.Split(strings.TrimSpace(`
		7z       brotli bzip2 copy deflate deflate64 lz4 lzma lzma2 ppmd rest unknown zstd
		alz      bzip2 deflate obfuscated rest stored unknown
		arj      fast lzh rest stored
		cab      lzx mszip quantum rest stored unknown
		cfb      deleted encrypted object rest slack stream
		chm      lzx rest stored unknown
		iso9660  boot file rest
		apm      partition rest
		dmg      partition
		egg      azo bzip2 deflate lzma rest stored unknown
		exfat    file lost rest
		ext      file link lost rest
		fat      file lost rest
		gpt      partition rest
		hfs      file lost resource rest volume
		hfsplus  attribute compressed file lost resource rest
		binhex   data resource
		kwaj     lzss mszip rest stored unknown xor
		lha      lh0 lh1 lh4 lh5 lh6 lh7 lhx lz4 lz5 lzs pm0 rest unknown
		mbr      partition rest
		nsis     bzip2 deflate lzma stored
		autoit   file script
		sis      deflate stored
		pyinstaller deflate stored
		pyz      deflate
		asar     file rest
		installshield deflate stored
		ntfs     file lost rest stream
		qcow2    disk rest snapshot
		msg      rtf
		odf      decrypted
		office   decrypted
		ole      native rest
		ole1     file native rest
		onenote  file
		ooxml    decrypted
		hwp      decrypted deflate
		hwp3     body deflate
		hwp3body object
		pictures deflate
		swf      body data image pixels rest
		xml      base64 deflate
		fields   text
		mso      data rest
		lnk      rest text
		tnef     file property rest rtf
		rtf      binary data object picture rest text
		ppt      storage
		vba      names source
		visio    stream
		xlm      decrypted formulas strings
		rar      lz3 lz5 rest service stored
		rpm      payload
		html     attributes script srcdoc style
		text     iso2022 nul utf32 utf7
		screnc   script
		encoded  base64 codes command deflate hex
		squashfs attributes file image lost rest
		szdd     lzss rest
		udf      file rest
		pdf      actions file javascript metadata rest stream strings xfa
		vhd      disk rest
		vhdx     disk rest
		vmdk     disk rest
		vdi      disk rest
		packed   image memory program
		upx      image part
		bmp      image rest
		gif      comment data rest
		ico      image rest
		jpeg     comment exif profile resources rest xmp
		png      exif profile rest text
		tiff     data image xmp
		webp     exif profile rest xmp
		card     base64 text
		ps       data eexec preview text
		parallels disk rest
		qed      disk rest
		xar      gzip rest stored toc`), "\n") {
		w := strings.Fields(line)
		out = append(out, archive{w[0], w[1:]})
	}
	return out
}

// packers are the names that exe.Info.Packer gives.
func packers() []string {
	return strings.Fields(`yc pespin petite wwpack aspack upack fsg mew nspack pecompact upx mpress themida
		vmprotect enigma perplex rlpack neolite svkp kkrunchy epack nsis autoit innosetup installshield pyinstaller
		7z-sfx rar-sfx cab-sfx ole2-sfx arj-sfx squashfs-sfx`)
}

// allOps are the ways in which layers are derived, each once, in order.
func allOps() []string {
	ops := strings.Fields(`ar.file cpio.file cpio.rest tar.file tar.sparse oci.layer oci.file oci.hidden
		gzip.deflate gzip.member bzip2.stream lzma.stream xz.stream zstd.stream zstd.skippable lz4.stream lz4.skippable lzip.lzma lzop.lzo compress.lzw snappy.stream mozlz4.stream mozlz4.rest pbzx.stream pbzx.rest brotli.stream zlib.deflate woff.table woff.metadata woff2.tables woff2.metadata
		mime.charset mime.pkcs7 mbox.message mbox.message.message mbx.message mbx.message.message mbx.rest uuencode.begin uuencode.base64 uuencode.yenc
		bytecode.file bytecode.script macho.slice exe.embedded exe.payload exe.overlay
		view.text view.utf16 view.html.nocomment view.html.notags view.html.javascript view.html.data`)
	for _, f := range members() {
		for _, m := range f.words {
			ops = append(ops, f.format+"."+m)
		}
	}
	for _, m := range strings.Fields("7bit 8bit binary unknown base64 quoted-printable uuencode yenc") {
		ops = append(ops, "mime."+m, "mime."+m+".message", "mime."+m+".multipart")
	}
	for _, m := range append(zipMethods(), "rest") {
		ops = append(ops, "zip."+m)
	}
	for _, t := range filetype.All() { // as a signature asked for
		ops = append(ops, "as."+t.String())
	}
	for _, op := range slices.Clone(ops) { // what a password opened
		switch head, _, _ := strings.Cut(op, "."); head {
		case "zip", "7z", "rar", "alz", "pdf":
			ops = append(ops, op+".decrypted")
		}
	}
	return unique(ops)
}

// allCodes are the codes that a reader gives, each once, in order. Those that
// only a broker can know (why a reader died, that it took too long) are not here.
func allCodes() []showcause.Code {
	codes := []showcause.Code{
		showcause.LimitSize, showcause.LimitRatio, showcause.LimitDepth, showcause.LimitObject, showcause.LimitWork, showcause.LimitMemory, showcause.LimitSpill,
		showcause.Encrypted, showcause.Unsupported, showcause.Unsupported + ".bytecode", showcause.Corrupt, showcause.Corrupt + ".cms", showcause.Ambiguous,
		showcause.Changed, showcause.Unreadable, showcause.Unreadable + ".rules", showcause.Crash,
	}
	add := func(head showcause.Code, tails ...string) {
		for _, t := range tails {
			codes = append(codes, head+"."+showcause.Code(t))
		}
	}
	add(showcause.Ambiguous, strings.Fields(`overlap cpio.concatenated tar.checksum tar.size tar.concatenated
		zip.method zip.size zip.name zip.entry zip.directory zip.overlap zip.encryption
		mime.boundary mime.structure mime.line-end mime.unclosed mime.quoted-printable mime.padding mime.base64
		mime.encoding mime.header mime.type mbox.from uuencode.line iso9660.endian iso9660.tree gpt.table fat.table fat.size ntfs.size ext.journal
		hfsplus.journal hfsplus.tree oci.absent oci.tree rar.end pdf.filter pdf.length screnc.checksum screnc.length vba.source rtf.object tnef.checksum onenote.length`)...)
	add(showcause.Unsupported+".method", strings.Fields(`charset cms cms-compressed cpio-stripped mime-readings message-partial message-external-body
		7z alz arj cab egg snappy chm compress kwaj lha lzop xar rar rar-dictionary rar-filter zisofs iso9660-interleave qcow2-feature vhdx-log vmdk vdi qed-feature ext hfsplus squashfs ntfs-wof udf-virtual dmg
		pdf-filter pdf-image onenote ps.binary ps.filter image
		7z-alpha 7z-m68k 7z-experimental 7z-nsis 7z-lzham 7z-lz5 7z-lizard 7z-splitter
		zstd-dictionary zstd-window lzma-dictionary xz-filter xz-flags lz4-version lz4-dictionary`)...)
	add(showcause.Unsupported+".method", zipMethods()...)
	add(showcause.Unsupported+".format", "tar-volume", "ar-thin", "zip-split", "split-volume", "cab-volume", "arj-volume", "rar-volume", "alz-volume", "egg-volume", "macho-universal-nested",
		"qcow2-backing", "vhd-parent", "vhdx-parent", "vmdk-extent", "vdi-parent", "qed-backing", "dmg-segment", "oci-remote")
	for _, t := range filetype.All() {
		add(showcause.Unsupported+".format", t.String())
	}
	add(showcause.Unsupported+".packer", packers()...)
	return unique(codes)
}

// unique sorts words and drops those that stand twice.
func unique[T ~string](in []T) []T {
	set := map[T]bool{}
	for _, s := range in {
		set[s] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// Vocabulary returns the closed lists of words that a process in the jail may
// say of a layer: how it was derived (showcause.Step), and why something was not
// read. An index into either is what goes over a wire; word 0 stands for a word
// that the list lacks.
func Vocabulary() (ops []string, codes []showcause.Code) {
	w := newWords()
	return w.ops, w.codes
}
