package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/showcause/showcause/serve/api"
	"github.com/showcause/showcause/serve/queue"
)

// metrics is the door that Prometheus asks: GET /metrics, and GET /health.
type metrics struct {
	d    *Daemon
	s    http.Server
	open atomic.Int64 // connections now
	ever atomic.Int64
}

// Connections is the number of them, and of those that there ever were.
func (m *metrics) Connections() (open int, ever int64) { return int(m.open.Load()), m.ever.Load() }

func newMetrics(d *Daemon) *metrics {
	m := &metrics{d: d}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, d.Metrics())
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if d.records != nil {
			if s := d.records.Status(); !s.OK() { // what is asked is answered all the same
				_, _ = io.WriteString(w, "ok, but records are not written\n")
				return
			}
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	names := d.o.Hosts
	if name, err := os.Hostname(); err == nil {
		short, _, _ := strings.Cut(name, ".")
		names = append(slices.Clone(names), name, short)
	}
	m.s = http.Server{
		Handler: own(mux, names), ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 8 << 10,
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				m.ever.Add(1)
				m.open.Add(1)
			case http.StateClosed, http.StateHijacked:
				m.open.Add(-1)
			}
		},
	}
	return m
}

// own is a handler that answers no page of another's in a browser; requests over the socket
// of a path come from none.
func own(h http.Handler, names []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := api.Foreign(r, func(host string) bool {
			_, local := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr)
			return local || slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) })
		})
		if p != nil {
			http.Error(w, p.Detail, p.Status)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Serve implements Door.
func (m *metrics) Serve(_ context.Context, l net.Listener) error {
	if err := m.s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown implements Door.
func (m *metrics) Shutdown(ctx context.Context) error { return m.s.Shutdown(ctx) }

func (d *Daemon) status() Status {
	r := d.queue.Rules()
	s := Status{
		Version: d.o.Version, Pid: os.Getpid(), Since: d.began, Now: time.Now(), Queue: d.queue.Stats(), Readers: d.queue.Readers(), Doors: d.doorStatus(),
		Rules: RulesStatus{Count: r.DB.Len(), Version: r.Version, Digest: r.Digest, Released: Released(r.Version)},
	}
	d.mu.Lock()
	s.Rules.Failed, s.Rules.Loaded = d.failed, d.loaded
	d.mu.Unlock()
	if d.records != nil {
		r := d.records.Status()
		s.Records = &r
	}
	if st, ok := d.queue.Status(); ok {
		s.Jail, s.Sealed = st.Walls, st.Sealed()
	}
	return s
}

// Metrics is the text for Prometheus (exposition format 0.0.4).
func (d *Daemon) Metrics() string {
	s := d.status()
	return s.metrics()
}

func (s *Status) metrics() string {
	q := &s.Queue
	var b strings.Builder
	one := func(name, kind, help string, value any) {
		fmt.Fprintf(&b, "# HELP showcause_%s %s\n# TYPE showcause_%s %s\nshowcause_%s %v\n", name, help, name, kind, name, value)
	}
	head := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP showcause_%s %s\n# TYPE showcause_%s %s\n", name, help, name, kind)
	}
	head("answers_total", "counter", "Requests that were answered, by verdict.")
	for _, v := range []struct {
		verdict string
		n       int64
	}{{"found", q.Found}, {"incomplete", q.Incomplete}, {"nothing-found", q.Clean}} {
		fmt.Fprintf(&b, "showcause_answers_total{verdict=%q} %d\n", v.verdict, v.n)
	}
	head("refusals_total", "counter", "Requests that were not, by reason.")
	for _, v := range []struct {
		reason string
		n      int64
	}{{"busy", q.Busy}, {"deadline", q.Late}, {"failed", q.Failed}} {
		fmt.Fprintf(&b, "showcause_refusals_total{reason=%q} %d\n", v.reason, v.n)
	}
	s.doorMetrics(&b, head)
	one("cached_total", "counter", "Answers that were kept from before.", q.Cached)
	one("bytes_total", "counter", "Bytes of what was answered.", q.Bytes)
	one("reloads_total", "counter", "Changes of the rules under way.", q.Reloads)
	head("request_seconds", "histogram", "From the request to its answer.")
	sum := int64(0)
	for i, n := range q.Times {
		sum += n
		le := "+Inf"
		if i < len(queue.Bounds) {
			le = fmt.Sprint(queue.Bounds[i].Seconds())
		}
		fmt.Fprintf(&b, "showcause_request_seconds_bucket{le=%q} %d\n", le, sum)
	}
	fmt.Fprintf(&b, "showcause_request_seconds_sum %g\nshowcause_request_seconds_count %d\n", q.Took.Seconds(), sum)
	one("waited_seconds_total", "counter", "Time that requests waited for their turn.", q.Waited.Seconds())
	one("waiting", "gauge", "Requests that wait for their turn.", q.Waiting)
	one("reading", "gauge", "Requests that are with readers.", q.Reading)
	one("clients", "gauge", "Clients that they are of.", q.Clients)
	one("cache_entries", "gauge", "Answers that are kept.", q.Kept)
	one("received_memory_bytes", "gauge", "What was received and is held in memory.", q.Memory)
	one("received_disk_bytes", "gauge", "What was received and is held in files.", q.Disk)
	one("rules", "gauge", "Rules that are scanned with.", s.Rules.Count)
	if !s.Rules.Released.IsZero() {
		one("rules_released_seconds", "gauge", "When ClamAV's rules among them were made, seconds since 1970.", s.Rules.Released.Unix())
	}
	one("rules_loaded_seconds", "gauge", "When they were loaded, seconds since 1970.", s.Rules.Loaded.Unix())
	one("readers", "gauge", "Readers that there are at most.", s.Readers)
	reloaded := 1
	if s.Rules.Failed != "" {
		reloaded = 0
	}
	one("reload_ok", "gauge", "1 unless the last reload failed.", reloaded)
	if r := s.Records; r != nil {
		one("records_total", "counter", "Records of findings and deeds that are durable.", r.Made)
		one("records_missed_total", "counter", "Findings and deeds that have none.", r.Missed)
		one("records_waiting", "gauge", "Records that are not durable yet.", r.Waiting)
		ok := 1
		if !r.OK() {
			ok = 0
		}
		one("records_ok", "gauge", "1 unless the store cannot be written to, or the last record could not be made.", ok)
	}
	sealed := 0
	if s.Sealed {
		sealed = 1
	}
	one("jail_sealed", "gauge", "1 if the readers are locked in.", sealed)
	one("start_time_seconds", "gauge", "When the service began, seconds since 1970.", s.Since.Unix())
	head("build_info", "gauge", "Always 1.")
	fmt.Fprintf(&b, "showcause_build_info{version=%q,rules_version=%q} 1\n", s.Version, s.Rules.Version)
	return b.String()
}

// doorMetrics are what the doors have counted.
func (s *Status) doorMetrics(b *strings.Builder, head func(name, kind, help string)) {
	head("door_connections", "gauge", "Connections that there are.")
	for _, d := range s.Doors {
		fmt.Fprintf(b, "showcause_door_connections{door=%q} %d\n", d.Door, d.Open)
	}
	head("door_connections_total", "counter", "Connections that were taken.")
	for _, d := range s.Doors {
		fmt.Fprintf(b, "showcause_door_connections_total{door=%q} %d\n", d.Door, d.Connections)
	}
	head("door_answers_total", "counter", "Requests that were answered, by door and verdict.")
	for _, d := range s.Doors {
		for _, v := range []struct {
			verdict string
			n       int64
		}{{"found", d.Found}, {"incomplete", d.Incomplete}, {"nothing-found", d.Clean}} {
			fmt.Fprintf(b, "showcause_door_answers_total{door=%q,verdict=%q} %d\n", d.Door, v.verdict, v.n)
		}
	}
	head("door_refusals_total", "counter", "Requests that were not, by door.")
	for _, d := range s.Doors {
		fmt.Fprintf(b, "showcause_door_refusals_total{door=%q} %d\n", d.Door, d.Refused)
	}
}
