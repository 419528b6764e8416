package filetype

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// toldSamples are starts of archives, by the name of their type.
func toldSamples() map[string][]byte {
	pad := func(s string, n int) []byte { return append([]byte(s), make([]byte, max(n-len(s), 0))...) }
	out := map[string][]byte{
		"dar":           pad("\x00\x00\x00\x7bABCDEFGHIJTT\x00", 512),
		"rzip":          pad("RZIP\x02\x01\x00\x00\x10\x00", 64),
		"arc":           pad("\x1a\x08NAME.TXT\x00\x00\x00\x00\x00\x10\x00\x00\x00", 64),
		"ha":            pad("HA\x01\x00\x21\x10\x00\x00\x00", 64),
		"uharc":         pad("UHA\x06", 64),
		"rnc":           pad("RNC\x01\x00\x00\x10\x00\x00\x00\x08\x00", 64),
		"xpk":           pad("XPKF\x00\x00\x10\x00NUKE\x00\x00\x20\x00", 64),
		"powerpacker":   pad("PP20\x09\x0a\x0c\x0d", 64),
		"bzip1":         pad("BZ09\x81\x02\xff", 64),
		"lzf":           pad("ZV\x01\x00\x10\x00\x20", 64),
		"squeeze":       pad("\x76\xff\x12\x34NAME.TXT\x00", 64),
		"lzfse":         pad("bvx2\x00\x10\x00\x00", 64),
		"cso":           pad("CISO\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x08", 64),
		"dump":          pad("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x6c\xea\x00\x00", 1024),
		"afio":          pad("070727"+strings.Repeat("0", 110)+"name\x00", 200),
		"apple-archive": pad("AA01\x20\x00TYP1D", 64),
		"adf":           pad("DOS\x00", 901120),
	}
	nero := append(pad("", 100_000), "NER5"...)
	out["nero-image"] = binary.BigEndian.AppendUint64(nero, 90_000)
	cdi := binary.LittleEndian.AppendUint32(pad("", 100_000), 0x80000006)
	out["discjuggler"] = binary.LittleEndian.AppendUint32(cdi, 4000)
	for _, m := range archives {
		if _, ok := out[m.t.String()]; !ok {
			out[m.t.String()] = pad(strings.Repeat("\x00", m.off)+m.sig, 64)
		}
	}
	return out
}

// Every type that is told by archives.go is, hides what it has, and is not found
// where it is cut or its magic is another.
func TestTold(t *testing.T) {
	seen := map[Type]bool{}
	for name, b := range toldSamples() {
		got := Detect(b[:min(len(b), 64<<10)], showcause.Bytes(b))
		if got.String() != name || !got.Hides() {
			t.Errorf("%s is %s", name, got)
		}
		seen[got] = true
		for n := range min(len(b), 600) {
			Detect(b[:n], showcause.Bytes(b[:n]))
		}
	}
	for ty := zpaq; int(ty) < len(rows); ty++ {
		if !seen[ty] {
			t.Errorf("%s has no sample", ty)
		}
	}
}

// None of the files of a system is one.
func TestToldOfOrdinary(t *testing.T) {
	if testing.Short() {
		t.Skip("reads the files of the system")
	}
	n := 0
	for _, root := range []string{"/usr/bin", "/usr/lib", "/usr/share", "/usr/local/go/src", "/etc"} {
		here := 0
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || strings.Contains(path, "clamav-testfiles") || strings.Contains(path, "testdata") || here >= ordinaryMost {
				return nil
			}
			f, err := os.Open(path)
			if err != nil {
				return nil
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				return nil
			}
			var head [4096]byte
			k, _ := f.ReadAt(head[:], 0)
			n++
			here++
			src := fileSource{f, info.Size()}
			if got := told(head[:k]); got != Unknown {
				t.Errorf("%s is %s", path, got)
			}
			if got := floppy(head[:k], src); got != Unknown {
				t.Errorf("%s is %s", path, got)
			}
			if got := track(src); got != Unknown {
				t.Errorf("%s is %s", path, got)
			}
			return nil
		})
	}
	t.Logf("%d files", n)
}

// ordinaryMost is how many files of each folder are read.
const ordinaryMost = 1000

type fileSource struct {
	*os.File
	size int64
}

func (f fileSource) Size() int64 { return f.size }
