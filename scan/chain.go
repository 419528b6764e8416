package scan

import (
	"crypto/sha256"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// chain returns what the input and each layer down to l hold, if the scan was
// asked for it. Each layer is digested once, and only if it, or one that was
// derived from it, has a finding: all of it together is no more than what was
// searched. The input's link is of the bytes that were looked at.
func (in *input) chain(l *layer) []showcause.Link {
	if !in.options.Digests {
		return nil
	}
	out := make([]showcause.Link, len(l.Trail)+1)
	for i := len(l.Trail); i >= 0 && l != nil; i-- {
		out[i] = l.digest(l.Source.Size()/64 <= in.budget.Limits.Work)
		if l.origin != nil {
			l = l.origin
		} else {
			l = l.parent
		}
	}
	return out
}

// digest returns the layer's link; its digest is none if not all can be read, or it is not
// whole: too large to be.
func (l *layer) digest(whole bool) showcause.Link {
	if l.link == nil {
		l.link = &showcause.Link{Size: l.Source.Size()}
		if b, ok := l.Source.(showcause.Bytes); ok {
			l.link.Digest = sha256.Sum256(b)
		} else if whole {
			h := sha256.New()
			if n, err := io.Copy(h, bound.Reader(l.Source, 0, -1)); err == nil && n == l.link.Size {
				h.Sum(l.link.Digest[:0])
			}
		}
	}
	return *l.link
}
