// Package once has one job done by one process in the jail: it is given a
// request and a file, and gives an answer, all of them bytes. What a scan is to
// package worker, any other reading of a hostile file is here.
//
// The process has the descriptors of a reader (package jail), with the request in
// the place of the rules, no jobs on its control socket, and the file as
// descriptor 6. It answers over its pipe:
//
//	frame    length u32, little-endian, of what follows, kind u8, body
//	ready    kind 1: the status of the jail (jail.Status)
//	refusal  kind 2: why it does not begin, text
//	answer   kind 3: bytes; the last frame
//	part     kind 4: bytes, any number of them before the answer, if they are wanted
package once

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
)

// subject is the descriptor of the file.
const subject = 6

const (
	frameReady   = 1
	frameRefusal = 2
	frameAnswer  = 3
	framePart    = 4

	maxRefusal = 1 << 10
	maxRequest = 128 << 20
	maxLog     = 4 << 10
)

// MaxPart is the length in bytes of the longest part of an answer (Job.Send).
const MaxPart = 256 << 10

// Options are how a job is done. The zero value of a field means its default.
type Options struct {
	Args      []string      // of the process's program, which is this one: what has Read called
	Env       []string      // besides what the jail sets
	Memory    int64         // bytes; default 1 GiB
	Timeout   time.Duration // default 10 minutes
	MaxAnswer int           // bytes; default 1 MiB
	// Part takes what the process sends before its answer, at most MaxPart bytes
	// each, valid until it returns. Its error ends the job and is what Run returns. If
	// it is nil, a process that sends a part is in the wrong.
	Part    func([]byte) error
	Scratch func() (*os.File, error) // opens an unlinked file; without one large layers are cut
	// AllowUnsealed takes a process whose jail does not hold, for tests.
	AllowUnsealed bool
}

// Run has one job done. The answer comes from a process that a hostile file may
// have taken over: whoever reads it must believe no more than that the file led to it.
func Run(ctx context.Context, request []byte, f *os.File, o Options) (answer []byte, status jail.Status, err error) {
	if o.Memory <= 0 {
		o.Memory = 1 << 30
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Minute
	}
	if o.MaxAnswer <= 0 {
		o.MaxAnswer = 1 << 20
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	j := job{o: o}
	defer j.close()
	if err := j.start(request, f); err != nil {
		return nil, status, fmt.Errorf("reader: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = j.proc.Kill() })
	defer stop()
	answer, err = j.receive()
	j.kill()
	switch {
	case j.refused != nil:
		return nil, j.status, j.refused
	case ctx.Err() != nil:
		return nil, j.status, fmt.Errorf("reader: %w", context.Cause(ctx))
	case err != nil:
		return nil, j.status, fmt.Errorf("reader: %w", err)
	}
	return answer, j.status, nil
}

// job is one process.
type job struct {
	o       Options
	starter *jail.Starter
	proc    *jail.Process
	result  *os.File
	log     *os.File
	status  jail.Status
	refused error // what Options.Part said
	ours    []*os.File
}

func (j *job) close() {
	for _, f := range j.ours {
		f.Close()
	}
	if j.starter != nil {
		j.starter.Close()
	}
}

// pipe returns a pipe: the read end, which is ours, is waited for by the
// runtime, and the write end blocks.
func (j *job) pipe() (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	err = unix.SetNonblock(fds[0], true)
	r, w = os.NewFile(uintptr(fds[0]), "answers"), os.NewFile(uintptr(fds[1]), "answers")
	j.ours = append(j.ours, r)
	return r, w, err
}

// memory returns a file in memory that nobody can change any more.
func memory(b []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("showcause-request", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "request")
	if _, err = f.Write(b); err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("file in memory: %w", err)
	}
	return f, nil
}

func (j *job) start(request []byte, f *os.File) error {
	var theirs []*os.File
	defer func() {
		for _, t := range theirs {
			t.Close()
		}
	}()
	if len(request) > maxRequest {
		return fmt.Errorf("a request of %d bytes", len(request))
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	theirs = append(theirs, null)
	var resultW, logW *os.File
	if j.result, resultW, err = j.pipe(); err != nil {
		return err
	}
	theirs = append(theirs, resultW)
	if j.log, logW, err = j.pipe(); err != nil {
		return err
	}
	theirs = append(theirs, logW)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	j.ours = append(j.ours, os.NewFile(uintptr(pair[0]), "control"))
	control := os.NewFile(uintptr(pair[1]), "control")
	theirs = append(theirs, control)
	req, err := memory(request)
	if err != nil {
		return err
	}
	theirs = append(theirs, req)
	files := make([]*os.File, subject+1)
	files[jail.Null], files[jail.Result], files[jail.Log], files[jail.Control], files[jail.Rules], files[subject] = null, resultW, logW, control, req, f
	if j.o.Scratch != nil {
		if s, err := j.o.Scratch(); err == nil {
			theirs = append(theirs, s)
			files[jail.Scratch] = s
		}
	}
	j.starter = jail.NewStarter()
	env := append([]string{"GOTRACEBACK=none", "GOMAXPROCS=2", fmt.Sprintf("SHOWCAUSE_MEMORY=%d", j.o.Memory)}, j.o.Env...)
	j.proc, err = j.starter.Start(jail.Command{Args: j.o.Args, Env: env, Files: files})
	return err
}

// kill ends the process, if it has not ended, and waits for it.
func (j *job) kill() {
	_ = j.proc.Kill()
	_, _ = j.proc.Wait()
}

// ErrDied says that the process ended, or was ended by the kernel, before its answer.
var ErrDied = errors.New("it ended without an answer")

var errUnsealed = errors.New("its jail does not hold")

// receive takes the frames up to the answer.
func (j *job) receive() ([]byte, error) {
	var parts []byte
	if j.o.Part != nil {
		parts = make([]byte, MaxPart)
	}
	for ready := false; ; {
		kind, body, err := readFrame(j.result, j.o.MaxAnswer, parts)
		switch {
		case err != nil:
			return nil, j.died(err)
		case kind == frameReady && !ready:
			if j.status, err = jail.ParseStatus(body); err != nil {
				return nil, err
			}
			if !j.status.Sealed() && !j.o.AllowUnsealed {
				return nil, errUnsealed
			}
			ready = true
		case kind == frameRefusal && !ready && len(body) <= maxRefusal:
			return nil, errors.New(showcause.Escape(string(body)))
		case kind == framePart && ready && j.o.Part != nil:
			if j.refused = j.o.Part(body); j.refused != nil {
				return nil, j.refused
			}
		case kind == frameAnswer && ready:
			return body, nil
		default:
			return nil, fmt.Errorf("a frame of kind %d out of turn", kind)
		}
	}
}

// died says why there is no answer.
func (j *job) died(err error) error {
	_ = j.proc.Kill()
	exit, _ := j.proc.Wait()
	var last bytes.Buffer
	_ = j.log.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.Copy(&last, io.LimitReader(j.log, maxLog))
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if text, _, _ := bytes.Cut(bytes.TrimSpace(last.Bytes()), []byte("\n")); len(text) > 0 {
		return fmt.Errorf("%w, %s: %s", ErrDied, exit, showcause.Escape(string(text)))
	}
	return fmt.Errorf("%w, %s", ErrDied, exit)
}

// readFrame reads one frame with a body of at most max bytes; a part into the
// room that there is for parts.
func readFrame(r io.Reader, max int, parts []byte) (kind uint8, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if head[4] == framePart {
		max = len(parts)
	}
	if n < 1 || int64(n)-1 > int64(max) {
		return 0, nil, fmt.Errorf("a frame of %d bytes", n)
	}
	if head[4] == framePart {
		body = parts[:n-1]
		if _, err := io.ReadFull(r, body); err != nil {
			return 0, nil, io.ErrUnexpectedEOF
		}
		return head[4], body, nil
	}
	var b bytes.Buffer // grows with what comes
	if _, err := io.CopyN(&b, r, int64(n)-1); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return head[4], b.Bytes(), nil
}

func appendFrame(kind uint8, body []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(1+len(body)))
	return append(append(b, kind), body...)
}
