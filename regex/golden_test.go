package regex

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/showcause/showcause/regex/syntax"
)

var update = flag.Bool("update", false, "write the golden file anew")

// listing writes a program out.
func listing(p Program) string {
	names := []string{"class", "split", "assert", "match", "save", "ref", "look", "atomic", "ok", "cond", "keep", "mark", "moved"}
	var b strings.Builder
	fmt.Fprintf(&b, "flags %#x reach %d entry %d slots %d loops %d\n", p.flags(), p.reach(), p.entry(), p.slots(), p.loops())
	for i := range p.len() {
		in := p.instr(i)
		fmt.Fprintf(&b, "%4d  %x  %-6s %d -> %d, %d", i, []byte(p[headSize+instrSize*i:headSize+instrSize*(i+1)]), names[in.op], in.arg, in.x, in.y)
		if in.op == opClass {
			s := p.set(int(in.y))
			fmt.Fprintf(&b, "  %.20q", s.Bytes(nil))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestGolden pins the format: a change of it needs another version.
func TestGolden(t *testing.T) {
	var b strings.Builder
	for _, c := range []struct {
		src string
		f   syntax.Flags
		o   Options
	}{
		{`ab(c|d)+e`, syntax.Flags{}, Options{}},
		{`^x{2,3}?\b`, syntax.Flags{CaseInsensitive: true}, Options{Ascii: true, Wide: true, FullWord: true}},
		{`(?m)^a[^b]*c$`, syntax.Flags{Dialect: syntax.YARAX}, Options{Wide: true}},
		{`(?<n>a*)*+(?=b)(?<!cd)\k<n>(?(1)x|y)\K`, syntax.Flags{Dialect: syntax.PCRE}, Options{}},
	} {
		p, atoms, err := Compile(parse(t, c.src, c.f), c.o)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(p)
		fmt.Fprintf(&b, "%s %+v\n%ssha256 %s\n", c.src, c.o.FullWord, listing(p), hex.EncodeToString(sum[:8]))
		for _, a := range atoms {
			fmt.Fprintf(&b, "atom %q fold %v place %d before %d to %d\n", a.Literal, a.Fold, a.Place, a.MinBefore, a.Before)
		}
		b.WriteString("\n")
	}
	const file = "testdata/programs.golden"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || b.String() != string(want) {
		t.Errorf("%v: programs differ from %s:\n%s", err, file, b.String())
	}
}
