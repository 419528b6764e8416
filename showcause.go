// Package showcause is the vocabulary of Showcause: layers, matches, findings,
// gaps, verdicts and limits. It holds nouns only and does no I/O.
package showcause

import "io"

// Source is the content of a layer: Size bytes that can be read at any offset.
// A Source that turns out shorter than its Size returns io.ErrUnexpectedEOF or
// io.EOF from ReadAt; the scanner answers with a Gap, never with an error.
type Source interface {
	io.ReaderAt
	Size() int64
}

// Bytes is a Source held in memory.
type Bytes []byte

// ReadAt implements io.ReaderAt.
func (b Bytes) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Size returns the length in bytes.
func (b Bytes) Size() int64 { return int64(len(b)) }

// Layer is one stretch of bytes at any depth of an input: the input itself, a
// member of an archive, a decoded part of a mail, a normalised view.
type Layer struct {
	Trail  Trail
	Source Source
}

// Match says where a pattern hit: an offset and a length in the bytes of one
// layer. Pattern is the pattern's index within its rule, from 0.
type Match struct {
	Pattern int   `json:"pattern"`
	Offset  int64 `json:"offset"`
	Length  int64 `json:"length"`
	// Excerpt is the first bytes that matched, MaxExcerpt at most, hexadecimal,
	// where the scan was asked for it.
	Excerpt string `json:"excerpt,omitempty"`
}

// MaxExcerpt is the number of bytes of a match that are shown.
const MaxExcerpt = 48

// Finding says that a rule fired on a layer, and by which matches.
type Finding struct {
	Trail   Trail   `json:"trail"`
	Rule    string  `json:"rule"`              // the rule's name as reported
	Index   uint32  `json:"index"`             // the rule's index in the database
	Digest  string  `json:"digest"`            // SHA-256 of the rule's text, hexadecimal
	Matches []Match `json:"matches"`           // at most MaxMatches a pattern
	Allowed string  `json:"allowed,omitempty"` // name of the allow-list rule that overrules the finding
	Stage   Stage   `json:"stage,omitempty"`   // of the rule, where a signed release gives it one
	// Chain holds what the input and each layer of the trail were, in order,
	// len(Trail)+1 of them, and Counts the matches of each pattern, MaxCount
	// at most, where the scan was asked for them.
	Chain  []Link   `json:"chain,omitempty"`
	Counts []uint32 `json:"counts,omitempty"`
	// AllowedIndex is that rule's index in the database, where Allowed is not empty.
	AllowedIndex uint32 `json:"-"`
}

// MaxMatches is the number of places kept for each pattern of a finding.
const MaxMatches = 16

// MaxCount is where Finding.Counts ends counting.
const MaxCount = 4096

// Gap is a stretch of a layer that was not looked at, and why. Length is -1
// when it is not known how much there is.
type Gap struct {
	Trail  Trail `json:"trail"`
	Code   Code  `json:"code"`
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

// Spent is what an input cost. Work counts steps of verification and parsing,
// not time, so that it is the same on every machine.
type Spent struct {
	Bytes   int64 `json:"bytes"`   // bytes of all layers that were scanned, the input included
	Objects int64 `json:"objects"` // layers, the input included
	Depth   int   `json:"depth"`   // deepest trail
	Work    int64 `json:"work"`
}

// Report is everything said of one input.
type Report struct {
	Verdict  Verdict   `json:"verdict"`
	Type     string    `json:"type"` // file type of the input
	Size     int64     `json:"size"` // bytes
	Findings []Finding `json:"findings,omitempty"`
	Gaps     []Gap     `json:"gaps,omitempty"`
	Logs     []string  `json:"logs,omitempty"` // lines that rules wrote, printing ASCII; only if they were asked for
	Spent    Spent     `json:"spent"`
}
