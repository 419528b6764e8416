package rules

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause/ruledb"
)

// Of a folder that an update died in, what was there before is compiled, whole.
func TestSettled(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	count := func() int {
		data, err := Compile([]string{dir}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		db, err := ruledb.New(data)
		if err != nil {
			t.Fatal(err)
		}
		return db.Len()
	}
	write("a.ndb", "New.One:0:*:6d61726b6572206f6e65\nNew.Two:0:*:6d61726b65722074776f\n")
	write("b.ndb", "Old.One:0:*:6d61726b6572206f6e65\n")
	write(".update/gen-3/a.ndb", "Old.A:0:*:6d61726b6572206f6e65\n")
	write(".update/state.json", `{"generation": 3}`)
	if n := count(); n != 3 {
		t.Errorf("%d rules, want 3", n)
	}
	write(".update/journal", `{"place": ["b.ndb"]}`)
	if n := count(); n != 1 {
		t.Errorf("with a journal: %d rules, want the 1 of before", n)
	}
	if err := os.RemoveAll(filepath.Join(dir, ".update", "gen-3")); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 3 {
		t.Errorf("without generations: %d rules, want 3", n)
	}
}
