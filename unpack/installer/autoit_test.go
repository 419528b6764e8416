package installer

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// The files of ClamAV's tests hold a program of 544 bytes.
func TestAutoItFiles(t *testing.T) {
	for _, name := range []string{"clam.ea05.exe", "clam.ea06.exe"} {
		b, err := os.ReadFile("/usr/share/clamav-testfiles/" + name)
		if err != nil {
			t.Skip("clamav-testfiles is not installed")
		}
		want, err := os.ReadFile("/usr/share/clamav-testfiles/clam.exe")
		if err != nil {
			t.Fatal(err)
		}
		r := unpacktest.Walk(t, AutoIt(), b, showcause.Limits{})
		if !r.Contains(string(want)) || r.Unread() {
			t.Errorf("%s: %s", name, r)
		}
	}
}

// compiledScript writes what AutoIt compiles: files by path, the script first.
func compiledScript(version byte, packed bool, files ...[2]string) []byte {
	k, _ := keysOf(version)
	b := append([]byte(autoitMagic), version)
	b = append(b, bytes.Repeat([]byte{3}, 16)...)
	data := k.data
	if version == '5' {
		data += 48
	}
	xor := func(s string, seed uint32) []byte {
		out, _ := io.ReadAll(clear{strings.NewReader(s), k.stream(seed)})
		return out
	}
	text := func(s string, key, seed uint32) {
		b = le.AppendUint32(b, uint32(len(s))^key)
		if wide := s; k.unit == 2 {
			s = ""
			for _, c := range utf16.Encode([]rune(wide)) {
				s += string([]byte{byte(c), byte(c >> 8)})
			}
		}
		b = append(b, xor(s, uint32(int64(len(s))/k.unit)+seed)...)
	}
	for i, f := range files {
		b = le.AppendUint32(b, k.file)
		kind := "<something>"
		if i == 0 {
			kind = ">>>AUTOIT SCRIPT<<<"
		}
		text(kind, k.kind, k.kindSeed)
		text(f[0], k.path, k.pathSeed)
		body, method := f[1], byte(0)
		if packed {
			body, method = squeeze(version, k.literal, body), 1
		}
		b = append(b, method)
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(body))^k.size), uint32(len(f[1]))^k.size)
		b = append(b, make([]byte, 20)...)
		b = append(b, xor(body, data)...)
	}
	return b
}

// squeeze compresses: literals, and matches of what is eight before.
func squeeze(version byte, literal int, text string) string {
	out := binary.BigEndian.AppendUint32([]byte("EA0"+string(version)), uint32(len(text)))
	word, n := uint16(0), 0
	put := func(v, bits int) {
		for i := bits - 1; i >= 0; i-- {
			word = word<<1 | uint16(v>>i&1)
			if n++; n == 16 {
				out = binary.BigEndian.AppendUint16(out, word)
				n = 0
			}
		}
	}
	for i := 0; i < len(text); {
		same := 0
		for i >= 8 && i+same < len(text) && text[i+same] == text[i+same-8] {
			same++
		}
		if same < 3 {
			put(literal, 1)
			put(int(text[i]), 8)
			i++
			continue
		}
		put(1-literal, 1)
		put(8, 15)
		left := same - 3
		for i := 0; ; i++ {
			w := []int{2, 3, 5, 8}[min(i, 3)]
			v := min(left, 1<<w-1)
			put(v, w)
			if left -= v; v < 1<<w-1 {
				break
			}
		}
		i += same
	}
	put(0, 16)
	return string(out)
}

// script is one of every kind of token.
func script() (tokens, text string) {
	wide := func(op byte, s string) string {
		b := le.AppendUint32([]byte{op}, uint32(len(s)))
		for _, c := range s {
			b = le.AppendUint16(b, uint16(c)^uint16(len(s)))
		}
		return string(b)
	}
	b := "\x02\x00\x00\x00" + "\x00\x04\x00\x00\x00" + wide(0x33, "NAME") + "\x50" + wide(0x36, "a planted text") + "\x00\x05\x00\x00\x00" +
		"\x01\x00\x00\x00\x00\x47\x05\x10\x00\x00\x00\x48\x7f" + wide(0x34, "FUNCTION") + "\x47\x10\x01\x00\x00\x00\x02\x00\x00\x00\x40\x20\x00\x00\x00\x00\x00\x00\xf8\x3f\x48" + "\x7f"
	return b, "IF $NAME == \"a planted text\" THEN ABS ( 0x00000010 ) \nFUNCTION( 0x0000000200000001 , 1.5 ) \n"
}

func TestAutoIt(t *testing.T) {
	code, text := script()
	long := strings.Repeat("planted ", 400) + "the end"
	for _, packed := range []bool{false, true} {
		r := unpacktest.Walk(t, AutoIt(), compiledScript('6', packed, [2]string{"a.au3", code}, [2]string{"C:\\b", long}), showcause.Limits{})
		if got := r.Child(t, opScript, "a.au3"); got != text || r.Child(t, opFile, "C:\\b") != long || r.Unread() {
			t.Errorf("%v: %q, %s", packed, got, r)
		}
		r = unpacktest.Walk(t, AutoIt(), compiledScript('5', packed, [2]string{"a.au3", long}, [2]string{"b", "short"}), showcause.Limits{})
		if r.Child(t, opScript, "a.au3") != long || r.Child(t, opFile, "b") != "short" || r.Unread() {
			t.Errorf("%v: %s", packed, r)
		}
	}
	// A token that nobody knows is a gap, behind what was read.
	r := unpacktest.Walk(t, AutoIt(), compiledScript('6', true, [2]string{"a", code[:len(code)-1] + "\x6f"}), showcause.Limits{})
	if !r.Contains("a planted text") || !r.Has(autoitPacker) {
		t.Errorf("%s", r)
	}
}

func scripts() map[string][]byte {
	code, _ := script()
	return map[string][]byte{
		"6":        compiledScript('6', true, [2]string{"a.au3", code}),
		"5":        compiledScript('5', true, [2]string{"a.au3", strings.Repeat("planted ", 20)}),
		"5 stored": compiledScript('5', false, [2]string{"a.au3", strings.Repeat("planted ", 20)}),
	}
}

func TestAutoItConform(t *testing.T) {
	unpacktest.Conform(t, AutoIt(), scripts())
}

func FuzzAutoIt(f *testing.F) {
	var seeds [][]byte
	for _, b := range scripts() {
		seeds = append(seeds, b)
	}
	unpacktest.Fuzz(f, AutoIt(), seeds...)
}
