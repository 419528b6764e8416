package office

// Records of workbooks before Excel 5 (BIFF2 to BIFF4). A record of the same kind has another number in
// each version, and its values have other places.
//
// Source: OpenOffice.org's Documentation of the Microsoft Excel File Format, 5 and 3.
const (
	recordBOF2  = 0x09
	recordBOF3  = 0x209
	recordBOF4  = 0x409
	record2Text = 0x04 // a label
	record2Word = 0x07 // what a formula gives
	record2Many = 0x20 // a formula of many cells
	record3Name = 0x218
	record3Cell = 0x206
	record4Cell = 0x406
	recordBound = 0x8f // what a sheet in a workspace is called
)

// oldBOF tells the records that such a workbook begins with.
func oldBOF(id uint16) bool { return id == recordBOF2 || id == recordBOF3 || id == recordBOF4 }

// isOldBook tells the head of such a workbook.
func isOldBook(b []byte) bool {
	if len(b) < 8 || !oldBOF(le.Uint16(b)) || le.Uint16(b[2:]) < 4 || le.Uint16(b[2:]) > 16 {
		return false
	}
	switch le.Uint16(b[6:]) {
	case 0x10, 0x20, macroSheet, 0x100:
		return true
	}
	return false
}

// versionOf is the version of BIFF that a record of the start says: 2 to 5, or 8.
func versionOf(id uint16, b []byte) int {
	switch {
	case oldBOF(id):
		return 2 + int(id>>9)
	case len(b) > 1 && b[1] >= 6:
		return 8
	}
	return 5
}

// oldRecord takes what a record of a workbook before Excel 5 says.
func (w *workbook) oldRecord(id uint16, b []byte) {
	two := w.version == 2
	size := func(at int) (n, next int) { // of a formula or a text, at an offset: one byte in BIFF2
		switch {
		case two && at < len(b):
			return int(b[at]), at + 1
		case !two && at+2 <= len(b):
			return int(le.Uint16(b[at:])), at + 2
		}
		return 0, len(b)
	}
	cell := func(at int) {
		if n, next := size(at); w.kind == macroSheet && len(b) > next && !w.short {
			col := int(le.Uint16(b[2:]))
			if id == record2Many || id == recordArray {
				col = int(b[4])
			}
			w.line("%s!%s\t=%s", w.sheet, cellName(int(le.Uint16(b)), col), w.formula(b[next:], n))
		}
	}
	text := func(at int) {
		n, next := size(at)
		s, _ := w.chars(b[next:], n)
		w.text(s)
	}
	switch id {
	case recordFormula, record3Cell, record4Cell:
		if two {
			cell(2 + 2 + 3 + 8 + 1)
		} else {
			cell(2 + 2 + 2 + 8 + 2)
		}
	case record2Many:
		cell(2 + 2 + 1 + 1 + 1)
	case recordArray:
		cell(2 + 2 + 1 + 1 + 2)
	case record2Text:
		text(2 + 2 + 3)
	case recordLabel:
		text(2 + 2 + 2)
	case record2Word, recordString:
		text(0)
	case recordBound:
		if len(b) > 5 {
			w.called, _ = w.chars(b[5:], int(b[4]))
		}
	case recordName, record3Name:
		w.oldName(b, size)
	}
}

// oldName takes a name, and with it what it stands for.
func (w *workbook) oldName(b []byte, size func(at int) (n, next int)) {
	if w.short = w.short || len(w.names) >= maxDefined; len(b) < 6 || len(w.names) >= maxDefined {
		return
	}
	n, next := size(4)
	name, rest := w.chars(b[next:], int(b[3]))
	if own := w.version > 2 && le.Uint16(b)&0x20 != 0; own {
		name = ownName(name)
	}
	w.names = append(w.names, name)
	w.macro = w.macro || isAuto(name)
	w.line("name %s\t=%s", name, w.formula(rest, n))
}
