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
	version    = 7
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
	secSizeLows
	secDigests
	secDigestIndex
	secYARA
	secSpaces
	secAbouts
	secStems
	secSums
	kinds
)

// String returns what package documentation calls a section.
func (k kind) String() string {
	names := [...]string{
		"", "meta", "names", "texts", "skips", "files", "rules", "uses", "patterns", "programs", "owners",
		"eager", "deferred", "eagerrefs", "deferredrefs", "always", "sizes", "sizelows", "digests", "digestindex",
		"yara", "spaces", "abouts", "stems", "sums",
	}
	if k < kinds {
		return names[k]
	}
	return "unknown"
}

// cold tells the sections that Open does not read. What is in one is proven page by
// page, when it is asked for. They stand behind the others, each at a multiple of a page.
// (Abouts are small, and of their damage most would be told late.)
func (k kind) cold() bool { return k == secTexts || k == secSkips || k == secStems || k == secDigests }

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
	Number              int32  // of a comparison, the pattern that it counts from
	Flags               uint32 // patternFlags
	Offset, Shift       int64
	Places, PlacesLen   uint32 // in uses: places of its atoms, for proving the program
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
	patternLater               // it is decided after others: rule.Later
	patternCompare             // its program is a rule.Compare
	patternImage               // its program is a rule.Image: the hash, the distance
	patternIcons               // its program is a rule.Icons: its lines
	patternGlobal              // the flags of rule.Later
	patternRolling
	patternEncompass
	patternAnchored
	patternAll = 1<<iota - 1
)

// The flags of a ruleRow.
const (
	flagUnofficial = 1 << iota // the reported name ends in ".UNOFFICIAL", which names does not hold
	flagBytecode               // its text is a program
	flagAlias                  // of the program that stands before it
	flagHeuristic              // rule.Rule.Heuristic
)

// ref is where a literal leads.
type ref struct{ Pattern, Place uint32 }

// row is a type that a section may hold.
type row interface {
	~uint16 | ~uint32 | ~uint64 | ruleRow | yaraRow | spaceRow | patternRow | indexRow | sizeRow | pageSum | ref | [2]uint32
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
	blob blob
}

func (s *section) len() int { return len(s.data) + s.size + s.blob.size }

// write copies the section to dst, which has its length, and forgets what it was made of.
func (s *section) write(dst []byte) {
	at := copy(dst, s.data)
	for _, p := range s.list {
		at += copy(dst[at:], p)
	}
	for _, c := range s.blob.chunks {
		at += copy(dst[at:], c)
	}
	s.data, s.list, s.blob.chunks = nil, nil, nil
}

// stripe is how many bytes of a cold section one goroutine sums.
const stripe = 1024 * pageSize

// assemble lays the sections out: those that Open reads, the sums of the others' pages,
// and the others, each in the order given.
func assemble(secs []section) []byte {
	count := 0
	var hot, cold []section
	for _, s := range secs {
		if s.kind.cold() {
			count += pageCount(s.len())
			cold = append(cold, s)
		} else {
			hot = append(hot, s)
		}
	}
	sums := make([]pageSum, count)
	hot = append(hot, section{kind: secSums, data: raw(sums)})
	secs = append(hot, cold...)
	place := func(at int, s *section) int {
		if s.kind.cold() {
			return roundUp(at, pageSize)
		}
		return roundUp(at, alignment)
	}
	total := headerSize + entrySize*len(secs)
	for i := range secs {
		total = place(total, &secs[i]) + secs[i].len()
	}
	total = roundUp(total, alignment)
	out := aligned(total)
	copy(out, magic)
	le := binary.LittleEndian
	le.PutUint64(out[8:], uint64(total))
	le.PutUint32(out[16:], uint32(len(secs)))
	le.PutUint32(out[20:], version)
	at, page := headerSize+entrySize*len(secs), 0
	var hots, colds sync.WaitGroup
	for i := range secs {
		s, n := &secs[i], secs[i].len()
		at = place(at, s)
		e := out[headerSize+entrySize*i:]
		le.PutUint32(e, uint32(s.kind))
		le.PutUint32(e[4:], s.part)
		le.PutUint64(e[8:], uint64(at))
		le.PutUint64(e[16:], uint64(n))
		dst := out[at : at+n]
		switch {
		case s.kind == secSums: // when all are known
		case s.kind.cold():
			le.PutUint64(e[24:], uint64(page))
			s.write(dst)
			own := sums[page:]
			for from := 0; from < n; from += stripe {
				colds.Go(func() { copy(own[from/pageSize:], sumPages(dst[from:min(from+stripe, n)])) })
			}
			page += pageCount(n)
		default:
			hots.Go(func() { s.write(dst); le.PutUint64(e[24:], xxhash.Sum64(dst)) })
		}
		at += n
	}
	colds.Wait()
	hots.Wait()
	i := len(hot) - 1
	e := out[headerSize+entrySize*i:]
	dst := out[le.Uint64(e[8:]):][:le.Uint64(e[16:])]
	secs[i].write(dst)
	le.PutUint64(e[24:], xxhash.Sum64(dst))
	head := out[:headerSize+entrySize*len(secs)]
	le.PutUint64(out[24:], xxhash.Sum64(head))
	return out
}

// place is where a section stands.
type place struct {
	kind   kind
	part   uint32
	off, n uint64
	check  uint64
}

// hotPart returns the length of what Open reads: the rest of the file is cold sections.
func hotPart(places []place, size uint64) uint64 {
	for _, p := range places {
		if p.kind.cold() {
			size = min(size, p.off)
		}
	}
	return size
}

// dissect finds the sections of a file whose first bytes are data, and whose size is
// size, and proves their places; checksums proves the content of the hot ones. A cold one is
// known by its place alone.
func dissect(data []byte, size uint64) ([]place, map[kind]map[uint32][]byte, error) {
	bad := func(format string, a ...any) ([]place, map[kind]map[uint32][]byte, error) {
		return nil, nil, fmt.Errorf("%s: %w", fmt.Sprintf(format, a...), ErrCorrupt)
	}
	places, err := sections(data, size)
	if err != nil {
		return nil, nil, err
	}
	hot := hotPart(places, size)
	if hot > uint64(len(data)) {
		return bad("%d bytes to be read at start, there are %d", hot, len(data))
	}
	out := map[kind]map[uint32][]byte{}
	for i, p := range places {
		if out[p.kind] == nil {
			out[p.kind] = map[uint32][]byte{}
		}
		if _, dup := out[p.kind][p.part]; dup {
			return bad("section %d stands twice", i)
		}
		out[p.kind][p.part] = nil
		if p.kind.cold() {
			continue
		}
		if p.off+p.n > hot {
			return bad("section %d stands among those that are not read at start", i)
		}
		out[p.kind][p.part] = data[p.off : p.off+p.n : p.off+p.n]
	}
	return places, out, nil
}

// checksums proves the checksums of the hot sections that dissect found.
func checksums(data []byte, places []place) error {
	for i, p := range places {
		if !p.kind.cold() && xxhash.Sum64(data[p.off:p.off+p.n]) != p.check {
			return fmt.Errorf("checksum of section %d: %w", i, ErrCorrupt)
		}
	}
	return nil
}

// sections reads the header of a file of size bytes that begins with data.
func sections(data []byte, size uint64) ([]place, error) {
	bad := func(format string, a ...any) ([]place, error) {
		return nil, fmt.Errorf("%s: %w", fmt.Sprintf(format, a...), ErrCorrupt)
	}
	if !nativeOrder() {
		return nil, errors.New("database: this machine is big-endian, which is not supported")
	}
	if len(data) < headerSize || string(data[:8]) != magic {
		return nil, errors.New("database: not a compiled rule database (wrong magic)")
	}
	le := binary.LittleEndian
	if v := le.Uint32(data[20:]); v != version {
		return nil, fmt.Errorf("database: format version %d, this program reads %d; compile the rules again", v, version)
	}
	if le.Uint64(data[8:]) != size {
		return bad("size says %d, the file has %d bytes", le.Uint64(data[8:]), size)
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
	out := make([]place, n)
	for i := range out {
		e := data[headerSize+entrySize*i:]
		p := place{kind(le.Uint32(e)), le.Uint32(e[4:]), le.Uint64(e[8:]), le.Uint64(e[16:]), le.Uint64(e[24:])}
		step := uint64(alignment)
		if p.kind.cold() {
			step = pageSize
		}
		if p.kind == 0 || p.kind >= kinds || p.off%step != 0 || p.off > size || p.n > size-p.off {
			return bad("section %d", i)
		}
		out[i] = p
	}
	return out, nil
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
