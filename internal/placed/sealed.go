package placed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"fmt"
)

// pdfLock is how a document is encrypted with the empty password (ISO 32000-1, 7.6.3).
type pdfLock struct {
	name    string
	v, r    int
	key     int // bytes
	filters string
	aes     bool
}

const (
	pdfPad = "\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a"
	pdfID  = "0123456789abcdef"
)

func pdfLocks() []pdfLock {
	crypt := func(method string, n int) string {
		return fmt.Sprintf("/CF<</StdCF<</CFM/%s/AuthEvent/DocOpen/Length %d>>>>/StmF/StdCF/StrF/StdCF", method, n)
	}
	return []pdfLock{
		{"RC4, 40 bits", 1, 2, 5, "", false},
		{"RC4, 128 bits", 2, 3, 16, "/Length 128", false},
		{"RC4, crypt filter", 4, 4, 16, "/Length 128" + crypt("V2", 16), false},
		{"AES, 128 bits", 4, 4, 16, "/Length 128" + crypt("AESV2", 16), true},
		{"AES, 256 bits", 5, 5, 32, "/Length 256" + crypt("AESV3", 32), true},
	}
}

func rc4ed(key, b []byte) []byte {
	c, err := rc4.NewCipher(key)
	must(err)
	out := make([]byte, len(b))
	c.XORKeyStream(out, b)
	return out
}

// cbc is AES with no padding of its own.
func cbc(key, iv, b []byte) []byte {
	c, err := aes.NewCipher(key)
	must(err)
	out := make([]byte, len(b))
	cipher.NewCBCEncrypter(c, iv).CryptBlocks(out, b)
	return out
}

// open returns the dictionary of the encryption, and what encrypts a stream or string of an object.
func (k pdfLock) open() (dict string, seal func(num int, s string) string) {
	owner := bytes.Repeat([]byte("o"), 32)
	var key []byte
	if k.r == 5 {
		key = bytes.Repeat([]byte("k"), 32)
		salt := []byte("validate" + "the keys")
		check, middle := sha256.Sum256(salt[:8]), sha256.Sum256(salt[8:])
		user := append(check[:], salt...)
		dict = fmt.Sprintf("/U<%x>/UE<%x>/O<%x>/OE<%x>/Perms<%x>", user, cbc(middle[:], make([]byte, 16), key), bytes.Repeat(owner, 2)[:48], owner, owner[:16])
	} else {
		h := md5.Sum([]byte(pdfPad + string(owner) + "\xfc\xff\xff\xff" + pdfID))
		for range 50 * (min(k.r, 3) - 2) {
			h = md5.Sum(h[:k.key])
		}
		key = h[:k.key]
		user := rc4ed(key, []byte(pdfPad))
		if k.r > 2 {
			sum := md5.Sum([]byte(pdfPad + pdfID))
			user = sum[:]
			for i := range 20 {
				turn := bytes.Clone(key)
				for j := range turn {
					turn[j] ^= byte(i)
				}
				user = rc4ed(turn, user)
			}
			user = append(user, make([]byte, 16)...)
		}
		dict = fmt.Sprintf("/O<%x>/U<%x>", owner, user)
	}
	dict = fmt.Sprintf("<</Filter/Standard/V %d/R %d/P -4%s%s>>", k.v, k.r, k.filters, dict)
	return dict, func(num int, s string) string {
		of := key
		if k.r < 5 {
			b := append(bytes.Clone(key), byte(num), byte(num>>8), byte(num>>16), 0, 0)
			if k.aes {
				b = append(b, "sAlT"...)
			}
			h := md5.Sum(b)
			of = h[:min(len(key)+5, 16)]
		}
		if !k.aes {
			return string(rc4ed(of, []byte(s)))
		}
		pad := 16 - len(s)%16
		return "initial value 16" + string(cbc(of, []byte("initial value 16"), append([]byte(s), bytes.Repeat([]byte{byte(pad)}, pad)...)))
	}
}

// pdfSealed has it in what is encrypted with the empty password.
func pdfSealed(l *list) {
	for _, k := range pdfLocks() {
		dict, seal := k.open()
		made := func(objects ...string) []byte {
			objects = append(append([]string{pdfCatalog, pdfPages, pdfPage}, objects...), dict)
			return pdfOf(fmt.Sprintf("/Encrypt %d 0 R/ID[<%x><%x>]", len(objects), pdfID, pdfID), objects...)
		}
		page := pdfStream("", seal(4, "BT ET"))
		at := "pdf/encrypted/" + k.name
		l.add(at+"/stream", made(pdfStream("/Filter/FlateDecode", seal(4, zlibbed(body)))))
		l.add(at+"/stream without a filter", made(pdfStream("", seal(4, body))))
		l.add(at+"/two filters", made(pdfStream("/Filter[/ASCIIHexDecode/FlateDecode]", seal(4, digits(zlibbed(body))+">"))))
		l.add(at+"/file", made(page, pdfStream("/Type/EmbeddedFile/Filter/FlateDecode", seal(5, zlibbed(body)))))
		l.add(at+"/script", made(page, "<</S/JavaScript/JS <"+digits(seal(5, Marker))+">>>"))
		l.add(at+"/script in a stream", made(page, "<</S/JavaScript/JS 6 0 R>>", pdfStream("", seal(6, body))))
		l.add(at+"/object stream", made(page, pdfStream("/Type/ObjStm/N 1/First 4/Filter/FlateDecode", seal(5, zlibbed("9 0 <</S/JavaScript/JS("+Marker+")>>")))))
		l.add(at+"/address", made(page, "<</S/URI/URI <"+digits(seal(5, Marker))+">>>"))
	}
}
