package regex

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/showcause/showcause/regex/syntax"
)

// benchText is text of words and lines, the same on every machine.
func benchText(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"the", "quick", "brown", "http://example.org/a.php", "GET", "function", "0x41", "eval(", "foo", "bar", "User-Agent:", "1234567", "aGVsbG8gd29ybGQK"}
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(" \n "[r.IntN(3)])
	}
	return b.Bytes()[:n]
}

var benchExpressions = []string{
	`nothing of [a-z]{3} kind`,
	`(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25,39}z`,
	`[A-Za-z0-9+/]{64,512}!`,
	`https?://[\w./-]{5,60}\.exe`,
	`(foo|bar|baz)\s+(quux|zap)`,
	`\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}`,
	`eval\(.{0,100}unescape`,
}

// BenchmarkFind searches 1 MB without a prefilter, ours and Go's.
func BenchmarkFind(b *testing.B) {
	data := benchText(1 << 20)
	for _, src := range benchExpressions {
		tree := parse(b, src, syntax.Flags{Dialect: syntax.PCRE})
		p, _, err := Compile(tree, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run("ours/"+src, func(b *testing.B) {
			m := &Matcher{}
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				m.Contains(1, p, bytesInput(data))
			}
		})
		b.Run("scan/"+src, func(b *testing.B) {
			m := &Matcher{}
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				m.Scan(1, p, bytesInput(data), 0, int64(len(data)), func(int64, int64) bool { return false })
			}
		})
		re := regexp.MustCompile(src)
		b.Run("go/"+src, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				re.Match(data)
			}
		})
	}
}

// BenchmarkVerify verifies at every place of an atom: the cost of one.
func BenchmarkVerify(b *testing.B) {
	data := benchText(1 << 20)
	for _, src := range []string{`foo\s+bar`, `User-Agent:.{0,50}eval`, `fo+.*x`, `[a-z]{3,10} http://[^\n]*php`} {
		p, atoms, err := Compile(parse(b, src, syntax.Flags{}), Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%s/%q", src, atoms[0].Literal), func(b *testing.B) {
			m := &Matcher{}
			in := bytesInput(data)
			n, hits := 0, 0
			for b.Loop() {
				at := bytes.Index(data[n:], atoms[0].Literal)
				if at < 0 {
					n = 0
					continue
				}
				if m.Verify(1, p, atoms[0].Place, in, int64(n+at), func(int64, int64) bool { return true }) {
					hits++
				}
				n += at + 1
			}
		})
	}
}

// BenchmarkOpen is what the first use of a program costs.
func BenchmarkOpen(b *testing.B) {
	p, _, _ := Compile(parse(b, `GET /[a-z]{1,20}\.php\?id=[0-9a-f]{32}`, syntax.Flags{}), Options{})
	for b.Loop() {
		newMachine(p)
	}
}

// BenchmarkCompile is what a rule costs to compile.
func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		tree, _ := syntax.Parse(`GET /[a-z]{1,20}\.php\?id=[0-9a-f]{32}`, syntax.Flags{})
		Compile(tree, Options{})
	}
}
