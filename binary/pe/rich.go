package pe

import "bytes"

const maxStub = 1 << 20 // bytes before the PE header in which the rich header is searched

// Rich is the rich header: which tools made the objects that were linked. It is
// not documented by who writes it.
type Rich struct {
	Offset int64
	Key    uint32
	Raw    string
	Clear  string
	Tools  []Tool
}

// Tool is an entry of the rich header: a tool, its build, and how many objects it
// made.
type Tool struct {
	ID, Version uint16
	Times       uint32
}

// Rich is the rich header, nil if there is none.
func (f *File) Rich() *Rich {
	if !f.riched {
		f.riched = true
		if f.o.Reading == YARA4 {
			f.rich = f.rich4()
		} else {
			f.rich = f.richX()
		}
	}
	return f.rich
}

// stub is the end of what is before the PE header, up to end.
func (f *File) stub(from, end int64) (b []byte, base int64) {
	if end-from > maxStub {
		from, f.cut = end-maxStub, true
	}
	for at := from; at < end; {
		k := min(end-at, maxString)
		part := f.bytes(at, k)
		if part == nil || !f.step(1+k>>6) {
			return nil, 0
		}
		b, at = append(b, part...), at+k
	}
	return b, from
}

// rich4 looks for the header at every fourth byte back from the PE header, and
// wants its three words of padding.
func (f *File) rich4() *Rich {
	if f.lfanew < 68 {
		return nil
	}
	// Words stand at distances of four from the PE header.
	b, base := f.stub(64+f.lfanew%4, f.lfanew)
	var key uint32
	end := -1
	for at := len(b) - 4; at >= 0; at -= 4 {
		if string(b[at:at+4]) == "Rich" {
			k, ok := f.u32(base + int64(at) + 4)
			if !ok || k == 0 {
				return nil
			}
			key, end = k, at
			break
		}
	}
	for at := end - 4; at >= 0; at -= 4 {
		if le.Uint32(b[at:])^key != dans {
			continue
		}
		if end-at < 16 {
			return nil
		}
		k := le.Uint32(b[at+4:])
		if le.Uint32(b[at+8:]) != k || le.Uint32(b[at+12:]) != k || le.Uint32(b[at:])^k != dans {
			return nil
		}
		return newRich(base+int64(at), k, b[at:end])
	}
	return nil
}

const dans = 0x536e6144

// richX looks for the header at any byte.
func (f *File) richX() *Rich {
	b, base := f.stub(0, f.lfanew)
	end := bytes.LastIndex(b, []byte("Rich"))
	if end < 0 || end+8 > len(b) {
		return nil
	}
	key := le.Uint32(b[end+4:])
	var want [4]byte
	le.PutUint32(want[:], key^dans)
	at := bytes.LastIndex(b[:end], want[:])
	if at < 0 {
		return nil
	}
	return newRich(base+int64(at), key, b[at:end])
}

// newRich decodes a header.
func newRich(off int64, key uint32, raw []byte) *Rich {
	r := &Rich{Offset: off, Key: key, Raw: string(raw)}
	clear := bytes.Clone(raw)
	for i := range clear {
		clear[i] ^= byte(key >> (8 * (i & 3)))
	}
	r.Clear = string(clear)
	for t := clear; len(t) >= 24; t = t[8:] {
		r.Tools = append(r.Tools, Tool{le.Uint16(t[18:]), le.Uint16(t[16:]), le.Uint32(t[20:])})
	}
	return r
}

// maxDebug is the most entries of the debug directory that are read.
const maxDebug = 1 << 12

// Debug is an entry of the debug directory.
type Debug struct {
	Type, Timestamp, Size, RVA, Offset uint32
}

// Debug are the entries of the debug directory.
func (f *File) Debug() []Debug {
	d, ok := f.Directory(DirDebug)
	off, n, found := f.directory(DirDebug)
	if !ok || !found || f.o.Reading == YARA4 && (d.Size == 0 || d.Size%28 != 0) {
		return nil
	}
	var out []Debug
	for n = min(n, int64(d.Size)); n >= 28; n -= 28 {
		b := f.bytes(off, 28)
		if b == nil || !f.step(1) {
			break
		}
		out = append(out, Debug{le.Uint32(b[12:]), le.Uint32(b[4:]), le.Uint32(b[16:]), le.Uint32(b[20:]), le.Uint32(b[24:])})
		off += 28
		if len(out) == maxDebug {
			f.cut = f.cut || n > 28
			break
		}
	}
	return out
}

// PDBPath is the path of the program database that the debug directory names.
func (f *File) PDBPath() (string, bool) {
	for _, d := range f.Debug() {
		if d.Type != 2 { // CodeView
			continue
		}
		off, ok := int64(0), false
		if d.RVA != 0 {
			off, ok = f.Offset(uint64(d.RVA))
		}
		if (!ok || off == 0 && f.o.Reading == YARA4) && (d.Offset != 0 || f.o.Reading == YARAX) {
			off = int64(d.Offset)
		}
		sig := f.bytes(off, 4)
		if off == 0 || sig == nil {
			continue
		}
		skip := int64(0)
		switch string(sig) {
		case "RSDS":
			skip = 24
		case "NB10":
			skip = 16
		case "MTOC":
			skip = 20
		default:
			continue
		}
		if f.o.Reading == YARAX {
			if off+skip > f.size {
				continue
			}
			s, _ := f.cstring(off+skip, maxString)
			return s, true
		}
		const maxPath = 260
		s, ended := f.cstring(off+skip, maxPath)
		if s != "" && (ended || len(s) < maxPath) {
			return s, true
		}
	}
	return "", false
}

// TLS is the directory of thread-local storage: the functions that run before the
// entry point, relative to the image base.
type TLS struct{ Callbacks []uint64 }

// maxCallbacks is the most callbacks that are read.
const maxCallbacks = 1 << 12

// TLS is the directory of thread-local storage, nil if there is none.
func (f *File) TLS() *TLS {
	off, _, ok := f.directory(DirTLS)
	if !ok {
		return nil
	}
	at, ok := f.thunk(off + 3*f.width())
	if !ok {
		return nil
	}
	t := &TLS{}
	for table := at - f.ImageBase; at != 0 && len(t.Callbacks) < maxCallbacks; table += uint64(f.width()) {
		c, ok := f.thunkAt(table)
		if !ok || c == 0 || !f.step(1) {
			break
		}
		t.Callbacks = append(t.Callbacks, c-f.ImageBase)
	}
	return t
}
