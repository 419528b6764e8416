package office

import (
	"strings"
	"testing"

	"github.com/showcause/showcause/unpack/unpacktest"
)

// literals is a container of literals alone ([MS-OVBA] 2.4.1), in chunks of at most 3,600 bytes.
func literals(s string) []byte {
	out := []byte{1}
	for len(s) > 0 {
		part := s[:min(len(s), 3600)]
		s = s[len(part):]
		var chunk []byte
		for len(part) > 0 {
			n := min(len(part), 8)
			chunk = append(append(chunk, 0), part[:n]...)
			part = part[n:]
		}
		out = le.AppendUint16(out, uint16(len(chunk)-1)|0xb000)
		out = append(out, chunk...)
	}
	return out
}

// record is a record of the stream "dir".
func record(id uint16, data string) []byte {
	return append(le.AppendUint32(le.AppendUint16(nil, id), uint32(len(data))), data...)
}

// projectDir lists modules, each with the offset of its source.
func projectDir(modules ...string) []byte {
	b := record(4, "Project")
	for _, m := range modules {
		name, cache, _ := strings.Cut(m, "+")
		b = append(b, record(0x19, name)...)
		b = append(b, record(0x1a, name)...)
		b = append(b, record(0x31, string(le.AppendUint32(nil, uint32(len(cache)))))...)
		b = append(b, record(0x21, "")...)
		b = append(b, record(0x2b, "")...)
	}
	return append(b, record(0x10, "")...)
}

const source = "Attribute VB_Name = \"Module1\"\r\nSub AutoOpen()\r\n  MsgBox \"planted\"\r\nEnd Sub\r\n"

func macros(dir, module []byte) []byte {
	return compoundFile(9, "", []leaf{
		{"WordDocument", unpacktest.Marked("doc", 4600)},
		{"Macros/VBA/dir", dir},
		{"Macros/VBA/_VBA_PROJECT", []byte("\xcc\x61\x01")},
		{"Macros/VBA/Module1", module},
	}, nil)
}

func TestVBA(t *testing.T) {
	long := source + strings.Repeat("' a comment\r\n", 1000)
	r := unpacktest.Walk(t, VBA(), macros(literals(string(projectDir("Module1+cache"))), append([]byte("cache"), literals(long)...)), noLimits)
	if got := r.Child(t, "vba.source", "Module1"); got != long || len(r.Children) != 1 || len(r.Gaps) > 0 {
		t.Error(r)
	}
	// Where the list of modules is broken, empty or lies, the source is found all the same.
	for name, dir := range map[string][]byte{
		"broken":       []byte("\x01nothing"),
		"empty":        nil,
		"lists others": literals(string(projectDir("Other+"))),
		"wrong offset": literals(string(projectDir("Module1+ca"))),
	} {
		r := unpacktest.Walk(t, VBA(), macros(dir, append([]byte("cache"), literals(source)...)), noLimits)
		if !r.Contains("planted") {
			t.Errorf("%s: %v", name, r)
		}
	}
	// In a stream somewhere else.
	b := compoundFile(9, "", []leaf{{"Contents", append(unpacktest.Mixed(5000), literals(source)...)}}, nil)
	if r := unpacktest.Walk(t, VBA(), b, noLimits); r.Child(t, "vba.source", "Contents") != source {
		t.Error(r)
	}
	if r := unpacktest.Walk(t, VBA(), document(9), noLimits); len(r.Children)+len(r.Gaps) > 0 {
		t.Error(r)
	}
}

// cache is what was compiled, with lines of these lengths in bytes.
func cache(lines ...int) string {
	b := make([]byte, 0x40)
	le.PutUint32(b[0x19:], 4)
	b = le.AppendUint16(b, 0xcafe)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, uint16(len(lines)))
	for _, n := range lines {
		b = append(b, 0, 0, 0, 0)
		b = le.AppendUint16(b, uint16(n))
		b = append(b, 0, 0, 0, 0, 0, 0)
	}
	return string(b)
}

func TestStomped(t *testing.T) {
	for _, c := range []struct {
		cache, source string
		want          bool
	}{
		{cache(20, 30), "Attribute VB_Name = \"x\"\r\n\r\n' nothing\r\n", true},
		{cache(20, 30), "", true},
		{cache(20, 30), source, false},
		{cache(0, 4), "Attribute VB_Name = \"x\"\r\n", false},
		{cache(), "Attribute VB_Name = \"x\"\r\n", false},
		{cache(20)[:0x30], "", false},
	} {
		b := macros(literals(string(projectDir("Module1+"+c.cache))), append([]byte(c.cache), literals(c.source)...))
		if r := unpacktest.Walk(t, VBA(), b, noLimits); r.Has(stomped) != c.want || r.Unread() {
			t.Errorf("%q %q: %v", c.cache, c.source, r)
		}
	}
}

// What was compiled names what no source does.
func TestForeignNames(t *testing.T) {
	table := func(names ...string) []byte {
		b := []byte("\xcc\x61\xff\xff\x00\x00\x00" + strings.Repeat("\x00", 40) + "\x08Win32\x00\x06VBA6\x00stdole\x00VBAProject\x00ThisDocument\x00Module1\x00_Evaluate\x00")
		for _, n := range names {
			b = append(append(append(b, 0, byte(len(n))), n...), 0, 0, 0xac, 0x10, 0)
		}
		return b
	}
	file := func(code string, names ...string) []byte {
		return compoundFile(9, "", []leaf{
			{"Macros/VBA/dir", literals(string(projectDir("Module1+cache")))}, {"Macros/VBA/_VBA_PROJECT", table(names...)}, {"Macros/VBA/Module1", append([]byte("cache"), literals(code)...)},
		}, nil)
	}
	evil := []string{"AutoOpen", "CreateObject", "WScript", "Shell", "URLDownloadToFileA", "cmdline", "Environ", "payload"}
	r := unpacktest.Walk(t, VBA(), file(source, evil...), noLimits)
	if got := r.Child(t, "vba.names", "Macros/VBA"); !strings.Contains(got, "CreateObject\r\n") || strings.Contains(got, "AutoOpen") || !r.Has(stomped) {
		t.Errorf("%q %v", got, r)
	}
	whole := source + "Sub x()\r\nCreateObject \"wscript.shell\" : urldownloadtofilea cmdline, Environ\r\nEnd Sub\r\n"
	if r = unpacktest.Walk(t, VBA(), file(whole, evil...), noLimits); r.Has(stomped) || len(r.Children) != 1 {
		t.Errorf("an ordinary project: %v", r)
	}
	// Few names, or some that were taken out again, are ordinary.
	if r = unpacktest.Walk(t, VBA(), file(source, evil[:5]...), noLimits); r.Has(stomped) {
		t.Errorf("few names: %v", r)
	}
	if r = unpacktest.Walk(t, VBA(), file(source+"' Shell cmdline environ payload\r\n", evil...), noLimits); r.Has(stomped) {
		t.Errorf("half of the names: %v", r)
	}
	var many []string
	for i := range 5000 {
		many = append(many, "name"+strings.Repeat("x", i%50)+string(rune('a'+i%26)))
	}
	if r = unpacktest.Walk(t, VBA(), file(source, many...), noLimits); !r.Has(stomped) {
		t.Errorf("many names: %v", r)
	}
}

func TestVBAConform(t *testing.T) {
	b := macros(literals(string(projectDir("Module1+cache"))), append([]byte("cache"), literals(source)...))
	r := unpacktest.Walk(t, VBA(), b, noLimits)
	if len(r.Children) != 1 {
		t.Fatal(r)
	}
	for n := range len(b) { // a file that is cut is told by the reader of compound files
		unpacktest.Walk(t, VBA(), b[:n], noLimits)
	}
}

func FuzzVBA(f *testing.F) {
	unpacktest.Fuzz(f, VBA(), macros(literals(string(projectDir("Module1+cache"))), append([]byte("cache"), literals(source)...)),
		macros(nil, literals(source)), macros(literals(string(projectDir("Module1+"+cache(9)))), append([]byte(cache(9)), literals("")...)))
}
