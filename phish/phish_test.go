package phish

import (
	"slices"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	l := load(t, Options{}, "pdb", "wdb")
	for _, tt := range []struct {
		real, shown, name string
		line              string // of the list, that decides
	}{
		{"http://www.evil.net/x", "http://www.paypal.com/", Spoofed, "H:paypal.com"},
		{"http://www.evil.net/x", "check out paypal.com", Spoofed, "H:paypal.com"},
		{"http://www.evil.net/x", "https://www.ebay.com", SSLSpoof, "H:ebay.com"},
		{"http://ebay.com%00.evil.net/", "www.ebay.com", Cloaked, "H:ebay.com"},
		{"http://login.chase.com/", "http://www.bank.com/", Spoofed, `R:.+\.chase\.com([/?].*)?:.+\.bank\.com([/?].*)?`},
		{"http://login.chase.com/", "https://www.bank.com/", Spoofed, `R:.+\.chase\.com([/?].*)?:.+\.bank\.com([/?].*)?`},
		{"http://pages.example.net/x", "http://paypal.com/", "", ""},
		{"http://www.good.org/", "http://www.paypal.com/", "", ""},
		{"http://www.evil.net/x", "click here", "", ""},
		{"http://www.evil.net/x", "http://www.example.com/", "", ""},
		{"http://login.paypal.com/x", "http://www.paypal.com/", "", ""},
		{"http://www.evil.net/x", "http://notpaypal.com/", "", ""},
		{"mailto:me@evil.net", "http://paypal.com/", "", ""},
	} {
		name, entry := l.Judge(&Link{Real: tt.real, Shown: tt.shown, Href: true})
		line := ""
		if name != "" {
			line = slices.Concat(lists["pdb"], lists["wdb"])[entry-1]
		}
		if name != tt.name || line != tt.line {
			t.Errorf("%s -> %s: %q by %s", tt.shown, tt.real, name, line)
		}
	}
	always := load(t, Options{SSL: true})
	if name, entry := always.Judge(&Link{Real: "http://evil.net", Shown: "https://www.example.com", Href: true}); name != SSLSpoof || entry != Always {
		t.Errorf("without a list: %q by %d", name, entry)
	}
}

// TestEscapes: a backslash before a letter means nothing to POSIX.
func TestEscapes(t *testing.T) {
	var l List
	if err := l.Add("pdb", `R:.+\.e\vil\.net([/?].*)?:.+\.ba\nk\.com([/?].*)?`, 1); err != nil {
		t.Fatal(err)
	}
	if name, _ := l.Judge(&Link{Real: "http://www.evil.net/", Shown: "http://www.bank.com/", Href: true}); name != Spoofed {
		t.Errorf("%q", name)
	}
}

func TestMalformed(t *testing.T) {
	for _, tt := range []struct{ kind, line string }{
		{"pdb", ""},
		{"pdb", "paypal.com"},
		{"pdb", ":x"},
		{"pdb", "M:a:b"},
		{"pdb", "X:a:b"},
		{"wdb", "H:a"},
		{"wdb", "R:a:b"},
		{"pdb", "R:(:a"},
		{"pdb", "R:a{9999}"},
		{"gdb", "S:F:00"},
		{"gdb", "S:Q:" + sum("x")},
		{"gdb", "S:P:" + sum("x")},
		{"wdb", "S:F:" + sum("x")},
	} {
		if err := new(List).Add(tt.kind, tt.line, 1); err == nil {
			t.Errorf("%s: %s is taken", tt.kind, tt.line)
		}
	}
}

func TestLinksHavePlaces(t *testing.T) {
	page := `<p><a href="http://a.net/x?a=1&amp;b=2" title='www.paypal.com'>one <b>two</b> three</a><form action=http://b.net><area href="c.net"></form>`
	want := []string{
		"http://a.net/x?a=1&b=2|http://a.net/x?a=1&amp;b=2|www.paypal.com|www.paypal.com",
		"http://a.net/x?a=1&b=2|http://a.net/x?a=1&amp;b=2|one twothree|one <b>two</b> three",
		"||c.net|c.net", "http://b.net|http://b.net|c.net|c.net",
	}
	var have []string
	at := func(p Place) string { return page[p.Offset : p.Offset+p.Length] }
	for _, l := range Links([]byte(page)) {
		have = append(have, strings.Join([]string{l.Real, at(l.RealAt), l.Shown, at(l.ShownAt)}, "|"))
	}
	if !slices.Equal(have, want) {
		t.Errorf("links\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	text := Addresses([]byte("see http://a.net/x\nand FTP://b.net , https://c.net"))
	if len(text) != 3 || text[1].Real != "FTP://b.net" || text[2].RealAt != (Place{37, 13}) {
		t.Errorf("addresses %+v", text)
	}
}

func FuzzLinks(f *testing.F) {
	f.Add([]byte(`<a href="http://www.evil.net/%41%2541">check out paypal.com</a>`))
	f.Add([]byte(`<a href='http://x%00@bad.net/./a/../b?c#d' title=https://ebay.com><img src="www.ebay.com"></a>`))
	f.Add([]byte("<form action=//x><area href=\"&#109;&lt;data:\"><!-- <script> </script x><a\r\nhref"))
	l := load(f, Options{true, true}, "pdb", "wdb", "gdb")
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, k := range append(Links(b), Addresses(b)...) {
			for _, p := range []Place{k.RealAt, k.ShownAt} {
				if p.Offset < 0 || p.Length < 0 || p.Offset+p.Length > int64(len(b)) {
					t.Fatalf("%+v in %d bytes", k, len(b))
				}
			}
			name, entry := l.Judge(&k)
			again, _ := l.Judge(&k)
			if name != again || name != "" && entry == 0 {
				t.Errorf("%+v: %q by %d, then %q", k, name, entry, again)
			}
		}
	})
}
