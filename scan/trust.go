package scan

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/trust"
	"github.com/showcause/showcause/unpack/exe"
)

// signers judges a program by who signed it, before anything is found in it: one whose signer is
// revoked is found, one whose signer is trusted is allowed, as by a list of digests, but for that.
func (in *input) signers(l *layer) {
	c := in.texts
	if len(c.Certificates) == 0 || l.as || l.exe == nil || l.exe.Kind != exe.PE {
		return
	}
	revoked, trusted, whole := trust.Judge(c.Certificates, l.Source, in.budget.Work)
	if !whole {
		in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: 0, Length: -1})
	}
	for _, h := range revoked {
		var counts []uint32
		if in.options.Digests {
			counts = []uint32{uint32(len(h.Matches))}
		}
		keep, _ := in.places()
		in.found(l, c.SignerRules[h.Entry], h.Matches[:min(len(h.Matches), keep)], counts)
	}
	if trusted >= 0 && l.allowed == "" {
		l.allower = c.SignerRules[trusted]
		l.allowed = in.db.Name(l.allower)
	}
}
