package inline

import (
	"bytes"
	"io"
	"strings"

	"github.com/klauspost/compress/zlib"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/lnk"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// ActiveMime reads what Office keeps macros and objects in where a document is text
// (editdata.mso, oledata.mso): a compound file that is compressed, "mso.data", behind a head whose
// length differs. No specification is known; the places are those that Office writes.
func ActiveMime() unpack.Format {
	return unpack.Format{
		Name:  "mso",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, []byte("ActiveMime")) },
		Walk:  activeWalk,
	}
}

func activeWalk(src showcause.Source, out *unpack.Out) {
	head := bound.Head(src, 4<<10)
	if !out.Work(64) {
		return
	}
	places := []int{0x32, 0x22a}
	if len(head) >= 0x20 {
		places = append([]int{int(le.Uint16(head[0x1e:])) + 46}, places...)
	}
	for i := range max(len(head)-1, 0) {
		places = append(places, i) // and where else one begins
	}
	for _, at := range places {
		if at+2 > len(head) || head[at] != 0x78 || (int(head[at])<<8|int(head[at+1]))%31 != 0 {
			continue
		}
		// It is one if it gives a byte.
		if !out.Work(1 << 10) {
			return
		}
		if z, err := zlib.NewReader(bound.Reader(src, int64(at), -1)); err != nil {
			continue
		} else if n, _ := io.ReadFull(z, make([]byte, 1)); n == 0 {
			continue
		}
		if z, err := zlib.NewReader(bound.Reader(src, int64(at), -1)); err == nil {
			out.Child(unpack.Child{Op: "mso.data", Reader: z, Size: -1, Deflate: true})
		}
		return
	}
	out.Gap(showcause.Corrupt, 0, src.Size())
}

// Link reads a shell link ([MS-SHLLINK]): its texts, a line each, as UTF-8, "lnk.text": where it
// leads, what is called with which arguments; and what is behind it, "lnk.rest".
func Link() unpack.Format {
	const start = "L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"
	return unpack.Format{
		Name:  "lnk",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, []byte(start)) },
		Walk:  linkWalk,
	}
}

func linkWalk(src showcause.Source, out *unpack.Out) {
	f := lnk.Parse(src, out.Work)
	var lines []string
	for _, t := range []lnk.Text{f.BasePath, f.PathSuffix, f.Name, f.RelativePath, f.WorkingDir, f.Arguments, f.IconLocation, f.Label} {
		if t.Have && t.Value != "" {
			lines = append(lines, t.Value)
		}
	}
	if text := strings.Join(lines, "\n"); text != "" && !out.Child(unpack.Child{Op: "lnk.text", Source: showcause.Bytes(text), Size: int64(len(text))}) {
		return
	}
	if f.Unended {
		return
	}
	if !f.OK {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	if f.Short() {
		out.Gap(showcause.LimitWork, 0, -1)
	}
	out.Tail(src, f.OverlayOffset, "lnk.rest")
}
