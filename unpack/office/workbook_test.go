package office

import (
	"crypto/md5"
	"crypto/rc4"
	"math/bits"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// biff is a record.
func biff(id uint16, data ...string) string {
	s := strings.Join(data, "")
	return string(le.AppendUint16(le.AppendUint16(nil, id), uint16(len(s)))) + s
}

func u16(v int) string { return string(le.AppendUint16(nil, uint16(v))) }

func u32(v int) string { return string(le.AppendUint32(nil, uint32(v))) }

// macroFormulas are a cell each.
func macroFormulas() []string {
	str := func(s string) string { return "\x17" + string(rune(len(s))) + "\x00" + s }
	return []string{
		// EXEC("cmd /c calc")
		str("cmd /c calc") + "\x42\x01\x6e\x00",
		// CHAR(65)&CHAR(66)
		"\x1e\x41\x00\x41\x6f\x00\x1e\x42\x00\x41\x6f\x00\x08",
		// (C2)*5
		"\x44\x01\x00\x02\x00\x15\x1e\x05\x00\x05",
		// HALT()
		"\x42\x00\x36\x00",
		// user's function
		"\x43\x01\x00\x00\x00" + str("a") + "\x42\x02\xff\x00",
		// command RUN
		str("x") + "\x42\x01\x11\x80",
		// #2!E4+A1:B2
		"\x3a\x02\x00\x03\x00\x04\x00\x25\x00\x00\x01\x00\x00\x00\x01\x00\x03",
		// SUM(TRUE) 1.5
		"\x1d\x01\x19\x10\x00\x00\x1f\x00\x00\x00\x00\x00\x00\xf8\x3f",
		"\x17\x50\x00cut",
	}
}

// macroBook is a workbook with a hidden macro sheet. filepass is put behind its head.
func macroBook(filepass string) []byte {
	bof := func(kind string) string { return biff(recordBOF, "\x00\x06", kind, strings.Repeat("\x00", 12)) }
	sst := biff(recordSST, u32(3), u32(3), u16(5), "\x00", "hello", u16(4), "\x01", string(unpacktest.UTF16("wö"))) + biff(recordContinue, "\x00", "rd", u16(3), "\x08", u16(1), "run", "\x00\x00\x00\x00")
	name := biff(recordName, "\x20\x00\x00\x01", u16(7), strings.Repeat("\x00", 8), "\x00\x01", "\x3a\x00\x00\x00\x00\x00\x00")
	head := func(at int) string {
		return bof("\x05\x00") + filepass + biff(recordSheet, u32(at), "\x02\x01", "\x06\x00", "Macro1") + sst + name + biff(recordEOF)
	}
	sheet := bof(string([]byte{macroSheet, 0}))
	for i, f := range macroFormulas() {
		sheet += biff(recordFormula, u16(i), u16(0), string(make([]byte, 16)), u16(len(f)), f)
	}
	sheet += biff(recordString, u16(6), "\x00", "result") + biff(recordEOF)
	return []byte(head(len(head(0))) + sheet)
}

const wantFormulas = `name Auto_Open	=#0!A1
sheet Macro1, macro, very hidden
Macro1!A1	=EXEC("cmd /c calc")
Macro1!A2	=CHAR(65)&CHAR(66)
Macro1!A3	=(C2)*5
Macro1!A4	=HALT()
Macro1!A5	=Auto_Open("a")
Macro1!A6	=RUN("x")
Macro1!A7	=#2!E4+A1:B2
Macro1!A8	=SUM(TRUE) 1.5
Macro1!A9	="cut"
`

func TestWorkbook(t *testing.T) {
	b := macroBook("")
	r := unpacktest.Walk(t, Workbook(), b, noLimits)
	want := strings.ReplaceAll(wantFormulas, "\n", "\r\n")
	if got := r.Child(t, "xlm.formulas", ""); got != want {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	if got := r.Child(t, "xlm.strings", ""); got != "hello\r\nwörd\r\nrun\r\nresult\r\n" {
		t.Errorf("%q", got)
	}
	if len(r.Gaps) > 0 || !Workbook().Match(unpacktest.Probe(showcause.Bytes(b))) {
		t.Error(r)
	}
	for n := 30; n < len(b); n++ {
		if r := unpacktest.Walk(t, Workbook(), b[:n], noLimits); !r.Unread() && n != len(b)-4 && !strings.HasSuffix(string(b[:n]), biff(recordEOF)) {
			t.Fatalf("cut to %d of %d: %v", n, len(b), r)
		}
	}
}

// scramble encrypts the records of a workbook behind FILEPASS.
func scramble(b []byte, encrypt func(p []byte, off int64, n int)) []byte {
	for at := 0; at < len(b); {
		id, n := le.Uint16(b[at:]), int(le.Uint16(b[at+2:]))
		p := b[at+4 : at+4+n]
		switch id {
		case recordBOF, recordFilePass:
		case recordSheet:
			encrypt(p[4:], int64(at+8), n)
		default:
			encrypt(p, int64(at+4), n)
		}
		at += 4 + n
	}
	return b
}

func TestWorkbookDecrypt(t *testing.T) {
	// Values of the key and of the check that workbooks with Excel's own password have.
	if k := xorKey([]byte(ownPassword)); k != 0xb359 {
		t.Errorf("key %#x", k)
	}
	pass := "\x00\x00\x59\xb3\x0a\x9a"
	c := xorCipher([]byte(pass[2:]), []byte(ownPassword))
	if c == nil {
		t.Fatal("Excel's own password is not known again")
	}
	xor := scramble(macroBook(biff(recordFilePass, pass)), func(p []byte, off int64, n int) {
		for i := range p { // the way back, by what deciphers a byte of zeros
			z := []byte{0}
			c(z, off+int64(i), n)
			p[i] = bits.RotateLeft8(p[i]^z[0], -3)
		}
	})
	salt := "0123456789abcdef"
	h := md5.Sum(unpacktest.UTF16(ownPassword))
	h = md5.Sum([]byte(strings.Repeat(string(h[:5])+salt, 16)))
	key := func(n int64) *rc4.Cipher {
		k := md5.Sum(le.AppendUint32(h[:5:5], uint32(n)))
		c, _ := rc4.NewCipher(k[:])
		return c
	}
	verifier := []byte("verifierverifier")
	sum := md5.Sum(verifier)
	sealed := append(verifier, sum[:]...)
	key(0).XORKeyStream(sealed, sealed)
	rc := scramble(macroBook(biff(recordFilePass, "\x01\x00\x01\x00\x01\x00", salt, string(sealed))), func(p []byte, off int64, _ int) {
		for i := range p {
			at := off + int64(i)
			k := make([]byte, at%1024+1)
			key(at/1024).XORKeyStream(k, k)
			p[i] ^= k[at%1024]
		}
	})
	for name, b := range map[string][]byte{"xor": xor, "rc4": rc} {
		r := unpacktest.Walk(t, Workbook(), b, noLimits)
		plain := r.Child(t, "xlm.decrypted", "")
		r = unpacktest.Walk(t, Workbook(), []byte(plain), noLimits)
		if got := r.Child(t, "xlm.formulas", ""); !strings.Contains(got, `=EXEC("cmd /c calc")`) {
			t.Errorf("%s: %q", name, got)
		}
	}
	rc[20+4+10]++ // another salt
	if r := unpacktest.Walk(t, Workbook(), rc, noLimits); !r.Has("encrypted") || len(r.Children) > 0 {
		t.Error(r)
	}
}

func FuzzXLM(f *testing.F) {
	unpacktest.Fuzz(f, Workbook(), macroBook(""), macroBook(biff(recordFilePass, "\x00\x00\x59\xb3\x0a\x9a")), []byte(oldMacros(2, "")), []byte(oldMacros(3, "")), []byte(inWorkspace(oldMacros(4, ""))))
}
