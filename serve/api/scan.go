package api

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve/queue"
)

// Answer is what is said of a scan: the fields of a line of "scan --format json", and
// how it came about.
type Answer struct {
	Path      string `json:"path"`
	PathBytes string `json:"path_bytes,omitempty"`
	showcause.Report
	Said     Said           `json:"said"`
	SHA256   string         `json:"sha256"`
	Database DatabaseAnswer `json:"database"`
	Cached   bool           `json:"cached"`
	Waited   float64        `json:"waited"` // seconds
	Took     float64        `json:"took"`   // seconds
	Record   []byte         `json:"record,omitempty"`
	// Records are the names of the records of all findings, Unrecorded why some have none.
	Records    []string `json:"records,omitempty"`
	Unrecorded string   `json:"unrecorded,omitempty"`
}

// Said is what the service's policy makes of a report.
type Said struct {
	Answer string           `json:"answer"` // found, error, ok
	Names  []string         `json:"names,omitempty"`
	Reason string           `json:"reason,omitempty"`
	Waived []showcause.Code `json:"waived,omitempty"`
}

// DatabaseAnswer names the rules.
type DatabaseAnswer struct {
	Version string `json:"version,omitempty"`
	Digest  string `json:"digest,omitempty"`
}

// wanted is what the query and the header fields of a request ask for.
type wanted struct {
	name       string
	passwords  [][]byte
	allMatches bool
	record     bool
	noCache    bool
	async      bool
}

// wantedOf reads it. An option that there is not is an error: what is not understood
// could be a limit.
func wantedOf(r *http.Request) (w wanted, err error) {
	w.allMatches = true
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return w, problem(http.StatusBadRequest, "query", "the query cannot be read")
	}
	for key, values := range q {
		if len(values) != 1 {
			return w, problem(http.StatusBadRequest, "query", fmt.Sprintf("option %s is there twice", showcause.Escape(key)))
		}
		to := map[string]*bool{"all_matches": &w.allMatches, "record": &w.record, "no_cache": &w.noCache, "async": &w.async}[key]
		switch {
		case key == "name":
			w.name = values[0]
		case to == nil:
			return w, problem(http.StatusBadRequest, "query", fmt.Sprintf("there is no option %s", showcause.Escape(key)))
		default:
			if *to, err = strconv.ParseBool(values[0]); err != nil {
				return w, problem(http.StatusBadRequest, "query", fmt.Sprintf("option %s is 1 or 0", key))
			}
		}
	}
	for _, p := range r.Header.Values("Showcause-Password") {
		word, err := url.PathUnescape(p)
		if err != nil {
			return w, problem(http.StatusBadRequest, "password", "Showcause-Password is percent-encoded")
		}
		if err := w.password([]byte(word)); err != nil {
			return w, err
		}
	}
	for _, p := range r.Header.Values("Prefer") {
		for f := range strings.SplitSeq(p, ",") {
			if strings.EqualFold(strings.TrimSpace(f), "respond-async") {
				w.async = true
			}
		}
	}
	return w, w.check()
}

func (w *wanted) check() error {
	if len(w.name) > maxName || strings.ContainsRune(w.name, 0) {
		return problem(http.StatusBadRequest, "query", "the name is too long, or has a zero byte")
	}
	return nil
}

func (w *wanted) password(word []byte) error {
	if len(word) == 0 || len(word) > maxPassword || len(w.passwords) == maxWords {
		return problem(http.StatusBadRequest, "password", fmt.Sprintf("at most %d passwords of 1 to %d bytes", maxWords, maxPassword))
	}
	w.passwords = append(w.passwords, word)
	return nil
}

// scan answers POST /v1/scan.
func (s *Server) scan(w http.ResponseWriter, r *request) {
	// The time to take the answer begins when there is one.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	want, err := wantedOf(r.Request)
	var content *queue.Spool
	if err == nil {
		content, err = s.receive(w, r, &want)
	}
	if err == nil && want.record && s.o.Record == nil {
		err = problem(http.StatusUnprocessableEntity, "no-store", "the service keeps no records")
	}
	if err != nil {
		if content != nil {
			content.Close()
		}
		s.refuse(w, r.Request, r.client, s.problemOf(err))
		return
	}
	if want.async {
		s.later(w, r, &want, content)
		return
	}
	defer content.Close()
	b, err := s.answer(r.Context(), r.client, &want, content)
	if err != nil {
		s.refuse(w, r.Request, r.client, s.problemOf(err))
		return
	}
	s.write(w, r.Request, http.StatusOK, b)
}

// answer has content scanned.
func (s *Server) answer(ctx context.Context, client string, want *wanted, content *queue.Spool) ([]byte, error) {
	j := queue.Job{
		Door: "api", Client: client, Content: content, Name: want.name,
		Options: queue.ScanOptions{Passwords: want.passwords, Record: want.record, NoCache: want.noCache},
	}
	if s.o.Timeout > 0 {
		j.Deadline = time.Now().Add(s.o.Timeout)
	}
	a, err := s.o.Queue.Scan(ctx, j)
	if err != nil {
		return nil, err
	}
	return encode(answerOf(want, &a, s.o.Policy.Say(&a))), nil
}

func answerOf(want *wanted, a *queue.Answer, said queue.Said) *Answer {
	out := &Answer{
		Path: showcause.Escape(want.name), Report: a.Report, SHA256: a.SHA256, Cached: a.Cached, Waited: a.Waited.Seconds(), Took: a.Took.Seconds(), Record: a.Record, Records: a.Records, Unrecorded: a.Unrecorded,
		Said: Said{Answer: "ok", Names: said.Names, Reason: said.Failed, Waived: said.Waived},
	}
	if out.Path != want.name {
		out.PathBytes = base64.StdEncoding.EncodeToString([]byte(want.name))
	}
	switch {
	case len(said.Names) > 0:
		out.Said.Answer = "found"
	case said.Failed != "":
		out.Said.Answer = "error"
	}
	if a.Database != nil {
		out.Database = DatabaseAnswer{a.Database.Version, a.Database.Digest}
	}
	if !want.allMatches {
		out.Said.Names = out.Said.Names[:min(len(out.Said.Names), 1)]
		for i := range out.Findings {
			if out.Findings[i].Alarms() {
				out.Findings = out.Findings[i : i+1 : i+1]
				break
			}
		}
	}
	return out
}

// receive takes the content, and what a form says besides. The spool that it returns
// is the caller's to close, with an error too.
func (s *Server) receive(w http.ResponseWriter, r *request, want *wanted) (*queue.Spool, error) {
	if r.ContentLength > s.o.MaxBody+maxForm {
		w.Header().Set("Connection", "close")
		return nil, queue.ErrTooLarge
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, problem(http.StatusUnsupportedMediaType, "encoding", "content is taken as it is: no Content-Encoding")
	}
	spool, err := s.o.Queue.Receive(r.Context(), r.client, s.o.MaxBody)
	if err != nil {
		return nil, err
	}
	body := &paced{c: http.NewResponseController(w), r: r.Body, stall: s.o.Stall, end: time.Now().Add(s.o.BodyTime)}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && kind == "multipart/form-data" {
		err = readForm(body, params["boundary"], spool, want)
	} else {
		_, err = io.Copy(spool, body)
	}
	if err != nil {
		w.Header().Set("Connection", "close")
		_ = body.c.SetReadDeadline(time.Now()) // what is left of it is not read
		return spool, cut(err)
	}
	_ = body.c.SetReadDeadline(time.Time{})
	return spool, nil
}

// cut says what an end within the content is.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return problem(http.StatusBadRequest, "cut", "the content ended before its end: there is no verdict")
	}
	return err
}

// maxForm is how much of a form is no content, in bytes.
const maxForm = 256 << 10

// readForm reads multipart/form-data (RFC 7578): one part "file", and "password", "name".
func readForm(body io.Reader, boundary string, spool io.Writer, want *wanted) error {
	if boundary == "" {
		return problem(http.StatusBadRequest, "form", "the form has no boundary")
	}
	m := multipart.NewReader(body, boundary)
	files, parts := 0, 0
	for {
		p, err := m.NextRawPart() // as it stands: a form has no quoted-printable
		if err == io.EOF {
			break
		}
		if parts++; parts > maxWords+2 {
			return problem(http.StatusBadRequest, "form", "the form has too many parts")
		}
		if err != nil {
			return formError(err)
		}
		switch name := p.FormName(); {
		case name == "file":
			if files++; files > 1 {
				return problem(http.StatusBadRequest, "form", "the form has two parts named file: one content a request")
			}
			if want.name == "" {
				want.name = p.FileName()
			}
			if _, err := io.Copy(spool, p); err != nil {
				return formError(err)
			}
		case name == "password" || name == "name":
			b, err := io.ReadAll(io.LimitReader(p, maxName+1))
			if err != nil {
				return formError(err)
			}
			if name == "name" {
				want.name = string(b)
			} else if err := want.password(b); err != nil {
				return err
			}
			if err := want.check(); err != nil {
				return err
			}
		default:
			return problem(http.StatusBadRequest, "form", "the form has a part that is none of file, name, password")
		}
	}
	if files == 0 {
		return problem(http.StatusBadRequest, "form", "the form has no part named file")
	}
	return want.check()
}

// formError tells errors of the form from those of the connection and the spool.
func formError(err error) error {
	for _, e := range []error{queue.ErrTooLarge, queue.ErrNoSpace, queue.ErrStopping} {
		if errors.Is(err, e) {
			return err
		}
	}
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		return err
	}
	return problem(http.StatusBadRequest, "form", "the form cannot be read to its end: there is no verdict")
}

// paced reads a body, each time not longer than stall, and not after end.
type paced struct {
	c     *http.ResponseController
	r     io.Reader
	stall time.Duration
	end   time.Time
}

func (p *paced) Read(b []byte) (int, error) {
	t := time.Now().Add(p.stall)
	if t.After(p.end) {
		t = p.end
	}
	_ = p.c.SetReadDeadline(t)
	return p.r.Read(b)
}
