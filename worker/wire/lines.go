package wire

import (
	"fmt"
	"strings"

	"github.com/showcause/showcause"
)

// Bounds of the lines that rules write about one file. Behind MaxLines there is one
// more, which says how many are not there.
const (
	MaxLines = 1000
	MaxLine  = 1024 // bytes

	lineSize = 2
	maxLogs  = 4 + (MaxLines+1)*(lineSize+MaxLine)
)

// Lines keeps the lines that rules write about one file, within bounds.
type Lines struct {
	kept []string
	more int
}

// Add keeps a line, or counts it.
func (l *Lines) Add(line string) {
	if len(l.kept) >= MaxLines {
		l.more++
		return
	}
	l.kept = append(l.kept, fitLine(line))
}

// Take returns the lines since the last call of Take.
func (l *Lines) Take() []string {
	out := l.kept
	if l.more > 0 {
		out = append(out, missing(l.more))
	}
	*l = Lines{}
	return out
}

// missing is the line in place of others.
func missing(n int) string { return fmt.Sprintf("showcause: %d more lines", n) }

// isLine tells whether a line has printing ASCII alone, as console escapes what it
// writes, and is not too long.
func isLine(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= MaxLine
}

// fitLine makes a line one that travels. One that is too long ends in "...".
func fitLine(s string) string {
	if isLine(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() <= MaxLine; i++ {
		if s[i] < ' ' || s[i] > '~' {
			fmt.Fprintf(&b, `\x%02x`, s[i])
			continue
		}
		b.WriteByte(s[i])
	}
	if out := b.String(); len(out) <= MaxLine {
		return out
	}
	return b.String()[:MaxLine-3] + "..."
}

// lines appends the lines of a report.
func (e *Encoder) lines(b []byte, all []string) []byte {
	all = all[:min(len(all), MaxLines+1)]
	b = le.AppendUint32(b, uint32(len(all)))
	for _, s := range all {
		s = fitLine(s)
		b = append(le.AppendUint16(b, uint16(len(s))), s...)
	}
	return b
}

// lines reads them.
func (d *Decoder) lines(c *cursor, keep *keeper) (out []string, err error) {
	n := c.count(lineSize)
	if n > MaxLines+1 {
		return nil, Wrong("%d lines", n)
	}
	dropped := 0
	for range n {
		s := string(c.take(int(c.u16())))
		switch {
		case c.short:
			return nil, Wrong("lines that end early")
		case !isLine(s):
			return nil, Wrong("a line of %d bytes: %.100q", len(s), s)
		case dropped > 0 || !keep.line(s):
			dropped++
		default:
			out = append(out, s)
		}
	}
	if dropped > 0 {
		out = append(out, missing(dropped))
	}
	return out, nil
}

// line tells whether a line is kept. Lines are no part of the verdict: that one is
// missing is said in its place.
func (k *keeper) line(s string) bool {
	w := weighLine(s)
	if w > k.left {
		return false
	}
	k.left -= w
	return true
}

func weighLine(s string) int64 { return int64(16 + len(s)) }

func weighLines(r *showcause.Report) (w int64) {
	for _, s := range r.Logs {
		w += weighLine(s)
	}
	return w
}
