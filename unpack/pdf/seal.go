package pdf

import (
	"bytes"
	"crypto/aes"
	gocipher "crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/showcause/showcause"
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
	meta    bool // metadata are enciphered as well
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
				if v.kind != kindDict || f.lock != nil && !f.lock.shut || tried >= 8 {
					continue
				}
				tried++
				f.lock = f.newLock(v, id, num)
			}
		}
	}
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
	if m := v.get("EncryptMetadata"); string(m.b) == "false" {
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
	s := standard{revision: int(revision), key: int(bits / 8), p: uint32(integer("P", 0)), id: id, meta: l.meta}
	str := func(key string) []byte {
		for _, b := range f.stringsOf(v.get(key)) {
			return b
		}
		return nil
	}
	s.o, s.u, s.oe, s.ue = str("O"), str("U"), str("OE"), str("UE")
	words := [][]byte{nil}
	for i := 0; i < len(words); i++ {
		w := words[i]
		name := fmt.Sprintf("pdf %d %d %x %x %x %x %x %x %x %v %d", s.revision, s.key, s.o, s.u, s.oe, s.ue, s.id, w, s.p, s.meta, version)
		if key := f.out.Key(name, s.cost(), func() []byte { return s.open(w) }); key != nil {
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
	if l == nil || s.num < 0 || v.is("Type", "XRef") {
		return nil, false
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

// standard is the standard security handler (7.6.4).
type standard struct {
	revision     int
	key          int // bytes
	o, u, oe, ue []byte
	p            uint32
	id           []byte
	meta         bool
}

// cost is the work of one password, as user's and as owner's.
func (s standard) cost() int64 {
	if s.revision >= 6 {
		return 1 << 19
	}
	return 1 << 13
}

// filler pads passwords (algorithm 2).
var filler = [32]byte{
	0x28, 0xbf, 0x4e, 0x5e, 0x4e, 0x75, 0x8a, 0x41, 0x64, 0x00, 0x4e, 0x56, 0xff, 0xfa, 0x01, 0x08,
	0x2e, 0x2e, 0x00, 0xb6, 0xd0, 0x68, 0x3e, 0x80, 0x2f, 0x0c, 0xa9, 0xfe, 0x64, 0x53, 0x69, 0x7a,
}

func pad(word []byte) []byte {
	return append(bytes.Clone(word[:min(len(word), 32)]), filler[:]...)[:32]
}

// open returns the key of the file, nil if the password is wrong.
func (s standard) open(word []byte) []byte {
	if s.revision >= 5 {
		return s.open5(word)
	}
	if len(s.o) < 32 || len(s.u) < 16 {
		return nil
	}
	if key := s.user(word); key != nil {
		return key
	}
	return s.user(s.owner(word))
}

// user is algorithms 2, 4, 5 and 6.
func (s standard) user(word []byte) []byte {
	h := md5.New()
	h.Write(pad(word))
	h.Write(s.o[:32])
	binary.Write(h, binary.LittleEndian, s.p)
	h.Write(s.id)
	if s.revision >= 4 && !s.meta {
		h.Write([]byte{0xff, 0xff, 0xff, 0xff})
	}
	key := h.Sum(nil)
	if s.revision >= 3 {
		for range 50 {
			sum := md5.Sum(key[:s.key])
			key = sum[:]
		}
	}
	key = key[:s.key]
	if s.revision == 2 {
		if len(s.u) >= 32 && bytes.Equal(arc4(key, 0, filler[:]), s.u[:32]) {
			return key
		}
		return nil
	}
	sum := md5.Sum(append(filler[:], s.id...))
	want := sum[:]
	for i := range 20 {
		want = arc4(key, byte(i), want)
	}
	if bytes.Equal(want, s.u[:16]) {
		return key
	}
	return nil
}

// owner returns the user's password by the owner's (algorithm 7).
func (s standard) owner(word []byte) []byte {
	sum := md5.Sum(pad(word))
	if s.revision == 2 {
		return arc4(sum[:s.key], 0, s.o[:32])
	}
	for range 50 {
		sum = md5.Sum(sum[:])
	}
	b := s.o[:32]
	for i := 19; i >= 0; i-- {
		b = arc4(sum[:s.key], byte(i), b)
	}
	return b
}

// arc4 enciphers with each byte of the key xored.
func arc4(key []byte, x byte, b []byte) []byte {
	k := bytes.Clone(key)
	for i := range k {
		k[i] ^= x
	}
	c, err := rc4.NewCipher(k)
	if err != nil {
		return nil
	}
	out := make([]byte, len(b))
	c.XORKeyStream(out, b)
	return out
}

// open5 is algorithm 2.A, for revisions 5 and 6.
func (s standard) open5(word []byte) []byte {
	if len(s.o) < 48 || len(s.u) < 48 || len(s.oe) < 32 || len(s.ue) < 32 {
		return nil
	}
	word = word[:min(len(word), 127)]
	u := s.u[:48]
	sealed, key := s.ue, []byte(nil)
	switch {
	case bytes.Equal(s.hash(word, u[32:40], nil), u[:32]):
		key = s.hash(word, u[40:48], nil)
	case bytes.Equal(s.hash(word, s.o[32:40], u), s.o[:32]):
		key, sealed = s.hash(word, s.o[40:48], u), s.oe
	default:
		return nil
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	out := make([]byte, 32)
	gocipher.NewCBCDecrypter(b, make([]byte, aes.BlockSize)).CryptBlocks(out, sealed[:32])
	return out
}

// hash is algorithm 2.B; revision 5 has only its first step.
func (s standard) hash(word, salt, u []byte) []byte {
	sum := sha256.Sum256(bytes.Join([][]byte{word, salt, u}, nil))
	k := sum[:]
	if s.revision < 6 {
		return k
	}
	for i := 0; ; i++ {
		e := bytes.Repeat(bytes.Join([][]byte{word, k, u}, nil), 64)
		b, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil
		}
		gocipher.NewCBCEncrypter(b, k[16:32]).CryptBlocks(e, e)
		mod := 0
		for _, c := range e[:16] {
			mod += int(c)
		}
		var h hash.Hash
		switch mod % 3 {
		case 0:
			h = sha256.New()
		case 1:
			h = sha512.New384()
		default:
			h = sha512.New()
		}
		h.Write(e)
		k = h.Sum(nil)
		if i >= 63 && int(e[len(e)-1]) <= i-31 {
			return k[:32]
		}
	}
}
