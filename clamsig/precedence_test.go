package clamsig

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/clamsig/cvd"
)

// A folder of containers and loose files loads as clamscan loads it. The
// containers are the one that ClamAV signed, and a .cld file made of it, which
// its signed list proves.
func TestPrecedence(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join(dataDir(t), "bytecode.cvd"))
	if err != nil {
		t.Skip(err)
	}
	c, err := cvd.Open("bytecode.cvd", "cvd", bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	set, err := c.Unpack()
	if err != nil {
		t.Fatal(err)
	}
	var patched bytes.Buffer
	if err := cvd.WriteCLD(&patched, set); err != nil {
		t.Fatal(err)
	}
	loose := proven([]member{{"x.ndb", "A:0:*:414243\nB:0:*:414243\n"}})
	loose[1].text, _, _ = strings.Cut(loose[1].text, "DSIG")
	cud := pack(t, true, true, member{"COPYING", "free\n"}, loose[1], loose[0])
	for _, tt := range []struct {
		files string
		known int
	}{
		{"daily.cvd", 47},
		{"any.cld", 47},
		{"daily.cvd daily.cld", 47},
		{"main.cvd main.cld", 47},
		{"bytecode.cvd bytecode.cld x.cud", 49},
		{"daily.cld x.cud a.ndb a.ign2", 49},
	} {
		files := map[string]string{}
		for name := range strings.FieldsSeq(tt.files) {
			files[name] = map[string]string{
				".cvd": string(whole), ".cld": patched.String(), ".cud": string(cud), ".ndb": "C:0:*:414243\nD:0:*:414243\n", ".ign2": "A\nC\n",
			}[filepath.Ext(name)]
		}
		dir := write(t, files)
		stats, err := Load(dir, Options{Strict: true}, &null{})
		if err != nil || stats.Known() != tt.known {
			t.Errorf("%s: known %d, %v", tt.files, stats.Known(), err)
		}
		if n := clamscanKnown(t, dir); n >= 0 && n != tt.known {
			t.Errorf("%s: clamscan knows %d", tt.files, n)
		}
	}
	// What is not signed is not loaded, by default; nor is what is signed and changed.
	for name, b := range map[string][]byte{
		"a.cvd": pack(t, true, true, members...), "a.cld": pack(t, true, true, members...),
		"b.cvd": append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
	} {
		if _, err := LoadReader(name, bytes.NewReader(b), Options{}, &null{}); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}
