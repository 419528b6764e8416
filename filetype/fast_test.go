package filetype

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// What is told the short way is what is told the long one.
func TestShortWays(t *testing.T) {
	words := []string{"\n", "\nFrom: ", "\nMIME-Version: ", "\nreceived: ", "\r\nDelivered-To: ", "content-type: ", "\ncontent-type: ", "<a ", "href", "HREF", "<", "<xdp:xdp", "<XDP:xdp", "<xdp", "Message-ID: ", "\nM", "x", " "}
	r := rand.New(rand.NewPCG(6, 6))
	for range 20_000 {
		var b []byte
		for range r.IntN(12) {
			b = append(b, words[r.IntN(len(words))]...)
		}
		low := string(bytes.ToLower(b))
		if got, want := fold(b, "<xdp:xdp"), strings.Contains(low, "<xdp:xdp"); got != want {
			t.Fatalf("fold(%q) = %v", b, got)
		}
		want := false
		for _, p := range pairs {
			want = want || strings.Contains(low, "\n"+p.first)
		}
		if got := hasFirst(b); got != want {
			t.Fatalf("hasFirst(%q) = %v", b, got)
		}
		a := strings.Index(low, "<a ")
		if got, want := looksHTML(b), a >= 0 && strings.Contains(low[a+3:], "href"); got != want {
			t.Fatalf("looksHTML(%q) = %v", b, got)
		}
	}
}

// A head of anchors alone is gone through once.
func TestAnchors(t *testing.T) {
	if looksHTML(bytes.Repeat([]byte("<a "), 1<<20)) {
		t.Error("a page")
	}
}
