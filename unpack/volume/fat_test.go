package volume

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func mtools(t testing.TB, dir, size string, arg ...string) {
	unpacktest.Run(t, dir, "truncate", "-s", size, "image")
	unpacktest.Run(t, dir, "mkfs.vfat", append(arg, "image")...)
	entries, err := os.ReadDir(filepath.Join(dir, "tree"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		unpacktest.Run(t, dir, "mcopy", "-s", "-i", "image", filepath.Join("tree", e.Name()), "::")
	}
}

func TestFAT(t *testing.T) {
	for _, c := range []struct {
		name, size string
		arg        []string
	}{
		{"12", "4M", []string{"-F", "12"}},
		{"16", "24M", []string{"-F", "16"}},
		{"32", "64M", []string{"-F", "32", "-s", "1"}},
		{"sectors of 4096", "64M", []string{"-S", "4096"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			files := unpacktest.Tree(t, filepath.Join(dir, "tree"), 2<<20)
			mtools(t, dir, c.size, c.arg...)
			unpacktest.Holds(t, FAT(), unpacktest.ReadFile(t, filepath.Join(dir, "image")), files)
		})
	}
}

func fatSmall(t testing.TB) []byte {
	return unpacktest.Small(t, func(dir string) { mtools(t, dir, "40K", "-F", "12", "-s", "1", "-r", "16") })
}

func TestFATDamaged(t *testing.T) {
	b := fatSmall(t)
	unpacktest.Conform(t, FAT(), map[string][]byte{"12": b})
	// The second table knows another chain of the second file.
	other := append([]byte{}, b...)
	first := int(binary.LittleEndian.Uint16(b[14:])) * 512
	size := int(binary.LittleEndian.Uint16(b[22:])) * 512
	other[first+size+5] ^= 0x10
	got := unpacktest.Walk(t, FAT(), other, showcause.Limits{})
	if !got.Has(fatTable) || len(got.Children) < 3 {
		t.Errorf("tables that differ: %s", got)
	}
}

func FuzzFAT(f *testing.F) { unpacktest.Fuzz(f, FAT(), fatSmall(f)) }

// exfatImage makes a volume by mkfs.exfat and puts files into its root: one
// whose clusters follow each other, one with a chain.
func exfatImage(t testing.TB) (image []byte, files map[string][]byte) {
	dir := t.TempDir()
	unpacktest.Run(t, dir, "truncate", "-s", "1M", "image")
	unpacktest.Run(t, dir, "mkfs.exfat", "-c", "4096", "-b", "4096", "image")
	b := unpacktest.ReadFile(t, filepath.Join(dir, "image"))
	le := binary.LittleEndian
	sector := 1 << b[108]
	cluster := sector << b[109]
	table, data := int(le.Uint32(b[80:]))*sector, int(le.Uint32(b[88:]))*sector
	at := func(c int) []byte { return b[data+(c-2)*cluster:] }
	root := at(int(le.Uint32(b[96:])))
	free := 0
	for free < cluster && root[free] != 0 {
		free += 32
	}
	var used []byte
	for i := 0; i < cluster; i += 32 {
		if root[i] == 0x81 {
			used = at(int(le.Uint32(root[i+20:])))
		}
	}
	files = map[string][]byte{}
	add := func(name string, first, n int, flags byte) {
		text := unpacktest.Marked(name[:5], n)
		files[name] = text
		u := utf16.Encode([]rune(name))
		parts := (len(u) + 14) / 15
		set := root[free:]
		set[0], set[1] = 0x85, byte(1+parts)
		le.PutUint16(set[4:], 0x20)
		s := set[32:]
		s[0], s[1], s[3] = 0xc0, 1|flags, byte(len(u))
		le.PutUint64(s[8:], uint64(n))
		le.PutUint32(s[20:], uint32(first))
		le.PutUint64(s[24:], uint64(n))
		for i := range parts {
			e := set[64+32*i:]
			e[0] = 0xc1
			for k := 0; k < 15 && 15*i+k < len(u); k++ {
				le.PutUint16(e[2+2*k:], u[15*i+k])
			}
		}
		sum := uint16(0)
		for i, c := range set[:32*(2+parts)] {
			if i != 2 && i != 3 {
				sum = sum<<15 | sum>>1
				sum += uint16(c)
			}
		}
		le.PutUint16(set[2:], sum)
		free += 32 * (2 + parts)
		c := first
		for off := 0; off < n; off += cluster {
			copy(at(c)[:cluster], text[off:])
			used[(c-2)/8] |= 1 << ((c - 2) % 8)
			next := c + 1
			if flags&2 == 0 {
				next = c + 2 // every other cluster
			}
			if off+cluster >= n {
				le.PutUint32(b[table+4*c:], 0xffffffff)
			} else if flags&2 == 0 {
				le.PutUint32(b[table+4*c:], uint32(next))
			}
			c = next
		}
	}
	add("one after the other.txt", 20, 3*cluster+100, 2)
	add("every other, and a name of more than thirty characters", 40, 2*cluster+1, 0)
	return b, files
}

func TestExFAT(t *testing.T) {
	b, files := exfatImage(t)
	unpacktest.Holds(t, ExFAT(), b, files)
	unpacktest.Conform(t, ExFAT(), map[string][]byte{"exfat": b})
}

// FuzzExFAT damages the sectors of a volume that are not zeros, each behind its number: as it
// stands, the volume is a megabyte of which next to nothing is looked at.
func FuzzExFAT(f *testing.F) {
	const sector = 512
	b, _ := exfatImage(f)
	var seed []byte
	for i := 0; i+sector <= len(b); i += sector {
		if s := b[i : i+sector]; len(bytes.Trim(s, "\x00")) > 0 {
			seed = append(binary.LittleEndian.AppendUint16(seed, uint16(i/sector)), s...)
		}
	}
	whole := func(in []byte) []byte {
		out := make([]byte, len(b))
		for ; len(in) >= 2+sector; in = in[2+sector:] {
			if at := int(binary.LittleEndian.Uint16(in)) * sector; at < len(out) {
				copy(out[at:], in[2:2+sector])
			}
		}
		return out
	}
	if !bytes.Equal(whole(seed), b) {
		f.Fatal("the seed is not the image")
	}
	inner := ExFAT()
	unpacktest.Fuzz(f, unpack.Format{
		Name:  inner.Name,
		Match: func(*unpack.Probe) bool { return true },
		Walk: func(src showcause.Source, out *unpack.Out) {
			inner.Walk(showcause.Bytes(whole(bound.Head(src, 64<<10))), out)
		},
	}, seed)
}

// TestFATSameChain has 512 entries for one chain of 4000 clusters: it is followed once
// or twice, and not for each.
func TestFATSameChain(t *testing.T) {
	le := binary.LittleEndian
	const clusters, entries, reserved, table = 4000, 512, 1, 12
	for _, size := range []uint32{0, 1, 600} {
		b := make([]byte, 512*(reserved+table+entries/16+clusters))
		copy(b, "\xeb\x3c\x90program ")
		le.PutUint16(b[11:], 512)
		b[13], b[16], b[21] = 1, 1, 0xf8
		le.PutUint16(b[14:], reserved)
		le.PutUint16(b[17:], entries)
		le.PutUint16(b[19:], uint16(len(b)/512))
		le.PutUint16(b[22:], table)
		copy(b[54:], "FAT12   ")
		copy(b[510:], "\x55\xaa")
		fat := b[512*reserved:]
		set := func(c, v int) {
			at := c * 3 / 2
			w := le.Uint16(fat[at:])
			if c&1 == 1 {
				w = w&0xf | uint16(v)<<4
			} else {
				w = w&0xf000 | uint16(v)
			}
			le.PutUint16(fat[at:], w)
		}
		set(0, 0xff8)
		set(1, 0xfff)
		for c := 2; c < clusters+1; c++ {
			set(c, c+1)
		}
		set(clusters+1, 0xfff)
		root := b[512*(reserved+table):]
		for i := range entries {
			copy(root[32*i:], fmt.Sprintf("FILE%04dTXT", i))
			le.PutUint16(root[32*i+26:], 2)
			le.PutUint32(root[32*i+28:], size)
		}
		data := b[512*(reserved+table)+32*entries:]
		copy(data[len(data)-512:], "the last cluster")
		if !FAT().Match(unpacktest.Probe(showcause.Bytes(b))) {
			t.Fatal("no match")
		}
		got := unpacktest.Walk(t, FAT(), b, showcause.Limits{Work: 200_000})
		if got.Has(showcause.LimitWork) || !got.Has(showcause.Corrupt) || !got.Has(fatSize) || len(got.Children) == 0 || got.Children[0].Size != 512*clusters {
			t.Errorf("size %d: %d children of %d steps, %v", size, len(got.Children), got.Spent.Work, got.Gaps)
		}
	}
}
