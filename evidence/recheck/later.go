package recheck

import (
	"math/bits"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/icon"
	"github.com/showcause/showcause/internal/imagehash"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack/exe"
)

// later is what pattern i is, if it is decided after others.
func (b *body) later(i int) *rule.Later {
	if b.rule.Later == nil {
		return nil
	}
	return b.rule.Later[i]
}

// last tells whether a comparison counts from the last match of pattern i.
func (b *body) last(i int) bool {
	for _, l := range b.rule.Later {
		if l != nil && l.Compare != nil && l.Compare.From == i {
			return true
		}
	}
	return false
}

// decide looks for the patterns that are decided after others, in their order, where their
// triggers hold.
func (b *body) decide(w *walk, l *layer, m *pattern.Matcher, found [][]showcause.Match) {
	count := func(sub int) uint32 { return uint32(len(found[sub])) }
	for i := range found {
		one := b.later(i)
		switch {
		case one == nil || !b.cond.Open(i, count):
		case one.Compare != nil:
			found[i] = compared(l, one.Compare, found[one.Compare.From])
		case one.Image != nil:
			found[i] = looks(l, one.Image)
		case one.Icons != nil:
			found[i] = icons(l, one.Icons)
		default:
			found[i] = b.expression(w, i, l, m)
		}
	}
}

func compared(l *layer, c *rule.Compare, from []showcause.Match) []showcause.Match {
	last := int64(-1)
	for _, m := range from {
		last = max(last, m.Offset)
	}
	off, ok := c.Place(last, l.Source.Size())
	if last < 0 || !ok {
		return nil
	}
	if b := l.readAt(off, int(c.Width)); b == nil || !c.Holds(b) {
		return nil
	}
	return []showcause.Match{{Offset: off, Length: int64(c.Width)}}
}

// maxImage is the size of the largest image file that is looked at, bytes.
const maxImage = 64 << 20

// looks tells whether the layer is an image that looks like another.
func looks(l *layer, m *rule.Image) []showcause.Match {
	n := l.Source.Size()
	data, err := bound.ReadAt(l.Source, 0, n, maxImage)
	if err != nil || l.view {
		return nil
	}
	hash, err := imagehash.Hash(data, func(int64) bool { return true })
	other := 0
	for i := range hash {
		other += bits.OnesCount8(hash[i] ^ m.Hash[i])
	}
	if err != nil || other > int(m.Distance) {
		return nil
	}
	return []showcause.Match{{Offset: 0, Length: n}}
}

// icons looks for the first icon of a program that looks like a known one.
func icons(l *layer, known *rule.Icons) []showcause.Match {
	if l.exe == nil || l.view {
		return nil
	}
	at, _ := exe.Icons(l.Source, l.kind)
	for _, off := range at {
		if m, n, ok := icon.Measure(l.Source, off); ok && known.Has(m) {
			return []showcause.Match{{Offset: off, Length: n}}
		}
	}
	return nil
}

// expression tries an expression at each place from its anchor on, whatever its atoms say.
func (b *body) expression(w *walk, i int, l *layer, m *pattern.Matcher) (found []showcause.Match) {
	one, size := b.rule.Later[i], l.Source.Size()
	anywhere, places := l.anchored(b.rule.Patterns[i].Anchor)
	if anywhere {
		places = []stretch{{0, size}}
	}
	re := regex.Matcher{Steps: m.Steps, Limit: m.Limit}
	for _, at := range places {
		if at.first < 0 || at.first >= size {
			continue
		}
		n, last := size-at.first, size-at.first
		shift := at.last - at.first
		here := one.Anchored
		if !anywhere {
			switch {
			case one.Encompass && shift > 0:
				n = min(n, shift)
				last = n
			case shift > 0:
				last = min(last, shift)
			default:
				here = here || !one.Rolling
			}
		}
		in := regex.NewReader(bound.Section(l.Source, at.first, n))
		for next := int64(0); next <= last; {
			to := last + 1
			if here {
				to = next + 1
			}
			ok := false
			re.Scan(uint32(i), one.Regexp.Program, in, next, to, func(off, n int64) bool {
				found = append(found, showcause.Match{Offset: at.first + off, Length: n})
				ok, next = true, off+max(n, 1)
				return false
			})
			if !ok || !one.Global || len(found) >= showcause.MaxCount {
				break
			}
		}
	}
	if re.Abandoned > 0 {
		w.note("pattern %d: an expression ended at the limit of steps at %d places", i, re.Abandoned)
	}
	m.Steps = re.Steps
	return found
}
