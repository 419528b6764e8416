package accept

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve/queue"
)

// Stream takes the bytes of a request. Close gives back what it holds; it comes after Scan.
type Stream interface {
	io.Writer
	io.Closer
	Size() int64
	File() (*os.File, error) // what was written, for the caller to close, its place anywhere
}

// Request is one thing to scan.
type Request struct {
	Client string
	Name   string
	Stream Stream
	Gaps   []showcause.Gap // what the door itself knows not to have been read
}

// Scanner is what stands behind a door. Errors are those of serve/queue.
type Scanner interface {
	// Receive returns where bytes go; limit 0 is no limit.
	Receive(ctx context.Context, client string, limit int64) (Stream, error)
	Scan(ctx context.Context, r Request) (queue.Said, error)
	// Digest names the rules, and Version tells of what age they are; either may be "".
	Digest() string
	Version() string
}

// Behind is a Scanner that is a queue, and the policy by which its answers are told.
type Behind struct {
	Door    string
	Queue   *queue.Queue
	Policy  queue.Policy
	Timeout time.Duration // of one request; 0 is none
	// Acted is told of each answer because of which the door does something, as findings are
	// answered; nil is none.
	Acted func(*queue.Job, *queue.Answer)
	// Passed is told of each answer that is an error, where the door lets pass what it is of; nil
	// where it does not.
	Passed func(*queue.Job, *queue.Answer)
}

// Receive implements Scanner.
func (b *Behind) Receive(ctx context.Context, client string, limit int64) (Stream, error) {
	s, err := b.Queue.Receive(ctx, client, limit)
	if err != nil {
		return nil, err // not s: a nil in an interface is none
	}
	return s, nil
}

// Scan implements Scanner. Its streams are those of Receive.
func (b *Behind) Scan(ctx context.Context, r Request) (queue.Said, error) {
	j := queue.Job{Door: b.Door, Client: r.Client, Name: r.Name, Content: r.Stream.(*queue.Spool), Gaps: r.Gaps}
	j.Options.Passes = b.Passed != nil
	if b.Timeout > 0 {
		j.Deadline = time.Now().Add(b.Timeout)
	}
	a, err := b.Queue.Scan(ctx, j)
	if err != nil {
		return queue.Said{}, err
	}
	said := b.Policy.Say(&a)
	switch {
	case said.Act && b.Acted != nil:
		b.Acted(&j, &a)
	case said.Failed != "" && b.Passed != nil:
		b.Passed(&j, &a)
	}
	return said, nil
}

// Digest implements Scanner.
func (b *Behind) Digest() string { return b.Queue.Rules().Digest }

// Version implements Scanner.
func (b *Behind) Version() string { return b.Queue.Rules().Version }

// Word makes what strangers wrote fit for a line of a protocol: printable ASCII, and
// none of except; anything else becomes an underscore. It is cut at 256 bytes.
func Word(text, except string) string {
	text = text[:min(len(text), 256)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(except, r) {
			return '_'
		}
		return r
	}, text)
}
