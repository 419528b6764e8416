package authenticode

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
	"testing"
)

// both are the readings.
var both = []Options{{YARA4: true, File: file}, {File: file}}

func subjects(chain []*Certificate) string {
	var out []string
	for _, c := range chain {
		out = append(out, c.Subject[strings.LastIndex(c.Subject, "=")+1:])
	}
	return strings.Join(out, " < ")
}

func TestSignature(t *testing.T) {
	want := digestOf([]byte(fileText))
	for _, signer := range []string{"rsa", "ecdsa"} {
		for _, o := range both {
			list, cut := Parse([][]byte{authenticode(t, signer, want, nil)}, o)
			if len(list) != 1 || cut {
				t.Fatalf("%s: %d signatures, cut %v", signer, len(list), cut)
			}
			s := list[0]
			if !s.Verified || s.Digest != hex.EncodeToString(want) || s.FileDigest != s.Digest || s.DigestAlgorithm != "sha256" {
				t.Errorf("%s, YARA 4 %v: %+v", signer, o.YARA4, s)
			}
			if subjects(s.Signer.Chain) != signer+" < root" || len(s.Certificates) != 3 || s.Signer.DigestAlgorithm != "sha256" {
				t.Errorf("%s, YARA 4 %v: %s", signer, o.YARA4, subjects(s.Signer.Chain))
			}
			if s.Signer.Program != "Prö" || s.Signer.MoreInfo != "http://example.org/" {
				t.Errorf("%q %q", s.Signer.Program, s.Signer.MoreInfo)
			}
		}
	}
}

func TestCertificate(t *testing.T) {
	for _, o := range both {
		list, _ := Parse([][]byte{authenticode(t, "ecdsa", nil, nil)}, o)
		c := list[0].Signer.Chain[0]
		subject := "/C=DE/O=Große + Söhne/CN=ecdsa"
		if o.YARA4 {
			subject = `/C=DE/O=Gro\xC3\x9Fe \+ S\xC3\xB6hne/CN=ecdsa`
		}
		if c.Subject != subject || c.Version != 3 || c.Algorithm != "sha256WithRSAEncryption" || c.AlgorithmOID != "1.2.840.113549.1.1.11" ||
			c.Serial != "02:80" || c.NotBefore != 1600000000 || c.NotAfter != 1900000000 || !c.DatesKnown || len(c.Thumbprint) != 40 {
			t.Errorf("%+v", c)
		}
		if root := list[0].Certificates[0]; root.Serial != "00:80" {
			t.Errorf("serial %s", root.Serial)
		}
	}
}

// A name that does not fit into 256 bytes ends before the part that does not.
func TestLongName(t *testing.T) {
	part := func(n int) []byte {
		return tlv(0x31, tlv(0x30, []byte{6, 3, 0x55, 4, 0x0b}, tlv(0x0c, bytes.Repeat([]byte("x"), n))))
	}
	p := parser{budget: budget{left: 1000}, o: Options{YARA4: true}}
	for _, c := range []struct{ a, b, want int }{{100, 100, 208}, {100, 147, 255}, {100, 148, 104}, {252, 1, 0}, {251, 0, 255}} {
		e, _, _ := p.next(tlv(0x30, part(c.a), part(c.b)))
		if got := p.name4(e); len(got) != c.want {
			t.Errorf("%d and %d: %d bytes", c.a, c.b, len(got))
		}
	}
}

func TestCounters(t *testing.T) {
	want := digestOf([]byte(fileText))
	data := authenticode(t, "rsa", want, func(sig []byte) [][]byte {
		return [][]byte{attr(idCounter, counterOf(t, sig)), attr(idStamp, stampOf(t, sig)), attr(idStamp, stampOf(t, []byte("another")))}
	})
	for _, o := range both {
		list, _ := Parse([][]byte{data}, o)
		if len(list) != 1 || !list[0].Verified {
			t.Fatalf("%+v", list)
		}
		c := list[0].Counters
		count := 3
		if o.YARA4 {
			count = 2 // the first attribute of a type
		}
		if len(c) != count {
			t.Fatalf("YARA 4 %v: %d countersignatures", o.YARA4, len(c))
		}
		second := int64(1704164645)
		for i, c := range c[:2] {
			at := second
			if !o.YARA4 && i == 1 {
				at++ // the signer's time, not the stamp's
			}
			if !c.Verified || c.Time != at || !c.TimeKnown || c.DigestAlgorithm != "sha256" || subjects(c.Chain) != "stamper < root" {
				t.Errorf("YARA 4 %v, %d: %+v %s", o.YARA4, i, c, subjects(c.Chain))
			}
		}
		if count == 3 && c[2].Verified {
			t.Error("a stamp of another signature is verified")
		}
	}
}

func TestNested(t *testing.T) {
	want := digestOf([]byte(fileText))
	inner := authenticode(t, "ecdsa", want, nil)
	wrong := authenticode(t, "rsa", digestOf(nil), nil)
	data := authenticode(t, "rsa", want, func([]byte) [][]byte { return [][]byte{attr(idNested, inner, wrong)} })
	for _, o := range both {
		list, _ := Parse([][]byte{data}, o)
		var got []string
		for _, s := range list {
			got = append(got, fmt.Sprint(subjects(s.Signer.Chain[:1]), s.Verified))
		}
		if strings.Join(got, " ") != "rsatrue ecdsatrue rsafalse" {
			t.Errorf("YARA 4 %v: %v", o.YARA4, got)
		}
	}
}

// Whatever byte is changed, a signature is not verified that was not made: the
// parts that are not signed may change.
func TestForged(t *testing.T) {
	want := digestOf([]byte(fileText))
	data := authenticode(t, "rsa", want, nil)
	free := 0
	for i := range data {
		d := slices.Clone(data)
		d[i] ^= 0x41
		for _, o := range both {
			list, _ := Parse([][]byte{d}, o)
			for _, s := range list {
				if !s.Verified {
					continue
				}
				free++
				if s.Digest != hex.EncodeToString(want) || o.YARA4 && len(s.Signer.Chain) == 0 {
					t.Fatalf("byte %d: %+v", i, s)
				}
			}
		}
	}
	// The root and the maker of stamps are not asked in YARA 4's reading, and the
	// version of the signer by nobody.
	if free > len(data)*3/2 {
		t.Errorf("%d changes of %d bytes are not seen", free, len(data))
	}
	other := func(h hash.Hash) bool { _, _ = h.Write([]byte("another file")); return true }
	for _, four := range []bool{true, false} {
		list, _ := Parse([][]byte{data}, Options{YARA4: four, File: other})
		if len(list) != 1 || list[0].Verified || list[0].FileDigest == list[0].Digest {
			t.Errorf("another file: %+v", list)
		}
	}
}

// What is not a signature is one without fields in YARA 4, and none in YARA-X.
func TestRubbish(t *testing.T) {
	good := authenticode(t, "rsa", nil, nil)
	for name, d := range map[string][]byte{
		"empty": {}, "zeros": make([]byte, 100), "half": good[:len(good)/2], "a number": {2, 1, 1},
		"another content": signedDataOf(1, idTST, tlv(4), nil),
	} {
		four, _ := Parse([][]byte{d}, Options{YARA4: true, File: file})
		x, _ := Parse([][]byte{d}, Options{File: file})
		if len(four) != 1 || four[0].Verified || four[0].Digest != "" || len(x) != 0 {
			t.Errorf("%s: %+v, %+v", name, four, x)
		}
	}
}

func TestUnverified(t *testing.T) {
	data := [][]byte{authenticode(t, "rsa", digestOf([]byte(fileText)), nil)}
	for _, o := range both {
		full, _ := Parse(data, o)
		o.Unverified = true
		o.File = func(hash.Hash) bool { t.Error("the file is read"); return false }
		said, _ := Parse(data, o)
		full[0].Verified, full[0].FileDigest = false, ""
		if fmt.Sprintf("%+v", said[0].Signer.Chain[0].Serial) != fmt.Sprintf("%+v", full[0].Signer.Chain[0].Serial) || said[0].Verified {
			t.Errorf("%+v, %+v", said, full)
		}
	}
}

// Every signature that ends early is read without a panic.
func TestTruncated(t *testing.T) {
	data := authenticode(t, "rsa", digestOf([]byte(fileText)), func(sig []byte) [][]byte {
		return [][]byte{attr(idCounter, counterOf(t, sig)), attr(idStamp, stampOf(t, sig))}
	})
	for n := range data {
		for _, o := range both {
			list, _ := Parse([][]byte{data[:n]}, o)
			for _, s := range list {
				if s.Verified {
					t.Fatalf("%d bytes are verified", n)
				}
			}
		}
	}
}

// Elements that want to be endless end within the bounds.
func TestHostile(t *testing.T) {
	deep := bytes.Repeat([]byte{0x30, 0x80}, 1<<16)
	wide := tlv(0x30, bytes.Repeat([]byte{5, 0}, 1<<20))
	many := authenticode(t, "rsa", nil, nil)
	for range 12 {
		inner := many
		many = authenticode(t, "rsa", nil, func([]byte) [][]byte { return [][]byte{attr(idNested, inner, inner)} })
		if len(many) > 1<<21 {
			break
		}
	}
	for name, d := range map[string][]byte{"deep": deep, "wide": wide, "nested": many, "length": {0x30, 0x84, 0xff, 0xff, 0xff, 0xff}} {
		for _, o := range both {
			steps := int64(0)
			o.Work = func(n int64) bool { steps += n; return true }
			list, cut := Parse([][]byte{d}, o)
			if steps > maxElements+1<<12*(maxChecks+1) || len(list) > maxSignatures {
				t.Errorf("%s: %d steps, %d signatures", name, steps, len(list))
			}
			if name == "nested" && !cut {
				t.Errorf("nested: not cut at %d", len(list))
			}
		}
	}
}

func TestMoment(t *testing.T) {
	for _, c := range []struct {
		tag  byte
		text string
		want int64
		ok   bool
	}{
		{0x17, "700101000000Z", 0, true},
		{0x17, "491231235959Z", 2524607999, true},
		{0x17, "500101000000Z", -631152000, true},
		{0x18, "19700101000000Z", 0, true},
		{0x18, "19700101000000.25Z", 0, true},
		{0x17, "700101010000+0100", 0, true},
		{0x17, "7001010000Z", 0, true},
		{0x17, "nonsense", 0, false},
		{0x04, "700101000000Z", 0, false},
		{0x18, "", 0, false},
	} {
		p := parser{budget: budget{left: 10}}
		e, _, _ := p.next(tlv(c.tag, []byte(c.text)))
		if got, ok := moment(e); got != c.want || ok != c.ok {
			t.Errorf("%#x %q: %d %v", c.tag, c.text, got, ok)
		}
	}
}

// Lengths without an end, and strings in parts, are BER.
func TestBER(t *testing.T) {
	p := parser{budget: budget{left: 100}}
	e, rest, ok := p.next([]byte("\x24\x80\x04\x02ab\x24\x80\x04\x01c\x00\x00\x00\x00xyz"))
	if !ok || string(rest) != "xyz" || string(p.octets(e)) != "abc" {
		t.Errorf("%v %q %q", ok, rest, p.octets(e))
	}
	for _, bad := range []string{"", "\x30", "\x30\x05a", "\x30\x80", "\x30\x85\x00\x00\x00\x00\x01a", "\x04\x80\x00\x00"} {
		if _, _, ok := p.next([]byte(bad)); ok {
			t.Errorf("%q is an element", bad)
		}
	}
	if got := oid(element{tag: tagOID, body: []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")}); got != oidSignedData {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(authenticode(f, "rsa", digestOf([]byte(fileText)), func(sig []byte) [][]byte {
		return [][]byte{attr(idCounter, counterOf(f, sig)), attr(idStamp, stampOf(f, sig))}
	}))
	f.Add(authenticode(f, "ecdsa", nil, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, o := range both {
			Parse([][]byte{data}, o)
			o.Unverified = true
			Parse([][]byte{data}, o)
		}
	})
}
