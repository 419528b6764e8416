package regex

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/showcause/showcause/regex/syntax"
)

// writer writes data that a tree is likely to match.
type writer struct{ *rand.Rand }

func (w writer) write(dst []byte, n *syntax.Node) []byte {
	if len(dst) > 4000 {
		return dst
	}
	switch n.Op {
	case syntax.Class:
		if b := n.Set.Bytes(nil); len(b) > 0 {
			for range 8 { // a printable one, if that is easy
				if c := b[w.IntN(len(b))]; c >= ' ' && c < 0x7f {
					return append(dst, c)
				}
			}
			return append(dst, b[w.IntN(len(b))])
		}
	case syntax.Alt:
		return w.write(dst, n.Subs[w.IntN(len(n.Subs))])
	case syntax.Repeat:
		k := n.Min + w.IntN(4)
		if n.Max >= 0 {
			k = min(k, n.Max)
		}
		for range k {
			dst = w.write(dst, n.Subs[0])
		}
		return dst
	case syntax.Look, syntax.Ref:
		return dst
	}
	for _, s := range n.Subs {
		dst = w.write(dst, s)
	}
	return dst
}

// around puts a written match among other bytes, now and then a damaged one.
func (w writer) sample(tree *syntax.Tree) []byte {
	data := []byte("xx ")[:w.IntN(4)]
	for range 1 + w.IntN(2) {
		data = w.write(data, tree.Root)
		data = append(data, " \n.a"[:w.IntN(5)]...)
	}
	if w.IntN(3) == 0 && len(data) > 0 {
		data[w.IntN(len(data))] ^= byte(1 << w.IntN(6))
	}
	return data
}

var ldbPCRE = regexp.MustCompile(`^[^/]*/(.*)/([a-zA-Z]*)$`)

// TestRealPCRE runs the expressions of the ClamAV databases against PCRE2.
func TestRealPCRE(t *testing.T) {
	var cases []pcreCase
	linear, prefiltered, sources := 0, 0, 0
	seen := map[string]bool{}
	for _, name := range []string{"official/main.ldb", "ditekshen/clamav.ldb", "mandiant/red_team.ldb", "mandiant/sunburst.ldb"} {
		text, err := os.ReadFile(dataFile(t, "clamav/"+name))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			for _, sub := range strings.Split(strings.TrimSpace(line), ";")[min(3, strings.Count(line, ";")):] {
				m := ldbPCRE.FindStringSubmatch(sub)
				if m == nil || seen[sub] {
					continue
				}
				seen[sub] = true
				f := syntax.Flags{Dialect: syntax.PCRE}
				f.CaseInsensitive = strings.Contains(m[2], "i")
				f.DotAll = strings.Contains(m[2], "s")
				f.Multiline = strings.Contains(m[2], "m")
				f.Extended = strings.Contains(m[2], "x")
				f.Ungreedy = strings.Contains(m[2], "U")
				src := strings.ReplaceAll(m[1], `\/`, "/")
				sources++
				tree, err := syntax.Parse(src, f)
				if err != nil {
					t.Errorf("%s: /%s/: %v", name, src, err)
					continue
				}
				p, atoms, err := Compile(tree, Options{})
				if err != nil {
					t.Errorf("%s: /%s/: %v", name, src, err)
					continue
				}
				if p.Linear() {
					linear++
				}
				if len(atoms) > 0 {
					prefiltered++
				}
				w := writer{rand.New(rand.NewPCG(uint64(sources), 61))}
				for range 4 {
					cases = append(cases, pcreCase{src, f, w.sample(tree)})
				}
			}
		}
	}
	t.Logf("%d expressions, %d linear, %d with atoms", sources, linear, prefiltered)
	matched, bad := 0, 0
	for i, want := range askPCRE(t, cases)[:len(cases)] {
		got, err := firstOf(cases[i])
		if want != "none" && want != "error" {
			matched++
		}
		if got != want && want != "limit" {
			if bad++; bad < 10 {
				t.Errorf("/%s/ %+v on %q: %s, PCRE2 says %s (%v)", cases[i].src, cases[i].f, cases[i].data, got, want, err)
			}
		}
	}
	t.Logf("%d compared, %d match, %d differ", len(cases), matched, bad)
}

var yarRegexp = regexp.MustCompile(`(?m)^\s*\$\w*\s*=\s*/((?:[^/\\\n*]|\\.)(?:[^/\\\n]|\\.)*)/([is]*)((?:\s+(?:nocase|wide|ascii|fullword|private))*)`)

// realYARA returns the expressions of the public YARA sets.
func realYARA(t *testing.T) (out []yaraCase) {
	for _, set := range []string{"signature-base", "reversinglabs", "mandiant"} {
		filepath.WalkDir(dataFile(t, "yara/"+set), func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasPrefix(filepath.Ext(path), ".yar") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range yarRegexp.FindAllStringSubmatch(string(text), -1) {
				c := yaraCase{src: m[1]}
				c.flags.DotAll = strings.Contains(m[2], "s")
				c.flags.CaseInsensitive = strings.Contains(m[2], "i") || strings.Contains(m[3], "nocase")
				c.o = Options{Ascii: strings.Contains(m[3], "ascii"), Wide: strings.Contains(m[3], "wide"), FullWord: strings.Contains(m[3], "fullword")}
				out = append(out, c)
			}
			return err
		})
	}
	return out
}

// TestRealYARA compiles the expressions of the public sets in both dialects,
// and compares what they match with the yara command.
func TestRealYARA(t *testing.T) {
	cases := realYARA(t)
	if len(cases) < 400 {
		t.Fatalf("only %d expressions", len(cases))
	}
	var data []byte
	without, largest, most := 0, 0, 0
	for i := range cases {
		c := &cases[i]
		for _, d := range []syntax.Dialect{syntax.YARAX, syntax.YARA4} {
			f := c.flags
			f.Dialect, f.Relaxed = d, true
			tree, err := syntax.Parse(c.src, f)
			if err != nil {
				t.Errorf("dialect %d, /%s/: %v", d, c.src, err)
				continue
			}
			p, atoms, err := Compile(tree, c.o)
			if err != nil {
				t.Errorf("dialect %d, /%s/: %v", d, c.src, err)
				continue
			}
			largest, most = max(largest, len(p)), max(most, len(atoms))
			if d == syntax.YARAX {
				continue
			}
			if len(atoms) == 0 {
				without++
				t.Logf("no atom: /%s/", c.src)
			}
			w := writer{rand.New(rand.NewPCG(uint64(i), 71))}
			part := w.sample(tree)
			if c.o.Wide && w.IntN(2) == 0 {
				part = widened(part)
			}
			data = append(append(data, part...), 0xff)
		}
	}
	t.Logf("%d expressions, %d without an atom, largest program %d bytes, at most %d atoms", len(cases), without, largest, most)
	checkRealYARA(t, cases, data)
}
