package exe

import (
	"math"
	"slices"
)

// versionBlocks is the most version resources that ClamAV reads.
const versionBlocks = 16

// resourceSteps is the most entries of resource directories that are looked
// at. ClamAV has no bound; 65,535 names of 131,070 languages each are 8.6e9.
const resourceSteps = 1 << 17

// versions finds the places that ClamAV's VI anchor stands for: the keys of
// the strings in the version resources (type 16), any name and any language
// (Microsoft, "VS_VERSIONINFO structure"). It reads as ClamAV does, who takes
// one StringFileInfo of each resource, with a VarFileInfo before it at most.
func (p *pe) versions() {
	if p.ndirs < 3 || p.dirs[2].size == 0 {
		return
	}
	for _, rva := range p.versionResources() {
		at, ok := p.raw(rva)
		if !ok {
			continue
		}
		e := p.f.read(int64(at), 16)
		if e == nil {
			continue
		}
		size := int64(le.Uint32(e[4:]))
		at, ok = p.raw(le.Uint32(e))
		if !ok || size > p.f.src.Size()-int64(at) {
			continue
		}
		// Lengths within are 16 bits.
		p.versionInfo(p.f.upTo(int64(at), min(size, 1<<16+4)), int64(at))
	}
	slices.Sort(p.VersionInfo)
	p.VersionInfo = slices.Compact(p.VersionInfo)
}

// resourceDir is a directory of resources: its entries from which on, of
// eight bytes each, and how many.
type resourceDir struct {
	named, ids int
	entries    []byte
}

// dir reads the directory at an address; its entries end where the file does.
func (p *pe) dir(rva uint32) (resourceDir, bool) {
	at, ok := p.raw(rva)
	if !ok {
		return resourceDir{}, false
	}
	h := p.f.read(int64(at), 16)
	if h == nil {
		return resourceDir{}, false
	}
	d := resourceDir{named: int(le.Uint16(h[12:])), ids: int(le.Uint16(h[14:]))}
	d.entries = p.f.upTo(int64(at)+16, int64(d.named+d.ids)*8)
	return d, true
}

// versionResources returns the addresses of the data entries of the version
// resources.
func (p *pe) versionResources() (found []uint32) {
	p.resources(16, anyName, func(_, rva uint32) bool {
		found = append(found, rva)
		return len(found) < versionBlocks
	})
	return found
}

// anyName stands for all names of resources.
const anyName = math.MaxUint32

// resources calls found with the name and the address of the data entry of each resource of a
// type, by number, that has the name, by number, as ClamAV walks them.
func (p *pe) resources(typ, name uint32, found func(name, rva uint32) bool) {
	const sub = 1 << 31
	if p.ndirs < 3 || p.dirs[2].size == 0 {
		return
	}
	base := p.dirs[2].rva
	root, ok := p.dir(base)
	if !ok {
		return
	}
	steps := resourceSteps
	for e := root.entries[min(8*root.named, len(root.entries)):]; len(e) >= 8; e = e[8:] {
		if le.Uint32(e) != typ || le.Uint32(e[4:])&sub == 0 {
			continue
		}
		names, ok := p.dir(base + le.Uint32(e[4:])&^sub)
		if !ok {
			return
		}
		// ClamAV adds the counts in 16 bits.
		n := names.entries[:min(len(names.entries), 8*((names.named+names.ids)&0xffff))]
		if name != anyName {
			n = names.entries[min(len(names.entries), 8*names.named):]
		}
		for ; len(n) >= 8; n = n[8:] {
			if steps--; steps < 0 {
				p.Partial = true
				return
			}
			if le.Uint32(n[4:])&sub == 0 || name != anyName && le.Uint32(n) != name {
				continue
			}
			langs, ok := p.dir(base + le.Uint32(n[4:])&^sub)
			if !ok {
				return
			}
			steps -= len(langs.entries) / 1024 // what was read, though it is not looked at
			for l := langs.entries; len(l) >= 8; l = l[8:] {
				if steps--; steps < 0 {
					p.Partial = true
					return
				}
				if le.Uint32(l[4:])&sub == 0 && !found(le.Uint32(n), base+le.Uint32(l[4:])) {
					return
				}
			}
		}
		return // of the first entry of this type
	}
}

// utf16z is a string in UTF-16LE with its zero.
func utf16z(s string) string {
	b := make([]byte, 0, 2*len(s)+2)
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return string(append(b, 0, 0))
}

// word returns the 16-bit length at the start of b, 0 if b is too short.
func word(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	return int(le.Uint16(b))
}

// versionInfo reads one VS_VERSIONINFO that stands at file offset off.
func (p *pe) versionInfo(b []byte, off int64) {
	const fixed = 6 + 0x20 + 2 + 0x34 // header, key and padding, VS_FIXEDFILEINFO
	size := word(b)
	if size > len(b) || size <= fixed || le.Uint16(b[2:]) != 0x34 ||
		string(b[6:6+0x20]) != utf16z("VS_VERSION_INFO") || le.Uint32(b[0x28:]) != 0xfeef04bd {
		return
	}
	b, at := b[:size], fixed
	for skipped := false; size-at > 6; {
		n := word(b[at:])
		if n > size-at {
			return
		}
		if key := utf16z("VarFileInfo"); !skipped && n > 6+len(key) && string(b[at+6:at+6+len(key)]) == key {
			at, skipped = at+n, true
			continue
		}
		if key := utf16z("StringFileInfo"); n > 6+len(key) && string(b[at+6:at+6+len(key)]) == key {
			p.stringTables(b[:at+n], at+6+len(key), off)
		}
		return
	}
}

// stringTables reads the tables from at to the end of b.
func (p *pe) stringTables(b []byte, at int, off int64) {
	for len(b)-at > 6 {
		n := word(b[at:])
		if n > len(b)-at || n <= 24 {
			return
		}
		if !p.strings(b[:at+n], at+24, off) {
			return
		}
		at += n
	}
}

// strings reads the strings from at to the end of b. A broken one ends it all.
func (p *pe) strings(b []byte, at int, off int64) bool {
	for len(b)-at > 6 {
		n := (word(b[at:]) + 3) &^ 3
		if n > len(b)-at || n <= 6+2+8 {
			return false
		}
		key := 6
		for ; key+1 < n; key += 2 {
			if b[at+key] == 0 && b[at+key+1] == 0 {
				key += 2
				break
			}
		}
		if key = (key + 3) &^ 3; n-key > 2 {
			p.VersionInfo = append(p.VersionInfo, off+int64(at)+6)
		}
		at += n
	}
	return true
}
