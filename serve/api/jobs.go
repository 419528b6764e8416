package api

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/showcause/showcause/serve/queue"
)

// JobAnswer is how an asynchronous job stands.
type JobAnswer struct {
	ID      string          `json:"id"`
	State   string          `json:"state"` // waiting, done, failed
	Expires *time.Time      `json:"expires,omitempty"`
	Answer  json.RawMessage `json:"answer,omitempty"`
	Problem *Problem        `json:"problem,omitempty"`
}

// maxKept are the bytes of answers that are remembered.
const maxKept = 64 << 20

// jobs are those that were asked for and not forgotten.
type jobs struct {
	most int
	keep time.Duration

	mu   sync.Mutex // guards what follows
	all  map[string]*job
	kept int64
}

type job struct {
	client  string
	done    bool
	expires time.Time // once it is done
	answer  []byte
	problem *Problem
}

// add makes room for a job, which may be that of one that has expired.
func (j *jobs) add(client string) (id string, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.all) >= j.most || j.kept >= maxKept {
		now := time.Now()
		for id, x := range j.all {
			if x.done && now.After(x.expires) {
				j.drop(id)
			}
		}
		if len(j.all) >= j.most || j.kept >= maxKept {
			return "", false
		}
	}
	id = rand.Text()
	j.all[id] = &job{client: client}
	return id, true
}

// drop forgets a job. mu is held.
func (j *jobs) drop(id string) {
	j.kept -= int64(len(j.all[id].answer))
	delete(j.all, id)
}

func (j *jobs) finish(id string, answer []byte, p *Problem) {
	j.mu.Lock()
	defer j.mu.Unlock()
	x := j.all[id]
	if x == nil { // it was deleted
		return
	}
	x.done, x.answer, x.problem, x.expires = true, answer, p, time.Now().Add(j.keep)
	j.kept += int64(len(answer))
}

// get returns a copy of a job of a client's.
func (j *jobs) get(id, client string) (job, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	x := j.all[id]
	if x == nil || x.client != client {
		return job{}, false
	}
	if x.done && time.Now().After(x.expires) {
		j.drop(id)
		return job{}, false
	}
	return *x, true
}

func (j *jobs) remove(id, client string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if x := j.all[id]; x == nil || x.client != client {
		return false
	}
	j.drop(id)
	return true
}

// later answers at once, and scans then.
func (s *Server) later(w http.ResponseWriter, r *request, want *wanted, content *queue.Spool) {
	id, ok := s.jobs.add(r.client)
	if !ok {
		content.Close()
		s.refuse(w, r.Request, r.client, problem(http.StatusServiceUnavailable, "busy", "too many answers are kept that nobody took"))
		return
	}
	client := r.client
	s.under.Go(func() {
		defer content.Close()
		b, err := s.answer(s.ctx, client, want, content)
		var p *Problem
		if err != nil {
			p = s.problemOf(err)
		}
		s.jobs.finish(id, b, p)
	})
	w.Header().Set("Location", "/v1/jobs/"+id)
	w.Header().Set("Preference-Applied", "respond-async")
	s.write(w, r.Request, http.StatusAccepted, encode(JobAnswer{ID: id, State: "waiting"}))
}

func (s *Server) jobState(w http.ResponseWriter, r *request) {
	j, ok := s.jobs.get(r.id, r.client)
	if !ok {
		s.refuse(w, r.Request, r.client, problem(http.StatusNotFound, "no-job", "there is no such job of this client's, or no longer"))
		return
	}
	a := JobAnswer{ID: r.id, State: "waiting", Answer: j.answer, Problem: j.problem}
	if j.done {
		a.State, a.Expires = "done", &j.expires
	} else {
		w.Header().Set("Retry-After", "1")
	}
	if j.problem != nil {
		a.State = "failed"
	}
	s.write(w, r.Request, http.StatusOK, encode(a))
}

func (s *Server) jobGone(w http.ResponseWriter, r *request) {
	if !s.jobs.remove(r.id, r.client) {
		s.refuse(w, r.Request, r.client, problem(http.StatusNotFound, "no-job", "there is no such job of this client's, or no longer"))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
