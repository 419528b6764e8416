package pdf

import (
	"bytes"
	tifflzw "compress/lzw"
	"compress/zlib"
	"encoding/ascii85"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

const marker = "the marker of a PDF, once in each place"

// doc writes a PDF: its objects in order, a table and a trailer.
type doc struct {
	bytes.Buffer
	at map[int]int
}

func newDoc() *doc {
	d := &doc{at: map[int]int{}}
	d.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	return d
}

func (d *doc) obj(n int, s string) *doc {
	d.at[n] = d.Len()
	fmt.Fprintf(d, "%d 0 obj\n%s\nendobj\n", n, s)
	return d
}

// end writes the table, with more in the trailer.
func (d *doc) end(more string) []byte {
	most := 0
	for n := range d.at {
		most = max(most, n)
	}
	x := d.Len()
	fmt.Fprintf(d, "xref\n0 %d\n0000000000 65535 f \n", most+1)
	for n := 1; n <= most; n++ {
		if at, ok := d.at[n]; ok {
			fmt.Fprintf(d, "%010d 00000 n \n", at)
		} else {
			d.WriteString("0000000000 00000 f \n")
		}
	}
	fmt.Fprintf(d, "trailer\n<< /Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n", most+1, more, x)
	return d.Bytes()
}

func deflated(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func body(dict, data string) string {
	return fmt.Sprintf("<< /Length %d %s >>\nstream\n%s\nendstream", len(data), dict, data)
}

func flat(s string) string { return body("/Filter /FlateDecode", deflated(s)) }

func one(s string) []byte {
	return newDoc().obj(1, "<< /Type /Catalog >>").obj(2, s).end("")
}

// text is a content in which the marker is not at the start.
var text = strings.Repeat("some words of a page, ", 20) + marker + strings.Repeat(" and more words", 10)

func hexed(s string) string { return hex.EncodeToString([]byte(s)) + ">" }

func a85(s string) string {
	b := make([]byte, ascii85.MaxEncodedLen(len(s)))
	return string(b[:ascii85.Encode(b, []byte(s))]) + "~>"
}

func runsOf(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := min(len(s), 128)
		b.WriteByte(byte(n - 1))
		b.WriteString(s[:n])
		s = s[n:]
		b.WriteString("\xfe   "[:1] + "z") // three of z, which are not in the text
	}
	return b.String() + "\x80"
}

// lzwLate is LZW whose codes grow late, as the standard library writes TIFF's order.
func lzwLate(s string) string {
	var b bytes.Buffer
	w := tifflzw.NewWriter(&b, tifflzw.MSB, 8)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

// lzwEarly is LZW as PDF has it by default, written bit by bit.
func lzwEarly(s string) string {
	table := map[string]int{}
	next, width, acc, bits := 258, 9, 0, 0
	var out []byte
	put := func(code int) {
		acc, bits = acc<<width|code, bits+width
		for bits >= 8 {
			out = append(out, byte(acc>>(bits-8)))
			bits -= 8
			acc &= 1<<bits - 1
		}
	}
	code := func(w string) int {
		if len(w) == 1 {
			return int(w[0])
		}
		return table[w]
	}
	put(256)
	w := ""
	for i := range len(s) {
		c := s[i : i+1]
		if _, ok := table[w+c]; ok || w == "" {
			w += c
			continue
		}
		put(code(w))
		table[w+c] = next
		if next++; next == 512 || next == 1024 || next == 2048 {
			width++
		}
		if next == 4094 {
			put(256)
			table, next, width = map[string]int{}, 258, 9
		}
		w = c
	}
	put(code(w))
	if next++; next == 512 || next == 1024 || next == 2048 {
		width++
	}
	put(257)
	put(0)
	return string(out)
}

// pngUp is text in rows of n bytes under PNG's filters in turn.
func pngRows(s string, n int) string {
	prev := make([]byte, n)
	var out []byte
	for row := 0; len(s) > 0; row++ {
		cur := make([]byte, n)
		s = s[copy(cur, s):]
		tag := row % 5
		out = append(out, byte(tag))
		for i := range cur {
			var left, up, corner byte
			up = prev[i]
			if i > 0 {
				left, corner = cur[i-1], prev[i-1]
			}
			switch tag {
			case 0:
				out = append(out, cur[i])
			case 1:
				out = append(out, cur[i]-left)
			case 2:
				out = append(out, cur[i]-up)
			case 3:
				out = append(out, cur[i]-byte((int(left)+int(up))/2))
			case 4:
				out = append(out, cur[i]-paeth(left, up, corner))
			}
		}
		prev = cur
	}
	return string(out)
}

// places are files with the marker in each place, whole ones.
func places() map[string][]byte {
	long := strings.Repeat("0123456789abcdef ghijklmnopqrstuvwxyz. ", 900) // all widths of codes
	m := map[string][]byte{
		"flate":       one(flat(text)),
		"stored":      one(body("", text)),
		"no filters":  one(body("/Filter []", text)),
		"hex":         one(body("/Filter /ASCIIHexDecode", hexed(text))),
		"hex, spaced": one(body("/Filter /AHx", strings.ReplaceAll(hexed(text), "6", " \n6"))),
		"85":          one(body("/Filter /ASCII85Decode", a85(text+"\x00\x00\x00\x00\x00\x00\x00\x00z"))),
		"85 of 1":     one(body("/Filter /ASCII85Decode", "<~"+a85(text+"1"))),
		"85 of 2":     one(body("/Filter /ASCII85Decode", a85(text+"12"))),
		"85 of 3":     one(body("/Filter /A85", a85(text+"123"))),
		"runs":        one(body("/Filter /RunLengthDecode", runsOf(strings.Replace(text, marker, marker, 1)[300:]))),
		"lzw":         one(body("/Filter /LZWDecode", lzwEarly(long+text+long))),
		"lzw, late":   one(body("/Filter /LZW /DecodeParms << /EarlyChange 0 >>", lzwLate(long+text))),
		"chain":       one(body("/Filter [/ASCIIHexDecode /ASCII85Decode /FlateDecode]", hexed(a85(deflated(text))))),
		"names":       one(body("/Fi#6cter /Fl#61teDecode", deflated(text))),
		"parameters":  one(body("/Filter [/A85 /FlateDecode] /DecodeParms [null << /Predictor 15 /Columns 7 >>]", a85(deflated(pngRows(text, 7))))),
		"PNG's rows":  one(body("/Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 5 /Colors 1 >>", deflated(pngRows(text, 5)))),
		"12 filters":  one(nest(text, 12)),
		"by reference": newDoc().obj(1, "<< >>").obj(2, "<< /Length 3 0 R /Filter 4 0 R /DecodeParms 5 0 R >>\nstream\n"+deflated(pngRows(text, 9))+"\nendstream").
			obj(3, fmt.Sprint(len(deflated(pngRows(text, 9))))).obj(4, "[6 0 R]").obj(5, "<< /Predictor 10 /Columns 7 0 R >>").obj(6, "/FlateDecode").obj(7, "9").end(""),
		"script in a string": one("<< /S /JavaScript /JS (app.alert\\(1\\); \\\n" + strings.Replace(marker, "a", "\\141", 2) + ") >>"),
		"script in hex":      one("<< /S /JavaScript /JS <" + hexed("\xfe\xff"+wide(marker)) + " >>"),
		"script in a stream": newDoc().obj(1, "<< /OpenAction << /S /JavaScript /JS 2 0 R >> >>").obj(2, flat(text)).end(""),
		"file":               newDoc().obj(1, "<< /Type /Filespec /F (b.txt) /UF (a\\056txt) /EF << /F 2 0 R >> >>").obj(2, flat(text)).end(""),
		"address":            one("<< /A << /S /URI /URI <" + hexed("http://example.org/"+marker) + ">>"),
		"launch":             one("<< /S /Launch /Win << /F (cmd.exe) /P <" + hexed("/c "+marker) + " >> >>"),
		"title":              one("<< /Title <" + hexed(marker) + " >>"),
		"form": newDoc().obj(1, "<< /XFA [(a) 2 0 R (b) 3 0 R] >>").obj(2, flat("<x>"+marker[:9])).obj(3, flat(marker[9:]+"</x>")).
			end(""),
		"object stream":  packed("<< /JS <" + hexed(marker) + " /S /JavaScript >>"),
		"cross stream":   crossed(),
		"deep in arrays": one(strings.Repeat("[", 60) + "<< /JS <" + hexed(marker) + " >>" + strings.Repeat("]", 60)),
	}
	return m
}

func wide(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString("\x00" + s[i:i+1])
	}
	return b.String()
}

func nest(s string, n int) string {
	for range n {
		s = deflated(s)
	}
	return body("/Filter ["+strings.Repeat("/FlateDecode ", n)+"]", s)
}

func packed(member string) []byte {
	list := fmt.Sprintf("7 0 8 %d ", len("<< /A 1 >> "))
	return newDoc().obj(1, "<< >>").obj(2, body(fmt.Sprintf("/Type /ObjStm /N 2 /First %d /Filter /FlateDecode", len(list)), deflated(list+"<< /A 1 >> "+member))).end("")
}

// crossed has its cross-references in a stream, which leads to an object whose head is
// cut by a comment.
func crossed() []byte {
	d := newDoc().obj(1, "<< >>")
	two := d.Len()
	d.WriteString("2 %\n0 obj " + strings.Replace(flat(text), "stream", "stream", 1) + "\nendobj\n")
	three := d.Len()
	var x bytes.Buffer
	for _, at := range []int{0, d.at[1], two, three} {
		x.Write([]byte{1, byte(at >> 8), byte(at), 0})
	}
	fmt.Fprintf(d, "3 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n", body("/Type /XRef /W [1 2 1] /Size 4 /Root 1 0 R /Filter /FlateDecode", deflated(x.String())), three)
	return d.Bytes()
}

func TestPlaces(t *testing.T) {
	for name, b := range places() {
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
		if !r.Contains(marker) {
			t.Errorf("%s: the marker is in no child:\n%s", name, r)
		}
		if len(r.Gaps) > 0 {
			t.Errorf("%s: %v", name, r.Gaps)
		}
	}
}

func TestConform(t *testing.T) {
	samples := map[string][]byte{}
	for _, name := range []string{"chain", "form", "object stream", "cross stream", "by reference", "file", "script in a string"} {
		samples[name] = places()[name]
	}
	if testing.Short() {
		samples = map[string][]byte{"chain": samples["chain"], "form": samples["form"], "object stream": samples["object stream"]}
	}
	unpacktest.Conform(t, Format(), samples)
}

func FuzzPDF(f *testing.F) {
	var seeds [][]byte
	for _, b := range places() {
		seeds = append(seeds, b)
	}
	for _, b := range broken1() {
		seeds = append(seeds, b.data)
	}
	unpacktest.Fuzz(f, Format(), seeds...)
}
