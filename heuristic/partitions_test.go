package heuristic

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// disk writes an image with partitions, each the first sector and how many, by a master boot
// record or a GUID partition table.
func disk(r *rand.Rand, gpt bool) []byte {
	const sectors = 200
	le := binary.LittleEndian
	b := make([]byte, sectors*sector)
	b[510], b[511] = 0x55, 0xaa
	next := 34
	parts := make([][2]int, 1+r.Intn(4))
	for i := range parts {
		n := 1 + r.Intn(30)
		parts[i] = [2]int{next, n}
		next += n + r.Intn(3)
		if r.Intn(6) == 0 {
			next -= 1 + r.Intn(5)
		}
	}
	r.Shuffle(len(parts), func(i, k int) { parts[i], parts[k] = parts[k], parts[i] })
	if !gpt {
		for i, p := range parts {
			row := b[446+16*i:]
			row[4] = []byte{0x83, 6, 7}[r.Intn(3)]
			le.PutUint32(row[8:], uint32(p[0]))
			le.PutUint32(row[12:], uint32(p[1]))
		}
		return b
	}
	row := b[446:]
	row[4] = 0xee
	le.PutUint32(row[8:], 1)
	le.PutUint32(row[12:], sectors-1)
	table := b[2*sector:][:128*128]
	for i, p := range parts {
		e := table[128*i:]
		r.Read(e[:32])
		le.PutUint64(e[32:], uint64(p[0]))
		le.PutUint64(e[40:], uint64(p[0]+p[1]-1))
		copy(e[56:], "p\x00")
	}
	copy(b[(sectors-33)*sector:], table)
	for k, at := range []int{1, sectors - 1} {
		h := b[at*sector:][:92]
		copy(h, "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00")
		for off, v := range map[int]int{24: at, 32: sectors - at, 40: 34, 48: sectors - 34, 72: []int{2, sectors - 33}[k]} {
			le.PutUint64(h[off:], uint64(v))
		}
		le.PutUint32(h[80:], 128)
		le.PutUint32(h[84:], 128)
		le.PutUint32(h[88:], crc32.ChecksumIEEE(table))
		le.PutUint32(h[16:], crc32.ChecksumIEEE(h))
	}
	return b
}

// TestPartitionsAgainstClamscan has clamscan say in which images partitions overlap.
func TestPartitionsAgainstClamscan(t *testing.T) {
	clamscan, err := exec.LookPath("clamscan")
	if err != nil {
		t.Skip("clamscan is not installed")
	}
	dir, db := t.TempDir(), filepath.Join(t.TempDir(), "x.hdb")
	if err := os.WriteFile(db, []byte(strings.Repeat("a", 32)+":5:x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewSource(1))
	var all [][]byte
	for i := range 200 {
		all = append(all, disk(r, i%2 == 1))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d", i)), all[i], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said, _ := exec.Command(clamscan, "--no-summary", "-d", db, "--alert-partition-intersection", "-r", dir).Output()
	found := map[string]int{}
	for i, b := range all {
		ours := ""
		for _, name := range []string{OverlapMBR, OverlapGPT} {
			if n, _ := run(t, name, string(b)); n > 0 {
				ours = name
			}
		}
		theirs := ""
		for _, name := range []string{OverlapMBR, OverlapGPT} {
			if bytes.Contains(said, fmt.Appendf(nil, "%05d: %s FOUND", i, name)) {
				theirs = name
			}
		}
		if ours != theirs {
			t.Errorf("image %d: %q, to clamscan %q: % x", i, ours, theirs, b[446:510])
		}
		found[theirs]++
	}
	t.Logf("%d images: %v", len(all), found)
	if found[OverlapMBR] < 20 || found[OverlapGPT] < 20 || found[""] < 40 {
		t.Errorf("%v", found)
	}
}

func FuzzPartitions(f *testing.F) {
	r := rand.New(rand.NewSource(2))
	f.Add(disk(r, false))
	f.Add(disk(r, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range []string{OverlapMBR, OverlapGPT} {
			if n, m := run(t, name, string(b)); n > 0 && (m[0].Offset < 0 || m[0].Offset+m[0].Length > int64(len(b))) {
				t.Fatalf("%+v of %d bytes", m, len(b))
			}
		}
	})
}
