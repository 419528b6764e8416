package placed

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// attachments are files that mails carry, by the options that say so.
func attachments(t *testing.T, dir string) (paths []string) {
	t.Helper()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, data := range map[string][]byte{"a.bin": bytes.Repeat(all, 40), "b c.txt": []byte("a text\nFrom here on it goes\n.\nend\n"), "d.zip": zipOf(member{"a", body, false})} {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

// holds tells of files that are not in what was unpacked.
func holds(t *testing.T, name string, l layers, paths []string) {
	t.Helper()
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if !l.sums[digest(b)] {
			t.Errorf("%s: %s is not there", name, filepath.Base(p))
		}
	}
	if len(l.gaps) > 0 {
		t.Errorf("%s: %v", name, l.gaps)
	}
}

// TestMutt holds what is attached to a mail that mutt sends, and keeps in a mailbox, against the files.
func TestMutt(t *testing.T) {
	dir := t.TempDir()
	tool(t, "mutt", "-v")
	paths := attachments(t, dir)
	mail, kept, send := filepath.Join(dir, "mail"), filepath.Join(dir, "kept"), filepath.Join(dir, "send")
	if err := os.WriteFile(send, []byte("#!/bin/sh\ncat > '"+mail+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	arg := append(append([]string{"-F", "/dev/null", "-e", "set sendmail='" + send + "'; set sendmail_wait=0; set copy=yes; set record='" + kept + "'; set from=a@a.example", "-s", "bücher", "-a"}, paths...), "--", "b@b.example")
	for range 2 {
		c := exec.CommandContext(t.Context(), "mutt", arg...)
		c.Stdin, c.Env = strings.NewReader("From here on\nthe text goes\n"), append(os.Environ(), "HOME="+dir)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	holds(t, "sent", inside(t, mail), paths)
	box := inside(t, kept)
	holds(t, "kept", box, paths)
	n := 0
	for _, b := range box.data {
		if bytes.HasPrefix(b, []byte("Date: ")) {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d messages of 2", n)
	}
}

// TestSwaks holds what is attached to a mail that swaks writes against the files.
func TestSwaks(t *testing.T) {
	dir := t.TempDir()
	paths := attachments(t, dir)
	arg := []string{"swaks", "--dump-mail", "--from", "a@a.example", "--to", "b@b.example", "--body", "the text", "--attach-type", "application/octet-stream"}
	for _, p := range paths {
		arg = append(arg, "--attach-name", filepath.Base(p), "--attach", "@"+p)
	}
	mail := filepath.Join(dir, "mail")
	if err := os.WriteFile(mail, tool(t, arg...), 0o600); err != nil {
		t.Fatal(err)
	}
	holds(t, "swaks", inside(t, mail), paths)
}

// TestEvolution holds what is attached to mails of a mailbox of Evolution's library against what was put into them.
func TestEvolution(t *testing.T) {
	tool(t, "/usr/bin/python3", "--version")
	if exec.Command("/usr/bin/python3", "-c", "import gi; gi.require_version('Camel', '1.2'); from gi.repository import Camel").Run() != nil {
		t.Skip("gir1.2-camel-1.2 is not installed")
	}
	box := filepath.Join(t.TempDir(), "box")
	sums := strings.Fields(string(tool(t, "/usr/bin/python3", "testdata/evolution.py", box)))
	l := inside(t, box)
	if len(sums) != 9 || len(l.gaps) > 0 || !l.has("X-Evolution") {
		t.Errorf("%d files of 9, %v", len(sums), l.gaps)
	}
	for _, s := range sums {
		if !l.sums[s] {
			t.Errorf("%s is not there", s)
		}
	}
}

const texed = `\documentclass{article}
\begin{document}
mark-tex-body
\immediate\pdfobj stream attr {/Type /EmbeddedFile} file {a.bin}
\pdfcatalog{/Names << /EmbeddedFiles << /Names [(a.bin) << /Type /Filespec /F (a.bin) /EF << /F \the\pdflastobj\space 0 R >> >>] >> >>}
\pdfcatalog{} openaction user {<< /S /JavaScript /JS (app.alert("mark-tex-script")) >>}
\pdfinfo{/Title (mark-tex-title)}
\pdfstartlink user {/Subtype /Link /A << /S /URI /URI (http://link.example/mark-tex-link) >>} link\pdfendlink
\end{document}
`

// TestTeX holds the streams of PDF files that TeX writes, packed and not, against those that qpdf takes out.
func TestTeX(t *testing.T) {
	tool(t, "qpdf", "--version")
	tool(t, "pdflatex", "--version")
	for name, set := range map[string]string{"packed, objects in streams": `\pdfcompresslevel=9\pdfobjcompresslevel=2`, "packed": `\pdfcompresslevel=9\pdfobjcompresslevel=0`, "plain": `\pdfcompresslevel=0\pdfobjcompresslevel=0`} {
		dir := t.TempDir()
		paths := attachments(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "t.tex"), []byte(set+"\n"+texed), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), "pdflatex", "-interaction=batchmode", "t.tex")
		if c.Dir = dir; c.Run() != nil {
			t.Fatalf("%s: pdflatex does not take it", name)
		}
		out := filepath.Join(dir, "t.pdf")
		l := inside(t, out)
		for _, p := range paths {
			if filepath.Base(p) == "a.bin" {
				holds(t, name, l, []string{p})
			}
		}
		for _, mark := range []string{"mark-tex-script", "mark-tex-title", "mark-tex-link"} {
			if !l.has(mark) {
				t.Errorf("%s: no %s", name, mark)
			}
		}
		n := 0
		for _, s := range streams(tool(t, "qpdf", "--qdf", "--normalize-content=n", "--object-streams=disable", out, "-")) {
			if n++; !l.sums[digest(s)] && !l.sums[digest(bytes.TrimSuffix(s, []byte("\n")))] && !l.sums[digest(append(bytes.Clone(s), '\n'))] {
				t.Errorf("%s: a stream of %d bytes is not there", name, len(s))
			}
		}
		if n < 3 {
			t.Errorf("%s: %d streams", name, n)
		}
	}
}

// TestGhostscript holds PostScript that Ghostscript writes against the dots and the words that were put in.
func TestGhostscript(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.ps"), filepath.Join(dir, "out.ps")
	dots := make([]byte, 64)
	for i := range dots {
		dots[i] = byte(i)
	}
	const page = "%!PS\n/Helvetica findfont 20 scalefont setfont 100 100 moveto (mark-words) show\n200 200 translate 100 100 scale 8 8 8 [8 0 0 8 0 0] {<DOTS>} image\nshowpage\n"
	if err := os.WriteFile(in, []byte(strings.Replace(page, "DOTS", digits(string(dots)), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, arg := range map[string][]string{"plain": {"-dCompressPages=false"}, "packed": {"-dCompressPages=true", "-dASCII85EncodePages=true"}} {
		tool(t, append(append([]string{"gs", "-q", "-dBATCH", "-dNOPAUSE", "-sDEVICE=ps2write", "-sOutputFile=" + out}, arg...), in)...)
		l := inside(t, out)
		if !l.has("(mark-words)Tj") || name == "plain" && !l.sums[digest(dots)] || len(l.gaps) > 0 {
			t.Errorf("%s: %d layers, %v", name, len(l.data), l.gaps)
		}
	}
}
