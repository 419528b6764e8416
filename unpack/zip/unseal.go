package zip

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"fmt"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/crypt"
	"github.com/showcause/showcause/unpack"
)

// opened is a member's data under a password.
type opened struct {
	src  showcause.Source
	over int64 // bytes of the member besides
}

// zipMaxSealed is how many bytes of a stored member are deciphered to see
// whether a password is right.
const zipMaxSealed = 64 << 20

// unseal derives an encrypted member in every way in which a password opens it,
// and tells whether all readings were opened.
func (z *zipWalk) unseal(name string, m zipMeta, ws []zipWay, next int64) (all bool) {
	all = true
	done := map[zipSpan]bool{}
	for _, w := range ws {
		w.metas = slices.DeleteFunc(slices.Clone(w.metas), func(m zipMeta) bool { return !m.sealed })
		for _, r := range w.metas {
			n := r.packed
			if n < 0 {
				if n = z.job(w).packed; n < 0 {
					n = z.extent(w.start, next)
				}
			}
			if key := (zipSpan{w.start, n}); done[key] || z.stop {
				continue
			} else {
				done[key] = true
			}
			if !bound.In(w.start, n, z.size) || !z.open1(name, m, w, r, n) {
				all = false
			}
		}
	}
	return all && len(done) > 0
}

// open1 derives the member whose n bytes stand at the start of w, if a password opens it.
func (z *zipWalk) open1(name string, m zipMeta, w zipWay, r zipMeta, n int64) bool {
	src := bound.Section(z.src, w.start, n)
	j := z.job(w)
	j.packed, j.soft = -1, false
	if r.strength > 0 {
		return z.openAES(name, m, w, j, r, src)
	}
	if n < crypt.PKWAREHeader {
		return false
	}
	for _, p := range z.passwords() {
		if !z.out.Guess(512) {
			return false
		}
		c := crypt.NewPKWARE(src, p, z.out.Work)
		if !slices.ContainsFunc(w.metas, func(m zipMeta) bool { return c.Check() == byte(m.crc>>24) || c.Check() == byte(m.time>>8) }) {
			continue
		}
		j.sealed = &opened{c, crypt.PKWAREHeader}
		if !z.fits(j) {
			continue
		}
		z.right = p
		return z.unsealed(name, m, w, j)
	}
	return false
}

// fits tells whether what a password gives is the member.
func (z *zipWalk) fits(j zipJob) bool {
	n := j.sealed.src.Size()
	if n == 0 {
		return true // nothing is enciphered
	}
	if j.method == zipXZ {
		b, _ := bound.ReadAt(j.sealed.src, 0, 6, 6)
		return string(b) == "\xfd7zXZ\x00"
	}
	cost := 4 * n
	switch j.method {
	case zipStored:
	case zipPPMd: // which decodes anything at all
		cost = 64 * max(j.said, n)
	default:
		return z.try(j).good(n)
	}
	if max(j.said, n) > zipMaxSealed || !z.out.Guess(cost) {
		return false
	}
	j.soft = true
	s := z.open(j)
	buf := make([]byte, min(n, 32<<10))
	for s.err == nil {
		s.Read(buf)
	}
	s.close()
	return s.exact
}

// passwords returns what is to be tried, the one first that opened the last member.
func (z *zipWalk) passwords() [][]byte {
	if z.words == nil {
		z.words = z.out.Passwords()
	}
	if i := slices.IndexFunc(z.words, func(p []byte) bool { return bytes.Equal(p, z.right) }); i > 0 {
		z.words = slices.Insert(slices.Delete(z.words, i, i+1), 0, z.right)
	}
	return z.words
}

// openAES is open1 for WinZip's AES encryption (WinZip, "AES Encryption
// Information"): salt, verifier (2), data, authentication code (10).
func (z *zipWalk) openAES(name string, m zipMeta, w zipWay, j zipJob, r zipMeta, src showcause.Source) bool {
	s := crypt.ZipAES(r.strength)
	over := int64(s.Head() + crypt.ZipAESTail)
	head, err := bound.ReadAt(src, 0, int64(s.Head()), int64(s.Head()))
	if err != nil || src.Size() < over {
		return false
	}
	salt, verifier := head[:s.Salt()], head[s.Salt():]
	data := bound.Section(src, int64(s.Head()), src.Size()-over)
	tail, _ := bound.ReadAt(src, src.Size()-crypt.ZipAESTail, crypt.ZipAESTail, crypt.ZipAESTail)
	if r.maker == zipAE2 || r.crc == 0 {
		j.sums = nil // the code is in its place
		j.flags &^= zipFlagDescriptor
	}
	if data.Size() == 0 {
		j.sealed = &opened{data, over}
		return z.unsealed(name, m, w, j)
	}
	var broken *zipJob
	for _, p := range z.passwords() {
		id := fmt.Sprintf("%d %x %x", s, salt, p)
		if v := z.out.Key("zip verifier "+id, s.VerifierCost(), func() []byte { return s.Verifier(p, salt) }); !bytes.Equal(v, verifier) {
			if v == nil {
				break
			}
			continue
		}
		keys := z.out.Key("zip keys "+id, s.KeysCost(), func() []byte { return s.Keys(p, salt) })
		if keys == nil {
			break
		}
		plain, err := crypt.CTR(data, keys[:s.Key()])
		if err != nil {
			continue
		}
		j.sealed = &opened{plain, over}
		if z.authentic(data, keys[s.Key():], tail) {
			z.right = p
			return z.unsealed(name, m, w, j)
		}
		if broken == nil && z.fits(j) {
			k := j
			broken = &k
		}
	}
	if broken == nil {
		return false
	}
	z.gap(showcause.Corrupt, w.start, src.Size())
	return z.unsealed(name, m, w, *broken)
}

// authentic tells whether the authentication code fits the data.
func (z *zipWalk) authentic(data showcause.Source, key, code []byte) bool {
	if !z.out.Work(4 * data.Size()) {
		z.stop = true
		return false
	}
	mac := hmac.New(sha1.New, key)
	for off := int64(0); off < data.Size(); {
		b, err := bound.ReadAt(data, off, min(zipScanChunk, data.Size()-off), zipScanChunk)
		mac.Write(b)
		if off += int64(len(b)); err != nil || len(b) == 0 {
			return false
		}
	}
	return hmac.Equal(mac.Sum(nil)[:crypt.ZipAESTail], code)
}

// zipOpened is behind the operation of a member that a password opened.
const zipOpened = ".decrypted"

// unsealed derives a member that a password opened.
func (z *zipWalk) unsealed(name string, m zipMeta, w zipWay, j zipJob) bool {
	j.packed = j.sealed.src.Size()
	word := zipMethodWord(w.method)
	switch w.method {
	case zipStored, zipDeflate, zipDeflate64, zipBzip2, zipLZMA, zipImplode, zipZstd, zipZstdOld, zipPPMd:
	case zipXZ:
		j.method, j.sums, j.said = zipStored, nil, j.packed
		j.flags &^= zipFlagDescriptor
	default:
		z.stop = !z.out.ChildGap(unpack.Child{Name: name, Op: "zip." + word + zipOpened, Size: j.packed},
			showcause.Unsupported+showcause.Code(".method."+word)) || z.stop
		return true
	}
	if j.packed == 0 && j.said <= 0 {
		z.stop = !z.out.Child(unpack.Child{Name: name, Op: "zip." + word + zipOpened, Source: j.sealed.src}) || z.stop
		return true
	}
	s := z.childAs(name, "zip."+word+zipOpened, j)
	if z.stop || s.err == nil || !s.ended && !s.exact {
		return true
	}
	if s.sizeLie && !s.exact {
		z.note(zipNoteSize, m.at, zipLocalLen)
	}
	z.prefixes(name, m.at, w, j, s)
	if from := s.used; from+zipReadOn < j.packed {
		z.gap(showcause.Corrupt, w.start, j.packed-from) // more stands behind what the method reads
	}
	return true
}
