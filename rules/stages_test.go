package rules

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
)

// What a signed release says of its rules counts for the rules in its files, and for
// no others; one that it does not name is only tried.
func TestStages(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	line := func(name, marker string) string { return fmt.Sprintf("%s:0:*:%x", name, marker) }
	hash := func(name, content string) string {
		return fmt.Sprintf("%x:%d:%s", sha256.Sum256([]byte(content)), len(content), name)
	}
	yara := `rule y { strings: $ = "marker-yara" condition: any of them }`
	pack := []string{line("Shadow", "marker-shadow"), line("Report", "marker-report"), line("Act", "marker-act"), line("Twice", "marker-twice")}
	write("mine-a.ndb", strings.Join(pack, "\n")+"\n"+line("Unlisted", "marker-unlisted")+"\n")
	write("mine-h.hsb", hash("Hash", "marker-hash")+"\n")
	write("mine-w.sfp", hash("Allow", "marker-allowed marker-own")+"\n")
	write("mine-y.yar", yara+"\n")
	write("own.ndb", line("Own", "marker-own")+"\n"+pack[0]+"\n")
	stages := rule.StagesHead + "\n"
	for _, f := range []string{"mine-a.ndb", "mine-h.hsb", "mine-w.sfp", "mine-y.yar"} {
		stages += "file " + f + "\n"
	}
	say := func(stage, text string) { stages += fmt.Sprintf("%x %s a name\n", sha256.Sum256([]byte(text)), stage) }
	for i, s := range []string{"shadow", "report", "act", "act"} {
		say(s, pack[i])
	}
	say("report", pack[3]) // the weaker counts
	say("shadow", hash("Hash", "marker-hash"))
	say("shadow", hash("Allow", "marker-allowed marker-own"))
	say("act", yara)
	write("mine.stages", stages)
	compile := func(paths ...string) *ruledb.DB {
		data, err := Compile(paths, Options{})
		if err != nil {
			t.Fatal(err)
		}
		db, err := ruledb.New(data)
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := compile(dir)
	got := map[string]showcause.Stage{}
	for i := range uint32(db.Len()) {
		info, err := db.Info(i)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsRune(info.File, 0) {
			t.Errorf("file %q", info.File)
		}
		got[info.File+" "+strings.TrimSuffix(info.Name, ".UNOFFICIAL")] = info.Stage
	}
	want := map[string]showcause.Stage{
		"mine-a.ndb Shadow": "shadow", "mine-a.ndb Report": "report", "mine-a.ndb Act": "act", "mine-a.ndb Twice": "report", "mine-a.ndb Unlisted": "shadow",
		"mine-h.hsb Hash": "shadow", "mine-y.yar y": "act", "own.ndb Own": "", "own.ndb Shadow": "",
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if file := compile(filepath.Join(dir, "mine-h.hsb")); file.Len() != 1 {
		t.Error("the file alone")
	} else if info, err := file.Info(0); err != nil || info.Stage != "shadow" {
		t.Errorf("the file alone: %+v, %v", info, err)
	}
	s := scan.New(db, scan.Options{})
	for text, c := range map[string]struct {
		verdict  showcause.Verdict
		findings int
	}{
		"marker-unlisted": {showcause.NothingFound, 1}, "marker-hash": {showcause.NothingFound, 1}, "marker-report": {showcause.Found, 1}, "marker-yara": {showcause.Found, 1},
		"marker-unlisted marker-act": {showcause.Found, 2}, "marker-shadow": {showcause.Found, 2}, // by the site's own rule of the same text
		"marker-allowed marker-own": {showcause.Found, 1},
	} {
		if r := s.Scan(strings.NewReader(text)); r.Verdict != c.verdict || len(r.Findings) != c.findings {
			t.Errorf("%s: %v with %d findings, want %v with %d", text, r.Verdict, len(r.Findings), c.verdict, c.findings)
		}
	}
	for _, bad := range []string{"x\n", rule.StagesHead + "\nzz act\n", rule.StagesHead + fmt.Sprintf("\n%064x kill\n", 1), rule.StagesHead + fmt.Sprintf("\n%066x act\n", 1)} {
		write("mine.stages", bad)
		if _, err := Compile([]string{dir}, Options{}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
