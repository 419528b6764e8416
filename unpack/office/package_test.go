package office

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// hashed is the hash of all its parts.
func hashed(h hash.Hash, parts ...[]byte) []byte {
	h.Reset()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func padded(b []byte, n int, with byte) []byte {
	return append(bytes.Clone(b[:min(len(b), n)]), bytes.Repeat([]byte{with}, max(n-len(b), 0))...)
}

func cbcSeal(key, iv, b []byte) []byte {
	c, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	b = padded(b, (len(b)+15)/16*16, 0)
	cipher.NewCBCEncrypter(c, iv).CryptBlocks(b, b)
	return b
}

func ecbSeal(key, b []byte) []byte {
	c, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	b = padded(b, (len(b)+15)/16*16, 0)
	for i := 0; i < len(b); i += 16 {
		c.Encrypt(b[i:], b[i:])
	}
	return b
}

// spun is a password that is hashed so many times behind a counter.
func spun(h hash.Hash, salt []byte, password string, rounds int) []byte {
	sum := hashed(h, salt, unpacktest.UTF16(password))
	for i := range rounds {
		sum = hashed(h, le.AppendUint32(nil, uint32(i)), sum)
	}
	return sum
}

// standardPackage encrypts as Office 2007 does ([MS-OFFCRYPTO] 2.3.4.7).
func standardPackage(plain []byte, password string, bits int) []byte {
	h, salt := sha1.New(), []byte("0123456789abcdef")
	sum := hashed(h, spun(h, salt, password, 50000), make([]byte, 4))
	one, two := bytes.Repeat([]byte{0x36}, 64), bytes.Repeat([]byte{0x5c}, 64)
	for i, c := range sum {
		one[i] ^= c
		two[i] ^= c
	}
	key := append(hashed(h, one), hashed(h, two)...)[:bits/8]
	header := "\x24\x00\x00\x00" + u32(0) + u32(map[int]int{128: 0x660e, 192: 0x660f, 256: 0x6610}[bits]) + u32(0x8004) + u32(bits) + u32(0x18) + u32(0) + u32(0) +
		string(unpacktest.UTF16("Microsoft Enhanced RSA and AES Cryptographic Provider\x00"))
	verifier := []byte("what it verifies")
	info := "\x04\x00\x02\x00\x24\x00\x00\x00" + u32(len(header)) + header + u32(16) + string(salt) + string(ecbSeal(key, verifier)) + u32(20) + string(ecbSeal(key, padded(hashed(h, verifier), 32, 0)))
	return compoundFile(9, "", []leaf{
		{"EncryptionInfo", []byte(info)},
		{"EncryptedPackage", append(le.AppendUint64(nil, uint64(len(plain))), ecbSeal(key, plain)...)},
	}, nil)
}

// agilePackage encrypts as Office 2010 does ([MS-OFFCRYPTO] 2.3.4.10).
func agilePackage(plain []byte, password, name string, bits, rounds int, edit func(info string) string) []byte {
	h := map[string]hash.Hash{"SHA1": sha1.New(), "SHA512": sha512.New()}[name]
	dataSalt, salt, key := []byte("salt of the data"), []byte("salt of password"), bytes.Repeat([]byte("k"), bits/8)
	base := spun(h, salt, password, rounds)
	seal := func(block string, b []byte) string {
		return base64.StdEncoding.EncodeToString(cbcSeal(padded(hashed(h, base, []byte(block)), bits/8, 0x36), salt, b))
	}
	data := le.AppendUint64(nil, uint64(len(plain)))
	for i := 0; i*4096 < len(plain); i++ {
		iv := padded(hashed(h, dataSalt, le.AppendUint32(nil, uint32(i))), 16, 0x36)
		data = append(data, cbcSeal(key, iv, plain[i*4096:min(len(plain), i*4096+4096)])...)
	}
	how := func(salt []byte) string {
		return fmt.Sprintf(`saltSize="16" blockSize="16" keyBits="%d" hashSize="%d" cipherAlgorithm="AES" cipherChaining="ChainingModeCBC" hashAlgorithm="%s" saltValue="%s"`, bits, h.Size(), name, base64.StdEncoding.EncodeToString(salt))
	}
	input := []byte("what it verifies")
	info := `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><encryption xmlns="http://schemas.microsoft.com/office/2006/encryption" xmlns:p="http://schemas.microsoft.com/office/2006/keyEncryptor/password">` +
		`<keyData ` + how(dataSalt) + `/><dataIntegrity encryptedHmacKey="" encryptedHmacValue=""/><keyEncryptors><keyEncryptor uri="http://schemas.microsoft.com/office/2006/keyEncryptor/password">` +
		fmt.Sprintf(`<p:encryptedKey spinCount="%d" `, rounds) + how(salt) + ` encryptedVerifierHashInput="` + seal("\xfe\xa7\xd2\x76\x3b\x4b\x9e\x79", input) +
		`" encryptedVerifierHashValue="` + seal("\xd7\xaa\x0f\x6d\x30\x61\x34\x4e", hashed(h, input)) + `" encryptedKeyValue="` + seal("\x14\x6e\x0b\xe7\xab\xac\xd0\xd6", key) + `"/></keyEncryptor></keyEncryptors></encryption>`
	if edit != nil {
		info = edit(info)
	}
	return compoundFile(9, "", []leaf{{"EncryptionInfo", []byte("\x04\x00\x04\x00\x40\x00\x00\x00" + info)}, {"EncryptedPackage", data}}, nil)
}

func TestPackage(t *testing.T) {
	plain := append([]byte("PK\x03\x04"), unpacktest.Marked("package", 9000)...)
	for name, b := range map[string][]byte{
		"standard":           standardPackage(plain, ownPassword, 128),
		"standard, 256 bits": standardPackage(plain, "infected", 256),
		"agile":              agilePackage(plain, ownPassword, "SHA512", 256, 100_000, nil),
		"agile, SHA-1":       agilePackage(plain, "infected", "SHA1", 128, 100, nil),
		"agile, two keys": agilePackage(plain, ownPassword, "SHA512", 256, 9, func(s string) string {
			return strings.Replace(s, "<keyEncryptor ", `<keyEncryptor uri="certificate"><c:encryptedKey/></keyEncryptor><keyEncryptor `, 1)
		}),
		"agile, no iterations": agilePackage(plain, ownPassword, "SHA1", 256, 0, nil),
	} {
		r := unpacktest.Walk(t, Package(), b, noLimits)
		if r.Child(t, "ooxml.decrypted", "") != string(plain) || len(r.Gaps) > 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
	for name, b := range map[string][]byte{
		"another password":      agilePackage(plain, "of nobody else", "SHA512", 256, 10, nil),
		"standard":              standardPackage(plain, "of nobody else", 128),
		"endless":               agilePackage(plain, ownPassword, "SHA512", 256, 10, func(s string) string { return strings.Replace(s, `"10"`, `"2000000000"`, 1) }),
		"no hash that is":       agilePackage(plain, ownPassword, "SHA512", 256, 10, func(s string) string { return strings.ReplaceAll(s, "SHA512", "WHIRLPOOL") }),
		"no cipher that is":     agilePackage(plain, ownPassword, "SHA512", 256, 10, func(s string) string { return strings.ReplaceAll(s, `"AES"`, `"RC2"`) }),
		"another chaining":      agilePackage(plain, ownPassword, "SHA512", 256, 10, func(s string) string { return strings.ReplaceAll(s, "ChainingModeCBC", "ChainingModeCFB") }),
		"no XML":                agilePackage(plain, ownPassword, "SHA512", 256, 10, func(string) string { return "<encryption" }),
		"negative":              agilePackage(plain, ownPassword, "SHA512", 256, 10, func(s string) string { return strings.Replace(s, `"10"`, `"-1"`, 1) }),
		"no salt":               agilePackage(plain, ownPassword, "SHA512", 256, 10, func(s string) string { return strings.ReplaceAll(s, "saltValue", "salted") }),
		"half a block":          agilePackage(plain, ownPassword, "SHA512", 256, 10, func(s string) string { return strings.Replace(s, `encryptedKeyValue="`, `encryptedKeyValue="QUJD`, 1) }),
		"no description at all": compoundFile(9, "", []leaf{{"EncryptedPackage", plain}}, nil),
	} {
		if r := unpacktest.Walk(t, Package(), b, noLimits); !r.Has(showcause.Encrypted) || len(r.Children) > 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
	// The length says less, or more, than there is.
	for _, n := range []uint64{3, 1 << 62} {
		b := agilePackage(plain, ownPassword, "SHA1", 128, 1, nil)
		at := bytes.LastIndex(b, le.AppendUint64(nil, uint64(len(plain))))
		le.PutUint64(b[at:], n)
		if r := unpacktest.Walk(t, Package(), b, noLimits); !r.Has(showcause.Corrupt) || !strings.HasPrefix(r.Child(t, "ooxml.decrypted", ""), string(plain)) {
			t.Errorf("a length of %d: %v", n, r)
		}
	}
}

// A file that is cut is told by the reader of compound files, or by this one.
func TestPackageConform(t *testing.T) {
	b := agilePackage([]byte("PK\x03\x04, plain"), ownPassword, "SHA512", 256, 10, nil)
	for n := range len(b) {
		r := unpacktest.Walk(t, Package(), b[:n], noLimits)
		if !r.Contains("plain") && !r.Unread() && !unpacktest.Walk(t, CFB(), b[:n], noLimits).Unread() {
			t.Fatalf("cut to %d: %v", n, r)
		}
	}
}

func FuzzPackage(f *testing.F) {
	unpacktest.Fuzz(f, Package(), agilePackage([]byte("PK\x03\x04, plain"), ownPassword, "SHA1", 128, 1, nil), standardPackage([]byte("PK\x03\x04, plain"), ownPassword, 128))
}
