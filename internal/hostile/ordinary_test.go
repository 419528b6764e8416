package hostile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/showcause/showcause"
)

// text is ordinary content, other text for each seed.
func text(n int, seed uint64) []byte {
	words := strings.Fields("the of and a to in is you that it he was for on are as with his they at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way could people my than first water been call who oil its now find long down day did get come made may part")
	var b strings.Builder
	for i, c := range noise(n/4, seed) {
		if b.WriteString(words[int(c)%len(words)]); i%12 == 11 {
			b.WriteString(".\n")
		} else {
			b.WriteByte(' ')
		}
	}
	return []byte(b.String())
}

// contents are files that people have.
func contents() map[string][]byte {
	return map[string][]byte{
		"readme.txt":      text(5000, 1),
		"empty":           {},
		"one":             []byte("1"),
		"doc/page.html":   []byte("<!DOCTYPE html><html><head><title>A page</title></head><body><p>" + string(text(900, 2)) + "</p></body></html>\n"),
		"doc/data.json":   []byte(`{"name": "value", "list": [1, 2, 3], "nested": {"a": null}}` + "\n"),
		"img/dot.gif":     smallGIF(),
		"bin/noise.bin":   noise(70_000, 3),
		"bin/zeros.bin":   make([]byte, 200_000),
		"src/größe.go":    []byte("package main\n\nfunc main() { println(\"größe\") }\n"),
		"table.csv":       []byte(strings.Repeat("1,2,3,some words\n", 800)),
		"mail.eml":        letter("Hello,\r\nhere is the file.\r\n", base64Part("a.txt", text(500, 4))),
		"log/messages.gz": gzipOf(text(9000, 5)),
	}
}

func names4(m map[string][]byte) (out []string) {
	for _, n := range []string{"readme.txt", "empty", "one", "doc/page.html", "doc/data.json", "img/dot.gif", "bin/noise.bin", "bin/zeros.bin", "src/größe.go", "table.csv", "mail.eml", "log/messages.gz"} {
		if _, ok := m[n]; ok {
			out = append(out, n)
		}
	}
	return out
}

func tarStd(format tar.Format) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	all := contents()
	for _, n := range names4(all) {
		w.WriteHeader(&tar.Header{Name: strings.ReplaceAll(n, "ö", "oe"), Mode: 0o644, Size: int64(len(all[n])), Format: format})
		w.Write(all[n])
	}
	w.WriteHeader(&tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "readme.txt", Format: format})
	w.WriteHeader(&tar.Header{Name: "folder/", Typeflag: tar.TypeDir, Mode: 0o755, Format: format})
	w.Close()
	return b.Bytes()
}

func zipStd(method uint16, comment string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.SetComment(comment)
	all := contents()
	w.Create("folder/")
	for _, n := range names4(all) {
		f, _ := w.CreateHeader(&zip.FileHeader{Name: n, Method: method})
		f.Write(all[n])
	}
	w.Close()
	return b.Bytes()
}

// zipRaw has the sizes in its local headers, and no descriptors.
func zipRaw() []byte {
	var ms []member
	all := contents()
	for _, n := range names4(all) {
		ms = append(ms, pack(n, all[n]))
	}
	return zipOf(ms...)
}

func gzNamed(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Name, w.Comment, w.Extra = "a name.txt", "a comment", []byte("BC\x02\x00\x00\x00")
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zlibStd(b []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// ordinary are files as ordinary programs write them, in which there is nothing.
func ordinary() map[string][]byte {
	t := text(40_000, 9)
	out := map[string][]byte{
		"empty file": {}, "text": t, "noise": noise(100_000, 1), "zeros": make([]byte, 300_000),
		"gzip": gzipOf(t), "gzip of nothing": gzipOf(nil), "gzip with a name": gzNamed(t), "gzip of two members": join(gzipOf(t), gzipOf(text(900, 2))),
		"xz": xzOf(t), "xz of two streams": join(xzOf(t), xzOf(benign())), "xz with padding": join(xzOf(t), make([]byte, 4)), "xz of noise": xzOf(noise(200_000, 2)),
		"lzma, sized": lzmaOf(t, true), "lzma": lzmaOf(t, false), "zlib": zlibStd(t), "bzip2": unhex(bzip2Benign), "bzip2 of two streams": join(unhex(bzip2Benign), unhex(bzip2Benign)),
		"zstd": zstdOf(t), "zstd of two frames": join(zstdOf(t), zstdOf(benign())), "lz4": lz4Of(t), "lz4 of two frames": join(lz4Of(t), lz4Of(benign())),
		"zip": zipStd(zip.Deflate, ""), "zip, stored": zipStd(zip.Store, ""), "zip with a comment": zipStd(zip.Deflate, strings.Repeat("a comment. ", 90)), "zip without descriptors": zipRaw(),
		"zip of nothing": zipEnd(0, 0, 0, ""), "zip in zip": zipOf(pack("a.zip", zipRaw()), pack("b.zip", zipStd(zip.Store, ""))), "zip, 10 deep": wrap(10, zipRaw(), func(b []byte) []byte { return zipOf(pack("a.zip", b)) }),
		"zip behind a script": join([]byte("#!/bin/sh\nexec java -jar \"$0\" \"$@\"\n"), many3000()), "zip of 3,000 files": many3000(),
		"zip of stored streams behind a script":  join([]byte("#!/bin/sh\nexec java -jar \"$0\" \"$@\"\n"), zipOf(stored("a.gz", gzipOf(noise(3000, 1))), stored("b.xz", xzOf(noise(3000, 2))), stored("c.tgz", gzipOf(tarStd(tar.FormatGNU))), stored("d.tar", tarStd(tar.FormatUSTAR)), stored("e.zst", zstdOf(noise(900, 3))))),
		"zip of stored streams behind a program": join(smallELF(), zipOf(stored("a.gz", gzipOf(noise(3000, 1))), stored("b.tar", tarStd(tar.FormatUSTAR)))),
		"tar, ustar":                             tarStd(tar.FormatUSTAR), "tar, pax": tarStd(tar.FormatPAX), "tar, GNU": tarStd(tar.FormatGNU), "tar in gzip": gzipOf(tarStd(tar.FormatGNU)), "tar in xz": xzOf(tarStd(tar.FormatPAX)), "tar in zstd": zstdOf(tarStd(tar.FormatUSTAR)),
		"tar with one block of zeros": tarStd(tar.FormatGNU)[:len(tarStd(tar.FormatGNU))-512], "tar of 20 blocks": join(tarStd(tar.FormatGNU), make([]byte, 9216)),
		"cpio":     join(cpioNewc("a", t), cpioNewc("b", noise(3000, 1)), cpioNewc("TRAILER!!!", nil), make([]byte, 512)),
		"ar":       join([]byte("!<arch>\n"), arEntry("a.txt/", len(benign()), benign()), arEntry("b.txt/", 4, []byte("text"))),
		"deb":      join([]byte("!<arch>\n"), arEntry("debian-binary", 4, []byte("2.0\n")), arPart("control.tar.gz", gzipOf(tarStd(tar.FormatGNU))), arPart("data.tar.xz", xzOf(tarStd(tar.FormatGNU)))),
		"ISO 9660": isoOf([]isoFile{{name: "A.TXT;1", content: t}, {name: "B.BIN;1", content: noise(5000, 2)}}, nil),

		"GIF": smallGIF(), "ELF program": smallELF(), "DOS program": smallMZ(), "PE program": smallPE(nil),
		"mail": letter("Hello.\r\n", base64Part("a.txt", t)), "mail with a zip": letter("Hello.\r\n", base64Part("a.zip", zipRaw())), "mail with a tar": letter("Hello.\r\n", base64Part("a.tgz", gzipOf(tarStd(tar.FormatGNU)))),
		"mail without parts": []byte(mailHead + "Content-Type: text/plain\r\n\r\nHello.\r\n"), "page": contents()["doc/page.html"], "CSV": contents()["table.csv"], "script": []byte("#!/bin/sh\necho hello\n"),
		"text about magic": []byte("The bytes 7z\xbc\xaf\x27\x1c begins a 7z, Rar! an archive, MSCF a cabinet, PK\x03\x04 a zip, \x1f\x8b a gzip; " + string(t)),
	}
	for _, c := range containers() {
		out[c.format] = made(c.file)
		out[c.format+" with zeros behind it"] = join(made(c.file), make([]byte, 3000))
		out[c.format+" with bytes 0xff behind it"] = join(made(c.file), bytes.Repeat([]byte{255}, 3000))
	}
	for _, s := range volumeSets() {
		if len(s.benign) > 0 {
			out["volumes of "+s.name] = joined(s.benign)
			out["volumes of "+s.name+", the first one last"] = joined(append(slices.Clone(s.benign[1:]), s.benign[0]))
		}
	}
	for _, n := range []int{1, 100, 65_535, 65_536, 65_537, 1 << 20} {
		out[fmt.Sprintf("gzip of %d bytes", n)] = gzipOf(text(n*5, uint64(n))[:n])
		out[fmt.Sprintf("lz4 of %d bytes", n)] = lz4Size(text(n*5, uint64(n))[:n])
		out[fmt.Sprintf("zstd of %d bytes", n)] = zstdOne(text(n*5, uint64(n))[:n])
	}
	return out
}

func arPart(name string, b []byte) []byte { return arEntry(name, len(b), b) }

func many3000() []byte {
	var ms []member
	for i := range 3000 {
		ms = append(ms, pack(fmt.Sprintf("d%d/f%d.txt", i%40, i), text(60, uint64(i))))
	}
	return zipOf(ms...)
}

func lz4Size(b []byte) []byte {
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	w.Apply(lz4.SizeOption(uint64(len(b))), lz4.BlockChecksumOption(true))
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstdOne(b []byte) []byte {
	w, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	return w.EncodeAll(b, nil)
}

// quiet holds that nothing is found in an ordinary file, and nothing is said of it.
func quiet(t *testing.T, name string, r showcause.Report) {
	t.Helper()
	if r.Verdict != showcause.NothingFound || len(r.Gaps) > 0 {
		t.Errorf("%s (%s): %v, gaps %+v", name, r.Type, r.Verdict, r.Gaps[:min(len(r.Gaps), 3)])
	}
}

// TestOrdinary holds that what is ordinary is read whole: a scanner that calls
// everything incomplete fails.
func TestOrdinary(t *testing.T) {
	s := scanner(t)
	all := ordinary()
	if len(all) < 50 {
		t.Errorf("%d files", len(all))
	}
	for name, b := range all {
		quiet(t, name, s.Scan(showcause.Bytes(b)))
	}
	t.Logf("%d files", len(all))
}

// TestOrdinaryTools does the same with what the formats' own tools write.
func TestOrdinaryTools(t *testing.T) {
	dir := t.TempDir()
	for name, b := range contents() {
		path := filepath.Join(dir, "tree", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "tree", "program"), join(smallELF(), noise(3000, 4)), 0o700); err != nil {
		t.Fatal(err)
	}
	var scripts []string
	add := func(form string, values ...string) {
		for _, v := range values {
			scripts = append(scripts, strings.ReplaceAll(form, "X", v))
		}
	}
	add("cd tree && zip -qr X ../out.zip . && mv ../out.zip ../out", "-0", "-1", "-9", "-Z bzip2", "-y", "-fd", "-ll")
	add("cd tree && 7z a -bd X ../out.7z . && mv ../out.7z ../out", "-mx=0", "-mx=1", "-mx=9", "-m0=LZMA", "-m0=LZMA2", "-m0=PPMd", "-m0=BZip2", "-m0=Deflate", "-m0=Deflate64", "-ms=off", "-mhc=off", "-mf=off", "-m0=BCJ2 -m1=LZMA -m2=LZMA -m3=LZMA -mb0:1 -mb0s1:2 -mb0s2:3", "-m0=Delta:2 -m1=LZMA2")
	add("cd tree && 7z a -bd -tzip X ../out.zip . && mv ../out.zip ../out", "-mm=Deflate64", "-mm=LZMA", "-mm=BZip2", "-mx=9")
	add("tar -C tree --format=X -cf out .", "v7", "oldgnu", "gnu", "ustar", "pax")
	add("tar -C tree -cf - . | X > out", "gzip", "gzip -1", "gzip -9n", "bzip2 -1", "bzip2 -9", "xz -0", "xz -9e", "xz --check=none", "xz --check=crc32", "xz --check=sha256", "xz --x86 --lzma2", "xz --delta=dist=4 --lzma2", "xz --block-size=20000", "lzma", "zstd -1", "zstd -19", "zstd --no-check", "zstd --long=27", "lz4", "lz4 -9", "lz4 -BD", "lz4 -l", "lzip", "lzip -9", "lzop", "lzop -9", "compress -c", "compress -b 12 -c")
	add("bsdtar -C tree --format=X -cf out .", "cpio", "newc", "odc", "bin", "xar", "7zip", "zip", "iso9660", "ustar", "pax")
	add("cd tree && find . -type f | LC_ALL=C sort | cpio --quiet -o -H X > ../out", "newc", "crc", "odc", "bin", "hpbin", "hpodc", "tar", "ustar")
	add("genisoimage -quiet X -o out tree", "-R", "-J -joliet-long", "-R -J", "-udf -R -J", "-l")
	add("cd tree && gcab X out.cab readme.txt table.csv bin/noise.bin && mv out.cab ../out", "-c", "-cz")
	add("cd tree && arj a -y -r X ../out.arj . && mv ../out.arj ../out", "-m0", "-m1", "-m2", "-m3", "-m4")
	add("cd tree && jlha -aqX ../out.lzh readme.txt table.csv bin/noise.bin && mv ../out.lzh ../out", "o", "o5", "o6", "o7", "z")
	add("mksquashfs tree out -quiet -no-progress X", "", "-comp xz", "-comp zstd", "-comp lzo", "-comp lz4", "-noI -noD", "-no-fragments")
	add("truncate -s 8M out && mke2fs -q -F X -d tree out", "-t ext2", "-t ext3", "-t ext4", "-t ext4 -O inline_data", "-b 1024")
	add("truncate -s X out && mkfs.fat out > /dev/null && mcopy -s -Q -i out tree/* ::", "2M", "8M", "40M")
	add("truncate -s 8M raw && mke2fs -q -F -d tree raw && qemu-img convert X raw out", "-O qcow2", "-c -O qcow2", "-O vmdk", "-O vmdk -o subformat=streamOptimized", "-O vpc", "-O vhdx")
	s := scanner(t)
	made := 0
	for _, script := range scripts {
		for _, f := range []string{"out", "out.zip", "out.7z", "out.arj", "out.lzh", "raw", "tree/out.cab"} {
			os.Remove(filepath.Join(dir, f))
		}
		cmd := exec.Command("/bin/sh", "-ec", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MTOOLS_SKIP_CHECK=1", "PATH="+os.Getenv("PATH")+":/sbin:/usr/sbin")
		if _, err := cmd.CombinedOutput(); err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, "out"))
		if err != nil || len(b) == 0 {
			continue
		}
		made++
		quiet(t, script, s.Scan(showcause.Bytes(b)))
	}
	if t.Logf("%d of %d could be made", made, len(scripts)); made == 0 {
		t.Skip("no tools are installed")
	}
}
