package document

import (
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/mailcode"
	"github.com/showcause/showcause/unpack"
)

// charset is a character set in which ASCII text does not stand as it is.
type charset uint8

const (
	asUTF7 charset = iota
	asUTF16LE
	asUTF16BE
	asUTF32LE
	asUTF32BE
	asOther // one that is not read
)

// charsets returns what a charset parameter of a mail names, in any order of
// bytes that it leaves open; nothing where ASCII text stands as it is. Names
// are those of the IANA registry, of Python's codecs and of web browsers; as
// these do, letters and digits alone count.
func charsets(label string) []charset {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, label)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
	}
	order := func(le, be charset) []charset {
		switch {
		case strings.HasSuffix(name, "le") || has("little"):
			return []charset{le}
		case strings.HasSuffix(name, "be") || has("big") || has("fffe"):
			return []charset{be}
		}
		return []charset{le, be}
	}
	switch {
	case has("utf7", "unicode11utf7", "unicode20utf7") || name == "u7":
		return []charset{asUTF7}
	case has("utf32", "ucs4", "iso10646ucs4") || name == "u32":
		return order(asUTF32LE, asUTF32BE)
	case has("ebcdic", "unicodeescape", "scsu", "bocu"):
		return []charset{asOther}
	case has("utf16", "ucs2") || name == "u16" || strings.HasPrefix(name, "unicode") || strings.HasPrefix(name, "csunicode") || name == "iso10646":
		return order(asUTF16LE, asUTF16BE)
	}
	for _, p := range []string{"x", "cs", "ibm", "cp", "ccsid", "0"} {
		name = strings.TrimPrefix(name, p)
	}
	name = strings.TrimPrefix(name, "0")
	if n, err := strconv.Atoi(name); err == nil && ebcdic(n) {
		return []charset{asOther}
	}
	return nil
}

// ebcdic tells whether an IBM code page is a form of EBCDIC (IBM, Coded
// character set identifiers).
func ebcdic(n int) bool {
	switch n {
	case 37, 38, 39, 256, 259, 273, 274, 275, 277, 278, 280, 281, 282, 284, 285, 290, 297, 300, 310, 410, 420, 421, 423, 424, 425, 500, 803, 833, 834, 835,
		836, 837, 838, 839, 870, 871, 875, 880, 892, 893, 905, 918, 924, 930, 931, 933, 935, 937, 939, 1025, 1026, 1027, 1047, 1069, 1079, 1081, 1084, 1097,
		1110, 1112, 1113, 1122, 1123, 1130, 1132, 1136, 1137, 1150, 1151, 1152, 1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1164, 1165, 1166, 1279,
		1303, 1364, 1371, 1388, 1390, 1399, 4971, 5123, 8482, 9030, 12712, 16684, 16804:
		return true
	}
	return n >= 1140 && n <= 1149
}

// marked adds the order of bytes that a byte order mark says: some readers believe it, others the name.
func marked(cs []charset, head string) []charset {
	add := asOther
	switch {
	case strings.HasPrefix(head, "\xff\xfe\x00\x00") && slices.Contains(cs, asUTF32BE):
		add = asUTF32LE
	case strings.HasPrefix(head, "\x00\x00\xfe\xff") && slices.Contains(cs, asUTF32LE):
		add = asUTF32BE
	case strings.HasPrefix(head, "\xff\xfe") && slices.Contains(cs, asUTF16BE):
		add = asUTF16LE
	case strings.HasPrefix(head, "\xfe\xff") && slices.Contains(cs, asUTF16LE):
		add = asUTF16BE
	}
	if add == asOther || slices.Contains(cs, add) {
		return cs
	}
	return append(slices.Clone(cs), add)
}

// charset hands a part over as text in UTF-8 where its character set is one in
// which ASCII text does not stand as it is, by every transfer encoding it has.
func (w *mailWalk) charset(p *part, ms []method) {
	if p.mail {
		return
	}
	var cs []charset
	text := false
	for _, v := range p.values("content-type") {
		t := mediaType(v)
		text = text || strings.HasPrefix(t, "text/") || !strings.Contains(t, "/")
		ps := params(v)
		labels := []string{parameter(ps, "charset")}
		for _, par := range ps {
			if name, _, _ := strings.Cut(par.name, "*"); name == "charset" {
				labels = append(append(labels, par.value, parameter([]param{par}, "charset")), par.others...)
			}
		}
		for _, label := range labels {
			for _, c := range charsets(label[:min(len(label), 256)]) {
				if !slices.Contains(cs, c) {
					cs = append(cs, c)
				}
			}
		}
	}
	for _, m := range ms {
		w.inCharsets(p, m, cs, text)
	}
}

// inCharsets is charset for one transfer encoding. text says that a part of its type is shown as text.
func (w *mailWalk) inCharsets(p *part, m method, cs []charset, text bool) {
	if len(cs) == 0 {
		return
	}
	if m == asUU || m == asYEnc || slices.Contains(cs, asOther) {
		if text {
			w.note("unsupported.method.charset", p.start, p.end-p.start)
		}
		if m == asUU || m == asYEnc {
			return
		}
	}
	for _, c := range marked(cs, w.decodedHead(p, m)) {
		if w.done || c == asOther || !w.first(partKey{p.start, p.end, howCharset + uint32(c)<<4 + uint32(m)}) {
			continue
		}
		raw, buf := w.take(), w.take()
		d := mailcode.NewReader(w.transfer(p, m, raw), c.coding(), buf)
		w.child(unpack.Child{Name: p.label, Op: "mime.charset", Reader: d, Size: -1})
		w.give(buf)
		w.give(raw)
	}
}

// transfer returns a part with its transfer encoding undone.
func (w *mailWalk) transfer(p *part, m method, buf []byte) io.Reader {
	in := bound.Reader(w.src, p.start, p.end-p.start)
	switch m {
	case asBase64:
		return mailcode.NewReader(in, &mailcode.Base64{}, buf)
	case asQuoted:
		return mailcode.NewReader(in, &mailcode.Quoted{}, buf)
	}
	return in
}

// decodedHead returns the first bytes of a part with its transfer encoding undone.
func (w *mailWalk) decodedHead(p *part, m method) string {
	buf := w.take()
	defer w.give(buf)
	var b [4]byte
	n, _ := io.ReadFull(w.transfer(p, m, buf), b[:])
	return string(b[:n])
}

func (c charset) coding() mailcode.Coding {
	switch c {
	case asUTF7:
		return &mailcode.UTF7{}
	case asUTF16LE, asUTF16BE:
		return &mailcode.Wide{Size: 2, Big: c == asUTF16BE}
	}
	return &mailcode.Wide{Size: 4, Big: c == asUTF32BE}
}
