package scan_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// TestHandler reads layers as the types that signatures ask for, and finds what clamscan does.
func TestHandler(t *testing.T) {
	var lines []string
	for _, s := range []string{"Pdf;PDF;41424344", "Html;HTML;45464748", "Zip;ZIP;494a4b4c", "Any;ANY;4d4e4f50", "Exe;MSEXE;5152535455", "Mail;MAIL;6d61696c6974"} {
		f := strings.Split(s, ";")
		lines = append(lines, "H."+f[0]+";Engine:51-255,HandlerType:CL_TYPE_"+f[1]+",Target:0;0;"+f[2])
	}
	for _, target := range []string{"0", "1", "3", "4", "7", "10"} {
		lines = append(lines, "T."+target+";Target:"+target+";0;6d61726b6572")
	}
	lines = append(lines, "Root;Engine:51-255,Target:10,Container:CL_TYPE_ANY;0;6d61726b6572", "InPDF;Engine:51-255,Target:0,Container:CL_TYPE_PDF;0;6d61726b6572",
		"InZip;Engine:51-255,Target:0,Container:CL_TYPE_ZIP;0;6d61726b6572")
	text := strings.Join(lines, "\n") + "\n"
	dir, db := t.TempDir(), filepath.Join(t.TempDir(), "h.ldb")
	files := map[string]string{
		"pdf": "\x01\x02\x00\x03\x00\x01ABCD\x00\x01", "pdf.marker": "\x01\x02\x00\x03\x00\x01ABCD\x00marker\x00\x00", "html": "\x01\x02\x00\x03\x00\x01EFGH\x00\x01 <b>marker</b>",
		"zip": "\x01\x02\x00\x03\x00\x01IJKL\x00\x01" + string(zipOf(strings.Repeat("marker", 20))), "any": "\x01\x02\x00\x03\x00\x01MNOP\x00\x01", "exe": "\x01\x02\x00\x03\x00\x01QRSTU\x00\x01marker",
		"none": "\x01\x02\x00\x03\x00\x01EFG\x00\x01 <b>marker</b>", "mail": "mailit: x\nSubject: y\nContent-Type: text/html\n\n<b>marker</b>\n", "in.zip": string(zipOf("\x01\x02\x00\x03\x00\x01ABCD\x00marker\x00\x00")),
	}
	if err := os.WriteFile(db, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	s := scan.New(compile(t, map[string]string{"h.ldb": text}), scan.Options{Digests: true})
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		rep := s.Scan(showcause.Bytes(data))
		seen := map[string]bool{}
		for _, f := range rep.Findings {
			rule := strings.TrimSuffix(f.Rule, ".UNOFFICIAL")
			if got[name] = append(got[name], rule); seen[rule+f.Trail.String()] {
				t.Errorf("%s: %s twice at %s", name, rule, f.Trail)
			}
			seen[rule+f.Trail.String()] = true
			if len(f.Chain) != len(f.Trail)+1 {
				t.Errorf("%s: %s: a chain of %d for %s", name, rule, len(f.Chain), f.Trail)
			}
		}
		slices.Sort(got[name])
		got[name] = slices.Compact(got[name])
	}
	for name, want := range map[string]string{
		"pdf": "H.Pdf", "pdf.marker": "H.Pdf Root T.0 T.10", "any": "H.Any", "exe": "H.Exe T.0 T.1", "none": "T.0",
	} {
		if strings.Join(got[name], " ") != want {
			t.Errorf("%s: %v, want %s", name, got[name], want)
		}
	}
	// With --disable-cache clamscan reads nothing as another type.
	peers := clamscanNames(t, db, dir, "--max-embeddedpe=40M")
	for name := range files {
		for _, n := range peers[name] {
			if !slices.Contains(got[name], n) {
				t.Errorf("%s: clamscan has %s besides %v", name, n, got[name])
			}
		}
		if len(peers[name]) == 0 {
			t.Errorf("%s: clamscan finds nothing", name)
		}
	}
}
