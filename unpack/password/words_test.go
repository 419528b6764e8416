package password

import (
	"bytes"
	"slices"
	"testing"
	"unicode/utf8"
)

func TestPasswordWords(t *testing.T) {
	for text, want := range map[string]string{
		"Password: infected":                                   "infected",
		"the password is 1234.":                                "1234",
		"The PASSWORD for the attached archive is \"Zx9!\".":   "Zx9!",
		"pwd=abc, thanks":                                      "abc",
		"Das Passwort lautet: Geheim2026":                      "Geheim2026",
		"Пароль: 7788":                                         "7788",
		"密码：abc123":                                            "abc123",
		"<p>Password:&nbsp;<b>a&amp;b</b></p>":                 "a&b",
		"password\r\n\r\n  x7Q\r\n":                            "x7Q",
		"Passcode - 4411":                                      "4411",
		"pass: p.":                                             "p.",
		"mot de passe : soleil":                                "soleil",
		"Password: Winter 2026\r\nBye now":                     "Winter 2026",
		"The password for the archive is Winter 2026.\n":       "Winter 2026",
		"password for the file:\n\n   four words of it\n\nBye": "four words of it",
		"Please open with password \"Winter 2026\" !":          "Winter 2026",
		"Passwort „Winter 2026“, danke":                        "Winter 2026",
		"<p>Password is <b>Winter 2026</b></p><p>Bye</p>":      "Winter 2026",
	} {
		var got []string
		Words([]byte(text), func(w []byte) { got = append(got, string(w)) })
		if !slices.Contains(got, want) || len(got) > 15 {
			t.Errorf("%q: %q, want %q among them", text, got, want)
		}
	}
	for _, text := range []string{"", "no word of it", "compassion is free", "password", "password: ", "passwords everywhere"} {
		Words([]byte(text), func(w []byte) { t.Errorf("%q: %q", text, w) })
	}
}

// What is only a sentence behind a keyword is no password of several words.
func TestPhrase(t *testing.T) {
	for _, text := range []string{"", " protected so that nobody reads it\n", ": one\nand more", ": a b c d e f g\n", " \"a b", ": ", " is\n"} {
		phrase([]byte(text), func(w []byte) { t.Errorf("%q: %q", text, w) })
	}
}

func TestPasswordAlone(t *testing.T) {
	for text, want := range map[string][]string{
		"Hello,\r\n\r\nXk4-2209\r\n\r\nbye now\r\n": {"Xk4-2209"},
		"<p>see file</p><br>\n<b>\"Zx9!\"</b>\n":    {"\"Zx9!\"", "Zx9"},
		"https://example.org/a\n--\nno\npassword\n": nil,
		"a1b\nb2c\nc3d\nd4e\ne5f\nf6g\ng7h\nh8i":    {"a1b", "b2c", "c3d", "d4e", "e5f", "f6g"},
	} {
		var got []string
		Alone([]byte(text), func(w []byte) { got = append(got, string(w)) })
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	var got []string
	each([]byte("Re: the invoice (Xk4-2209)"), func(w []byte) { got = append(got, string(w)) })
	if !slices.Contains(got, "Xk4-2209") || len(got) > 2*mostAlone {
		t.Errorf("%q", got)
	}
}

// everywhere is Words, with a keyword looked for at every letter.
func everywhere(text []byte, hear func([]byte)) {
	text = withoutTags(text[:min(len(text), MaxText)])
	lower := bytes.ToLower(text)
	if len(lower) != len(text) {
		lower = text
	}
	for at, found := 0, 0; at < len(lower) && found < maxKeywords; {
		_, n := utf8.DecodeRune(lower[at:])
		if k := keywordAt(lower, at); k > 0 {
			behind(text[at+k:], hear)
			phrase(text[at+k:], hear)
			found, n = found+1, k
		}
		at += n
	}
}

func heard(find func([]byte, func([]byte)), text []byte) (words []string) {
	find(text, func(w []byte) { words = append(words, string(w)) })
	return words
}

func FuzzPasswordWords(f *testing.F) {
	for _, s := range []string{"Password: x", "<b>pwd</b>&nbsp;y", "пароль\xff \xc5\x9f", "İpassword: k", "é2pin a, ppin b; pin pin c", "码pw:d öpw e PW f"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		Words(b, func(w []byte) {
			if n++; len(w) == 0 || len(w) > longestWord {
				t.Errorf("%q", w)
			}
		})
		if n > maxKeywords*tokensAfter*5 {
			t.Errorf("%d words", n)
		}
		if got, want := heard(Words, b), heard(everywhere, b); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		for _, find := range []func([]byte, func([]byte)){Alone, each} {
			n := 0
			find(b, func(w []byte) {
				if n++; len(w) == 0 || len(w) > longestWord || n > 2*mostAlone {
					t.Errorf("%d: %q", n, w)
				}
			})
		}
	})
}
