// Package msi reads what signs a Windows installer: the signature, and the bytes that
// it is made of.
//
// An installer is a compound file. Its signature is a stream at the root, a PKCS #7
// SignedData as in PE files, over the digest of, storage by storage, the streams in the
// order of their names, and the class of the storage. A second stream has a digest of
// the metadata; where there is one, it comes first.
//
// Sources: Microsoft, [MS-CFB]; what signtool and osslsigncode write and accept.
package msi

import (
	"io"
	"slices"
	"strings"

	"github.com/showcause/showcause/binary/cfb"
)

// The streams of a signature, which are no part of what is signed.
const (
	signature = "\x05DigitalSignature"
	metadata  = "\x05MsiDigitalSignatureEx"
)

const (
	root         = 0 // entry of the directory
	maxSignature = 4 << 20
	maxMetadata  = 1024
	maxStorages  = 1000
)

// Signature returns the signature, nil if there is none. cut says that there is one
// that is too long to be read.
func Signature(f *cfb.File) (b []byte, cut bool) {
	at := f.Find(root, signature)
	if at < 0 {
		return nil, false
	}
	b, ok := f.Read(at, maxSignature)
	if !ok {
		return nil, f.Entries[at].Size > maxSignature
	}
	return b, false
}

// Digest writes what is signed to w, false if the file is damaged, so that there is
// nothing that could be signed.
func Digest(f *cfb.File, w io.Writer) bool {
	if at := f.Find(root, metadata); at >= 0 {
		b, ok := f.Read(at, maxMetadata)
		if _, err := w.Write(b); !ok || err != nil {
			return false
		}
	}
	return storage(f, root, map[int]bool{}, w)
}

// storage writes a storage and those in it, each of which there is once.
func storage(f *cfb.File, at int, seen map[int]bool, w io.Writer) bool {
	if at >= len(f.Entries) || seen[at] || len(seen) == maxStorages {
		return false
	}
	seen[at] = true
	children := f.Children(at)
	slices.SortFunc(children, func(a, b int) int { return strings.Compare(f.Entries[a].RawName, f.Entries[b].RawName) })
	for _, c := range children {
		e := &f.Entries[c]
		switch {
		case at == root && (e.Name == signature || e.Name == metadata):
		case e.Kind == cfb.Stream:
			if !f.Visit(c, func(b []byte) bool { _, err := w.Write(b); return err == nil }) {
				return false
			}
		case e.Kind == cfb.Storage:
			if !storage(f, c, seen, w) {
				return false
			}
		}
	}
	_, err := w.Write(f.Entries[at].Class[:])
	return err == nil
}
