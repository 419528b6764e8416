// Package formats is the list of what is unpacked.
package formats

import (
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/archive"
	"github.com/showcause/showcause/unpack/document"
	"github.com/showcause/showcause/unpack/exe"
)

// All returns every format, in the order in which a layer is read as them. The
// order fixes the indexes in trails.
func All() []unpack.Format {
	return []unpack.Format{
		archive.Zip(),
		archive.Gzip(),
		archive.Bzip2(),
		archive.Xz(),
		archive.LZMA(),
		archive.Zstd(),
		archive.LZ4(),
		archive.Tar(),
		archive.Cpio(),
		archive.Ar(),
		document.Mail(),
		document.Mbox(),
		document.UUEncode(),
		exe.Universal(),
		exe.Embedded(),
	}
}
