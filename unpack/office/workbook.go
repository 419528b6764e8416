package office

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Records of workbooks ([MS-XLS] 2.3).
const (
	recordFormula  = 0x06
	recordEOF      = 0x0a
	recordName     = 0x18
	recordFilePass = 0x2f
	recordContinue = 0x3c
	recordSheet    = 0x85
	recordSST      = 0xfc
	recordLabel    = 0x204
	recordString   = 0x207
	recordArray    = 0x221
	recordShared   = 0x4bc
	recordBOF      = 0x809
)

const (
	maxText    = 32 << 20 // bytes of a text that is put together
	maxSheets  = 1 << 12
	maxDefined = 1 << 18
	maxCopied  = 1 << 28 // bytes that are moved to put formulas together
	maxAgain   = 1 << 20 // records that sheets lead to and that do not follow each other
	macroSheet = 0x40    // kind of substream
)

// Workbook reads the streams of Excel's workbooks (BIFF5 and BIFF8, [MS-XLS]; BIFF2 to BIFF4, which are files too). The
// formulas of macro sheets and of names are rebuilt as text, "xlm.formulas", under the names of their
// sheets and how these are hidden; all strings are put together, "xlm.strings", a line each, in UTF-8.
// What is encrypted with the password that Excel itself tries, or one that is known, is opened,
// "xlm.decrypted": the stream as it would be.
func Workbook() unpack.Format {
	return unpack.Format{
		Name: "xlm",
		Match: func(p *unpack.Probe) bool {
			b := p.Head
			return isOldBook(b) || len(b) >= 8 && le.Uint16(b) == recordBOF && le.Uint16(b[2:]) >= 6 && le.Uint16(b[2:]) <= 32 && (b[5] == 5 || b[5] == 6) && b[4] == 0
		},
		Walk: workbookWalk,
	}
}

// workbook is a workbook that is read.
type workbook struct {
	src       showcause.Source
	out       *unpack.Out
	version   int  // of BIFF: 2, 3, 4, 5, 8
	wide      bool // BIFF8
	sheets    []sheet
	begins    map[int64][]int // which of these begin where; nil: one was met
	seen      map[int64]bool  // offsets of records that sheets led to
	copied    int64
	names     []string
	formulas  bytes.Buffer
	strings   bytes.Buffer
	kind      uint16 // of the substream
	sheet     string
	called    string // what the sheet that follows is called
	short     bool   // a text is not whole
	functions map[uint16]string
	commands  map[uint16]string
	macro     bool // there is a macro sheet, or a name that is one
}

type sheet struct {
	name   string
	at     int64
	hidden byte
	macro  bool
}

func workbookWalk(src showcause.Source, out *unpack.Out) {
	w := &workbook{src: src, out: out, begins: map[int64][]int{}, seen: map[int64]bool{}}
	if w.records(0, false) {
		// Excel goes by where the sheets are said to be.
		for _, s := range w.sheets {
			if s.at > 0 && len(w.begins[s.at]) > 0 {
				w.records(s.at, true)
			}
		}
		w.give()
	}
}

// give gives what was put together.
func (w *workbook) give() {
	if w.macro && w.formulas.Len() > 0 {
		b := w.formulas.Bytes()
		if !w.out.Child(unpack.Child{Op: "xlm.formulas", Source: showcause.Bytes(b), Size: int64(len(b))}) {
			return
		}
	}
	if b := w.strings.Bytes(); len(b) > 0 {
		w.out.Child(unpack.Child{Op: "xlm.strings", Source: showcause.Bytes(b), Size: int64(len(b))})
	}
	if w.short {
		w.out.Gap(showcause.LimitSize, 0, -1)
	}
}

// records goes through the records from at on, and is false where there is nothing to
// give. again is for a sheet that the records do not come to: to its end, or to what
// another one had.
func (w *workbook) records(at int64, again bool) bool {
	depth, first := 0, true
	for at < w.src.Size() {
		h, err := bound.ReadAt(w.src, at, 4, 4)
		if err != nil {
			if len(bytes.Trim(h, "\x00")) > 0 || depth > 0 {
				w.out.Gap(showcause.Corrupt, at, -1)
			}
			return true
		}
		id, n := le.Uint16(h), int64(le.Uint16(h[2:]))
		begins := id == recordBOF || oldBOF(id) && (depth == 0 || w.version < 5)
		if depth == 0 && (!begins || again && !first) || w.seen[at] {
			return true // it was padded, or something else begins
		}
		if first = false; again {
			if len(w.seen) >= maxAgain {
				w.short = true
				return true
			}
			w.seen[at] = true
		}
		if !w.out.Work(n/64 + 1) {
			return true
		}
		b, err := bound.ReadAt(w.src, at+4, n, 1<<16)
		if err != nil {
			w.out.Gap(showcause.Corrupt, at, -1)
			b = append(b, make([]byte, n-int64(len(b)))...)
		}
		next := at + 4 + n
		switch {
		case begins:
			depth++
			w.begin(at, id, b)
		case id == recordEOF:
			depth--
		case id == recordFilePass:
			if early := at <= 64<<10 && len(w.sheets) == 0 && depth == 1; w.sealed(at, b) || early {
				return false
			}
		case id == recordSST:
			next = w.table(next, b)
		case w.version < 5:
			w.oldRecord(id, b)
		default:
			w.record(id, b)
		}
		at = next
	}
	if depth > 0 {
		w.out.Gap(showcause.Corrupt, w.src.Size(), -1)
	}
	return true
}

// begin begins a substream.
func (w *workbook) begin(at int64, id uint16, b []byte) {
	if len(b) < 4 {
		return
	}
	w.version = versionOf(id, b)
	w.wide = w.version == 8
	w.kind = le.Uint16(b[2:])
	w.sheet, w.called = w.called, ""
	for _, i := range w.begins[at] {
		s := w.sheets[i]
		w.sheet = s.name
		if s.macro {
			w.kind = macroSheet
		}
		if w.kind == macroSheet {
			w.line("sheet %s, macro%s", s.name, [...]string{"", ", hidden", ", very hidden", ", hidden"}[s.hidden&3])
		}
	}
	delete(w.begins, at)
	w.macro = w.macro || w.kind == macroSheet
}

// line writes a line of the text of formulas.
func (w *workbook) line(format string, arg ...any) {
	if w.short = w.short || w.formulas.Len() > maxText; !w.short {
		n, _ := fmt.Fprintf(&w.formulas, format+"\r\n", arg...)
		w.out.Work(int64(n) / 8)
	}
}

// text writes a line of the text of strings.
func (w *workbook) text(s string) {
	if w.short = w.short || w.strings.Len() > maxText; !w.short && s != "" {
		w.strings.WriteString(s)
		w.strings.WriteString("\r\n")
		w.out.Work(int64(len(s)) / 8)
	}
}

// record takes what a record of a sheet or of the whole says.
func (w *workbook) record(id uint16, b []byte) {
	formula := func(at int) {
		if w.kind == macroSheet && len(b) >= at+2 && !w.short {
			cell := w.sheet + "!" + cellName(int(le.Uint16(b)), int(le.Uint16(b[2:])))
			if at != 20 {
				cell = w.sheet + "!" + cellName(int(le.Uint16(b)), int(b[4]))
			}
			w.line("%s\t=%s", cell, w.formula(b[at+2:], int(le.Uint16(b[at:]))))
		}
	}
	switch id {
	case recordFormula:
		formula(20)
	case recordArray:
		formula(12)
	case recordShared:
		formula(8)
	case recordString:
		if len(b) >= 2 {
			s, _ := w.chars(b[2:], int(le.Uint16(b)))
			w.text(s)
		}
	case recordLabel:
		if len(b) >= 8 {
			s, _ := w.chars(b[8:], int(le.Uint16(b[6:])))
			w.text(s)
		}
	case recordSheet:
		if len(w.sheets) >= maxSheets {
			w.short = true
		} else if len(b) >= 7 {
			name, _ := w.chars(b[7:], int(b[6]))
			at := int64(le.Uint32(b))
			w.begins[at] = append(w.begins[at], len(w.sheets))
			w.sheets = append(w.sheets, sheet{name, at, b[4], b[5] == 1})
		}
	case recordName:
		w.define(b)
	}
}

// define takes a name ([MS-XLS] 2.4.150).
func (w *workbook) define(b []byte) {
	const head = 14
	if w.short = w.short || len(w.names) >= maxDefined; len(b) < head || len(w.names) >= maxDefined {
		return
	}
	flags := le.Uint16(b)
	name, rest := w.chars(b[head:], int(b[3]))
	if flags&0x20 != 0 { // one of Excel's own, by its number
		name = ownName(name)
	}
	w.names = append(w.names, name)
	w.macro = w.macro || isAuto(name)
	hidden := ""
	if flags&1 != 0 {
		hidden = ", hidden"
	}
	w.line("name %s%s\t=%s", name, hidden, w.formula(rest, int(le.Uint16(b[4:]))))
}

// ownName is one of Excel's own names, by the number that it begins with.
func ownName(name string) string {
	own := [...]string{"Consolidate_Area", "Auto_Open", "Auto_Close", "Extract", "Database", "Criteria", "Print_Area", "Print_Titles", "Recorder", "Data_Form", "Auto_Activate", "Auto_Deactivate", "Sheet_Title", "_FilterDatabase"}
	if c := []rune(name); len(c) > 0 && int(c[0]) < len(own) {
		return own[c[0]] + string(c[1:])
	}
	return name
}

// isAuto tells names of macros that run by themselves.
func isAuto(name string) bool { return len(name) > 5 && strings.EqualFold(name[:5], "Auto_") }

// chars reads n characters and returns what is behind them. In BIFF8 a byte in front
// says whether they have one byte or two.
func (w *workbook) chars(b []byte, n int) (string, []byte) {
	if !w.wide {
		n = min(n, len(b))
		return string(b[:n]), b[n:]
	}
	if len(b) == 0 {
		return "", nil
	}
	two := b[0]&1 != 0
	b = b[1:]
	if two {
		n = min(2*n, len(b)&^1)
		return utf8of(b[:n]), b[n:]
	}
	n = min(n, len(b))
	return latin(b[:n]), b[n:]
}

// latin is text of one byte a character as UTF-8.
func latin(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

// table reads the table of strings, which goes on in records that follow, and
// returns where these end.
func (w *workbook) table(next int64, b []byte) int64 {
	t := parts{list: [][]byte{b}}
	total := int64(len(b))
	for w.out.Work(1) {
		h, err := bound.ReadAt(w.src, next, 4, 4)
		if err != nil || le.Uint16(h) != recordContinue {
			break
		}
		n := int64(le.Uint16(h[2:]))
		if total += n; total > maxText {
			w.short = true
			break
		}
		b, err := bound.ReadAt(w.src, next+4, n, 1<<16)
		t.list = append(t.list, b)
		if err != nil || !w.out.Work(n/64) {
			break // the records' reader says so
		}
		next += 4 + n
	}
	if len(b) < 8 {
		return next
	}
	t.take(4)
	for count := le.Uint32(t.take(4)); count > 0 && w.out.Work(1); count-- {
		s, ok := t.string()
		w.text(s)
		if !ok {
			w.out.Gap(showcause.Corrupt, next, -1)
			break
		}
	}
	return next
}

// parts are the records that a table of strings stands in.
type parts struct{ list [][]byte }

// left is how many bytes the part has that is read, 0 at the end of all.
func (t *parts) left() int {
	for len(t.list) > 0 && len(t.list[0]) == 0 {
		t.list = t.list[1:]
	}
	if len(t.list) == 0 {
		return 0
	}
	return len(t.list[0])
}

// take takes n bytes, fewer where there are no more.
func (t *parts) take(n int) (b []byte) {
	for n > 0 && t.left() > 0 {
		k := min(n, t.left())
		b = append(b, t.list[0][:k]...)
		t.list[0] = t.list[0][k:]
		n -= k
	}
	return b
}

// skip passes over n bytes, and is false where there are fewer.
func (t *parts) skip(n int64) bool {
	for n > 0 && t.left() > 0 {
		k := min(n, int64(t.left()))
		t.list[0] = t.list[0][k:]
		n -= k
	}
	return n == 0
}

// string reads a string with its runs ([MS-XLS] 2.5.293). Where its characters go on
// in another part, a byte says anew how long they are.
func (t *parts) string() (string, bool) {
	h := t.take(3)
	if len(h) < 3 {
		return "", false
	}
	n, flags := int(le.Uint16(h)), h[2]
	behind := int64(0)
	if flags&8 != 0 {
		b := t.take(2)
		if len(b) < 2 {
			return "", false
		}
		behind = 4 * int64(le.Uint16(b))
	}
	if flags&4 != 0 {
		b := t.take(4)
		if len(b) < 4 {
			return "", false
		}
		behind += int64(le.Uint32(b))
	}
	var units []uint16
	for n > 0 {
		if t.left() == 0 {
			return string(utf16.Decode(units)), false
		}
		if len(t.list[0]) == 1 && flags&1 != 0 {
			t.take(1) // half a character
			continue
		}
		part := t.list[0]
		if flags&1 != 0 {
			k := min(n, len(part)/2)
			for i := range k {
				units = append(units, le.Uint16(part[2*i:]))
			}
			t.list[0], n = part[2*k:], n-k
		} else {
			k := min(n, len(part))
			for _, c := range part[:k] {
				units = append(units, uint16(c))
			}
			t.list[0], n = part[k:], n-k
		}
		if n > 0 && len(t.list[0]) == 0 && t.left() > 0 {
			flags = t.take(1)[0]
		}
	}
	return string(utf16.Decode(units)), t.skip(behind)
}
