package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
)

// progress is a line on a terminal that says how far a scan is. It goes to
// standard error, and is there only if that is a terminal.
type progress struct {
	w     io.Writer
	on    bool
	shown bool
	last  time.Time
}

func newProgress(w io.Writer, off bool) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, on: !off && ok && term.IsTerminal(int(f.Fd()))}
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

func (p *progress) show(t *answer.Totals) {
	if !p.on {
		return
	}
	now := time.Now()
	if now.Sub(p.last) < 100*time.Millisecond {
		return
	}
	p.last = now
	p.shown = true
	fmt.Fprintf(p.w, "\r\x1b[K%s, %s, %s found", answer.Plural(t.Files, "file"), answer.Size(t.Bytes), answer.Number(t.Verdicts[showcause.Found]))
}
