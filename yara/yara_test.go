package yara_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara"
)

// show is what a scan found, a line a rule and one a string.
func show(r *yara.Result) string {
	var b strings.Builder
	for _, m := range r.Matches {
		fmt.Fprintf(&b, "%s:%s %v %v\n", m.Namespace, m.Name, m.Tags, m.Trail)
		for _, f := range m.Found {
			fmt.Fprintf(&b, "%s %d+%d %q %#x\n", f.Pattern, f.Offset, f.Length, f.Data, f.XORKey)
		}
	}
	return b.String()
}

func TestScan(t *testing.T) {
	rules, err := yara.Compile(`
rule a : t1 t2 { meta: x = "y" strings: $a = "hello" $b = "hello" xor(1-255) $c = { 68 ?? 6c } $ = /w.r/ private condition: any of them }
private rule p { condition: filesize > 3 }
rule q { condition: p }
rule no { condition: filesize > 1000 }`, yara.Options{})
	if err != nil {
		t.Fatal(err)
	}
	xored := []byte("hello")
	for i := range xored {
		xored[i] ^= 7
	}
	r, err := rules.Scan([]byte("hello world "+string(xored)), yara.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := `default:a [t1 t2] 
$a 0+5 "hello" 0x0
$b 12+5 "obkkh" 0x7
$c 0+3 "hel" 0x0
default:q [] 
`
	if got := show(r); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if !r.Complete() {
		t.Errorf("gaps: %v", r.Gaps)
	}
	_ = context.Background()
}
