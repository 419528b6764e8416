package password

import (
	"slices"
	"testing"
)

// The letters are written as bytes: what a converter made of "Пароль: Xk4-2209".
func TestReadings(t *testing.T) {
	for name, text := range map[string]string{
		"UTF-8":                  "Пароль: Xk4-2209",
		"KOI8-R":                 "\xf0\xc1\xd2\xcf\xcc\xd8: Xk4-2209",
		"windows-1251":           "\xcf\xe0\xf0\xee\xeb\xfc: Xk4-2209",
		"windows-1251, quoted":   "\xcf\xe0\xf0\xee\xeb\xfc: \xabXk4-2209\xbb",
		"UTF-16, marked":         "\xff\xfeP\x00a\x00s\x00s\x00:\x00 \x00X\x00k\x004\x00-\x002\x002\x000\x009\x00",
		"UTF-16LE":               "P\x00a\x00s\x00s\x00:\x00 \x00X\x00k\x004\x00-\x002\x002\x000\x009\x00",
		"UTF-16BE":               "\x04\x1f\x040\x04@\x04>\x04;\x04L\x00:\x00 \x00X\x00k\x004\x00-\x002\x002\x000\x009",
		"UTF-8, cut in a letter": "Пароль: Xk4-2209 \xd0",
	} {
		var got []string
		for _, r := range Readings([]byte(text)) {
			Words(r, func(w []byte) { got = append(got, string(w)) })
		}
		if !slices.Contains(got, "Xk4-2209") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if n := len(Readings([]byte("Grüße, \xd0"))); n != 1 {
		t.Errorf("%d readings of UTF-8", n)
	}
	for name, b := range map[string]string{"utf-16be": "\x00a\x00b", "UTF-16LE": "a\x00b\x00", "utf-16": "\x00a\x00b", "koi8-r": "ab"} {
		if got := string(decoded(name, []byte(b))); got != "ab" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Words of the subject are those of each way to read it.
func TestSubject(t *testing.T) {
	for _, s := range []string{
		"Re: the invoice (Xk4-2209)", " =?koi8-r?B?8MHSz8zYOiBYazQtMjIwOQ==?=", "=?windows-1251?Q?=CF=E0=F0=EE=EB=FC:_Xk4-2209?=",
		"\xcf\xe0\xf0\xee\xeb\xfc: Xk4-2209", "=?utf-16le?B?UABhAHMAcwA6ACAAWABrADQALQAyADIAMAA5AA==?=", "=?utf-8?B?broken",
	} {
		var got []string
		add := func(w []byte) { got = append(got, string(w)) }
		Subject([]byte(s), add, add)
		if !slices.Contains(got, "Xk4-2209") && s != "=?utf-8?B?broken" {
			t.Errorf("%q: %q", s, got)
		}
	}
}

func FuzzReadings(f *testing.F) {
	f.Add([]byte("\xf0\xc1\xd2\xcf\xcc\xd8: x"))
	f.Add([]byte("\xff\xfea\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range Readings(b) {
			if len(r) > 2*len(b) && len(b) > 1 {
				t.Fatalf("%d bytes of %d", len(r), len(b))
			}
		}
		decoded("utf-16", b)
	})
}
