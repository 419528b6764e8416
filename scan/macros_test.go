package scan_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// TestMacros: a macro means what ClamAV's documentation says. clamscan 1.4.6 takes one for found
// only where what stands before it is found another time behind; what it finds is found here.
func TestMacros(t *testing.T) {
	files := map[string]string{
		"t.ldb": "M;Engine:51-255,Target:0;0&1;616161;${6-7}12$\n",
		"t.ndb": "D1:0:$12:626262\nD2:0:$12:636363\nD3:0:$30:626264\n",
	}
	s := scan.New(compile(t, files), scan.Options{})
	dir, db := t.TempDir(), t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(db, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inputs := map[string]bool{
		"xxaaaYYYbbbzz": true, "xxaaaYYYYcccz": true, "xxaaaYYbbbzzz": false, "aaabbb": false, "aaaYYYYYbbb": false, "bbbaaaYYYcccYYYY": true, "aaaZZZaaaYYYbbb": true,
		"aaaYYYbbbZZZaaa": true, "aaaYYYbbdZZZaaa": false, "aaaYYYbbbaaaaaabbb": true, "cccYYYaaa": false,
	}
	for in, want := range inputs {
		if err := os.WriteFile(filepath.Join(dir, in), []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := s.Scan(showcause.Bytes(in)); len(r.Findings) > 0 != want {
			t.Errorf("%q: %+v", in, r.Findings)
		}
	}
	for in, names := range clamscanNames(t, db, dir) {
		if len(names) > 0 && !inputs[in] {
			t.Errorf("%q: clamscan has %v", in, names)
		}
	}
}
