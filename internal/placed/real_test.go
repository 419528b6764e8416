package placed

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/scan"
)

var withPrograms = flag.Bool("real", false, "have real programs make documents, and hold what is unpacked against what they put in")

// layers is what is in a file, and what of it was not read.
type layers struct {
	sums map[string]bool
	data [][]byte
	gaps []showcause.Code
}

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// inside unpacks a file.
func inside(t *testing.T, file string) layers {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l := layers{sums: map[string]bool{}}
	scan.Walk(showcause.Bytes(b), scan.Options{}, scan.Visitor{
		Layer: func(x showcause.Layer, _ filetype.Type) (int64, error) {
			b, err := io.ReadAll(bound.Reader(x.Source, 0, -1))
			l.sums[digest(b)], l.data = true, append(l.data, b)
			return int64(len(b)), err
		},
		Gap: func(g showcause.Gap) {
			if g.Code.Unread() {
				l.gaps = append(l.gaps, g.Code)
			}
		},
	})
	return l
}

// has tells whether a text is in a layer, in bytes or in UTF-16.
func (l layers) has(mark string) bool {
	for _, b := range l.data {
		if bytes.Contains(b, []byte(mark)) || bytes.Contains(b, []byte(wide(mark))) {
			return true
		}
	}
	return false
}

// tool runs a program, or skips the test where there is none.
func tool(t *testing.T, arg ...string) []byte {
	t.Helper()
	if !*withPrograms {
		t.Skip("without -args -real: no programs are started")
	}
	if _, err := exec.LookPath(arg[0]); err != nil {
		t.Skipf("%s is not installed", arg[0])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var problem bytes.Buffer
	c := exec.CommandContext(ctx, arg[0], arg[1:]...)
	c.Stderr = &problem
	out, err := c.Output()
	if err != nil {
		t.Logf("%v: %v %.300s", arg, err, problem.String())
	}
	return out
}

// office are the documents that testdata/office.py has LibreOffice make.
func office(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if tool(t, "/usr/bin/python3", "-c", "import uno; print(1)"); exec.Command("/usr/bin/python3", "-c", "import uno").Run() != nil {
		t.Skip("python3-uno is not installed")
	}
	tool(t, "soffice", "--version")
	tool(t, "/usr/bin/python3", "testdata/office.py", dir)
	return dir
}

// TestOffice holds what is in documents of LibreOffice against what was put into them.
func TestOffice(t *testing.T) {
	dir := office(t)
	const body, header, footer, footnote, endnote, comment, link, macro = "mark-writer-body", "mark-writer-header", "mark-writer-footer", "mark-writer-footnote", "mark-writer-endnote", "mark-writer-comment", "mark-writer-link", "mark-writer-macro"
	writer := []string{body, header, footer, footnote, endnote, comment, "mark-writer-title"}
	calc := []string{"mark-calc-cell", "mark-calc-comment", "mark-calc-sheet", "mark-calc-title"}
	slide := []string{"mark-impress-slide", "mark-impress-title"}
	made := 0
	for name, marks := range map[string][]string{
		"w.odt": append(writer, macro, "mark-embedded-cell"), "w.ott": append(writer, macro), "w.fodt": append(writer, macro), "w.doc": writer, "w.docx": append(writer, "mark-embedded-cell"), "w.rtf": writer[:5], "w.html": {body, "mark-writer-title"},
		"w.txt": {body}, "w.xml": {body, header, footer}, "sealed-standard.docx": append(writer, "mark-embedded-cell"), "sealed.xls": {"mark-calc-cell"},
		"sealed.odt": append(writer, macro), "sealed-old.odt": append(writer, macro), "sealed.ods": {"mark-calc-cell"}, "sealed.doc": {body},
		"c.ods": append(calc, "mark-calc-macro"), "c.fods": append(calc, "mark-calc-macro"), "c.xls": calc, "c.xlsx": calc, "c.xlsm": calc, "c.csv": {"mark-calc-cell"}, "c.slk": {"mark-calc-cell"}, "c.dif": {"mark-calc-cell"}, "c.xml": {"mark-calc-cell", "mark-calc-sheet"}, "c.html": {"mark-calc-cell"},
		"i.odp": append(slide, "mark-impress-macro"), "i.fodp": append(slide, "mark-impress-macro"), "i.ppt": {"mark-impress-slide"}, "i.pptx": slide,
	} {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); err != nil {
			t.Logf("%s: LibreOffice does not write it here", name)
			continue
		}
		made++
		l := inside(t, file)
		for _, m := range marks {
			if !l.has(m) {
				t.Errorf("%s: no %q", name, m)
			}
		}
		if len(l.gaps) > 0 {
			t.Errorf("%s: %v", name, l.gaps)
		}
		z, err := zip.OpenReader(file)
		if err != nil {
			continue
		}
		for _, f := range z.File { // each part, as another reader has it
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if r.Close(); err == nil && len(b) > 0 && !l.sums[digest(b)] {
				t.Errorf("%s: no %s", name, f.Name)
			}
		}
		z.Close()
	}
	if t.Logf("%d documents", made); made == 0 {
		t.Error("LibreOffice made nothing")
	}
}

// TestPrinted holds the streams of PDF files, as qpdf, mutool, ghostscript and pdftk write them in
// their ways, against those that qpdf takes out.
func TestPrinted(t *testing.T) {
	dir := office(t)
	attached := filepath.Join(dir, "attached.bin")
	if err := os.WriteFile(attached, bytes.Repeat([]byte(body), 30), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "qpdf", "--version")
	for _, name := range []string{"w.pdf", "c.pdf", "i.pdf"} {
		in := filepath.Join(dir, name)
		for how, arg := range map[string][]string{
			"as it is": {"cp", "IN", "OUT"}, "object streams": {"qpdf", "--object-streams=generate", "IN", "OUT"}, "linearized": {"qpdf", "--linearize", "IN", "OUT"}, "plain": {"qpdf", "--stream-data=uncompress", "IN", "OUT"},
			"RC4, 40 bits": {"qpdf", "--allow-weak-crypto", "--encrypt", "", "o", "40", "--", "IN", "OUT"}, "RC4, 128 bits": {"qpdf", "--allow-weak-crypto", "--encrypt", "", "o", "128", "--use-aes=n", "--", "IN", "OUT"},
			"AES, 128 bits": {"qpdf", "--allow-weak-crypto", "--encrypt", "", "o", "128", "--use-aes=y", "--", "IN", "OUT"}, "AES, 256 bits": {"qpdf", "--encrypt", "", "o", "256", "--", "IN", "OUT"}, "a file in it": {"qpdf", "--add-attachment", attached, "--", "IN", "OUT"},
			"mutool": {"mutool", "clean", "-gggg", "IN", "OUT"}, "mutool, hexadecimal": {"mutool", "clean", "-a", "IN", "OUT"}, "mutool, plain": {"mutool", "clean", "-d", "IN", "OUT"},
			"ghostscript": {"gs", "-q", "-dBATCH", "-dNOPAUSE", "-sDEVICE=pdfwrite", "-sOutputFile=OUT", "IN"}, "pdftk": {"pdftk", "IN", "output", "OUT", "uncompress"}, "pdftk, a file in it": {"pdftk", "IN", "attach_files", attached, "output", "OUT"},
		} {
			out := filepath.Join(dir, "out.pdf")
			os.Remove(out)
			run := strings.Split(strings.NewReplacer("IN", in, "OUT", out).Replace(strings.Join(arg, "\n")), "\n")
			if _, err := exec.LookPath(run[0]); err != nil {
				t.Logf("%s is not installed", run[0])
				continue
			}
			tool(t, run...)
			l := inside(t, out)
			if len(l.gaps) > 0 {
				t.Errorf("%s, %s: %v", name, how, l.gaps)
			}
			if strings.Contains(how, "a file in it") && !l.sums[digest(bytes.Repeat([]byte(body), 30))] {
				t.Errorf("%s, %s: the file is not there", name, how)
			}
			n, missed := 0, 0
			for _, s := range streams(tool(t, "qpdf", "--qdf", "--normalize-content=n", "--object-streams=disable", "--decrypt", out, "-")) {
				n++
				if !l.sums[digest(s)] && !l.sums[digest(bytes.TrimSuffix(s, []byte("\n")))] && !l.sums[digest(append(bytes.Clone(s), '\n'))] {
					missed++
				}
			}
			if n == 0 || missed > 0 {
				t.Errorf("%s, %s: %d of %d streams are not there", name, how, missed, n)
			}
		}
	}
}

// streams are those of a file as qpdf writes it for people to read: "stream", a line's end, the
// bytes, a line's end, "endstream".
func streams(b []byte) (out [][]byte) {
	for {
		_, rest, ok := bytes.Cut(b, []byte("\nstream\n"))
		if !ok {
			return out
		}
		var s []byte
		if s, b, ok = bytes.Cut(rest, []byte("\nendstream\n")); !ok {
			s, b, ok = bytes.Cut(rest, []byte("endstream\n"))
		}
		if !ok {
			return out
		}
		if len(s) > 0 {
			out = append(out, s)
		}
	}
}

// TestMailed holds what is attached to mails that Python's email package writes against what was
// put into them.
func TestMailed(t *testing.T) {
	dir := t.TempDir()
	tool(t, "/usr/bin/python3", "testdata/mails.py", dir)
	sums, err := filepath.Glob(filepath.Join(dir, "*.sum"))
	if err != nil || len(sums) < 30 {
		t.Fatalf("%d mails, %v", len(sums), err)
	}
	for _, p := range sums {
		list, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(p, ".sum") + ".eml"
		if strings.HasSuffix(p, "all.sum") {
			name = strings.TrimSuffix(p, ".sum") + ".mbox"
		}
		l := inside(t, name)
		for _, sum := range strings.Fields(string(list)) {
			if !l.sums[sum] {
				t.Errorf("%s: %s is not there", filepath.Base(name), sum)
			}
		}
		if len(l.gaps) > 0 {
			t.Errorf("%s: %v", filepath.Base(name), l.gaps)
		}
	}
}
