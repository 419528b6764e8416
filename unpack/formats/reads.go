package formats

import "github.com/showcause/showcause/filetype"

// Reads tells whether the format of that name reads what hides in a layer of
// type t, so that nothing needs to be said of the type itself. A zip at the
// end of a PDF file is read as zip, and the PDF is unread all the same.
func Reads(format string, t filetype.Type) bool {
	switch t.String() {
	case "zip", "ooxml-word", "ooxml-ppt", "ooxml-xl", "ooxml-hwp", "crx":
		return format == "zip"
	case "ole2", "hwp-ole2":
		return format == "cfb"
	case "tar", "tar-old":
		return format == "tar"
	case "cpio-old", "cpio-odc", "cpio-newc", "cpio-crc":
		return format == "cpio"
	case "swf-compressed":
		return format == "swf"
	case "xml-word", "xml-xl", "xml-hwp", "xdp":
		return format == "xml"
	case "script-encoder":
		return format == "screnc"
	case "mail", "mhtml":
		return format == "mime" || format == "mbox"
	}
	return format == t.String() // gzip, bzip2, xz, lzma, zstd, lz4, ar, uuencode
}
