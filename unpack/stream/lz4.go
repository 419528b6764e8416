package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var (
	lz4Magic  = []byte{0x04, 0x22, 0x4d, 0x18}
	lz4Legacy = []byte{0x02, 0x21, 0x4c, 0x18}

	errLZ4 = errors.New("lz4: invalid data")
)

const (
	lz4LegacyBlock = 8 << 20  // bytes that a block of the legacy format gives
	lz4Reach       = 64 << 10 // bytes back that a match may begin
)

// LZ4 reads LZ4 files: frames, legacy frames and skippable frames
// (lz4_Frame_format.md 1.6.4). Frames that follow each other are one child, as
// lz4 joins them; what a skippable frame holds is one too, "lz4.skippable".
//
//	frame  = magic, FLG, BD, [content size], [dictionary], header check,
//	         block*, 0, [content check]
//	block  = size and a bit for "stored", data, [block check]
//	legacy = magic, block*     up to the end or another magic
func LZ4() unpack.Format {
	return unpack.Format{
		Name:  "lz4",
		Match: func(p *unpack.Probe) bool { return frames(p, lz4Magic, lz4Legacy) },
		Walk:  lz4Walk,
	}
}

func lz4Walk(src showcause.Source, out *unpack.Out) {
	walkRuns(src, out, streams{
		op:    "lz4.stream",
		magic: lz4Magic,
		open:  func(off int64) run { return &lz4Run{in: newInput(src, off), out: out} },
		after: func(r run, _ int64) bool { return r.(*lz4Run).skipped.give(src, out, "lz4.skippable") },
	})
}

// lz4Run reads frames up to the first that does not begin where the one before
// ends.
type lz4Run struct {
	damage // frames
	skipped

	in  *input
	out *unpack.Out

	open   bool
	legacy bool
	linked bool // blocks may look back into those before them
	check  bool // blocks have a check
	sum    *xxh32
	size   int64 // declared, -1 if not
	most   int   // bytes that a block may give
	n      int64
	from   int64

	comp []byte // a block as it stands
	win  []byte // up to lz4Reach bytes of what was before, then the block
	out0 int    // first byte of win that is not read yet
	err  error
	late error // comes when win is read
}

func (l *lz4Run) end() int64 { return l.in.offset() }

func (l *lz4Run) free() {
	l.in.free()
	l.comp, l.win = nil, nil
}

// Read implements io.Reader.
func (l *lz4Run) Read(p []byte) (int, error) {
	for l.err == nil {
		if l.out0 < len(l.win) {
			n := copy(p, l.win[l.out0:])
			l.out0 += n
			return n, nil
		}
		if l.late != nil {
			l.err = l.late
		} else if !l.out.Work(256) {
			l.err = unpack.Fail(showcause.LimitWork)
		} else if !l.open {
			l.err = l.next()
		} else {
			l.err = l.block()
		}
	}
	return 0, l.err
}

// next begins a frame, past skippable ones; io.EOF where there is none.
func (l *lz4Run) next() error {
	l.from = l.in.offset()
	b, _ := l.in.Peek(8)
	switch {
	case len(b) == 8 && skippable(b):
		l.in.Discard(8)
		n := int64(binary.LittleEndian.Uint32(b[4:]))
		_, err := io.CopyN(io.Discard, l.in, n)
		if err == nil {
			l.pass(l.from+8, n)
		}
		return bound.CutShort(err)
	case bytes.HasPrefix(b, lz4Legacy):
		l.in.Discard(4)
		*l = lz4Run{
			in: l.in, out: l.out, open: true, legacy: true, size: -1, most: lz4LegacyBlock,
			from: l.from, damage: l.damage, skipped: l.skipped, comp: l.comp, win: l.win[:0],
		}
		return nil
	case bytes.HasPrefix(b, lz4Magic):
		l.in.Discard(4)
		return l.header()
	}
	return io.EOF
}

func (l *lz4Run) header() error {
	h := make([]byte, 2, 15)
	if err := l.in.full(h); err != nil {
		return err
	}
	flg, bd := h[0], h[1]
	if flg>>6 != 1 {
		return unpack.Fail(showcause.Unsupported + ".method.lz4-version")
	}
	n := 1 // the header check
	if flg&8 != 0 {
		n += 8
	}
	if flg&1 != 0 {
		n += 4
	}
	h = h[:2+n]
	if err := l.in.full(h[2:]); err != nil {
		return err
	}
	size := int64(-1)
	if flg&8 != 0 {
		size = int64(binary.LittleEndian.Uint64(h[2:]) & (1<<63 - 1))
	}
	if flg&1 != 0 && binary.LittleEndian.Uint32(h[len(h)-5:]) != 0 {
		return unpack.Fail(showcause.Unsupported + ".method.lz4-dictionary")
	}
	most := bd >> 4 & 7
	if most < 4 {
		return errLZ4
	}
	*l = lz4Run{
		in: l.in, out: l.out, open: true, linked: flg&0x20 == 0, check: flg&0x10 != 0, size: size,
		most: 1 << (8 + 2*most), from: l.from, damage: l.damage, skipped: l.skipped, comp: l.comp, win: l.win[:0],
	}
	if flg&4 != 0 {
		l.sum = newXXH32()
	}
	x := newXXH32()
	x.write(h[:len(h)-1])
	if byte(x.sum()>>8) != h[len(h)-1] {
		l.note(l.from)
	}
	return nil
}

// block reads the next block into win, or ends the frame.
func (l *lz4Run) block() error {
	b, _ := l.in.Peek(4)
	if l.legacy && (len(b) == 0 || len(b) == 4 && (bytes.Equal(b, lz4Legacy) || bytes.Equal(b, lz4Magic) || skippable(b))) {
		l.open = false
		return nil
	}
	if len(b) < 4 {
		l.in.Discard(len(b))
		return io.ErrUnexpectedEOF
	}
	v := binary.LittleEndian.Uint32(b)
	n := int(v &^ (1 << 31))
	if l.legacy {
		if n = int(v); v == 0 || n > lz4LegacyBlock+lz4LegacyBlock/255+16 {
			l.open = false // not a block: what follows is something else
			return nil
		}
	} else if n > l.most {
		return errLZ4
	}
	l.in.Discard(4)
	if v == 0 {
		return l.frameEnd()
	}
	if err := l.read(n); err != nil {
		l.late = err
	} else if l.check {
		var c [4]byte
		if l.late = l.in.full(c[:]); l.late == nil {
			x := newXXH32()
			if x.write(l.comp); x.sum() != binary.LittleEndian.Uint32(c[:]) {
				l.note(l.from)
			}
		}
	}
	return l.expand(!l.legacy && v>>31 != 0)
}

// read reads n bytes into comp. Memory grows with what is really there.
func (l *lz4Run) read(n int) error {
	l.comp = l.comp[:0]
	for len(l.comp) < n {
		at := len(l.comp)
		step := min(n-at, max(64<<10, at))
		l.comp = append(l.comp, make([]byte, step)...)
		m, err := io.ReadFull(l.in, l.comp[at:])
		if err != nil {
			l.comp = l.comp[:at+m]
			return bound.CutShort(err)
		}
	}
	return nil
}

// expand decodes comp behind what win keeps. On an error, what came before it
// is given.
func (l *lz4Run) expand(stored bool) error {
	if !l.linked {
		l.win = l.win[:0]
	} else if over := len(l.win) - lz4Reach; over > 0 {
		l.win = l.win[:copy(l.win, l.win[over:])]
	}
	l.out0 = len(l.win)
	if stored {
		l.win = append(l.win, l.comp...)
	} else {
		var err error
		if l.win, err = lz4Expand(l.win, l.comp, l.most); err != nil && l.late == nil {
			l.late = err
		}
	}
	l.n += int64(len(l.win) - l.out0)
	if l.sum != nil {
		l.sum.write(l.win[l.out0:])
	}
	return nil
}

func (l *lz4Run) frameEnd() error {
	l.open = false
	if l.size >= 0 && l.size != l.n {
		l.note(l.from)
	}
	if l.sum == nil {
		return nil
	}
	var c [4]byte
	if err := l.in.full(c[:]); err != nil {
		return err
	}
	if l.sum.sum() != binary.LittleEndian.Uint32(c[:]) {
		l.note(l.from)
	}
	return nil
}

// lz4Expand decodes one block (lz4_Block_format.md) and appends it to dst, at
// most that many bytes. It returns what it decoded also with an error.
func lz4Expand(dst, src []byte, most int) ([]byte, error) {
	limit := len(dst) + most
	number := func(n int) (int, bool) {
		if n < 15 {
			return n, true
		}
		for len(src) > 0 {
			c := src[0]
			src = src[1:]
			if n += int(c); c < 255 {
				return n, true
			}
		}
		return n, false
	}
	for len(src) > 0 {
		token := src[0]
		src = src[1:]
		n, ok := number(int(token >> 4))
		if !ok {
			return dst, errLZ4
		}
		have := min(n, len(src), limit-len(dst))
		dst = append(dst, src[:have]...)
		src = src[have:]
		if have < n {
			return dst, errLZ4
		}
		if len(src) == 0 {
			return dst, nil // the last sequence has no match
		}
		if len(src) < 2 {
			return dst, errLZ4
		}
		dist := int(src[0]) | int(src[1])<<8
		src = src[2:]
		n, ok = number(int(token & 15))
		if n += 4; !ok || dist == 0 || dist > len(dst) || n > limit-len(dst) {
			return dst, errLZ4
		}
		for n > 0 {
			from := len(dst) - dist
			m := min(n, dist)
			dst = append(dst, dst[from:from+m]...)
			n -= m
		}
	}
	return dst, errLZ4
}
