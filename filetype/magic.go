package filetype

// magic is a type that bytes at one place tell.
type magic struct {
	t   Type
	off int
	sig string
}

// magics are tried in order; the first that fits tells the type. They stand
// for formats whose readers insist on these bytes. What needs more than a
// comparison is in detect.go. Sources: the formats' specifications, and
// ClamAV's documentation "File Types", whose magics these agree with but where
// a comment in detect.go says otherwise.
var magics = [...]magic{
	{ELF, 0, "\x7fELF"},
	{MachO, 0, "\xce\xfa\xed\xfe"}, {MachO, 0, "\xcf\xfa\xed\xfe"},
	{MachO, 0, "\xfe\xed\xfa\xce"}, {MachO, 0, "\xfe\xed\xfa\xcf"},
	{Universal, 0, "\xca\xfe\xba\xbf"}, {Universal, 0, "\xbe\xba\xfe\xca"},
	{PDF, 0, "%PDF-"},
	{hwpOLE2, 4, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"},
	{OLE2, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"},
	{RTF, 0, "{\\rt"},
	{SWF, 0, "FWS"}, {PackedSWF, 0, "CWS"}, {PackedSWF, 0, "ZWS"},

	{Zip, 0, "PK\x03\x04"}, {Zip, 0, "PK\x05\x06"}, {Zip, 0, "PK\x06\x06"},
	{Zip, 0, "PK\x07\x08PK\x03\x04"}, {Zip, 0, "PK00PK\x03\x04"}, {Zip, 0, "JM\x01\x00PK\x03\x04"},
	{Gzip, 0, "\x1f\x8b"},
	{XZ, 0, "\xfd7zXZ\x00"},
	{Zstd, 0, "\x28\xb5\x2f\xfd"},
	{LZ4, 0, "\x04\x22\x4d\x18"}, {LZ4, 0, "\x02\x21\x4c\x18"},
	{Ar, 0, "!<arch>\n"}, {Ar, 0, "!<thin>\n"},
	{sevenZip, 0, "7z\xbc\xaf\x27\x1c"},
	{rar, 0, "Rar!"}, {rar, 0, "RE~^"},
	{cab, 0, "MSCF\x00\x00\x00\x00"}, {isCab, 0, "ISc("},
	{chm, 0, "ITSF"},
	{cpioODC, 0, "070707"}, {cpioNewc, 0, "070701"}, {cpioCRC, 0, "070702"},
	{xar, 0, "xar!"}, {egg, 0, "EGGA"}, {alz, 0, "ALZ\x01"},
	{lha, 2, "-pm0-"}, {lha, 2, "-pm2-"},
	{szdd, 0, "SZDD"}, {kwaj, 0, "KWAJ\x88\xf0\x27\xd1"},
	{ace, 7, "**ACE**"}, {zoo, 20, "\xdc\xa7\xc4\xfd"},
	{stuffit, 0, "StuffIt (c)1997"}, {stuffit, 10, "rLau"},
	{lzip, 0, "LZIP\x01"}, {lzop, 0, "\x89LZO\x00\r\n\x1a\n"}, {compress, 0, "\x1f\x9d"},
	{snappy, 0, "\xff\x06\x00\x00sNaPpY"}, {lrzip, 0, "LRZI\x00"},
	{rpm, 0, "\xed\xab\xee\xdb"}, {wim, 0, "MSWIM\x00\x00\x00"}, {crx, 0, "Cr24"}, {gitPack, 0, "PACK\x00\x00\x00"},
	{sis, 8, "\x19\x04\x00\x10"}, {sis, 0, "\x7a\x1a\x20\x10"},

	{BinHex, 0, "(This file must be converted with BinHex 4.0"},
	{tnef, 0, "\x78\x9f\x3e\x22"},
	{hwp3, 0, "HWP Document File V3.00 \x1a\x01\x02\x03\x04\x05"},
	{oneNote, 0, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"},
	{pst, 0, "!BDN"}, {jetDB, 4, "Standard Jet DB\x00"}, {jetDB, 4, "Standard ACE DB\x00"},
	{scrEnc, 0, "#@~^"}, {cryptFF, 0, "\xb6\xb9\xac\xae\xfe\xff\xff\xff"},
	{pgp, 0, "-----BEGIN PGP MESSAGE-----"}, {luks, 0, "LUKS\xba\xbe"},

	{dex, 0, "dex\n0"}, {wasm, 0, "\x00asm"}, {llvm, 0, "BC\xc0\xde"}, {llvm, 0, "\xde\xc0\x17\x0b"},
	{lnk, 0, "L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"},

	{gif, 0, "GIF8"}, {png, 0, "\x89PNG"}, {jpeg, 0, "\xff\xd8\xff"},
	{tiff, 0, "II*\x00"}, {tiff, 0, "MM\x00*"}, {tiff, 0, "II+\x00"}, {tiff, 0, "MM\x00+"},
	{jpeg2000, 0, "\x00\x00\x00\x0cjP  \r\n\x87\n"}, {psd, 0, "8BPS"}, {icns, 0, "icns"},
	{mp3, 0, "ID3"}, {mp3, 0, "\xff\xfb\x90"}, {ogg, 0, "OggS"}, {flac, 0, "fLaC"},
	{mp4, 4, "ftyp"}, {matroska, 0, "\x1a\x45\xdf\xa3"}, {midi, 0, "MThd\x00\x00\x00\x06"},
	{mpeg, 0, "\x00\x00\x01\xb3"}, {mpeg, 0, "\x00\x00\x01\xba"}, {realMedia, 0, ".RMF"},
	{asf, 0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"},
	{webFont, 0, "wOFF"}, {webFont, 0, "wOF2"}, {font, 0, "OTTO\x00"}, {font, 0, "ttcf\x00"}, {font, 0, "\x00\x01\x00\x00\x00"},
	{ps, 0, "%!PS-Adobe-"},
	{sqlite, 0, "SQLite format 3\x00"}, {sqlite, 0, "\x37\x7f\x06\x82\x00\x2d\xe2\x18"},
	{sqlite, 0, "\x37\x7f\x06\x83\x00\x2d\xe2\x18"}, {sqlite, 0, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"},
	{registry, 0, "regf"}, {evtx, 0, "ElfFile\x00"}, {plist, 0, "bplist00"},
	{pcap, 0, "\xd4\xc3\xb2\xa1"}, {pcap, 0, "\xa1\xb2\xc3\xd4"}, {pcap, 0, "\x0a\x0d\x0d\x0a"},
	{gettext, 0, "\xde\x12\x04\x95"}, {gettext, 0, "\x95\x04\x12\xde"},
	{ignored, 0, "SIP-HIT (SIP/H"}, {ignored, 0, "SYMC\x01\x00"},

	{qcow2, 0, "QFI\xfb"}, {vmdk, 0, "KDMV"}, {vmdk, 0, "COWD"}, {vmdk, 0, "# Disk DescriptorFile"},
	{vhdx, 0, "vhdxfile"}, {vhd, 0, "conectix"}, {vdi, 64, "\x7f\x10\xda\xbe"},
	{squashfs, 0, "hsqs"}, {squashfs, 0, "sqsh"}, {cramfs, 0, "\x45\x3d\xcd\x28"}, {romfs, 0, "-rom1fs-"},
	{ubi, 0, "UBI#"}, {xfs, 0, "XFSB"},
}

// discs are looked for only where nothing tells at the start, as a disc image
// may start with a boot program of any kind.
var discs = [...]magic{
	{iso9660, 0x8000, "\x01CD001"}, {udf, 0x8000, "\x00BEA01"}, {udf, 0x8000, "\x00NSR0"},
	{ntfs, 3, "NTFS    "}, {exfat, 3, "EXFAT   "}, {fat, 54, "FAT1"}, {fat, 82, "FAT32   "},
	{gpt, 512, "EFI PART"},
	{hfsPlus, 1024, "H+\x00\x04"}, {hfsPlus, 1024, "HX\x00\x05"},
	{erofs, 1024, "\xe2\xe1\xf5\xe0"},
	{btrfs, 0x10040, "_BHRfS_M"},
}

// oldPythons are the magics of Python before 1.3, which had none of that.
var oldPythons = [...]string{"\x02\x99\x99\x00", "\x03\x99\x99\x00", "\x02\x09\x99\x00", "\x03\x09\x99\x00"}
