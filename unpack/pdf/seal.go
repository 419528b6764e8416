package pdf

import (
	"bytes"
	"crypto/aes"
	gocipher "crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"fmt"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/crypt"
)

// suite is how something is enciphered.
type suite uint8

const (
	suiteNone suite = iota
	suiteRC4
	suiteAES // AES in CBC mode, the key made for each object
	suiteAES256
	suiteUnknown
)

// lock is the encryption of a file (ISO 32000-2, 7.6).
type lock struct {
	num     int64 // of its object, -1 if it stands in the trailer
	key     []byte
	shut    bool // no password opens it
	asked   bool // a password opened it that is not empty
	stm     suite
	str     suite
	eff     suite
	meta    bool   // metadata are enciphered as well
	doubt   bool   // a trailer knows of no encryption
	said    string // what it was made of
	filters map[string]suite
}

// cipher is what deciphers one object.
type cipher struct {
	suite suite
	key   []byte
}

// unlock looks for encryption in the trailers and for the password.
func (f *file) unlock() {
	tried := 0
	for _, t := range f.dicts {
		id := []byte(nil)
		for _, e := range f.resolve(t.get("ID"), 0) {
			if len(e.list) > 0 && e.list[0].kind == kindString {
				id = e.list[0].b
			}
		}
		for _, e := range t.all("Encrypt") {
			num := int64(-1)
			if e.kind == kindRef {
				num = e.n
			}
			for _, v := range f.resolve(e, 0) {
				said := f.lockSaid(v)
				switch {
				case v.kind != kindDict, f.lock != nil && !f.lock.shut && f.lock.said == said:
					continue
				case f.lock != nil && !f.lock.shut, tried >= 8: // another one
					f.say(showcause.Encrypted, 0, -1)
					continue
				}
				tried++
				f.lock = f.newLock(v, id, num)
				f.lock.said = said
			}
		}
	}
	if f.lock == nil {
		return
	}
	for _, t := range f.dicts {
		f.lock.doubt = f.lock.doubt || t.get("Root").kind != kindNone && t.get("Encrypt").kind == kindNone
	}
	for _, skipped := range f.nested {
		if skipped { // for a file in clear, which an encrypted one does not have
			f.say(showcause.Corrupt, 0, -1)
			return
		}
	}
}

// lockSaid is what tells one encryption from another.
func (f *file) lockSaid(v value) string {
	return fmt.Sprintf("%x %x", f.stringsOf(v.get("O")), f.stringsOf(v.get("U")))
}

// newLock reads an encryption dictionary and tries the passwords.
func (f *file) newLock(v value, id []byte, num int64) *lock {
	l := &lock{num: num, shut: true, stm: suiteUnknown, str: suiteUnknown, eff: suiteUnknown, meta: true, filters: map[string]suite{}}
	integer := func(key string, def int64) int64 {
		if n := f.numbers([]value{v.get(key)}, 1); len(n) > 0 {
			return n[0]
		}
		return def
	}
	version, revision := integer("V", 0), integer("R", 0)
	if m := v.get("EncryptMetadata"); string(m.b) == "false" && version >= 4 {
		l.meta = false
	}
	switch version {
	case 1, 2:
		l.stm, l.str, l.eff = suiteRC4, suiteRC4, suiteRC4
	case 4, 5:
		l.methods(f, v)
	}
	if !v.is("Filter", "Standard") || revision < 2 || revision > 6 || version < 1 || version == 3 || version > 5 {
		return l
	}
	bits := integer("Length", 40)
	if version == 4 || bits > 128 {
		bits = 128
	}
	if bits < 40 && bits >= 5 { // some writers count bytes
		bits *= 8
	}
	if version == 1 || revision == 2 || bits < 40 {
		bits = 40
	}
	s := crypt.PDF{Revision: int(revision), Bytes: int(bits / 8), P: uint32(integer("P", 0)), ID: id, Meta: l.meta}
	str := func(key string) []byte {
		for _, b := range f.stringsOf(v.get(key)) {
			return b
		}
		return nil
	}
	s.O, s.U, s.OE, s.UE = str("O"), str("U"), str("OE"), str("UE")
	words := [][]byte{nil}
	for i := 0; i < len(words); i++ {
		w := words[i]
		name := fmt.Sprintf("pdf %d %d %x %x %x %x %x %x %x %v %d", s.Revision, s.Bytes, s.O, s.U, s.OE, s.UE, s.ID, w, s.P, s.Meta, version)
		if key := f.out.Key(name, s.Cost(), func() []byte { return s.Open(w) }); key != nil {
			l.key, l.shut, l.asked = key, false, i > 0
			return l
		}
		if i == 0 {
			words = append(words, f.out.Passwords()...)
		}
	}
	return l
}

// methods reads the crypt filters (7.6.6).
func (l *lock) methods(f *file, v value) {
	for _, cf := range f.resolve(v.get("CF"), 0) {
		for i := 0; i+1 < len(cf.list) && len(l.filters) < 64; i += 2 {
			for _, d := range f.resolve(cf.list[i+1], 1) {
				s := suiteUnknown
				switch string(d.get("CFM").b) {
				case "V2":
					s = suiteRC4
				case "AESV2":
					s = suiteAES
				case "AESV3":
					s = suiteAES256
				case "None", "":
					s = suiteNone
				}
				l.filters[string(cf.list[i].b)] = s
			}
		}
	}
	of := func(key string, def suite) suite {
		n := v.get(key)
		if n.kind != kindName {
			return def
		}
		return l.named(string(n.b))
	}
	l.stm, l.str = of("StmF", suiteNone), of("StrF", suiteNone)
	l.eff = of("EFF", l.stm)
}

func (l *lock) named(name string) suite {
	if name == "Identity" {
		return suiteNone
	}
	if s, ok := l.filters[name]; ok {
		return s
	}
	return suiteUnknown
}

// cipherOf returns what deciphers a stream, nil if nothing has to. sealed tells that
// it cannot be deciphered.
func (f *file) cipherOf(s *stream, v value, chain []filter, r role) (c *cipher, sealed bool) {
	l := f.lock
	if l == nil || v.is("Type", "XRef") {
		return nil, false
	}
	if s.num < 0 {
		return nil, true
	}
	kind := l.stm
	if r.op == "pdf.file" || v.is("Type", "EmbeddedFile") {
		kind = l.eff
	}
	if v.is("Type", "Metadata") && !l.meta {
		kind = suiteNone
	}
	for _, x := range chain {
		if x.method == filterCrypt {
			kind = l.named(x.crypt)
		}
	}
	switch {
	case kind == suiteNone:
		return nil, false
	case l.shut || kind == suiteUnknown:
		return nil, true
	}
	c = l.cipher(kind, s.num, s.gen)
	// A reader that takes it as it stands finds it readable.
	if len(chain) > 0 && chain[0].method == filterFlate && isZlib(f.view(s.data, 2)) {
		var h [2]byte
		if n, _ := io.ReadFull(c.reader(bytes.NewReader(f.view(s.data, 64))), h[:]); n < 2 || !isZlib(h[:]) {
			return nil, false
		}
	}
	return c, false
}

// clear tells whether a stream of an encrypted file may be one that is in clear, for
// readers that find it so.
func (f *file) clear(s *stream, chain []filter) bool {
	b := f.view(s.data, 256)
	if s.end > 0 {
		b = b[:min(int64(len(b)), s.end-s.data)]
	}
	if len(chain) == 0 {
		return f.lock.doubt
	}
	switch chain[0].method {
	case filterHex, filter85:
		return len(b) >= 16 && !slices.ContainsFunc(b, func(c byte) bool { return c > '~' || c < ' ' && class(c) != 1 })
	case filterLZW:
		return f.lock.doubt && len(b) > 1 && b[0] == 0x80 && b[1] < 0x80
	case filterRun, filterUnknown, filterImage:
		return f.lock.doubt
	}
	return false
}

// cipher makes the key of an object (ISO 32000-1, algorithm 1).
func (l *lock) cipher(kind suite, num, gen int64) *cipher {
	if kind == suiteAES256 {
		return &cipher{kind, l.key}
	}
	b := append(bytes.Clone(l.key), byte(num), byte(num>>8), byte(num>>16), byte(gen), byte(gen>>8))
	if kind == suiteAES {
		b = append(b, "sAlT"...)
	}
	sum := md5.Sum(b)
	return &cipher{kind, sum[:min(len(l.key)+5, 16)]}
}

// open deciphers the strings of an object that stands in the file.
func (f *file) open(v *value, h head) {
	l := f.lock
	switch {
	case l == nil || h.num < 0 || h.num == l.num || l.str == suiteNone:
	case l.shut || l.str == suiteUnknown:
		f.openIn(v, nil)
	default:
		f.openIn(v, l.cipher(l.str, h.num, h.gen))
	}
}

// openIn deciphers the strings of a value; without a cipher they are gone.

func (f *file) openIn(v *value, c *cipher) {
	if v.kind == kindString {
		if !f.work(int64(len(v.b)) + 16) {
			return
		}
		if c == nil {
			v.b, v.plain = nil, true
			f.say(showcause.Encrypted, 0, -1)
		} else if b, err := io.ReadAll(c.reader(bytes.NewReader(v.b))); err == nil {
			v.b, v.plain = b, false
		}
	}
	for i := range v.list {
		f.openIn(&v.list[i], c)
	}
}

// reader deciphers.
func (c *cipher) reader(r io.Reader) io.Reader {
	if c.suite == suiteRC4 {
		k, err := rc4.NewCipher(c.key)
		if err != nil {
			return r
		}
		return gocipher.StreamReader{S: k, R: r}
	}
	return &cbc{r: r, key: c.key}
}

// cbc deciphers AES in CBC mode behind its first block, and takes off the padding of
// the last one (7.6.3.1).
type cbc struct {
	r    io.Reader
	key  []byte
	mode gocipher.BlockMode
	buf  [4096]byte
	out  []byte
	held []byte // the last block, which may be padding
	err  error
}

// Read implements io.Reader.
func (c *cbc) Read(p []byte) (int, error) {
	for len(c.out) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		c.fill()
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

func (c *cbc) fill() {
	if c.mode == nil {
		var iv [aes.BlockSize]byte
		if _, c.err = io.ReadFull(c.r, iv[:]); c.err != nil {
			if c.err == io.ErrUnexpectedEOF {
				c.err = io.EOF
			}
			return
		}
		b, err := aes.NewCipher(c.key)
		if err != nil {
			c.err = err
			return
		}
		c.mode = gocipher.NewCBCDecrypter(b, iv[:])
	}
	n, err := io.ReadFull(c.r, c.buf[aes.BlockSize:])
	b := c.buf[aes.BlockSize : aes.BlockSize+n&^(aes.BlockSize-1)]
	c.mode.CryptBlocks(b, b)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	c.err = err
	from := aes.BlockSize - len(c.held)
	copy(c.buf[from:], c.held)
	c.out = c.buf[from : aes.BlockSize+len(b)]
	if err == nil {
		keep := len(c.out) - aes.BlockSize
		c.held = append(c.held[:0], c.out[keep:]...)
		c.out = c.out[:keep]
		return
	}
	if k := len(c.out); err == io.EOF && k > 0 {
		if pad := int(c.out[k-1]); pad >= 1 && pad <= aes.BlockSize && pad <= k {
			c.out = c.out[:k-pad]
		}
	}
}
