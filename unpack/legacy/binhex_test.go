package legacy

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// binHexBytes is what the characters of a file stand for, without repetitions.
func binHexBytes(name string, data, resource []byte) []byte {
	sum := func(b []byte) []byte { return binary.BigEndian.AppendUint16(b, binHexSum(0, b)) }
	h := append([]byte{byte(len(name))}, name...)
	h = append(h, "\x00TEXTmake\x00\x00"...)
	h = binary.BigEndian.AppendUint32(h, uint32(len(data)))
	h = binary.BigEndian.AppendUint32(h, uint32(len(resource)))
	return slices.Concat(sum(h), sum(bytes.Clone(data)), sum(bytes.Clone(resource)))
}

func binHexOf(b []byte) []byte {
	var runs []byte
	for len(b) > 0 {
		n := 1
		for n < len(b) && n < 255 && b[n] == b[0] {
			n++
		}
		switch {
		case b[0] == 0x90:
			n = 1
			runs = append(runs, 0x90, 0)
		case n > 3:
			runs = append(runs, b[0], 0x90, byte(n))
		default:
			n = 1
			runs = append(runs, b[0])
		}
		b = b[n:]
	}
	out := []byte(string(binHexMark) + " 4.0)\n\n:")
	bits, have, col := 0, 0, 1
	for _, c := range append(runs, 0) {
		bits, have = bits<<8|int(c), have+8
		for have >= 6 {
			have -= 6
			out = append(out, binHexDigits[bits>>have&63])
			if col++; col == 64 {
				out, col = append(out, '\n'), 0
			}
		}
	}
	return append(out, ":\n"...)
}

func TestBinHex(t *testing.T) {
	data := slices.Concat(bytes.Repeat([]byte{0x90}, 20), []byte("content and so on"), make([]byte, 1000), []byte{0x90})
	resource := []byte("the resources of it")
	whole := binHexOf(binHexBytes("a name", data, resource))
	for name, b := range map[string][]byte{
		"alone": whole, "behind text": slices.Concat([]byte("Dear all,\nhere it is.\n"), whole, []byte("bye\n")),
		"far behind text":  slices.Concat(bytes.Repeat([]byte("Dear all, here it is.\n"), 5000), whole),
		"another line end": bytes.ReplaceAll(whole, []byte("\n"), []byte("\r")),
	} {
		if !BinHex().Match(unpacktest.Probe(showcause.Bytes(b))) {
			t.Errorf("%s: no match", name)
		}
		r := unpacktest.Walk(t, BinHex(), b, showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != 2 || !bytes.Equal(r.Children[0].Data, data) || !bytes.Equal(r.Children[1].Data, resource) || r.Children[0].Name != "a name" {
			t.Errorf("%s: %s", name, r)
		}
	}
	two := append(bytes.Clone(whole), binHexOf(binHexBytes("b", []byte("second"), nil))...)
	if r := unpacktest.Walk(t, BinHex(), two, showcause.Limits{}); len(r.Gaps) > 0 || len(r.Children) != 3 || !r.Contains("second") {
		t.Errorf("two: %s", r)
	}
	b := binHexBytes("a", data, nil)
	b[len(b)-3]++
	for name, bad := range map[string][]byte{
		"checksum":   binHexOf(b),
		"no colon":   []byte("(This file must be converted with BinHex 4.0)\n\nnothing"),
		"odd header": []byte("(This file must be converted with BinHex 4.0)\n:\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\":"),
		"longer":     bytes.Replace(whole, []byte(":\n"), []byte("abcdef\n:\n"), 1),
		"a letter":   bytes.Replace(whole, []byte("\n"), []byte("\n~"), 3),
	} {
		if r := unpacktest.Walk(t, BinHex(), bad, showcause.Limits{}); !r.Has(showcause.Corrupt) {
			t.Errorf("%s: %s", name, r)
		}
	}
	for _, text := range []string{"see (This file must be converted with BinHex 4.0) in old mails\n:and colons", "# magic\n0 string (This file must be converted with BinHex 4.0)\n"} {
		if r := unpacktest.Walk(t, BinHex(), []byte(text), showcause.Limits{}); len(r.Children)+len(r.Gaps) > 0 {
			t.Errorf("%q: %s", text, r)
		}
	}
}

// The file of Debian's clamav-testfiles has the program that all of them have.
func TestClamavTestFiles(t *testing.T) {
	want, err := os.ReadFile("/usr/share/clamav-testfiles/clam.exe")
	if err != nil {
		t.Skip("clamav-testfiles is not installed")
	}
	b, err := os.ReadFile("/usr/share/clamav-testfiles/clam.exe.binhex")
	if err != nil {
		t.Fatal(err)
	}
	if r := unpacktest.Walk(t, BinHex(), b, showcause.Limits{}); len(r.Gaps) > 0 || len(r.Children) != 2 || !bytes.Equal(r.Children[0].Data, want) {
		t.Errorf("binhex: %s", r)
	}
}

func TestBinHexConforms(t *testing.T) {
	whole := binHexOf(binHexBytes("a name", []byte("content and so on "+strings.Repeat("x", 300)), []byte("resources")))
	end := bytes.LastIndexByte(whole, ':') + 1
	unpacktest.ConformWhole(t, BinHex(), map[string][]byte{"binhex": whole}, func(b []byte) bool { return len(b) >= end })
}

func FuzzBinHex(f *testing.F) {
	unpacktest.Fuzz(f, BinHex(), binHexOf(binHexBytes("a name", []byte("content and so on"), []byte("resources"))))
}
