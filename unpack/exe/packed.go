package exe

import (
	"bytes"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/emulate/windows"
	"github.com/showcause/showcause/unpack"
)

// OpImage is how a program is derived that was in memory when another had unpacked it.
const OpImage = "packed.image"

// Packed is the format of PE files that unpack themselves. They are run in an emulated
// process, and what is in its memory when instructions run that were written is a child: a
// program, or memory that the program asked for. What is told to be packed and did not
// come that far is a gap with the packer's name; what takes more steps than a program of
// its size is given is one too.
//
// The programs that come out are not run again: where one packer is over another, the run
// went through both.
func Packed() unpack.Format {
	return unpack.Format{
		Name: "packed",
		Match: func(p *unpack.Probe) bool {
			if p.Type != filetype.PE || !runs(p.Trail) {
				return false
			}
			f := readPE(file{src: p.Source}, false)
			return f != nil && (stubPE(f) != "" || f.unpacks())
		},
		Walk: walkPacked,
	}
}

// mostRuns is how many programs are run of which one came out of the other.
const mostRuns = 2

// runs tells whether a layer is to be run: it is no image, and not too many were run already.
func runs(t showcause.Trail) bool {
	n := 0
	for _, s := range t {
		if strings.HasPrefix(s.Op, "packed.") {
			n++
		}
	}
	return n < mostRuns && (len(t) == 0 || t[len(t)-1].Op != OpImage)
}

// Unread tells whether what packed a program hides it still, where these formats were read: an
// archive behind a program is unread only if no format read it, and what unpacks itself only if it did
// not, which its format says.
func Unread(packer string, t showcause.Trail, read map[string]bool) bool {
	archive, sfx := strings.CutSuffix(packer, "-sfx")
	ran := RunTime(packer) && (read["packed"] || len(t) > 0 && t[len(t)-1].Op == OpImage)
	return packer != "" && !(sfx && read[archive]) && !read[packer] && !ran
}

// RunTime tells whether a name that Packer gives is that of a packer whose programs
// unpack themselves: see Packed.
func RunTime(name string) bool {
	for _, c := range codes {
		if c.name == name {
			return true
		}
	}
	for _, s := range sectionNames {
		if s.name == name {
			return true
		}
	}
	return false
}

// unpacks tells a program that looks like it unpacks itself, whatever its packer: it starts
// in a section that may be written, or in none, or its first section is empty and for code.
func (p *pe) unpacks() bool {
	if p.entryRVA == 0 || len(p.Sections) == 0 {
		return false
	}
	if s := p.Sections[0]; s.Size == 0 && s.Exec && s.VirtualSize > 0 {
		return true
	}
	in := -1
	for i, s := range p.Sections {
		if uint64(p.entryRVA) >= s.Virtual && uint64(p.entryRVA) < s.Virtual+max(s.VirtualSize, uint64(s.Size)) {
			in = i
		}
	}
	return in < 0 || p.Sections[in].Exec && p.Sections[in].Write
}

const (
	stepCost  = 4             // work of a step
	baseSteps = 100_000_000   // that each program may take
	perByte   = 200           // and these for each byte of the file: decoders take 50 to 150
	mostSteps = 1_000_000_000 // of one program
)

func walkPacked(l showcause.Source, out *unpack.Out) {
	name := ""
	if f := readPE(file{src: l}, false); f != nil {
		name = stubPE(f)
	}
	r := windows.Run(l, windows.Options{
		Steps: min(baseSteps+perByte*l.Size(), mostSteps),
		Work:  func(n int64) bool { return out.Work(stepCost * n) },
	})
	for _, i := range r.Images {
		c := unpack.Child{Op: "packed.memory", Source: showcause.Bytes(i.Bytes), Size: int64(len(i.Bytes))}
		if i.PE {
			c.Op = OpImage
		}
		if !out.Child(c) || !programs(showcause.Bytes(i.Bytes), out) {
			return
		}
	}
	switch {
	case r.End == windows.Refused || r.Reached:
	case r.End == windows.Spent:
		out.Gap(showcause.LimitWork, 0, -1)
	case name != "":
		out.Gap(showcause.Unsupported+".packer."+showcause.Code(name), 0, -1)
	}
}

// programs gives the programs in an image, each to the end that it has by its own headers: what
// follows it in memory is not its own.
func programs(b showcause.Bytes, out *unpack.Out) bool {
	for at := 1; at < len(b); at++ {
		i := bytes.Index(b[at:], []byte("MZ"))
		if i < 0 {
			break
		}
		at += i
		if !peAt(b[at:]) || !out.Work(4096) {
			continue
		}
		n := int64(len(b) - at)
		if p := parsePE(file{src: b[at:]}); p == nil {
			continue
		} else if p.Overlay > 0 {
			n = p.Overlay
		}
		if !out.Child(unpack.Child{Op: "packed.program", Source: b[at : int64(at)+n], Size: n}) {
			return false
		}
	}
	return true
}

// named tells whether a packer's name for a section is among those of a file.
func (p *pe) named() string {
	for _, s := range sectionNames {
		if p.section(s.section) != nil {
			return s.name
		}
	}
	return ""
}

// emptyFirst tells UPX with other names on its sections: an empty one to unpack into, and
// the mark of its header where it stands before the first packed byte.
func (p *pe) emptyFirst() bool {
	return len(p.Sections) > 1 && p.Sections[0].Size == 0 && p.Sections[0].Exec && strings.Contains(string(p.f.upTo(0, 4096)), "UPX!")
}
