package crypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	stdpbkdf2 "crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"testing"
	"testing/iotest"

	"github.com/showcause/showcause"
)

// The blocks of PBKDF2 are those of the standard library.
func TestPBKDF2(t *testing.T) {
	salt := []byte("saltsaltsaltsalt")
	for _, s := range []ZipAES{1, 2, 3} {
		want, _ := stdpbkdf2.Key(sha1.New, "infected", salt[:s.Salt()], zipRounds, 2*s.Key()+2)
		if got := s.Keys([]byte("infected"), salt[:s.Salt()]); !bytes.Equal(got, want[:2*s.Key()]) {
			t.Errorf("strength %d: keys differ", s)
		}
		if got := s.Verifier([]byte("infected"), salt[:s.Salt()]); !bytes.Equal(got, want[2*s.Key():]) {
			t.Errorf("strength %d: verifier %x, want %x", s, got, want[2*s.Key():])
		}
	}
	got := RAR5([]byte("p"), salt, 5)
	for i, rounds := range []int{32, 48} {
		if want, _ := stdpbkdf2.Key(sha256.New, "p", salt, rounds, 32); !bytes.Equal(got[32*i:32*i+32], want) {
			t.Errorf("RAR 5, %d rounds: %x, want %x", rounds, got[32*i:32*i+32], want)
		}
	}
	last, _ := stdpbkdf2.Key(sha256.New, "p", salt, 64, 32)
	var check [8]byte
	for i, b := range last {
		check[i%8] ^= b
	}
	if !bytes.Equal(got[64:], check[:]) {
		t.Errorf("RAR 5: check value %x, want %x", got[64:], check)
	}
}

// SevenZip and RAR3 agree with a hash of all bytes one after the other.
func TestCounted(t *testing.T) {
	h := sha256.New()
	for i := range uint64(1 << 6) {
		h.Write([]byte("saltp\x00\xe9\x00"))
		h.Write(binary.LittleEndian.AppendUint64(nil, i))
	}
	if got := SevenZip([]byte("pé"), []byte("salt"), 6); !bytes.Equal(got, h.Sum(nil)) {
		t.Errorf("7z: %x", got)
	}
	if got := SevenZip([]byte("ab"), []byte("s"), 63); !bytes.Equal(got[:6], []byte("sa\x00b\x00\x00")) {
		t.Errorf("7z without iterations: %x", got)
	}
	h = sha1.New()
	var iv []byte
	for i := range uint32(1 << 18) {
		h.Write([]byte("a\x00b\x0012345678"))
		h.Write(binary.LittleEndian.AppendUint32(nil, i)[:3])
		if i%(1<<14) == 0 {
			iv = append(iv, h.Sum(nil)[19])
		}
	}
	got := RAR3([]byte("ab"), []byte("12345678"))
	sum := h.Sum(nil)
	if !bytes.Equal(got[16:], iv) || got[0] != sum[3] || got[15] != sum[12] {
		t.Errorf("RAR 3: %x", got)
	}
	if RAR3(bytes.Repeat([]byte("x"), 29), nil) != nil {
		t.Error("RAR 3: a long password")
	}
}

// All ciphers read the same at any offset, and end where their source does.
func TestSources(t *testing.T) {
	plain := make([]byte, 10_000)
	for i := range plain {
		plain[i] = byte(i * 7 >> 2)
	}
	key := []byte("0123456789abcdef0123456789abcdef")
	c, _ := aes.NewCipher(key)
	iv := [16]byte{1, 2, 3}
	out := make([]byte, len(plain))
	cipher.NewCBCEncrypter(c, iv[:]).CryptBlocks(out, plain)
	cbc, _ := CBC(showcause.Bytes(out), key, iv)
	ctrOut := bytes.Clone(plain)
	for i := range ctrOut {
		var count, pad [16]byte
		binary.LittleEndian.PutUint64(count[:], uint64(i/16+1))
		c.Encrypt(pad[:], count[:])
		ctrOut[i] ^= pad[i%16]
	}
	ctr, _ := CTR(showcause.Bytes(ctrOut), key)
	work := func(int64) bool { return true }
	for name, src := range map[string]showcause.Source{
		"cbc": cbc, "ctr": ctr, "pkware": NewPKWARE(showcause.Bytes(Encipher([]byte("pw"), 7, plain)), []byte("pw"), work),
	} {
		if err := iotest.TestReader(io.NewSectionReader(src, 0, src.Size()), plain); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p := make([]byte, 100)
		for _, off := range []int64{9_990, 5_001, 0, 4_090, 16, 9_999} {
			n, err := src.ReadAt(p, off)
			if want := plain[off:min(off+100, 10_000)]; !bytes.Equal(p[:n], want) || n < 100 && err != io.EOF {
				t.Errorf("%s: at %d: %d, %v", name, off, n, err)
			}
		}
		if n, err := src.ReadAt(p, 10_000); n != 0 || err != io.EOF {
			t.Errorf("%s: at the end: %d, %v", name, n, err)
		}
	}
}

// A source that is shorter than it says is no endless loop.
func TestShort(t *testing.T) {
	src := lying{showcause.Bytes(make([]byte, 100))}
	cbc, _ := CBC(src, make([]byte, 16), [16]byte{})
	ctr, _ := CTR(src, make([]byte, 16))
	for _, s := range []showcause.Source{cbc, ctr, NewPKWARE(src, nil, func(int64) bool { return true })} {
		if _, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size())); err != io.ErrUnexpectedEOF {
			t.Errorf("%T: %v", s, err)
		}
		if _, err := s.ReadAt(make([]byte, 1), 5000); err != io.ErrUnexpectedEOF {
			t.Errorf("%T: behind the end: %v", s, err)
		}
	}
	spent := NewPKWARE(showcause.Bytes(make([]byte, 100)), nil, func(int64) bool { return false })
	if _, err := spent.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("work without end")
	}
}

type lying struct{ showcause.Bytes }

func (lying) Size() int64 { return 9000 }

// RAR's own example of checksums that depend on a password is not public; the form
// is held by a value made once and read by unar (see unpack/rar).
func TestRAR5Sum(t *testing.T) {
	if a, b := RAR5Sum([]byte("k"), 1), RAR5Sum([]byte("k"), 2); a == b || a != RAR5Sum([]byte("k"), 1) {
		t.Errorf("%08x %08x", a, b)
	}
	if s := hex.EncodeToString(wide([]byte("\xff"))); s != "ff00" {
		t.Error(s)
	}
}

func BenchmarkKeys(b *testing.B) {
	pw, salt := []byte("infected"), make([]byte, 16)
	for name, f := range map[string]func() int64{
		"zip":  func() int64 { ZipAES(3).Keys(pw, salt); return ZipAES(3).KeysCost() },
		"7z":   func() int64 { SevenZip(pw, nil, 19); return SevenZipCost(pw, nil, 19) },
		"rar3": func() int64 { RAR3(pw, salt[:8]); return RAR3Cost(pw) },
		"rar5": func() int64 { RAR5(pw, salt, 15); return RAR5Cost(15) },
	} {
		b.Run(name, func(b *testing.B) {
			var cost int64
			for b.Loop() {
				cost = f()
			}
			b.ReportMetric(float64(cost), "steps/op")
		})
	}
}

// The last block of an archive with encrypted headers is always the same, so that
// 16 bytes of one, which are known from password crackers' tests, are an oracle.
func TestRAR3Known(t *testing.T) {
	for _, c := range []struct{ salt, end, password string }{
		{"b109105f5fe0b899", "d4f96690b1a8fe1f120b0290a85a2121", "test"},
		{"42ff7e92f24fb2f8", "9d8516c8c847f1b941a0feef064aaf0d", "1234"},
		{"56ce6de6ddee17fb", "4c957e533e00b0e18dfad6accc490ad9", "john"},
	} {
		salt, _ := hex.DecodeString(c.salt)
		end, _ := hex.DecodeString(c.end)
		key := RAR3([]byte(c.password), salt)
		src, _ := CBC(showcause.Bytes(end), key[:16], [16]byte(key[16:]))
		b, _ := io.ReadAll(io.NewSectionReader(src, 0, 16))
		if !bytes.HasPrefix(b, []byte("\xc4\x3d\x7b\x00\x40\x07\x00")) {
			t.Errorf("%s: %x", c.password, b)
		}
	}
}
