package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

// ruleText is the text of a signature in a file of that name.
type ruleText struct {
	File string `json:"file"`
	Text string `json:"text"`
}

// ruleTexts are signatures of every kind that is loaded, good ones and bad ones.
func ruleTexts() (out []ruleText) {
	for file, texts := range map[string][]string{
		"x.ndb": {
			"A:0:*:6d61726b", "A:0:*:zzzz", "A:9x:*:6d61726b", "A:0:zork:6d61726b", "A:*:3,5:6d61726b", "A::EOF-3:6d61726b", "A:1:EP+5,6:6d61726b",
			"A:1:S2+7:6d61", "A:0:SL+1:6d61726b", "A:6:SE1:6d61726b", "A:0:*:6d61726b:500", "A:0:*:6d61726b:1:2", "A:0:*:6d61726b:1:2:3", "A:8:*:6d61726b",
			"A:13:*:6d61726b", "A:99:*:6d61726b", "A:0:$1$:6d61726b", "A:0:$40$:6d61726b", "A:0:*:6d61", "A:0:*:6d??6172", "#A:0:*:6d61726b", ":0:*:6d61726b",
			"A (Clam):0:*:6d61726b", "A:0:*:6d61*726b", "A:0:*:6d61{5}726b", "A:0:*:6d61{5-}726b", "A:0:*:6d61{-5}726b", "A:0:*:6d61{5-7}726b{9}6b6b",
			"A:0:*:6d61{0}726b", "A:0:*:6d61{200}726b", "A:0:*:6d61(72|6b)6b6b", "A:0:*:6d61!(72|6b)6b6b", "A:0:*:6d61(72|6b6b)6b6b", "A:0:*:6d61(72|(6b|6c)6d)6b6b",
			"A:0:*:6d61!(72|6b6b)", "A:0:*:(B)6d61726b(B)", "A:0:*:(L)6d61726b(L)", "A:0:*:(W)6d61726b!(W)", "A:0:*:6d61(B)726b", "A:0:*:6d61!(L)726b", "A:0:*:6d61[1-4]72*6b6b",
			"A:0:*:72[2]6d61", "A:0:5:72[2]6d61", "A:0:*:6d61*6b[3]7261", "A:0:*:6d61{10-}6b[3]7261", "A:0:*:6d61[40]72", "A:0:*:6d6?61?2", "A:0:*:6d61(72|)6b", "A:0:*:6d61(|72)6b",
			"A:0:*:6d61((((((((((((((((72))))))))))))))))6b6b", "A:0:*:6d(7261|7262|??)6b6b", "A:0:*:??(7261|72)6b6b", "A:0:*:6d61(72*73)6b", "A:0:*:6d61{", "A:0:*:6d61[", "A:0:*:", "A:0:*:6d6",
			"\xff\\ a:0:*:6d61726b", "A.UNOFFICIAL:0:*:6d61726b",
		},
		"x.ldb": {
			"A;Engine:51-255,Target:0;0&1;6d61726b;6d6f726b", "A;Target:0;0&1;zzzz;6d6f726b", "A;;0&1;6d61726b;6d6f726b", "A;Target:0,;0;6d61726b", "#A;Target:0;0;6d61726b",
			"A;Engine:51-255,Target:0,FileSize:1-2,FileSize:0-9999;0;6d61726b", "A;Target:0,FileSize:1-2;0;6d61726b", "A;Engine:51-255,Target:0,FileSize:1;0;6d61726b",
			"A;Engine:500-600,Target:0;0;6d61726b", "A;Foo:1;0;6d61726b", "A;Engine:51-255,Target:1,EntryPoint:1-2,NumberOfSections:1-3;0;6d61726b", "A;Engine:51-255,Target:0,EntryPoint:1-2;0;6d61726b",
			"A;Engine:51-255,Target:0,Container:CL_TYPE_ZIP,Intermediates:CL_TYPE_ZIP>CL_TYPE_ANY;0;6d61726b", "A;Engine:51-255,Target:0,Container:CL_TYPE_ZIPP;0;6d61726b",
			"A;Engine:51-255,Target:1,IconGroup1:x;0;6d61726b", "A;Engine:51-255,Target:0,IconGroup1:x;0;6d61726b", "A;Engine:51-255,Target:0,HandlerType:CL_TYPE_ZIP;0;6d61726b",
			"A;Target:0;(0&1)>2,2;6d61;6b6b", "A;Target:0;(0|1)=0;6d61;6b6b", "A;Target:0;0>5&1<3|0=2;6d61;6b6b", "A;Target:0;((0));6d61", "A;Target:0;(0&1|0)>1,x;6d61;6b6b",
			"A;Target:0;0&;6d61", "A;Target:0;(0;6d61", "A;Target:0;0);6d61", "A;Target:0;0&2;6d61;6b6b", "A;Target:0;(0|1)>1&0;6d61;6b6b", "A;Target:0; 0 & +1;6d61;6b6b",
			"A;Target:0;0&1;6d61;0/evil/i", "A;Target:0;0&1;6d61;1/evil/", "A;Target:0;0&1;6d61;5:0/ev;il/gs", "A;Target:0;0&1;6d61;0/evil/q", "A;Target:0;0&1;6d61;0(>>5#hb2#>3)",
			"A;Target:0;0&1;6d61;0(>>5#q2#>3)", "A;Target:0;0&1;6d61;${6-7}12$", "A;Target:0;0&1;6d61;${6-7}42$", "A;Target:0;0&1;6d61;fuzzy_img#af2ad01ed42993c7#0", "A;Target:0;0&1;6d61;fuzzy_img#af",
			"A;Target:0;0;6d61726b::i", "A;Target:0;0;6d61726b::q", "A;Target:0;0;6d61[1-3]726b::w", "A;Target:0;0;6d61726b::wa", "A;Target:0;0;6d61726b::f", "A;Target:0;0;5:6d61(72|6b)6b6b::wf",
			"A;Target:0;0;EOF-5,3:6d61726b", "A;Target:0;0;a:b:c:d:e", "A;Target:0;0;6d61;", "A;Engine:51-255,Target:0;0&1&0;6d61;6b6b", "A;Target:0,Target:1,Target:x;0;6d61", "A;Target:0;0>99999999999999999999;6d61",
			"A;Target:0;(0|1)>1\v,\f2;6d61;6b6b", "A;Target:0;((((0&1)>1|0)<4&1)=2)>1;6d61;6b6b",
		},
		"x.hsb": {
			sum("x") + ":4000:A", sum("x") + ":*:A", sum("x") + ":*:A:73", sum("x") + ":*:A:72", sum("x") + ":0:A", sum("x") + ":4294967295:A", sum("x")[1:] + ":5:A", sum("x") + ":5:A:500",
			sum("x") + ":5:A:1:2", sum("x") + ":5:A:1:x", sum("x") + ":5", sum("x") + ": +5:A", sum("x")[:32] + ":5:A (Clam) b", sum("x") + ":5:", "x" + sum("x")[1:] + ":5:A", "#" + sum("x") + ":5:A",
		},
		"x.mdb": {"512:" + sum("x")[:32] + ":A", "*:" + sum("x")[:32] + ":A:73", sum("x")[:32] + ":512:A", "512:" + sum("x")[:32] + ":A:1:500"},
		"x.imp": {sum("x")[:32] + ":*:A", sum("x")[:32] + ":7:A"},
	} {
		for _, text := range texts {
			out = append(out, ruleText{file, text})
		}
	}
	for _, file := range []string{"ndb", "x.NDB", "x.ndb/", "x.ndb/y", "x.db", "x.cdb", "x.ftm", "x.yar", "x.yara", "x.cbc", "x.ign2", "x.cvd", "x.", ".ndb", "", "x.\u0130mp", "x.ndb\u212a", "a.cvd/b.ndb"} {
		out = append(out, ruleText{file, "A:0:*:6d61726b"})
	}
	slices.SortFunc(out, func(a, b ruleText) int { return strings.Compare(a.File+a.Text, b.File+b.Text) })
	return out
}

// mutateRule changes a text here and there.
func mutateRule(rng *rand.Rand, s string, others []ruleText) string {
	const letters = "0123456789abcdefABZ:;,-+*?!()[]{}|&<>=#$/ \v\\_EOFSLPVI.i"
	b := []byte(s)
	for range 1 + rng.IntN(3) {
		i := rng.IntN(len(b) + 1)
		switch rng.IntN(5) {
		case 0:
			b = append(b[:i:i], append([]byte{letters[rng.IntN(len(letters))]}, b[i:]...)...)
		case 1:
			if i < len(b) {
				b[i] = letters[rng.IntN(len(letters))]
			}
		case 2:
			b = append(b[:i:i], b[min(len(b), i+1+rng.IntN(4)):]...)
		case 3: // some of it again
			j := min(len(b), i+rng.IntN(8))
			b = append(b[:j:j], append(bytes.Clone(b[i:j]), b[j:]...)...)
		case 4: // some of another
			o := others[rng.IntN(len(others))].Text
			j := rng.IntN(len(o) + 1)
			b = append(b[:i:i], append([]byte(o[j:min(len(o), j+1+rng.IntN(8))]), b[i:]...)...)
		}
	}
	return string(b)
}

// said is all that a verifier takes from the text of a signature, as JSON.
func said(r ruleText) string {
	c, err := readClamAV(r.File, r.Text)
	switch {
	case err != nil:
		return `["malformed"]`
	case c.left != "":
		return `["unfit"]`
	}
	out := []any{"ok", plainName(showcause.Escape(c.name))}
	if c.digest != nil {
		out = append(out, hexOf(c.digest.Digest), c.digest.Size)
	} else {
		for _, a := range c.anchors {
			switch a.Base {
			case pattern.Start, pattern.End:
				out = append(out, []any{a.Base == pattern.End, a.Offset, a.Shift})
			default:
				out = append(out, nil)
			}
		}
		g := c.guard
		out = append(out, c.needs, c.target != rule.Any || g.Entry != nil || g.Sections != nil || g.Container != "" || len(g.Intermediates) > 0)
		if g.Size != nil {
			out = append(out, []any{g.Size.Min, g.Size.Max})
		}
		for n := range uint32(64) { // all counts of three patterns up to 3
			out = append(out, c.program.Holds(func(sub int) uint32 { return n >> (2 * min(sub, 2)) & 3 }))
		}
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// recheckOnly tells of a signature with an expression, a comparison or the hash of an image: verify.py says that
// it does not evaluate it, and looks no further.
func recheckOnly(r ruleText) bool {
	return strings.HasSuffix(strings.ToLower(r.File), ".ldb") && strings.ContainsAny(r.Text, "/#")
}

// Both verifiers read the same out of the texts of ClamAV signatures, and refuse
// the same.
func TestPythonRuleTexts(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("the second verifier is not run: python3 is not installed")
	}
	all := ruleTexts()
	seeds := all
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		s := seeds[rng.IntN(len(seeds))]
		s.Text = mutateRule(rng, s.Text, seeds)
		all = append(all, s)
	}
	var in bytes.Buffer
	e := json.NewEncoder(&in)
	for _, r := range all {
		latin := []rune{} // one character a byte
		for _, c := range []byte(r.Text) {
			latin = append(latin, rune(c))
		}
		if err := e.Encode(ruleText{r.File, string(latin)}); err != nil {
			t.Fatal(err)
		}
	}
	const program = `
import importlib.util, json, sys
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("verify", sys.argv[1])
v = importlib.util.module_from_spec(spec)
spec.loader.exec_module(v)
for line in sys.stdin:
    r = json.loads(line)
    try:
        s = v.Signature(v.kind_of(r["file"]), r["text"])
    except v.Malformed:
        out = ["malformed"]
    except v.Unfit:
        out = ["unfit"]
    else:
        name = v.escape(s.name.encode("latin-1"))
        out = ["ok", name]
        if s.tree is None:
            out += [s.digest, -1 if s.digest_size is None else s.digest_size]
        else:
            out += [list(a) if isinstance(a, tuple) else None for a in s.anchors]
            n = v.needs(s.tree)
            out += [[n.get(i, 0) for i in range(len(s.anchors))], s.guarded] + ([list(s.size)] if s.size else [])
            for n in range(64):
                out.append(v.holds(s.tree, {i: n >> 2 * min(i, 2) & 3 for i in range(len(s.anchors))})[0])
    print(json.dumps(out, separators=(",", ":"), ensure_ascii=False))
`
	c := exec.Command(python, "-X", "utf8", "-c", program, verifier)
	var errs bytes.Buffer
	c.Stdin, c.Stderr = &in, &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	lines := bytes.Split(bytes.TrimSuffix(out, []byte("\n")), []byte("\n"))
	if len(lines) != len(all) {
		t.Fatalf("%d answers on %d texts", len(lines), len(all))
	}
	kinds, wrong := map[string]int{}, 0
	for i, r := range all {
		var have, want any
		s := said(r)
		kinds[s[:4]]++
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			t.Fatalf("%q: %s", r, s)
		}
		err := json.Unmarshal(lines[i], &have)
		if err == nil && recheckOnly(r) && string(lines[i]) == `["unfit"]` {
			continue
		}
		if err != nil || fmt.Sprint(have) != fmt.Sprint(want) {
			if wrong++; wrong < 20 {
				t.Errorf("%s: %q:\nverify.py %.300s\nwant      %.300s", r.File, r.Text, lines[i], s)
			}
		}
	}
	t.Logf("%v", kinds)
	if wrong > 0 || len(kinds) < 3 {
		t.Errorf("%d of %d texts differ, %v", wrong, len(all), kinds)
	}
}
