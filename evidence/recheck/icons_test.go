package recheck_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/icon"
	"github.com/showcause/showcause/internal/icon/icontest"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack/exe"
)

// TestIcons has a finding of an icon derived again, with the icons of the database, and says
// where these are not given.
func TestIcons(t *testing.T) {
	var src showcause.Bytes
	var m *icon.Metrics
	r := rand.New(rand.NewPCG(1, 1))
	for ok := false; !ok; {
		src = icontest.Program(icontest.Bitmap(r))
		at, _ := exe.Icons(src, filetype.PE)
		m, _, ok = icon.Measure(src, at[0])
		ok = ok && m.Side%8 == 0
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"a.ldb": "A;Engine:81-255,Target:1,IconGroup1:G;0;4d5a\n", "b.idb": "I:G:H:" + m.String() + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := compile(t, dir)
	rep := scan.New(d, scan.Options{Digests: true}).Scan(src)
	if n := reproduce(t, "icon", d, src, &rep, showcause.Limits{}.WithDefaults()); n != 1 {
		t.Fatalf("%d found: %v", n, rep.Findings)
	}
	c := claimOf(t, d, &rep.Findings[0], showcause.Limits{})
	other := "J:G:H:" + strings.Repeat("1", 2) + m.String()[2:]
	if c.Rule.Before[0] = strings.Replace(c.Rule.Before[0], ":G:", ":F:", 1); recheck.Run(src, c, recheck.Options{}).Holds {
		t.Error("an icon of another group will do")
	}
	c.Rule.Before = []string{other}
	if recheck.Run(src, c, recheck.Options{}).Holds {
		t.Error("another icon will do")
	}
	c.Rule.Before = nil
	if out := recheck.Run(src, c, recheck.Options{}); out.Undone == "" {
		t.Error("without the icons it is done")
	}
}
