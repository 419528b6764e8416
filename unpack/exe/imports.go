package exe

import (
	"io"
	"strings"

	"github.com/showcause/showcause"
	portable "github.com/showcause/showcause/binary/pe"
)

// The bounds of ClamAV, measured with clamscan 1.4.6: of the import directory
// it reads 1,024 entries and of a name 256 bytes. It reads a DLL's functions
// to the end of their table, however many. A table may stand in any number of
// entries, so there has to be a bound of our own.
const (
	maxDLLs      = 1024
	maxName      = 256
	maxFunctions = 1 << 17
)

// Imports writes to w what the import hash of a PE file is a digest of, and
// returns its size in bytes, which is the size that a line of an .imp file
// means. It is "dll.function" for each import in order, in lower case, with
// commas between; the DLL without .dll, .ocx or .sys, an import by ordinal
// as "ord1" but for the DLLs whose ordinals have names.
//
// ok is false where ClamAV has no import hash, so that no rule can match: in
// PE32+ files, without an import directory, and where a table or the name of a
// DLL is nowhere, or the name of a function has a character other than letters,
// digits, "_" and ".", as those of C++ have. A name at the end of the file, or
// nowhere, is not always a reason: it is then left out, or read where the
// address 0 leads, as clamscan 1.4.6 does.
//
// cut is true if the imports are too many, or work, which is charged one for
// each, says to stop; then ok is false. src is what Parse returned i for.
func Imports(src showcause.Source, i *Info, w io.Writer, work func(int64) bool) (size int64, ok, cut bool) {
	if i == nil || i.Kind != PE || i.PE64 {
		return 0, false, false
	}
	p := parsePE(file{src: src})
	if p == nil {
		return 0, false, false
	}
	r := importReader{pe: p, w: w, work: work}
	ok = r.directory() && !r.cut
	return r.size, ok, r.cut
}

// importReader reads the import tables of one file.
type importReader struct {
	*pe
	w         io.Writer
	work      func(int64) bool
	size      int64
	functions int
	cut       bool
	ordinals  portable.Ordinals
}

// directory reads the import directory. It tells whether there is a hash.
func (r *importReader) directory() bool {
	const entry = 20
	d := r.dirs[1]
	at, ok := r.raw(d.rva)
	if d.rva == 0 || d.size == 0 || !ok || int64(at)+int64(d.size) > r.f.src.Size() {
		return false
	}
	left, off := d.size, int64(at)
	for n := 0; left > entry && n < maxDLLs; n++ {
		e := r.f.read(off, entry)
		if e == nil {
			return false
		}
		if le.Uint32(e[12:]) == 0 {
			break
		}
		left, off = left-entry, off+entry
		if !r.charge() || !r.dll(le.Uint32(e), le.Uint32(e[12:]), le.Uint32(e[16:])) {
			return false
		}
	}
	return true
}

// charge counts a step.
func (r *importReader) charge() bool {
	r.functions++
	if r.functions > maxFunctions || !r.work(1) {
		r.cut = true
	}
	return !r.cut
}

// name returns the string that is skip bytes after off, cut where ClamAV cuts
// it; false if the file ends before as many bytes as ClamAV asks for.
func (r *importReader) name(off uint32, skip int64) (string, bool) {
	b := r.f.read(int64(off)+skip, min(maxName, r.f.src.Size()-int64(off)))
	return cstring(b), b != nil
}

// dll reads the functions of one entry of the directory. All are addresses
// relative to the image; the original table is read if it is there.
func (r *importReader) dll(original, name, bound uint32) bool {
	off, ok := r.raw(name)
	if !ok {
		return false
	}
	full, ok := r.name(off, 0)
	if !ok {
		return false
	}
	thunks, ok := uint32(0), false
	if original != 0 {
		thunks, ok = r.raw(original)
	}
	if !ok || thunks == 0 {
		if thunks, ok = r.raw(bound); !ok {
			return false
		}
	}
	prefix := stem(full) + "."
	for at := int64(thunks); ; at += 4 {
		b := r.f.read(at, 4)
		if b == nil || le.Uint32(b) == 0 {
			return true
		}
		if !r.charge() {
			return false
		}
		v := le.Uint32(b)
		var function string
		if v>>31 != 0 {
			function = r.ordinals.Name(full, uint16(v))
		} else {
			hint, _ := r.raw(v) // 0 if it is nowhere, and read there
			if function, ok = r.name(hint, 2); !ok {
				continue
			}
		}
		if !plain(function) {
			return false
		}
		r.write(prefix + function)
	}
}

// write writes one import, in lower case.
func (r *importReader) write(s string) {
	b := make([]byte, 0, len(s)+1)
	if r.size > 0 {
		b = append(b, ',')
	}
	b = append(b, s...)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	r.size += int64(len(b))
	_, _ = r.w.Write(b) // a digest, which takes everything
}

// begins tells whether s begins with prefix, in any case of ASCII letters.
func begins(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// stem returns a DLL's name up to its first dot, if what follows begins like
// one of the extensions that import hashes leave out.
func stem(dll string) string {
	i := strings.IndexByte(dll, '.')
	if i >= 0 && (begins(dll[i:], ".dll") || begins(dll[i:], ".ocx") || begins(dll[i:], ".sys")) {
		return dll[:i]
	}
	return dll
}

// plain tells whether ClamAV takes s for the name of a function.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}
