package document

import (
	"bytes"
	"encoding/hex"
	"mime"
	"sort"
	"strconv"
	"strings"
)

// Bounds of what is kept of one header.
const (
	maxFieldName  = 256       // bytes; a longer name is no field
	maxHeaderKept = 256 << 10 // bytes of the fields that are kept
	maxFieldsKept = 64        // Content-* fields
	maxNameKept   = 4 << 10   // bytes of a part's name
	maxBoundaries = 8         // boundaries of one multipart, one reading each
)

// fieldName returns the name of a header field in lower case, or "" where the
// line is none. White space, NUL and other foreign bytes in or after the name are left
// out, as some readers do; odd says that there were any.
func fieldName(t []byte) (name string, odd bool) {
	if len(t) > maxFieldName {
		t = t[:maxFieldName]
	}
	i := bytes.IndexByte(t, ':')
	if i <= 0 || t[0] == ' ' || t[0] == '\t' {
		return "", false
	}
	var b [maxFieldName]byte
	n, gap := 0, false
	for _, c := range t[:i] {
		if c == ' ' || c == '\t' {
			gap = true
			continue
		}
		if gap && c > ' ' && c < 0x7f {
			return "", false // two words: prose
		}
		if c <= ' ' || c >= 0x7f {
			odd = true
			continue
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b[n] = c
		n++
	}
	return string(b[:n]), odd || gap
}

// field is one header field that is kept. The value has the line ends of its
// folds in it, as '\n'.
type field struct {
	name  string
	value []byte
}

// header is what is kept of one header: the Content-* fields that say how the body reads.
type header struct {
	off    int64 // where it starts
	fields []field
	size   int
	odd    bool // a field was only recognised by leaving bytes out of its name
	cut    bool // more fields than are kept
	open   bool // the last field may be continued
	seen   int  // fields of any name
	deep   bool // a multipart inside more multiparts than are followed
}

// add takes the beginning of a field.
func (h *header) add(name string, value []byte, odd bool) {
	h.seen++
	h.open = false
	switch name {
	case "content-type", "content-transfer-encoding", "content-disposition":
	default:
		return
	}
	h.odd = h.odd || odd
	if len(h.fields) >= maxFieldsKept || h.size+len(value) > maxHeaderKept {
		h.cut = true
		return
	}
	h.fields = append(h.fields, field{name, append([]byte(nil), value...)})
	h.size += len(value)
	h.open = true
}

// more takes a continuation of the last field; fold says that it began a line.
func (h *header) more(text []byte, fold bool) {
	if !h.open {
		return
	}
	if h.size+len(text) > maxHeaderKept {
		h.cut, h.open = true, false
		return
	}
	f := &h.fields[len(h.fields)-1]
	if fold {
		f.value = append(f.value, '\n')
	}
	f.value = append(f.value, text...)
	h.size += len(text) + 1
}

// values returns the values of the fields of the given name, unfolded.
func (h *header) values(name string) (v [][]byte) {
	for i := range h.fields {
		if h.fields[i].name == name {
			v = append(v, bytes.ReplaceAll(h.fields[i].value, []byte("\n"), nil))
		}
	}
	return v
}

// contradicts tells whether the header has the field more than once, with different values.
func (h *header) contradicts(name string) bool {
	v := h.values(name)
	for i := 1; i < len(v); i++ {
		if !bytes.EqualFold(bytes.TrimSpace(v[i]), bytes.TrimSpace(v[0])) {
			return true
		}
	}
	return false
}

// isMail tells whether the body is a mail by its type; digest says that one without a type is.
func (h *header) isMail(digest bool) bool {
	ts := h.types()
	for _, t := range ts {
		switch t {
		case "message/delivery-status", "message/disposition-notification", "message/feedback-report", "message/external-body":
			continue
		}
		if strings.HasPrefix(t, "message/") {
			return true
		}
	}
	return digest && len(ts) == 0
}

// types returns the media types of all Content-Type fields, in lower case.
func (h *header) types() (t []string) {
	for _, v := range h.values("content-type") {
		t = append(t, mediaType(v))
	}
	return t
}

// typed tells whether any Content-Type starts with the prefix.
func (h *header) typed(prefix string) bool {
	for _, t := range h.types() {
		if strings.HasPrefix(t, prefix) {
			return true
		}
	}
	return false
}

// mediaType returns "type/subtype" in lower case, without comments, white space and control characters.
func mediaType(v []byte) string {
	v = bytes.TrimLeft(skipComments(v), "\"")
	var b []byte
	for _, c := range v {
		if c == ';' || c == ',' || c == '"' || c == '(' {
			break
		}
		if c == ' ' || c == '\t' {
			// White space ends the type, but not around its slash.
			if bytes.IndexByte(b, '/') > 0 && b[len(b)-1] != '/' {
				break
			}
			continue
		}
		if c > ' ' && c < 0x7f && len(b) < 128 {
			b = append(b, c)
		}
	}
	return strings.ToLower(string(b))
}

// skipComments cuts white space and comments (RFC 5322 section 3.2.2) from the front.
func skipComments(v []byte) []byte {
	for {
		v = bytes.TrimLeft(v, " \t\r\n")
		if len(v) == 0 || v[0] != '(' {
			return v
		}
		depth, i := 0, 0
		for ; i < len(v); i++ {
			if v[i] == '\\' {
				i++
			} else if v[i] == '(' {
				depth++
			} else if v[i] == ')' {
				if depth--; depth == 0 {
					break
				}
			}
		}
		v = v[min(i+1, len(v)):]
	}
}

// param is one parameter of a Content-Type or Content-Disposition. Further
// readings of the value are in others.
type param struct {
	name   string
	value  string
	others []string
}

// params reads the parameters after the first ';'.
func params(v []byte) (ps []param) {
	for {
		i := bytes.IndexAny(v, ";(")
		if i < 0 {
			return nil
		}
		if v[i] == ';' {
			v = v[i+1:]
			break
		}
		v = skipComments(v[i:])
	}
	for len(v) > 0 {
		v = skipComments(v)
		i := bytes.IndexAny(v, "=;")
		if i < 0 {
			return ps
		}
		name := strings.ToLower(string(bytes.Trim(v[:i], " \t")))
		if v[i] == ';' {
			v = v[i+1:]
			continue
		}
		p := param{name: name}
		v = skipComments(v[i+1:])
		if len(v) > 0 && v[0] == '"' {
			v = p.quoted(v[1:])
		} else {
			v = p.token(v)
		}
		if len(ps) < 1024 {
			ps = append(ps, p)
		}
		if i = bytes.IndexByte(v, ';'); i < 0 {
			return ps
		}
		v = v[i+1:]
	}
	return ps
}

// quoted reads a quoted-string after its first quote and returns what follows.
func (p *param) quoted(v []byte) []byte {
	var b []byte
	i := 0
	for ; i < len(v) && v[i] != '"'; i++ {
		if v[i] == '\\' && i+1 < len(v) {
			i++
		}
		b = append(b, v[i])
	}
	p.value = string(b)
	if raw := string(v[:i]); raw != p.value {
		p.others = append(p.others, raw)
	}
	return v[min(i+1, len(v)):]
}

// token reads a value without quotes: to the first white space, or else to the ';'.
func (p *param) token(v []byte) []byte {
	i := bytes.IndexByte(v, ';')
	if i < 0 {
		i = len(v)
	}
	all := bytes.TrimRight(v[:i], " \t\r\n")
	tok := all
	if j := bytes.IndexAny(all, " \t\r\n("); j >= 0 {
		tok = all[:j]
	}
	p.value = string(tok)
	if len(tok) != len(all) {
		p.others = append(p.others, string(all))
	}
	return v[i:]
}

// parameter returns the first value of the named parameter, put together from
// its pieces and decoded where RFC 2231 says so.
func parameter(ps []param, name string) string {
	for i := range ps {
		if ps[i].name == name && ps[i].value != "" {
			return ps[i].value
		}
	}
	return extended(ps, name)
}

// extended puts name*, name*0, name*0*, name*1 ... together (RFC 2231 section 3 and 4).
func extended(ps []param, name string) string {
	type piece struct {
		n       int
		encoded bool
		value   string
	}
	var found []piece
	for i := range ps {
		rest, ok := strings.CutPrefix(ps[i].name, name+"*")
		if !ok {
			continue
		}
		num, encoded := strings.CutSuffix(rest, "*")
		if rest == "" {
			num, encoded = "0", true
		}
		n, err := strconv.Atoi(num)
		if err != nil || n < 0 {
			continue
		}
		found = append(found, piece{n, encoded, ps[i].value})
	}
	if len(found) == 0 {
		return ""
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].n < found[j].n })
	var b strings.Builder
	latin := false
	for i, f := range found {
		v := f.value
		if f.encoded {
			if i == 0 {
				if at := strings.IndexByte(v, '\''); at >= 0 {
					if to := strings.IndexByte(v[at+1:], '\''); to >= 0 {
						latin = strings.EqualFold(v[:at], "iso-8859-1")
						v = v[at+1+to+1:]
					}
				}
			}
			v = unpercent(v)
		}
		if !latin {
			b.WriteString(v)
			continue
		}
		for j := range len(v) {
			b.WriteRune(rune(v[j]))
		}
	}
	return b.String()
}

func unpercent(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b = append(b, c[0])
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// name returns what the header calls the part: filename, else name.
func (h *header) name() string {
	for _, at := range [...]struct{ field, param string }{{"content-disposition", "filename"}, {"content-type", "name"}, {"content-disposition", "name"}} {
		for _, v := range h.values(at.field) {
			if s := parameter(params(v), at.param); s != "" {
				return shown(s)
			}
		}
	}
	return ""
}

// shown decodes encoded words (RFC 2047) and cuts what is too long.
func shown(s string) string {
	s = s[:min(len(s), maxNameKept)]
	if strings.Contains(s, "=?") {
		var d mime.WordDecoder
		if t, err := d.DecodeHeader(s); err == nil {
			return t
		}
	}
	return s
}

// method is a Content-Transfer-Encoding.
type method uint8

const (
	as7bit method = iota
	as8bit
	asBinary
	asUnknown // delivered as it is
	asBase64
	asQuoted
	asUU
	asYEnc
	methods
)

var methodOps = [methods]string{"mime.7bit", "mime.8bit", "mime.binary", "mime.unknown", "mime.base64", "mime.quoted-printable", "mime.uuencode", "mime.yenc"}

func (m method) plain() bool { return m <= asUnknown }

// encodings returns every transfer encoding that some reader could take from
// the header, in order: all fields, and all words of each. It has at least one.
func (h *header) encodings() (ms []method) {
	for _, v := range h.values("content-transfer-encoding") {
		v = lower(v[:min(len(v), 4096)])
		known := false
		for _, w := range bytes.FieldsFunc(v, func(r rune) bool {
			return r <= ' ' || strings.ContainsRune("\"'();,<>=?:", r) || r >= 0x7f
		}) {
			if m, ok := encoding(string(w)); ok {
				known = true
				ms = addMethod(ms, m)
			}
		}
		if !known && !blank(v) {
			ms = addMethod(ms, asUnknown)
		}
	}
	if len(ms) == 0 {
		ms = append(ms, as7bit)
	}
	return ms
}

func addMethod(ms []method, m method) []method {
	for _, have := range ms {
		if have == m || have.plain() && m.plain() {
			return ms
		}
	}
	return append(ms, m)
}

func encoding(w string) (method, bool) {
	switch w {
	case "7bit", "7-bit", "7bits":
		return as7bit, true
	case "8bit", "8-bit", "8bits":
		return as8bit, true
	case "binary", "none":
		return asBinary, true
	}
	switch {
	case strings.Contains(w, "base64"), strings.Contains(w, "base-64"):
		return asBase64, true
	case strings.Contains(w, "quoted"):
		return asQuoted, true
	case strings.Contains(w, "uue"), strings.Contains(w, "uuencode"):
		return asUU, true
	case strings.Contains(w, "yenc"):
		return asYEnc, true
	}
	return 0, false
}

// lower returns b with ASCII letters in lower case, at the same length.
func lower(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		out[i] = c
	}
	return out
}

// reading is one reading of what a header says of its body's structure.
type reading struct {
	boundary string
	leaf     bool // no multipart
}

// readings returns every boundary that some reader could take from the
// header, the usual one first, with a leaf where one Content-Type of several
// is no multipart. It is empty for a leaf, and for a multipart without any boundary.
func (h *header) readings() (rs []reading) {
	n := 0
	for i := range h.fields {
		f := &h.fields[i]
		if f.name != "content-type" {
			continue
		}
		n++
		folded := bytes.IndexByte(f.value, '\n') >= 0
		v := bytes.ReplaceAll(f.value, []byte("\n"), nil)
		if !strings.HasPrefix(mediaType(v), "multipart") {
			rs = addReading(rs, reading{leaf: true})
			continue
		}
		rs = boundaries(rs, v)
		if folded {
			rs = boundaries(rs, unfoldTight(f.value))
		}
	}
	if n == 1 && len(rs) == 1 && rs[0].leaf {
		return nil
	}
	return rs
}

// unfoldTight unfolds without the white space that a continuation starts with.
func unfoldTight(v []byte) []byte {
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] != '\n' {
			out = append(out, v[i])
			continue
		}
		for i+1 < len(v) && (v[i+1] == ' ' || v[i+1] == '\t') {
			i++
		}
	}
	return out
}

func addReading(rs []reading, r reading) []reading {
	r.boundary = strings.TrimRight(r.boundary, " \t\r\n")
	for _, have := range rs {
		if have == r {
			return rs
		}
	}
	return append(rs, r)
}

// boundaries adds the boundaries that an unfolded Content-Type has.
func boundaries(rs []reading, v []byte) []reading {
	add := func(s string) {
		rs = addReading(rs, reading{boundary: s})
		if i := strings.IndexByte(s, 0); i >= 0 {
			rs = addReading(rs, reading{boundary: s[:i]})
			rs = addReading(rs, reading{boundary: strings.ReplaceAll(s, "\x00", "")})
		}
		if strings.Contains(s, "=?") {
			rs = addReading(rs, reading{boundary: shown(s)})
		}
	}
	ps := params(v)
	for i := range ps {
		if ps[i].name == "boundary" {
			add(ps[i].value)
		}
	}
	if s := extended(ps, "boundary"); s != "" {
		add(s)
	}
	for i := range ps {
		if ps[i].name == "boundary" {
			for _, s := range ps[i].others {
				add(s)
			}
		}
	}
	// What a reader finds that only looks for the word.
	low := lower(v)
	for i, n := 0, 0; n < 4*maxBoundaries; n++ {
		j := bytes.Index(low[i:], []byte("boundary"))
		if j < 0 {
			break
		}
		i += j + len("boundary")
		rest := bytes.TrimLeft(v[i:], " \t")
		if len(rest) == 0 || rest[0] != '=' {
			continue
		}
		rest = bytes.TrimLeft(rest[1:], " \t")
		if len(rest) > 0 && rest[0] == '"' {
			rest = rest[1:]
			if k := bytes.IndexByte(rest, '"'); k >= 0 {
				rest = rest[:k]
			}
		} else if k := bytes.IndexAny(rest, " \t\r\n;("); k >= 0 {
			rest = rest[:k]
		}
		add(string(rest))
	}
	return rs
}
