package office

import (
	"bytes"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha1"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// rc4Lock is how RC4 of Office is described, and what enciphers with it.
type rc4Lock struct {
	info string
	key  func(block int) []byte
}

// seal enciphers b with the key of a block, as if it stood at off.
func (l rc4Lock) seal(b []byte, block, off int) []byte {
	c, err := rc4.NewCipher(l.key(block))
	if err != nil {
		panic(err)
	}
	skip := make([]byte, off)
	c.XORKeyStream(skip, skip)
	out := make([]byte, len(b))
	c.XORKeyStream(out, b)
	return out
}

// sealWord enciphers what is behind the first bytes, block by block.
func (l rc4Lock) sealWord(b []byte, plain int) []byte {
	out := bytes.Clone(b[:plain])
	for at := plain; at < len(b); {
		n := min(512-at%512, len(b)-at)
		out = append(out, l.seal(b[at:at+n], at/512, at%512)...)
		at += n
	}
	return out
}

const rc4Salt = "0123456789abcdef"

// lock40 is RC4 with 40 bits ([MS-OFFCRYPTO] 2.3.6.1).
func lock40(password string) rc4Lock {
	h := md5.Sum(unpacktest.UTF16(password))
	h = md5.Sum([]byte(strings.Repeat(string(h[:5])+rc4Salt, 16)))
	l := rc4Lock{key: func(n int) []byte { return hashed(md5.New(), h[:5], le.AppendUint32(nil, uint32(n))) }}
	verifier := []byte("verifierverifier")
	l.info = "\x01\x00\x01\x00" + rc4Salt + string(l.seal(append(verifier, hashed(md5.New(), verifier)...), 0, 0))
	return l
}

// lockAPI is RC4 of the CryptoAPI ([MS-OFFCRYPTO] 2.3.5.1).
func lockAPI(password string, bits int) rc4Lock {
	h := sha1.Sum(append([]byte(rc4Salt), unpacktest.UTF16(password)...))
	l := rc4Lock{key: func(n int) []byte {
		k := hashed(sha1.New(), h[:], le.AppendUint32(nil, uint32(n)))
		if bits == 40 {
			return append(k[:5], make([]byte, 11)...)
		}
		return k[:bits/8]
	}}
	verifier := []byte("verifierverifier")
	sealed := string(l.seal(append(verifier, hashed(sha1.New(), verifier)...), 0, 0))
	header := u32(4) + u32(0) + u32(0x6801) + u32(0x8004) + u32(bits) + u32(1) + u32(0) + u32(0) + string(unpacktest.UTF16("Microsoft Strong Cryptographic Provider\x00"))
	l.info = "\x02\x00\x02\x00" + u32(4) + u32(len(header)) + header + u32(16) + rc4Salt + sealed[:16] + u32(20) + sealed[16:]
	return l
}

const secret = "words that nobody is to read without a password, and they go on "

// summaries are two streams of properties in one that is encrypted.
func (l rc4Lock) summaries() []byte {
	one, two := l.seal([]byte("properties "+secret), 1, 0), l.seal([]byte("others "+secret), 2, 0)
	entry := func(at, n, block int, name string) string {
		return u32(at) + u32(n) + u16(block) + string([]byte{byte(len(name)), 1}) + u32(0) + string(unpacktest.UTF16(name+"\x00"))
	}
	list := u32(2) + entry(8, len(one), 1, "\x05SummaryInformation") + entry(8+len(one), len(two), 2, "\x05DocumentSummaryInformation")
	out := append([]byte(u32(8+len(one)+len(two))+u32(len(list))), append(one, two...)...)
	return append(out, l.seal([]byte(list), 0, 0)...)
}

// wordFile is an encrypted document of Word.
func wordFile(l rc4Lock) []byte {
	fib := "\xec\xa5\xc1\x00" + strings.Repeat("\x00", 6) + u16(0x300) + u16(0xbf) + u32(len(l.info)) + strings.Repeat("\x00", 70)
	text := []byte(fib[:68] + strings.Repeat(secret, 100))
	return compoundFile(9, "", []leaf{
		{"WordDocument", l.sealWord(text, 68)},
		{"1Table", l.sealWord([]byte(l.info+"the table "+strings.Repeat(secret, 70)), len(l.info))},
		{"Data", l.sealWord([]byte("the data "+strings.Repeat(secret, 70)), 0)},
		{"encryption", l.summaries()},
	}, nil)
}

func slideRecord(instance, kind int, data string) string {
	return u16(instance) + u16(kind) + u32(len(data)) + data
}

// slideFile is an encrypted presentation with a storage and pictures.
func slideFile(l rc4Lock) []byte {
	doc, places := "", ""
	for i, o := range []string{slideRecord(15, 1000, slideRecord(0, 4008, secret)), slideRecord(0x10, 0x1011, u32(4)+string(deflated([]byte(secret)))), slideRecord(15, 0x2f14, l.info)} {
		places += u32(len(doc))
		if i == 2 {
			doc += o
		} else {
			doc += string(l.seal([]byte(o), i+1, 0))
		}
	}
	directory := len(doc)
	doc += slideRecord(0, 0x1772, u32(1|3<<20)+places)
	last := len(doc)
	doc += slideRecord(0, 0x0ff5, u32(0)+"\x00\x00\x00\x03"+u32(0)+u32(directory)+u32(1)+u32(3)+"\x01\x00\x00\x00"+u32(3))
	user := "ppp"
	current := slideRecord(0, 0x0ff6, u32(20)+u32(0xf3d1c4df)+u32(last)+u16(len(user))+u16(0x3f4)+"\x03\x00\x00\x00"+user+u32(8)+string(unpacktest.UTF16(user)))
	picture := func(instance, kind int, parts ...string) (out string) {
		all := append([]string{u16(instance) + u16(kind) + u32(len(strings.Join(parts, "")))}, parts...)
		for _, p := range all {
			out += string(l.seal([]byte(p), 0, 0))
		}
		return out
	}
	id := strings.Repeat("i", 16)
	pictures := picture(0x3d50, 0xf01a, id, id, strings.Repeat("h", 32)+"\x00\xfe", string(deflated([]byte(secret)))) + picture(0x6e00, 0xf01e, id, "\xff", "\x89PNG\r\n\x1a\n"+secret)
	return compoundFile(9, "", []leaf{{"Current User", []byte(current)}, {"PowerPoint Document", []byte(doc)}, {"Pictures", []byte(pictures)}, {"EncryptedSummary", l.summaries()}}, nil)
}

// TestOpened opens documents and presentations, and holds what comes out against what was put in.
func TestOpened(t *testing.T) {
	for name, l := range map[string]rc4Lock{"40 bits": lock40("infected"), "CryptoAPI, 40 bits": lockAPI("infected", 40), "CryptoAPI, 128 bits": lockAPI("infected", 128)} {
		r := unpacktest.Walk(t, Sealed(), wordFile(l), noLimits)
		for stream, want := range map[string]string{
			"WordDocument": strings.Repeat(secret, 100), "1Table": l.info + "the table " + strings.Repeat(secret, 70), "Data": "the data " + strings.Repeat(secret, 70),
			"\x05SummaryInformation": "properties " + secret, "\x05DocumentSummaryInformation": "others " + secret,
		} {
			if got := r.Child(t, "office.decrypted", stream); !strings.HasSuffix(got, want) || len(got) > len(want)+68 {
				t.Errorf("%s, %s: %.100q", name, stream, got)
			}
		}
		if len(r.Gaps) > 0 {
			t.Errorf("%s: %v", name, r.Gaps)
		}
	}
	for name, l := range map[string]rc4Lock{"PowerPoint's own": lockAPI(slidePassword, 128), "known": lockAPI("infected", 40)} {
		b := slideFile(l)
		r := unpacktest.Walk(t, Sealed(), b, noLimits)
		if doc := r.Child(t, "office.decrypted", "PowerPoint Document"); unpacktest.Walk(t, PowerPoint(), []byte(doc), noLimits).Spent.Work == 0 || !strings.Contains(doc, secret) || !strings.Contains(doc, "\x11\x10") {
			t.Errorf("%s: %q", name, doc)
		}
		if p := r.Child(t, "office.decrypted", "Pictures"); !strings.Contains(p, "\x89PNG\r\n\x1a\n"+secret) || !strings.Contains(p, string(deflated([]byte(secret)))) || len(r.Gaps) > 0 {
			t.Errorf("%s: %q %v", name, p, r.Gaps)
		}
		if whole := unpacktest.Walk(t, CFB(), b, noLimits); !strings.Contains(whole.Ops(), "cfb.encrypted PowerPoint Document; cfb.encrypted Pictures; cfb.stream EncryptedSummary") || len(whole.Gaps) > 0 {
			t.Errorf("%s: %s %v", name, whole.Ops(), whole.Gaps)
		}
	}
}

// What no password opens is said, and so are descriptions that break.
func TestSealedStays(t *testing.T) {
	word, slides := wordFile(lockAPI("nobody knows it", 128)), slideFile(lockAPI("nobody knows it", 128))
	obfuscated := bytes.Replace(wordFile(lock40("infected")), []byte(u16(0x300)+u16(0xbf)), []byte(u16(0x8300)+u16(0xbf)), 1)
	lost := bytes.Replace(slideFile(lockAPI("infected", 40)), []byte("\x14\x2f"), []byte("\x15\x2f"), 1)
	for name, b := range map[string][]byte{"Word": word, "PowerPoint": slides, "Word 95": obfuscated, "no session": lost} {
		if r := unpacktest.Walk(t, Sealed(), b, noLimits); !r.Has(showcause.Encrypted) || len(r.Children) > 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// TestSealedPeer holds the samples against msoffcrypto, which has the way back of its own.
func TestSealedPeer(t *testing.T) {
	tool, err := exec.LookPath("msoffcrypto-tool")
	if err != nil {
		t.Skip("msoffcrypto-tool is not installed")
	}
	for name, b := range map[string][]byte{"40.doc": wordFile(lock40("infected")), "api.doc": wordFile(lockAPI("infected", 128)), "api.ppt": slideFile(lockAPI("infected", 128))} {
		in, out := filepath.Join(t.TempDir(), name), filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(in, b, 0o600); err != nil {
			t.Fatal(err)
		}
		msg, err := exec.Command(tool, "-p", "infected", in, out).CombinedOutput()
		plain, _ := os.ReadFile(out)
		if err != nil || !bytes.Contains(plain, []byte(secret)) {
			t.Errorf("%s: %v %s", name, err, msg)
		}
	}
}

func sealedSamples() map[string][]byte {
	return map[string][]byte{"Word": wordFile(lock40("infected")), "Word, CryptoAPI": wordFile(lockAPI("infected", 128)), "PowerPoint": slideFile(lockAPI(slidePassword, 128))}
}

// TestSealedCut cuts such documents and changes them: no panic, the same twice, and what is lost is said.
func TestSealedCut(t *testing.T) {
	for name, b := range sealedSamples() {
		for n := range b {
			if n%7 != 0 {
				continue
			}
			if !unpacktest.Walk(t, CFB(), b[:n], noLimits).Unread() && n > 8 {
				t.Fatalf("%s, cut at %d: nothing is said", name, n)
			}
			flipped := bytes.Clone(b)
			flipped[n] ^= 0x55
			one, two := unpacktest.Walk(t, Sealed(), flipped, noLimits), unpacktest.Walk(t, Sealed(), flipped, noLimits)
			if one.String() != two.String() {
				t.Errorf("%s, changed at %d: two walks differ", name, n)
			}
			unpacktest.Walk(t, Sealed(), b[:n], noLimits)
		}
	}
}

func FuzzSealed(f *testing.F) {
	var seeds [][]byte
	for _, b := range sealedSamples() {
		seeds = append(seeds, b)
	}
	unpacktest.Fuzz(f, Sealed(), seeds...)
}
