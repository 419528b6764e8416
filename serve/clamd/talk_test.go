package clamd

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/showcause/showcause/internal/clamdtalk"
	"github.com/showcause/showcause/serve/clamdconf"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/worker/workertest"
)

// TestMain is the reader too.
func TestMain(m *testing.M) { workertest.Main(m) }

// real is a queue with the rules of the conversations, and two readers.
func real(t testing.TB) *Behind {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for name, text := range clamdtalk.Database() {
		files = append(files, filepath.Join(dir, name))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, _ := workertest.Compiled(t, files...)
	q, err := queue.New(queue.Options{Rules: queue.Database{DB: db}, Pool: workertest.Pool(2)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Drain(context.Background()) })
	return &Behind{Queue: q, Readers: 2, Version: "test"}
}

// door is a Server that listens.
type door struct {
	*Server
	socket, tcp string
}

func (d *door) dial(tcp bool) (net.Conn, error) {
	if tcp {
		return net.Dial("tcp", d.tcp)
	}
	return net.Dial("unix", d.socket)
}

// open opens a door on a Unix socket and on TCP.
func open(t testing.TB, b Backend, o Options) *door {
	t.Helper()
	dir, err := os.MkdirTemp("", "clamd") // a short name: a socket's has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &door{Server: New(b, o), socket: filepath.Join(dir, "s")}
	var wg sync.WaitGroup
	var listeners []net.Listener
	for _, at := range [][2]string{{"unix", d.socket}, {"tcp", "127.0.0.1:0"}} {
		l, err := net.Listen(at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		if at[0] == "tcp" {
			d.tcp = l.Addr().String()
		}
		wg.Go(func() {
			if err := d.Serve(context.Background(), l); err != nil {
				t.Error(err)
			}
		})
		listeners = append(listeners, l)
	}
	t.Cleanup(func() {
		for _, l := range listeners {
			l.Close()
		}
		wg.Wait()
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Every conversation is answered with the bytes of clamd 1.4.6, or with those that the list
// has for us, with a reason.
func TestTalks(t *testing.T) {
	recorded, err := clamdtalk.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(t.TempDir(), "tree")
	if err := clamdtalk.Tree(tree); err != nil {
		t.Fatal(err)
	}
	t.Chdir(tree)
	f, err := clamdconf.Parse("c", strings.NewReader(clamdtalk.Config("/nowhere", tree, 1)))
	if err != nil {
		t.Fatal(err)
	}
	o, err := FromConf(f)
	if err != nil {
		t.Fatal(err)
	}
	b := real(t)
	asked := make(chan string, 100)
	b.OnReload = func() { asked <- "reload" }
	b.OnShutdown = func() { asked <- "shutdown" }
	d := open(t, b, o)
	var wg sync.WaitGroup
	free := make(chan struct{}, 8)
	for _, talk := range clamdtalk.Talks() {
		want, ok := recorded[talk.Name]
		if !ok {
			t.Errorf("%s is not recorded", talk.Name)
			continue
		}
		if talk.Ours != nil {
			if *talk.Ours == want {
				t.Errorf("%s: no difference any more", talk.Name)
			}
			want = *talk.Ours
		}
		talk = talk.Patient(want)
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			c, err := d.dial(talk.TCP)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := talk.With(c, tree)
			if err != nil || got != want {
				t.Errorf("%s: %v, clamd says %v (%v)", talk.Name, got, want, err)
			}
		})
	}
	wg.Wait()
	close(asked)
	count := map[string]int{}
	for a := range asked {
		count[a]++
	}
	if count["reload"] != 2 || count["shutdown"] != 1 {
		t.Errorf("asked for %v", count)
	}
}
