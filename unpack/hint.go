package unpack

import (
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
)

// Hint is what a name says of a layer that its bytes cannot: formats that have no
// mark at their start.
type Hint uint8

// The hints.
const (
	NoHint     Hint = iota
	HintBrotli      // ".br"
	HintVolume      // a later part of an archive that was cut in pieces: ".7z.002", ".z01"
)

// Named returns what a name says, that of a file or of a member of a container.
func Named(name string) Hint {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return NoHint
	}
	stem, ext := strings.ToLower(name[:dot]), strings.ToLower(name[dot+1:])
	switch {
	case ext == "br" || ext == "brotli":
		return HintBrotli
	case number(ext) > 1 && len(ext) >= 3 && cutArchive(stem):
		return HintVolume
	case len(ext) >= 3 && len(ext) <= 4 && ext[0] == 'z' && number(ext[1:]) > 0:
		return HintVolume // .z01 and so on; the last one is .zip
	}
	return NoHint
}

// cutArchive tells the names of what is cut into pieces .001, .002 and so on.
func cutArchive(stem string) bool {
	for _, ext := range [...]string{".7z", ".zip", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".lz", ".iso", ".img", ".wim", ".exe", ".cab", ".dmg", ".vmdk", ".vhd", ".vhdx"} {
		if strings.HasSuffix(stem, ext) {
			return true
		}
	}
	return false
}

// number returns the value of up to six digits, -1 for anything else.
func number(s string) int {
	if s == "" || len(s) > 6 {
		return -1
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// SplitVolume is the code of a piece from the middle of an archive: nothing in it
// tells what it is, and its name does.
const SplitVolume = showcause.Unsupported + ".format.split-volume"

// NamedVolume returns the gap that follows from what an input is called, which
// its reader is not told. t is the type that its report has, and size the input's.
func NamedVolume(name, t string, size int64) (showcause.Gap, bool) {
	return showcause.Gap{Code: SplitVolume, Offset: 0, Length: size}, size > 0 && t == filetype.Unknown.String() && Named(name) == HintVolume
}

// Volume says of members of archives that they are pieces of another one: what
// hides in them begins and ends elsewhere.
func Volume() Format {
	return Format{
		Name:  "split",
		Match: func(p *Probe) bool { return p.Type == filetype.Unknown && Named(p.Name) == HintVolume },
		Walk:  func(src showcause.Source, out *Out) { out.Gap(SplitVolume, 0, src.Size()) },
	}
}
