package ruledb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

const (
	magic      = "SCRULES1"
	version    = 4
	partPlain  = 256 // added to the target: see doc.go
	headerSize = 32
	entrySize  = 32
	alignment  = 64
	maxEntries = 1024
)

// ErrCorrupt is wrapped by every error about a database that does not hold together.
var ErrCorrupt = errors.New("database corrupt")

// kind is what a section holds.
type kind uint32

const (
	secMeta kind = 1 + iota
	secNames
	secTexts
	secSkips
	secFiles
	secRules
	secUses
	secPatterns
	secPrograms
	secOwners
	secEager
	secDeferred
	secEagerRefs
	secDeferredRefs
	secAlways
	secSizes
	secStarts
	secDigests
	secDigestRows
	secYARA
	secSpaces
	secAbouts
	kinds
)

// cold tells the sections that Open does not read. What is in one is proven when it
// is first asked for. (Abouts are small, and of their damage most would be told late.)
func (k kind) cold() bool { return k == secTexts || k == secSkips }

// coldSection is a section that Open does not read.
type coldSection struct {
	data []byte
	sum  uint64 // as it is stored
	once sync.Once
	good bool
}

// proven returns the section's bytes once they are known to be those that were written.
func (c *coldSection) proven(name string) ([]byte, error) {
	c.once.Do(func() { c.good = len(c.data) == 0 || xxhash.Sum64(c.data) == c.sum })
	if !c.good {
		return nil, fmt.Errorf("checksum of %s: %w", name, ErrCorrupt)
	}
	return c.data, nil
}

// ruleRow is one rule with patterns. 52 bytes.
type ruleRow struct {
	Name, NameLen       uint32 // in names
	Text, TextLen       uint32 // in texts
	Program, ProgramLen uint32 // in programs: guard and condition
	Uses, UsesLen       uint32 // in uses: the rule's patterns in order
	File, Line          uint32
	Target              uint32
	Flags               uint32
	YARA                uint32 // 1 + index of its yaraRow, 0 for none
}

// yaraRow is what a rule of YARA's has besides. 40 bytes.
type yaraRow struct {
	Code, CodeLen     uint32 // in programs
	Deps, DepsLen     uint32 // in uses: earlier rules
	Hidden, HiddenLen uint32 // in uses: indexes of the rule's private patterns
	About, AboutLen   uint32 // in abouts
	Space             uint32 // index in spaces
	Flags             uint32
}

// spaceRow is a namespace. 16 bytes.
type spaceRow struct {
	Name, NameLen       uint32 // in names
	Globals, GlobalsLen uint32 // in uses: its global rules, ascending
}

// patternRow is one pattern. 56 bytes.
type patternRow struct {
	Program, ProgramLen uint32 // in programs
	Owners, OwnersLen   uint32 // in owners: rules that this pattern triggers
	Count               uint32 // matches to tell apart
	Base                uint32 // pattern.Anchor
	Number              int32
	Flags               uint32 // patternFlags
	Offset, Shift       int64
	Places, PlacesLen   uint32 // in uses: places of its atoms, for proving the program
}

// digestRow is one exact-digest rule. 16 bytes.
type digestRow struct {
	Name    uint32 // in names
	NameLen uint16
	File    uint16
	Line    uint32
	Text    uint32 // 1 + offset in texts of {length u32, text}; 0: the text follows from the row
}

// The flags of a yaraRow.
const (
	yaraPrivate = 1 << iota
	yaraGlobal
	yaraAbsent
	yaraViews
	yaraAll = 1<<iota - 1
)

// The flags of a patternRow.
const (
	patternRegexp  = 1 << iota // its program is one of package regex
	patternNoAtoms             // the whole layer has to be searched for it
	patternAll     = 1<<iota - 1
)

const (
	flagUnofficial = 1       // ruleRow.Flags: the reported name ends in ".UNOFFICIAL", which names does not hold
	fileUnofficial = 1 << 15 // the same, in digestRow.File
	fileRest       = 1 << 14 // digestRow.File: Text leads to what comes after the text that follows from the row
	fileNumber     = fileRest - 1
)

// ref is where a literal leads.
type ref struct{ Pattern, Place uint32 }

// row is a type that a section may hold.
type row interface {
	~uint32 | ~uint64 | ruleRow | yaraRow | spaceRow | patternRow | digestRow | ref | [2]uint32
}

// cast returns the section as rows, in place. b is aligned to 8 bytes.
func cast[T row](b []byte) ([]T, error) {
	var t T
	size := int(unsafe.Sizeof(t))
	if len(b)%size != 0 || len(b) > 0 && uintptr(unsafe.Pointer(&b[0]))%8 != 0 {
		return nil, fmt.Errorf("table of %d bytes: %w", len(b), ErrCorrupt)
	}
	if len(b) == 0 {
		return nil, nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/size), nil
}

// raw returns rows as the bytes of a section.
func raw[T row](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// nativeOrder says whether this machine stores numbers as the file does. On
// others a database cannot be used in place, and is refused.
func nativeOrder() bool {
	n := uint16(1)
	return *(*byte)(unsafe.Pointer(&n)) == 1
}

// aligned returns n bytes whose first is aligned to 8.
func aligned(n int) []byte {
	words := make([]uint64, (n+7)/8+1)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}

// section is one section as it is written.
type section struct {
	kind kind
	part uint32
	data []byte
	pieces
}

func (s *section) len() int { return len(s.data) + s.size }

// write copies the section to dst, which has its length, and returns its checksum.
func (s *section) write(dst []byte) uint64 {
	at := copy(dst, s.data)
	for _, p := range s.list {
		at += copy(dst[at:], p)
	}
	return xxhash.Sum64(dst)
}

// assemble lays the sections out in the order given.
func assemble(secs []section) []byte {
	at := roundUp(headerSize+entrySize*len(secs), alignment)
	total := at
	for i := range secs {
		total = roundUp(total+secs[i].len(), alignment)
	}
	out := aligned(total)
	copy(out, magic)
	le := binary.LittleEndian
	le.PutUint64(out[8:], uint64(total))
	le.PutUint32(out[16:], uint32(len(secs)))
	le.PutUint32(out[20:], version)
	var wait sync.WaitGroup
	for i := range secs {
		s, n := &secs[i], secs[i].len()
		e := out[headerSize+entrySize*i:]
		le.PutUint32(e, uint32(s.kind))
		le.PutUint32(e[4:], s.part)
		le.PutUint64(e[8:], uint64(at))
		le.PutUint64(e[16:], uint64(n))
		dst := out[at : at+n]
		wait.Go(func() { le.PutUint64(e[24:], s.write(dst)) })
		at = roundUp(at+n, alignment)
	}
	wait.Wait()
	head := out[:headerSize+entrySize*len(secs)]
	le.PutUint64(out[24:], xxhash.Sum64(head))
	return out
}

// dissect finds the sections of a file and proves their places and the hot ones'
// checksums; those of the cold ones it returns.
func dissect(data []byte) (map[kind]map[uint32][]byte, map[kind]uint64, error) {
	bad := func(format string, a ...any) (map[kind]map[uint32][]byte, map[kind]uint64, error) {
		return nil, nil, fmt.Errorf("%s: %w", fmt.Sprintf(format, a...), ErrCorrupt)
	}
	if !nativeOrder() {
		return nil, nil, errors.New("database: this machine is big-endian, which is not supported")
	}
	if len(data) < headerSize || string(data[:8]) != magic {
		return nil, nil, errors.New("database: not a compiled rule database (wrong magic)")
	}
	le := binary.LittleEndian
	if v := le.Uint32(data[20:]); v != version {
		return nil, nil, fmt.Errorf("database: format version %d, this program reads %d; compile the rules again", v, version)
	}
	if le.Uint64(data[8:]) != uint64(len(data)) {
		return bad("size says %d, the file has %d bytes", le.Uint64(data[8:]), len(data))
	}
	n := int(le.Uint32(data[16:]))
	if n > maxEntries || headerSize+entrySize*n > len(data) {
		return bad("%d sections", n)
	}
	head := append([]byte(nil), data[:headerSize+entrySize*n]...)
	clear(head[24:32])
	if xxhash.Sum64(head) != le.Uint64(data[24:]) {
		return bad("header checksum")
	}
	out, sums := map[kind]map[uint32][]byte{}, map[kind]uint64{}
	for i := range n {
		e := data[headerSize+entrySize*i:]
		k, part := kind(le.Uint32(e)), le.Uint32(e[4:])
		off, length := le.Uint64(e[8:]), le.Uint64(e[16:])
		if k == 0 || k >= kinds || off%alignment != 0 || off > uint64(len(data)) || length > uint64(len(data))-off {
			return bad("section %d", i)
		}
		s := data[off : off+length : off+length]
		switch sum := le.Uint64(e[24:]); {
		case k.cold() && part != 0:
			return bad("part of section %d", i)
		case k.cold():
			sums[k] = sum
		case xxhash.Sum64(s) != sum:
			return bad("checksum of section %d", i)
		}
		if out[k] == nil {
			out[k] = map[uint32][]byte{}
		}
		if _, dup := out[k][part]; dup {
			return bad("section %d stands twice", i)
		}
		out[k][part] = s
	}
	return out, sums, nil
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
