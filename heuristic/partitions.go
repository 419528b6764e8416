package heuristic

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Images of disks whose partitions overlap. clamscan spells the first so.
const (
	OverlapMBR = "Heuristics.MBRPartitionnIntersect"
	OverlapGPT = "Heuristics.GPTPartitionIntersection"
)

const sector = 512

// partition is a stretch of sectors, and where its entry stands.
type partition struct {
	first, sectors uint64
	entry, length  int64
}

// overlapCheck reads a rule about partitions. Its match is the entry of the first partition
// that overlaps one before it.
func overlapCheck(kind string, table func(src showcause.Source) []partition) func(options) (runner, error) {
	return func(options) (runner, error) {
		return func(l *Layer) ([]showcause.Match, map[int]int, bool) {
			var f found
			if !l.is([]string{kind}) {
				return nil, nil, true
			}
			all := table(l.Source)
			if !l.Work(int64(len(all)*len(all)) + 64) {
				return nil, nil, false
			}
			for i, p := range all {
				for _, q := range all[:i] {
					if p.first == q.first || p.first > q.first && p.first-q.first < q.sectors || p.first < q.first && q.first-p.first < p.sectors {
						f.add(0, [2]int64{p.entry, p.length})
						return f.matches, f.counts, true
					}
				}
			}
			return nil, nil, true
		}, nil
	}
}

// mbrTable reads the four partitions of a master boot record. One that the image has not all
// of makes none count.
func mbrTable(src showcause.Source) (out []partition) {
	const at, size = 446, 16
	b, err := bound.ReadAt(src, at, 4*size, 4*size)
	if err != nil || len(b) < 4*size {
		return nil
	}
	for i := range 4 {
		row := b[i*size:]
		p := partition{uint64(binary.LittleEndian.Uint32(row[8:])), uint64(binary.LittleEndian.Uint32(row[12:])), int64(at + i*size), size}
		if row[4] == 0 {
			continue
		}
		if p.first+p.sectors > uint64(src.Size())/sector {
			return nil
		}
		out = append(out, p)
	}
	return out
}

// gptTable reads the partitions of a GUID partition table, those within its bounds (UEFI
// Specification, chapter 5).
func gptTable(src showcause.Source) (out []partition) {
	const headerSize, mostEntries = 92, 1024
	for _, at := range []int64{sector, src.Size()/sector*sector - sector} {
		h, err := bound.ReadAt(src, at, headerSize, headerSize)
		if err != nil || len(h) < headerSize || string(h[:8]) != "EFI PART" || binary.LittleEndian.Uint32(h[12:]) != headerSize {
			continue
		}
		sum := append([]byte(nil), h...)
		clear(sum[16:20])
		if crc32.ChecksumIEEE(sum) != binary.LittleEndian.Uint32(h[16:]) {
			continue
		}
		low, high, table := binary.LittleEndian.Uint64(h[40:]), binary.LittleEndian.Uint64(h[48:]), binary.LittleEndian.Uint64(h[72:])
		n, size := int64(binary.LittleEndian.Uint32(h[80:])), int64(binary.LittleEndian.Uint32(h[84:]))
		if size < 48 || size > 4096 || table > 1<<40 {
			return nil
		}
		for i := range min(n, mostEntries) {
			entry := int64(table)*sector + i*size
			b, err := bound.ReadAt(src, entry, 48, 48)
			if err != nil || len(b) < 48 {
				return out
			}
			first, last := binary.LittleEndian.Uint64(b[32:]), binary.LittleEndian.Uint64(b[40:])
			if first >= low && last <= high && first <= last {
				out = append(out, partition{first, last - first + 1, entry, 48})
			}
		}
		return out
	}
	return nil
}
