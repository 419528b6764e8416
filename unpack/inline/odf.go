package inline

import (
	"bytes"
	"cmp"
	"compress/flate"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/blowfish" //lint:ignore SA1019 OpenOffice enciphered by it

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/zipdir"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/crypt"
	"github.com/showcause/showcause/unpack"
)

const (
	manifestName = "META-INF/manifest.xml"
	maxManifest  = 4 << 20
	maxParts     = 1 << 12
	roundCost    = 800      // of two blocks of PBKDF2, in steps
	manifestTail = 64 << 10 // of a zip, in which the name of the list is looked for
)

// Manifest looks into the list of parts that an OpenDocument package has (OpenDocument 1.3,
// part 2, 4.8.4): parts that are encrypted stand in the zip as if they were data, and only this list says so. It is
// told here where OpenDocument has not read the package.
func Manifest() unpack.Format {
	return unpack.Format{
		Name:  "manifest",
		Match: func(p *unpack.Probe) bool { return strings.EqualFold(p.Name, manifestName) },
		Walk: func(src showcause.Source, out *unpack.Out) {
			for _, text := range []string{"encryption-data", "e\x00n\x00c\x00r\x00y\x00p\x00t\x00i\x00o\x00n\x00-\x00d\x00a\x00t\x00a"} {
				at, ok := out.Find(src, 0, []byte(text), nil)
				if !ok {
					continue
				}
				if b, err := bound.ReadAt(src, 0, src.Size(), maxManifest); err != nil || out.Key(readName(b), 0, func() []byte { return nil }) == nil {
					out.Gap(showcause.Encrypted, at, -1)
				}
				return
			}
		},
	}
}

// readName is the name under which it is kept that the parts of a list have been read or told.
func readName(list []byte) string { return fmt.Sprintf("odf %x", sha256.Sum256(list)) }

// OpenDocument opens the parts of an OpenDocument package that are encrypted (OpenDocument 1.3, part 2, 4) by AES or Blowfish with
// a password that is known, "odf.decrypted", called as they are. What none opens is said.
func OpenDocument() unpack.Format {
	return unpack.Format{
		Name: "odf",
		Match: func(p *unpack.Probe) bool {
			if !bytes.HasPrefix(p.Head, []byte("PK\x03\x04")) {
				return false
			}
			if bytes.Contains(p.Head[:min(len(p.Head), 128)], []byte("mimetypeapplication/vnd.oasis.opendocument")) {
				return true
			}
			size := p.Source.Size()
			b, _ := bound.ReadAt(p.Source, max(size-manifestTail, 0), min(size, manifestTail), manifestTail)
			return bytes.Contains(b, []byte(manifestName))
		},
		Walk: documentWalk,
	}
}

func documentWalk(src showcause.Source, out *unpack.Out) {
	a := zipdir.Open(src, out.Work)
	e, ok := a.Find(manifestName)
	if !a.OK || !ok {
		return
	}
	list, ok := a.Read(e, maxManifest)
	if !ok || !bytes.Contains(list, []byte("encryption-data")) || !out.Work(int64(len(list))/2) {
		return // which Manifest says, if something is encrypted
	}
	parts := partsOf(list)
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.rank(), b.rank()) })
	d := &document{a: a, out: out}
	for i := range parts {
		if i == maxParts {
			out.Gap(showcause.LimitObject, 0, -1)
			break
		}
		if !d.part(&parts[i]) {
			return
		}
	}
	if len(parts) > 0 {
		out.Key(readName(list), 0, func() []byte { return []byte{1} })
	}
}

// part is a part of a package that is encrypted.
type part struct {
	name     string
	size     int64 // of what it inflates to, bytes
	cipher   string
	derived  string
	start    string // the hash that the password goes through first
	checked  string // the hash of the sum
	sum      []byte
	iv, salt []byte
	rounds   int
	key      int // bytes
}

// rank says how soon a part is opened: what is run and what is read, then the rest, then pictures, since keys take work.
func (p *part) rank() int {
	switch folder, _, in := strings.Cut(p.name, "/"); {
	case p.name == "content.xml" || folder == "Basic" || folder == "Scripts":
		return 0
	case in && (folder == "Pictures" || folder == "ObjectReplacements" || folder == "Thumbnails" || folder == "Configurations2"):
		return 2
	}
	return 1
}

// partsOf reads the list of parts.
func partsOf(list []byte) (out []part) {
	d := xml.NewDecoder(bytes.NewReader(list))
	d.Strict = false
	var p part
	var sealed bool
	for {
		t, err := d.Token()
		if err != nil {
			return out
		}
		switch t := t.(type) {
		case xml.StartElement:
			at := func(name string) string {
				for _, a := range t.Attr {
					if a.Name.Local == name {
						return a.Value
					}
				}
				return ""
			}
			raw := func(name string) []byte {
				b, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(at(name)))
				return b
			}
			kind := func(name string) string { // behind the last mark of an address
				s := strings.ToLower(at(name))
				return s[strings.LastIndexByte(s, '#')+1:]
			}
			number := func(name string, otherwise int) int {
				if n, err := strconv.Atoi(at(name)); err == nil {
					return n
				}
				return otherwise
			}
			switch t.Name.Local {
			case "file-entry":
				p, sealed = part{name: at("full-path"), size: int64(number("size", -1)), start: "sha1", key: 16}, false
			case "encryption-data":
				sealed, p.checked, p.sum = true, kind("checksum-type"), raw("checksum")
			case "algorithm":
				p.cipher, p.iv = kind("algorithm-name"), raw("initialisation-vector")
			case "start-key-generation":
				p.start = kind("start-key-generation-name")
			case "key-derivation":
				p.derived, p.salt, p.rounds, p.key = kind("key-derivation-name"), raw("salt"), number("iteration-count", 1024), number("key-size", 16)
			}
		case xml.EndElement:
			if t.Name.Local == "file-entry" && sealed {
				out, sealed = append(out, p), false
			}
		}
	}
}

// document is a package that is opened.
type document struct {
	a        *zipdir.Archive
	out      *unpack.Out
	password []byte // of a part that was opened
	closed   bool   // no password opens one
}

// part opens one, and tells whether to go on.
func (d *document) part(p *part) bool {
	child := unpack.Child{Op: "odf.decrypted", Name: p.name, Size: p.size}
	e, ok := d.a.Find(p.name)
	if !ok || e.Method != zipdir.Stored {
		return d.out.ChildGap(child, showcause.Encrypted)
	}
	data, ok := d.a.Data(e)
	if !ok || !p.known() {
		return d.out.ChildGap(child, showcause.Encrypted)
	}
	cost := int64(p.rounds) * roundCost
	if d.password != nil { // each part has a key of its own, and all have one password
		if d.out.Unlock(cost) {
			if plain, n, ok := p.opened(data, p.derive(d.password)); ok {
				return d.give(child, plain, n)
			}
		}
		return d.out.ChildGap(child, showcause.Encrypted)
	}
	for _, word := range d.words() {
		key := d.out.Key(fmt.Sprintf("odf %s %x %d %d %x", p.start, p.salt, p.rounds, p.key, word), cost, func() []byte { return p.derive(word) })
		if plain, n, ok := p.opened(data, key); ok {
			d.password = word
			return d.give(child, plain, n)
		}
	}
	d.closed = true
	return d.out.ChildGap(child, showcause.Encrypted)
}

// words are the passwords that are tried: none where they have not opened another part.
func (d *document) words() [][]byte {
	if d.closed {
		return nil
	}
	return d.out.Passwords()
}

// give inflates the n bytes of a part.
func (d *document) give(child unpack.Child, plain showcause.Source, n int64) bool {
	child.Reader, child.Deflate = flate.NewReader(bound.Reader(plain, 0, n)), true
	return d.out.Work(n/8+1) && d.out.Child(child)
}

// derive makes the key of a password.
func (p *part) derive(word []byte) []byte {
	var start []byte
	switch p.start {
	case "sha1":
		h := sha1.Sum(word)
		start = h[:]
	case "sha256":
		h := sha256.Sum256(word)
		start = h[:]
	}
	key, err := pbkdf2.Key(sha1.New, string(start), p.salt, p.rounds, p.key)
	if start == nil || err != nil {
		return nil
	}
	return key
}

// opened is what data are under a key, and how long without what fills them up. It is false for a wrong key: the sum is of
// the first 1,024 bytes.
func (p *part) opened(data showcause.Source, key []byte) (plain showcause.Source, n int64, ok bool) {
	var err error
	if len(key) != p.key {
		return nil, 0, false
	}
	if p.old() {
		b, err := blowfish.NewCipher(key)
		if err != nil {
			return nil, 0, false
		}
		plain, n = &cfb{data, b, p.iv}, data.Size()
	} else if plain, n, err = unfilled(data, key, p.iv); err != nil {
		return nil, 0, false
	}
	head, err := bound.ReadAt(plain, 0, min(n, 1024), 1024)
	if err != nil {
		return nil, 0, false
	}
	if p.checked == "sha256-1k" {
		h := sha256.Sum256(head)
		return plain, n, bytes.Equal(h[:], p.sum)
	}
	h := sha1.Sum(head)
	return plain, n, bytes.Equal(h[:], p.sum)
}

// unfilled is what data are under AES, and how long without what fills up the last block, whose last byte says how much that is.
func unfilled(data showcause.Source, key, iv []byte) (plain showcause.Source, n int64, err error) {
	if plain, err = crypt.CBC(data, key, [16]byte(iv)); err != nil {
		return nil, 0, err
	}
	last, err := bound.ReadAt(plain, plain.Size()-1, 1, 1)
	if err != nil || len(last) == 0 || last[0] == 0 || last[0] > 16 {
		return nil, 0, bound.ErrLength
	}
	return plain, plain.Size() - int64(last[0]), nil
}

// old tells whether a part is enciphered as OpenOffice did before version 3.4.
func (p *part) old() bool { return p.cipher == "blowfish cfb" || p.cipher == "blowfish" }

// known tells whether all that is said of a part's encryption is known.
func (p *part) known() bool {
	sum := p.checked == "sha256-1k" || p.checked == "sha1-1k" || p.checked == "sha1/1k"
	if !sum || p.derived != "pbkdf2" || p.rounds < 1 || p.rounds > 1<<24 {
		return false
	}
	if p.old() {
		return len(p.iv) == blowfish.BlockSize && p.key == 16
	}
	return strings.HasPrefix(p.cipher, "aes") && strings.HasSuffix(p.cipher, "-cbc") && len(p.iv) == 16 && (p.key == 16 || p.key == 24 || p.key == 32)
}

// cfb deciphers by Blowfish with the feedback of whole blocks (NIST SP 800-38A, 6.3).
type cfb struct {
	src    showcause.Source
	cipher *blowfish.Cipher
	iv     []byte
}

// Size implements showcause.Source.
func (c *cfb) Size() int64 { return c.src.Size() }

// ReadAt implements io.ReaderAt.
func (c *cfb) ReadAt(p []byte, off int64) (int, error) {
	const size = blowfish.BlockSize
	start := off / size * size
	last, err := c.iv, error(nil)
	if start > 0 {
		if last, err = bound.ReadAt(c.src, start-size, size, size); err != nil {
			return 0, err
		}
	}
	sealed := make([]byte, off-start+int64(len(p)))
	n, err := c.src.ReadAt(sealed, start)
	sealed = sealed[:n]
	done := 0
	for at := 0; at < n; at += size {
		var mask [size]byte
		c.cipher.Encrypt(mask[:], last)
		last = sealed[at:min(at+size, n)]
		for i, x := range last {
			if k := int64(at+i) - (off - start); k >= 0 {
				p[k] = x ^ mask[i]
				done = int(k) + 1
			}
		}
		if len(last) < size {
			break
		}
	}
	return done, err
}
