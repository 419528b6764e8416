package windows

import (
	"strings"

	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/emulate"
	"github.com/showcause/showcause/internal/emulate/memory"
)

// The program may read its own file, which some do to look for changes. There is
// no other.
const (
	fileHandle    = 0x104
	mappingHandle = 0x108
)

func createFile(wide bool) func(*process, []uint64) uint64 {
	return func(p *process, a []uint64) uint64 {
		if !strings.EqualFold(str(p, a[0], wide), programPath) {
			return badHandle
		}
		p.at = 0
		return fileHandle
	}
}

func fileSize(p *process, a []uint64) uint64 {
	if a[0] != fileHandle {
		return minusOne
	}
	return uint64(p.src.Size())
}

// read copies bytes of the file to memory and returns how many.
func (p *process) read(to uint64, at, n int64) int64 {
	n = max(min(n, p.src.Size()-at, fileBytes), 0)
	p.c.Steps += n / 8
	done := int64(0)
	for done < n {
		b, _ := bound.ReadAt(p.src, at+done, min(n-done, 1<<20), 1<<20)
		k := int64(p.m.Write(to+uint64(done), b))
		if done += k; k == 0 {
			break
		}
	}
	return done
}

func readFile(p *process, a []uint64) uint64 {
	if a[0] != fileHandle {
		return 0
	}
	n := p.read(a[1], p.at, int64(uint32(a[2])))
	p.at += n
	if a[3] != 0 {
		p.put32(a[3], uint32(n))
	}
	return one
}

func setFilePointer(p *process, a []uint64) uint64 {
	at := int64(int32(a[1]))
	switch uint32(a[3]) {
	case 1:
		at += p.at
	case 2:
		at += p.src.Size()
	}
	if a[0] != fileHandle || at < 0 {
		return minusOne
	}
	p.at = at
	return uint64(at)
}

func fileMapping(_ *process, a []uint64) uint64 {
	if a[0] != fileHandle {
		return 0
	}
	return mappingHandle
}

func mapView(p *process, a []uint64) uint64 {
	off := int64(a[3])
	n := p.src.Size() - off
	if a[0] != mappingHandle || off < 0 || n <= 0 || n > maxImage {
		return 0
	}
	at := p.m.Free(smallHeap, 1<<31-1<<24, uint64(n))
	if at == 0 || !p.m.Map(at, uint64(n), memory.Read|memory.Write) {
		return 0
	}
	p.read(at, off, n)
	return at
}

func unmapView(p *process, a []uint64) uint64 {
	if s, ok := p.m.Find(a[0]); ok && s.Start == a[0] && s.Start >= smallHeap && !p.holds(s.Start) && p.section(s.Start) < 0 && p.moduleAt(s.Start) == nil {
		p.m.Unmap(s.Start)
	}
	return one
}

// holds tells whether a stretch is one that the process cannot be without.
func (p *process) holds(start uint64) bool {
	return start == p.heapAt || start >= 0x7ffd0000 || p.c.R[emulate.RSP]-start < stackSize
}
