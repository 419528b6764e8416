package scan_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/formats"
	"github.com/showcause/showcause/yara/module"
)

// twice scans an input with and without scanning layers each time, and returns
// the report and how many layers the first looked into.
func twice(t *testing.T, name string, src showcause.Source, o scan.Options, externals map[string]module.Value) (showcause.Report, int) {
	t.Helper()
	var said [2]string
	var report showcause.Report
	var walks [2]int
	db := markerDB(t)
	for i, each := range []bool{false, true} {
		o.EachTime = each
		o.Formats = append([]unpack.Format{{Name: "count", Match: func(*unpack.Probe) bool { walks[i]++; return false }}}, formats.All()...)
		r := scan.New(db, o).ScanWith(src, externals)
		if i == 0 {
			report = r
		}
		said[i] = fmt.Sprintf("%+v", r)
	}
	if said[0] != said[1] {
		t.Errorf("%s: once\n%.2000s\neach time\n%.2000s", name, said[0], said[1])
	}
	if walks[0] > walks[1] {
		t.Errorf("%s: %d layers, %d each time", name, walks[0], walks[1])
	}
	return report, walks[0]
}

// named is a zip of names and contents.
func named(members ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		f, _ := w.Create(members[i])
		io.WriteString(f, members[i+1])
	}
	w.Close()
	return b.Bytes()
}

func repeat(n int, name string, content []byte) (members []string) {
	for i := range n {
		members = append(members, fmt.Sprintf(name, i), string(content))
	}
	return members
}

func TestAgain(t *testing.T) {
	hit := named("deep", "text with "+marker, "more", "more text\n")
	bad := bytes.Replace(named("x", strings.Repeat("compressible text ", 50)), []byte("PK\x03\x04"), []byte("PK\x03\x05"), 1)
	for name, c := range map[string]struct {
		members []string
		walks   int // layers looked into
		finds   int
		o       scan.Options
		ext     map[string]module.Value
	}{
		"twice":             {repeat(2, "f%d", hit), 1 + 3, 2, scan.Options{}, nil},
		"many":              {repeat(500, "f%d", hit), 1 + 3, 500, scan.Options{}, nil},
		"with chains":       {repeat(50, "f%d", hit), 1 + 3, 50, scan.Options{Digests: true, Excerpts: true}, nil},
		"gaps":              {repeat(40, "f%d", bad), -1, 0, scan.Options{}, nil},
		"over the findings": {repeat(11_000, "f%d", []byte(marker)), -1, 10_000, scan.Options{}, nil},
		"over the objects":  {repeat(60, "f%d", hit), -1, -1, scan.Options{Limits: showcause.Limits{Objects: 100}}, nil},
		"over the size":     {repeat(60, "f%d", hit), -1, -1, scan.Options{Limits: showcause.Limits{ScanSize: 5000}}, nil},
		"over the work":     {repeat(60, "f%d", hit), -1, -1, scan.Options{Limits: showcause.Limits{Work: 40_000}}, nil},
		"over the depth":    {repeat(6, "f%d", named("z", string(hit))), -1, -1, scan.Options{Limits: showcause.Limits{Depth: 2}}, nil},
		"names":             {repeat(20, "f%d", hit), 1 + 20 + 2, 20, scan.Options{}, map[string]module.Value{"filename": module.TextValue("x")}},
		"one name":          {repeat(20, "f", hit), 1 + 3, 20, scan.Options{}, map[string]module.Value{"filename": module.TextValue("x")}},
		"empty":             {repeat(5, "f%d", nil), 1, 0, scan.Options{}, nil},
	} {
		members := c.members
		if name == "one name" {
			for i := range members {
				if i%2 == 0 {
					members[i] = fmt.Sprintf("%d/f", i)
				}
			}
		}
		r, walks := twice(t, name, showcause.Bytes(named(members...)), c.o, c.ext)
		if c.walks >= 0 && walks != c.walks || c.finds >= 0 && len(r.Findings) != c.finds {
			t.Errorf("%s: %d layers looked into, %d findings", name, walks, len(r.Findings))
		}
	}
}

// What is the same in other surroundings is scanned there too.
func TestAgainElsewhere(t *testing.T) {
	hit := "text with " + marker
	inner := named("h", hit)
	r, walks := twice(t, "", showcause.Bytes(named("h", hit, "z.zip", string(inner), "g", string(gzipOf(hit)), "z2.zip", string(inner))), scan.Options{}, nil)
	if len(r.Findings) != 4 || walks != 1+1+2+2 {
		t.Errorf("%d layers looked into, %+v", walks, r.Findings)
	}
	trails := map[string]bool{}
	for _, f := range r.Findings {
		trails[f.Trail.String()] = true
	}
	for _, want := range []string{"h", "z.zip / h", "g / #0 gzip.deflate", "z2.zip / h"} {
		if !trails[want] {
			t.Errorf("no finding at %s: %v", want, trails)
		}
	}
}

// A text that is a page's script is no page, and is one where it is a script without its zeros: the
// types of what it is in are the same.
func TestAgainScripts(t *testing.T) {
	script := `var a = "<script lang=x>var b\x00; ` + marker + `"`
	for _, page := range []string{
		"<html>\x00<script>" + script + "</script>",
		strings.Repeat("\x00", 500) + "http://f/<script language=\"JScript\">" + script,
		"<html>" + strings.Repeat("<script>"+script+"</script>", 3),
	} {
		twice(t, fmt.Sprintf("%.50q", page), showcause.Bytes(page), scan.Options{Digests: true}, nil)
		in := named("a", page, "b", strings.ReplaceAll(page, "\x00", ""))
		twice(t, fmt.Sprintf("zip of %.50q", page), showcause.Bytes(in), scan.Options{Digests: true}, nil)
	}
}

// Layers over 16 MiB, and those that are not in memory.
func TestAgainLarge(t *testing.T) {
	large := []byte(strings.Repeat("a line of a large text\n", 800_000) + marker)
	spill := func() (unpack.File, error) { return &memory{}, nil }
	r, walks := twice(t, "large", showcause.Bytes(named(repeat(4, "f%d", large)...)), scan.Options{Spill: spill}, nil)
	if len(r.Findings) != 4 || walks != 1+2 {
		t.Errorf("%d layers looked into, %d findings", walks, len(r.Findings))
	}
	small := named(repeat(8, "f%d", []byte("text with "+marker))...)
	r, walks = twice(t, "stream", io.NewSectionReader(bytes.NewReader(small), 0, int64(len(small))), scan.Options{}, nil)
	if len(r.Findings) != 8 || walks != 1+1 {
		t.Errorf("%d layers looked into, %d findings", walks, len(r.Findings))
	}
}

// memory is scratch space.
type memory struct{ b []byte }

func (m *memory) ReadAt(p []byte, off int64) (int, error) { return showcause.Bytes(m.b).ReadAt(p, off) }
func (m *memory) Close() error                            { return nil }
func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if n := off + int64(len(p)); n > int64(len(m.b)) {
		m.b = append(m.b, make([]byte, n-int64(len(m.b)))...)
	}
	return copy(m.b[off:], p), nil
}

// A layer that is one of those it is in is searched and not walked.
func TestEndless(t *testing.T) {
	self := named("a", "text\n")
	again := unpack.Format{Name: "zip", Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, self) }, Walk: func(s showcause.Source, out *unpack.Out) {
		b := make([]byte, s.Size())
		s.ReadAt(b, 0)
		out.Child(unpack.Child{Op: "zip.stored", Name: "me", Reader: bytes.NewReader(b), Size: s.Size()})
		out.Child(unpack.Child{Op: "zip.stored", Name: "other", Reader: strings.NewReader(marker), Size: -1})
	}}
	r := scan.New(markerDB(t), scan.Options{Formats: []unpack.Format{again}}).Scan(showcause.Bytes(self))
	if r.Verdict != showcause.Found || len(r.Findings) != 1 || r.Spent.Depth != 1 || r.Spent.Objects != 3 ||
		len(r.Gaps) != 1 || r.Gaps[0].Code != showcause.LimitDepth || r.Gaps[0].Trail.String() != "me" {
		t.Errorf("%+v", r)
	}
}

// A layer of an image, and the same bytes beside it: what is in them is called
// otherwise.
func TestAgainImage(t *testing.T) {
	tarOf := func(members ...string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for i := 0; i < len(members); i += 2 {
			w.WriteHeader(&tar.Header{Name: members[i], Mode: 0o644, Size: int64(len(members[i+1]))})
			io.WriteString(w, members[i+1])
		}
		w.Close()
		return b.Bytes()
	}
	layer := tarOf("file", "text with "+marker)
	r, _ := twice(t, "image", showcause.Bytes(tarOf("l/layer.tar", string(layer), "copy.tar", string(layer),
		"manifest.json", `[{"Config":"c.json","RepoTags":["a:b"],"Layers":["l/layer.tar"]}]`, "c.json", "{}")), scan.Options{}, nil)
	var ops []string
	for _, f := range r.Findings {
		if len(f.Trail) == 2 { // the marker stands in the tars as it is too
			ops = append(ops, f.Trail[0].Op+" "+f.Trail[1].Op)
		}
	}
	if got := strings.Join(ops, ", "); got != "oci.layer oci.file, tar.file tar.file" {
		t.Errorf("%s", got)
	}
}
