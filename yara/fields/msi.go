package fields

import (
	"hash"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/authenticode"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// Streams of a signature, which are no part of what is signed.
const (
	msiSignature = "\x05DigitalSignature"
	msiMetadata  = "\x05MsiDigitalSignatureEx" // digest of names, times and kinds
	maxSignature = 4 << 20
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
		at := f.Find(0, msiSignature)
		b, ok := f.Read(at, maxSignature)
		if ok && len(b) > 0 {
			sigs.m.f.data = [][]byte{b}
			sigs.file = func(h hash.Hash) bool { return msiDigest(f, h) }
			sigs.said = sigs.parse(authenticode.Options{Unverified: true})
		} else if at >= 0 && f.Entries[at].Size > maxSignature {
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

// msiDigest writes to a digest what a signature of an installer is made of: the digest
// of the metadata if there is one, then storage by storage the streams in the order of
// their names, and the class of the storage.
func msiDigest(f *cfb.File, h hash.Hash) bool {
	const root = 0
	if at := f.Find(root, msiMetadata); at >= 0 {
		b, ok := f.Read(at, 1024)
		if !ok {
			return false
		}
		h.Write(b)
	}
	return msiStorage(f, root, map[int]bool{}, h)
}

func msiStorage(f *cfb.File, storage int, seen map[int]bool, h hash.Hash) bool {
	if seen[storage] || len(seen) > 1000 {
		return false // no file has that
	}
	seen[storage] = true
	children := f.Children(storage)
	slices.SortFunc(children, func(a, b int) int { return strings.Compare(f.Entries[a].RawName, f.Entries[b].RawName) })
	for _, c := range children {
		e := &f.Entries[c]
		switch {
		case storage == 0 && (e.Name == msiSignature || e.Name == msiMetadata):
		case e.Kind == cfb.Stream:
			if !f.Visit(c, func(b []byte) bool { h.Write(b); return true }) {
				return false
			}
		case e.Kind == cfb.Storage:
			if !msiStorage(f, c, seen, h) {
				return false
			}
		}
	}
	h.Write(f.Entries[storage].Class[:])
	return true
}
