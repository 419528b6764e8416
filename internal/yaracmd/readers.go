package yaracmd

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/internal/yaracli"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/worker"
)

// readers read files for the yara command.
type readers interface {
	// Submit has a file scanned; done is called once, and f stays open until then.
	Submit(ctx context.Context, f *os.File, done func(r showcause.Report, err error))
	Incidents() []worker.Incident
	Close() error
}

// newReaders starts the jail, or does without it if the user says so.
func (y *run) newReaders() (readers, error) {
	if y.o.Jail == answer.JailOff {
		return newInProcess(y), nil
	}
	if y.o.ModuleDump {
		return nil, fmt.Errorf("-D reads files in this process, which --jail=on forbids: add --jail=off")
	}
	if err := jail.Available(); err != nil {
		return nil, fmt.Errorf("the kernel cannot lock the process that reads files: %w; --jail=off scans without", err)
	}
	// From here on this process cannot get a network socket, nor can what it starts.
	if err := jail.Broker(); err != nil {
		return nil, err
	}
	left := time.Until(y.deadline)
	return worker.NewPool(worker.Options{
		DB: y.db, Names: y.o.Containers, Excerpts: y.o.Containers && (y.o.Strings || y.o.XorKey),
		TopOnly: !y.o.Containers, MaxMatches: yaracli.MaxMatches, Externals: y.externals, ModuleData: y.files, Now: time.Now().Unix(),
		Logs: !y.o.NoConsole, Workers: int(y.o.Threads), Scratch: y.h.Scratch,
		Timeout: func(int64) time.Duration { return left },
	})
}

// inProcess scans here, without a jail.
type inProcess struct {
	work chan func(s *scan.Scanner, logs *[]string)
	wg   sync.WaitGroup

	source func(context.Context, *os.File) (showcause.Source, error)
}

func newInProcess(y *run) *inProcess {
	p := &inProcess{work: make(chan func(*scan.Scanner, *[]string)), source: y.h.Source}
	for range y.o.Threads {
		p.wg.Add(1)
		go func() {
			defer p.wg.Done()
			var logs []string
			o := scan.Options{
				TopOnly: !y.o.Containers, MaxMatches: yaracli.MaxMatches, Externals: y.externals, Excerpts: y.o.Containers, Now: time.Now().Unix(), ModuleData: y.files,
				Spill: func() (unpack.File, error) {
					return y.h.Scratch()
				},
			}
			if !y.o.NoConsole {
				o.Log = func(line string) { logs = append(logs, line) }
			}
			s := scan.New(y.db, o)
			for do := range p.work {
				do(s, &logs)
			}
		}()
	}
	return p
}

// Submit has a file scanned.
func (p *inProcess) Submit(ctx context.Context, f *os.File, done func(showcause.Report, error)) {
	p.work <- func(s *scan.Scanner, logs *[]string) {
		src, err := p.source(ctx, f)
		if err != nil {
			done(showcause.Report{}, err)
			return
		}
		*logs = nil
		r := s.Scan(src)
		r.Logs = *logs
		done(r, ctx.Err())
	}
}

// Incidents are none.
func (p *inProcess) Incidents() []worker.Incident { return nil }

// Close waits for what is being scanned.
func (p *inProcess) Close() error {
	close(p.work)
	p.wg.Wait()
	return nil
}
