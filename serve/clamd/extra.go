package clamd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/showcause/showcause"
)

// options are those of one of clamd's commands, which has none.
func (c *command) options() ScanOptions {
	if c.verb != ourScan && c.verb != ourFildes && c.verb != ourInstream {
		return ScanOptions{}
	}
	o, _, _ := parseOptions(c.arg)
	return o
}

// parseOptions reads the argument of SHOWCAUSE-SCAN, -FILDES or -INSTREAM: words with one
// blank between them, and behind the word -- the path, which may have blanks in it.
func parseOptions(arg string) (o ScanOptions, path string, err error) {
	for arg != "" {
		var word string
		word, arg, _ = strings.Cut(arg, " ")
		if word == "--" {
			return o, arg, nil
		}
		name, value, _ := strings.Cut(word, "=")
		var n int64
		if strings.HasPrefix(name, "max-") || name == "timeout" {
			if n, err = strconv.ParseInt(value, 10, 64); err != nil || n <= 0 {
				return o, "", fmt.Errorf("option %.40s: %.40q is not a number above 0", showcause.Escape(name), value)
			}
		}
		switch name {
		case "record":
			o.Record = true
		case "fresh":
			o.NoCache = true
		case "max-file-size":
			o.Limits.FileSize = n
		case "max-scan-size":
			o.Limits.ScanSize = n
		case "max-files":
			o.Limits.Objects = n
		case "max-depth":
			o.Limits.Depth = int(min(n, 1<<30))
		case "max-ratio":
			o.Limits.Ratio = n
		case "max-work":
			o.Limits.Work = n
		case "timeout":
			o.Timeout = time.Duration(min(n, 1<<40)) * time.Millisecond
		case "password":
			p, err := url.PathUnescape(value)
			if err != nil || len(o.Passwords) >= 100 {
				return o, "", errors.New("option password: not percent-encoded, or more than 100 of them")
			}
			o.Passwords = append(o.Passwords, []byte(p))
		default:
			return o, "", fmt.Errorf("unknown option %.40s", showcause.Escape(word))
		}
		switch name {
		case "record", "fresh":
			if name != word {
				return o, "", fmt.Errorf("option %s takes no value", name)
			}
		}
	}
	return o, "", nil
}

// told is what the commands of ours answer with, as one line of JSON.
type told struct {
	Name     string            `json:"name"`
	Verdict  showcause.Verdict `json:"verdict"`
	Names    []string          `json:"found,omitempty"`
	Error    string            `json:"error,omitempty"`
	Waived   []showcause.Code  `json:"waived,omitempty"` // of gaps: a setting has it that they count for nothing
	SHA256   string            `json:"sha256,omitempty"`
	Size     int64             `json:"size"`
	Type     string            `json:"type,omitempty"`
	Findings []found           `json:"findings,omitempty"`
	Gaps     []showcause.Gap   `json:"gaps,omitempty"`
	Spent    showcause.Spent   `json:"spent"`
	Rules    string            `json:"rules,omitempty"`
	Cached   bool              `json:"cached,omitempty"`
	Record   json.RawMessage   `json:"record,omitempty"`
	Records  []string          `json:"records,omitempty"` // their names
	Missing  string            `json:"unrecorded,omitempty"`
}

type found struct {
	Rule    string            `json:"rule"`
	Trail   showcause.Trail   `json:"trail"`
	Digest  string            `json:"digest,omitempty"`
	Matches []showcause.Match `json:"matches,omitempty"`
	Allowed string            `json:"allowed,omitempty"`
	Stage   showcause.Stage   `json:"stage,omitempty"`
}

// tellAll answers with all that is known.
func tellAll(c *conn, id uint32, term byte, what string, r *Request, a *Answer, err error) {
	t := told{Name: showcause.Escape(what), SHA256: a.SHA256, Rules: a.Rules, Cached: a.Cached, Records: a.Records, Missing: a.Unrecorded, Error: a.Failed, Waived: a.Waived}
	if len(a.Record) <= maxRecord { // a larger one is asked for by its name
		t.Record = a.Record
	}
	for _, n := range a.Names {
		t.Names = append(t.Names, showcause.Escape(n))
	}
	if a.Report != nil {
		t.Verdict, t.Size, t.Type, t.Gaps, t.Spent = a.Report.Verdict, a.Report.Size, a.Report.Type, a.Report.Gaps, a.Report.Spent
		for i := range a.Report.Findings {
			f := &a.Report.Findings[i]
			t.Findings = append(t.Findings, found{showcause.Escape(f.Rule), f.Trail, f.Digest, f.Matches, showcause.Escape(f.Allowed), f.Stage})
		}
	}
	if err != nil {
		t.Verdict, t.Error = showcause.Error, errorText(err)
	}
	c.json(id, term, t)
}

// digest fills in the SHA-256 of a file that was read whole and is still as long as its
// reader saw it.
func (a *Answer) digest(ctx context.Context, f *os.File) {
	if a.Report == nil || a.SHA256 != "" {
		return
	}
	h := sha256.New()
	var b [64 << 10]byte
	for at := int64(0); ctx.Err() == nil; {
		n, err := f.ReadAt(b[:], at)
		h.Write(b[:n])
		if at += int64(n); err != nil || at > a.Report.Size {
			if errors.Is(err, io.EOF) && at == a.Report.Size {
				a.SHA256 = hex.EncodeToString(h.Sum(nil))
			}
			return
		}
	}
}

// maxRecord is how large a record is in a reply at most, bytes.
const maxRecord = 4 << 20

func (c *conn) json(id uint32, term byte, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // a record stays as it was sealed
	if err := e.Encode(v); err != nil {
		b.Reset()
		b.WriteString(`{"error":"reply not written"}`)
	}
	c.say(id, term, strings.TrimSuffix(b.String(), "\n"))
}

// ours does one of the commands that clamd does not have.
func (c *conn) ours(cmd *command) bool {
	if cmd.verb == ourStatus {
		st := c.s.b.Status()
		c.s.mu.Lock()
		n, clients := len(c.s.conns), len(c.s.clients)
		c.s.mu.Unlock()
		c.json(c.id, c.term, struct {
			Version     string `json:"version"`
			Rules       string `json:"rules,omitempty"`
			RulesCount  int    `json:"rules_count"`
			RulesDigest string `json:"rules_digest,omitempty"`
			Readers     int    `json:"readers"`
			Reading     int    `json:"reading"`
			Waiting     int    `json:"waiting"`
			Connections int    `json:"connections"`
			Clients     int    `json:"clients"`
		}{st.Version, st.Rules, st.RulesCount, st.RulesDigest, st.Readers, st.Reading, st.Waiting, n, clients})
		if c.session {
			c.id++
			c.deadline(c.s.o.ReadTimeout)
		}
		return c.session
	}
	_, path, err := parseOptions(cmd.arg)
	if err == nil && (cmd.verb == ourScan) != (path != "") {
		err = errors.New("a path stands behind -- where one is scanned, and nowhere else")
	}
	if err != nil {
		c.json(c.id, c.term, map[string]string{"error": err.Error()})
		return false // what follows may be a stream
	}
	switch cmd.verb {
	case ourInstream:
		return c.stream(cmd, tellAll)
	case ourFildes:
		return c.fildes(cmd, tellAll)
	}
	if c.fd >= 0 {
		c.foreign(true)
		return false
	}
	options := cmd.options()
	return c.job(func(ctx context.Context, id uint32, term byte) {
		defer c.s.begin(cmd.name)()
		r := Request{Client: c.client, From: c.from, Command: cmd.name, Name: path, Options: options}
		var a Answer
		f, err := c.s.open(path)
		if err == nil {
			defer f.Close()
			r.File = f
			a, err = c.s.b.Scan(ctx, r)
			a.digest(ctx, f)
		}
		tellAll(c, id, term, path, &r, &a, err)
	})
}
