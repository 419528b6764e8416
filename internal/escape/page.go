//go:build linux && (amd64 || arm64)

package escape

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A page is machine code in memory.
type page []byte

// codePage writes code into fresh memory; it can be run after run or once protect made it executable.
func codePage(code []byte) (page, error) {
	p, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("code page: %w", err)
	}
	copy(p, code)
	return p, nil
}

// executable is a page made executable before the lock, as a program's own text is.
func executable(name string, code func() []byte) func(*ground) error {
	return func(g *ground) error {
		p, err := codePage(code())
		if err != nil {
			return err
		}
		if err := unix.Mprotect(p, unix.PROT_READ|unix.PROT_EXEC); err != nil {
			return fmt.Errorf("code page: %w", err)
		}
		g.pages[name] = p
		return nil
	}
}

func (p page) address() uintptr { return uintptr(unsafe.Pointer(&p[0])) }

// run calls the code with the address of its words and gives what it leaves in the first result register.
// A Go function value is a pointer to a word that holds the address of its code; this makes one by hand.
func (p page) run(words uintptr) int64 {
	entry := unsafe.Pointer(&p[0])
	value := unsafe.Pointer(&entry)
	f := *(*func(uintptr) int64)(unsafe.Pointer(&value))
	return f(words)
}

// gate makes a call by a page of code.
func (g *ground) gate(name string, words ...uintptr) (int64, error) {
	w := make([]uintptr, 7)
	copy(w, words)
	r := g.pages[name].run(g.words(w...))
	if r < 0 && r > -4096 {
		return r, unix.Errno(-r)
	}
	return r, nil
}

// ran says nil if the code at address, mapped n bytes, gives 42 when it is run.
func ran(p page) error {
	if r := p.run(0); r != 42 {
		return fmt.Errorf("code ran, gave %d", r)
	}
	return nil
}

// mapped makes a page of memory that a raw mmap gave.
func mapped(addr uintptr) page {
	// vet takes the conversion of a plain integer for a mistake; the address is of a mapping that is not the collector's.
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), 4096)
}
