package metadata

import (
	"cmp"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
)

// Types are the names that signatures may have for a container: that of the layer, which may be a
// program, and that of the format by which it is read.
func Types(kind filetype.Type, format string) []string {
	out := []string{kind.ClamAV()}
	if t, ok := filetype.Parse(format); ok && t.ClamAV() != out[0] && !strings.HasSuffix(out[0], "_TAR") {
		out = append(out, t.ClamAV())
	}
	return out
}

// Hits are the places of the members in a layer that one signature holds for, each once, in order.
type Hits struct {
	Matches []showcause.Match
	Count   uint32 // of all, showcause.MaxCount at most
}

// Add notes a member of a layer of so many bytes, whose place is kept if it is one of the first so
// many.
func (h *Hits) Add(m *Member, size int64, keep int) {
	at := min(max(m.At, 0), size)
	place := showcause.Match{Offset: at, Length: min(max(m.Length, 0), size-at)}
	i, has := slices.BinarySearchFunc(h.Matches, place, func(a, b showcause.Match) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Length, b.Length))
	})
	if has {
		return
	}
	h.Count = min(h.Count+1, showcause.MaxCount)
	if i < keep {
		h.Matches = slices.Insert(h.Matches, i, place)
		h.Matches = h.Matches[:min(len(h.Matches), keep)]
	}
}
