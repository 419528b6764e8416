package document

import (
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// spend walks a layer and what is in it, and returns what that cost.
func spend(t *testing.T, data string, l showcause.Limits) (showcause.Spent, *tree) {
	r := &tree{t: t}
	b := unpack.NewBudget(l, int64(len(data)), nil)
	r.layer(b, showcause.Layer{Source: showcause.Bytes(data)})
	return b.Spent, r
}

// TestTreeOfMails is mails of eight boundaries in each other, in each of which a
// bare CR asks for more readings: a few thousand bytes that read in a hundred
// thousand ways. They end at the limit of work. The bounds are for a tenth of the
// default limit.
func TestTreeOfMails(t *testing.T) {
	tree := func(n int, s string) string {
		for k := range n {
			h, d := "From: a@b\nMIME-Version: 1.0\nContent-Type: multipart/mixed", "\n\n"
			for i := range 8 {
				h += fmt.Sprintf("; boundary=b%d_%d", k, i)
				d += fmt.Sprintf("--b%d_%d\r\nContent-Type: message/rfc822\n\n", k, i)
			}
			s = h + d + s + "\r--x\nContent-Foo: a\n\n"
		}
		return s
	}
	for _, c := range []struct {
		data string
		most int64 // objects
	}{{tree(6, "hello"), 3000}, {tree(7, strings.Repeat("hello\n", 8000)), 300}} {
		spent, r := spend(t, c.data, showcause.Limits{Work: 400_000_000})
		if !r.has(showcause.LimitWork) || spent.Objects > c.most {
			t.Errorf("%d bytes: %d objects, %d steps, limit.work %v", len(c.data), spent.Objects, spent.Work, r.has(showcause.LimitWork))
		}
	}
}

// TestOrdinaryWork holds that a mailbox of as many mails as objects are allowed
// is far from the limit of work.
func TestOrdinaryWork(t *testing.T) {
	const n = 500
	for name, m := range ordinary() {
		mail := m.mail
		if !strings.HasPrefix(mail, "From ") {
			mail = "From a@b Thu Jul 31 13:49:50 2008\n" + mail
		}
		spent, r := spend(t, strings.Repeat(mail+"\n", n), showcause.Limits{})
		if per := spent.Work / spent.Objects; len(r.gaps) > 0 || per > 15_000 {
			t.Errorf("%s: %d steps an object, gaps %.200s", name, per, r.codes())
		} else {
			t.Logf("%s: %d steps an object", name, per)
		}
	}
}
