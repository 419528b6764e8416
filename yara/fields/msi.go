package fields

import (
	"hash"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/authenticode"
	"github.com/showcause/showcause/binary/msi"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// msi has the fields of module msi. The signatures have the fields that those of PE
// files have.
func (l *Layer) msi(d source.Dialect) getter {
	f := l.compound()
	var sigs *peSignatures
	read := func() *peSignatures {
		if sigs != nil {
			return sigs
		}
		sigs = &peSignatures{m: &peModule{l: l, d: d, f: &peFile{}}}
		b, cut := msi.Signature(f)
		if len(b) > 0 {
			sigs.m.f.data = [][]byte{b}
			sigs.file = func(h hash.Hash) bool { return msi.Digest(f, h) }
			sigs.said = sigs.parse(authenticode.Options{Unverified: true})
		}
		if cut {
			l.gap(showcause.LimitWork)
		}
		return sigs
	}
	return l.telling(f.Short, func(name string) (module.Value, bool) {
		switch name {
		case "is_signed":
			return flag(d, f.OK && len(read().said) > 0), true
		case "signatures":
			s := read()
			out := make([]module.Value, len(s.said))
			for i := range out {
				out[i] = structure(&peSignature{s: s, i: i, have: module.Tree{}})
			}
			return list(out), true
		}
		return module.Value{}, false
	})
}
