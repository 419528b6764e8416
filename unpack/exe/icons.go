package exe

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
)

// MaxIcons is the most icons of a program that ClamAV looks at.
const MaxIcons = 100

// Icons returns where the icons of the first group of icons of a PE file stand: the bitmaps, in
// the order of the group. ClamAV compares those with its icons. It is cut where the
// resources, or the icons, are too many to be looked through.
func Icons(src showcause.Source, t filetype.Type) (at []int64, cut bool) {
	if t != filetype.PE {
		return nil, false
	}
	p := parsePE(file{src, nil})
	if p == nil {
		return nil, false
	}
	p.Partial = false
	named, group := false, uint32(0)
	entries := 0
	p.resources(14, anyName, func(name, rva uint32) bool {
		if named && name != group {
			return false
		}
		named, group = true, name
		for _, id := range p.iconGroup(rva) {
			if entries++; entries > MaxIcons {
				cut = true
				return false
			}
			p.resources(3, uint32(id), func(_, rva uint32) bool {
				if off, _, ok := p.resource(rva); ok && len(at) < MaxIcons*MaxIcons {
					at = append(at, off)
				}
				return true
			})
		}
		return true
	})
	return at, cut || p.Partial
}

// resource is where the data of an entry is, and its size.
func (p *pe) resource(rva uint32) (off, size int64, ok bool) {
	at, ok := p.raw(rva)
	if !ok {
		return 0, 0, false
	}
	e := p.f.read(int64(at), 16)
	if e == nil {
		return 0, 0, false
	}
	to, ok := p.raw(le.Uint32(e))
	return int64(to), int64(le.Uint32(e[4:])), ok
}

// iconGroup returns the numbers of the icons of a group (GRPICONDIR).
func (p *pe) iconGroup(rva uint32) (ids []uint16) {
	off, size, ok := p.resource(rva)
	if !ok || size <= 6 || size > p.f.src.Size()-off {
		return nil
	}
	const entry = 14
	h := p.f.upTo(off, min(size, 6+entry*(1<<16)))
	n := int(le.Uint16(h[4:]))
	for h = h[6:]; n > 0 && len(h) >= entry; n, h = n-1, h[entry:] {
		ids = append(ids, le.Uint16(h[12:]))
	}
	return ids
}
