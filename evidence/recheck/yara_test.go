package recheck_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/internal/plant"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// yaraRules use each kind of string and of condition.
const yaraRules = `
import "math"
import "hash"
rule Text { strings: $a = "plain marker text" $b = "wide one" wide nocase condition: all of them }
rule Hex { strings: $h = { 4D 41 ?? [2-6] ( 52 4B | 52 4C ) ~00 } condition: #h > 1 and @h[1] < 400 }
rule Expression { strings: $r = /mark(er|ed)[0-9]{2,5}z/ ascii wide $s = /[a-c]{3}[0-9]+/ condition: $r and #s >= 2 and !s[1] > 3 }
rule Reads { strings: $a = "plain marker text" condition: $a and uint32be(0) == 0x01020304 and filesize > 20 }
rule Modules { strings: $a = "plain marker text" condition: $a and math.entropy(0, filesize) > 0.5 and hash.md5(0, 4) == "08d6c05a21512a79a1dfeb9d2a8f262f" }
rule NoString { condition: filesize > 10 and uint8(0) == 1 }
rule Forms { strings: $x = "exclusive or" xor(1-32) $b = "in base sixty-four" base64 base64wide $f = "whole" fullword condition: any of them and for all i in (1..#f) : ( @f[i] > 3 ) }
rule Many { strings: $a = "ab" condition: #a > 5000 }
private rule Under { strings: $u = "plain marker text" condition: $u }
rule Over { condition: Under and Many }
rule Secret { strings: $p = "plain marker text" private $q = "wide one" wide nocase condition: $p and $q }
`

func yaraInput() []byte {
	wide := func(s string) string { return strings.Join(strings.Split(s, ""), "\x00") + "\x00" }
	xor := []byte("exclusive or")
	for i := range xor {
		xor[i] ^= 9
	}
	return []byte("\x01\x02\x03\x04" + "MA?..RK!MA?....RLx plain marker text " + wide("WIDE one") + " marker123z " + wide("marked99z") + " abc123 ccc9 whole awhole whole " +
		string(xor) + " aW4gYmFzZSBzaXh0eS1mb3Vy " + strings.Repeat("ab", 6000))
}

// Findings of rules in YARA's language are derived again: strings, regular
// expressions, modules, and conditions that read the file, inside archives too.
func TestYARA(t *testing.T) {
	p := filepath.Join(t.TempDir(), "r.yar")
	if err := os.WriteFile(p, []byte(yaraRules), 0o600); err != nil {
		t.Fatal(err)
	}
	db := compile(t, p)
	in := yaraInput()
	zipped := zipOf(string(in), "nothing")
	for name, data := range map[string][]byte{"plain": in, "zip": zipped} {
		rep := scan.New(db, scan.Options{Digests: true}).Scan(showcause.Bytes(data))
		if n := reproduce(t, name, db, showcause.Bytes(data), &rep, showcause.Limits{}); n != strings.Count(yaraRules, "rule ")-1 && name == "plain" || n == 0 {
			t.Errorf("%s: %d findings: %v", name, n, names(&rep))
		}
	}
}

// Of a rule that refers to others nothing can be said without them; what is wrong with
// the file is said all the same.
func TestUndone(t *testing.T) {
	p := filepath.Join(t.TempDir(), "r.yar")
	text := "rule Under { strings: $u = \"plain marker text\" condition: $u }\nrule Over { strings: $a = \"whole\" condition: 1 of (Und*) and $a }"
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	db := compile(t, p)
	in := yaraInput()
	rep := scan.New(db, scan.Options{Digests: true}).Scan(showcause.Bytes(in))
	for i := range rep.Findings {
		f := &rep.Findings[i]
		info, err := db.Info(f.Index)
		if err != nil {
			t.Fatal(err)
		}
		s := statementOf(t, &rep, f, &evidence.Rule{Language: "yara", File: "r.yar", Line: int64(info.Line)}, info.Text)
		s.Policy.Options[recheck.OptionViews] = "none"
		a := recheck.Record(s, showcause.Bytes(in), recheck.Options{})
		if over := f.Rule == "Over"; (a.Undone != "") != over || a.Reproduced == over || len(a.Differences) != 0 {
			t.Errorf("%s: %+v", f.Rule, a)
		}
		before, err := recheck.Before(db, f.Index)
		if err != nil {
			t.Fatal(err)
		}
		if a := recheck.Record(s, showcause.Bytes(in), recheck.Options{Before: before}); !a.Reproduced || a.Undone != "" {
			t.Errorf("%s with what it asks for: %+v", f.Rule, a)
		}
		other := append([]byte{'x'}, in...)
		if a := recheck.Record(s, showcause.Bytes(other), recheck.Options{}); a.Reproduced || len(a.Differences) == 0 {
			t.Errorf("%s in another file: %+v", f.Rule, a)
		}
		s.Rules.Rule.SetText("rule Over { condition: 1 +")
		if a := recheck.Record(s, showcause.Bytes(in), recheck.Options{}); a.Undone != "" || len(a.Differences) == 0 {
			t.Errorf("a text that is no rule: %+v", a)
		}
	}
	if len(rep.Findings) != 2 {
		t.Errorf("%d findings", len(rep.Findings))
	}
}

func names(r *showcause.Report) (out []string) {
	for _, f := range r.Findings {
		out = append(out, f.Rule)
	}
	return out
}

// dataDir is where data of others is, which the project does not hold.
func dataDir(t testing.TB) string {
	dir := os.Getenv("SHOWCAUSE_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no data: ", err)
	}
	return dir
}

// Planted files for the rules of signature-base.
func TestSignatureBase(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	dir := filepath.Join(dataDir(t), "yara", "signature-base")
	externals := map[string]module.Value{}
	for _, n := range strings.Fields("filename filepath extension filetype owner filemd5") {
		externals[n] = module.TextValue("")
	}
	var paths []string
	filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".yar") {
			paths = append(paths, p)
		}
		return nil
	})
	if len(paths) == 0 {
		t.Skip("no rules there")
	}
	data, err := rules.Compile(paths, rules.Options{Externals: externals, Lenient: true})
	if err != nil {
		t.Skip("the rules do not compile: ", err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	s := scan.New(db, scan.Options{Digests: true, TopOnly: false})
	n, files := 0, 0
	for i, p := range paths {
		if i%12 != 0 {
			continue
		}
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		set := &source.Sources{}
		src, err := set.Add(p, string(text))
		if err != nil {
			continue
		}
		file, _ := syntax.Parse(src, source.Either)
		for _, r := range file.Rules {
			in := plant.YARA(r, 1)
			rep := s.Scan(showcause.Bytes(in))
			if len(rep.Findings) > 3 {
				rep.Findings = rep.Findings[:3]
			}
			files++
			n += reproduce(t, p+" "+r.Name.Name, db, showcause.Bytes(in), &rep, showcause.Limits{})
		}
	}
	t.Logf("%d findings in %d files", n, files)
}
