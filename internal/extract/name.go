package extract

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of names that are written, bytes. A file system takes 255 for an element, a
// system call 4,096 for a path.
const (
	maxElement = 180
	maxPath    = 2000
	maxNested  = 64 // elements of one name
)

// safeName makes elements of a path of the name that a container gives: it is split
// at slashes of both kinds, and in each element what could mislead is written as %
// and two digits: control and format characters, bytes that are not UTF-8, what Windows and shells
// give a meaning, names of devices. Nothing in it is absolute or leads upwards.
func safeName(name string) (elements []string) {
	for e := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		if e == "." {
			continue
		}
		if elements = append(elements, safeElement(e)); len(elements) > maxNested {
			elements = elements[1:] // the last ones tell more
		}
	}
	return elements
}

// cleanName is the name of a file or folder, one element of a path, for the name of an input.
func cleanName(name string) string { return safeElement(orDot(name)) }

// safeElement makes a name of one element, never empty, of one that is not.
func safeElement(e string) string {
	dots := strings.Trim(e, ".") == ""
	device := isDevice(e)
	var b strings.Builder
	for i := 0; i < len(e); {
		r, n := utf8.DecodeRuneInString(e[i:])
		first, last := i == 0, i+n == len(e)
		switch {
		case r == utf8.RuneError && n <= 1,
			!unicode.IsPrint(r),
			strings.ContainsRune(`<>:"|?*`+"\x7f", r),
			dots,
			first && (device || r == '-' || r == ' ' || r == '~'),
			last && (r == '.' || r == ' '),
			r == '%' && i+2 < len(e) && isHex(e[i+1]) && isHex(e[i+2]):
			for _, c := range []byte(e[i : i+n]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		default:
			b.WriteString(e[i : i+n])
		}
		i += n
	}
	return shorten(b.String())
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// isDevice tells whether Windows takes the name for a device, whatever its extension.
func isDevice(e string) bool {
	base, _, _ := strings.Cut(e, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	if slices.Contains([]string{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}, base) {
		return true
	}
	for _, p := range []string{"COM", "LPT"} {
		if rest, ok := strings.CutPrefix(base, p); ok && utf8.RuneCountInString(rest) == 1 && strings.Contains("0123456789¹²³", rest) {
			return true
		}
	}
	return false
}

// shorten cuts a name to maxElement bytes, and keeps a short extension.
func shorten(e string) string {
	if len(e) <= maxElement {
		return e
	}
	_, ext := split(e)
	n := maxElement - len(ext) - 1
	for n > 0 && !utf8.RuneStart(e[n]) {
		n--
	}
	if i := strings.LastIndexByte(e[:n], '%'); i > n-3 && i >= 0 { // no half of a byte's number
		n = i
	}
	return e[:n] + "~" + ext
}

// split divides a name before its extension, if it has a short one.
func split(e string) (stem, ext string) {
	if i := strings.LastIndexByte(e, '.'); i > 0 && len(e)-i <= 16 {
		return e[:i], e[i:]
	}
	return e, ""
}

// numbered is the n-th form of a name, the first of which is the name itself.
func numbered(e string, n int) string {
	if n == 1 {
		return e
	}
	stem, ext := split(e)
	return fmt.Sprintf("%s~%d%s", stem, n, ext)
}

// suffixes are what a name loses, and gets, when the one stream that the file is
// has been decompressed.
var suffixes = [...][2]string{
	{".tgz", ".tar"},
	{".tbz2", ".tar"},
	{".tbz", ".tar"},
	{".txz", ".tar"},
	{".tlz", ".tar"},
	{".tzst", ".tar"},
	{".taz", ".tar"},
	{".gz", ""},
	{".bz2", ""},
	{".xz", ""},
	{".lzma", ""},
	{".zst", ""},
	{".lz4", ""},
	{".lzo", ""},
	{".lz", ""},
	{".z", ""},
	{".br", ""},
	{".sz", ""},
}

// unnamed is the name of a layer for which the container has none: what is
// left of the container's own name for one that is a stream, or else the
// index and the type.
func unnamed(container string, index int, op, kind string) string {
	if format, _, _ := strings.Cut(op, "."); index == 0 && slices.Contains([]string{"gzip", "bzip2", "xz", "lzma", "zstd", "lz4", "lzip", "lzop", "compress", "brotli", "snappy", "zlib", "mozlz4", "pbzx"}, format) {
		lower := strings.ToLower(container)
		for _, s := range suffixes {
			if strings.HasSuffix(lower, s[0]) && len(container) > len(s[0]) {
				if stem := strings.TrimRight(container[:len(container)-len(s[0])], ". "); stem != "" {
					return stem + s[1]
				}
			}
		}
	}
	return fmt.Sprintf("%d.%s", index, kind)
}
