package pattern

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// body makes a random pattern in ClamAV's terms, and its text. It keeps to
// what clamscan 1.4.6 takes: each part of fixed bytes at its ends, two or more
// of them together, alternatives of one length.
func (k maker) body() ([]Elem, string) {
	var els []Elem
	var text strings.Builder
	hex := func(n int) string {
		var b []byte
		for range n {
			b = append(b, "ab"[k.r.IntN(2)])
		}
		fmt.Fprintf(&text, "%x", b)
		return string(b)
	}
	for part := range 1 + k.r.IntN(3) {
		if part > 0 {
			lo := int64(k.r.IntN(4))
			switch k.r.IntN(4) {
			case 0:
				els = append(els, jump(0, -1))
				text.WriteByte('*')
			case 1:
				els = append(els, jump(lo, -1))
				fmt.Fprintf(&text, "{%d-}", lo)
			case 2:
				els = append(els, jump(0, lo+1))
				fmt.Fprintf(&text, "{-%d}", lo+1)
			case 3:
				hi := lo + 1 + int64(k.r.IntN(5))
				els = append(els, jump(lo, hi))
				fmt.Fprintf(&text, "{%d-%d}", lo, hi)
			}
		}
		els = append(els, lit(hex(2)))
		switch k.r.IntN(8) {
		case 0:
			els = append(els, jump(1, 1))
			text.WriteString("??")
		case 1:
			els = append(els, Elem{Kind: Bytes, Value: []byte{0x60}, Mask: []byte{0xf0}})
			text.WriteString("6?")
		case 2:
			els = append(els, alts("aa", "bb", "cb"))
			text.WriteString("(6161|6262|6362)")
		case 3:
			els = append(els, not("a", "c"))
			text.WriteString("!(61|63)")
		case 4:
			els = append(els, not("ab", "ba"))
			text.WriteString("!(6162|6261)")
		case 5:
			els = append(els, alts("a", "ccb"))
			text.WriteString("(61|636362)")
		}
		els = append(els, lit(hex(2)))
	}
	return els, text.String()
}

// TestBodiesAgreeWithClamscan puts random bodies, and how often they match,
// to clamscan.
func TestBodiesAgreeWithClamscan(t *testing.T) {
	clamscan, err := exec.LookPath("clamscan")
	if err != nil {
		t.Skip("clamscan is not installed")
	}
	const bodies, files, counts = 300, 60, 4
	k := maker{rand.New(rand.NewPCG(20, 21))}
	dir := t.TempDir()
	write := func(name, data string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var db strings.Builder
	var patterns []Pattern
	for i := range bodies {
		els, text := k.body()
		p := one(els...)
		p.ByEnd, p.Count = true, counts+1
		if i%3 == 0 {
			p.Anchor = Anchor{Base: Start, Offset: 8, Shift: int64(i / 3 % 5)}
			text = fmt.Sprintf("%d,%d:%s", p.Anchor.Offset, p.Anchor.Shift, text)
			if p.Anchor.Shift == 0 {
				text = strings.Replace(text, ",0:", ":", 1)
			}
		}
		patterns = append(patterns, p)
		for n := range counts {
			fmt.Fprintf(&db, "P%d_%d;Engine:81-255,Target:0;0>%d;%s\n", i, n, n, text)
		}
	}
	write("p.ldb", db.String())
	var data []string
	for i := range files {
		b := []byte("\x00\xff\xfe\x80\x00\x00\x00\x80")
		for range 12 + k.r.IntN(24) {
			b = append(b, "aaabbbc"[k.r.IntN(7)])
		}
		data = append(data, string(b)+"\x00\x80\x00\x00")
		write(fmt.Sprintf("f%d", i), data[i])
	}
	out, err := exec.Command(clamscan, "-z", "--no-summary", "-d", filepath.Join(dir, "p.ldb"), "--exclude=ldb$", dir).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("clamscan: %v\n%s", err, out)
	}
	theirs := map[string]int{}
	for line := range strings.Lines(string(out)) {
		var f, p, n int
		if at := strings.LastIndex(line, "/f"); at >= 0 {
			if _, err := fmt.Sscanf(line[at:], "/f%d: P%d_%d.UNOFFICIAL FOUND", &f, &p, &n); err == nil {
				key := fmt.Sprint(f, p)
				theirs[key] = max(theirs[key], n+1)
			}
		}
	}
	if len(theirs) < bodies {
		t.Fatalf("clamscan found only %d\n%s", len(theirs), out)
	}
	differ := 0
	for i, p := range patterns {
		prog, atoms, err := Compile(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		for f, d := range data {
			m := &Matcher{}
			if a := p.Anchor; a.Base == Start {
				m.Within = [][2]int64{{a.Offset, a.Offset + a.Shift}}
			}
			hits, _ := search(m, prog, atoms, []byte(d), NewInput(showcause.Bytes(d)))
			seen := map[int64]bool{}
			for _, h := range hits {
				id := h.off
				if prog.ByEnd() {
					id += h.n
				}
				seen[id] = seen[id] || mayBegin(m, h.off)
			}
			for id, may := range seen {
				if !may {
					delete(seen, id)
				}
			}
			if ours, them := min(len(seen), counts), theirs[fmt.Sprint(f, i)]; ours != them {
				if differ++; differ < 20 {
					t.Errorf("%s in %q: we count %d, clamscan %d", prog, d[8:], ours, them)
				}
			}
		}
	}
	if differ > 0 {
		t.Errorf("%d of %d differ", differ, len(patterns)*len(data))
	}
}
