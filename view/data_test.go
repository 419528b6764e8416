package view

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

// dataOf returns the decoded content of the data: URIs of a text.
func dataOf(t testing.TB, text string, wrap func(io.Reader) io.Reader) []string {
	t.Helper()
	var got []string
	err := DataURIs(wrap(strings.NewReader(text)), func(u URI) bool {
		if u.Offset < 0 || u.Length < 0 || u.Offset+u.Length > int64(len(text)) {
			t.Fatalf("%q: %+v", text, u)
		}
		b, err := io.ReadAll(u.Decode(wrap(strings.NewReader(text[u.Offset:][:u.Length]))))
		if err != nil || int64(len(b)) > u.Length {
			t.Fatalf("%q: %+v gives %d bytes, %v", text, u, len(b), err)
		}
		got = append(got, string(b))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	DataURIsOf([]byte(text), func(u URI) bool {
		b, err := io.ReadAll(u.Decode(strings.NewReader(text[u.Offset:][:u.Length])))
		if err != nil || n >= len(got) || string(b) != got[n] {
			t.Fatalf("%q in memory: the URI %d is %q", text, n, b)
		}
		n++
		return true
	})
	if n != len(got) {
		t.Fatalf("%q in memory: %d URIs, want %d", text, n, len(got))
	}
	return got
}

func plain(r io.Reader) io.Reader { return r }

// long is text of which the base64 is long enough.
const long = "what the URI holds >>>???"

var long64 = base64.StdEncoding.EncodeToString([]byte(long))

var dataCases = []struct{ name, in, want string }{
	{"double quotes", `<a href="data:image/png;base64,@">`, long},
	{"single quotes", `<a href='data:a/b;base64,@'>`, long},
	{"no quotes", `<img src=data:;base64,@ alt=x>`, long},
	{"tag ends it", `<img src=data:;base64,@>AAAA`, long},
	{"upper case", `<a href="DATA:A/B;BASE64,@">`, long},
	{"slash before the attribute", `<a/href="data:;base64,@">`, long},
	{"space before the scheme", `<a href="  data:;base64,@">`, long},
	{"line ends in the scheme", "<a href=\"da\r\nt\ta:;base64,@\">", long},
	{"after a title", `<title><script></title><a href="data:;base64,@">`, long},
	{"after a script", `<script><!--</script><a href="data:;base64,@">`, long},
	{"css", `a{background:url(data:image/png;base64,@)}`, long},
	{"css quoted", `a{background:url("data:image/png;base64,@")}`, long},
	{"style attribute", `<p style="background:url(&quot;data:a/b;base64,@&quot;)">`, long},
	{"refresh", `<meta http-equiv=refresh content="0;url=data:a/b;base64,@">`, long},
	{"srcset", `<img srcset="data:a/b;base64,@ 1x">`, long},
	{"references", `<a href="&#100;ata&colon;a/b&#x3b;base64&comma;@">`, long},
	{"references without semicolon", `<a href="&#100ata:a/b;base64,@">`, long},
	{"long reference", `<a href="&#x` + strings.Repeat("0", 99) + `64;ata:a/b;base64,@">`, long},
	{"spaces in the header", `<a href="data: a/b ; base64 ,@">`, long},
	{"a comma in another place", `{"a":1,data:x,"b":"data:a/b;base64,@"}`, long},
	{"json", `{"u":"data:image\/png;base64,` + strings.ReplaceAll(long64, "/", `\/`) + `"}`, long},
	{"json in json", `"{\"u\":\"data:image\/png;base64,@\"}"`, long},
	{"json escape", `{"u":"data:;base64,` + strings.ReplaceAll(long64, "+", `\u002b`) + `"}`, long},
	{"url alphabet", `"data:;base64,` + strings.NewReplacer("+", "-", "/", "_").Replace(long64) + `"`, long},
	{"percent in base64", `"data:;base64,` + strings.NewReplacer("+", "%2B", "/", "%2f", "=", "%3D").Replace(long64) + `"`, long},
	{"percent", `<a href="data:text/plain,` + url.PathEscape("a<b>\x00\xff") + `">`, "a<b>\x00\xff"},
	{"not percent", `<a href="data:,A%4zB%4%%41">`, "A%4zB%4%A"},
	{"plain", `<a href="data:text/html,<script>alert(1)</script>">`, "<script>alert(1)</script>"},
	{"plain, references", `<a href="data:text/html,&lt;script&gt;alert(1)&#60;/script>">`, "<script>alert(1)</script>"},
	{"plain in plain", `<a href="data:text/html,<img src='data:text/plain,12345678901234567'>">`, "12345678901234567|<img src='data:text/plain,12345678901234567'>"},
	{"unquoted plain with a tag", `<img src=data:text/html,<img%20src=x>`, "<img src=x"},
	{"left open", `<!-- "data:,PK --> <a href='data:;base64,@'>`, long + `|PK --> <a href='data:;base64,` + long64 + `'>`},
	{"base64 left open", `'data:;base64,@ <a href="data:;base64,@">`, long + "|" + long},
	{"no end", `<a href="data:;base64,@`, long},
	{"plain, no end", `<a href="data:,%41`, "A"},
	{"short", `"data:;base64,AAAA" "data:,hello" "data:," "data:" "data:abc"`, ""},
	{"an own word", `"metadata:text/html,1234567890123456789"`, ""},
	{"code", `{data:a,b:"%20"} struct{data:x,y} the data: one, two and %20 more`, ""},
	{"a parameter", `"data:text/plain;charset=utf-8;base64,@"`, long},
	{"twice", `"data:;base64,@" 'data:;base64,@'`, long + "|" + long},
}

func TestDataURIs(t *testing.T) {
	for _, c := range dataCases {
		in := strings.ReplaceAll(c.in, "@", long64)
		for _, r := range []func(io.Reader) io.Reader{plain, iotest.OneByteReader, iotest.DataErrReader} {
			if got := strings.Join(dataOf(t, in, r), "|"); got != c.want {
				t.Errorf("%s: %q gives %q, want %q", c.name, in, got, c.want)
			}
		}
		for _, order := range []string{"%c\x00", "\x00%c"} {
			var wide strings.Builder
			for _, x := range in {
				fmt.Fprintf(&wide, order, x)
			}
			if got := strings.Join(dataOf(t, wide.String(), plain), "|"); got != c.want {
				t.Errorf("%s in UTF-16: %q, want %q", c.name, got, c.want)
			}
		}
		for i := range in {
			dataOf(t, in[:i], plain)
			dataOf(t, in[i:], plain)
		}
	}
}

// A large content is read in pieces, and lines in it count for nothing.
func TestDataURILarge(t *testing.T) {
	want := strings.Repeat("0123456789abcdef", 1<<16)
	b := base64.StdEncoding.EncodeToString([]byte(want))
	var lines strings.Builder
	for ; len(b) > 76; b = b[76:] {
		lines.WriteString(b[:76] + "\r\n\t ")
	}
	got := dataOf(t, strings.Repeat("x", 70000)+`<a href="data:a/b;base64,`+lines.String()+b+`">`, plain)
	if len(got) != 1 || got[0] != want {
		t.Errorf("%d URIs", len(got))
	}
}

func TestDataURIStops(t *testing.T) {
	text := strings.Repeat(`"data:;base64,`+long64+`" `, 600)
	n := 0
	if err := DataURIs(strings.NewReader(text), func(URI) bool { n++; return n < 500 }); err != nil || n != 500 {
		t.Errorf("%d URIs, %v", n, err)
	}
	bad := errors.New("disk error")
	n = 0
	if err := DataURIs(io.MultiReader(strings.NewReader(text), iotest.ErrReader(bad)), func(URI) bool { n++; return true }); !errors.Is(err, bad) || n != 600 {
		t.Errorf("%d URIs, %v", n, err)
	}
}

// What a careless reader takes quadratic time for is done in a moment, and gives
// no more than a few times its own size.
func TestDataURILinear(t *testing.T) {
	const n = 1 << 20
	for _, s := range []string{
		"data:", "data:a/b,", `"data:a/b,`, "'data:a/b,\"data:a/b,`data:a/b,(data:a/b,=data:a/b,", "data:;base64,", "data:;base64,AAAA", "&", "&#", "&#x", "&#1", "&amp", "&NewLine",
		"\"data:,%", "d", "dat", "\x00", "\\", "\"data:;base64,\\", "<", "\"", "=data:a/b,<", "da\n", "url(data:a/b,", ":", "A",
	} {
		in := strings.Repeat(s, n/len(s))
		sum := 0
		for _, b := range dataOf(t, in, plain) {
			sum += len(b)
		}
		if sum > int(delims)*n {
			t.Errorf("%q: %d bytes", s, sum)
		}
	}
}

// What looks like a scheme over and over is not asked for over and over.
func TestQuiet(t *testing.T) {
	for _, s := range []string{":", "A", " ", "x:", "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddx"} {
		f := finder{chars: chars{b: []byte(strings.Repeat(s, quietWindow/len(s)))}}
		if n := f.quiet(); n > quietWindow || (s == ":" || s == "x:") && n > len(s)*(quietAsked+1) || (s == "A" || s == " ") && n != 0 {
			t.Errorf("%q: %d", s, n)
		}
	}
}

// Where a URI stands makes no difference: what goes before is passed over many bytes at once.
func TestDataURIsBehind(t *testing.T) {
	for _, before := range []string{"It's a word: \"this\" one, <b>data</b>. ", "x", "a:", "d\x00", ":", "A", strings.Repeat("x:", 200) + strings.Repeat("T", 200) + strings.Repeat("y", 200), "dat ", "'", "\"", "<'", ">\"\"'\n"} {
		for i := 0; i < len(dataCases); i += 4 {
			in := strings.ReplaceAll(dataCases[i].in, "@", long64)
			for _, n := range []int{quietWindow - 9, quietWindow - 2, quietWindow + 1} {
				text := strings.Repeat(before, n/len(before)+1)[:n] + in
				got, want := dataOf(t, text, plain), dataOf(t, text, iotest.OneByteReader)
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("%d bytes of %q and %q: %q, want %q", n, before, in, got, want)
				}
			}
		}
	}
}

func FuzzDataURIs(f *testing.F) {
	for _, c := range dataCases {
		f.Add([]byte(strings.ReplaceAll(c.in, "@", long64)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, again := dataOf(t, string(b), plain), dataOf(t, string(b), iotest.OneByteReader)
		if fmt.Sprint(a) != fmt.Sprint(again) {
			t.Fatalf("%q, then %q", a, again)
		}
		if len(a) > 0 && !bytes.ContainsAny(b, ",&") {
			t.Fatalf("%q gives %q", b, a)
		}
	})
}

func BenchmarkDataURIs(b *testing.B) {
	text := strings.Repeat("The quick brown fox <b>jumps</b> over the lazy dog; \"data\": 1, metadata.\n", 10000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_ = DataURIs(strings.NewReader(text), func(URI) bool { return true })
	}
}
