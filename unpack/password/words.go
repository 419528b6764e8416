// Package password finds words in a text that may be passwords.
package password

import (
	"bytes"
	"io"
	"mime"
	"unicode"
	"unicode/utf8"
)

// MaxText is how many bytes of a text are searched for a password.
const MaxText = 16 << 10

// keywords stand before a password in the text of a mail, in lower case.
func keywords() []string {
	return []string{
		"password", "passwort", "passwd", "passphrase", "passcode", "passkey", "pass", "pwd", "psw", "pw", "kennwort", "code", "pin", "key",
		"contraseña", "contrasena", "clave", "senha", "mot de passe", "parola", "wachtwoord", "hasło", "haslo", "lösenord", "salasana",
		"heslo", "jelszó", "şifre", "пароль", "пароля", "код", "密码", "密碼", "口令", "パスワード", "비밀번호", "암호",
	}
}

// fillers are words between a keyword and a password, in lower case.
func fillers() []string {
	return []string{
		"is", "are", "was", "for", "to", "of", "the", "this", "your", "file", "files", "archive", "zip", "rar", "document", "attachment", "attached",
		"open", "unzip", "extract", "access", "word", "ist", "lautet", "für", "das", "die", "der", "den", "zum", "datei", "archiv", "es", "para", "el", "la", "le",
		"est", "pour", "de", "du", "é", "per", "il", "и", "для", "к", "архива", "in", "and", "use", "please", "here", "below", "following", "code", "protected", "with",
	}
}

const (
	maxKeywords = 16 // places of a text where a keyword stands
	tokensAfter = 3  // words behind one that are taken, fillers apart
	tokensMost  = 12 // words behind one that are looked at
	longestWord = 64 // bytes

	longestPhrase = 6 // words of one password

	maxSubject = 4 << 10 // bytes of a subject that are decoded

	shortestAlone = 3 // bytes of a word that nothing says to be a password
	mostAlone     = 6 // of one text
)

// Text hands the words of a mail's text to hear that stand behind a word for "password", and
// to overhear those that stand alone on a line, by every reading of its bytes.
func Text(text []byte, hear, overhear func([]byte)) {
	for _, t := range Readings(text) {
		Words(t, hear)
		Alone(t, overhear)
	}
}

// Subject is Text for a mail's subject, of which each word may be one. Its encoded
// words (RFC 2047) are decoded.
func Subject(field []byte, hear, overhear func([]byte)) {
	text := bytes.TrimSpace(field[:min(len(field), maxSubject)])
	d := mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
		b, err := io.ReadAll(r)
		return bytes.NewReader(decoded(charset, b)), err
	}}
	if s, err := d.DecodeHeader(string(text)); err == nil {
		text = []byte(s)
	}
	for _, t := range Readings(text) {
		Words(t, hear)
		each(t, overhear)
	}
}

// Words hands the words of a text to hear that may be passwords: those
// behind a word for "password". The text may be HTML, whose tags count as spaces.
func Words(text []byte, hear func([]byte)) {
	text = withoutTags(text[:min(len(text), MaxText)])
	lower := bytes.ToLower(text)
	if len(lower) != len(text) { // a letter whose lower case is of another length
		lower = text
	}
	found := 0
	for at := 0; at < len(lower) && found < maxKeywords; {
		c, n := lower[at], 1
		if c >= utf8.RuneSelf {
			_, n = utf8.DecodeRune(lower[at:])
		}
		if k := keywordAt(lower, at); k > 0 {
			found++
			behind(text[at+k:], hear)
			phrase(text[at+k:], hear)
			n = k
		} else if isLetter(c) { // none begins within a word
			for at+n < len(lower) && isLetter(lower[at+n]) {
				n++
			}
		}
		at += n
	}
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// Alone hands the words of a text to hear that stand alone on a line, as a password
// does that a mail before has announced. The text may be HTML.
func Alone(text []byte, hear func([]byte)) {
	found := 0
	for line := range bytes.SplitSeq(withoutTags(text[:min(len(text), MaxText)]), []byte{'\n'}) {
		word := bytes.TrimSpace(line)
		if len(word) < shortestAlone || len(word) > longestWord || bytes.ContainsFunc(word, unicode.IsSpace) || bytes.Contains(word, []byte("://")) {
			continue
		}
		bare := bytes.TrimFunc(word, isMark)
		if len(bare) < shortestAlone || isFiller(bare) || bytes.HasSuffix(word, []byte{','}) {
			continue // "Hello,"
		}
		if hear(word); !bytes.Equal(bare, word) {
			hear(bare)
		}
		if found++; found == mostAlone {
			return
		}
	}
}

// each hands the words of a subject to hear.
func each(text []byte, hear func([]byte)) {
	found := 0
	for word := range bytes.FieldsSeq(text[:min(len(text), 512)]) {
		bare := bytes.TrimFunc(word, isMark)
		if len(bare) < shortestAlone || len(word) > longestWord || isFiller(bare) {
			continue
		}
		if hear(bare); !bytes.Equal(bare, word) {
			hear(word)
		}
		if found++; found == mostAlone {
			return
		}
	}
}

// startsWith has the keywords by the byte that they begin with.
var startsWith = func() (by [256][][]byte) {
	for _, k := range keywords() {
		by[k[0]] = append(by[k[0]], []byte(k))
	}
	return by
}()

// keywordAt returns the length of the keyword that stands at an offset as a word, 0 for none.
func keywordAt(lower []byte, at int) int {
	words := startsWith[lower[at]]
	if len(words) == 0 {
		return 0
	}
	if r, _ := utf8.DecodeLastRune(lower[:at]); at > 0 && r < 0x2000 && unicode.IsLetter(r) {
		return 0
	}
	for _, k := range words {
		if !bytes.HasPrefix(lower[at:], k) {
			continue
		}
		if r, _ := utf8.DecodeRune(lower[at+len(k):]); r < 0x2000 && unicode.IsLetter(r) && at+len(k) < len(lower) {
			continue // a longer word
		}
		return len(k)
	}
	return 0
}

// behind takes the words behind a keyword: as they stand, and without the
// marks around them.
func behind(text []byte, hear func([]byte)) {
	text = text[:min(len(text), 512)]
	for taken, seen := 0, 0; taken < tokensAfter && seen < tokensMost; seen++ {
		text = bytes.TrimLeftFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == ':' || r == '=' || r == '：' })
		end := bytes.IndexFunc(text, unicode.IsSpace)
		if end < 0 {
			end = len(text)
		}
		word := text[:end]
		text = text[end:]
		if len(word) == 0 {
			return
		}
		bare := bytes.TrimFunc(word, isMark)
		if len(word) > longestWord || len(bare) == 0 || isFiller(bare) {
			continue
		}
		taken++
		hear(bare)
		quoted := bytes.TrimFunc(bytes.TrimRight(word, ".,;:"), isBracket) // "P4ss!".
		for _, w := range [][]byte{quoted, word, bytes.TrimLeftFunc(word, isMark), bytes.TrimRightFunc(word, isMark)} {
			if len(w) > 0 && !bytes.Equal(w, bare) {
				hear(w)
			}
		}
	}
}

// phrase takes what stands in quotes behind a keyword, or from a mark or a verb behind it to the end of the line, where that is more than one word.
func phrase(text []byte, hear func([]byte)) {
	text = text[:min(len(text), 512)]
	said := false
	for range tokensMost {
		bare := bytes.TrimLeftFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == ':' || r == '=' || r == '：' })
		said = said || bytes.ContainsAny(text[:len(text)-len(bare)], ":=：")
		text = bare
		end := bytes.IndexFunc(text, unicode.IsSpace)
		if end < 0 {
			return
		}
		word := bytes.TrimRight(text[:end], ":=")
		if !isFiller(bytes.TrimFunc(word, isMark)) {
			break
		}
		said = said || isVerb(word)
		text = text[len(word):]
	}
	if n := quoted(text); n > 0 {
		text = text[:n]
	} else if !said {
		return
	}
	text, _, _ = bytes.Cut(text, []byte{'\n'})
	text, _, _ = bytes.Cut(text, []byte("  ")) // where tags were
	text = bytes.TrimSpace(text)
	bare := bytes.TrimFunc(text, isMark)
	if n := len(bytes.Fields(bare)); n < 2 || n > longestPhrase || len(text) > longestWord {
		return
	}
	if hear(bare); !bytes.Equal(bare, text) {
		hear(text)
	}
}

// quoted is how long what stands in quotes at the start of a text is, with them; 0 for none.
func quoted(text []byte) int {
	r, n := utf8.DecodeRune(text)
	if !unicode.Is(unicode.Quotation_Mark, r) {
		return 0
	}
	end := bytes.IndexFunc(text[n:], func(r rune) bool { return r == '\n' || unicode.Is(unicode.Quotation_Mark, r) })
	if end < 0 || text[n+end] == '\n' {
		return 0
	}
	_, last := utf8.DecodeRune(text[n+end:])
	return n + end + last
}

// isVerb tells the words for "is" behind a keyword.
func isVerb(word []byte) bool {
	for _, v := range [...]string{"is", "ist", "lautet", "est", "es", "é"} {
		if bytes.EqualFold(word, []byte(v)) {
			return true
		}
	}
	return false
}

func isBracket(r rune) bool {
	return unicode.Is(unicode.Quotation_Mark, r) || unicode.In(r, unicode.Ps, unicode.Pe)
}

func isMark(r rune) bool {
	return isBracket(r) || unicode.Is(unicode.Pd, r) || bytes.ContainsRune([]byte("`.,;:!?*_<>|~。，"), r)
}

func isFiller(word []byte) bool {
	w := string(bytes.ToLower(word))
	for _, list := range [][]string{fillers(), keywords()} {
		for _, f := range list {
			if f == w {
				return true
			}
		}
	}
	return false
}

// withoutTags is a text with a space for each tag of HTML, and the entities
// that matter for words resolved.
func withoutTags(text []byte) []byte {
	if bytes.IndexByte(text, '<') < 0 && bytes.IndexByte(text, '&') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '<' && i+1 < len(text) && (text[i+1] == '/' || text[i+1] == '!' || text[i+1]|32 >= 'a' && text[i+1]|32 <= 'z') {
			if n := bytes.IndexByte(text[i:min(len(text), i+2048)], '>'); n > 0 {
				out = append(out, ' ')
				i += n
				continue
			}
		}
		if c == '&' {
			for entity, r := range map[string]string{"&nbsp;": " ", "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": `"`, "&#39;": "'"} {
				if bytes.HasPrefix(text[i:], []byte(entity)) {
					out = append(out, r...)
					i += len(entity) - 1
					c = 0
					break
				}
			}
			if c == 0 {
				continue
			}
		}
		out = append(out, c)
	}
	return out
}
