package phish

import (
	"crypto/sha256"
	"strings"
)

// The names of what links are found to be.
const (
	Spoofed  = "Heuristics.Phishing.Email.SpoofedDomain"
	SSLSpoof = "Heuristics.Phishing.Email.SSL-Spoof"
	Cloaked  = "Heuristics.Phishing.Email.Cloaked.Null"
	Blocked  = "Heuristics.Phishing.URL.Blocked"
	Malware  = "Heuristics.Safebrowsing.Suspected-malware_safebrowsing.clamav.net"
	Phishing = "Heuristics.Safebrowsing.Suspected-phishing_safebrowsing.clamav.net"
)

// Always is the entry where no line of the list has decided, but Options.
const Always = -1

// Judge tells what a link is found to be, "" for nothing, and the entry of the list that
// decided.
func (l *List) Judge(k *Link) (name string, entry int) {
	real, shown := k.Real, k.Shown
	if real == "" && k.Swapped {
		return "", 0
	}
	if _, ok := address(real, false); !ok {
		return "", 0
	}
	if len(l.digests) > 0 {
		name, entry, ok := l.blocked(real)
		if name != "" || !ok {
			return name, entry
		}
	}
	if shown == "" || real == shown {
		return "", 0
	}
	real, _ = clean(real, false)
	shown, loose := clean(shown, true)
	if real == shown {
		return "", 0
	}
	shown, ok := address(shown, true)
	if !ok || l.allows(real, shown) {
		return "", 0
	}
	listed, byPair := match(l.imitated, real, shown, true)
	shownHost, from, ok := hostOf(shown, true)
	if !ok {
		return "", 0
	}
	realHost, _, ok := hostOf(real, false)
	if !ok || real == shown || l.allows(realHost, shownHost) {
		return "", 0
	}
	hidden := spaces{loose: loose, from: from, end: from + len(shownHost)}
	host, shownHost, byHost := l.imitates(shownHost, &hidden)
	if byHost {
		listed = host
	}
	switch {
	case k.Image && !byHost:
		return "", 0
	case (byHost || l.Cloak) && strings.IndexByte(real, 1) >= 0:
		return Cloaked, decided(listed, byHost)
	case k.Href && (byHost || l.SSL) && strings.HasPrefix(shown, "https:") && !strings.HasPrefix(real, "https:"):
		return SSLSpoof, decided(listed, byHost)
	case !byHost && !byPair, domain("."+realHost) == domain(shownHost):
		return "", 0
	}
	return Spoofed, listed
}

func decided(entry int, byHost bool) int {
	if byHost {
		return entry
	}
	return Always
}

// allows tells whether a link, or its hosts, are a pair that is in order.
func (l *List) allows(real, shown string) bool {
	_, ok := match(l.allowed, real, shown, true)
	return ok
}

// match looks for "REAL:SHOWN/" in a list, or for the host alone where it is no pair.
func match(list []pattern, real, shown string, pair bool) (entry int, ok bool) {
	s := real + "/"
	if pair {
		s = real + ":" + shown + "/"
	}
	if len(s) < 3 {
		return 0, false
	}
	for i := range list {
		p := &list[i]
		if p.re != nil && p.holds(s) || p.re == nil && under(s, p.host) {
			return p.entry, true
		}
	}
	return 0, false
}

// under tells whether s is a host, or one below it.
func under(s, host string) bool {
	rest, ok := strings.CutSuffix(s, host)
	return ok && (rest == "" || strings.HasSuffix(rest, ".") || strings.HasSuffix(rest, " "))
}

// spaces are what is shown as it was before its spaces were taken out: "check out paypal.com"
// shows the host paypal.com, though what is left of it reads otherwise.
type spaces struct {
	loose     string
	from, end int // of the host, in what is left
}

// before returns the character before the last n bytes of a host, of which is left so many.
func (s *spaces) before(left, n int) byte {
	text := s.loose[:min(s.end, len(s.loose))]
	at := 0
	for at < len(text) && !alnum(text[at]) {
		at++
	}
	pos := left - n + s.from
	for ; at < len(text) && pos > 0; pos-- {
		for at < len(text) && text[at] == ' ' {
			at++
		}
		at++
	}
	for at < len(text) && text[at] == ' ' {
		at++
	}
	if at >= len(text) && pos > 0 || at-1 >= len(text) {
		return 0
	}
	return text[max(at-1, 0)]
}

// imitates looks a host that is shown up in the list of those that are imitated. The host has
// a point before it then, and one where a space stood before what is imitated.
func (l *List) imitates(host string, s *spaces) (entry int, dotted string, ok bool) {
	dotted = "." + host
	full := host + "/"
	if len(full) < 3 {
		return 0, dotted, false
	}
	for i := range l.imitated {
		p := &l.imitated[i]
		if p.re != nil {
			if p.holds(full) {
				return p.entry, dotted, true
			}
			continue
		}
		rest, tail := strings.CutSuffix(full, p.host)
		if !tail {
			continue
		}
		if c := s.before(len(full), len(p.host)); rest != "" && c != '.' && c != ' ' {
			continue
		}
		if rest != "" && !strings.HasSuffix(rest, ".") {
			dotted = rest + "." + host[len(rest):]
		}
		return p.entry, dotted, true
	}
	return 0, dotted, false
}

const (
	maxAddress = 1024 // bytes of an address that are digested
	components = 4
)

// blocked looks an address up by the digests of its host and of those above it, each with the
// whole path and with the folders of it. It is not ok of what is no whole address.
func (l *List) blocked(s string) (name string, entry int, ok bool) {
	host, path, ok := canonical(s)
	if !ok {
		return "", 0, false
	}
	hosts := []string{host}
	for at, n := strings.LastIndexByte(host, '.'), 0; at > 0 && n < components; n++ {
		if at = strings.LastIndexByte(host[:at], '.'); at >= 0 {
			hosts = append(hosts, host[at+1:])
		}
	}
	paths := []int{len(path)}
	if path != "" {
		if q := len(until(path, "?")); q != len(path) {
			paths = append(paths, q)
		}
		paths = append(paths, 0)
		for len(paths) < components+2 {
			from := paths[len(paths)-1] + 1
			if from > len(path) {
				break
			}
			i := strings.IndexByte(path[from:], '/')
			if i < 0 {
				break
			}
			paths = append(paths, from+i+1)
		}
	}
	hosts = append(hosts[1:], host) // the shortest first, the whole last
	for i := len(paths) - 1; i >= 0; i-- {
		for _, h := range hosts {
			sum := sha256.Sum256([]byte(h + "/" + path[:paths[i]]))
			if d, found := l.digests[sum]; found && d.kind != 'W' {
				return map[byte]string{'1': Blocked, '2': Phishing, 0: Malware}[d.kind], d.entry, true
			}
		}
	}
	return "", 0, true
}

// canonical brings an address into the form that is digested: host, and path without its first
// slash.
func canonical(s string) (host, path string, ok bool) {
	s = s[:min(len(s), maxAddress)]
	_, s, ok = strings.Cut(s, ":")
	if !ok {
		return "", "", false
	}
	s = strings.TrimLeft(s, "/")
	if at := strings.IndexByte(until(s, ":/?"), '@'); at >= 0 {
		s = s[at+1:]
	}
	s = strings.TrimLeft(strings.TrimLeft(unescape(s), "/"), ".")
	s = escapeAgain(undotted(s))
	host = until(s, ":/?")
	if len(host) < len(s) {
		path = s[len(host)+1:]
	}
	return strings.ToLower(host), until(path, "#"), true
}

// undotted takes "/./" and "/folder/../" out.
func undotted(s string) string {
	b := []byte(s)
	last := strings.IndexByte(s, '/')
	for p := 0; p < len(b); p++ {
		if b[p] != '/' {
			continue
		}
		switch {
		case p+3 <= len(b)-1 && b[p+1] == '.' && b[p+2] == '/':
			b = append(b[:p+1], b[p+3:]...)
		case p+3 < len(b) && b[p+1] == '.' && b[p+2] == '.' && b[p+3] == '/' && last >= 0 && last < p:
			b = append(b[:last+1], b[p+4:]...)
			p = last
		}
		last = p
	}
	return string(b)
}

// escapeAgain writes what is no printing ASCII, % and # as %XX.
func escapeAgain(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '%' || c == '#' {
			b.WriteString("%" + string(digits[c>>4]) + string(digits[c&15]))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
