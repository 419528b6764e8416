package sevenzip

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/crypt"
	"github.com/showcause/showcause/unpack"
)

// How many bytes of a folder tell whether a password is right: where the coder
// fails on noise, and where only a checksum does.
const (
	trialFails = 1 << 20
	trialSum   = 32 << 20
)

// opened is behind the operation of what a password opened.
const opened = ".decrypted"

// unlock looks for the password of an encrypted folder, which its content needs.
// It tells whether there is one.
func (a *archive) unlock(f *folder) bool {
	if slices.ContainsFunc(f.coders, func(c coder) bool { return c.id != coderAES && isCipher(c.id) }) {
		return false
	}
	for _, p := range a.passwords() {
		f.password = p
		if right, more := a.opens(f); right {
			a.right = p
			return true
		} else if !more {
			break
		}
	}
	f.password = nil
	return false
}

// passwords returns what is to be tried, the one first that opened the last folder.
func (a *archive) passwords() [][]byte {
	if a.words == nil {
		a.words = a.out.Passwords()
	}
	if i := slices.IndexFunc(a.words, func(p []byte) bool { return bytes.Equal(p, a.right) }); i > 0 {
		a.words = slices.Insert(slices.Delete(a.words, i, i+1), 0, a.right)
	}
	return a.words
}

// opens tells whether the folder's password is right, and whether others may be
// tried. The format has no value to compare with: it is right where the content's
// first checksum fits, or the decoder does not fail for long.
func (a *archive) opens(f *folder) (right, more bool) {
	op, cost := f.op()
	most, fails := int64(trialSum), false
	switch op {
	case "7z.lzma", "7z.lzma2", "7z.deflate", "7z.deflate64", "7z.bzip2", "7z.zstd", "7z.lz4":
		most, fails = trialFails, true
	}
	first := sub{size: f.size()}
	if i := slices.IndexFunc(f.subs, func(s sub) bool { return s.size > 0 }); i >= 0 {
		first = f.subs[i]
	}
	w := f.window()
	if first.size <= 0 || !fails && (!first.crc.known || first.size > most) || !a.out.Hold(w) {
		return false, false
	}
	defer a.out.Release(w)
	for _, c := range f.coders {
		if c.id != coderAES {
			continue
		}
		if k, ok := a.key(f, c); ok && k == nil {
			return false, false
		}
	}
	if !a.out.Guess(1 << 14) {
		return false, false
	}
	r, err := a.content(f)
	if err != nil {
		return false, true
	}
	n, sum := int64(0), uint32(0)
	buf := make([]byte, min(first.size, 32<<10))
	for n < min(first.size, most) {
		m, err := r.Read(buf[:min(int64(len(buf)), first.size-n)])
		sum = crc32.Update(sum, crc32.IEEETable, buf[:m])
		if n += int64(m); !a.out.Guess(cost*int64(m) + 1) {
			return false, false
		}
		if err != nil && n < first.size {
			return false, true
		}
	}
	if n < first.size || !first.crc.known {
		return fails, true
	}
	return sum == first.crc.v, true
}

// cipherProps reads the properties of 7zAES (7-Zip, 7zAes.cpp): the power of two of the
// iterations and the lengths of the salt and of the initial value, and these.
func cipherProps(props []byte) (power int, salt []byte, iv [16]byte, ok bool) {
	if len(props) == 0 {
		return 0, nil, iv, false
	}
	b := props[0]
	power = int(b & 63)
	if b&0xc0 == 0 {
		return power, nil, iv, true
	}
	if len(props) < 2 {
		return 0, nil, iv, false
	}
	salts, ivs := int(b>>7)+int(props[1]>>4), int(b>>6&1)+int(props[1]&15)
	if props = props[2:]; len(props) < salts+ivs {
		return 0, nil, iv, false
	}
	copy(iv[:], props[salts:salts+ivs])
	return power, props[:salts], iv, power <= crypt.MaxSevenZip || power == 63
}

// key returns the key of a coder, nil where it would cost too much; false where
// the coder is not as it should be.
func (a *archive) key(f *folder, c coder) ([]byte, bool) {
	power, salt, _, ok := cipherProps(c.props)
	if !ok {
		return nil, false
	}
	p := f.password
	return a.out.Key(fmt.Sprintf("7z %d %x %x", power, salt, p), crypt.SevenZipCost(p, salt, power), func() []byte {
		return crypt.SevenZip(p, salt, power)
	}), true
}

// decipher opens the cipher over a packed stream. What comes out is a stream as
// if it was packed so.
func (o *opener) decipher(c coder, r io.Reader, size int64) (io.Reader, error) {
	s, ok := r.(*short)
	if !ok {
		return nil, unpack.Fail(gapMethod) // behind another coder: nothing writes that
	}
	key, ok := o.a.key(o.f, c)
	if !ok {
		return nil, errHeader
	}
	if key == nil {
		return nil, unpack.Fail(showcause.Encrypted)
	}
	_, _, iv, _ := cipherProps(c.props)
	plain, err := crypt.CBC(s.SectionReader, key, iv)
	if err != nil {
		return nil, errHeader
	}
	s.plain = &short{SectionReader: io.NewSectionReader(plain, 0, min(plain.Size(), size)), want: size}
	return s.plain, nil
}
