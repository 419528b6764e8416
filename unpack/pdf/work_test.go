package pdf

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// Files that are made to be dear are read for work in proportion to their size, or
// are cut at the limit of work.
func TestWork(t *testing.T) {
	const n = 1 << 17
	fill := func(s string) []byte { return append([]byte("%PDF-1.4\n"), strings.Repeat(s, n/len(s))...) }
	var ring bytes.Buffer
	ring.WriteString("%PDF-1.4\n")
	for i := range 3000 {
		fmt.Fprintf(&ring, "%d 0 obj\n<< /Length %d 0 R >>\nstream\nx\nendstream\nendobj\n", i+1, (i+1)%3000+1)
	}
	ring.WriteString("%%EOF\n")
	for name, b := range map[string][]byte{
		"strings that are open": fill("1 0 obj ("), "strings in each other": append(fill("1 0 obj ("), strings.Repeat(")", n/9)...),
		"arrays that are open": fill("1 0 obj ["), "dictionaries that are open": fill("1 0 obj <<"), "tables in a comment": fill("xref%"), "tables": fill("xref 0 1 "),
		"streams": fill("stream\n"), "streams with heads": fill("1 0 obj <<>> stream\n"), "ends": fill("1 0 obj <<>> stream\nendstream "), "trailers": fill("trailer <<"),
		"numbers in comments": fill("1 0 obj 1 %"), "comments behind": fill("1 0 obj <<>> %"), "a ring of lengths": ring.Bytes(), "ends of lines": fill("startxref\r"), "brackets": fill("["), "heads": fill("obj "),
		"lengths to the end": append(fill("1 0 obj << /Length 100000 >> stream\n"), "endstream"...),
	} {
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{ScanSize: 64 << 20, Work: 1 << 24})
		if r.Spent.Work > 400*int64(len(b)) {
			t.Logf("%s: work %d for %d bytes, %d children, %v", name, r.Spent.Work, len(b), len(r.Children), r.Gaps)
		}
		if r.Spent.Work > 1<<24+8<<20 {
			t.Errorf("%s: work %d", name, r.Spent.Work)
		}
	}
}

// What lies over each other, is led to again and again or comes byte by byte is read so
// far, and then told, although it makes next to no work or bytes.
func TestOver(t *testing.T) {
	const n, unit = 1000, 65
	over := "%PDF-1.4\n"
	for i := range n {
		over += fmt.Sprintf("%-65s", fmt.Sprintf("%d 0 obj<</Length %d/Filter/A85>>stream", i+1, (n-1-i)*unit+1<<17))[:unit-1] + "\n"
	}
	over += strings.Repeat(" ", 1<<17) + "endstream endobj\n%%EOF\n"
	large := "%PDF-1.4\n1 0 obj [" + strings.Repeat("(a)", 1<<17) + "] endobj\n"
	for i := range 20 {
		large += fmt.Sprintf("%d 0 obj << /Length 1 0 R >> stream\nendstream endobj\n", i+2)
	}
	for name, b := range map[string][]byte{
		"streams":    []byte(over),
		"references": []byte(large + "%%EOF\n"),
		"rows":       one(body("/Filter /Fl /DecodeParms << /Predictor 12 /Columns 1 >>", deflated(strings.Repeat("\x00", 20<<20)))),
	} {
		if r := unpacktest.Walk(t, Format(), b, showcause.Limits{}); !r.Has(showcause.LimitWork) {
			t.Errorf("%s: %v, %d bytes of children", name, r.Gaps, r.Expanded)
		}
	}
}

// What lies in a long comment, or behind the end that many streams tell themselves, is looked at once
// and not for each object that leads there.
func TestOnce(t *testing.T) {
	const n = 1 << 20
	var comments, ends bytes.Buffer
	for comments.WriteString("%PDF-1.4\n"); comments.Len() < n; {
		comments.WriteString("1 0 obj 1 %")
	}
	comments.WriteString("\n%%EOF\n")
	const unit = 64
	for ends.WriteString("%PDF-1.4\n"); ends.Len() < n; {
		s := fmt.Sprintf("1 0 obj<</Length %d/Filter/LZW>>stream\n\x80\x40\x40", n-ends.Len())
		ends.WriteString(s + strings.Repeat(" ", unit-len(s)))
	}
	ends.WriteString("endstream endobj\n%%EOF\n")
	for name, b := range map[string][]byte{"comments": comments.Bytes(), "ends": ends.Bytes()} {
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
		if r.Spent.Work > 200*int64(len(b)) {
			t.Errorf("%s: work %d for %d bytes, %d children, %v", name, r.Spent.Work, len(b), len(r.Children), r.Gaps)
		}
		t.Logf("%s: work %d for each byte, %d children, %d gaps", name, r.Spent.Work/int64(len(b)), len(r.Children), len(r.Gaps))
	}
}

// What a file of many small pieces takes in memory is in proportion to its size, and where
// they are too many, that is told.
func TestDear(t *testing.T) {
	const n = 4 << 20
	numbered := func(format string) []byte {
		b := []byte("%PDF-1.7\n")
		for i := 1; len(b) < n; i++ {
			b = fmt.Appendf(b, format, i)
		}
		return append(b, "trailer<</Root 1 0 R>>\n%%EOF\n"...)
	}
	for name, f := range map[string]string{
		"heads": "%d 0 obj\n", "streams": "%[1]d 0 obj<</Filter/FlateDecode/Length 4%[1]d>>\nstream\nabcdef\nendstream\nendobj\n", "dictionaries in each other": "%d 0 obj<</A[<</B ",
		"streams over each other": "%d 0 obj<</Length 2000000>>stream\n",
	} {
		b := numbered(f)
		before, after := new(runtime.MemStats), new(runtime.MemStats)
		runtime.ReadMemStats(before)
		var gaps []showcause.Code
		out := unpack.NewOut(unpack.NewBudget(showcause.Limits{}, int64(len(b)), nil), nil, func(showcause.Layer) {}, func(g showcause.Gap) { gaps = append(gaps, g.Code) })
		Format().Walk(showcause.Bytes(b), out)
		runtime.ReadMemStats(after)
		if took := int64(after.TotalAlloc-before.TotalAlloc) / int64(len(b)); took > 80 {
			t.Errorf("%s: %d bytes for each byte of the file", name, took)
		}
		if len(gaps) == 0 {
			t.Errorf("%s: no gap", name)
		}
	}
}
