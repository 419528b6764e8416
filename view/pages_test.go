package view

import (
	"bytes"
	"math/rand"
	"runtime"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// What one document leaves in the memory that is used again is in no view of another one.
func TestPages(t *testing.T) {
	r := rand.New(rand.NewSource(11))
	var m Pages
	for i := range 300 {
		doc := showcause.Bytes(append(randomDocument(r, r.Intn(4000)), "<script>"+string(randomScript(r, r.Intn(4000)))...))
		if i%50 == 7 {
			doc = append(doc, strings.Repeat("</script><p>Text of a <b title=LONG>page</b><script>var x = y + 1;", 40000)...)
		}
		most := int64(1 << 24)
		if i%5 == 0 {
			most = int64(r.Intn(len(doc) + 1))
		}
		want, whole := HTML(doc, most)
		got, ok := m.HTML(doc, most)
		if ok != whole || len(got) != len(want) {
			t.Fatalf("document %d: %v, %d views; want %v, %d", i, ok, len(got), whole, len(want))
		}
		for k := range got {
			if got[k].Op != want[k].Op || !bytes.Equal(got[k].Bytes, want[k].Bytes) {
				t.Fatalf("document %d: view %s differs", i, got[k].Op)
			}
		}
		if i%2 == 0 {
			m.Trim()
		}
	}
}

// Pages of nothing but scripts take memory in proportion to their size, and little for each script.
func TestFloods(t *testing.T) {
	const n = 4 << 20
	for name, c := range map[string]struct {
		piece string
		most  int64 // bytes that are allocated in all, for each byte
	}{
		"scripts": {"<script>var a='b'+1;f(a);</script>\n", 24}, "small scripts": {"<script>a</script>", 12}, "empty scripts": {"<script></script>", 9},
		"scripts that are open": {"<script>", 45}, "long scripts": {"<script>" + strings.Repeat("a;b;", 100000) + "</script>", 25}, "tags": {"<a href=x>b</a>", 6}, "values": {"<p title='aa aa'>", 6},
	} {
		doc := showcause.Bytes(strings.Repeat(c.piece, n/len(c.piece)))
		before, after := new(runtime.MemStats), new(runtime.MemStats)
		runtime.ReadMemStats(before)
		HTML(doc, 1<<26)
		runtime.ReadMemStats(after)
		if took := int64(after.TotalAlloc-before.TotalAlloc) / n; took > c.most {
			t.Errorf("%s: %d bytes for each byte, want %d at most", name, took, c.most)
		} else {
			t.Logf("%s: %d", name, took)
		}
	}
}
