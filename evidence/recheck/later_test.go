package recheck_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// TestLater has findings of expressions and comparisons derived again.
func TestLater(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.ldb")
	lines := []string{
		`A;Engine:81-255,Target:0;0&1;616263;0/x\d+/g`,
		`B;Engine:81-255,Target:0;0&1;616263;4,9:0/(x)\d(?=x)/e`,
		`C;Engine:81-255,Target:0;1&2;616263;0/(?<a>x1)x/;1:1/.x/rs`,
		`D;Engine:81-255,Target:0;0&1;616263;0(>>3#db2#=12)`,
		`E;Engine:81-255,Target:0;0&1;616263;EOF-3:0/x/g`,
		`F;Engine:81-255,Target:0;0&1>2;616263;3:0/[abcx]/gA`,
	}
	if err := os.WriteFile(db, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	src := showcause.Bytes("\x8f\x93\x00abcx1x22x333abc12\x00\x01\x00x\x00\x01")
	d := compile(t, db)
	rep := scan.New(d, scan.Options{Digests: true}).Scan(src)
	if n := reproduce(t, "later", d, src, &rep, showcause.Limits{}.WithDefaults()); n != len(lines) {
		t.Errorf("%d of %d found: %v", n, len(lines), rep.Findings)
	}
}

// TestHandler has findings derived again that were made in a layer that a signature asked to
// be read as another type.
func TestHandler(t *testing.T) {
	db := filepath.Join(t.TempDir(), "h.ldb")
	lines := []string{
		"H;Engine:51-255,HandlerType:CL_TYPE_HTML,Target:0;0;41424344",
		"InHTML;Engine:51-255,Target:3,Container:CL_TYPE_ANY;0;6d61726b6572",
	}
	if err := os.WriteFile(db, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	src := showcause.Bytes("\x01\x02\x00\x03\x00\x01ABCD\x00\x01 <b>marker</b>")
	d := compile(t, db)
	rep := scan.New(d, scan.Options{Digests: true}).Scan(src)
	if n := reproduce(t, "handler", d, src, &rep, showcause.Limits{}.WithDefaults()); n < 2 || rep.Findings[0].Trail != nil || len(rep.Findings[n-1].Trail) != 2 {
		t.Errorf("%d found: %v", n, rep.Findings)
	}
}
