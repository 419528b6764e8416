package api

import (
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/showcause/showcause/ruledb"
)

//go:embed openapi.json
var description []byte

// openapi answers GET /v1/openapi.json.
func (s *Server) openapi(w http.ResponseWriter, r *request) {
	s.write(w, r.Request, http.StatusOK, description)
}

// RulesAnswer says what is scanned with.
type RulesAnswer struct {
	DatabaseAnswer
	Count   int             `json:"count"`
	Skipped int             `json:"skipped"` // left out when they were compiled
	Sources []ruledb.Source `json:"sources"`
	Since   time.Time       `json:"since"` // when they came into use
	Age     float64         `json:"age"`   // seconds since then
}

func (s *Server) rules(w http.ResponseWriter, r *request) {
	d := s.o.Queue.Rules()
	m := d.DB.Meta()
	a := RulesAnswer{
		DatabaseAnswer: DatabaseAnswer{d.Version, d.Digest}, Count: d.DB.Len(), Skipped: m.Skipped, Sources: m.Sources, Since: d.Since.UTC(), Age: time.Since(d.Since).Seconds(),
	}
	if a.Sources == nil {
		a.Sources = []ruledb.Source{}
	}
	s.write(w, r.Request, http.StatusOK, encode(a))
}

// HealthAnswer says how it goes: live is always true; ready, that scans are answered.
type HealthAnswer struct {
	Live    bool   `json:"live"`
	Ready   bool   `json:"ready"`
	Version string `json:"version"`
	Records string `json:"records"` // off, ok, failing: scans are answered all the same
}

func (s *Server) health(w http.ResponseWriter, r *request) {
	a := HealthAnswer{Live: true, Ready: !s.o.Queue.Stats().Stopping && s.ctx.Err() == nil, Version: s.o.Version}
	if a.Records = "off"; s.o.Recording != nil {
		a.Records = s.o.Recording()
	}
	status := http.StatusOK
	if !a.Ready {
		status = http.StatusServiceUnavailable
	}
	s.write(w, r.Request, status, encode(a))
}

func (s *Server) metrics(w http.ResponseWriter, r *request) {
	text := ""
	if s.o.Metrics != nil {
		text = s.o.Metrics()
	} else {
		q := s.o.Queue.Stats()
		text = fmt.Sprintf("# HELP showcause_requests_total Requests that were answered.\n# TYPE showcause_requests_total counter\nshowcause_requests_total %d\n", q.Requests)
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	s.raw(w, r.Request, http.StatusOK, []byte(text))
}

// RecordsAnswer is the records that were made for a client.
type RecordsAnswer struct {
	Records []RecordAnswer `json:"records"`
}

// maxListed is how many are listed.
const maxListed = 1000

// records answers GET /v1/records.
func (s *Server) records(w http.ResponseWriter, r *request) {
	if s.o.Records == nil {
		s.refuse(w, r.Request, r.client, problem(http.StatusNotFound, "no-store", "the service keeps no records"))
		return
	}
	list := s.o.Records(r.client)
	if list == nil {
		list = []RecordAnswer{}
	}
	s.write(w, r.Request, http.StatusOK, encode(RecordsAnswer{list[:min(len(list), maxListed)]}))
}

const noRecord = "there is no record of this name that was made for this client"

// record answers GET /v1/records/{id}: a record as it was sealed.
func (s *Server) record(w http.ResponseWriter, r *request) {
	if s.o.Record == nil {
		s.refuse(w, r.Request, r.client, problem(http.StatusNotFound, "no-store", "the service keeps no records"))
		return
	}
	if len(r.id) != 64 || strings.Trim(r.id, "0123456789abcdef") != "" {
		s.refuse(w, r.Request, r.client, problem(http.StatusBadRequest, "record", "a record is named by its SHA-256, 64 hexadecimal digits"))
		return
	}
	if !r.admin && (s.o.Made == nil || !s.o.Made(r.client, r.id)) { // nor is it said that there is one
		s.refuse(w, r.Request, r.client, problem(http.StatusNotFound, "no-record", noRecord))
		return
	}
	b, err := s.o.Record(r.Context(), r.id)
	switch {
	case errors.Is(err, ErrNoRecord):
		s.refuse(w, r.Request, r.client, problem(http.StatusNotFound, "no-record", noRecord))
	case err != nil:
		s.refuse(w, r.Request, r.client, s.problemOf(err))
	default:
		s.write(w, r.Request, http.StatusOK, b)
	}
}
