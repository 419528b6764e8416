package report

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/recheck"
)

// hostile is in every place where an attacker's text can be.
const hostile = `</title></style></script><script>document.title="owned"</script><img src=x onerror="document.title='owned'">{{.Made}}` + "\u202egnp.exe\x1b[31m'\"&amp;javascript:alert(1)"

func sum(s string) string {
	d := sha256.Sum256([]byte(s))
	return hex.EncodeToString(d[:])
}

func hidden(s string) evidence.Private { return evidence.Private{Text: s} }

// finding is a record as it may be, with hostile texts.
func finding(name, text string) Item {
	s := &evidence.Statement{Kind: evidence.Finding, Subject: evidence.Digests{SHA256: sum("file")}}
	s.Verdict = "found"
	s.Input = &evidence.Input{Size: 10_000, Type: "zip"}
	s.Engine = evidence.Engine{Version: hostile, Binary: sum("binary"), Go: "go1.26", Target: "linux/amd64"}
	s.Rules = &evidence.Rules{Database: sum("db"), Rule: &evidence.Rule{Language: "clamav", Name: hostile, File: "main.ldb", Line: 7, Digest: sum(text), Text: text}}
	s.Policy = &evidence.Policy{Options: map[string]string{"formats": "all"}}
	s.Derivation = []evidence.Step{{Index: 3, Op: "zip.deflate", Digest: evidence.Digests{SHA256: sum("layer")}, Size: 5000}}
	s.Matches = &evidence.Matches{List: []evidence.Match{{Pattern: 0, Offset: 100, Length: 12}, {Pattern: 1, Offset: 4990, Length: 10}}}
	s.Coverage = &evidence.Coverage{Objects: 2, Bytes: 15_000, Depth: 1, Gaps: []evidence.Gap{{Code: "encrypted", Length: -1, Trail: []evidence.GapStep{{Index: 4, Op: "zip.aes"}}}}}
	s.Context = evidence.Context{Path: hidden("/home/" + hostile), Host: hidden(hostile), User: hidden(hostile), Jail: "sealed", Scan: sum("scan")}
	s.Time.Observed = "2026-11-21T12:00:00Z"
	return Item{Name: sum(name), Statement: s, Signer: sum("key"), Proven: true}
}

func written() *Page {
	a := finding("one", hostile+";Engine:51-255,Target:0;0&1;68656c6c6f;776f726c64")
	a.Again = &recheck.Answer{Reproduced: true, Bytes: true, Excerpts: []recheck.Excerpt{
		{Pattern: 0, Offset: 70, Bytes: append(bytes.Repeat([]byte{0xff, '<', '&'}, 10), "<script>alert(1)</script>"...), Start: 30, Length: 8, Whole: 12},
		{Pattern: 1, Offset: 1 << 40, Bytes: []byte("x"), Start: 7, Length: 9}, // lies
	}}
	b := finding("two", "rule x {\n strings:\n  $a = \"aaa\"\n  $b = { 62 }\n condition: any of them\n}\n")
	b.Statement.Rules.Rule.Language, b.Statement.Rules.Rule.Name = "yara", "x"
	b.Away = hostile
	c := finding("three", "")
	c.Statement.Rules.Rule.Text = ""
	c.Statement.Matches = &evidence.Matches{Commitment: sum("hidden")}
	c.Statement.Context.Path = evidence.Private{Commitment: sum("path")}
	c.Again = &recheck.Answer{Differences: []recheck.Difference{{Where: hostile, Claimed: hostile, Derived: hostile}}, Notes: []string{hostile}}
	contest := &evidence.Statement{Kind: evidence.Contest}
	contest.Contest = &evidence.Contention{Record: a.Name, Reason: hidden(hostile)}
	contest.Time.Observed = "2026-11-22T09:00:00Z"
	decision := &evidence.Statement{Kind: evidence.Decision}
	decision.Decision = &evidence.Ruling{Record: a.Name, Contest: sum("contest"), Outcome: "withdrawn", Reason: hidden(hostile)}
	decision.Time.Observed = "2026-11-23T09:00:00Z"
	scan := &evidence.Statement{Kind: evidence.Scan}
	scan.Verdict = "found"
	scan.Engine, scan.Rules, scan.Policy = a.Statement.Engine, &evidence.Rules{Database: sum("db")}, a.Statement.Policy
	scan.Coverage = &evidence.Coverage{Objects: 3000, Bytes: 1 << 30, Files: 1203, Verdicts: map[string]int64{"found": 3, "incomplete": 199, "error": 1, "nothing-found": 1000}}
	for i := range 200 {
		in := evidence.Looked{Digest: evidence.Digests{SHA256: sum(fmt.Sprint(i))}, Size: int64(i) << 20, Verdict: "incomplete", Gaps: []evidence.Gap{{Code: "unsupported.format.pdf", Length: 12}}}
		if i%3 == 0 {
			in.Gaps = append(in.Gaps, evidence.Gap{Code: "ambiguous.zip.name", Length: 4}, evidence.Gap{Code: "encrypted", Length: -1})
		}
		if i == 1 {
			in = evidence.Looked{Size: -1, Verdict: "error"}
		}
		scan.Coverage.Inputs = append(scan.Coverage.Inputs, in)
		scan.Context.Paths = append(scan.Context.Paths, hidden("/data/"+hostile+fmt.Sprint(i)))
	}
	scan.Context.Host, scan.Time.Observed = hidden(hostile), "2026-11-21T12:00:00Z"
	return &Page{
		Made: time.Date(2026, 11, 21, 13, 0, 0, 0, time.UTC), Version: "showcause devel", Source: "/var/lib/" + hostile, Keys: []string{sum("key")},
		Items: []Item{a, b, c, {Name: sum("contest"), Statement: contest}, {Name: sum("decision"), Statement: decision}, {Name: sum("scan"), Statement: scan}, {Refused: hostile}},
	}
}

func render(t testing.TB, p *Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Nothing of an attacker's becomes markup, nothing is loaded, and nothing turns text around.
func TestHostile(t *testing.T) {
	out := render(t, written())
	if !strings.Contains(out, `http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;`) && !strings.Contains(out, `content="default-src 'none'`) {
		t.Error("no policy for content")
	}
	for _, bad := range []string{"<script", "<img", "\u202e", "\x1b", "<link", "src=\"", "href=", "url(", "@import", "<iframe", "http://", "https://"} {
		body := out
		if bad == "src=\"" || bad == "url(" { // in an attacker's text they are text
			body = regexp.MustCompile(`&lt;[^<]*`).ReplaceAllString(out, "")
		}
		if strings.Contains(strings.ToLower(body), bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	if n := strings.Count(out, "<title>"); n < 1 || strings.Count(out, "<style>") != 1 {
		t.Errorf("%d titles", n)
	}
	for _, want := range []string{
		"&lt;script&gt;", `\u202egnp.exe`, "<mark>68656c6c6f</mark>", "withdrawn", "hidden in this copy", "missing, damaged or refused",
		"whole story", "unsupported.format.pdf", "showcause evidence recheck", "reproduced", "differs", "1,203", "could not be opened",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}

// The page is the same each time.
func TestSame(t *testing.T) {
	if first, again := render(t, written()), render(t, written()); first != again {
		t.Error("two pages of the same records")
	}
	render(t, &Page{})
}

func TestMark(t *testing.T) {
	for _, c := range []struct {
		language, file, text string
		fired                []int64
		want                 string
	}{
		{"clamav", "a.ldb", "N;Target:0;0&1;aa;bb", []int64{1}, "N;Target:0;0&1;aa;[bb]"},
		{"clamav", "a.ldb", "N;Target:0;0&1;aa;bb", []int64{0, 1}, "N;Target:0;0&1;[aa];[bb]"},
		{"clamav", "main.cvd/main.ndb", "N:0:*:aabb", []int64{0}, "N:0:*:[aabb]"},
		{"clamav", "a.hdb", "00ff:12:N", []int64{0}, "[00ff]:12:N"},
		{"clamav", "a.mdb", "12:00ff:N", []int64{0}, "12:[00ff]:N"},
		{"clamav", "a.ndb", "N:0:*:aabb", nil, "N:0:*:aabb"},
		{"clamav", "a.ndb", "", []int64{0}, ""},
		{"yara", "r.yar", "rule x {\nstrings:\n$a = \"1\"\n$b = \"2\"\ncondition: $b\n}", []int64{1}, "rule x {\nstrings:\n$a = \"1\"\n[$b = \"2\"]\ncondition: $b\n}"},
		{"yara", "r.yar", `rule x { strings: $a = "1" $b = "2" $c = { 33 } condition: $b }`, []int64{1}, `rule x { strings: $a = "1" [$b = "2"] $c = { 33 } condition: $b }`},
		{"yara", "r.yar", "rule x { strings: // $no = \"0\"\n /* $a = \"0\" */ $a = \"1\" // condition:\n $b = \"strings: $c =\" wide ascii condition: any of them }", []int64{1}, "rule x { strings: // $no = \"0\"\n /* $a = \"0\" */ $a = \"1\" // condition:\n [$b = \"strings: $c =\" wide ascii] condition: any of them }"},
		{"yara", "r.yar", "rule x { meta: d = \"strings: $a = 1\" strings: $a = /x/ $ = \"y\" condition: other and any of them }", []int64{0, 1}, "rule x { meta: d = \"strings: $a = 1\" strings: [$a = /x/] [$ = \"y\"] condition: other and any of them }"},
		{"yara", "r.yar", "rule x { strings: $a = \"1\" no rule", []int64{0}, "rule x { strings: $a = \"1\" no rule"},
		{"yara", "r.yar", "rule x { condition: true }", []int64{0}, "rule x { condition: true }"},
	} {
		fired := map[int64]bool{}
		for _, n := range c.fired {
			fired[n] = true
		}
		got := ""
		for _, p := range mark(c.language, c.file, c.text, fired) {
			if p.Mark {
				got += "[" + p.Text + "]"
			} else {
				got += p.Text
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.file, got, c.want)
		}
	}
}

func FuzzMark(f *testing.F) {
	f.Add("yara", "x.yar", "rule x { strings: $a = \"1\" condition: $a }", uint8(1))
	f.Add("clamav", "x.ldb", "N;T;0;aa", uint8(3))
	f.Fuzz(func(t *testing.T, language, file, text string, bits uint8) {
		fired := map[int64]bool{}
		for i := range 8 {
			fired[int64(i)] = bits>>i&1 != 0
		}
		all := ""
		for _, p := range mark(language, file, text, fired) {
			all += p.Text
		}
		if all != text {
			t.Errorf("%q became %q", text, all)
		}
	})
}

// What a process that read a hostile file says of its bytes may be anything.
func FuzzDump(f *testing.F) {
	f.Add(int64(0), []byte("some bytes"), 1, 3, int64(3), int64(10))
	for _, layer := range []int64{9, 10, 1 << 53, math.MaxInt64} {
		for _, off := range []int64{0, 1, math.MaxInt64 - 30, math.MaxInt64 - 10, math.MaxInt64 - 3, math.MaxInt64} {
			f.Add(off, []byte("some bytes"), 1, 3, int64(3), layer)
			f.Add(off, []byte("some bytes"), 1, 3, int64(math.MaxInt64), layer)
		}
	}
	f.Fuzz(func(t *testing.T, off int64, b []byte, start, length int, whole, layer int64) {
		d, ok := newDump(&recheck.Excerpt{Offset: off, Bytes: b, Start: start, Length: length, Whole: whole}, layer)
		if ok && (len(d.Rows) > len(b)/16+2 || int64(len(b)) > layer-off || whole > layer-off-int64(start)) {
			t.Errorf("%d rows of %d bytes in a layer of %d", len(d.Rows), len(b), layer)
		}
	})
}

func TestVisible(t *testing.T) {
	if got := string(visible([]byte("a\r\n\tb\u202e\x00\xff\u00a0\U000e0041ü"))); got != "a\n\tb\\u202e\\u0000\\xff\\u00a0\\U000e0041ü" {
		t.Errorf("%q", got)
	}
}

// The page is drawn by a browser: in light and dark, on a narrow screen, on
// paper; no script of an attacker's has run, and nothing sticks out at the side.
func TestBrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			browser = p
			break
		}
	}
	if browser == "" {
		t.Skip("no Chromium is installed")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(render(t, written())), 0o600); err != nil {
		t.Fatal(err)
	}
	draw := func(args ...string) []byte {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir=" + filepath.Join(dir, "user")}, args...)
		out, err := exec.CommandContext(ctx, browser, append(args, "file://"+file)...).Output()
		if err != nil {
			t.Skipf("%s does not run here: %v", browser, err)
		}
		return out
	}
	dom := string(draw("--dump-dom"))
	if strings.Contains(dom, "<title>owned") || !strings.Contains(dom, "Scan report") {
		t.Error("a script has run, or the page is not there")
	}
	colours := map[string]uint32{}
	for name, args := range map[string][]string{
		"light": {"--window-size=1000,1400"}, "narrow": {"--window-size=500,1400"}, "dark": {"--window-size=1000,1400", "--force-dark-mode"},
	} {
		shot := filepath.Join(dir, name+".png")
		draw(append(args, "--screenshot="+shot)...)
		b, err := os.ReadFile(shot)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		im, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		r, _, _, _ := im.At(2, 2).RGBA()
		colours[name] = r >> 8
		ink := 0
		for x := range im.Bounds().Dx() {
			for y := range im.Bounds().Dy() {
				if q, _, _, _ := im.At(x, y).RGBA(); q>>8 != r>>8 {
					ink++
				}
			}
		}
		if ink < 20_000 {
			t.Errorf("%s: %d points are drawn", name, ink)
		}
	}
	if colours["light"] < 200 || colours["dark"] > 100 {
		t.Errorf("light %d, dark %d", colours["light"], colours["dark"])
	}
	paper := filepath.Join(dir, "page.pdf")
	draw("--print-to-pdf="+paper, "--no-pdf-header-footer")
	if b, err := os.ReadFile(paper); err != nil || !bytes.HasPrefix(b, []byte("%PDF")) {
		t.Errorf("on paper: %v", err)
	}
	if keep := os.Getenv("REPORT_SHOTS"); keep != "" {
		for _, name := range []string{"light.png", "dark.png", "narrow.png", "page.html", "page.pdf"} {
			b, _ := os.ReadFile(filepath.Join(dir, name))
			_ = os.WriteFile(filepath.Join(keep, name), b, 0o600)
		}
	}
}

// A match that is cut is marked to the end of what is shown of it, and only what is
// not shown counts as that.
func TestDumpCut(t *testing.T) {
	for _, c := range []struct {
		length, more, marked int
		whole                int64
	}{{4, 0, 4, 4}, {4, 0, 10, 10}, {4, 90, 10, 100}, {0, 0, 0, 0}} {
		d, ok := newDump(&recheck.Excerpt{Offset: 32, Bytes: make([]byte, 20), Start: 10, Length: c.length, Whole: c.whole}, 200)
		marked := 0
		for _, r := range d.Rows {
			for _, x := range r.Cells {
				if x.In {
					marked++
				}
			}
		}
		if !ok || marked != c.marked || d.More != int64(c.more) {
			t.Errorf("%+v: %d marked, %d not shown", c, marked, d.More)
		}
	}
	if _, ok := newDump(&recheck.Excerpt{Bytes: make([]byte, 20), Length: 9, Whole: 8}, 200); ok {
		t.Error("a match that is shorter than what is shown of it")
	}
	if _, ok := newDump(&recheck.Excerpt{Offset: 32, Bytes: make([]byte, 20), Start: 10, Whole: 10}, 52); !ok {
		t.Error("to the end of the layer")
	}
	if _, ok := newDump(&recheck.Excerpt{Offset: 32, Bytes: make([]byte, 20), Start: 10, Whole: 10}, 51); ok {
		t.Error("past the end of the layer")
	}
	if _, ok := newDump(&recheck.Excerpt{Offset: 32, Bytes: make([]byte, 20), Start: 10, Whole: 11}, 52); ok {
		t.Error("a match past the end of the layer")
	}
}

// contest and decision make letters of one finding.
func contest(name, of string, entry int64) Item {
	s := &evidence.Statement{Kind: evidence.Contest}
	s.Contest = &evidence.Contention{Record: of}
	s.Time.Observed = "2026-11-22T09:00:00Z"
	return Item{Name: sum(name), Statement: s, Entry: entry}
}

func decision(name, of, contest, outcome string, entry int64) Item {
	s := &evidence.Statement{Kind: evidence.Decision}
	s.Decision = &evidence.Ruling{Record: of, Contest: sum(contest), Outcome: outcome}
	s.Time.Observed = "2026-11-22T09:00:00Z"
	return Item{Name: sum(name), Statement: s, Entry: entry}
}

// The last decision of each contest counts, in the order of the log, and each
// decision says which contest it answers.
func TestLetters(t *testing.T) {
	f := finding("one", "N:0:*:aa")
	for _, c := range []struct {
		items []Item
		want  string
	}{
		{nil, ""},
		{[]Item{contest("a", f.Name, 2)}, "contested"},
		{[]Item{decision("x", f.Name, "a", "withdrawn", 0), contest("a", f.Name, 0)}, "withdrawn"},
		{[]Item{decision("x", f.Name, "a", "upheld", 3), decision("y", f.Name, "a", "withdrawn", 4), contest("a", f.Name, 2)}, "withdrawn"},
		{[]Item{decision("x", f.Name, "a", "upheld", 4), decision("y", f.Name, "a", "withdrawn", 3), contest("a", f.Name, 2)}, "upheld"},
		{[]Item{decision("x", f.Name, "a", "upheld", 4), contest("b", f.Name, 3), contest("a", f.Name, 2)}, "contested"},
		{[]Item{decision("x", f.Name, "a", "withdrawn", 4), contest("b", f.Name, 5), contest("a", f.Name, 2)}, "withdrawn"},
	} {
		m := newModel(&Page{Items: append([]Item{f}, c.items...)})
		if got := m.Findings[0].State; got != c.want {
			t.Errorf("%d letters: %q, want %q", len(c.items), got, c.want)
		}
	}
	out := render(t, &Page{Items: []Item{f, decision("x", f.Name, "a", "upheld", 3), decision("y", f.Name, "a", "withdrawn", 4), contest("a", f.Name, 2)}})
	for _, want := range []string{"decided: upheld, of contest " + sum("a")[:16], "withdrawn, of contest " + sum("a")[:16] + ", in place of decision " + sum("x")[:16]} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}

// Where records are missing nothing is said to have been read whole, and a rule that
// could not be looked at has no badge of success or failure.
func TestWrong(t *testing.T) {
	p := written()
	p.Items = p.Items[5:6]
	p.Items[0].Statement.Coverage.Inputs = nil
	if out := render(t, p); !strings.Contains(out, "Every byte") || strings.Contains(out, "whole story") {
		t.Error("a whole scan is not said to be one")
	}
	p.Missing = []string{hostile}
	if out := render(t, p); strings.Contains(out, "Every byte") || !strings.Contains(out, "whole story") || !strings.Contains(out, "1 record is missing") {
		t.Error("nothing is said of a record that is missing")
	}
	f := finding("one", "rule x { condition: y }")
	f.Again = &recheck.Answer{Undone: "the rule asks for other rules: --db"}
	out := render(t, &Page{Items: []Item{f}})
	if !strings.Contains(out, "not checked</span>") || strings.Contains(out, "differs</span>") || !strings.Contains(out, "--db") {
		t.Error("a rule that was not looked at")
	}
}

// The places of gaps are drawn where they are known.
func TestMarks(t *testing.T) {
	out, elsewhere := marks([]evidence.Gap{
		{Code: "corrupt", Offset: 500, Length: 250},
		{Code: "ambiguous.zip.name", Offset: 1000, Length: 0},
		{Code: "corrupt", Offset: 1, Length: -1},
		{Code: "corrupt", Trail: []evidence.GapStep{{Op: "zip"}}, Length: 5},
		{Code: "corrupt", Offset: 1001, Length: 5},
	}, 1000)
	if elsewhere != 2 || len(out) != 3 || out[2].X != 1 || out[2].W != 999 || out[2].Class != "unread open" || out[0].X != 500 || out[0].W != 250 || out[0].Class != "unread" || out[1].X != 996 || out[1].Class != "note" {
		t.Errorf("%d elsewhere, %+v", elsewhere, out)
	}
	if _, n := marks([]evidence.Gap{{Offset: 1 << 62, Length: 1 << 62}}, 1<<62+1); n != 0 {
		t.Error(n)
	}
	f := finding("one", "N:0:*:aa")
	f.Statement.Coverage.Gaps = append(f.Statement.Coverage.Gaps, evidence.Gap{Code: "corrupt", Offset: 500, Length: -1})
	page := render(t, &Page{Items: []Item{f}})
	for _, want := range []string{"bytes were not read", "g-unread open", "1 gap is in layers", "limits", "depth 32"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}
