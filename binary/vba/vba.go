// Package vba reads the macros of Office documents: a project in a compound file, and
// the source of its modules.
//
// Records are told apart by their numbers alone, so that a project in any language,
// and one that lies about what nobody needs, is read.
//
// Source: Microsoft, [MS-OVBA].
package vba

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/showcause/showcause/binary/cfb"
)

const (
	maxStream  = 16 << 20 // bytes of a stream that is read
	maxCode    = 32 << 20 // bytes of the source of all modules
	maxModules = 4096
	maxNames   = 4096 // references
	chunkSize  = 4096 // bytes that a chunk has when decompressed
)

// Kind is the kind of a module.
type Kind byte

// The kinds.
const (
	Unknown Kind = iota
	Standard
	Class // of a document, or a class
)

// Module is a module of a project. Texts are bytes in the code page of the project.
type Module struct {
	Name string
	Kind Kind
	Code string

	Stream int   // its entry in the directory, -1 if there is none
	Offset int64 // of the source in the stream; before it stands what was compiled
	Whole  bool  // the source was decompressed to its end
}

// Project is a project.
type Project struct {
	Name       string
	Version    string // "major.minor"
	References []string
	Modules    []Module // those with source, in the order of the project

	work  func(steps int64) bool
	short bool
}

// Find reads the first project in a compound file, nil if there is none. work is asked
// for what is decompressed; nil is a bound of its own.
func Find(f *cfb.File, work func(steps int64) bool) *Project {
	for i := range f.Entries {
		if k := f.Entries[i].Kind; k != cfb.Storage && k != cfb.Root {
			continue
		}
		if p, ok := At(f, i, work); ok {
			return p
		}
	}
	return nil
}

// At reads the project in a storage, nil if there is none. It is not ok where it is
// damaged; what can be read comes with it.
func At(f *cfb.File, storage int, work func(steps int64) bool) (p *Project, ok bool) {
	dir := f.Find(storage, "dir")
	if dir < 0 {
		return nil, false
	}
	p = &Project{work: work}
	b, whole := f.Read(dir, maxStream)
	b, sound := p.decompress(b)
	named := p.records(f, storage, b)
	return p, whole && sound && named
}

// Short says that something was left out because a bound was reached.
func (p *Project) Short() bool { return p.short }

// step charges work.
func (p *Project) step(n int) bool {
	if p.work != nil && !p.work(int64(n)) {
		p.short = true
	}
	return !p.short
}

// decompress decompresses a stream and charges for it.
func (p *Project) decompress(b []byte) ([]byte, bool) {
	if !p.step(len(b)) {
		return nil, false
	}
	out, ok, cut := Decompress(b, maxStream)
	p.short = p.short || cut
	ok = p.step(len(out)) && ok
	return out, ok
}

// Decompress decompresses a container (section 2.4.1). ok is false where it is damaged
// or has none; what is before that comes with it. cut says that there was more than max
// bytes.
func Decompress(b []byte, max int) (out []byte, ok, cut bool) {
	if len(b) == 0 || b[0] != 1 {
		return nil, false, false
	}
	for b = b[1:]; len(b) > 0; {
		if len(b) < 2 {
			return out, false, false
		}
		head := binary.LittleEndian.Uint16(b)
		n := int(head&0xfff) + 3
		if head>>12&7 != 3 {
			return out, false, false
		}
		if len(out) > max-chunkSize {
			return out, false, true
		}
		chunk := b[2:min(n, len(b))]
		b = b[min(n, len(b)):]
		if head&0x8000 == 0 {
			out = append(out, chunk[:min(len(chunk), chunkSize)]...)
			continue
		}
		if out, ok = tokens(out, chunk); !ok {
			return out, false, false
		}
	}
	return out, true, false
}

// tokens appends a chunk of literals and copies.
func tokens(out, chunk []byte) ([]byte, bool) {
	start := len(out)
	for len(chunk) > 0 {
		flags := chunk[0]
		chunk = chunk[1:]
		for bit := 0; bit < 8 && len(chunk) > 0; bit++ {
			if flags>>bit&1 == 0 {
				if len(out)-start == chunkSize {
					return out, false
				}
				out, chunk = append(out, chunk[0]), chunk[1:]
				continue
			}
			if len(chunk) < 2 {
				return out, false
			}
			token := binary.LittleEndian.Uint16(chunk)
			chunk = chunk[2:]
			// The farther into the chunk, the more bits has the distance.
			lengthBits := 12
			for 1<<(16-lengthBits) < len(out)-start {
				lengthBits--
			}
			length, distance := int(token&(1<<lengthBits-1))+3, int(token>>lengthBits)+1
			if distance > len(out)-start || len(out)-start+length > chunkSize {
				return out, false
			}
			for range length {
				out = append(out, out[len(out)-distance])
			}
		}
	}
	return out, true
}

// Numbers of records in the stream "dir" (section 2.3.4.2).
const (
	recordName       = 0x04
	recordVersion    = 0x09
	recordModules    = 0x0f
	recordEnd        = 0x10
	recordReference  = 0x16
	recordModule     = 0x19
	recordStream     = 0x1a
	recordProcedural = 0x21
	recordClass      = 0x22
	recordModuleEnd  = 0x2b
	recordControl    = 0x2f
	recordExtended   = 0x30
	recordOffset     = 0x31
)

// part is a module while its records are read.
type part struct {
	Module
	stream string
	offset uint32
}

// records reads the records of a project in a storage, false if it has none.
func (p *Project) records(f *cfb.File, storage int, b []byte) bool {
	named, control := false, false
	var m *part
	total := 0
	for len(b) >= 6 && p.step(1) {
		id, n := binary.LittleEndian.Uint16(b), uint64(binary.LittleEndian.Uint32(b[2:]))
		if id == recordVersion {
			n = 6 // whatever its length says
		}
		b = b[6:]
		if n > uint64(len(b)) {
			break
		}
		data := b[:n]
		b = b[n:]
		switch {
		case id == recordName:
			p.Name, named = string(data), true
		case id == recordVersion:
			p.Version = fmt.Sprintf("%d.%d", binary.LittleEndian.Uint32(data), binary.LittleEndian.Uint16(data[4:]))
		case id == recordControl:
			control = true // it can have a second name, which does not count
		case id == recordExtended:
			control = false
		case id == recordReference && !control:
			if len(p.References) == maxNames {
				p.short = true
				return named
			}
			p.References = append(p.References, string(data))
		case id == recordModule:
			m = &part{Module: Module{Name: string(data)}}
		case m != nil && id == recordModuleEnd:
			if total += p.module(f, storage, m); len(p.Modules) == maxModules || total > maxCode {
				p.short = true
				return named
			}
			m = nil
		case id == recordEnd:
			return named
		case m != nil:
			m.record(id, data)
		}
	}
	return named
}

// record takes what a record says of a module.
func (m *part) record(id uint16, data []byte) {
	switch {
	case id == recordStream:
		m.stream = string(data)
	case id == recordOffset && len(data) >= 4:
		m.offset = binary.LittleEndian.Uint32(data)
	case id == recordProcedural:
		m.Kind = Standard
	case id == recordClass:
		m.Kind = Class
	}
}

// module reads the source of a module and returns how many bytes it has. What is before
// a damage counts.
func (p *Project) module(f *cfb.File, storage int, m *part) int {
	at := f.Find(storage, m.stream)
	if at < 0 {
		at = f.Find(storage, strings.ToValidUTF8(m.stream, "\uFFFD"))
	}
	b, _ := f.Read(at, maxStream)
	m.Stream, m.Offset = at, int64(m.offset)
	if m.Offset >= int64(len(b)) {
		return 0
	}
	code, whole := p.decompress(b[m.offset:])
	m.Code, m.Whole = string(code), whole
	p.Modules = append(p.Modules, m.Module)
	return len(code)
}
