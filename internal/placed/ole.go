package placed

import (
	"fmt"
	"path"
	"strings"
)

// leaf is a stream of a compound file, by its path.
type leaf struct{ path, data string }

const (
	noEntry = 0xffffffff
	noMore  = 0xfffffffe
)

// sectors are those of a file that is written, and the table of what follows each.
type sectors struct {
	size int
	data []byte
	next []uint32
}

// put appends a chain and returns its first sector.
func (s *sectors) put(b string) uint32 {
	if b == "" {
		return noMore
	}
	first := len(s.next)
	n := (len(b) + s.size - 1) / s.size
	s.data = append(append(s.data, b...), make([]byte, n*s.size-len(b))...)
	for i := range n {
		s.next = append(s.next, uint32(first+i+1))
	}
	s.next[len(s.next)-1] = noMore
	return uint32(first)
}

// table is the table itself, filled up to whole sectors of so many bytes.
func (s *sectors) table(size int) string {
	var b []byte
	for _, v := range s.next {
		b = le.AppendUint32(b, v)
	}
	return string(b) + strings.Repeat("\xff", (size-len(b)%size)%size)
}

// compoundOf writes a compound file of sectors of 1<<shift bytes ([MS-CFB]). A stream of
// fewer than 4,096 bytes stands among the small ones.
func compoundOf(shift int, leaves ...leaf) []byte {
	type entry struct {
		name               string
		kind               byte
		right, child, from uint32
		size, last         int
	}
	big, small := &sectors{size: 1 << shift}, &sectors{size: 64}
	all := []*entry{{name: "Root Entry", kind: 5, right: noEntry, child: noEntry}}
	folders := map[string]*entry{".": all[0]}
	var add func(p string, e *entry)
	add = func(p string, e *entry) {
		in, ok := folders[path.Dir(p)]
		if !ok {
			in = &entry{kind: 1, from: 0}
			folders[path.Dir(p)] = in
			add(path.Dir(p), in)
		}
		e.name, e.right, e.child = path.Base(p), noEntry, noEntry
		k := uint32(len(all))
		if all = append(all, e); in.last > 0 {
			all[in.last].right = k
		} else {
			in.child = k
		}
		in.last = int(k)
	}
	for _, x := range leaves {
		e := &entry{kind: 2, size: len(x.data)}
		if e.from = noMore; len(x.data) >= 4096 {
			e.from = big.put(x.data)
		} else {
			e.from = small.put(x.data)
		}
		add(x.path, e)
	}
	all[0].size, all[0].from = len(small.data), big.put(string(small.data))
	smallTable := small.table(big.size)
	firstSmall := big.put(smallTable)
	var dir strings.Builder
	for _, e := range all {
		name := wide(e.name)
		fmt.Fprintf(&dir, "%s%s%s%c\x01%s%s%s%s%s%s%s", name, strings.Repeat("\x00", 64-len(name)), u16(len(name)+2), e.kind,
			u32(noEntry), u32(int(e.right)), u32(int(e.child)), strings.Repeat("\x00", 36), u32(int(e.from)), u32(e.size), u32(0))
	}
	firstDir := big.put(dir.String())
	tables := len(big.next)*4/big.size + 1
	for range tables {
		big.next = append(big.next, 0xfffffffd)
	}
	version := 3
	if shift == 12 {
		version = 4
	}
	head := "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 16) + u16(0x3e) + u16(version) + "\xfe\xff" + u16(shift) + u16(6) + strings.Repeat("\x00", 10) +
		u32(tables) + u32(int(firstDir)) + u32(0) + u32(4096) + u32(int(firstSmall)) + u32(len(smallTable)/big.size) + u32(noMore) + u32(0)
	for i := range 109 {
		if i < tables {
			head += u32(len(big.data)/big.size + i)
		} else {
			head += u32(noEntry)
		}
	}
	head += strings.Repeat("\x00", big.size-len(head))
	return []byte(head + string(big.data) + big.table(big.size))
}

// long is more than stands among the small streams, the marker in front.
var long = body + strings.Repeat("what follows it is long enough for sectors of its own. ", 90)

// streamNames are streams that documents have.
var streamNames = []string{
	"WordDocument", "1Table", "0Table", "Data", "Workbook", "Book", "PowerPoint Document", "Current User", "Pictures", "Contents", "Package", "CONTENTS", "VisioDocument", "Quill/QuillSub/CONTENTS", "Escher/EscherStm",
	"\x05SummaryInformation", "\x05DocumentSummaryInformation", "\x01CompObj", "\x01Ole", "\x03ObjInfo", "\x01Ole10ItemName", "ObjectPool/_1/Contents", "ObjectPool/_1/Package", "Macros/PROJECT", "Macros/VBA/_VBA_PROJECT",
	"Macros/VBA/__SRP_0", "MBD00000001/Contents", "_signatures", "\x06DataSpaces/Version", "MsoDataStore/item/Item", "Root Entry", "a/b/c/d/e/f/g/h", "PrvText", "DocInfo", "BodyText/Section0", "__properties_version1.0",
}

func compound(l *list) {
	for _, n := range streamNames {
		l.add("ole2/stream/"+strings.ReplaceAll(n, "/", " in "), compoundOf(9, leaf{"first", "x"}, leaf{n, long}))
		l.add("ole2/small/"+strings.ReplaceAll(n, "/", " in "), compoundOf(9, leaf{"first", "x"}, leaf{n, body}))
	}
	l.add("ole2/sectors of 4096", compoundOf(12, leaf{"a/b", long}))
	l.add("ole2/small, sectors of 4096", compoundOf(12, leaf{"a/b", body}))
	whole := compoundOf(9, leaf{"a", long})
	l.add("ole2/behind the end", append(whole, body...))
	for name, inner := range map[string]string{
		"zip": string(zipOf(member{"a", body, false})), "compound file": string(compoundOf(9, leaf{"a", body})), "PDF": string(pdfPaged(pdfStream("/Filter/FlateDecode", zlibbed(body)))),
		"RTF": `{\rtf1{\object\objemb{\*\objdata ` + digits(ole1("Package", packaged("a", body))) + `}}}`, "page": "<html><body><!--" + Marker + "--></body></html>",
	} {
		l.add("ole2/in a stream/"+name, compoundOf(9, leaf{"Package", inner}))
		l.add("ole2/packaged/"+name, compoundOf(9, leaf{"ObjectPool/_1/\x01Ole10Native", native("a", inner)}))
	}
	l.add("ole2/packaged/text", compoundOf(9, leaf{"\x01Ole10Native", native("a.txt", body)}))
	l.add("ole2/packaged/long", compoundOf(9, leaf{"\x01Ole10Native", native("a.txt", long)}))
	l.add("ole2/packaged/name", compoundOf(9, leaf{"\x01Ole10Native", native(Marker, "x")}))
	l.add("ole2/object as it is", compoundOf(9, leaf{"\x01Ole10Native", u32(len(body)) + body}))
}

// packaged is a file as the packager has it, native the stream of it.
func packaged(name, data string) string {
	return "\x02\x00" + name + "\x00C:\\" + name + "\x00\x00\x00\x03\x00" + u32(7) + "C:\\tmp\x00" + u32(len(data)) + data
}

func native(name, data string) string {
	b := packaged(name, data)
	return u32(len(b)) + b
}

// ole1 is an object as RTF has it ([MS-OLEDS] 2.2.5).
func ole1(class, data string) string {
	text := func(s string) string { return u32(len(s)) + s }
	return u32(0x501) + u32(2) + text(class+"\x00") + u32(0) + u32(0) + text(data)
}

// squeezed is a container of VBA ([MS-OVBA] 2.4.1), with copies, so that it does not stand there as
// it is where split.
func squeezed(s string) string {
	out := "\x01"
	for ; len(s) > 0; s = s[min(len(s), 3600):] {
		chunk := ""
		for part := s[:min(len(s), 3600)]; len(part) > 0; part = part[min(len(part), 8):] {
			chunk += "\x00" + part[:min(len(part), 8)]
		}
		out += u16((len(chunk)-1)|0xb000) + chunk
	}
	return out
}

func projectRecord(id int, data string) string { return u16(id) + u32(len(data)) + data }

// project lists a module whose source stands at an offset ([MS-OVBA] 2.3.4.2).
func project(module string, offset, kind int) string {
	return projectRecord(1, u32(1)) + projectRecord(2, u32(0x409)) + projectRecord(0x14, u32(0x409)) + projectRecord(3, u16(1252)) + projectRecord(4, "Project") + projectRecord(5, "") + projectRecord(0x40, "") +
		projectRecord(6, "") + projectRecord(0x3d, "") + projectRecord(7, u32(0)) + projectRecord(8, u32(0)) + u16(9) + u32(4) + u32(1) + u16(1) + projectRecord(0xc, "") + projectRecord(0x3c, "") +
		projectRecord(0xf, u16(1)) + projectRecord(0x13, u16(0xffff)) +
		projectRecord(0x19, module) + projectRecord(0x47, wide(module)) + projectRecord(0x1a, module) + projectRecord(0x32, wide(module)) + projectRecord(0x1c, "") + projectRecord(0x48, "") +
		projectRecord(0x31, u32(offset)) + projectRecord(0x1e, u32(0)) + projectRecord(0x2c, u16(0xffff)) + projectRecord(kind, "") + projectRecord(0x2b, "") + projectRecord(0x10, "")
}

const source = "Attribute VB_Name = \"Module1\"\r\nSub AutoOpen()\r\n  MsgBox \"" + Marker + "\"\r\nEnd Sub\r\n"

// vbaProject is the streams of a project below a storage.
func vbaProject(in, code string, kind int) []leaf {
	const cache = "what was compiled, which nobody reads here"
	return []leaf{
		{in + "PROJECT", "ID=\"{00000000-0000-0000-0000-000000000000}\"\r\nModule=Module1\r\nName=\"Project\"\r\n"},
		{in + "VBA/dir", squeezed(project("Module1", len(cache), kind))},
		{in + "VBA/_VBA_PROJECT", "\xcc\x61\xff\xff\x00\x00\x00"},
		{in + "VBA/Module1", cache + squeezed(code)},
	}
}

// macros has it in the source of macros.
func macros(l *list) {
	for name, in := range map[string]string{"Word": "Macros/", "Excel": "_VBA_PROJECT_CUR/", "package": "", "elsewhere": "a/b/"} {
		for what, code := range map[string]string{"": source, "/comment": "Attribute VB_Name = \"Module1\"\r\n' " + Marker + "\r\n", "/long": source + strings.Repeat("' more and more of it\r\n", 600), "/far": "Attribute VB_Name = \"Module1\"\r\n" + strings.Repeat("' x\r\n", 2000) + "' " + Marker + "\r\n"} {
			for kind, id := range map[string]int{"": 0x21, ", class": 0x22} {
				file := compoundOf(9, append(vbaProject(in, code, id), leaf{"WordDocument", "x"})...)
				l.add("macro/"+name+what+kind, file)
			}
		}
	}
	bin := string(compoundOf(9, vbaProject("", source, 0x21)...))
	for _, p := range []string{"word/vbaProject.bin", "xl/vbaProject.bin", "ppt/vbaProject.bin", "word/other.bin", "a.dat"} {
		l.add("macro/package, "+strings.ReplaceAll(p, "/", " "), zipOf(member{"[Content_Types].xml", "<?xml version=\"1.0\"?><Types/>", false}, member{p, bin, false}))
	}
	l.add("macro/no project lists it", compoundOf(9, leaf{"Macros/VBA/_VBA_PROJECT", "\xcc\x61"}, leaf{"Macros/VBA/Module1", "cache" + squeezed(source)}))
	l.add("macro/PowerPoint", compoundOf(9, leaf{"PowerPoint Document", pptStorage(bin)}, leaf{"Current User", "x"}))
}

// pptRecord is a record of a presentation ([MS-PPT] 2.3.1).
func pptRecord(instance, kind int, data string) string {
	return u16(instance) + u16(kind) + u32(len(data)) + data
}

func pptStorage(inner string) string {
	return pptRecord(15, 1000, pptRecord(0, 1001, strings.Repeat("\x00", 40))) + pptRecord(0x10, 0x1011, u32(len(inner))+zlibbed(inner)) + pptRecord(0, 4085, strings.Repeat("\x00", 28))
}

// slides has it in presentations.
func slides(l *list) {
	text := pptRecord(15, 1000, pptRecord(0, 4008, body))
	l.add("powerpoint/text", compoundOf(9, leaf{"PowerPoint Document", text}))
	l.add("powerpoint/text, UTF-16", compoundOf(9, leaf{"PowerPoint Document", pptRecord(15, 1000, pptRecord(0, 4000, wide(body)))}))
	inner := string(compoundOf(9, leaf{"Contents", body}))
	l.add("powerpoint/object", compoundOf(9, leaf{"PowerPoint Document", pptStorage(inner)}))
	l.add("powerpoint/object as it is", compoundOf(9, leaf{"PowerPoint Document", pptRecord(15, 1000, "") + pptRecord(0, 0x1011, inner)}))
	l.add("powerpoint/picture", compoundOf(9, leaf{"Pictures", pptRecord(0x6e00, 0xf01e, strings.Repeat("\x01", 17)+"\x89PNG\r\n\x1a\n"+body)}))
	l.add("powerpoint/metafile", compoundOf(9, leaf{"Pictures", pptRecord(0x3d40, 0xf01a, strings.Repeat("\x01", 48)+"\x00\xfe"+zlibbed(body))}))
}

// biff is a record of a workbook.
func biff(id int, data ...string) string {
	s := strings.Join(data, "")
	return u16(id) + u16(len(s)) + s
}

// book is a workbook with a sheet of a kind ([MS-XLS]).
func book(kind int, global, sheet string) string {
	begin := func(kind int) string { return biff(0x809, u16(0x600), u16(kind), strings.Repeat("\x00", 12)) }
	name := "Sheet1"
	entry := func(at int) string {
		return biff(0x85, u32(at), "\x00", map[int]string{0x10: "\x00", 0x40: "\x01"}[kind], fmt.Sprintf("%c\x00", len(name)), name)
	}
	first := begin(5) + global
	at := len(first) + len(entry(0)) + len(biff(10))
	return first + entry(at) + biff(10) + begin(kind) + sheet + biff(10)
}

// workbooks has it in workbooks of Excel 97, as one that is written in pieces where it is a formula.
func workbooks(l *list) {
	count := func(s string) string { return u16(len(s)) + "\x00" + s }
	table := biff(0xfc, u32(1), u32(1), count(body))
	formula := func(tokens string) string {
		return biff(6, u16(0), u16(0), u16(0), strings.Repeat("\x00", 14), u16(len(tokens)), tokens)
	}
	call := fmt.Sprintf("\x17%c\x00%s\x42\x01\x6e\x00", len(Marker), Marker) // EXEC("marker")
	half := len(Marker) / 2
	sum := fmt.Sprintf("\x17%c\x00%s\x17%c\x00%s\x08", half, Marker[:half], len(Marker)-half, Marker[half:])
	for _, stream := range []string{"Workbook", "Book"} {
		for name, data := range map[string]string{
			"string": book(0x10, table, ""), "string, UTF-16": book(0x10, biff(0xfc, u32(1), u32(1), u16(len(body)), "\x01", wide(body)), ""),
			"string over two records": book(0x10, biff(0xfc, u32(1), u32(1), u16(len(body)), "\x00", body[:10])+biff(0x3c, "\x00", body[10:]), ""),
			"label":                   book(0x10, "", biff(0x204, u16(0), u16(0), u16(0), count(body))), "comment": book(0x10, "", biff(0x1c, u16(0), u16(0), u16(2), u16(1), count("x"), "\x00")+biff(0x3c, "\x00", body)),
			"macro sheet": book(0x40, "", formula(call)), "macro sheet, string result": book(0x40, "", formula(call)+biff(0x207, count(body))), "formula of a sheet": book(0x10, "", formula(call)),
			"sum of strings": book(0x40, "", formula(sum)), "header": book(0x10, "", biff(0x14, count(body))), "connection": book(0x10, biff(0xdc, body), ""), "drawing": book(0x10, biff(0xeb, pptRecord(15, 0xf000, body)), ""),
			"link": book(0x10, "", biff(0x1b8, strings.Repeat("\x00", 32), wide("http://"+Marker))), "behind the end": book(0x10, "", "") + body,
		} {
			l.add("excel/"+stream+"/"+name, compoundOf(9, leaf{stream, data}))
		}
	}
	l.text("excel/no compound file, BIFF8", book(0x10, table, ""))
	l.text("excel/BIFF4", biff(0x409, u16(0), u16(0x10), u16(0))+biff(0x204, u16(0), u16(0), u16(0), u16(len(body)), body)+biff(10))
	l.text("excel/BIFF3", biff(0x209, u16(0), u16(0x10), u16(0))+biff(0x204, u16(0), u16(0), u16(0), u16(len(body)), body)+biff(10))
	l.text("excel/BIFF2", biff(9, u16(0), u16(0x10))+biff(4, u16(0), u16(0), "\x00\x00\x00", fmt.Sprintf("%c", len(body)), body)+biff(10))
}

// oldBooks has it in macro sheets from before Excel 5.
func oldBooks(l *list) {
	call := fmt.Sprintf("\x17%c%s", len(Marker), Marker)
	for version, parts := range map[string][]string{
		"BIFF2": {biff(9, u16(2), u16(0x40)), biff(6, u16(0), u16(0), strings.Repeat("\x00", 12), fmt.Sprintf("%c", len(call)+3), call, "\x42\x01\x6e")},
		"BIFF3": {biff(0x209, u16(3), u16(0x40), u16(0)), biff(0x206, u16(0), u16(0), strings.Repeat("\x00", 12), u16(len(call)+3), call, "\x42\x01\x6e")},
		"BIFF4": {biff(0x409, u16(4), u16(0x40), u16(0)), biff(0x406, u16(0), u16(0), strings.Repeat("\x00", 12), u16(len(call)+4), call, "\x42\x01\x6e\x00")},
	} {
		sheet := parts[0] + parts[1] + biff(10)
		l.text("excel/"+version+", macro sheet", sheet)
		l.add("excel/"+version+", macro sheet in a compound file", compoundOf(9, leaf{"Book", sheet}))
	}
}

// drawings has it in a drawing of Visio: packed, which shows it to nobody, and as it is.
func drawings(l *list) {
	literal := func(s string) (out string) {
		for ; len(s) > 0; s = s[min(8, len(s)):] {
			out += "\xff" + s[:min(8, len(s))]
		}
		return out
	}
	for what, s := range map[string]string{"text": long, "zip": string(zipOf(member{"a", body, false}))} {
		for name, format := range map[string]int{"packed": 0x42, "as it is": 0x40} {
			data, at := s, 0x24+18
			if format == 0x42 {
				data = literal("head" + s)
			}
			pointer := func(at, n, format int) string { return u32(0x27) + u32(0) + u32(at) + u32(n) + u16(format) }
			trailer := literal("head" + u32(8) + u32(0) + u32(1) + u32(0) + pointer(at, len(data), format))
			head := "Visio (TM) Drawing\r\n\x00"
			head += strings.Repeat("\x00", 0x1a-len(head)) + "\x0b" + strings.Repeat("\x00", 9) + pointer(at+len(data), len(trailer), 0x52)
			l.add("visio/"+name+"/"+what, compoundOf(9, leaf{"VisioDocument", head + data + trailer + strings.Repeat("\x00", 4096)}))
		}
	}
}

// messages has it in messages of Outlook ([MS-OXMSG]).
func messages(l *list) {
	const attached = "__attach_version1.0_#00000000/"
	rtf := func(s string) string { return u32(len(s)+12) + u32(len(s)) + "MELA" + u32(0) + s }
	inner := []leaf{{attached + "__substg1.0_3701000D/__substg1.0_1000001E", body}}
	for name, leaves := range map[string][]leaf{
		"text": {{"__substg1.0_1000001E", body}}, "text, UTF-16": {{"__substg1.0_1000001F", wide(body)}}, "page": {{"__substg1.0_10130102", "<html><!--" + Marker + "--></html>"}}, "RTF": {{"__substg1.0_10090102", rtf("{\\rtf1 " + body + "}")}},
		"RTF with an object": {{"__substg1.0_10090102", rtf(`{\rtf1{\object\objemb{\*\objdata ` + digits(ole1("Package", packaged("a", body))) + `}}}`)}},
		"subject":            {{"__substg1.0_0037001F", wide(Marker)}}, "attachment": {{attached + "__substg1.0_37010102", body}, {attached + "__substg1.0_3707001F", wide("a.exe")}}, "message in it": inner,
		"attached zip": {{attached + "__substg1.0_37010102", string(zipOf(member{"a", body, false}))}}, "header": {{"__substg1.0_007D001E", "Subject: " + Marker + "\r\n"}}, "attached PDF": {{attached + "__substg1.0_37010102", string(pdfPaged(pdfStream("/Filter/FlateDecode", zlibbed(body))))}},
		"storage attached": {{attached + "__substg1.0_3701000D/CONTENTS", body}},
	} {
		l.add("msg/"+name, compoundOf(9, append([]leaf{{"__properties_version1.0", strings.Repeat("\x00", 32)}}, leaves...)...))
	}
	hwp := "HWP Document File" + strings.Repeat("\x00", 15) + u32(0x05000300)
	for _, n := range []string{"BodyText/Section0", "DocInfo", "BinData/BIN0001.eml", "Scripts/DefaultJScript", "BinData/BIN0002.OLE"} {
		l.add("hwp5/packed "+strings.ReplaceAll(n, "/", " "), compoundOf(9, leaf{"FileHeader", hwp + u32(1) + strings.Repeat("\x00", 216)}, leaf{n, string(deflated(body))}))
		l.add("hwp5/as it is "+strings.ReplaceAll(n, "/", " "), compoundOf(9, leaf{"FileHeader", hwp + u32(0) + strings.Repeat("\x00", 216)}, leaf{n, body}))
	}
	hwp3 := "HWP Document File V3.00 \x1a\x01\x02\x03\x04\x05" + strings.Repeat("\x00", 124)
	for name, inner := range map[string]string{"text": body, "object": strings.Repeat("a", 500) + string(compoundOf(9, leaf{"a", body}))} {
		l.text("hwp3/packed, "+name, hwp3+"\x01\x00\x00\x00"+strings.Repeat("\x00", 1008)+string(deflated(inner)))
		l.text("hwp3/as it is, "+name, hwp3+"\x00\x00\x00\x00"+strings.Repeat("\x00", 1008)+inner)
	}
	l.add("hwp5/preview", compoundOf(9, leaf{"FileHeader", hwp + u32(1) + strings.Repeat("\x00", 216)}, leaf{"PrvText", wide(body)}))
}
