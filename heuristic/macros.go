package heuristic

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/binary/vba"
)

// Macros of compound files.
const (
	MacrosVBA = "Heuristics.OLE2.ContainsMacros.VBA"
	MacrosXLM = "Heuristics.OLE2.ContainsMacros.XLM"
)

// maxBook is how much of a workbook is read, bytes.
const maxBook = 64 << 20

// macrosCheck reads a rule about macros. Its matches are the first stretch of what lists the
// modules of a project, or of the workbook with a sheet of macros.
func macrosCheck(find func(f *cfb.File, work func(int64) bool) []int) func(options) (runner, error) {
	return func(options) (runner, error) {
		return func(l *Layer) ([]showcause.Match, map[int]int, bool) {
			var f found
			if !l.is([]string{"ole2"}) {
				return nil, nil, true
			}
			whole := true
			work := func(n int64) bool {
				whole = l.Work(n) && whole
				return whole
			}
			file := cfb.Open(l.Source, work)
			if !file.OK {
				return nil, nil, whole
			}
			for _, i := range find(file, work) {
				if places, _ := file.Place(i); len(places) > 0 {
					f.add(0, [2]int64{places[0].At, places[0].Size})
				}
			}
			return f.matches, f.counts, whole
		}, nil
	}
}

// projects returns the entries that list the modules of a project, where a document has one.
func projects(f *cfb.File, work func(int64) bool) (out []int) {
	document := slices.ContainsFunc(f.Entries, func(e cfb.Entry) bool {
		return slices.Contains([]string{"_vba_project", "powerpoint document", "worddocument", "\x01ole10native"}, strings.ToLower(e.Name))
	})
	if !document {
		return nil
	}
	for i := range f.Entries {
		if k := f.Entries[i].Kind; k != cfb.Storage && k != cfb.Root {
			continue
		}
		if p, _ := vba.At(f, i, work); p != nil && len(p.Modules) > 0 {
			out = append(out, f.Find(i, "dir"))
		}
	}
	return out
}

// sheets returns the workbooks with a sheet of macros ([MS-XLS] 2.4.28, BoundSheet8).
func sheets(f *cfb.File, work func(int64) bool) (out []int) {
	for i := range f.Entries {
		name := strings.ToLower(f.Entries[i].Name)
		if f.Entries[i].Kind != cfb.Stream || name != "workbook" && name != "book" {
			continue
		}
		b, _ := f.Read(i, maxBook)
		if !work(int64(len(b) / 4)) {
			return out
		}
		if hasMacroSheet(b) {
			out = append(out, i)
		}
	}
	return out
}

func hasMacroSheet(b []byte) bool {
	const boundSheet, macros = 0x85, 1
	for len(b) >= 4 {
		n := int(binary.LittleEndian.Uint16(b[2:]))
		data := b[4:min(4+n, len(b))]
		if binary.LittleEndian.Uint16(b) == boundSheet && len(data) > 5 && data[5] == macros {
			return true
		}
		b = b[4+len(data):]
	}
	return false
}
