package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// gz is the start of a gzip file.
const gz = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"

// cpioMember is one member in the format of that name.
func cpioMember(format, name, data string) []byte {
	mode := 0o100644
	if name == cpioTrailer {
		mode = 0
	}
	var b []byte
	align := 1
	switch format {
	case "newc", "crc":
		magic, sum := "070701", 0
		if format == "crc" {
			magic = "070702"
			for _, c := range []byte(data) {
				sum += int(c)
			}
		}
		b = fmt.Appendf(nil, "%s%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", magic, 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, sum)
		align = 4
	case "odc":
		b = fmt.Appendf(nil, "070707%06o%06o%06o%06o%06o%06o%06o%011o%06o%011o", 1, 1, mode, 0, 0, 1, 0, 0, len(name)+1, len(data))
	default:
		var o binary.AppendByteOrder = binary.LittleEndian
		if format == "bin-be" {
			o = binary.BigEndian
		}
		for _, v := range []int{0o070707, 1, 1, mode, 0, 0, 1, 0, 0, 0, len(name) + 1, len(data) >> 16, len(data) & 0xffff} {
			b = o.AppendUint16(b, uint16(v))
		}
		align = 2
	}
	pad := func() {
		for len(b)%align != 0 {
			b = append(b, 0)
		}
	}
	b = append(b, name+"\x00"...)
	pad()
	b = append(b, data...)
	pad()
	return b
}

var cpioFormats = []string{"newc", "crc", "odc", "bin-le", "bin-be"}

func cpioFile(format string, members ...string) []byte {
	var b []byte
	for i := 0; i+1 < len(members); i += 2 {
		b = append(b, cpioMember(format, members[i], members[i+1])...)
	}
	return append(b, cpioMember(format, cpioTrailer, "")...)
}

func TestCpio(t *testing.T) {
	for _, format := range cpioFormats {
		ab := cpioFile(format, "a", "one", "dir", "", "b", "three")
		align := make([]byte, -len(ab)&3)
		for _, c := range []struct {
			name string
			data []byte
			want string
		}{
			{"ordinary", cat(ab, make([]byte, 512)), "a=one b=three"},
			{"odd names", cpioFile(format, "../../x", "1", "a\x1b[0m", "2", strings.Repeat("n", 5000), "3"), "../../x=1 a\x1b[0m=2 " + strings.Repeat("n", unpack.MaxName) + "=3"},
			{"joined", cat(ab, align, cpioFile(format, "c", "four")), "a=one b=three c=four ambiguous.cpio.concatenated"},
			{"initrd", cat(ab, make([]byte, 100), []byte(gz)), "a=one b=three =" + gz},
			{"junk behind", cat(ab, []byte("junk")), "a=one b=three =junk corrupt"},
			{"no trailer", cpioMember(format, "a", "one"), "a=one corrupt"},
			{"huge size", cpioHuge(format), "a=one corrupt corrupt"},
		} {
			t.Run(format+" "+c.name, func(t *testing.T) {
				if !Cpio().Match(unpacktest.Probe(showcause.Bytes(c.data))) {
					t.Error("no match")
				}
				r := unpacktest.Walk(t, Cpio(), c.data, showcause.Limits{})
				if got := listing(r); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			})
		}
	}
	junk := cat(cpioMember("newc", "a", "one"), []byte("junk"), cpioFile("newc", "b", "two"))
	if got := listing(unpacktest.Walk(t, Cpio(), junk, showcause.Limits{})); got != "a=one b=two corrupt" {
		t.Errorf("junk between: %s", got)
	}
}

// cpioHuge is a member that says a size of much more than there is.
func cpioHuge(format string) []byte {
	b := cpioMember(format, "a", "one")
	switch format {
	case "newc", "crc":
		copy(b[54:], "ffffffff")
		return b[:len(b)-1]
	case "odc":
		copy(b[65:], "77777777777")
	default:
		copy(b[22:], "\xff\xff\xff\xff")
		return b[:len(b)-1]
	}
	return b
}

// The archives made here are archives for another reader too.
func TestCpioSamplesAreReal(t *testing.T) {
	for _, format := range []string{"newc", "crc", "odc", "bin-le"} {
		path := filepath.Join(t.TempDir(), "x.cpio")
		check(t, os.WriteFile(path, cpioFile(format, "a", "one", "b", "three"), 0o644))
		if got := unpacktest.Tool(t, nil, "7z", "e", "-so", "-tcpio", path); string(got) != "onethree" {
			t.Errorf("%s: 7z reads %q", format, got)
		}
	}
}

func TestCpioConform(t *testing.T) {
	samples := map[string][]byte{}
	for _, f := range cpioFormats {
		samples[f] = cat(cpioFile(f, "a", "one", "empty", "", "b", strings.Repeat("three", 50)), make([]byte, 64))
	}
	newc := cpioFile("newc", "a", "one")
	samples["joined"] = cat(newc, make([]byte, -len(newc)&3), cpioFile("newc", "b", "two"))
	unpacktest.ConformWhole(t, Cpio(), samples, func(cut []byte) bool {
		// A cut behind the first archive, or in the zeros behind it, leaves a whole one.
		return bytes.HasPrefix(samples["joined"], cut) && len(cut) >= len(newc) && len(bytes.TrimLeft(cut[len(newc):], "\x00")) == 0
	})
}

func FuzzCpio(f *testing.F) {
	var seeds [][]byte
	for _, format := range cpioFormats {
		seeds = append(seeds, cpioFile(format, "a", "one", "b", "three"))
	}
	unpacktest.Fuzz(f, Cpio(), append(seeds, cat(seeds[0], []byte(gz)))...)
}

// arMember is a member with its padding; size -1 is that of data.
func arMember(name, data string, size int) []byte {
	if size < 0 {
		size = len(data)
	}
	b := fmt.Appendf(nil, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", name, 0, 0, 0, 0o100644, size, data)
	if len(b)%2 != 0 {
		b = append(b, '\n')
	}
	return b
}

func TestAr(t *testing.T) {
	table := "a-name-of-more-than-16-bytes/\nb-name-of-more-than-16-bytes/\n"
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", arMagic, ""},
		{"common", cat(arMagic, arMember("a", "one", -1), arMember("b", "four", -1)), "a=one b=four"},
		{"no padding at the end", cat(arMagic, arMember("a", "one", -1)[:63]), "a=one"},
		{
			"gnu", cat(arMagic, arMember("/", "symbols", -1), arMember("//", table, -1), arMember("/30", "one", -1), arMember("/0", "four", -1), arMember("c/", "c", -1)),
			"/=symbols //=" + table + " b-name-of-more-than-16-bytes=one a-name-of-more-than-16-bytes=four c=c",
		},
		{"gnu, bad offset", cat(arMagic, arMember("/999", "one", -1)), "/999=one"},
		{"bsd", cat(arMagic, arMember("#1/20", "a name with spaces\x00\x00one", -1), arMember("b", "four", -1)), "a name with spaces=one b=four"},
		{"bsd, bad length", cat(arMagic, arMember("#1/99", "one", -1)), "#1/99=one"},
		{"thin", cat(arThin, arMember("//", "x/\n", -1), arMember("/0", "", 12345), arMember("/0", "", 7)), "//=x/\n unsupported.format.ar-thin"},
		{"thin, no members", cat(arThin, arMember("//", "x/\n", -1)), "//=x/\n"},
		{"truncated", cat(arMagic, arMember("a", "one", 100)), "a=one\n corrupt"},
		{"huge size", cat(arMagic, arMember("a", "one", 9_999_999_999)), "a=one\n corrupt"},
		{"bad size", cat(arMagic, []byte(strings.Replace(string(arMember("a", "one", -1)), "3         `", "x         `", 1)), arMember("b", "four", -1)), "b=four corrupt"},
		{"junk between", cat(arMagic, arMember("a", "one", -1), []byte("junk!!"), arMember("b", "four", -1)), "a=one b=four corrupt"},
		{"junk behind", cat(arMagic, arMember("a", "one", -1), []byte("junk!!")), "a=one corrupt"},
		{"odd names", cat(arMagic, arMember("../\x1b\r", "one", -1)), "../\x1b\r=one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !Ar().Match(unpacktest.Probe(showcause.Bytes(c.data))) {
				t.Error("no match")
			}
			r := unpacktest.Walk(t, Ar(), c.data, showcause.Limits{})
			if got := listing(r); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func arSamples() map[string][]byte {
	return map[string][]byte{
		"deb":  cat(arMagic, arMember("debian-binary", "2.0\n", -1), arMember("control.tar", string(file("control", "x")), -1), arMember("data.tar", string(file("a", "one")), -1)),
		"gnu":  cat(arMagic, arMember("//", "a-long-name-of-a-member/\n", -1), arMember("/0", "one", -1), arMember("c/", "c", -1)),
		"bsd":  cat(arMagic, arMember("#1/20", "a name with spaces\x00\x00one", -1), arMember("b", "four", -1)),
		"thin": cat(arThin, arMember("//", "x/\n", -1), arMember("/0", "", 12345)),
	}
}

func TestArConform(t *testing.T) {
	unpacktest.ConformWhole(t, Ar(), arSamples(), func(cut []byte) bool {
		// There is no end mark: a cut between members leaves a whole archive.
		off := 8
		for off+60 <= len(cut) {
			var size int
			fmt.Sscan(string(cut[off+48:off+58]), &size)
			if bytes.HasPrefix(cut, arThin) && cut[off] == '/' && cut[off+1] != '/' {
				size = 0
			}
			off += 60 + size
			if off == len(cut) {
				return true
			}
			off += off & 1
		}
		return off == len(cut)
	})
}

func FuzzAr(f *testing.F) {
	var seeds [][]byte
	for _, s := range arSamples() {
		seeds = append(seeds, s)
	}
	unpacktest.Fuzz(f, Ar(), seeds...)
}

// Archives by the tools themselves.
func TestToolArchives(t *testing.T) {
	dir := t.TempDir()
	names := []string{"small", "a-name-of-more-than-sixteen-bytes", "odd"}
	for i, n := range names {
		check(t, os.WriteFile(filepath.Join(dir, n), unpacktest.Mixed(1001*(i+1)), 0o644))
	}
	list := strings.Join(names, "\n") + "\n"
	for _, c := range []struct {
		line string
		f    string
	}{
		{"cpio -o -H newc --quiet", "cpio"},
		{"cpio -o -H crc --quiet", "cpio"},
		{"cpio -o -H odc --quiet", "cpio"},
		{"cpio -o -H bin --quiet", "cpio"},
		{"ar rc x.a small a-name-of-more-than-sixteen-bytes odd", "ar"},
	} {
		t.Run(c.line, func(t *testing.T) {
			args := strings.Fields("cd $0 && " + c.line)
			data := unpacktest.Tool(t, []byte(list), "sh", "-c", strings.Join(args, " "), dir)
			f := Cpio()
			if c.f == "ar" {
				f = Ar()
				var err error
				data, err = os.ReadFile(filepath.Join(dir, "x.a"))
				check(t, err)
			}
			r := unpacktest.Walk(t, f, data, showcause.Limits{})
			if len(r.Gaps) > 0 {
				t.Errorf("gaps in an ordinary file: %s", r)
			}
			i := 0
			for _, ch := range r.Children {
				if i < len(names) && ch.Name == names[i] && ch.Digest == sha256.Sum256(unpacktest.Mixed(1001*(i+1))) {
					i++
				}
			}
			if i < len(names) {
				t.Errorf("member %d is not there: %s", i, r)
			}
		})
	}
}

// Names of thousands of members that all begin in one table do not keep the table.
func TestArNamesAreShort(t *testing.T) {
	data := append(bytes.Clone(arMagic), arMember("//", strings.Repeat("n", 1<<20), 1<<20)...)
	for range 300 {
		data = append(data, arMember("/0", "xx", 2)...)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := unpacktest.Walk(t, Ar(), data, showcause.Limits{})
	runtime.ReadMemStats(&after)
	if len(r.Children) != 301 || r.Children[300].Name != strings.Repeat("n", unpack.MaxName) {
		t.Fatalf("%d children", len(r.Children))
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d bytes for 300 names", n)
	}
}

// A payload whose names and sizes are elsewhere is told, not passed over.
func TestCpioStripped(t *testing.T) {
	b := []byte("07070X00000000\x00\x00content that is somebody's")
	p := unpacktest.Probe(showcause.Bytes(b))
	if !Cpio().Match(p) {
		t.Fatal("not seen")
	}
	var gaps []showcause.Gap
	out := unpack.NewOut(unpack.NewBudget(showcause.Limits{}, int64(len(b)), nil), nil, func(showcause.Layer) { t.Error("a child") }, func(g showcause.Gap) { gaps = append(gaps, g) })
	Cpio().Walk(showcause.Bytes(b), out)
	if len(gaps) != 1 || gaps[0].Code != "unsupported.method.cpio-stripped" || gaps[0].Length != int64(len(b)) {
		t.Errorf("%+v", gaps)
	}
}
