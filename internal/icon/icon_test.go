package icon_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/icon"
	"github.com/showcause/showcause/internal/icon/icontest"
	"github.com/showcause/showcause/unpack/exe"
)

// measured is what clamscan 1.4.6 prints of the icons of made(0) and made(1), with --debug.
var measured = map[uint64][]string{
	0: {"107a10a006aa0a044ac06012c302062c3000b2c3050bf00206f0000bf0050bd90a00de0904e90600750a055907012a06050600000800070f04081d48000e"},
	1: {
		"187c5010b4e6011149307000ea0e0222201053340705ee0e02e60108e4000fab0700ab070bab0e0b82020a4e01100a0104000f03000700000e0f00580c3c",
		"10067080205e0707051090b04e08020500707050090be90007e70806e60200d30702d50407d7050b8703067002026d010a3800003c0a004b000800000000",
		"20754080074d1600747150d6d909086ee0f006f01113d40908d30f00d21114d0150dd00500d001135c0f165a11025309063100103700003b1617005b0963",
		"106950a09670050865e0800365010347407044cf000be80103e20704e0000bc90a09cd0508ce08008403055807044a010b0e0a00200609210009043b255a",
		"2088110006f9120967605000d510170ed000d1680115f40801f21506f108096f08177f00168f1114640b105d16065a010b2f0017300f00350a0a382d001b",
	},
}

func made(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var all [][]byte
	for range 1 + r.IntN(6) {
		all = append(all, icontest.Bitmap(r))
	}
	return icontest.Program(all...)
}

func ours(t testing.TB, b []byte) (out []string) {
	at, cut := exe.Icons(showcause.Bytes(b), filetype.PE)
	if cut {
		t.Error("cut")
	}
	for _, off := range at {
		m, n, ok := icon.Measure(showcause.Bytes(b), off)
		if !ok {
			continue
		}
		if off+n > int64(len(b)) {
			t.Errorf("an icon at %d of %d bytes in %d", off, n, len(b))
		}
		again, err := icon.Parse(m.String())
		if m.Side%8 == 0 && err != nil || err == nil && (again.String() != m.String() || !m.Like(again)) {
			t.Errorf("%s is read as %v, %v", m, again, err)
		}
		out = append(out, m.String())
	}
	return out
}

// TestMeasured holds icons against what clamscan said of them.
func TestMeasured(t *testing.T) {
	for seed, want := range measured {
		if got := ours(t, made(seed)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d: %v\nwant %v", seed, got, want)
		}
	}
}

// TestClamscan does so with the clamscan that is installed.
func TestClamscan(t *testing.T) {
	clamscan, err := exec.LookPath("clamscan")
	if v, _ := exec.Command("clamscan", "--version").Output(); err != nil || !strings.HasPrefix(string(v), "ClamAV 1.4.") {
		t.Skip("clamscan 1.4 is not installed")
	}
	dir := t.TempDir()
	db, file := filepath.Join(dir, "db"), filepath.Join(dir, "file")
	if err := os.Mkdir(db, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"i.idb": "A:G:H:20" + strings.Repeat("0", 122), "i.ldb": "I;Engine:81-255,Target:1,IconGroup1:G;0;4d5a"} {
		if err := os.WriteFile(filepath.Join(db, name), []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for seed := range uint64(25) {
		b := made(seed)
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
		text, _ := exec.Command(clamscan, "--debug", "-d", db, file).CombinedOutput()
		var want []string
		for _, m := range regexp.MustCompile(`IDB SIGNATURE: ICON_NAME:GROUP1:GROUP2:(\w+)`).FindAllSubmatch(text, -1) {
			want = append(want, string(m[1]))
		}
		got := ours(t, b)
		if n += len(got); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d: %q\nclamscan %q", seed, got, want)
		}
	}
	if n < 20 {
		t.Errorf("only %d icons compared", n)
	}
}

// TestParse holds that what clamscan refuses is refused.
func TestParse(t *testing.T) {
	good := "20" + strings.Repeat("0", 122)
	for text, ok := range map[string]bool{
		good: true, "18" + good[2:]: true, "10" + good[2:]: true, "11" + good[2:]: false, good[1:]: false, good + "0": false, "2g" + good[2:]: false,
		"20fe8" + good[5:]: true, "20fe9" + good[5:]: false, "20" + "0001c1c" + good[9:]: true, "20" + "0001d00" + good[9:]: false,
		good[:116] + "67000000": true, good[:116] + "67010000": false, good[:116] + "00000064": true, good[:116] + "00000065": false,
	} {
		if _, err := icon.Parse(text); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzMeasure(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(made(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		src := showcause.Bytes(b)
		at, _ := exe.Icons(src, filetype.PE)
		for _, off := range append(at, 0) {
			if m, n, ok := icon.Measure(src, off); ok && (off+n > src.Size() || m.Side < 16 || m.Side > 32) {
				t.Errorf("%d bytes at %d of %d: %v", n, off, src.Size(), m)
			}
		}
	})
}
