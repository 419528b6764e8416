package made

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// RuleSet names N rules of a kind. A kind that is not one of those below is
// somebody else's, without a number.
type RuleSet struct {
	Kind string
	N    int
}

// Kinds of rule sets that are made. Each holds what finds the planted files.
const (
	Hashes   = "hashes"   // MD5 and size of whole files
	Mixed    = "literals" // 24 bytes each, noise and drawn in turn
	Noise    = "random"   // 24 random bytes each
	Drawn    = "drawn"    // 24 bytes each of this system's programs, with one byte changed
	Prefixed = "prefix"   // one beginning for all, which ordinary files have
	Common   = "common"   // 6 bytes each that are frequent in programs
)

func (r RuleSet) String() string {
	if r.N == 0 {
		return r.Kind
	}
	return r.Kind + " " + Thousands(r.N)
}

// Thousands writes 1234567 as 1,234,567.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// PlantedFiles is how many files of every corpus are found by every rule set
// that is made: a scanner that finds another number did other work.
const PlantedFiles = 8

const literalSize = 24 // bytes of a pattern that is made

// commonPrefix is the beginning of all patterns of a prefixed set: files of
// every kind hold runs of zeros.
var commonPrefix = string(make([]byte, 16))

// plantedLiteral is pattern i of the literal sets.
func plantedLiteral(i int) []byte {
	return randomBytes(rand.New(rand.NewPCG(51, uint64(i))), literalSize)
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Planted is file i: what the sets find, between bytes that nothing finds.
func Planted(i int) []byte {
	r := rand.New(rand.NewPCG(52, uint64(i)))
	lit := plantedLiteral(i)
	var b bytes.Buffer
	b.WriteByte(0xf1) // of no known type
	for _, part := range [][]byte{lit, append([]byte(commonPrefix), lit[:8]...), lit[:6]} {
		b.Write(randomBytes(r, 1000+i))
		b.Write(part)
	}
	b.Write(randomBytes(r, 1000))
	return b.Bytes()
}

// Patterns calls f with each pattern of a set, in order, the same each time on
// the same system.
func (r RuleSet) Patterns(system []byte, f func(i int, pattern []byte) error) error {
	rnd := rand.New(rand.NewPCG(53, 53))
	frequent := []byte{0x8b, 0x89, 0x48, 0x0f, 0xe8, 0x00, 0xff, 0x83, 0x24, 0x4c, 0x85, 0xc0, 0x74, 0x75, 0x01, 0x8d}
	for i := range r.N {
		var p []byte
		switch {
		case r.Kind == Prefixed:
			p = append([]byte(commonPrefix), randomBytes(rnd, 8)...)
			if i < PlantedFiles {
				p = append([]byte(commonPrefix), plantedLiteral(i)[:8]...)
			}
		case r.Kind == Common:
			p = randomBytes(rnd, 6)
			for k := range p {
				p[k] = frequent[p[k]&15]
			}
			if i < PlantedFiles {
				p = plantedLiteral(i)[:6]
			}
		case i < PlantedFiles:
			p = plantedLiteral(i)
		case r.Kind == Drawn || r.Kind == Mixed && i%2 == 1:
			p = drawFrom(system, rnd)
		default:
			p = randomBytes(rnd, literalSize)
		}
		if err := f(i, p); err != nil {
			return err
		}
	}
	return nil
}

// drawFrom takes bytes from somewhere and changes the middle one, so that they
// very likely occur nowhere, and their halves do. Runs of few values are passed over.
func drawFrom(system []byte, r *rand.Rand) []byte {
	for range 100 {
		if len(system) < literalSize {
			break
		}
		at := r.IntN(len(system) - literalSize + 1)
		p := bytes.Clone(system[at : at+literalSize])
		var seen [256]bool
		distinct := 0
		for _, c := range p {
			if !seen[c] {
				seen[c] = true
				distinct++
			}
		}
		if distinct >= 10 {
			p[literalSize/2] ^= byte(1 + r.IntN(255))
			return p
		}
	}
	return randomBytes(r, literalSize)
}

// SystemBytes reads up to limit bytes of files, at most 1 MB of each.
func SystemBytes(roots []string, limit int) []byte {
	var out []byte
	for _, root := range roots {
		_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || len(out) >= limit {
				return nil
			}
			f, err := os.Open(path)
			if err != nil {
				return nil
			}
			defer f.Close()
			data, _ := io.ReadAll(io.LimitReader(f, int64(min(1<<20, limit-len(out)))))
			out = append(out, data...)
			return nil
		})
	}
	return out
}

// Write writes a set as ClamAV signatures, or as YARA rules.
func (r RuleSet) Write(path string, yara bool, system []byte) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if r.Kind == Hashes {
		r.writeHashes(w)
		return w.Flush()
	}
	err = r.Patterns(system, func(i int, p []byte) error {
		if yara {
			_, err := fmt.Fprintf(w, "rule r%d { strings: $a = { %x } condition: $a }\n", i, p)
			return err
		}
		_, err := fmt.Fprintf(w, "Bench.%s-%d:0:*:%x\n", r.Kind, i, p)
		return err
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// writeHashes writes MD5:size:name lines; the sizes are spread evenly over their
// logarithms, from 1 KB to 4 MB. An error stays in w.
func (r RuleSet) writeHashes(w *bufio.Writer) {
	rnd := rand.New(rand.NewPCG(54, 54))
	for i := range r.N {
		size := 1<<10 + int(rnd.Uint64()>>52)<<rnd.IntN(11)
		sum := [md5.Size]byte(randomBytes(rnd, md5.Size))
		if i < PlantedFiles {
			data := Planted(i)
			sum, size = md5.Sum(data), len(data)
		}
		var line [96]byte
		b := hex.AppendEncode(line[:0], sum[:])
		b = fmt.Appendf(b, ":%d:Bench.Hash-%d\n", size, i)
		_, _ = w.Write(b)
	}
}
