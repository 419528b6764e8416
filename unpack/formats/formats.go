// Package formats is the list of what is unpacked.
package formats

import (
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/archive"
	"github.com/showcause/showcause/unpack/cabinet"
	"github.com/showcause/showcause/unpack/container"
	"github.com/showcause/showcause/unpack/disc"
	"github.com/showcause/showcause/unpack/document"
	"github.com/showcause/showcause/unpack/exe"
	"github.com/showcause/showcause/unpack/hfs"
	"github.com/showcause/showcause/unpack/image"
	"github.com/showcause/showcause/unpack/inline"
	"github.com/showcause/showcause/unpack/installer"
	"github.com/showcause/showcause/unpack/legacy"
	"github.com/showcause/showcause/unpack/office"
	"github.com/showcause/showcause/unpack/pdf"
	"github.com/showcause/showcause/unpack/picture"
	"github.com/showcause/showcause/unpack/rar"
	"github.com/showcause/showcause/unpack/richtext"
	"github.com/showcause/showcause/unpack/script"
	"github.com/showcause/showcause/unpack/sevenzip"
	"github.com/showcause/showcause/unpack/squashfs"
	"github.com/showcause/showcause/unpack/stream"
	"github.com/showcause/showcause/unpack/upx"
	"github.com/showcause/showcause/unpack/volume"
	"github.com/showcause/showcause/unpack/webfont"
	"github.com/showcause/showcause/unpack/zip"
)

// All returns every format, in the order in which a layer is read as them. The
// order fixes the indexes in trails, and what a format may take as read: see
// unpack.Out.Covered.
func All() []unpack.Format {
	return []unpack.Format{
		container.Image(), // in front of tar, which reads what this one names
		archive.Tar(),
		archive.Cpio(),
		archive.Ar(),
		archive.RPM(),
		archive.Xar(),
		image.VHD(), // in front of those that look at what stands behind a disk: its footer does
		disc.ISO9660(),
		disc.UDF(), // behind ISO 9660, which may have given its files
		image.GPT(),
		image.MBR(),
		image.APM(),
		image.QCOW(),
		image.VHDX(),
		image.VMDK(),
		image.VDI(),
		image.Parallels(),
		image.QED(),
		image.DMG(),
		volume.Ext(),
		volume.FAT(),
		volume.ExFAT(),
		volume.NTFS(),
		squashfs.Format(),
		hfs.HFSPlus(),
		hfs.HFS(),
		pdf.Format(),
		cabinet.CHM(),
		cabinet.Cab(),
		sevenzip.Format(),
		rar.Format(),
		legacy.LHA(),
		legacy.ARJ(),
		office.Format(),
		office.HWP3(),
		richtext.Object(),
		richtext.Embedded(),
		richtext.RTF(),
		richtext.TNEF(),
		richtext.OneNote(),
		inline.SWF(),
		inline.XML(),
		inline.Fields(),
		inline.ActiveMime(),
		inline.Link(),
		inline.OpenDocument(), // in front of zip, which has the list of parts as a member
		inline.Manifest(),
		picture.PNG(),
		picture.JPEG(),
		picture.GIF(),
		picture.TIFF(),
		picture.WebP(),
		picture.BMP(),
		picture.ICO(),
		zip.Format(), // behind those whose members may be zips that stand there as they are
		stream.Gzip(),
		stream.Bzip2(),
		stream.Xz(),
		stream.LZMA(),
		stream.Zstd(),
		stream.LZ4(),
		stream.Lzip(),
		stream.Lzop(),
		stream.Compress(),
		stream.Snappy(),
		legacy.Mozilla(),
		archive.Pbzx(stream.OpenXz),
		stream.Brotli(),
		stream.Zlib(),
		webfont.WOFF(),
		webfont.WOFF2(stream.OpenBrotli),
		unpack.Volume(),
		legacy.ALZ(),
		legacy.EGG(),
		legacy.SZDD(),
		legacy.KWAJ(),
		legacy.BinHex(),
		document.Mail(),
		document.Mbox(),
		document.Mbx(),
		document.UUEncode(),
		script.Text(),
		script.HTML(),
		script.Encoded(),
		script.Card(),
		script.PostScript(),
		script.Stretches(),
		exe.Universal(),
		upx.Format(),
		exe.Packed(),
		installer.NSIS(),
		installer.AutoIt(),
		installer.SIS(),
		installer.PyInstaller(),
		installer.PYZ(),
		installer.Asar(),
		installer.InstallShield(exe.ImageEnd),
		exe.Embedded(stream.Measure),
	}
}
