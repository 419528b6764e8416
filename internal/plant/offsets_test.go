package plant

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause/rule"
)

// TestOffsets holds that sigtool sees the planted bodies of logical signatures where they were put.
// It looks at the file as it stands, and for what is to be folded as it is written.
func TestOffsets(t *testing.T) {
	bin, err := exec.LookPath("sigtool")
	if err != nil {
		t.Skip("sigtool is not installed")
	}
	dir := t.TempDir()
	db, file := filepath.Join(dir, "x.ldb"), filepath.Join(dir, "f")
	compared, seeds := 0, uint64(1)
	if *full {
		seeds = 20
	}
	for n := range seeds {
		compared += sighted(t, bin, db, file, 5+n)
	}
	if t.Logf("%d offsets", compared); compared < 150*int(seeds) {
		t.Errorf("only %d compared", compared)
	}
}

// sighted plants with a seed, and returns how many places were compared.
func sighted(t *testing.T, bin, db, file string, seed uint64) (compared int) {
	t.Helper()
	err := Each(filepath.Join("testdata", "plant.ldb"), func(r *rule.Rule) error {
		f, err := Plant(r, seed, false)
		if err != nil || f.View || strings.Contains(r.Text, "::") {
			return nil
		}
		if err := os.WriteFile(db, []byte(r.Text+"\n"), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(file, f.Inner, 0o600); err != nil {
			return err
		}
		out, err := exec.Command(bin, "--test-sigs="+db, file).Output()
		if err != nil {
			t.Errorf("%s: sigtool: %v", r.Name, err)
			return nil
		}
		subs := strings.Split(string(out), " * SUBSIG ID ")[1:]
		for _, s := range f.Spots {
			if s.Pattern >= len(subs) || s.Length == 0 || r.Later != nil && r.Later[s.Pattern] != nil {
				continue
			}
			_, list, _ := strings.Cut(subs[s.Pattern], " at offset")
			list, _, _ = strings.Cut(strings.TrimLeft(list, "s: "), ")")
			if compared++; !slices.Contains(strings.Fields(list), strconv.FormatInt(s.Offset, 10)) {
				t.Errorf("%s, subsignature %d: planted at %d, sigtool %s", r.Text, s.Pattern, s.Offset, list)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return compared
}
