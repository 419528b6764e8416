package unpack

import "strings"

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
