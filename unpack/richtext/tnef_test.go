package richtext

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/unpack/unpacktest"
)

// attribute is one of a TNEF message.
func attribute(level byte, id uint32, data []byte) []byte {
	b := le.AppendUint32([]byte{level}, id)
	b = append(le.AppendUint32(b, uint32(len(data))), data...)
	sum := uint16(0)
	for _, c := range data {
		sum += uint16(c)
	}
	return le.AppendUint16(b, sum)
}

// mapi is a property; those of variable size have one value.
func mapi(kind, id uint16, name string, data []byte) []byte {
	b := le.AppendUint16(le.AppendUint16(nil, kind), id)
	if id >= 0x8000 {
		b = append(b, make([]byte, 16)...)
		if name == "" {
			b = append(b, make([]byte, 8)...)
		} else {
			w := unpacktest.UTF16(name)
			b = append(le.AppendUint32(le.AppendUint32(b, 1), uint32(len(w))), w...)
			b = append(b, make([]byte, -len(w)&3)...)
		}
	}
	if propertySize(kind) == variable {
		b = append(le.AppendUint32(le.AppendUint32(b, 1), uint32(len(data))), data...)
		return append(b, make([]byte, -len(data)&3)...)
	}
	return append(b, data...)
}

func mapiList(all ...[]byte) []byte {
	return append(le.AppendUint32(nil, uint32(len(all))), bytes.Join(all, nil)...)
}

const tnefStart = "\x78\x9f\x3e\x22\x01\x00"

const rtfHello = "\x2d\x00\x00\x00\x2b\x00\x00\x00LZFu\xf1\xc5\xc7\xa7\x03\x00\x0a\x00rcpg125B\x32\x0a\xf3 hel\x09\x00 bw\x05\xb0ld}\x0a\x80\x0f\xa0"

// winmail is a message with a text, a page, and three things that are attached: a file by its
// attribute, a compound file as an object, a message.
func winmail() []byte {
	message := append([]byte(tnefStart), attribute(1, tnefBody, unpacktest.Marked("inner", 40))...)
	iid := make([]byte, 16)
	return slices.Concat([]byte(tnefStart),
		attribute(1, 0x00089006, []byte{0, 0, 1, 0}),
		attribute(1, tnefBody, unpacktest.Marked("body", 60)),
		attribute(1, tnefProperties, mapiList(
			mapi(3, 0x0e07, "", []byte{1, 2, 3, 4}),
			mapi(0x1003, 0x8010, "", append([]byte{2, 0, 0, 0}, "aaaabbbb"...)),
			mapi(0x1f, 0x8011, "named", unpacktest.UTF16("a value that is long enough to be one")),
			mapi(0x102, tnefCompressed, "", []byte(rtfHello)),
			mapi(0x102, 0x1013, "", unpacktest.Marked("page", 50)))),
		attribute(2, tnefBegin, make([]byte, 14)),
		attribute(2, tnefData, unpacktest.Marked("file", 100)),
		attribute(2, tnefTitle, []byte("SHORT~1.EXE\x00")),
		attribute(2, tnefAttachment, mapiList(mapi(0x1f, tnefLongName, "", unpacktest.UTF16("a long name.exe\x00")), mapi(0x1e, tnefShortName, "", []byte("SHORT~1.EXE\x00")))),
		attribute(2, tnefBegin, make([]byte, 14)),
		attribute(2, tnefTitle, []byte("object\x00")),
		attribute(2, tnefAttachment, mapiList(mapi(0x0d, tnefObject, "", append(iid, compound()...)))),
		attribute(2, tnefBegin, make([]byte, 14)),
		attribute(2, tnefAttachment, mapiList(mapi(0x0d, tnefObject, "", append(iid, message...)), mapi(0x40, 0x3007, "", make([]byte, 8)))))
}

func TestTNEF(t *testing.T) {
	r := unpacktest.Walk(t, TNEF(), winmail(), noLimits)
	want := `tnef.property body; tnef.property 8011; tnef.rtf; tnef.property 1013; tnef.file a long name.exe; tnef.file object; tnef.file`
	if got := r.Ops(); got != want || len(r.Gaps) > 0 {
		t.Errorf("%s\n%v", got, r.Gaps)
	}
	if r.Child(t, "tnef.file", "a long name.exe") != string(unpacktest.Marked("file", 100)) || r.Child(t, "tnef.file", "object") != string(compound()) ||
		!strings.HasPrefix(r.Child(t, "tnef.file", ""), tnefStart) || !strings.Contains(r.Child(t, "tnef.rtf", ""), "hello world") {
		t.Error("bytes")
	}
	for _, end := range []string{"\n", "\r\n", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		if r = unpacktest.Walk(t, TNEF(), append(winmail(), end...), noLimits); len(r.Gaps) > 0 {
			t.Errorf("%q: %v", end, r.Gaps)
		}
	}
	if r = unpacktest.Walk(t, TNEF(), append(winmail(), "MZ and so on"...), noLimits); r.Child(t, "tnef.rest", "") != "MZ and so on" || !r.Has("corrupt") {
		t.Error(r)
	}
	bad := winmail()
	bad[bytes.Index(bad, []byte("SHORT"))+12]++
	if r = unpacktest.Walk(t, TNEF(), bad, noLimits); !r.Has(ambiguousTNEF) || r.Unread() || !r.Contains("@lie:file:0000") {
		t.Error(r)
	}
	// A list that goes on behind its attribute: it is a child as it is, and that is said.
	for name, list := range map[string][]byte{
		"a type of none": mapiList(mapi(0x77, 0x1000, "", unpacktest.Marked("lost", 60))),
		"count":          append([]byte("\xff\xff\xff\xff"), mapi(0x102, 0x1013, "", unpacktest.Marked("lost", 60))...),
		"length":         bytes.Replace(mapiList(mapi(0x102, 0x1013, "", unpacktest.Marked("lost", 60))), []byte{60, 0, 0, 0}, []byte{255, 255, 255, 255}, 1),
		"values":         mapiList([]byte("\x02\x10\x00\x10\xff\xff\xff\xff@lie:lost:0000@")),
	} {
		r := unpacktest.Walk(t, TNEF(), append([]byte(tnefStart), attribute(1, tnefProperties, list)...), noLimits)
		if !r.Has("corrupt") || !r.Contains("@lie:lost:0000") {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// wholeTNEF tells whether a message ends where an attribute does: it has no mark at its end.
func wholeTNEF(b []byte) bool {
	for at := 6; ; {
		if at == len(b) {
			return true
		}
		if len(b) < at+11 {
			return false
		}
		at += 11 + int(le.Uint32(b[at+5:]))
	}
}

func TestTNEFConform(t *testing.T) {
	unpacktest.ConformWhole(t, TNEF(), map[string][]byte{"winmail": winmail()}, wholeTNEF)
}

func FuzzTNEF(f *testing.F) {
	unpacktest.Fuzz(f, TNEF(), winmail()[:900], append([]byte(tnefStart), attribute(2, tnefData, []byte("data"))...))
}

func TestClamTNEF(t *testing.T) {
	b, err := os.ReadFile("/usr/share/clamav-testfiles/clam.tnef")
	if err != nil {
		t.Skip("package clamav-testfiles is not installed")
	}
	r := unpacktest.Walk(t, TNEF(), b, noLimits)
	if !strings.HasPrefix(r.Child(t, "tnef.file", "clam.exe"), "MZ") || r.Unread() {
		t.Error(r)
	}
}

// oneNote is a section with files.
func oneNote(files ...[]byte) []byte {
	b := make([]byte, 1024)
	copy(b, oneNoteMagic)
	copy(b[48:], oneNoteStore)
	b = append(b, "text"...)
	for _, f := range files {
		b = le.AppendUint64(append(b, oneNoteHeader...), uint64(len(f)))
		b = append(append(b, make([]byte, 12)...), f...)
		b = append(b, make([]byte, -len(f)&7)...)
		b = append(b, oneNoteFooter...)
	}
	b = append(b, unpacktest.UTF16("more text")...)
	le.PutUint64(b[196:], uint64(len(b)))
	return b
}

func TestOneNote(t *testing.T) {
	one, two := unpacktest.Marked("one", 101), unpacktest.Marked("two", 64)
	whole := oneNote(one, nil, two)
	r := unpacktest.Walk(t, OneNote(), whole, noLimits)
	if got := readings(r, "onenote.file"); !slices.Equal(got, []string{string(one), string(two)}) || len(r.Gaps) > 0 {
		t.Error(r)
	}
	at := bytes.Index(whole, []byte(oneNoteHeader)) + 16
	for name, n := range map[string]uint64{"short": 3, "nothing": 0, "long": 200, "all": 1 << 63, "most": 1<<64 - 1} {
		b := bytes.Clone(whole)
		le.PutUint64(b[at:], n)
		r := unpacktest.Walk(t, OneNote(), b, noLimits)
		if !r.Has(ambiguousOneNote) || !r.Contains(string(one)) || !slices.Contains(readings(r, "onenote.file"), string(two)) {
			t.Errorf("%s: %v", name, r)
		}
	}
	packed := bytes.Clone(whole)
	packed[48]++
	if r := unpacktest.Walk(t, OneNote(), packed, noLimits); !r.Has(packedOneNote) || !r.Contains(string(two)) {
		t.Error(r)
	}
	unpacktest.Conform(t, OneNote(), map[string][]byte{"files": whole})
}

func FuzzOneNote(f *testing.F) {
	unpacktest.Fuzz(f, OneNote(), oneNote([]byte("data")), oneNote([]byte("12345678"), nil))
}
