package scan_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/bytecode"
	. "github.com/showcause/showcause/clamsig/bytecode/bytecodetest"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/icon"
	"github.com/showcause/showcause/internal/icon/icontest"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack/exe"
)

// withPrograms holds what is found with programs and other signatures against clamscan.
func withPrograms(t *testing.T, db map[string]string, files map[string][]byte) map[string][]string {
	t.Helper()
	dir, in := t.TempDir(), t.TempDir()
	for name, text := range db {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := rules.Compile([]string{dir}, rules.Options{BytecodeUnsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	s, got := scan.New(compiled, scan.Options{}), map[string][]string{}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(in, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		rep := s.Scan(showcause.Bytes(b))
		for _, f := range rep.Findings {
			got[name] = append(got[name], strings.TrimSuffix(f.Rule, ".UNOFFICIAL"))
		}
		slices.Sort(got[name])
		got[name] = slices.Compact(got[name])
	}
	peers := clamscanNames(t, dir, in, "--bytecode-unsigned=yes", "--bytecode-timeout=60000")
	for name := range files {
		slices.Sort(peers[name])
		if theirs := slices.Compact(peers[name]); !slices.Equal(got[name], theirs) {
			t.Errorf("%s: %v, clamscan %v", name, got[name], theirs)
		}
	}
	return got
}

// TestProgramIcons: a program that asks for icons is told that there are none: clamscan 1.4.6
// does not tell it where they are.
func TestProgramIcons(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 17))
	files, db := map[string][]byte{}, map[string]string{}
	var idb strings.Builder
	n := 0
	for i := range 30 {
		name := fmt.Sprintf("%d.exe", i)
		files[name] = icontest.Program(icontest.Bitmap(r), icontest.Bitmap(r))
		at, _ := exe.Icons(showcause.Bytes(files[name]), filetype.PE)
		for _, off := range at {
			if m, _, ok := icon.Measure(showcause.Bytes(files[name]), off); ok && m.Side%8 == 0 && n < 20 {
				fmt.Fprintf(&idb, "I%d:G%d:H%d:%s\n", n, n%3, n%2, m)
				n++
			}
		}
	}
	db["i.idb"] = idb.String()
	for i, ask := range [][2]string{{"G0", "H0"}, {"G1", "H0"}, {"G2", "H1"}, {"G0", ""}, {"", "H1"}, {"", ""}, {"none", "H1"}} {
		p := New(bytecode.Prototype)
		p.Kind = []int{int(bytecode.Logical), int(bytecode.PEUnpacker), int(bytecode.PEAll)}[i%3]
		p.Trigger = fmt.Sprintf("BC.I%d.{A};Engine:51-255,IconGroup1:*,Target:1;0;2e72737263", i)
		f := p.Func(32)
		has := f.API("matchicon", p.Text(ask[0]+"\x00"), I32(len(ask[0])), p.Text(ask[1]+"\x00"), I32(len(ask[1])))
		f.End("branch", f.Cmp("eq", 32, has, I32(i/4)), Num(1), Num(2))
		f.API("setvirusname", p.Text(fmt.Sprintf("BC.I%d.A\x00", i)), I32(len(fmt.Sprintf("BC.I%d.A", i))))
		f.Ret32(I32(0))
		f.Ret32(I32(0))
		db[fmt.Sprintf("p%d.cbc", i)] = p.String()
	}
	found := 0
	for _, names := range withPrograms(t, db, files) {
		found += len(names)
	}
	if found < 20 {
		t.Errorf("only %d found", found)
	}
}

// pdfOf is a PDF file of so many objects.
func pdfOf(r *rand.Rand) []byte {
	b := []byte("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	for i := range 1 + r.IntN(6) {
		b = fmt.Appendf(b, "%d %d obj\n<< /Type /Thing /Value (%d) >>\nendobj\n", i+1, r.IntN(2), r.IntN(1<<30))
	}
	return append(b, "xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 1 >>\nstartxref\n0\n%%EOF\n"...)
}

// TestProgramPDF: programs that the hook for PDF files runs are told of the objects, at each phase.
func TestProgramPDF(t *testing.T) {
	r := rand.New(rand.NewPCG(18, 18))
	files, db := map[string][]byte{}, map[string]string{}
	for i := range 12 {
		files[fmt.Sprintf("%d.pdf", i)] = pdfOf(r)
	}
	for i := range 60 {
		p := New(bytecode.Prototype)
		p.Kind = int(bytecode.PDF)
		p.Trigger = fmt.Sprintf("BC.P%d", i)
		f := p.Func(32)
		at := I32(r.IntN(5))
		var value string
		of := 0
		switch i % 6 {
		case 0:
			value, of = f.API("pdf_get_obj_num"), r.IntN(7)
		case 1:
			value, of = f.API("pdf_getobjsize", at), 54+r.IntN(12)
		case 2:
			value, of = f.API("pdf_lookupobj", I32((1+r.IntN(4))<<8|r.IntN(2))), r.IntN(4)
		case 3:
			value, of = f.API("pdf_get_offset", at), 20+r.IntN(80)
		case 4:
			value, of = f.API("pdf_getobjid", at), (1+r.IntN(4))<<8|r.IntN(2)
		case 5:
			value, of = f.API("pdf_get_phase"), r.IntN(5)
		}
		f.End("branch", f.Cmp([]string{"eq", "ugt", "ult"}[r.IntN(3)], 32, value, I32(of)), Num(1), Num(2))
		f.API("setvirusname", p.Text(fmt.Sprintf("BC.P%d\x00", i)), I32(len(fmt.Sprintf("BC.P%d", i))))
		f.Ret32(I32(0))
		f.Ret32(I32(0))
		db[fmt.Sprintf("p%d.cbc", i)] = p.String()
	}
	found := 0
	for _, names := range withPrograms(t, db, files) {
		found += len(names)
	}
	if found < 100 {
		t.Errorf("only %d found", found)
	}
}
