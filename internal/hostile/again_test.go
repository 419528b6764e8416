package hostile

import (
	"fmt"
	"os"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
)

// TestAgain holds that a report does not depend on whether layers that occur
// more than once are scanned once.
func TestAgain(t *testing.T) {
	db, err := ruledb.New(compiled(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, limits := range []showcause.Limits{{}, {ScanSize: 3 << 20, Objects: 300, Depth: 6}} {
		for _, in := range inputs() {
			src := in.Make()
			if in.Big || limits == (showcause.Limits{}) && (testing.Short() || src.Size() > 4<<20) {
				continue
			}
			var said [2]string
			for i, each := range []bool{false, true} {
				s := scan.New(db, scan.Options{EachTime: each, Limits: limits, Digests: true, Excerpts: true, Spill: func() (unpack.File, error) {
					f, err := os.CreateTemp(dir, "spill")
					if err == nil {
						os.Remove(f.Name())
					}
					return f, err
				}})
				said[i] = fmt.Sprintf("%+v", s.Scan(src))
			}
			if said[0] != said[1] {
				t.Errorf("row %d, %s, %+v: once\n%.1500s\neach time\n%.1500s", in.Row, in.Name, limits, said[0], said[1])
			}
		}
	}
}
