package syntax

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

var (
	y4 = Flags{}
	yx = Flags{Dialect: YARAX}
	pc = Flags{Dialect: PCRE}
)

// dump writes a tree: classes as their members, concatenations in brackets.
func dump(n *Node) string {
	var subs []string
	for _, s := range n.Subs {
		subs = append(subs, dump(s))
	}
	in := strings.Join(subs, " ")
	lazy := ""
	if n.Lazy {
		lazy = "?"
	}
	switch n.Op {
	case Empty:
		return "()"
	case Class:
		b := n.Set.Bytes(nil)
		if len(b) > 128 {
			not := n.Set
			not.negate()
			return fmt.Sprintf("^%q", not.Bytes(nil))
		}
		return fmt.Sprintf("%q", b)
	case Concat:
		return "[" + in + "]"
	case Alt:
		return "(" + strings.Join(subs, "|") + ")"
	case Repeat:
		return fmt.Sprintf("%s{%d,%d}%s", in, n.Min, n.Max, lazy)
	case Group:
		if n.Index > 0 {
			return fmt.Sprintf("%d=%s", n.Index, in)
		}
		return in
	case Assert:
		return fmt.Sprintf("@%d", n.Test)
	case Atomic:
		return ">" + in
	case Look:
		return fmt.Sprintf("look(%v,%v,%s)", n.Behind, n.Negate, in)
	case Ref:
		return fmt.Sprintf(`\%d`, n.Index)
	}
	return fmt.Sprintf("op%d(%d %s)", n.Op, n.Index, in)
}

func TestTrees(t *testing.T) {
	for _, c := range []struct {
		f    Flags
		src  string
		want string
	}{
		{y4, `ab|c*`, `(["a" "b"]|"c"{0,-1})`},
		{y4, `(a|)b{2,3}?`, `[("a"|()) "b"{2,3}?]`},
		{y4, `a{,3}`, `"a"{0,3}`},
		{y4, `a{ 2 , 3 }`, `"a"{2,3}`},
		{y4, `a{2,}`, `"a"{2,-1}`},
		{y4, `a{x}{,`, `["a" "{" "x" "}" "{" ","]`},
		{y4, `[]a]`, `"]a"`},
		{y4, `[^]\n]`, `^"\n]"`},
		{y4, `[\w-z]`, `"wxyz"`},
		{y4, `[]-a]`, `"-]a"`},
		{y4, `[a-c-e]`, `"-abce"`},
		{y4, `[\x41-\x43]`, `"ABC"`},
		{y4, `[--0]`, `"-./0"`},
		{y4, `\v\g\ \x41`, `["v" "g" " " "A"]`},
		{y4, `\bfoo\B`, `[@5 "f" "o" "o" @6]`},
		{y4, `.$`, `[^"\n" @1]`},
		{y4, "\xff\x80", `["\xff" "\x80"]`},
		{Flags{CaseInsensitive: true}, `a[b-c][^d]1`, `["Aa" "BCbc" ^"Dd" "1"]`},
		{Flags{DotAll: true}, `.`, `^""`},
		{yx, `|a`, `(()|"a")`},
		{yx, `(?i:a)b(?i)c|d`, `(["Aa" "b" "Cc"]|"Dd")`},
		{yx, `(?ms)^.$`, `[@3 ^"" @4]`},
		{yx, `\Aa\z\b{start}\v`, `[@0 "a" @1 @7 "\v"]`},
		{yx, `(?P<x>a)(?<y>b)(?:c)`, `[1="a" 2="b" "c"]`},
		{yx, `a**`, `"a"{0,-1}{0,-1}`},
		{yx, `(?U)a+`, `"a"{1,-1}?`},
		{yx, `(?x) a  b # c`, `["a" "b"]`},
		{yx, `é`, `["Ã" "©"]`},
		{yx, `\xe9\x{e9}\u00e9`, `["\xe9" ["Ã" "©"] ["Ã" "©"]]`},
		{yx, `(?u)[é-ê]`, `["Ã" "©ª"]`},
		{yx, `[[:digit:]--[2-8]]`, `"019"`},
		{yx, `[a-e&&[^c]]`, `"abde"`},
		{yx, `[a-c~~b-d]`, `"ad"`},
		{yx, `[]a]`, `"]a"`},
		{yx, `[^\W\d_]`, `"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"`},
		{yx, `\<\>\/\"`, `["<" ">" "/" "\""]`},
		{Flags{Dialect: YARAX, Relaxed: true}, `a{x}\g`, `["a" "{" "x" "}" "g"]`},
		{pc, `(a)(?:b)\1\g{-1}\k<n>(?<n>c)`, `[1="a" "b" \1 \1 \2 2="c"]`},
		{pc, `a++b*?`, `[>"a"{1,-1} "b"{0,-1}?]`},
		{pc, `(?=a)(?!b)(?<=c)(?<!d)(?>e)`, `[look(false,false,"a") look(false,true,"b") look(true,false,"c") look(true,true,"d") >"e"]`},
		{pc, `\Qa.b\E+`, `["a" "." "b"{1,-1}]`},
		{pc, `a{,3}\101\x{41}\x4`, `["a" "{" "," "3" "}" "A" "A" "\x04"]`},
		{pc, `[\d\-x[:^alpha:]&&]`, `^"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwyz"`},
		{pc, `a(?#no)b\cA`, `["a" "b" "\x01"]`},
		{pc, `(?^i:a)$\Z`, `["Aa" @2 @2]`},
		{pc, `(a)?(?(1)b|c)`, `[1="a"{0,1} op11(1 () "b" "c")]`},
	} {
		tree, err := Parse(c.src, c.f)
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		got := latin(dump(tree.Root))
		if got != c.want && got != latin(c.want) {
			t.Errorf("dialect %d, %s: %s, want %s", c.f.Dialect, c.src, got, c.want)
		}
	}
}

// latin writes the encoded "é" of the tables above as dump does.
func latin(s string) string {
	return strings.NewReplacer("Ã", `\xc3`, "©ª", `\xa9\xaa`, "©", `\xa9`).Replace(s)
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		f    Flags
		src  string
		code Code
		pos  int
		end  int
	}{
		{y4, ``, BadOperand, 0, 0},
		{y4, `)`, BadOperand, 0, 1},
		{y4, `a)`, BadGroup, 1, 2},
		{y4, `(abc`, BadGroup, 0, 1},
		{y4, `(|a)`, BadOperand, 1, 2},
		{y4, `|a`, BadOperand, 0, 1},
		{y4, `a**`, BadOperand, 2, 3},
		{y4, `a{2}{3}`, BadOperand, 4, 7},
		{y4, `*a`, BadOperand, 0, 1},
		{y4, `^*`, BadOperand, 0, 2},
		{y4, `(?i)a`, BadOperand, 1, 2},
		{y4, `a[]b`, BadClass, 1, 4},
		{y4, `[z-a]`, BadClass, 1, 4},
		{y4, `\x0`, BadEscape, 0, 3},
		{y4, `a\`, BadEnd, 1, 2},
		{y4, `a{3,2}`, BadRepeat, 1, 6},
		{y4, `a{32768}`, RepeatTooLarge, 1, 8},
		{y4, `c{99999999999999999999}`, RepeatTooLarge, 1, 23},
		{y4, `a+b+?`, MixedGreed, 2, 5},
		{y4, `(a)\1`, BadReference, 3, 5},
		{y4, `\0`, BadReference, 0, 2},
		{y4, `[é]`, BadUnicode, 1, 2},
		{yx, `a{`, BadRepeat, 1, 2},
		{yx, `\g`, BadEscape, 0, 2},
		{yx, `\1`, BadReference, 0, 2},
		{yx, `(?=a)`, BadGroup, 0, 3},
		{yx, `(?z)`, BadFlag, 2, 3},
		{yx, `(?i`, BadEnd, 0, 3},
		{yx, `[\xff-é]`, BadUnicode, 6, 8},
		{yx, `\pL`, BadUnicode, 0, 2},
		{yx, `(?u)\p{Nope}`, BadUnicode, 4, 12},
		{yx, `(?<a>b)(?<a>c)`, BadName, 10, 11},
		{yx, `(?<1>b)`, BadName, 3, 4},
		{yx, `\x{110000}`, BadEscape, 0, 10},
		{yx, `*`, BadOperand, 0, 1},
		{yx, `(?i)*`, BadOperand, 4, 5},
		{yx, `[a`, BadClass, 0, 1},
		{pc, `\k<x>`, BadName, 0, 5},
		{pc, `\2(a)`, BadReference, 0, 2},
		{pc, `(?<=a+)b`, BadLookBehind, 0, 7},
		{pc, `(?R)`, Unsupported, 0, 3},
		{pc, `(*ACCEPT)`, Unsupported, 0, 2},
		{pc, `\y`, BadEscape, 0, 2},
		{pc, `\x{100}`, BadUnicode, 0, 7},
		{y4, strings.Repeat("(", 300), TooDeep, 250, 251},
		{y4, strings.Repeat("a", maxSource+1), TooLarge, 0, maxSource + 1},
	} {
		_, err := Parse(c.src, c.f)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("dialect %d, %.40s: accepted", c.f.Dialect, c.src)
			continue
		}
		if e.Code != c.code || e.Pos != c.pos || e.End != c.end {
			t.Errorf("dialect %d, %.40s: %s at %d to %d (%v), want %s at %d to %d", c.f.Dialect, c.src, e.Code, e.Pos, e.End, e, c.code, c.pos, c.end)
		}
	}
}

func TestTreeFacts(t *testing.T) {
	tree, err := Parse(`a\g\.\;b+`, y4)
	if err != nil || fmt.Sprint(tree.Loose) != "[1 5]" || !tree.Greedy || tree.Lazy {
		t.Errorf("%+v, %v", tree, err)
	}
	for src, want := range map[string][2]int{
		`a*`: {0, -1}, `ab{2,5}`: {3, 6}, `(a|bcd)?`: {0, 3}, `\b`: {0, 0}, `(a|)`: {0, 1}, `a{,0}`: {0, 0}, `(ab){3}`: {6, 6},
	} {
		tree, err := Parse(src, y4)
		if err != nil || tree.Root.MinLen() != want[0] || tree.Root.MaxLen() != want[1] {
			t.Errorf("%s: %d to %d, want %v (%v)", src, tree.Root.MinLen(), tree.Root.MaxLen(), want, err)
		}
	}
	tree, err = Parse(`(?<a>x)(?P<b>y)(z)`, pc)
	if err != nil || tree.Groups != 3 || tree.Names["a"] != 1 || tree.Names["b"] != 2 {
		t.Errorf("%+v, %v", tree, err)
	}
}

// check says what must hold of any tree.
func check(t *testing.T, n *Node, size, depth int) {
	if n.Pos < 0 || n.End > size || depth > 4*maxNest {
		t.Fatalf("node at %d to %d of %d, depth %d", n.Pos, n.End, size, depth)
	}
	if n.Op == Repeat && (n.Min < 0 || n.Max >= 0 && n.Max < n.Min || len(n.Subs) != 1) {
		t.Fatalf("repeat of %d to %d", n.Min, n.Max)
	}
	for _, s := range n.Subs {
		check(t, s, size, depth+1)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`ab(c|d)*?[^]x-z\w]{2,3}$`, `(?i)a(?-i:b)[[:alpha:]&&[^x]]\p{L}\u{e9}(?u)\w`, `(?<n>a)\k<n>(?=b)(?<!c)\Qx\E\g{-1}(?(1)a|b)`,
		`[\x00-\xff]{1,}\b{start}`, `a{,3}|`, `((((a))))`, `(?x) a # b`, `[a--b~~c]`,
	} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(1))
		f.Add(s, uint8(2))
	}
	f.Fuzz(func(t *testing.T, src string, d uint8) {
		flags := Flags{Dialect: Dialect(d % 3), CaseInsensitive: d&4 != 0, Extended: d&8 != 0, Relaxed: d&16 != 0, Multiline: d&32 != 0}
		tree, err := Parse(src, flags)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code == "" || e.Pos < 0 || e.End < e.Pos || e.End > len(src) {
				t.Fatalf("%q: %#v", src, err)
			}
			return
		}
		check(t, tree.Root, len(src), 0)
		if lo, hi := tree.Root.MinLen(), tree.Root.MaxLen(); hi >= 0 && hi < lo {
			t.Fatalf("%q: %d to %d bytes", src, lo, hi)
		}
		again, err := Parse(src, flags)
		if err != nil || dump(again.Root) != dump(tree.Root) {
			t.Fatalf("%q: read differently again", src)
		}
	})
}
