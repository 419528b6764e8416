package office

import (
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// empty tells source without a line that does something.
func empty(code string) bool {
	for line := range strings.Lines(code) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "Attribute ") && !strings.HasPrefix(line, "'") && !strings.HasPrefix(line, "Option ") {
			return false
		}
	}
	return true
}

// compiled tells whether lines that do something are in what was compiled: the table
// of lines has one with more than three code units, as options and comments do not.
//
// Source: what Bontchev found (pcodedmp); no specification tells it.
func compiled(b []byte) bool {
	const toTable, header, row = 0x19, 0x3c, 12
	if len(b) < toTable+4 {
		return false
	}
	at := int64(le.Uint32(b[toTable:])) + header
	if at+6 > int64(len(b)) || le.Uint16(b[at:]) != 0xcafe {
		return false
	}
	lines := int64(le.Uint16(b[at+4:]))
	long := 0
	for k := range lines {
		line := at + 6 + k*row
		if line+row > int64(len(b)) {
			break
		}
		if le.Uint16(b[line+4:]) > 6 {
			long++
		}
	}
	return long > 0
}

const (
	fewestNames = 6       // that what was compiled has, to be compared
	mostNames   = 1 << 10 // that are compared
	mostSource  = 4 << 20 // bytes of source that names are looked for in
)

// usualNames are those that each project has, whatever its source.
const usualNames = `win16 win32 win64 mac vba6 vba7 vba vbe7 stdole vbaproject project project1 office word excel outlook powerpoint access msforms normal
	thisdocument thisworkbook document workbook worksheet sheet1 sheet2 sheet3 module1 module2 module3 class1 userform userform1 _evaluate _b_var evaluate application automation templateproject ole2 none`

// stomped compares the names in what was compiled, which are kept for the project as a
// whole, with its sources: if more than half of them stand in no source, and are not the modules' own or such as
// all have, the source was replaced. Names that an author took out again are kept there too, so that fewer are ordinary.
// It tells whether to go on.
func (w *vbaWalker) stomped(storage int, sources, own []string) bool {
	cache := w.compound.read(w.in(storage, "_VBA_PROJECT"), maxModule)
	if len(cache) < 32 || len(sources) == 0 {
		return true
	}
	text := strings.ToLower(strings.Join(append(sources, own...), "\n"))
	if text = text[:min(len(text), mostSource)]; !w.out.Work(int64(len(cache)+len(text)) / 4) {
		return false
	}
	in := map[string]bool{}
	eachName([]byte(text), func(word string) { in[word] = true })
	seen := map[string]bool{}
	for _, name := range strings.Fields(usualNames) {
		seen[name] = true
	}
	var foreign []string
	all := 0
	eachName(cache, func(name string) {
		lower := strings.ToLower(name)
		if all == mostNames || seen[lower] {
			return
		}
		seen[lower] = true
		if all++; !in[lower] {
			foreign = append(foreign, name)
		}
	})
	if all < fewestNames || 2*len(foreign) <= all {
		return true
	}
	w.out.Gap(stomped, w.at(w.in(storage, "_VBA_PROJECT")), -1)
	list := strings.Join(foreign, "\r\n") + "\r\n"
	return w.out.Child(unpack.Child{Op: "vba.names", Name: w.path(storage), Source: showcause.Bytes(list), Size: int64(len(list))})
}

// eachName calls note with each name of Basic in b, of four letters and more.
func eachName(b []byte, note func(name string)) {
	const fewest, most = 4, 255
	for i := 0; i < len(b); {
		from := i
		for i < len(b) && (isLetter(b[i]) || b[i] == '_' || i > from && b[i] >= '0' && b[i] <= '9') {
			i++
		}
		if n := i - from; n >= fewest && n <= most {
			note(string(b[from:i]))
		}
		if i == from {
			i++
		}
	}
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
