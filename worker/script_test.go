package worker

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/worker/wire"
)

func md5hex(b []byte) string {
	s := md5.Sum(b)
	return hex.EncodeToString(s[:])
}

// hold keeps memory and the compiler from being clever.
var hold [][]byte

var scriptEncoder = sync.OnceValue(func() *wire.Encoder { return wire.NewEncoder(&wire.Settings{}) })

// script is the scan of a reader that does what a file says, in its first line.
func script(src showcause.Source) showcause.Report {
	r := showcause.Report{Type: "text", Size: src.Size(), Spent: showcause.Spent{Bytes: src.Size(), Objects: 1}}
	head := string(bound.Head(src, 1<<10))
	line, _, _ := strings.Cut(head, "\n")
	words := strings.Fields(line + " . .")
	number := func(i int) uint64 { n, _ := strconv.ParseUint(words[i], 10, 64); return n }
	e := scriptEncoder()
	say := func(b []byte) {
		for len(b) > 0 {
			n, err := unix.Write(1, b)
			if err != nil && err != unix.EINTR {
				os.Exit(7)
			}
			b = b[max(n, 0):]
		}
	}
	switch words[0] {
	case "find":
		r.Findings = []showcause.Finding{{Index: uint32(number(1)), Matches: []showcause.Match{{Pattern: 0, Offset: 0, Length: 4}}}}
	case "objects":
		r.Spent.Objects = int64(number(1))
	case "bytes":
		r.Spent.Bytes = int64(number(1))
	case "sleep":
		time.Sleep(time.Duration(number(1)) * time.Millisecond)
	case "segv":
		at := uintptr(0x646561640000)
		hold = append(hold, []byte{**(**byte)(unsafe.Pointer(&at))})
	case "exit":
		os.Exit(int(number(1)))
	case "panic":
		done := make(chan bool)
		go func() { panic("a goroutine of a decoder") }()
		<-done
	case "recovered":
		panic("in the scan itself")
	case "abort":
		unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGABRT)
		time.Sleep(time.Minute)
	case "stack":
		var deep func(int) int
		deep = func(n int) int { return deep(n+1) + len(hold) }
		deep(0)
	case "socket":
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			os.Exit(8)
		}
		unix.Close(fd)
	case "loop":
		for x := uint64(1); x != 0; x = x*3 | 1 {
			if x == 2 {
				hold = nil
			}
		}
	case "swell":
		for {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			hold = append(hold, b)
		}
	case "garbage":
		say([]byte(strings.Repeat("\xa5no frame at all", 100)))
	case "empty-frame":
		say([]byte{0, 0, 0, 0})
	case "kind":
		say(wire.AppendFrame(nil, 77, nil))
	case "ready":
		say(wire.AppendFrame(nil, wire.FrameReady, make([]byte, 64)))
	case "refusal":
		say(wire.AppendFrame(nil, wire.FrameRefusal, []byte("I will not")))
	case "twice", "other": // with the number of a job
		say(e.Report(nil, number(1), &r))
	case "huge": // counts
		b := e.Report(nil, number(1), &r)
		binary.LittleEndian.PutUint32(b[wire.FrameHead+wire.ReportHead-12:], 0xfffffff0)
		say(b)
	case "huge-frame":
		say([]byte{0xff, 0xff, 0xff, 0xff, wire.FrameReport})
	case "stall":
		b := e.Report(nil, number(1), &r)
		say(b[:len(b)/2])
		time.Sleep(time.Hour)
	case "half":
		b := e.Report(nil, number(1), &r)
		say(b[:len(b)/2])
		os.Exit(0)
	case "quit":
		os.Exit(0)
	case "close":
		unix.Close(1)
		time.Sleep(time.Hour)
	case "deaf": // hangs up, answers, and is there
		unix.Close(3)
		say(e.Report(nil, number(1), &r))
		time.Sleep(time.Hour)
	case "guess": // answers what it does not take
		for id := number(1); ; id++ {
			say(e.Report(nil, id, &r))
			time.Sleep(3 * time.Millisecond)
		}
	case "later": // calls what is not allowed, with nothing to read
		time.AfterFunc(50*time.Millisecond, func() { unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0) })
	case "flood":
		b := e.Report(nil, number(1), &r)
		for {
			say(b)
		}
	case "log":
		for range 100 {
			fmt.Fprintln(os.Stderr, strings.Repeat("out of\x1b tune ", 1000))
		}
		os.Exit(2)
	case "gaps":
		for range number(1) {
			r.Gaps = append(r.Gaps, showcause.Gap{Code: showcause.Corrupt, Offset: 0, Length: 1})
		}
	}
	return r
}
