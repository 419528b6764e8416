package office

import (
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause/unpack/unpacktest"
)

// oldMacros is a macro sheet of Excel 2, 3 or 4. filepass is put behind its head.
func oldMacros(version int, filepass string) string {
	number := func(n, last int) string { // of one byte up to a version
		if version <= last {
			return string([]byte{byte(n)})
		}
		return u16(n)
	}
	size := func(n int) string { return number(n, 2) }
	str := func(s string) string { return fmt.Sprintf("\x17%c%s", len(s), s) }
	pad := func(n2, n3 int) string { return strings.Repeat("\x00", map[int]int{2: n2, 3: n3, 4: n3}[version]) }
	command := "\x42\x01" + u16(0x8011)
	if version < 4 {
		command = "\x38\x01\x11"
	}
	formulas := []string{
		str("cmd /c calc") + "\x42\x01" + number(110, 3),
		"\x1e\x41\x00\x41" + number(111, 3) + "\x44\x02\x00\x01\x08",
		str("x") + command,
		"\x43\x01\x00" + pad(5, 8) + str("a") + "\x42\x02" + number(255, 3),
		"\x1a" + pad(7, 10) + "\x25\x00\x00\x01\x00\x00\x01\x1b" + pad(3, 4) + "\x19\x10" + number(0, 2),
		"\x01" + pad(3, 4),
		"\x19\x04" + number(1, 2) + strings.Repeat(number(0, 2), 2) + "\x1d\x01" + "\x17\x01\xe9",
	}
	bof, cell, name := biff([]uint16{2: recordBOF2, 3: recordBOF3, 4: recordBOF4}[version], u16(version), "\x40\x00", pad(0, 2)), uint16(recordFormula), uint16(recordName)
	first, label, result := "\x20\x00", biff(record2Text, u16(0), u16(9), "\x00\x00\x00", "\x05label"), biff(record2Word, "\x05given")
	array := biff(record2Many, u16(6), u16(6), "\x01\x01\x00", size(len(formulas[0])), formulas[0])
	if version > 2 {
		cell, name, first = []uint16{3: record3Cell, 4: record4Cell}[version], record3Name, "\x00\x00"
		label, result = biff(recordLabel, u16(0), u16(9), u16(0), u16(5), "label"), biff(recordString, u16(5), "given")
		array = biff(recordArray, u16(6), u16(6), "\x01\x01\x00\x00", size(len(formulas[0])), formulas[0])
	}
	out := bof + filepass + biff(name, first, "\x00\x09", size(4), "Auto_Open", "\x44\x00\x00\x00")
	for i, f := range formulas {
		if version == 2 {
			out += biff(cell, u16(i), u16(1), strings.Repeat("\x00", 3+8+1), size(len(f)), f)
		} else {
			out += biff(cell, u16(i), u16(1), strings.Repeat("\x00", 2+8+2), size(len(f)), f)
		}
	}
	return out + array + label + result + biff(recordEOF)
}

// inWorkspace is a sheet in a workspace of Excel 4.
func inWorkspace(sheet string) string {
	return biff(recordBOF4, u16(4), u16(0x100), u16(0)) + biff(recordBound, u32(len(sheet)), "\x06Macro1") + sheet + biff(recordEOF)
}

// TestOldMacros reads macro sheets from before Excel 5, alone and in a compound file.
func TestOldMacros(t *testing.T) {
	const want = `name Auto_Open	=A1
!B1	=EXEC("cmd /c calc")
!B2	=CHAR(65)&B3
!B3	=RUN("x")
!B4	=Auto_Open("a")
!B5	=SUM(A1:B2)
!B6	=(shared)
!B7	=TRUE "` + "\xe9" + `"
!B7	=EXEC("cmd /c calc")
`
	for version := 2; version <= 4; version++ {
		for place, b := range map[string]string{"": oldMacros(version, ""), "Macro1": inWorkspace(oldMacros(version, ""))} {
			r := unpacktest.Walk(t, Workbook(), []byte(b), noLimits)
			wanted := strings.ReplaceAll(strings.ReplaceAll(want, "\n!", "\n"+place+"!"), "\n", "\r\n")
			if got := r.Child(t, "xlm.formulas", ""); got != wanted || len(r.Gaps) > 0 {
				t.Errorf("version %d: %q, want %q, %v", version, got, wanted, r.Gaps)
			}
			if got := r.Child(t, "xlm.strings", ""); got != "label\r\ngiven\r\n" {
				t.Errorf("version %d: %q", version, got)
			}
			in := unpacktest.Walk(t, CFB(), compoundFile(9, "", []leaf{{"Book", []byte(b)}}, nil), noLimits)
			if again := unpacktest.Walk(t, Workbook(), []byte(in.Child(t, "cfb.stream", "Book")), noLimits); again.Ops() != "xlm.formulas; xlm.strings" {
				t.Errorf("version %d in a compound file: %s", version, again.Ops())
			}
		}
		plain := oldMacros(version, "")
		sheet := strings.Replace(plain, "\x40\x00", "\x10\x00", 1)
		if r := unpacktest.Walk(t, Workbook(), []byte(strings.Replace(sheet, "Auto_Open", "Any_thing", 1)), noLimits); r.Ops() != "xlm.strings" {
			t.Errorf("version %d, no macro sheet: %s", version, r.Ops())
		}
		sealed := oldMacros(version, biff(recordFilePass, "\x0a\x9a\x9d\x48")) // of a password that nobody knows
		if r := unpacktest.Walk(t, Workbook(), []byte(sealed), noLimits); !r.Has("encrypted") {
			t.Errorf("version %d, sealed: %v", version, r.Gaps)
		}
	}
}

func TestOldMacrosConform(t *testing.T) {
	samples := map[string][]byte{"workspace": []byte(inWorkspace(oldMacros(4, "")))}
	for version := 2; version <= 4; version++ {
		samples[fmt.Sprint("BIFF", version)] = []byte(oldMacros(version, ""))
	}
	unpacktest.Conform(t, Workbook(), samples)
}
