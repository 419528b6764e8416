package volume

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/extent"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// ntfsImage makes a volume and copies files into its root; ntfscp makes no folders.
func ntfsImage(t testing.TB, size string, files map[string][]byte, write func(name string) string) []byte {
	dir := t.TempDir()
	unpacktest.Run(t, dir, "truncate", "-s", size, "image")
	unpacktest.Run(t, dir, "mkntfs", "-F", "-q", "-Q", "-c", "4096", "-s", "512", "-p", "0", "-H", "0", "-S", "0", "image")
	for name := range files {
		from := write(name)
		unpacktest.Run(t, dir, "ntfscp", "-f", "-q", "image", from, name)
	}
	return unpacktest.ReadFile(t, filepath.Join(dir, "image"))
}

func TestNTFS(t *testing.T) {
	src := t.TempDir()
	unpacktest.Tree(t, src, 2<<20)
	files := map[string][]byte{}
	for _, name := range []string{"a", "tiny.txt", "inline.txt", "a name that is rather long.data", "large"} {
		files[name] = unpacktest.ReadFile(t, filepath.Join(src, name))
	}
	b := ntfsImage(t, "24M", files, func(name string) string { return filepath.Join(src, name) })
	unpacktest.Holds(t, NTFS(), b, files)
	// Without the first record of the MFT there is the copy.
	le := binary.LittleEndian
	cluster := int(le.Uint16(b[11:])) * int(b[13])
	gone := bytes.Clone(b)
	copy(gone[int(le.Uint64(b[48:]))*cluster:], "XXXX")
	got := unpacktest.Walk(t, NTFS(), gone, showcause.Limits{})
	if len(got.Children) < len(files) || !got.Unread() {
		t.Errorf("by the copy: %s", got)
	}
}

// An alternate stream is a child.
func TestNTFSStream(t *testing.T) {
	src := t.TempDir()
	unpacktest.Tree(t, src, 1000)
	dir := t.TempDir()
	unpacktest.Run(t, dir, "truncate", "-s", "8M", "image")
	unpacktest.Run(t, dir, "mkntfs", "-F", "-q", "-Q", "-p", "0", "-H", "0", "-S", "0", "image")
	unpacktest.Run(t, dir, "ntfscp", "-q", "image", filepath.Join(src, "tiny.txt"), "tiny.txt")
	unpacktest.Run(t, dir, "ntfscp", "-q", "-N", "hidden", "image", filepath.Join(src, "inline.txt"), "tiny.txt")
	got := unpacktest.Walk(t, NTFS(), unpacktest.ReadFile(t, filepath.Join(dir, "image")), showcause.Limits{})
	if len(got.Children) != 2 || got.Children[1].Name != "tiny.txt:hidden" || got.Children[1].Op != "ntfs.stream" || !strings.HasPrefix(string(got.Children[1].Data), "words words") {
		t.Errorf("%s", got)
	}
}

func ntfsSmall(t testing.TB) []byte {
	src := t.TempDir()
	unpacktest.Tree(t, src, 9000)
	files := map[string][]byte{"tiny.txt": nil, "large": nil}
	return ntfsImage(t, "1088K", files, func(name string) string { return filepath.Join(src, name) })
}

func TestNTFSDamaged(t *testing.T) {
	unpacktest.Conform(t, NTFS(), map[string][]byte{"small": ntfsSmall(t)})
}

func FuzzNTFS(f *testing.F) { unpacktest.Fuzz(f, NTFS(), ntfsSmall(f)) }

// packLZNT1 packs as plainly as can be: the longest match that is near.
func packLZNT1(data []byte) (out []byte) {
	le := binary.LittleEndian
	for len(data) > 0 {
		chunk := data[:min(4096, len(data))]
		data = data[len(chunk):]
		var body []byte
		for at := 0; at < len(chunk); {
			flag := len(body)
			body = append(body, 0)
			for i := 0; i < 8 && at < len(chunk); i++ {
				bits := 4
				for k := at - 1; k >= 16; k >>= 1 {
					bits++
				}
				best, dist := 0, 0
				for d := 1; d <= min(at, 1<<bits); d++ {
					n := 0
					for at+n < len(chunk) && n < 1<<(16-bits)+2 && chunk[at+n] == chunk[at+n-d] {
						n++
					}
					if n > best {
						best, dist = n, d
					}
				}
				if best >= 3 {
					body[flag] |= 1 << i
					body = le.AppendUint16(body, uint16((dist-1)<<(16-bits)|(best-3)))
					at += best
				} else {
					body = append(body, chunk[at])
					at++
				}
			}
		}
		if len(body) < len(chunk) {
			out = append(le.AppendUint16(out, uint16(0xb000|(len(body)-1))), body...)
		} else {
			out = append(le.AppendUint16(out, uint16(0x3000|(len(chunk)-1))), chunk...)
		}
	}
	return append(out, 0, 0)
}

// TestLZNT1 reads units that are packed, plain, and holes.
func TestLZNT1(t *testing.T) {
	const cluster, unit = 512, 16
	rng := rand.New(rand.NewPCG(1, 2))
	text := []byte(strings.Repeat("so many words that pack well, ", 700))[:2*unit*cluster]
	noise := make([]byte, unit*cluster)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	var disk, want []byte
	var runs []extent.Run
	add := func(b []byte, size int) { // size is that of the unit
		at := int64(len(disk))
		disk = append(disk, b...)
		disk = append(disk, make([]byte, (cluster-len(b)%cluster)%cluster)...)
		if n := int64(len(disk)) - at; n > 0 {
			runs = append(runs, extent.Run{Off: at, N: n})
			size -= int(n)
		}
		if size > 0 {
			runs = append(runs, extent.Run{Off: -1, N: int64(size)})
		}
	}
	for i, b := range [][]byte{text[:unit*cluster], noise, nil, text[unit*cluster:]} {
		switch i {
		case 1:
			add(b, unit*cluster)
		case 2:
			add(nil, unit*cluster)
			b = make([]byte, unit*cluster)
		default:
			add(packLZNT1(b), unit*cluster)
		}
		want = append(want, b...)
	}
	want = want[:len(want)-1000]
	r := &lznt1{src: showcause.Bytes(disk), cluster: cluster, unit: unit, runs: runs, left: int64(len(want))}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		at := 0
		for at < min(len(got), len(want)) && got[at] == want[at] {
			at++
		}
		t.Errorf("%d bytes, want %d, differ at %d: %v", len(got), len(want), at, err)
	}
}

func FuzzLZNT1(f *testing.F) {
	f.Add([]byte(strings.Repeat("abc abd ", 900)))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), 6000)]
		some := b[:min(len(b), 600)] // the test's own encoder is slow
		if len(b)%64 == 0 {
			some = b
		}
		if got := unLZNT1(packLZNT1(some), int64(len(some))); !bytes.Equal(got, some) {
			t.Fatalf("%d bytes come back as %d", len(some), len(got))
		}
		if n := len(unLZNT1(b, 1<<16)); n > 1<<16+4096 {
			t.Fatal(n)
		}
	})
}
