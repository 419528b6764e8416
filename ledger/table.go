package ledger

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/showcause/showcause"
)

// Table is a ledger for a person: a row a connection. Pass Add to Read, then
// call Print.
type Table struct {
	rows []row
	at   map[uint64]int // open rows by entry
}

type row struct {
	seq             uint64
	time            time.Time
	what, to, via   string
	plain, out, in  int64
	status, purpose string
}

// Add takes an entry.
func (t *Table) Add(e *Entry) error {
	if t.at == nil {
		t.at = map[uint64]int{}
	}
	r := row{seq: e.Seq, time: e.Time, out: -1, in: -1, status: "no answer recorded"}
	switch e.Kind {
	case KindSend:
		s := e.Send
		path := ""
		if request, _, ok := strings.Cut(s.Plain[min(s.Tunnel, int64(len(s.Plain))):], " HTTP/"); ok {
			_, path, _ = strings.Cut(request, " ")
		}
		if strings.HasPrefix(path, "http://") { // asked of a proxy
			r.to = path
		} else {
			r.to = fmt.Sprintf("%s://%s:%d%s", s.Scheme, s.Host, s.Port, path)
		}
		r.what, r.via, r.plain, r.purpose = s.Method, s.Address, s.BytesOut, string(s.Purpose)
	case KindQuery:
		q := e.Query
		r.what, r.to, r.via, r.plain, r.purpose = "name", q.Host, q.Address, q.BytesOut, string(q.Purpose)
	case KindClose:
		i, ok := t.at[e.Close.Of]
		if !ok {
			return nil
		}
		delete(t.at, e.Close.Of)
		r := &t.rows[i]
		r.out, r.in = e.Close.WireOut, e.Close.WireIn
		switch {
		case e.Close.Error != "":
			r.status = e.Close.Error
		case r.what == "name" && e.Close.Status != 0:
			r.status = nameCode(e.Close.Status)
		case e.Close.Status != 0:
			r.status = strconv.Itoa(e.Close.Status)
		default:
			r.status = "answered"
		}
		return nil
	case KindTorn:
		r.what, r.to, r.status = "torn", fmt.Sprintf("%d bytes at offset %d, sha256 %s", e.Torn.Bytes, e.Torn.At, e.Torn.SHA256), "kept"
	default:
		return nil
	}
	t.at[e.Seq] = len(t.rows)
	t.rows = append(t.rows, r)
	return nil
}

// nameCode is a name server's answer that is not the address (RFC 1035, 4.1.1).
func nameCode(n int) string {
	switch n {
	case 2:
		return "name server failed"
	case 3:
		return "no such name"
	case 5:
		return "name server refused"
	}
	return "name server's code " + strconv.Itoa(n)
}

// Print writes the table.
func (t *Table) Print(w io.Writer) error {
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(w, "nothing was sent")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "SEQ\tTIME\tPURPOSE\tWHAT\tTO\tADDRESS\tBYTES\tWIRE OUT\tWIRE IN\tANSWER")
	count := func(n int64) string {
		if n < 0 {
			return "?"
		}
		return strconv.FormatInt(n, 10)
	}
	for _, r := range t.rows {
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", r.seq, r.time.Format("2006-01-02T15:04:05Z"), r.purpose, r.what,
			showcause.Escape(r.to), r.via, r.plain, count(r.out), count(r.in), showcause.Escape(r.status))
	}
	return tw.Flush()
}
