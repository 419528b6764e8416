package filetype

import (
	"bytes"
	"encoding/binary"

	"github.com/showcause/showcause"
)

// archives are the magics of archives, compressed files and images of disks that
// are told and not read. They are asked for behind all others. Sources: the
// programs' own formats, and the magic numbers of file(1), "archive" and "compress".
var archives = [...]magic{
	{zpaq, 0, "7kSt\xa0\x31\x83\xd3\x8c\xb2\x28\xb0\xd3"},
	{zpaq, 0, "zPQ\x01\x01"},
	{zpaq, 0, "zPQ\x02\x01"},
	{freearc, 0, "ArC\x01"},
	{hpack, 0, "HPAK"},
	{arjJar, 14, "\x1aJar\x1b"},
	{dms, 0, "DMS!"},
	{stuffitX, 0, "StuffIt!"},
	{stuffitX, 0, "StuffIt?"},
	{bzip3, 0, "BZ3v1"},
	{freezeT, 0, "\x1f\x9f"},
	{rawCd, 0, "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"},
	{lz5, 0, "\x05\x22\x4d\x18"},
	{lizard, 0, "\x06\x22\x4d\x18"},
	{qpress, 0, "qpress10"},
	{ucl, 0, "\x00\xe9UCL\xff\x01\x1a"},
	{mozlz4, 0, "mozLz40\x00"},
	{pbzx, 0, "pbzx\x00"},
	{kgb, 0, "KGB_arch -"},
	{sqx, 7, "-sqx-"},
	{ultracompressor, 0, "UC2\x1a"},
	{amigaLzx, 0, "LZX\x00"},
	{sapcar, 0, "CAR 2.00"},
	{sapcar, 0, "CAR 2.01"},
	{blakhole, 0, "BH\x05\x07"},
	{installshieldZ, 0, "\x13\x5d\x65\x8c"},
	{nufx, 0, "N\xf5F\xe9l\xe5"},
	{packit, 0, "PMag\x00"},
	{packit, 0, "PMa4\x00"},
	{xfsdump, 0, "xFSdump0"},
	{androidSparse, 0, "\x3a\xff\x26\xed"},
	{androidBackup, 0, "ANDROID BACKUP\n"},
	{androidPayload, 0, "CrAU\x00"},
	{uimage, 0, "\x27\x05\x19\x56"},
	{zchunk, 0, "\x00ZCK1"},
	{chd, 0, "MComprHD"},
	{daa, 0, "DAA\x00"},
	{ghost, 0, "\xfe\xef\x01"},
	{acronis, 0, "\xb4\x6e\x68\x44"},
	{partclone, 0, "partclone-image"},
	{ntfsclone, 0, "\x00ntfsclone-image"},
	{partimage, 0, "PaRtImAgE-VoLuMe"},
	{fsarchiver, 0, "FsArCh_0"},
}

// told tells the types of archives, and those that need a second look, as their
// magics are short or words.
func told(head []byte) Type {
	for i := range archives {
		if m := &archives[i]; m.at(head) {
			return m.t
		}
	}
	for _, f := range [...]func([]byte) Type{oldArchive, amiga, squeezed, backup, apple} {
		if t := f(head); t != Unknown {
			return t
		}
	}
	return Unknown
}

// oldArchive tells the archives of old programs by the header of their first file.
func oldArchive(head []byte) Type {
	if len(head) < 32 {
		return Unknown
	}
	switch {
	case head[0] == 0x1a && head[1]&0x7f > 1 && head[1]&0x7f <= 11 && fileName(head[2:15]) && binary.LittleEndian.Uint32(head[15:]) < 1<<30 && dosDate(binary.LittleEndian.Uint16(head[19:])):
		return arc // method 1 was the first version's alone; terminfo's files begin so
	case hasPrefix(head, "HA") && head[2] > 0 && head[4]>>4 == 2 && bytes.IndexByte([]byte{0, 1, 2, 14, 15}, head[4]&15) >= 0 && binary.LittleEndian.Uint32(head[5:]) < 1<<30:
		return ha
	case hasPrefix(head, "UHA") && head[3] > 0 && head[3] < 16:
		return uharc
	}
	return Unknown
}

// dosDate tells a date of DOS, 0 for none.
func dosDate(d uint16) bool { return d == 0 || d>>5&15 >= 1 && d>>5&15 <= 12 && d&31 >= 1 }

// fileName tells a name of DOS with a zero behind it.
func fileName(b []byte) bool {
	n := bytes.IndexByte(b, 0)
	if n < 1 {
		return false
	}
	for _, c := range b[:n] {
		if c <= ' ' || c > '~' || bytes.IndexByte([]byte(`/\:*?"<>|`), c) >= 0 {
			return false
		}
	}
	return true
}

// amiga tells what packs a file in the way of the Amiga: sizes behind a word.
func amiga(head []byte) Type {
	if len(head) < 16 {
		return Unknown
	}
	be := binary.BigEndian
	switch {
	case (hasPrefix(head, "RNC\x01") || hasPrefix(head, "RNC\x02")) && be.Uint32(head[4:]) < 1<<28 && be.Uint32(head[8:]) < 1<<28:
		return rnc
	case hasPrefix(head, "XPKF") && be.Uint32(head[4:]) < 1<<30 && be.Uint32(head[12:]) < 1<<30:
		return xpk
	case hasPrefix(head, "PP20") && head[4] >= 6 && head[4] <= 16 && head[5] >= 6 && head[5] <= 16 && head[6] <= 16 && head[7] <= 16, hasPrefix(head, "PX20\x00"):
		return powerpacker
	}
	return Unknown
}

// squeezed tells compressed files whose magics are short.
func squeezed(head []byte) Type {
	if len(head) < 12 {
		return Unknown
	}
	be := binary.BigEndian
	switch {
	case hasPrefix(head, "RZIP") && head[4] >= 1 && head[4] <= 2 && head[5] < 10:
		return rzip
	case hasPrefix(head, "BZ0") && head[3] >= '1' && head[3] <= '9' && !printable(head[4:min(len(head), 64)]):
		return bzip1
	case hasPrefix(head, "ZV\x01") && be.Uint16(head[3:]) <= be.Uint16(head[5:]) && be.Uint16(head[3:]) > 0, hasPrefix(head, "ZV\x00") && be.Uint16(head[3:]) > 0 && be.Uint16(head[3:]) < 1<<15:
		return lzf
	case head[0] == 0x76 && head[1] == 0xff && fileName(head[4:min(len(head), 17)]), head[0] == 0x76 && (head[1] == 0xfe || head[1] == 0xfd) && fileName(head[2:min(len(head), 15)]):
		return squeeze
	case hasPrefix(head, "bvx2") || hasPrefix(head, "bvx1") || hasPrefix(head, "bvxn") || hasPrefix(head, "bvx-"):
		if n := binary.LittleEndian.Uint32(head[4:]); n > 0 && n < 1<<28 {
			return lzfse
		}
	case hasPrefix(head, "CISO") && len(head) >= 24 && (binary.LittleEndian.Uint32(head[16:]) == 2048 || binary.LittleEndian.Uint32(head[4:]) == 1<<21):
		return cso
	}
	return Unknown
}

// printable tells text of one line.
func printable(b []byte) bool {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

// backup tells what is written to tapes and in slices.
func backup(head []byte) Type {
	switch {
	case len(head) >= 20 && hasPrefix(head, "\x00\x00\x00\x7b") && bytes.IndexByte([]byte("TNE"), head[14]) >= 0 && bytes.IndexByte([]byte("NST"), head[15]) >= 0:
		return dar
	case len(head) >= 116 && hasPrefix(head, "070727") && bytes.IndexByte(head[6:96], 0) < 0:
		return afio
	case len(head) >= 64 && hasPrefix(head[24:], "\x6c\xea\x00\x00") && head[0] >= 1 && head[0] <= 6 && string(head[1:4]) == "\x00\x00\x00",
		len(head) >= 64 && hasPrefix(head[24:], "\x00\x00\xea\x6c") && head[3] >= 1 && head[3] <= 6 && string(head[:3]) == "\x00\x00\x00":
		return dumpT
	}
	return Unknown
}

// apple tells Apple's archives: the length of a header, and its first field.
func apple(head []byte) Type {
	if len(head) >= 12 && (hasPrefix(head, "AA01") || hasPrefix(head, "YAA1")) && string(head[6:9]) == "TYP" || hasPrefix(head, "AEA1") && len(head) >= 12 && head[7] == 0 {
		return appleArchive
	}
	return Unknown
}

// floppy tells the disks of the Amiga: a boot block, and a whole number of tracks.
func floppy(head []byte, src showcause.Source) Type {
	if len(head) >= 512 && hasPrefix(head, "DOS") && head[3] < 8 && src != nil && src.Size() >= 880<<10 && src.Size()%512 == 0 {
		return adf
	}
	return Unknown
}

// track tells images of compact discs by what their programs write behind the
// tracks: Nero, and DiscJuggler.
func track(src showcause.Source) Type {
	if src == nil || src.Size() < 64<<10 {
		return Unknown
	}
	size := src.Size()
	b := peek(src, size-12, 12)
	if len(b) < 12 {
		return Unknown
	}
	le, be := binary.LittleEndian, binary.BigEndian
	switch {
	case hasPrefix(b, "NER5") && be.Uint64(b[4:]) < uint64(size), string(b[4:8]) == "NERO" && int64(be.Uint32(b[8:])) < size:
		return neroImage
	case le.Uint32(b[4:]) >= 0x80000004 && le.Uint32(b[4:]) <= 0x80000006 && le.Uint32(b[8:]) > 0 && int64(le.Uint32(b[8:])) < size:
		return discjuggler
	}
	return Unknown
}
