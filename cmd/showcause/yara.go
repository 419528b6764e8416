package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/showcause/showcause/internal/yaracmd"
)

// yaraHost is what the commands about YARA rules get of this program.
func yaraHost() yaracmd.Host {
	return yaracmd.Host{
		Version: version(), Scratch: scratch, Source: newSource, FlagError: suggestFlag, Terminal: isTerminal,
		Exit: func(code int) error { return exitCode(code) },
	}
}

// isTerminal says whether what is written to w is shown at once.
func isTerminal(w io.Writer) bool {
	if c, ok := w.(*checked); ok {
		w = c.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
