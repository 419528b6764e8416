package phish

import (
	"bytes"
	"strings"
)

// countries and others are the top-level domains that clamscan 1.4.6 knows, which is older
// than most of those that there are: a text that ends in another one is no address to it.
const (
	countries = "ac ad ae af ag ai al am an ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr st su sv sy sz tc td tf tg th tj tk tl tm tn to tp tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt yu za zm zw"
	others    = "com net org info int mil name aero arpa asia biz cat coop edu gov jobs mobi museum pro tel travel"
)

func isCountry(s string) bool {
	return len(s) == 2 && !strings.Contains(s, " ") && strings.Contains(" "+countries+" ", " "+s+" ")
}

func isTop(s string) bool {
	return isCountry(s) || s != "" && !strings.Contains(s, " ") && strings.Contains(" "+others+" ", " "+s+" ")
}

func space(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func alnum(c byte) bool { return letter(c) || c >= '0' && c <= '9' }

// named tells whether all of s may stand in a name of an address.
func named(s string, plus bool) bool {
	for i := range len(s) {
		if c := s[i]; !alnum(c) && !strings.ContainsRune("!\"#$%&'()*,-@_", rune(c)) && (!plus || c != '+') || c == '#' && !plus {
			return false
		}
	}
	return true
}

// until returns s up to the first of some characters.
func until(s, any string) string {
	if i := strings.IndexAny(s, any); i >= 0 {
		return s[:i]
	}
	return s
}

// address tells whether a text is an address that can be judged. Of what is shown, any scheme
// will do, and what stands behind the last top-level domain is cut.
func address(s string, shown bool) (cut string, ok bool) {
	s = strings.TrimLeft(s, " ")
	colon := -1
	for _, p := range []string{"https:", "http:", "ftp:", "mailto://"} {
		if strings.HasPrefix(s, p) {
			colon = len(p) - 1
			break
		}
	}
	if colon >= 0 && strings.HasPrefix(s[colon+1:], "//") {
		return s, true
	}
	if shown {
		colon = strings.IndexByte(s, ':')
	}
	start := 0
	if colon > 0 && letter(s[0]) && named(s[1:colon], false) {
		start = colon + 1
		if strings.HasPrefix(s[start:], "/") {
			start++
			if strings.HasPrefix(s[start:], "/") {
				start++
			}
		}
	}
	end := len(s)
	if i := strings.IndexByte(s[start:], '/'); i >= 0 {
		end = start + i
	}
	if at := strings.IndexByte(s[start:end], '@'); start == 0 && at >= 0 {
		if dot := strings.LastIndexByte(s[:at], '.'); dot <= 0 || !isTop(s[dot+1:at]) {
			return s, false // an address of mail
		}
	}
	p, last := start, -1
	for {
		q := strings.IndexByte(s[p:], '.')
		if q < 0 || p+q > end {
			break
		}
		if q == 0 || !named(s[p:p+q], true) {
			return s, false
		}
		if shown && isTop(s[p:p+q]) {
			last = p + q
		}
		p += q + 1
	}
	if p == start {
		return s, false
	}
	if isTop(strings.TrimRight(s[p:max(end, p)], " ")) {
		return s, true
	}
	if !shown || last < 0 {
		return s, false
	}
	return s[:last], true
}

// clean makes a link comparable: what stands behind its host is cut, the host is in lower case,
// escapes are taken for what they are. Of what is shown, loose is the same with its spaces.
func clean(s string, shown bool) (tight, loose string) {
	b := []byte(s)
	for i, c := range b {
		b[i] = max(c&0x7f, ' ')
	}
	b = bytes.TrimSpace(b)
	if len(b) < 2 {
		return "", ""
	}
	for _, p := range []string{".net", "ado.net", "asp.net"} {
		if bytes.HasPrefix(b, []byte(p)) {
			return "", ""
		}
	}
	b = bytes.ReplaceAll(b, []byte{'\\'}, []byte{'/'})
	host := bytes.IndexByte(b, ':')
	for host >= 0 && host < len(b)-1 && b[host+1] == '/' {
		host++
	}
	host++
	b = b[:host+len(until(string(b[host:]), ":/?"))]
	copy(b[host:], bytes.ToLower(b[host:]))
	for i, c := range b {
		if c == '<' || c == '>' || c == '"' || c == ';' {
			b[i] = ' '
		}
	}
	s = unescape(strip(strip(string(b), "&lt"), "&gt"))
	if !shown {
		return strip(s, " "), ""
	}
	loose = strings.Trim(s, " ")
	tight = strings.TrimLeftFunc(strip(loose, " "), func(r rune) bool { return !alnum(byte(r)) })
	end := len(tight)
	for end > 0 && !alnum(tight[end-1]) {
		end--
	}
	if end < len(tight) && tight[end] == '/' {
		end++
	}
	return tight[:end], loose
}

// strip takes what out of s wherever it stands; of several at the beginning the second stays,
// as clamscan does it.
func strip(s, what string) string {
	s = strings.TrimPrefix(s, what)
	if s == "" {
		return s
	}
	return s[:1] + strings.ReplaceAll(s[1:], what, "")
}

// unescape decodes %xx until none is left that decoding made. %00 becomes the byte 1. One at
// the end stays, as it does in clamscan.
func unescape(s string) string {
	b := []byte(s)
	if len(b) > 2 && b[0] == '%' {
		b = b[2:]
		b[0] = escaped(s[1], s[2])
	}
	for again := true; again; {
		again = false
		for i := 1; i+3 < len(b); i++ {
			if b[i] == '%' && isHex(b[i+1]) && isHex(b[i+2]) {
				b[i] = escaped(b[i+1], b[i+2])
				again = again || b[i] == '%'
				b = append(b[:i+1], b[i+3:]...)
			}
		}
	}
	return string(b)
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func escaped(hi, lo byte) byte {
	if hi == '0' && lo == '0' {
		return 1
	}
	digit := func(c byte) byte {
		switch {
		case c >= '0' && c <= '9':
			return c - '0'
		case isHex(c):
			return c | 0x20 - 'a' + 10
		}
		return 0
	}
	return digit(hi)<<4 | digit(lo)
}

// hostOf returns the host in a link that was cleaned, and where it stands; not ok if it has
// none that can be judged. mail tells that it is an address of mail.
func hostOf(s string, shown bool) (host string, from int, ok bool) {
	from = 0
	i := strings.Index(s, "://")
	switch {
	case i >= 0:
		from = i + 3
	case strings.HasPrefix(s, "mailto:"):
		from = len("mailto:")
		if !shown {
			return "", 0, false
		}
	}
	end := from + len(until(s[from:], ":/?"))
	for {
		at := strings.IndexByte(s[from:], '@')
		if at < 0 || from != end && from+at > end {
			break
		}
		from += at + 1 // behind a user's name
		end = from + len(until(s[from:], ":/?"))
	}
	host = s[from:end]
	if strings.Contains(host, " ") || !shown && strings.Contains("."+host, "..") {
		return "", 0, false
	}
	return host, from, true
}

// domain returns what of a host, with a point before it, its owner has registered.
func domain(host string) string {
	tld := strings.LastIndexByte(host, '.')
	if tld < 0 {
		return host
	}
	if isCountry(host[tld+1:]) {
		before := strings.LastIndexByte(host[:tld], '.')
		if before < 0 {
			return host
		}
		if !isTop(host[before+1 : tld]) {
			return host[before+1:]
		}
		tld = before
	}
	dot := strings.LastIndexByte(host[:max(tld, 0)], '.')
	if dot < 0 {
		return host
	}
	return host[dot+1:]
}
