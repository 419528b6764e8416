package clamdtalk

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

var record = flag.Bool("record", false, "write testdata anew")

// What is recorded is what clamd says, where that release is installed.
func TestRecorded(t *testing.T) {
	clamd, err := exec.LookPath("clamd")
	if err != nil {
		t.Skip("clamd is not installed")
	}
	if v, _ := exec.Command(clamd, "--version").Output(); !strings.HasPrefix(string(v), "ClamAV 1.4.6") {
		t.Skipf("clamd is another release: %s", v)
	}
	p, err := Start(t.Context(), clamd, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	want, err := Recorded()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Reply{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	free := make(chan struct{}, 4)
	ask := func(talk Talk) {
		c, err := p.Dial(talk.TCP)
		if err != nil {
			t.Errorf("%s: %v", talk.Name, err)
			return
		}
		if !*record {
			talk = talk.Patient(want[talk.Name])
		}
		r, err := talk.With(c, p.Tree)
		if err != nil {
			t.Errorf("%s: %v", talk.Name, err)
		}
		mu.Lock()
		got[talk.Name] = r
		mu.Unlock()
	}
	last := Talk{}
	for _, talk := range Talks() {
		if talk.Last {
			last = talk
			continue
		}
		free <- struct{}{}
		wg.Go(func() {
			ask(talk)
			<-free
		})
	}
	wg.Wait()
	// Where two of its threads race, clamd has more than one answer: the record is one that it
	// gives when it is asked again, with nothing else to do.
	for range 10 {
		for _, talk := range Talks() {
			if !*record && !talk.Last && got[talk.Name] != want[talk.Name] {
				ask(talk)
			}
		}
	}
	ask(last)
	time.Sleep(10 * time.Millisecond)
	if *record {
		var b bytes.Buffer
		Write(&b, got)
		if err := os.WriteFile("testdata/clamd-1.4.6.txt", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, talk := range Talks() {
		w, ok := want[talk.Name]
		if !ok || w != got[talk.Name] {
			t.Errorf("%s: clamd says %s, recorded is %s", talk.Name, got[talk.Name].String(), w.String())
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, talk := range Talks() {
		if seen[talk.Name] || strings.ContainsAny(talk.Name, "\t\n") {
			t.Errorf("%q", talk.Name)
		}
		seen[talk.Name] = true
		if (talk.Ours != nil) != (talk.Why != "") {
			t.Errorf("%s: a difference and its reason go together", talk.Name)
		}
	}
}

// Every reason for a difference is in docs/clamd.md.
func TestReasonsAreListed(t *testing.T) {
	b, err := os.ReadFile("../../docs/clamd.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, talk := range Talks() {
		if talk.Why != "" && !bytes.Contains(b, []byte("| "+talk.Why+" |")) {
			t.Errorf("%s: %q is not in docs/clamd.md", talk.Name, talk.Why)
		}
	}
}
