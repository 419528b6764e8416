package office

import (
	"bytes"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"

	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// What may not be: nothing found, and nothing said to be unread.
func TestSilent(t *testing.T) {
	const want = `EXEC("cmd /c calc")`
	plain := macroBook("")
	// Where the second BOF stands.
	sheet := 4 + bytes.Index(plain[4:], append(le.AppendUint16(nil, recordBOF), plain[2:4]...))
	apart := append(bytes.Clone(plain[:sheet]), "\x00\x00\x00\x00 what is no record"...)
	at := bytes.Index(apart, append(le.AppendUint16(nil, recordSheet), 14, 0)) + 4
	le.PutUint32(apart[at:], uint32(len(apart)))
	apart = append(apart, plain[sheet:]...)
	decoy := biff(recordFilePass, "\x00\x00\x59\xb3\x0a\x9a")
	books := map[string][]byte{
		"a sheet behind what is no record": apart,
		"encryption said too late":         append(append(bytes.Clone(plain[:len(plain)-4]), decoy...), plain[len(plain)-4:]...),
	}
	var many strings.Builder
	for range maxSheets + 1 {
		many.WriteString(biff(recordSheet, u32(0), "\x00\x00", "\x01\x00", "a"))
	}
	books["more sheets than are noted"] = append(append(bytes.Clone(plain[:20]), many.String()...), plain[20:]...)
	for name, b := range books {
		r := unpacktest.Walk(t, Workbook(), b, noLimits)
		found := false
		for _, c := range r.Children {
			found = found || strings.Contains(string(c.Data), want) && c.Op == "xlm.formulas"
		}
		if !found && !r.Unread() || name == "more sheets than are noted" && !r.Unread() {
			t.Errorf("%s: %v", name, r)
		}
	}

	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write([]byte("a storage, " + want))
	w.Close()
	record := func(n int, b []byte) string { return "\x10\x00\x11\x10" + u32(n+4) + u32(99) + string(b) }
	var other bytes.Buffer
	w = zlib.NewWriter(&other)
	w.Write([]byte("x"))
	w.Close()
	b := record(500, other.Bytes()) + "  " + record(z.Len(), z.Bytes()) + strings.Repeat(" ", 500)
	if r := unpacktest.Walk(t, PowerPoint(), []byte(b), noLimits); !r.Contains(want) {
		t.Errorf("a record over another: %v", r)
	}

	// Source behind what is read of a stream.
	src := "\x01" + string(le.AppendUint16(nil, 0xb000|uint16(3+len(attributes)-3))) // told by its length alone
	big := []leaf{{"Macros/VBA/_VBA_PROJECT", []byte("x")}, {"Macros/VBA/Module1", append(make([]byte, maxModule), src...)}}
	if r := unpacktest.Walk(t, VBA(), compoundFile(12, "", big, nil), noLimits); !r.Unread() {
		t.Errorf("a module of 16 MiB and more: %v", r)
	}

	// Streams over each other.
	var list []leaf
	for range 1000 {
		list = append(list, leaf{"a", nil})
	}
	list = append(list, leaf{"z", make([]byte, 1<<18)})
	over := compoundFile(9, "", list, func(dir []byte) {
		z := dir[1001*128:]
		for i := 1; i <= 1000; i++ {
			copy(dir[i*128+116:i*128+128], z[116:128])
		}
	})
	if r := unpacktest.Walk(t, CFB(), over, noLimits); !r.Has("limit.work") {
		t.Errorf("streams over each other: %v, %d bytes of children", r.Gaps, r.Expanded)
	}

	list[0].path, list[1].path = "dir", "_VBA_PROJECT"
	modules := compoundFile(9, "", append(list[:1001:1001], leaf{"z", bytes.Repeat([]byte("\x01\x00\xb0"), 1<<16)}), func(dir []byte) {
		z := dir[1002*128:]
		for i := 3; i <= 1001; i++ {
			copy(dir[i*128+116:i*128+128], z[116:128])
		}
	})
	if r := unpacktest.Walk(t, VBA(), modules, noLimits); !r.Has("limit.work") {
		t.Errorf("modules over each other: %v", r)
	}

	// An entry with a kind and no name.
	b2 := compoundFile(9, "", []leaf{{"a", []byte(want)}, {"b", []byte("y")}}, func(dir []byte) { le.PutUint16(dir[128+64:], 0) })
	if r := unpacktest.Walk(t, CFB(), b2, noLimits); !r.Unread() {
		t.Errorf("an entry without a name: %v", r)
	}
}

// What is in each other or is named alike is not looked for again and again: a step of
// work is a few nanoseconds.
func TestWork(t *testing.T) {
	entries := func(name string, n int) []byte {
		var list []leaf
		for range n {
			list = append(list, leaf{"s/" + name, nil})
		}
		return compoundFile(12, "", append(list, leaf{"s/x", []byte("x")}), nil)
	}
	const n = 1 << 13
	str := "\x17\xff\x00" + strings.Repeat("a", 255)
	formula := strings.Repeat(str, 16) + strings.Repeat("\x08", 15) + strings.Repeat("\x14", 8000)
	sheet := biff(recordBOF, "\x00\x06", string([]byte{macroSheet, 0}), strings.Repeat("\x00", 12))
	for range 64 {
		sheet += biff(recordFormula, u16(0), u16(0), string(make([]byte, 16)), u16(len(formula)), formula)
	}
	for _, x := range []struct {
		name   string
		format unpack.Format
		data   []byte
	}{
		{"attachments", CFB(), entries(propertyData, n)},
		{"projects", VBA(), entries("dir", n)},
		{"formulas", Workbook(), []byte(sheet + biff(recordEOF))},
	} {
		r := unpacktest.Walk(t, x.format, x.data, noLimits)
		if r.Spent.Work > 64*int64(len(x.data)) {
			t.Errorf("%s: work %d for %d bytes: %v", x.name, r.Spent.Work, len(x.data), r.Gaps)
		}
	}
}
