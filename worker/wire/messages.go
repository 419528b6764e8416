package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/showcause/showcause"
)

// Kinds of messages, and of frames.
const (
	msgRules = 1
	msgJobs  = 2

	FrameReady   = 1
	FrameRefusal = 2
	FrameReport  = 3
)

// Flags of messages.
const (
	flagNames    = 1
	flagExcerpts = 2
	flagScratch  = 4
	flagDigests  = 8
	flagTopOnly  = 16
	flagNoUsual  = 32
	flagLogs     = 64
	flagModules  = 128

	flagAtOnce = 1
)

const (
	MaxBatch    = 64                                  // jobs in a message: the kernel takes 253 descriptors at most (SCM_MAX_FD)
	rulesSize   = 1 + 1 + 2*8 + 6*8 + 2*8 + 4 + 8 + 2 // and passwords and external variables
	jobsHead    = 1 + 1 + 2
	jobSize     = 8 + 8 + 2 + 1 + 4 // and external variables, holes, and content
	byFile      = math.MaxUint32    // in place of a content's length: it comes as a descriptor
	MaxHoles    = 16                // of a file
	holeSize    = 8 + 8
	MaxRefusal  = 1 << 10
	MaxDepth    = 1000 // of Limits.Depth: a reader's stack and a report's trails are bounded
	maxMatches  = 1 << 18
	mostMatches = 1 << 22 // where more of a pattern are wanted than usual
	maxFindings = 10_001  // as many as scan keeps
	noAllowance = math.MaxUint32
)

// Lengths in bytes of the longest messages.
const (
	MaxSettings = rulesSize + maxPasswords + MaxExternals
	MaxJobs     = jobsHead + MaxBatch*(jobSize+MaxHoles*holeSize) + MaxJobsExternal + MaxJobsContent
)

// Content that is written into a message instead of being passed as a descriptor, bytes: of a
// file, and of all files of a message. The kernel takes messages of some 200 KiB in all that
// wait at a socket (wmem_default in socket(7)), and counts more than their bytes.
const (
	MaxContent     = 32 << 10
	MaxJobsContent = 48 << 10
)

// What a report may weigh. Without quoted data it is a base and so much for
// each match; with it, all that a report of scan may hold.
const (
	baseReport   = 64 << 10
	matchReport  = 32
	quotedReport = 32 << 20
)

// Sizes of the parts of a frame, bytes.
const (
	FrameHead   = 4 + 1
	ReportHead  = 8 + 1 + 8 + 4*8 + 3*4
	findingHead = 4 + 4 + 2 + 4
	matchSize   = 4 + 8 + 8
	linkSize    = 32 + 8
	countSize   = 4
	gapSize     = 2 + 2 + 8 + 8
	stepSize    = 8 + 2
)

var le = binary.LittleEndian

// Settings are what a reader is told first.
type Settings struct {
	Limits   showcause.Limits
	Names    bool
	Excerpts bool
	Digests  bool // chains and counts
	Logs     bool // lines that rules write
	Modules  bool // a descriptor comes with this message, with what EncodeModules wrote
	Scratch  bool // descriptor 5 is there
	Formats  FormatSet
	Memory   int64 // bytes
	Spill    int64 // bytes of scratch

	TopOnly   bool
	Matches   uint32 // of a pattern; 0: the usual number
	Now       int64
	Externals string // see EncodeExternals
	Passwords string // see EncodePasswords
	NoUsual   bool
}

// FormatSet is a set of formats, a bit for each of formats.All, the lowest first.
type FormatSet [2]uint64

// MaxFormats is how many formats a FormatSet has room for.
const MaxFormats = 64 * len(FormatSet{})

// Add takes format i in.
func (f *FormatSet) Add(i int) { f[i/64] |= 1 << (i % 64) }

// Has tells whether format i is in it.
func (f FormatSet) Has(i int) bool { return i >= 0 && i < MaxFormats && f[i/64]>>(i%64)&1 != 0 }

// long tells whether reports may be as long as those of scan.
func (s *Settings) long() bool { return s.Names || s.Excerpts || s.Digests }

// MaxFrame is the length in bytes of the longest report.
func (s *Settings) MaxFrame() int {
	n := baseReport + matchReport*maxMatches
	switch {
	case s.Matches > showcause.MaxMatches:
		n = quotedReport + matchSize*mostMatches
	case s.long():
		n = quotedReport
	}
	if s.Logs {
		n += maxLogs
	}
	return n
}

func bit(on bool, flag uint8) uint8 {
	if on {
		return flag
	}
	return 0
}

// Encode writes them as the first message.
func (s *Settings) Encode() []byte {
	b := []byte{msgRules, bit(s.Names, flagNames) | bit(s.Excerpts, flagExcerpts) | bit(s.Scratch, flagScratch) | bit(s.Digests, flagDigests) |
		bit(s.TopOnly, flagTopOnly) | bit(s.NoUsual, flagNoUsual) | bit(s.Logs, flagLogs) | bit(s.Modules, flagModules)}
	for _, w := range s.Formats {
		b = le.AppendUint64(b, w)
	}
	l := s.Limits
	for _, v := range []int64{l.FileSize, l.ScanSize, l.Objects, int64(l.Depth), l.Ratio, l.Work, s.Memory, s.Spill} {
		b = le.AppendUint64(b, uint64(v))
	}
	b = le.AppendUint32(b, s.Matches)
	b = le.AppendUint64(b, uint64(s.Now))
	b = le.AppendUint16(b, uint16(len(s.Passwords)))
	return append(append(b, s.Passwords...), s.Externals...)
}

var errMessage = errors.New("not a message of this program")

// DecodeSettings reads the first message.
func DecodeSettings(b []byte) (Settings, error) {
	if len(b) < rulesSize || len(b) > MaxSettings || b[0] != msgRules {
		return Settings{}, errMessage
	}
	rest := string(b[rulesSize:])
	n := int(le.Uint16(b[rulesSize-2:]))
	if n > maxPasswords || n > len(rest) || len(rest)-n > MaxExternals {
		return Settings{}, errMessage
	}
	passwords, externals := rest[:n], rest[n:]
	if _, err := DecodePasswords(passwords); err != nil {
		return Settings{}, err
	}
	if _, err := DecodeExternals(externals); err != nil {
		return Settings{}, err
	}
	var v [8]int64
	for i := range v {
		v[i] = int64(le.Uint64(b[18+8*i:]))
	}
	return Settings{
		Names: b[1]&flagNames != 0, Excerpts: b[1]&flagExcerpts != 0, Scratch: b[1]&flagScratch != 0, Digests: b[1]&flagDigests != 0,
		Formats: FormatSet{le.Uint64(b[2:]), le.Uint64(b[10:])},
		Limits:  showcause.Limits{FileSize: v[0], ScanSize: v[1], Objects: v[2], Depth: int(v[3]), Ratio: v[4], Work: v[5]},
		Memory:  v[6], Spill: v[7],
		TopOnly: b[1]&flagTopOnly != 0, Matches: le.Uint32(b[82:]), Now: int64(le.Uint64(b[86:])),
		Externals: externals, Passwords: passwords, NoUsual: b[1]&flagNoUsual != 0, Logs: b[1]&flagLogs != 0, Modules: b[1]&flagModules != 0,
	}, nil
}

// Order is one job on the wire.
type Order struct {
	ID        uint64
	Size      int64
	Externals string // see EncodeExternals
	Holes     []Hole // MaxHoles at most, in order
	Here      bool   // the content is in the message, and no descriptor comes with this job
	Content   []byte // MaxContent bytes at most; of a message that is read, a part of it
}

// Hole is a stretch of a file that its file system says is not there, and reads
// as zeros.
type Hole struct{ Off, Len int64 }

// AppendOrders writes a message of jobs, MaxBatch at most, with MaxJobsExternal bytes of
// external variables at most, and MaxJobsContent bytes of content.
func AppendOrders(b []byte, atOnce bool, orders []Order) []byte {
	b = append(b, msgJobs, bit(atOnce, flagAtOnce))
	b = le.AppendUint16(b, uint16(len(orders)))
	for _, o := range orders {
		b = le.AppendUint64(b, o.ID)
		b = le.AppendUint64(b, uint64(o.Size))
		b = le.AppendUint16(b, uint16(len(o.Externals)))
		b = append(b, uint8(len(o.Holes)))
		content := uint32(byFile)
		if o.Here {
			content = uint32(len(o.Content))
		}
		b = le.AppendUint32(b, content)
		b = append(b, o.Externals...)
		for _, h := range o.Holes {
			b = le.AppendUint64(b, uint64(h.Off))
			b = le.AppendUint64(b, uint64(h.Len))
		}
		if o.Here {
			b = append(b, o.Content...)
		}
	}
	return b
}

// DecodeOrders reads one, and appends the jobs to out.
func DecodeOrders(b []byte, out []Order) (orders []Order, atOnce bool, err error) {
	if len(b) < jobsHead || len(b) > MaxJobs || b[0] != msgJobs || b[1]&^flagAtOnce != 0 {
		return nil, false, errMessage
	}
	n := int(le.Uint16(b[2:]))
	if n < 1 || n > MaxBatch {
		return nil, false, errMessage
	}
	rest := b[jobsHead:]
	room, content := MaxJobsExternal, MaxJobsContent
	for range n {
		if len(rest) < jobSize {
			return nil, false, errMessage
		}
		o := Order{ID: le.Uint64(rest), Size: int64(le.Uint64(rest[8:]))}
		more, holes, here := int(le.Uint16(rest[16:])), int(rest[18]), le.Uint32(rest[19:])
		room -= more
		if rest = rest[jobSize:]; o.Size < 0 || more > MaxJobExternals || room < 0 || more > len(rest) {
			return nil, false, errMessage
		}
		if more > 0 {
			o.Externals, rest = string(rest[:more]), rest[more:]
			if _, err := DecodeExternals(o.Externals); err != nil {
				return nil, false, err
			}
		}
		if holes > MaxHoles || holes*holeSize > len(rest) {
			return nil, false, errMessage
		}
		end := int64(0)
		for range holes {
			h := Hole{int64(le.Uint64(rest)), int64(le.Uint64(rest[8:]))}
			if rest = rest[holeSize:]; h.Off < end || h.Len <= 0 || h.Off > o.Size || h.Len > o.Size-h.Off {
				return nil, false, errMessage
			}
			end = h.Off + h.Len
			o.Holes = append(o.Holes, h)
		}
		if o.Here = here != byFile; o.Here {
			if here > MaxContent || int(here) > content || int(here) > len(rest) || int64(here) != o.Size || holes > 0 {
				return nil, false, errMessage
			}
			o.Content, rest = rest[:here:here], rest[here:]
			content -= int(here)
		}
		out = append(out, o)
	}
	if len(rest) > 0 {
		return nil, false, errMessage
	}
	return out, b[1]&flagAtOnce != 0, nil
}

// AppendFrame appends a frame with a body that is at hand.
func AppendFrame(b []byte, kind uint8, body []byte) []byte {
	b = le.AppendUint32(b, uint32(1+len(body)))
	b = append(b, kind)
	return append(b, body...)
}

// Frame takes the first frame off what a reader wrote. Where it is not whole yet ok
// is false and rest is b. A frame of more than limit bytes is a violation.
func Frame(b []byte, limit int) (kind uint8, body, rest []byte, ok bool, err error) {
	if len(b) < 4 {
		return 0, nil, b, false, nil
	}
	n := le.Uint32(b)
	if n < 1 || n > uint32(limit) {
		return 0, nil, b, false, Wrong("a frame of %d bytes", n)
	}
	if len(b)-4 < int(n) {
		return 0, nil, b, false, nil
	}
	return b[4], b[5 : 4+n], b[4+n:], true, nil
}

// Violation says what was wrong with a frame.
type Violation string

// Error implements error.
func (v Violation) Error() string { return "reader: " + string(v) }

// Wrong is a Violation.
func Wrong(format string, a ...any) error { return Violation(fmt.Sprintf(format, a...)) }
