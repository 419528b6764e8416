package office

import (
	"bytes"
	"strings"
	"testing"

	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func document(shift int) []byte {
	return compoundFile(shift, "", []leaf{
		{"WordDocument", unpacktest.Marked("large", 5000)},
		{"small", unpacktest.Marked("small", 700)},
		{"empty", nil},
		{"Ünïcode/\x01Ole", unpacktest.Marked("inner", 4600)},
		{"Ünïcode/deep/x", unpacktest.Marked("deep", 64)},
	}, nil)
}

func TestCFB(t *testing.T) {
	for _, shift := range []int{9, 12} {
		r := unpacktest.Walk(t, CFB(), document(shift), noLimits)
		if got := r.Ops(); got != "cfb.stream WordDocument; cfb.stream small; cfb.stream Ünïcode/\x01Ole; cfb.stream Ünïcode/deep/x" || len(r.Gaps) > 0 {
			t.Errorf("%d: %q %v", shift, got, r.Gaps)
		}
		if r.Child(t, "cfb.stream", "small") != string(unpacktest.Marked("small", 700)) || r.Child(t, "cfb.stream", "Ünïcode/\x01Ole") != string(unpacktest.Marked("inner", 4600)) {
			t.Error("bytes")
		}
	}
}

// What is in no stream.
func TestCFBRest(t *testing.T) {
	b := document(9)
	whole := len(b)
	copy(b[512+5000:], "hidden in the slack of it") // WordDocument begins behind the header
	b = append(b, bytes.Repeat([]byte{0}, 700)...)
	b = append(b, "behind the file"...)
	r := unpacktest.Walk(t, CFB(), b, noLimits)
	if s := r.Child(t, "cfb.slack", ""); !strings.Contains(s, "hidden in the slack of it") {
		t.Errorf("slack %q", s)
	}
	if s := r.Child(t, "cfb.rest", ""); !strings.Contains(s, "behind the file") || len(s) > 700 {
		t.Errorf("rest %q", s)
	}
	// An entry that is not used any more.
	b = compoundFile(9, "", []leaf{{"a", []byte("kept")}, {"gone", unpacktest.Marked("gone", 5000)}, {"few", []byte("small and gone")}}, func(dir []byte) {
		dir[2*128+66], dir[3*128+66] = 0, 0
		le.PutUint32(dir[128+72:], 0xffffffff)
	})
	r = unpacktest.Walk(t, CFB(), b, noLimits)
	if r.Child(t, "cfb.deleted", "gone") != string(unpacktest.Marked("gone", 5000)) || r.Child(t, "cfb.deleted", "few") != "small and gone" || len(r.Gaps) > 0 {
		t.Error(r)
	}
	// Two entries for one stream.
	b = compoundFile(9, "", []leaf{{"a", unpacktest.Marked("a", 5000)}, {"b", unpacktest.Marked("b", 5000)}}, func(dir []byte) { le.PutUint32(dir[2*128+116:], 0) })
	r = unpacktest.Walk(t, CFB(), b, noLimits)
	if !r.Has(overlap) || !strings.Contains(r.Child(t, "cfb.rest", ""), "@lie:b:0000") || r.Unread() {
		t.Error(r)
	}
	_ = whole
}

func TestInstallerNames(t *testing.T) {
	const class = "\x84\x10\x0c\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"
	// "_StringData" and "Cab." as installers write them.
	pack := func(s string) string {
		const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
		var out []rune
		for ; len(s) > 1; s = s[2:] {
			out = append(out, rune(0x3800+strings.IndexByte(letters, s[0])+strings.IndexByte(letters, s[1])<<6))
		}
		if s != "" {
			out = append(out, rune(0x4800+strings.IndexByte(letters, s[0])))
		}
		return string(out)
	}
	leaves := []leaf{{"\u4840" + pack("_StringData"), []byte("x")}, {pack("Data1.cab"), []byte("MSCF")}, {"\x05SummaryInformation", []byte("s")}}
	if got := unpacktest.Walk(t, CFB(), compoundFile(9, class, leaves, nil), noLimits).Ops(); got != "cfb.stream !_StringData; cfb.stream Data1.cab; cfb.stream \x05SummaryInformation" {
		t.Errorf("%q", got)
	}
}

func TestSealed(t *testing.T) {
	fib := make([]byte, 5000)
	le.PutUint16(fib, 0xa5ec)
	fib[11] = 1
	user := make([]byte, 40)
	le.PutUint32(user[12:], 0xf3d1c4df)
	for name, leaves := range map[string][]leaf{
		"word":       {{"WordDocument", fib}},
		"powerpoint": {{"Current User", user}, {"PowerPoint Document", fib}},
		"rights":     {{"\x09DRMContent", fib}},
	} {
		if r := unpacktest.Walk(t, Format(), compoundFile(9, "", leaves, nil), noLimits); !r.Has("encrypted") {
			t.Errorf("%s: %v", name, r)
		}
	}
	fib[11] = 0
	if r := unpacktest.Walk(t, Format(), compoundFile(9, "", []leaf{{"WordDocument", fib}}, nil), noLimits); len(r.Gaps) > 0 {
		t.Error(r)
	}
}

// Chains and trees that turn back, and sizes that lie: what can be reached is read.
func TestCFBHostile(t *testing.T) {
	base := document(9)
	fat := len(base) - 512
	for name, edit := range map[string]func(b []byte){
		"sector leads to itself": func(b []byte) { le.PutUint32(b[fat+4*3:], 3) },
		"size of 2^31": func(b []byte) {
			at := bytes.Index(b, unpacktest.UTF16("WordDocument"))
			le.PutUint32(b[at+120:], 1<<31)
		},
		"sibling is itself": func(b []byte) { at := bytes.Index(b, unpacktest.UTF16("small")); le.PutUint32(b[at+72:], 2) },
		"small chain": func(b []byte) {
			at := bytes.Index(b, []byte("\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00"))
			le.PutUint32(b[at:], 0)
		},
		"directory leads away": func(b []byte) { le.PutUint32(b[48:], 1<<20) },
		"no table":             func(b []byte) { le.PutUint32(b[76:], 0xffffffff) },
	} {
		b := bytes.Clone(base)
		edit(b)
		if bytes.Equal(b, base) {
			t.Fatalf("%s: nothing changed", name)
		}
		r := unpacktest.Walk(t, CFB(), b, noLimits)
		if !r.Has("corrupt") {
			t.Errorf("%s: %v", name, r)
		}
		for _, m := range []string{"@lie:large:0009", "@lie:small:0001", "@lie:inner:0008", "@lie:deep:0000"} {
			if !r.Contains(m) {
				t.Errorf("%s: %s is nowhere: %v", name, m, r)
			}
		}
	}
}

func TestCFBConform(t *testing.T) {
	unpacktest.Conform(t, CFB(), map[string][]byte{"v3": document(9), "v4": document(12)})
	r := unpacktest.Walk(t, CFB(), append([]byte{0, 1, 0, 0}, document(9)...), noLimits)
	if r.Child(t, "cfb.object", "") != string(document(9)) {
		t.Error(r)
	}
}

func TestCFBLies(t *testing.T) {
	for _, shift := range []int{9, 12} {
		unpacktest.Lies(t, false, []unpack.Format{CFB()}, document(shift), unpacktest.Harmless{From: 0, To: 8, Why: "without the mark it is no compound file"})
	}
}

func FuzzCFB(f *testing.F) { unpacktest.Fuzz(f, CFB(), document(9), document(12)) }
