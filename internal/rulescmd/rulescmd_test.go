package rulescmd

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/cvd"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/update/updatetest"
)

func TestDescribe(t *testing.T) {
	for line, want := range map[string]string{
		"A;Engine:81-255,Target:1,FileSize:10-20,Container:CL_TYPE_ZIP;(0&1)|2>3,1;414243;EP+5,10:44??4?{2-4}45*(41|4243)!(55)(B);616263::iw": `A: logical signature
  engines of functionality level 81 and up
  in PE files (Windows programs)
  size in bytes 10 to 20
  directly inside of CL_TYPE_ZIP
  when (0 and 1) or more than 3 matches of 2
   0  "ABC"
   1  5 bytes behind the entry point or up to 10 further: "D" any byte a byte 4? ... 2 to 4 bytes ... "E" ... anything ... ("A" or "BC") none of ("U") <word boundary>
   2  "abc" (without case, as UTF-16)
`,
		"B:4:EOF-30:4100{10-}42:51:100": `B: body signature
  engines of functionality levels 51 to 100
  in mail
   0  30 bytes before the end: 4100 ... 10 or more bytes ... "B"
`,
		"44d88612fea8a8f36de82e1278abb02f:68:E":  "E: digest\n  MD5 of the whole file, of 68 bytes, is 44d88612fea8a8f36de82e1278abb02f\n",
		"512:44d88612fea8a8f36de82e1278abb02f:E": "E: digest\n  MD5 of a section of a PE file, of 512 bytes, is 44d88612fea8a8f36de82e1278abb02f\n",
		"P;Target:0;0&1=0;41424344;0/a;b\\/c/i":  "P: logical signature\n  in any file\n  when 0 and not 1\n   0  \"ABCD\"\n   1  the regular expression /a;b\\\\/c/ with i, looked for when 0 holds\n",
	} {
		var b bytes.Buffer
		s, err := parse(line, "")
		if err == nil {
			err = describe(&b, s)
		}
		if err != nil || b.String() != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", line, err, b.String(), want)
		}
	}
	for _, bad := range []string{"", "x", "a:b", "A;Target:0;0"} {
		if s, err := parse(bad, ""); err == nil {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

var matchLine = regexp.MustCompile(`at offsets?:((?: \d+)+)\)|\*\* (NO) \*\*`)

// Where subsignatures match is what sigtool --test-sigs says, and the verdict of the
// expression what clamscan says.
func TestTrySigtool(t *testing.T) {
	for _, p := range []string{"sigtool", "clamscan"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(err)
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	dir := t.TempDir()
	word := func() []byte {
		b := make([]byte, 3+r.IntN(4))
		for i := range b {
			b[i] = 'A' + byte(r.IntN(4))
		}
		return b
	}
	for i := range 25 {
		data := []byte("\x00\x01\xff\xfe") // no text, which clamscan would search normalised too
		for range 40 {
			data = append(append(data, word()...), byte(r.IntN(256)))
		}
		subs, exprs := []string{}, []string{}
		for n := range 2 + r.IntN(3) {
			w := word()
			s := fmt.Sprintf("%x", w)
			switch r.IntN(5) {
			case 0:
				s = s[:4] + "??" + s[4:]
			case 1:
				s = fmt.Sprintf("%d,40:%s", r.IntN(60), s)
			case 2:
				s = fmt.Sprintf("%x::i", bytes.ToLower(w))
			}
			subs = append(subs, s)
			exprs = append(exprs, []string{fmt.Sprint(n), fmt.Sprintf("(%d>%d)", n, r.IntN(4)), fmt.Sprintf("(%d=0)", n)}[r.IntN(3)])
		}
		line := fmt.Sprintf("T;Engine:81-255,Target:0;%s;%s", mixed(r, exprs), strings.Join(subs, ";"))
		db, file := filepath.Join(dir, "t.ldb"), filepath.Join(dir, "f")
		if err := os.WriteFile(db, []byte(line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		fires, err := try(&out, line, "ldb", data)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !strings.Contains(out.String(), map[bool]string{true: ": holds, since", false: ": does not hold, since"}[fires]) {
			t.Errorf("%s: the reason is not the verdict:\n%s", line, &out)
		}
		said, _ := exec.Command("clamscan", "--no-summary", "-d", db, file).Output()
		if strings.Contains(string(said), " FOUND") != fires {
			t.Errorf("%s: fires %v, clamscan says %s", line, fires, said)
		}
		peer, _ := exec.Command("sigtool", "--test-sigs="+db, file).CombinedOutput()
		hits := matchLine.FindAllStringSubmatch(string(peer), -1)
		if len(hits) != len(subs) {
			t.Fatalf("%s: sigtool says %s", line, peer)
		}
		s, _ := parse(line, "ldb")
		for n, h := range hits {
			var want []int64
			for f := range strings.FieldsSeq(h[1]) {
				v, _ := strconv.ParseInt(f, 10, 64)
				want = append(want, v)
			}
			if s.subs[n].offset != "" || s.subs[n].mods != "" {
				continue // sigtool looks for the first everywhere ("CHECK OFFSET"), and for the others as they stand; clamscan's verdict above is with both
			}
			places, err := s.places(n, data, scan.Options{TopOnly: true, MaxMatches: 1 << 16})
			var got []int64
			for _, m := range places {
				got = append(got, m.Offset)
			}
			slices.Sort(got)
			slices.Sort(want)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d: %s sub %d: at %v, sigtool says %v: %v", i, line, n, got, want, err)
			}
		}
	}
}

// mixed joins parts by operators, some of them in parentheses.
func mixed(r *rand.Rand, parts []string) string {
	s := parts[0]
	for _, p := range parts[1:] {
		s += []string{"&", "|"}[r.IntN(2)] + p
	}
	if r.IntN(2) == 0 {
		return s
	}
	return "(" + s + ")"
}

// The expressions of this package are those of the engine: both say the same over
// all counts.
func TestExpressions(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	words := []string{"ab0", "cd1", "ef2", "gh3", "ij4"}
	compared := 0
	for range 400 {
		var parts []string
		for i := range words {
			p := fmt.Sprint(i)
			if r.IntN(4) == 0 {
				p += []string{"=0", ">1", "=2", "<2", ">0,1", "=2,"}[r.IntN(6)]
			}
			parts = append(parts, p)
		}
		at := 1 + r.IntN(4)
		expr := mixed(r, parts[:at]) + []string{"&", "|"}[r.IntN(2)] + mixed(r, parts[at:])
		if r.IntN(3) == 0 {
			expr = "(" + expr + ")" + []string{"", ">2", ">1,2", "=3"}[r.IntN(4)]
		}
		line := "T;Engine:81-255,Target:0;" + expr
		for _, w := range words {
			line += fmt.Sprintf(";%x", w)
		}
		db, err := compile("ldb", line)
		if err != nil {
			continue // a count where none may stand
		}
		compared++
		n, err := parseExpr(expr)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		s := scan.New(db, scan.Options{TopOnly: true})
		for range 40 {
			counts := make([]int, len(words))
			data := "\x00\xff\xfe"
			for i, w := range words {
				counts[i] = r.IntN(4) * r.IntN(2)
				data += strings.Repeat(w+"-", counts[i])
			}
			if got, want := n.holds(counts), len(s.Scan(showcause.Bytes(data)).Findings) > 0; got != want {
				t.Fatalf("%s over %v: %v, the engine says %v (%s)", expr, counts, got, want, n.words(true))
			}
		}
	}
	if compared < 200 {
		t.Errorf("%d expressions were compared", compared)
	}
}

// What is written as YARA hits what the signature hits.
func TestToYARA(t *testing.T) {
	y := &yaraWriter{seen: map[string]bool{}, imports: map[string]bool{}}
	var ok []string
	for _, line := range []string{
		"A:0:*:4142??44", "A:0:2:434445", "B:0:EOF-6,2:414243", "C:1:EP+0:909090??", "D.x-1;Target:0;(0&1)|2;414243;434445;78797a::i", "E;Target:0;(0|1)>2,2;4142;4344",
		"F;Target:0;0&1=0;4142;5a5a5a", "T;Target:0;(0&1)>2;4142;4344", "U;Target:0;0&1|2;4142;4344;78797a", "V;Target:0;(0&1)=2;4142;4344", "G;Engine:81-255,Target:0,FileSize:5-7;0;4142", "H:0:*:4142{2-4}4344*4343(44|4546)?7", "44d88612fea8a8f36de82e1278abb02f:68:I", "J:0:*:4142(B)4243", "K;Target:3;0;414243",
		"L;Target:0;0;4142/x/", "M;Target:0;0;417700::w", "N;Target:6;0;4142", "O:0:*:4142!(42|43)4445", "P:0:*:4142!(42)44", "Q:0:3,4:434445", "R;Target:0;0;6162::wa", "S;Target:0;0;6162{2}(63|64)64::i",
	} {
		s, err := parse(line, "")
		if err == nil {
			err = y.rule(s)
		}
		if err != nil {
			t.Logf("left out: %s: %v", line, err)
			continue
		}
		ok = append(ok, line)
	}
	if len(ok) < 13 {
		t.Errorf("%d written: %v", len(ok), ok)
	}
	var text bytes.Buffer
	if err := y.write(&text); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.yar")
	if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	data, err := rules.Compile([]string{path}, rules.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, &text)
	}
	ydb, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	theirs := scan.New(ydb, scan.Options{TopOnly: true})
	hit := map[string]int{}
	names := strings.Fields(strings.Join(regexp.MustCompile(`(?m)^rule \w+`).FindAllString(text.String(), -1), "\n"))
	r := rand.New(rand.NewPCG(3, 4))
	words := []string{"AB", "CD", "ABCD", "ABC", "xyz", "XyZ", "CDE", "AB..CD...CCD7", "ABxD", "ACD", "AxD", "a\x00b\x00", "ab", "ZZZ", "-", "AxB-CEFg", "aB..cD"}
	files := []string{"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*", "\x7fELFxxAB"}
	for range 300 {
		f := ""
		for range 1 + r.IntN(5) {
			f += words[r.IntN(len(words))]
		}
		files = append(files, f)
	}
	var dbs []*scan.Scanner
	for _, line := range ok {
		kind := guess(line)
		db, err := compile(kind, line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		dbs = append(dbs, scan.New(db, scan.Options{TopOnly: true}))
	}
	for _, f := range files {
		got := map[string]bool{}
		for _, x := range theirs.Scan(showcause.Bytes(f)).Findings {
			got[x.Rule] = true
		}
		for i, line := range ok {
			want := len(dbs[i].Scan(showcause.Bytes(f)).Findings) > 0
			name := names[2*i+1]
			if got[name] != want && got["YARA."+name+".UNOFFICIAL"] != want {
				t.Errorf("%q: %s: ClamAV's %v, as YARA %v", f, line, want, got)
			}
			if want {
				hit[line]++
			}
		}
	}
	for _, line := range ok {
		if hit[line] == 0 && !strings.HasPrefix(line, "C:") {
			t.Errorf("%s: hit nothing", line)
		}
	}
}

func run(t *testing.T, pick func(Host) *cobra.Command, args ...string) (string, error) {
	t.Helper()
	c := pick(Host{Nothing: fmt.Errorf("differs")})
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(args)
	c.SilenceUsage, c.SilenceErrors = true, true
	err := c.Execute()
	return out.String(), err
}

func TestDiffAndUnpack(t *testing.T) {
	dir := t.TempDir()
	p, err := updatetest.New()
	if err != nil {
		t.Fatal(err)
	}
	old := cvd.Set{"d.ndb": []byte("A:0:*:414243\nB:0:*:424344\nC:0:*:434445\n"), "d.hdb": []byte("44d88612fea8a8f36de82e1278abb02f:68:E\n"), "x.cbc": []byte("ClamBC1")}
	fresh := cvd.Set{"d.ndb": []byte("# new\nC:0:*:434445\nA:0:*:414244\nD:0:*:444546\n"), "d.hdb": old["d.hdb"], "x.cbc": []byte("ClamBC2")}
	for name, s := range map[string]cvd.Set{"old": old, "new": fresh} {
		if err := p.Publish("daily", 1, s); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".cvd"), p.Files["daily.cvd"], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := "~ .cbc x.cbc\n~ .ndb A\n- .ndb B\n+ .ndb D\n1 added, 2 changed, 1 taken away\n"
	if out, err := run(t, Host.diff, filepath.Join(dir, "old.cvd"), filepath.Join(dir, "new.cvd")); err == nil || out != want {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run(t, Host.unpack, filepath.Join(dir, "old.cvd")); err == nil || !strings.Contains(err.Error(), "signature does not hold") {
		t.Errorf("%v\n%s", err, out)
	}
	to := filepath.Join(dir, "out")
	if out, err := run(t, Host.unpack, "--unsigned", filepath.Join(dir, "old.cvd"), "-o", to); err != nil || !strings.Contains(out, "  d.ndb\n") {
		t.Errorf("%v\n%s", err, out)
	}
	for n, b := range old {
		if got, _ := os.ReadFile(filepath.Join(to, n)); !bytes.Equal(got, b) {
			t.Errorf("%s: %q", n, got)
		}
	}
	if out, err := run(t, Host.diff, filepath.Join(dir, "old.cvd"), to); err != nil || out != "0 added, 0 changed, 0 taken away\n" {
		t.Errorf("%v\n%s", err, out)
	}
	// Two generations of a signed release, of which a rule went another stage.
	for n, stage := range []string{"shadow", "report"} {
		at := filepath.Join(dir, fmt.Sprint("gen-", n+1))
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
		stages := fmt.Sprintf("%s\nfile m-a.ndb\n%064x act A\n%064x %s B name\n", rule.StagesHead, 1, 2, stage)
		for name, text := range map[string]string{"m-a.ndb": "A:0:*:414243\n", "m.stages": stages} {
			if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	pick := func(h Host) *cobra.Command {
		h.Generation = func(_ string, n int64) (string, error) { return filepath.Join(dir, fmt.Sprint("gen-", n)), nil }
		return h.diff()
	}
	if out, err := run(t, pick, "1", "2"); err == nil || out != "~ .stages B name\n0 added, 1 changed, 0 taken away\n" {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := run(t, Host.unpack, "--unsigned", filepath.Join(dir, "old.cvd"), "-o", to); err == nil {
		t.Error("files were replaced")
	}
}

func TestPropose(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if err := os.Mkdir(good, 0o755); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 9))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	secret := append([]byte("the marker of this family, "), noise(20)...)
	library := []byte("a library that every program has in it")
	var args []string
	for i := range 4 {
		p := filepath.Join(dir, fmt.Sprint(i))
		args = append(args, p)
		body := slices.Concat(noise(500+i*100), library, noise(300), secret, noise(100+i), make([]byte, 4000))
		if err := os.WriteFile(p, body, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(good, fmt.Sprint(i)), slices.Concat(noise(1000), library, make([]byte, 5000)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := run(t, Host.propose, append(args, "--goodware", good, "--name", "Fam")...)
	if err != nil || !strings.HasPrefix(out, "Fam;Engine:51-255,Target:0;0") || !strings.Contains(out, "hits 4 of 4 samples, and none of 4 good files") || !strings.Contains(out, "the marker of this family") && !strings.Contains(out, fmt.Sprintf("%x", "the marker")) {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Contains(out, fmt.Sprintf("%x", "library")) {
		t.Errorf("what good files have is in it:\n%s", out)
	}
	// One good file has all that the samples share.
	if err := os.WriteFile(filepath.Join(good, "all"), slices.Concat(secret, library), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, Host.propose, append(args, "--goodware", good)...); err == nil || !strings.Contains(err.Error(), "is in files of") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := run(t, Host.propose, args...); err == nil {
		t.Error("without good files")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"A;Engine:81-255,Target:1;(0&1)|2>3,1;414243;EP+5,10:44??4?{2-4}45*(41|4243)!(55)(B);616263::iw", "B:4:EOF-30:4100{10-}42:51:100",
		"44d88612fea8a8f36de82e1278abb02f:68:E", "P;Target:0;0&1=0;41424344;0/a;b\\/c/i", "X;Target:0;0;0(>>5#hb2#=10);${1-2}3$;fuzzy_img#aa",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, err := parse(line, "")
		if err != nil {
			return
		}
		var one, two bytes.Buffer
		err1, err2 := describe(&one, s), describe(&two, s)
		if fmt.Sprint(err1) != fmt.Sprint(err2) || one.String() != two.String() {
			t.Errorf("%s, then %s", &one, &two)
		}
		y := &yaraWriter{seen: map[string]bool{}, imports: map[string]bool{}}
		if y.rule(s) == nil && y.n != 1 {
			t.Error("no rule")
		}
	})
}
