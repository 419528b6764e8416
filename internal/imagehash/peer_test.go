package imagehash

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// picture draws rectangles and a slope of brightness.
func picture(r *rand.Rand, w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	dx, dy := r.IntN(3), r.IntN(3)
	for y := range h {
		for x := range w {
			v := uint8((x*dx*255/w + y*dy*255/h) / 4)
			m.SetNRGBA(x, y, color.NRGBA{v, v / 2, 255 - v, 255})
		}
	}
	for range 3 + r.IntN(9) {
		x, y := r.IntN(w), r.IntN(h)
		c := color.NRGBA{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256)), 255}
		draw.Draw(m, image.Rect(x, y, x+1+r.IntN(w), y+1+r.IntN(h)), image.NewUniform(c), image.Point{}, draw.Src)
	}
	return m
}

// file writes a picture in one of the formats and kinds of colours.
func file(t testing.TB, r *rand.Rand, kind string) []byte {
	t.Helper()
	m := picture(r, 5+r.IntN(300), 5+r.IntN(300))
	as := func(to draw.Image) draw.Image {
		draw.Draw(to, to.Bounds(), m, image.Point{}, draw.Src)
		return to
	}
	var b bytes.Buffer
	var err error
	switch kind {
	case "png":
		err = png.Encode(&b, m)
	case "png.alpha":
		for i := 3; i < len(m.Pix); i += 4 {
			m.Pix[i] = uint8(i / 4 % 256)
		}
		err = png.Encode(&b, m)
	case "png.grey":
		err = png.Encode(&b, as(image.NewGray(m.Rect)))
	case "png.deep":
		deep := image.NewNRGBA64(m.Rect)
		for y := range m.Rect.Dy() {
			for x := range m.Rect.Dx() {
				c := m.NRGBAAt(x, y)
				deep.SetNRGBA64(x, y, color.NRGBA64{uint16(c.R)<<8 | uint16(r.IntN(256)), uint16(c.G)<<8 | uint16(r.IntN(256)), uint16(c.B)<<8 | 128, 0xffff})
			}
		}
		err = png.Encode(&b, deep)
	case "png.palette":
		err = png.Encode(&b, as(image.NewPaletted(m.Rect, palette.WebSafe)))
	case "gif":
		err = gif.Encode(&b, m, nil)
	case "gif.transparent":
		p := append(color.Palette{color.RGBA{}}, palette.WebSafe...)
		err = gif.Encode(&b, as(image.NewPaletted(m.Rect, p)), nil)
	case "jpeg":
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 40 + r.IntN(60)})
	case "jpeg.grey":
		err = jpeg.Encode(&b, as(image.NewGray(m.Rect)), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func kinds() []string {
	return []string{"png", "png.alpha", "png.grey", "png.deep", "png.palette", "gif", "gif.transparent", "jpeg", "jpeg.grey"}
}

// wanted is the hash of a picture, as clamscan 1.4.6 has it.
const wanted = "a00e9d72b11d77d1"

func free(int64) bool { return true }

// TestPeer holds the hashes against those that clamscan writes of the same files. Decoders
// of JPEG may differ by one in the brightness of a pixel.
func TestPeer(t *testing.T) {
	bin, err := exec.LookPath("clamscan")
	if err != nil {
		t.Skip("clamscan is not installed")
	}
	dir, temp := t.TempDir(), t.TempDir()
	db := filepath.Join(t.TempDir(), "t.ndb")
	if err := os.WriteFile(db, []byte("T:0:*:00112233445566778899aabbccddeeff\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ours := map[string]string{}
	for _, kind := range kinds() {
		for i := range 12 {
			r := rand.New(rand.NewPCG(uint64(i), uint64(len(kind))))
			b := file(t, r, kind)
			h, err := Hash(b, free)
			if err != nil {
				t.Fatalf("%s %d: %v", kind, i, err)
			}
			name := fmt.Sprintf("%02d-%s", i, kind)
			ours[name] = hex.EncodeToString(h[:])
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out, err := exec.Command(bin, "--gen-json", "--leave-temps", "--tempdir="+temp, "--no-summary", "-r", "-d", db, dir).CombinedOutput(); err != nil {
		t.Fatalf("clamscan: %v: %s", err, out)
	}
	all, err := filepath.Glob(filepath.Join(temp, "*", "metadata.json"))
	if err != nil {
		t.Fatal(err)
	}
	compared, other := 0, 0
	for _, p := range all {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			FileName       string
			ImageFuzzyHash struct{ Hash string }
		}
		if err := json.Unmarshal(text, &v); err != nil || v.ImageFuzzyHash.Hash == "" {
			continue
		}
		mine, ok := ours[v.FileName]
		if !ok {
			continue
		}
		compared++
		if mine == v.ImageFuzzyHash.Hash {
			continue
		}
		if other++; filepath.Ext(v.FileName) == ".grey" || v.FileName[3:] != "jpeg" {
			t.Errorf("%s: %s, clamscan %s", v.FileName, mine, v.ImageFuzzyHash.Hash)
		}
	}
	t.Logf("%d compared, %d not the same", compared, other)
	if compared < len(ours) || other > 2 {
		t.Errorf("%d of %d compared, %d not the same", compared, len(ours), other)
	}
}

func TestHash(t *testing.T) {
	b := file(t, rand.New(rand.NewPCG(1, 2)), "png")
	h, err := Hash(b, free)
	if got := hex.EncodeToString(h[:]); err != nil || got != wanted {
		t.Errorf("%s %v, want %s", got, err, wanted)
	}
	if _, err := Hash(b, func(int64) bool { return false }); !errors.Is(err, ErrLarge) {
		t.Errorf("no work left: %v", err)
	}
	if _, err := Hash([]byte("BM no picture"), free); !errors.Is(err, ErrFormat) {
		t.Errorf("another format: %v", err)
	}
	large := bytes.Clone(b)
	large[16], large[20] = 0x7f, 0x7f // its width and height
	if _, err := Hash(large, free); err == nil {
		t.Error("too large, and hashed")
	}
	for n := range b {
		if _, err := Hash(b[:n], free); err == nil && n < len(b)-12 {
			t.Errorf("%d bytes of %d are an image", n, len(b))
		}
	}
}

func FuzzHash(f *testing.F) {
	for i, kind := range kinds() {
		f.Add(file(f, rand.New(rand.NewPCG(uint64(i), 3)), kind))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		few := func(pixels int64) bool { return pixels < 1<<20 }
		h, err := Hash(b, few)
		if again, _ := Hash(b, few); err == nil && again != h {
			t.Error("two hashes of one image")
		}
	})
}
