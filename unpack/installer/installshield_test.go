package installer

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/exe"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func imageEnd(src showcause.Source) int64 {
	if i, ok := exe.Parse(src, filetype.PE); ok {
		return i.Overlay
	}
	return -1
}

// The files of ClamAV's tests hold a program of 544 bytes.
func TestShieldSamples(t *testing.T) {
	want, err := os.ReadFile("/usr/share/clamav-testfiles/clam.exe")
	if err != nil {
		t.Skip("clamav-testfiles is not installed")
	}
	for name, most := range map[string]int{"clam_IScab_ext.exe": 20, "clam_IScab_int.exe": 20, "clam_ISmsi_ext.exe": 5} {
		b, err := os.ReadFile("/usr/share/clamav-testfiles/" + name)
		if err != nil {
			t.Fatal(err)
		}
		r := unpacktest.Walk(t, InstallShield(imageEnd), b, showcause.Limits{})
		if !r.Contains(string(want)) || r.Unread() || len(r.Children) > most {
			t.Errorf("%s: %s", name, r)
		}
	}
}

// imageSize is where the images of these tests end.
const imageSize = 512

func image() []byte { return sample()[:imageSize] }

func deflated(text string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	w.Write([]byte(text))
	w.Close()
	return b.Bytes()
}

// shieldMSI has two files for the Windows installer.
func shieldMSI() []byte {
	b := append(image(), "InstallShield\x00\x02\x00\x00\x00\x00\x00\x00\x00"...)
	b = append(b, make([]byte, 24)...)
	for _, f := range [][2]string{{"first.txt", "the first planted text"}, {"b", strings.Repeat("planted ", 700)}} {
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		w.Write([]byte(f[1]))
		w.Close()
		h := make([]byte, 0x104+52)
		copy(h, f[0])
		le.PutUint64(h[0x104+8:], uint64(z.Len()))
		for i, c := range z.Bytes() {
			k := (i & 1023) % len(f[0])
			c ^= f[0][k] ^ "\xec\xca\x79\xf8"[k&3]
			h = append(h, c>>4|c<<4)
		}
		b = append(b, h...)
	}
	return b
}

// shieldFiles has files as they are, and InstallShield's cabinets.
func shieldFiles() []byte {
	cab := append([]byte("ISc("), make([]byte, 60)...)
	text := strings.Repeat("planted in pieces ", 300)
	off := len(cab)
	for _, piece := range []string{text[:2000], text[2000:]} {
		z := deflated(piece)
		cab = append(le.AppendUint16(cab, uint16(len(z))), z...)
	}
	// The directory: header, objects at 64, the list of folders at 128 with one, the file behind it, texts.
	h := make([]byte, 128+4+16)
	copy(h, "ISc(")
	le.PutUint32(h[12:], 64)
	le.PutUint32(h[64+12:], 64)
	le.PutUint32(h[64+40:], 2)
	le.PutUint32(h[64+44:], 20)
	le.PutUint32(h[128:], 4)
	h = append(h[:132], "fold\x00in.txt\x00\x00\x00\x00\x00"...)
	for i := range 2 {
		f := make([]byte, 87)
		if i == 0 {
			le.PutUint16(f, 4)
		}
		le.PutUint64(f[2:], uint64(len(text)))
		le.PutUint64(f[10:], uint64(len(cab)-off))
		le.PutUint64(f[18:], uint64(off))
		le.PutUint32(f[58:], 9)
		le.PutUint16(f[85:], 1)
		h = append(h, f...)
	}
	b := image()
	for _, f := range [][2]string{{"setup.ini", "as it is, planted"}, {"data1.cab", string(cab)}, {"data1.hdr", string(h)}} {
		b = append(b, fmt.Sprintf("%s\x00Disk1\\%s\x001.0.0.1\x00%d\x00%s", f[0], f[0], len(f[1]), f[1])...)
	}
	return b
}

func shields() unpack.Format {
	return InstallShield(func(src showcause.Source) int64 {
		if src.Size() > imageSize {
			return imageSize
		}
		return -1
	})
}

func TestInstallShield(t *testing.T) {
	r := unpacktest.Walk(t, shields(), shieldMSI(), showcause.Limits{})
	if r.Child(t, opShieldZlib, "first.txt") != "the first planted text" || r.Child(t, opShieldZlib, "b") != strings.Repeat("planted ", 700) || r.Unread() {
		t.Errorf("%s", r)
	}
	r = unpacktest.Walk(t, shields(), shieldFiles(), showcause.Limits{})
	if r.Child(t, opShieldStored, "setup.ini") != "as it is, planted" || r.Child(t, opShieldZlib, "fold/in.txt") != strings.Repeat("planted in pieces ", 300) || r.Unread() || len(r.Children) != 2 {
		t.Errorf("%s", r)
	}
	// A signature stands behind the files.
	b := append(shieldFiles(), 16, 0, 0, 0, 0, 2, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8)
	if r = unpacktest.Walk(t, shields(), b, showcause.Limits{}); r.Unread() {
		t.Errorf("%s", r)
	}
	if r = unpacktest.Walk(t, shields(), append(b[:len(b)-12], "and more"...), showcause.Limits{}); !r.Has(shieldPacker) {
		t.Errorf("%s", r)
	}
}

func TestInstallShieldConform(t *testing.T) {
	unpacktest.Conform(t, shields(), map[string][]byte{"msi": shieldMSI()})
	// Files end where the program does: only the directory, which comes last, tells that there were more.
	whole := map[int]bool{}
	for _, mark := range []string{"data1.cab\x00", "data1.hdr\x00"} {
		whole[bytes.Index(shieldFiles(), []byte(mark))] = true
	}
	unpacktest.ConformWhole(t, shields(), map[string][]byte{"files": shieldFiles()}, func(b []byte) bool { return whole[len(b)] })
}

func FuzzInstallShield(f *testing.F) { unpacktest.Fuzz(f, shields(), shieldMSI(), shieldFiles()) }
