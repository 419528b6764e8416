package codesign_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/codesign"
	"github.com/showcause/showcause/binary/macho"
	"github.com/showcause/showcause/product/estate"
)

func parse(t testing.TB, b []byte) *codesign.Signature {
	t.Helper()
	m := macho.Parse(showcause.Bytes(b), macho.Options{X: true})
	if m == nil {
		return nil
	}
	list, _ := codesign.Parse(showcause.Bytes(b), m, nil)
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func TestSignature(t *testing.T) {
	who, err := estate.NewPerson("Example GmbH", "Developer ID Application: Example GmbH (ABCDE12345)")
	if err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("what the program does. ", 900)
	b := estate.MachO(who, "org.example.agent", "ABCDE12345", content)
	s := parse(t, b)
	if s == nil || !s.Verified || s.AdHoc || s.Identifier != "org.example.agent" || s.Team != "ABCDE12345" || s.Organization != "Example GmbH" ||
		len(s.Chain) != 2 || !strings.Contains(s.Chain[1], "Invented Root") || !bytes.Equal(b[s.Offset:s.Offset+4], []byte{0xfa, 0xde, 0x0c, 0xc0}) {
		t.Fatalf("%+v", s)
	}
	for name, at := range map[string]int{
		"code": 100, "identifier": bytes.Index(b, []byte("org.example")), "team": bytes.Index(b, []byte("ABCDE12345\x00")),
		"last page": bytes.LastIndex(b[:s.Offset], []byte("program")),
	} {
		other := bytes.Clone(b)
		other[at] ^= 1
		if s := parse(t, other); s == nil || s.Verified {
			t.Errorf("%s changed: %+v", name, s)
		}
	}
	if s := parse(t, estate.MachO(nil, "org.example.agent", "ABCDE12345", content)); s == nil || s.Verified || !s.AdHoc {
		t.Errorf("ad hoc: %+v", s)
	}
}

func TestCut(t *testing.T) {
	who, err := estate.NewPerson("Example GmbH", "x")
	if err != nil {
		t.Fatal(err)
	}
	b := estate.MachO(who, "a.b", "T", "code")
	for n := range b {
		if s := parse(t, b[:n]); s != nil && s.Verified && n < len(b)-7000 {
			t.Fatalf("%d bytes: %+v", n, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	who, err := estate.NewPerson("Example GmbH", "x")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(estate.MachO(who, "a.b", "T", "code"))
	f.Add(estate.MachO(nil, "a.b", "", "code"))
	f.Fuzz(func(t *testing.T, b []byte) { parse(t, b) })
}
