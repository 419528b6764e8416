package pe

import "math"

const (
	maxResources4 = 65537
	maxResourcesX = 65535
	resourceSteps = 1 << 18 // entries of resource directories that are looked at
	typeVersion   = 16
)

// Resources is the resource directory and what is in it.
type Resources struct {
	Timestamp uint32
	Version   Version
	List      []Resource
}

// Resource is one resource. Type, Name and Language are the ways to it.
type Resource struct {
	RVA, Size            uint32
	Offset               int64 // in the file, where Placed
	Placed               bool
	Type, Name, Language ID
}

// ID is a number or a name of a resource.
type ID struct {
	Known  bool
	Number uint32
	at     int64 // file offset of the name's UTF-16
	units  int
	text   bool
}

// Text tells whether an ID is a name.
func (i ID) Text() bool { return i.text }

// IDText is the name of a resource as it stands, UTF-16LE.
func (f *File) IDText(i ID) (string, bool) {
	if !i.text {
		return "", false
	}
	var out []byte
	for n := int64(i.units) * 2; n > 0; {
		k := min(n, maxString)
		b := f.bytes(i.at+int64(len(out)), k)
		if b == nil {
			return "", false
		}
		out, n = append(out, b...), n-k
	}
	return string(out), true
}

// Resources are the resources, nil if there is no resource directory.
func (f *File) Resources() *Resources {
	if !f.resourced {
		f.resourced = true
		f.resources = f.readResources()
	}
	return f.resources
}

// resourceReader reads the tree of resources.
type resourceReader struct {
	*File
	base  int64
	out   *Resources
	steps int
	ids   [3]ID // YARA 4: the last of each level
}

func (f *File) readResources() *Resources {
	d, ok := f.Directory(DirResource)
	if !ok || d.Address == 0 && f.o.Reading == YARA4 {
		return nil
	}
	base, ok := f.Offset(uint64(d.Address))
	if !ok {
		return nil
	}
	h := f.bytes(base, 16)
	if h == nil {
		return nil
	}
	r := &resourceReader{File: f, base: base, out: &Resources{
		Timestamp: le.Uint32(h[4:]), Version: Version{le.Uint16(h[8:]), le.Uint16(h[10:])},
	}}
	if f.o.Reading == YARA4 {
		for i := range r.ids {
			r.ids[i] = ID{Known: true, Number: math.MaxUint32}
		}
		r.walk4(base, 0, [3]ID{})
		return r.out
	}
	r.walkX()
	if len(r.out.List) == 0 {
		return nil
	}
	return r.out
}

// entries is the number of entries of a directory, and whether it is one.
func (r *resourceReader) entries(off int64) (int, bool) {
	h := r.bytes(off, 16)
	if h == nil || le.Uint32(h) != 0 || le.Uint16(h[12:]) > 32768 || le.Uint16(h[14:]) > 32768 {
		return 0, false
	}
	return int(le.Uint16(h[12:])) + int(le.Uint16(h[14:])), true
}

// entry is entry i of the directory at off.
func (r *resourceReader) entry(off int64, i int) (name, at uint32, ok bool) {
	if r.steps++; r.steps > resourceSteps {
		r.cut = true
	}
	b := r.bytes(off+16+int64(i)*8, 8)
	if b == nil || !r.step(1) {
		return 0, 0, false
	}
	return le.Uint32(b), le.Uint32(b[4:]), true
}

// id is the number or name of an entry.
func (r *resourceReader) id(name uint32) ID {
	i := ID{Known: true, Number: name}
	if name>>31 == 0 {
		return i
	}
	at := r.base + int64(name&^(1<<31))
	b := r.bytes(at, 2)
	if b == nil {
		i.Known = r.o.Reading == YARA4
		return i
	}
	units := int(le.Uint16(b))
	if r.o.Reading == YARAX {
		units = min(units*2, math.MaxUint16) / 2
	}
	if r.size-at-2 < int64(units)*2 {
		i.Known = r.o.Reading == YARA4
		return i
	}
	i.at, i.units, i.text = at+2, units, true
	return i
}

// data is the data entry at off.
func (r *resourceReader) data(off int64) (Resource, bool) {
	b := r.bytes(off, 16)
	if b == nil {
		return Resource{}, false
	}
	x := Resource{RVA: le.Uint32(b), Size: le.Uint32(b[4:])}
	x.Offset, x.Placed = r.Offset(uint64(x.RVA))
	return x, true
}

// walk4 goes through a directory as YARA 4 does, depth first: what is wrong stops
// it at all levels. Names are those on the way; a number is the last that was seen
// at its level, on the way or not.
func (r *resourceReader) walk4(off int64, level int, names [3]ID) (goOn bool) {
	n, ok := r.entries(off)
	if !ok {
		return true
	}
	for i := range n {
		name, at, ok := r.entry(off, i)
		if !ok {
			return false
		}
		id := r.id(name)
		names[level] = ID{}
		r.ids[level] = ID{Known: true, Number: name}
		if id.text {
			names[level] = id
		}
		child := r.base + int64(at&^(1<<31))
		if at>>31 != 0 && level < 2 {
			if r.bytes(child, 16) == nil || !r.walk4(child, level+1, names) {
				return false
			}
			continue
		}
		x, ok := r.data(child)
		if !ok || len(r.out.List) >= maxResources4 {
			return false
		}
		way := r.ids
		for l, id := range names {
			if id.text {
				number := way[l].Number
				way[l] = id
				way[l].Number = number
			}
		}
		x.Type, x.Name, x.Language = way[0], way[1], way[2]
		r.out.List = append(r.out.List, x)
	}
	return true
}

// walkX goes through the tree as YARA-X does, breadth first, leaving out what is
// wrong.
func (r *resourceReader) walkX() {
	type item struct {
		off   int64
		level int
		ids   [3]ID
	}
	queue := []item{{off: r.base}}
	for len(queue) > 0 && !r.cut {
		it := queue[0]
		queue = queue[1:]
		n, ok := r.entries(it.off)
		if !ok {
			continue
		}
		for i := range n {
			name, at, ok := r.entry(it.off, i)
			if !ok {
				break
			}
			child := r.base + int64(at&^(1<<31))
			ids := it.ids
			id := r.id(name)
			if child == r.base || child >= r.size || it.level > 2 || it.level == 2 && id.Known && !id.text && id.Number > 0xfffff {
				continue
			}
			ids[it.level] = id
			if at>>31 != 0 && it.level < 2 {
				queue = append(queue, item{child, it.level + 1, ids})
			}
			x, ok := r.data(child)
			if !ok || x.Size == 0 || x.RVA == 0 || int64(x.Size) >= r.size {
				continue
			}
			x.Type, x.Name, x.Language = ids[0], ids[1], ids[2]
			if r.out.List = append(r.out.List, x); len(r.out.List) == maxResourcesX {
				return
			}
		}
	}
}
