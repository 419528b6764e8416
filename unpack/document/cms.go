package document

import (
	"bytes"
	"encoding/hex"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/internal/mailcode"
	"github.com/showcause/showcause/unpack"
)

// Object identifiers of CMS content types, with tag and length (RFC 5652
// sections 4 to 6, RFC 5083, RFC 3274).
var (
	oidSigned     = oid("06092a864886f70d010702")
	oidEnveloped  = oid("06092a864886f70d010703")
	oidEncrypted  = oid("06092a864886f70d010706")
	oidAuthEnv    = oid("060b2a864886f70d0109100117")
	oidCompressed = oid("060b2a864886f70d0109100109")
)

func oid(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// cms reads a part that is a CMS message (S/MIME, RFC 8551): the content of a
// signature is handed over, of what is encrypted or compressed it is said that it
// is not read. head is its decoded beginning.
func (w *mailWalk) cms(p *part, head []byte) {
	off, n := p.start, p.end-p.start
	if !w.first(partKey{p.start, p.end, howCMS}) {
		return
	}
	at := head[:min(len(head), 64)]
	switch {
	case bytes.Contains(at, oidEnveloped), bytes.Contains(at, oidEncrypted), bytes.Contains(at, oidAuthEnv):
		w.out.Gap(showcause.Encrypted, off, n)
	case bytes.Contains(at, oidCompressed):
		w.out.Gap("unsupported.method.cms-compressed", off, n)
	case bytes.Contains(at, oidSigned):
		w.signed(p)
	}
}

// signed hands over the content of a SignedData, if it has one.
func (w *mailWalk) signed(p *part) {
	m := p.encodings()[0]
	buf := w.take()
	defer w.give(buf)
	var in io.Reader = bound.Reader(w.src, p.start, p.end-p.start)
	switch {
	case m == asBase64:
		in = mailcode.NewReader(in, &mailcode.Base64{}, buf)
	case m == asQuoted:
		in = mailcode.NewReader(in, &mailcode.Quoted{}, buf)
	case !m.plain():
		w.out.Gap("unsupported.method.cms", p.start, p.end-p.start)
		return
	}
	content, err := codec.SignedContent(in)
	if err != nil {
		w.out.Gap("corrupt.cms", p.start, p.end-p.start)
		return
	}
	if content != nil {
		w.child(unpack.Child{Name: p.label, Op: "mime.pkcs7", Reader: content, Size: -1})
	}
}
