package api

import (
	"context"
	"errors"
	"net/http"
	"os"

	"github.com/showcause/showcause/serve/queue"
)

// Problem is an error as RFC 9457 has it, of the media type application/problem+json.
// Type ends in one of the words that docs/api.md lists.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

const problemType = "urn:showcause:problem:"

func problem(status int, word, detail string) *Problem {
	return &Problem{problemType + word, http.StatusText(status), status, detail}
}

// refuse answers with a problem, and logs who was refused.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, client string, p *Problem) {
	if client == "" {
		client, _ = r.Context().Value(peerKey{}).(string)
	}
	s.o.Log.Info("refused", "door", "api", "client", client, "method", r.Method, "path", r.URL.Path, "status", p.Status, "problem", p.Type[len(problemType):])
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	s.raw(w, r, p.Status, encode(p))
}

// problemOf says what an error of the queue's, or of receiving, is.
func (s *Server) problemOf(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, queue.ErrBusy):
		return problem(http.StatusServiceUnavailable, "busy", "too many requests wait")
	case errors.Is(err, queue.ErrStopping):
		return problem(http.StatusServiceUnavailable, "stopping", "the service is stopping")
	case errors.Is(err, queue.ErrDeadline):
		return problem(http.StatusGatewayTimeout, "deadline", "the scan took too long: there is no verdict")
	case errors.Is(err, queue.ErrTooLarge):
		return problem(http.StatusRequestEntityTooLarge, "too-large", "more bytes than the service takes: there is no verdict")
	case errors.Is(err, queue.ErrNoSpace):
		return problem(http.StatusInsufficientStorage, "no-space", "the service has no room for the content: there is no verdict")
	case errors.Is(err, context.Canceled):
		return problem(http.StatusServiceUnavailable, "cancelled", "the request was given up: there is no verdict")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem(http.StatusRequestTimeout, "slow", "the content did not arrive in time: there is no verdict")
	}
	s.o.Log.Error("no answer", "door", "api", "error", err)
	return problem(http.StatusInternalServerError, "failed", "the content was not scanned: there is no verdict")
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }
