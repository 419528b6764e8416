package showcause

import "strings"

// Verdict is the outcome for one input. A greater verdict wins when several
// are joined.
type Verdict uint8

// NothingFound claims complete coverage: every byte was looked at. Found needs
// no coverage.
const (
	NothingFound Verdict = iota
	Incomplete
	Error
	Found
)

// String returns the verdict's name as it stands in reports.
func (v Verdict) String() string {
	switch v {
	case NothingFound:
		return "nothing-found"
	case Incomplete:
		return "incomplete"
	case Error:
		return "error"
	case Found:
		return "found"
	}
	return "invalid"
}

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Code says why a stretch was not looked at. The part before the first dot is
// from the closed list below; the rest narrows it ("unsupported.format.pdf")
// and is always our own word, never a word from the input.
type Code string

// The closed list.
const (
	LimitSize   Code = "limit.size"
	LimitRatio  Code = "limit.ratio"
	LimitDepth  Code = "limit.depth"
	LimitObject Code = "limit.objects"
	LimitWork   Code = "limit.work"
	LimitTime   Code = "limit.time"
	LimitMemory Code = "limit.memory"
	LimitSpill  Code = "limit.scratch" // no room, or none at all, for what does not fit in memory
	Encrypted   Code = "encrypted"
	Unsupported Code = "unsupported" // always narrowed: unsupported.format.*, unsupported.method.*, unsupported.packer.*
	Corrupt     Code = "corrupt"
	Ambiguous   Code = "ambiguous" // always narrowed: parsers disagree, every reading was scanned
	Changed     Code = "changed"
	Unreadable  Code = "unreadable"
	Crash       Code = "crash"
)

// Unread tells whether the code means that bytes went unread. Under
// "ambiguous" every reading was scanned, so that nothing is unread: it is a
// note, and it does not make a verdict incomplete.
func (c Code) Unread() bool { return !strings.HasPrefix(string(c), string(Ambiguous)) }

// Conclude works the verdict out from the findings and gaps. Findings that an
// allow-list overrules, or whose rule is only tried, do not count.
func (r *Report) Conclude() {
	r.Verdict = NothingFound
	for i := range r.Gaps {
		if r.Gaps[i].Code.Unread() {
			r.Verdict = Incomplete
			break
		}
	}
	for i := range r.Findings {
		if r.Findings[i].Alarms() {
			r.Verdict = Found
			return
		}
	}
}
