package exe

import (
	"os"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func TestRunTime(t *testing.T) {
	for name, want := range map[string]bool{"upx": true, "aspack": true, "themida": true, "nsis": false, "7z-sfx": false, "": false} {
		if RunTime(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// What came out of a run is not run again, and what is in it only once more.
func TestRuns(t *testing.T) {
	trail := func(ops ...string) (out showcause.Trail) {
		for _, op := range ops {
			out = out.Child(showcause.Step{Op: op})
		}
		return out
	}
	for _, c := range []struct {
		t    showcause.Trail
		want bool
	}{
		{nil, true},
		{trail("zip.deflate"), true},
		{trail(OpImage), false},
		{trail(OpImage, "exe.embedded"), true},
		{trail("packed.program"), true},
		{trail(OpImage, "exe.embedded", OpImage), false},
		{trail(OpImage, "packed.program"), false},
	} {
		if runs(c.t) != c.want {
			t.Errorf("%v: %v", c.t, !c.want)
		}
	}
}

// A program that is told to be packed and does not unpack itself is a gap with the packer's
// name, and one that is not is none.
func TestPackedGap(t *testing.T) {
	s := plainPE()
	s.secs[0].name = "UPX0"
	b := s.build()
	f := Packed()
	p := &unpack.Probe{Type: filetype.PE, Head: b, Source: showcause.Bytes(b)}
	if !f.Match(p) {
		t.Fatal("it is not matched")
	}
	if r := unpacktest.Walk(t, f, b, showcause.Limits{}); !r.Has(showcause.Unsupported + ".packer.upx") {
		t.Errorf("%v", r.Gaps)
	}
	p.Source = showcause.Bytes(plainPE().build())
	if f.Match(p) {
		t.Error("a program like any other is run")
	}
}

func FuzzPacked(f *testing.F) {
	b := plainPE().build()
	seeds := [][]byte{b}
	if c, err := os.ReadFile("/usr/share/clamav-testfiles/clam-upx.exe"); err == nil {
		seeds = append(seeds, c)
	}
	unpacktest.Fuzz(f, Packed(), seeds...)
}

// A program that unpacks itself, cut and damaged everywhere.
func TestPackedConform(t *testing.T) {
	samples := map[string][]byte{}
	for _, name := range []string{"clam-mew.exe"} {
		b, err := os.ReadFile("/usr/share/clamav-testfiles/" + name)
		if err != nil {
			t.Skip("clamav-testfiles is not installed")
		}
		samples[name] = b
	}
	unpacktest.Conform(t, Packed(), samples)
}
