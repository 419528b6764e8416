package richtext

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// ole1 is an object as RTF has it, of a class.
func ole1(class string, data []byte) []byte {
	b := []byte{1, 5, 0, 0, 2, 0, 0, 0}
	for _, s := range []string{class + "\x00", "", ""} {
		b = append(le.AppendUint32(b, uint32(len(s))), s...)
	}
	return append(le.AppendUint32(b, uint32(len(data))), data...)
}

// picture is what stands behind an object's data: how it is drawn.
const picture = "\x01\x05\x00\x00\x05\x00\x00\x00\x0d\x00\x00\x00METAFILEPICT\x00\x84\x03\x00\x00"

// hexText is bytes as a program writes them, in lines.
func hexText(b []byte) string {
	var out strings.Builder
	for line := range slices.Chunk(b, 64) {
		fmt.Fprintf(&out, "%x\r\n", line)
	}
	return out.String()
}

func rtfOf(body string) []byte {
	return []byte(`{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fnil Arial;}}` + body + "}")
}

func objectOf(data string) []byte {
	return rtfOf(`\pard text {\object\objemb\objw100\objh100{\*\objclass Package}{\*\objdata ` + data + `}{\result{\pict\wmetafile8 ` + "0100090000" + `}}}\par`)
}

// rtfSamples are documents as programs write them.
func rtfSamples() map[string][]byte {
	file := append(ole1("Package", native("a.exe", unpacktest.Marked("file", 300))[4:]), picture...)
	return map[string][]byte{
		"package":  objectOf(hexText(file)),
		"compound": objectOf(hexText(append(ole1("Word.Document.8", compound()), picture...))),
		"pictures": rtfOf(`{\pict{\*\picprop{\sp{\sn a}{\sv 12ab}}}\pngblip\picw1 89504e47` + hexText(unpacktest.Marked("png", 100)) + `}{\pict\bin12 }}{{\` + "\x00\xff'00abc" + `}{\*\themedata 504b0304}`),
		"text":     rtfOf(`{\field{\*\fldinst {\b INCLU}DE{\i PICTURE "http://example}.org/x"}{\fldrslt \u8364?\'e4}}{\v hidden}\par {\*\template http://example.org/t}`),
	}
}

// readings are the bytes of the children of an op.
func readings(r unpacktest.Result, op string) (out []string) {
	for _, c := range r.Children {
		if c.Op == op {
			out = append(out, string(c.Data))
		}
	}
	return out
}

func TestRTF(t *testing.T) {
	all := rtfSamples()
	r := unpacktest.Walk(t, RTF(), all["pictures"], noLimits)
	if got := readings(r, "rtf.picture"); len(got) != 2 || got[0] != "\x89PNG"+string(unpacktest.Marked("png", 100)) || got[1] != "}}{{\\\x00\xff'00ab" {
		t.Errorf("%q", got)
	}
	if r.Child(t, "rtf.data", `\themedata`) != "PK\x03\x04" || len(r.Gaps) > 0 {
		t.Error(r)
	}
	r = unpacktest.Walk(t, RTF(), all["text"], noLimits)
	if got, want := r.Child(t, "rtf.text", ""), "Arial;\nINCLUDEPICTURE \"http://example.org/x\"\n€\xe4hidden\n\nhttp://example.org/t\n"; got != want || len(r.Gaps) > 0 {
		t.Errorf("%q, want %q", got, want)
	}
	// A field without an instruction does not part a word.
	r = unpacktest.Walk(t, RTF(), rtfOf(`in{\field{\*\fldinst}}voice{\*\fldinst DDE{\b AUTO} a}b`), noLimits)
	if got := r.Child(t, "rtf.text", ""); got != "Arial;invoice\nDDEAUTO a\nb" {
		t.Errorf("%q", got)
	}
	r = unpacktest.Walk(t, RTF(), all["package"], noLimits)
	object := r.Child(t, "rtf.object", objectData)
	if object[:8] != "\x01\x05\x00\x00\x02\x00\x00\x00" || len(r.Gaps) > 0 {
		t.Error(r)
	}
	r = unpacktest.Walk(t, Embedded(), []byte(object), noLimits)
	if r.Child(t, "ole1.file", "a.exe") != string(unpacktest.Marked("file", 300)) || r.Child(t, "ole1.rest", "") != picture || len(r.Children) != 2 || len(r.Gaps) > 0 {
		t.Error(r)
	}
	r = unpacktest.Walk(t, RTF(), all["compound"], noLimits)
	r = unpacktest.Walk(t, Embedded(), []byte(r.Child(t, "rtf.object", objectData)), noLimits)
	if r.Child(t, "ole1.native", "Word.Document.8") != string(compound()) || len(r.Children) != 2 || len(r.Gaps) > 0 {
		t.Error(r)
	}
}

func TestEmbeddedHostile(t *testing.T) {
	whole := ole1("A", compound())
	for name, b := range map[string][]byte{
		"no class":     append([]byte("\x01\x05\x00\x00\x02\x00\x00\x00\xff\xff\xff\x7f"), compound()...),
		"no head":      compound(),
		"junk before":  ole1("A", append([]byte("junk!"), compound()...)),
		"length of 3":  bytes.Replace(whole, le.AppendUint32(nil, uint32(len(compound()))), []byte("\x03\x00\x00\x00"), 1),
		"length of 2G": bytes.Replace(whole, le.AppendUint32(nil, uint32(len(compound()))), []byte("\xff\xff\xff\x7f"), 1),
	} {
		if r := unpacktest.Walk(t, Embedded(), b, noLimits); !slices.Contains(readings(r, "ole1.native"), string(compound())) {
			t.Errorf("%s: %v", name, r)
		}
	}
	whole = append(ole1("Package", native("a.exe", unpacktest.Marked("file", 100))[4:]), picture...)
	for n := 9; n < len(whole)-len(picture); n++ {
		if r := unpacktest.Walk(t, Embedded(), whole[:n], noLimits); !r.Unread() {
			t.Fatalf("cut to %d: %v", n, r)
		}
	}
	linked := []byte("\x01\x05\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00A\x00\x05\x00\x00\x00c:\\x\x00\x00\x00\x00\x00")
	if r := unpacktest.Walk(t, Embedded(), linked, noLimits); len(r.Gaps) > 0 {
		t.Error(r)
	}
}

// What hides the digits of an object. Each has the object among its readings.
func TestRTFObfuscated(t *testing.T) {
	want := ole1("Equation.3", unpacktest.Marked("native", 100))
	digits := hex.EncodeToString(want)
	spread := func(with string) string {
		var out []string
		for part := range slices.Chunk([]byte(digits), 7) {
			out = append(out, string(part))
		}
		return strings.Join(out, with)
	}
	var bin strings.Builder
	for i, c := range want {
		if i%5 == 0 {
			fmt.Fprintf(&bin, `\bin1 %c`, c)
		} else {
			fmt.Fprintf(&bin, "%02X", c)
		}
	}
	half := len(digits) / 2
	for name, b := range map[string]string{
		"plain":             `{\*\objdata ` + digits + `}`,
		"upper":             `{\*\objdata ` + strings.ToUpper(digits) + `}`,
		"spaces":            `{\*\objdata ` + spread(" \r\n\t\x00") + `}`,
		"no digits":         `{\*\objdata ` + spread("z;-+") + `}`,
		"words":             `{\*\objdata ` + spread(`\foo12 \bar-3\par `) + `}`,
		"symbols":           `{\*\objdata ` + spread(`\*\~\-`) + `}`,
		"bytes":             `{\*\objdata ` + bin.String() + `}`,
		"bytes of none":     `{\*\objdata ` + spread(`\bin0 `) + `}`,
		"junk in groups":    `{\*\objdata ` + spread(`{\*\foo 0011}`) + `}`,
		"junk deep":         `{\*\objdata ` + spread(`{\*\foo{\bar{0011}}}`) + `}`,
		"data in groups":    `{\*\objdata ` + digits[:half] + `{\foo ` + digits[half:] + `}}`,
		"data deep":         `{\*\objdata {{{{` + digits[:half] + `}}}}` + digits[half:] + `}`,
		"data in ignorable": `{\*\objdata {\*\foo ` + digits[:half] + `}` + digits[half:] + `}`,
		"junk groups":       `{\*\objdata ` + spread(`{\foo 0011}`) + `}`,
		"quotes of nothing": `{\*\objdata ` + spread(`\'0f`) + `}`,
		"quotes":            `{\*\objdata ` + regroup(digits, `\'`) + `}`,
		"half a byte":       `{\*\objdata 0\'00` + digits + `}`,
		"number":            `{\*\objdata` + digits[:6] + ` ` + digits[6:] + `}`,
		"number of nothing": `{\*\objdata0123456789 ` + digits + `}`,
		"not ignorable":     `{\objdata ` + digits + `}`,
		"no group":          `\objdata ` + digits,
		"twice":             `{\*\objdata\objdata {\*\objdata ` + digits + `}}`,
		"in a picture":      `{\pict{\*\picprop{\object{\*\objdata ` + digits + `}}}0102}`,
		"behind bytes":      `\bin5000 {\object{\*\objdata ` + digits + `}}`,
		"in a picture's":    `{\pict\bin5000 {\object{\*\objdata ` + digits + `}}}`,
		"long word":         `{\*\objdata \` + strings.Repeat("x", maxRTFWord) + digits + `}`,
		"ends no group":     `{\object{\*\objdata ` + digits,
		"ends all":          `}}}}{\object{\*\objdata ` + digits + `}}`,
	} {
		r := unpacktest.Walk(t, RTF(), rtfOf(b), noLimits)
		found := slices.ContainsFunc(readings(r, "rtf.object"), func(s string) bool { return strings.HasPrefix(s, string(want)) })
		if !found {
			t.Errorf("%s: %q %v", name, b[:min(len(b), 200)], r)
		}
		if n := len(readings(r, "rtf.object")); n > 1 && !r.Has(ambiguousRTF) && !strings.Contains(name, "twice") {
			t.Errorf("%s: %d readings, and no note", name, n)
		}
	}
}

// regroup writes each eighth byte behind a mark.
func regroup(digits, mark string) string {
	var out strings.Builder
	for i := 0; i+1 < len(digits); i += 2 {
		if i%16 == 0 {
			out.WriteString(mark)
		}
		out.WriteString(digits[i : i+2])
	}
	return out.String()
}

func TestRTFStart(t *testing.T) {
	for _, s := range []string{`{\rtf1 a}`, `{\rt a}`, `{\rtvpn1 a}`, "\xef\xbb\xbf{\\rtf a}", "\r\n {\\rtf a}"} {
		if !RTF().Match(unpacktest.Probe(showcause.Bytes(s))) {
			t.Errorf("%q is none", s)
		}
		if r := unpacktest.Walk(t, RTF(), []byte(s), noLimits); len(r.Gaps) > 0 || !r.Contains("a") {
			t.Errorf("%q: %v", s, r)
		}
	}
}

func TestRTFRest(t *testing.T) {
	for _, end := range []string{"", "\r\n", "\x00", "\n\x1a\x00\x00"} {
		if r := unpacktest.Walk(t, RTF(), append(rtfOf("a"), end...), noLimits); len(r.Children) != 1 || len(r.Gaps) > 0 {
			t.Errorf("%q: %v", end, r)
		}
	}
	r := unpacktest.Walk(t, RTF(), append(rtfOf("a"), "\r\nMZ behind { it"...), noLimits)
	if r.Child(t, "rtf.rest", "") != "MZ behind { it" || len(r.Gaps) > 0 {
		t.Error(r)
	}
	two := append(rtfOf("a"), rtfOf(`{\*\objdata 414243}b`)...)
	if r = unpacktest.Walk(t, RTF(), two, noLimits); r.Child(t, "rtf.object", objectData) != "ABC" || len(readings(r, "rtf.rest")) > 0 || !r.Contains("b") {
		t.Error(r)
	}
}

// Data in data are read as often as they are in others, and that is charged for.
func TestRTFNested(t *testing.T) {
	b := rtfOf(strings.Repeat(`{\pict 41`, 3000) + strings.Repeat("}", 3000))
	r := unpacktest.Walk(t, RTF(), b, showcause.Limits{Objects: 500})
	if !r.Unread() || r.Spent.Objects > 500 {
		t.Error(len(r.Children), r.Gaps)
	}
	deep := rtfOf(strings.Repeat("{", 1<<20) + `{\*\objdata 414243}` + strings.Repeat("}", 1<<20))
	if r = unpacktest.Walk(t, RTF(), deep, noLimits); r.Child(t, "rtf.object", objectData) != "ABC" || len(r.Gaps) > 0 {
		t.Error(r)
	}
}

// Data that begin in each other, or in bytes that some take for text, are not read without end; that is told.
func TestRTFOver(t *testing.T) {
	const n = 1 << 20
	for name, text := range map[string]string{
		"objects": strings.Repeat(`{\object{\objdata 0105`, n/21), "words": strings.Repeat(`\objdata {\*\objclass a}41`, n/26),
		"readings": strings.Repeat(`{\object\objdata0 41{\*\x 42}{43}\'44`, n/37), "bytes": `{\object\objdata \bin1048576 ` + strings.Repeat(`\objdata 41`, n/11),
	} {
		var gaps []showcause.Code
		read := int64(0)
		src := showcause.Bytes(`{\rtf1 ` + text)
		b := unpack.NewBudget(showcause.Limits{}, src.Size(), nil)
		RTF().Walk(src, unpack.NewOut(b, nil, func(l showcause.Layer) { read += l.Source.Size() }, func(g showcause.Gap) { gaps = append(gaps, g.Code) }))
		if !slices.Contains(gaps, showcause.LimitWork) || read > 100<<20 {
			t.Errorf("%s: %d bytes of children, %d gaps", name, read, len(gaps))
		}
	}
}

func TestRTFConform(t *testing.T) { unpacktest.Conform(t, RTF(), rtfSamples()) }

func FuzzRTF(f *testing.F) {
	all := rtfSamples() // the compound file is long, and the same digits again
	unpacktest.Fuzz(f, RTF(), all["pictures"], all["text"], objectOf(hexText(ole1("Package", native("a", []byte("data"))[4:]))), rtfOf(`{\*\objdata12 ab{\*\x cd\bin3 }}}{e}\'41\objdata f}`), rtfOf(`\bin9 {\objdata }41\u-10\uc2\'aa`))
}

func FuzzEmbedded(f *testing.F) {
	unpacktest.Fuzz(f, Embedded(), ole1("Package", native("a", []byte("data"))[4:]), ole1("x", []byte(magic)), ole1("y", []byte("junk"+magic)))
}
