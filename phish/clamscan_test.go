package phish

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// lists are the lines that links are generated for.
var lists = map[string][]string{
	"pdb": {
		"H:paypal.com", "H:ebay.com", "H:bank.co.uk", `R:.+\.chase\.com([/?].*)?:.+\.bank\.com([/?].*)?`,
		`R:.+\.mirror\.net([/?].*):.+\.(shop|store)\.(com|de|co\.uk)([/?].*)?`, `R:.+plain\.org`,
	},
	"wdb": {
		"M:email.ebay.com:ebay.com", `X:.+\.good\.org([/?].*)?:.+\.paypal\.com([/?].*)?`,
		"M:pages.example.net:paypal.com", `Y:.+\.trusted\.de([/?].*)?:.+\.com([/?].*)?`,
	},
	"gdb": {
		"S:P:" + sum("bad.net/")[:8], "S:F:" + sum("bad.net/"), "S1:F:" + sum("blocked.org/a/b.html"), "S2:F:" + sum("x.phish.info/"),
		"S1:F:" + sum("blocked.org/q/"), "S:W:" + sum("fine.net/"), "S1:F:" + sum("fine.net/"), "S1:F:" + sum("blocked.org/p?x=1"), "S1:F:" + sum("host.bad2.net/A%20B"),
	},
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return strings.ToUpper(hex.EncodeToString(h[:]))
}

// load makes a list of them; entries are counted from 1.
func load(tb testing.TB, o Options, kinds ...string) *List {
	tb.Helper()
	l := &List{Options: o}
	n := 0
	for _, kind := range kinds {
		for _, line := range lists[kind] {
			n++
			if err := l.Add(kind, line, n); err != nil {
				tb.Fatalf("%s: %v", line, err)
			}
		}
	}
	return l
}

// pick takes one of several, pick(r, "a|b").
func pick(r *rand.Rand, of string) string {
	all := strings.Split(of, "|")
	return all[r.Intn(len(all))]
}

func anyLink(r *rand.Rand) string {
	scheme := pick(r, "http://|http://|http://|http://|https://|https://|ftp://|http:||mailto:|mailto://|HTTP://|http:\\\\|javascript:|//")
	host := pick(r, "www.paypal.com|paypal.com|www.ebay.com|ebay.com|evil.net|www.evil.net|a.b.c.evil.co.uk|www.bank.co.uk|online.bank.co.uk|login.chase.com|www.bank.com|"+
		"email.ebay.com|www.good.org|pages.example.net|x.trusted.de|bad.net|www.bad.net|blocked.org|sub.blocked.org|x.phish.info|1.2.3.4|192.168.77.300|localhost|"+
		"evil.xyz|my.mirror.net|the.shop.de|the.store.co.uk|theplain.org|notpaypal.com|paypal.com.evil.net|PayPal.com|WWW.EBAY.COM|fine.net|www.fine.net|host.bad2.net|"+
		"paypal|pay%70al.com|www.paypal.com%20|evil%2enet|a..b.com|.paypal.com|paypal.com.|www.paypa&lt;l.com|evil.net%01%00@paypal.com|paypal.com@evil.net|user:pw@evil.net|paypal.com%00.evil.net|"+
		"www.evil.net%%2531|%77ww.ebay.com|eb-ay.com|www_x.ebay.com|ébay.com|ebay。com|www.ebay．com|x.test|aol.museum|ebay.uk|ebay.com.br|shop.com.br|sub.shop.com.br")
	path := pick(r, "||||/|/|/login|/a/b.html|/a/./b.html|/a/c/../b.html|/q/w/e/r/t/y|/p?x=1|?x=http://paypal.com|:8080/x|#top|/A B|/A%20B|/x#y|/%2e%2e/z|;jsession|\\x|&amp;a=b")
	return scheme + host + path
}

func anyText(r *rand.Rand) string {
	switch r.Intn(9) {
	case 0:
		return pick(r, "click here|Paypal|check out paypal.com|visit www.ebay.com now|p a y p a l . c o m|www. paypal .com|<b>www.</b>paypal.com|<b>paypal</b>.com|http:/ /www.ebay.com|(www.paypal.com)|www.paypal.com...|to: me@paypal.com|me@paypal.com|me.com@ebay.com|"+
			"&#112;aypal.com|paypal.com &gt;|\"paypal.com\"|<!-- x -->paypal.com|<br>paypal.com|www.\npaypal.com|<img src=x.gif>ebay.com|paypal.com<script>x</script>|.net|asp.net|x|  https://www.ebay.com  |&nbsp;ebay.com|x:ebay.com|1.2.3.4|http://1.2.3.4/")
	case 1:
		return " " + anyLink(r) + " "
	default:
		return anyLink(r)
	}
}

// element is a piece of a page that has links.
func element(r *rand.Rand) string {
	q := pick(r, `"|"|"|'|`)
	link := func() string {
		s := anyLink(r)
		if q == "" {
			s = strings.ReplaceAll(s, " ", "+")
		}
		return q + s + q
	}
	switch r.Intn(16) {
	case 0:
		return fmt.Sprintf("<a href=%s><img src=%s></a>", link(), link())
	case 1:
		return fmt.Sprintf("<a href=%s title=%s>%s</a>", link(), link(), anyText(r))
	case 2:
		return fmt.Sprintf("<form action=%s><a href=%s>%s</a></form>", link(), link(), anyText(r))
	case 3:
		return fmt.Sprintf("<a href=%s>%s<a href=%s>%s</a>", link(), anyText(r), link(), anyText(r))
	case 4:
		return fmt.Sprintf("<area href=%s><iframe src=%s></iframe>", link(), link())
	case 5:
		return fmt.Sprintf("<a href=%s>%s<iframe src=%s></iframe></a>", link(), anyText(r), link())
	case 6:
		return fmt.Sprintf("<A CLASS=x HREF = %s target=_blank>\n %s\n</A>", link(), anyText(r))
	case 7:
		return fmt.Sprintf("<a name=x>%s</a><a href=''>x</a><a href>%s</a>", anyText(r), anyText(r))
	}
	return fmt.Sprintf("<a href=%s>%s</a>", link(), anyText(r))
}

// piece is how much of a page clamscan takes at a time, bytes: it can lose a tag that two
// pieces share.
const piece = 8 << 10

// TestAgainstClamscan has clamscan say of each link of generated mails what it takes it to be.
func TestAgainstClamscan(t *testing.T) {
	clamscan, err := exec.LookPath("clamscan")
	if err != nil {
		t.Skip("clamscan is not installed")
	}
	words := map[string]string{
		"Clean": "", "URLs are way too different": Spoofed, "Link URL is cloaked (null byte %00)": Cloaked,
		"Visible links is SSL, real link is not": SSLSpoof, "Blocked": Blocked,
	}
	links, found, differ := 0, map[string]int{}, 0
	for round, set := range []struct {
		kinds []string
		o     Options
		flags []string
	}{
		{[]string{"pdb", "wdb"}, Options{}, nil},
		{[]string{"pdb"}, Options{SSL: true, Cloak: true}, []string{"--alert-phishing-ssl", "--alert-phishing-cloak"}},
		{[]string{"pdb", "wdb", "gdb"}, Options{SSL: true}, []string{"--alert-phishing-ssl"}},
	} {
		dir := t.TempDir()
		for _, kind := range set.kinds {
			if err := os.WriteFile(filepath.Join(dir, "x."+kind), []byte(strings.Join(lists[kind], "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l := load(t, set.o, set.kinds...)
		r := rand.New(rand.NewSource(int64(round)))
		args := append([]string{"--debug", "-z", "--no-summary", "-d", dir}, set.flags...)
		var ours []Link
		for i := range 40 {
			var page bytes.Buffer
			for page.Len() < piece-1000 {
				page.WriteString(element(r) + "\n<p>\n")
			}
			mail := filepath.Join(dir, fmt.Sprintf("%d.eml", i))
			if err := os.WriteFile(mail, append([]byte("From: a@b.c\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/html\n\n"), page.Bytes()...), 0o600); err != nil {
				t.Fatal(err)
			}
			args, ours = append(args, mail), append(ours, Links(page.Bytes())...)
		}
		cmd := exec.Command(clamscan, args...)
		var errors bytes.Buffer
		cmd.Stderr = &errors
		_ = cmd.Run() // 1: found
		var pairs, said []string
		const checking, result = "LibClamAV debug: Phishcheck:Checking url ", "LibClamAV debug: Phishcheck: Phishing scan result: "
		for line := range strings.SplitSeq(errors.String(), "\n") {
			if s, ok := strings.CutPrefix(line, checking); ok {
				pairs = append(pairs, s)
			} else if s, ok := strings.CutPrefix(line, result); ok {
				said = append(said, words[s])
			}
		}
		if len(pairs) != len(ours) || len(said) != len(ours) {
			t.Errorf("%d links, clamscan has %d and decided %d", len(ours), len(pairs), len(said))
		}
		for i := range min(len(ours), len(pairs), len(said)) {
			k := &ours[i]
			name, entry := l.Judge(k)
			if name == Malware || name == Phishing {
				name = Blocked // it says no more
			}
			if have := k.Real + "->" + k.Shown; strings.ReplaceAll(have, "\n", " ") != pairs[i] || name != said[i] {
				if differ++; differ < 40 {
					t.Errorf("link %d: %q is %q (entry %d), to clamscan %q is %q", i, have, name, entry, pairs[i], said[i])
				}
				if strings.ReplaceAll(have, "\n", " ") != pairs[i] && differ > 5 {
					break
				}
			}
			links++
			found[said[i]]++
		}
	}
	t.Logf("%d links: %v, %d differ", links, found, differ)
	for _, name := range []string{"", Spoofed, Cloaked, SSLSpoof, Blocked} {
		if found[name] < 20 {
			t.Errorf("%d links that are %q", found[name], name)
		}
	}
}
