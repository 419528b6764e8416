package scan

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/metadata"
	"github.com/showcause/showcause/unpack"
)

// memberCost is what it costs in steps to ask one rule of one member.
const memberCost = 4

// listen has the rules about members decided while formats tell of them, the last loaded first, as
// in clamscan. What one finds is one finding: its matches are the members.
func (in *input) listen(l *layer, format *string) {
	all := in.texts
	if all.Broken {
		in.gap(showcause.Gap{Trail: l.Trail, Code: badRules, Offset: 0, Length: -1})
	}
	if len(all.Members) == 0 {
		return
	}
	size := l.Source.Size()
	keep, _ := in.places()
	hits := map[int]*memberHits{}
	l.out.OnMember(func(um unpack.Member) {
		if !l.out.Work(int64(len(all.Members))*memberCost + int64(len(um.Name))) {
			return
		}
		m, types := metadata.Member(um), metadata.Types(l.kind, *format)
		for i := len(all.Members) - 1; i >= 0; i-- {
			if !all.Members[i].Holds(types, size, &m) {
				continue
			}
			h := hits[i]
			if h == nil {
				h = &memberHits{at: len(in.report.Findings)}
				hits[i] = h
			}
			h.Add(&m, size, keep)
			h.tell(in, l, all.MemberRules[i])
		}
	})
}

// memberHits are those of one rule in one layer.
type memberHits struct {
	metadata.Hits
	at   int // of its finding in the report
	told bool
}

// tell makes them a finding, or adds to it.
func (h *memberHits) tell(in *input, l *layer, index uint32) {
	counts := []uint32{h.Count}
	if !in.options.Digests {
		counts = nil
	}
	matches := append([]showcause.Match(nil), h.Matches...)
	if !h.told {
		h.told = true
		in.found(l, index, matches, counts)
		return
	}
	if h.at < len(in.report.Findings) && in.report.Findings[h.at].Index == index { // it was kept
		in.excerpts(l, matches)
		in.report.Findings[h.at].Matches, in.report.Findings[h.at].Counts = matches, counts
	}
}
