package heuristic

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/phish"
	"github.com/showcause/showcause/rule"
)

// maxPage is how much of a page or a text is read for links, bytes.
const maxPage = 8 << 20

// Line is a line of phishing data: of a .pdb, .wdb or .gdb file.
type Line struct {
	File string // "daily.cvd/daily.pdb"
	Text string // without its levels
}

// links are the links of a layer judged by a list, which several rules ask about.
type links struct {
	list  phish.List
	layer *Layer // that was judged last
	judge map[string]*found
	whole bool
}

func isLink(name string) bool {
	return strings.HasPrefix(name, "Heuristics.Phishing.") || strings.HasPrefix(name, "Heuristics.Safebrowsing.")
}

// linkTexts returns the texts of the rules about links.
func linkTexts(lines []Line, o *Options) ([]string, error) {
	head := ""
	list := phish.List{Options: phish.Options{SSL: o.PhishingSSL, Cloak: o.PhishingCloak}}
	if o.PhishingSSL {
		head += ";ssl"
	}
	if o.PhishingCloak {
		head += ";cloak"
	}
	var b strings.Builder
	file := ""
	for i, l := range lines {
		if l.File != file {
			file = l.File
			b.WriteString("\n# " + file)
		}
		if err := list.Add(extension(l.File), l.Text, i+1); err != nil {
			return nil, fmt.Errorf("%s: %w", l.File, err)
		}
		b.WriteString("\n" + l.Text)
	}
	var out []string
	for _, name := range list.Names() {
		text := name + head + b.String()
		if len(text) > maxText || Lines(text) > maxLines {
			return nil, fmt.Errorf("phishing data of %d lines, %d bytes: at most %d and %d", len(lines), len(text), maxLines, maxText)
		}
		out = append(out, text)
	}
	return out, nil
}

func extension(file string) string { return strings.TrimPrefix(strings.ToLower(path.Ext(file)), ".") }

// linkCheck reads a rule about links. Entries are the lines of its text, so that line 0, its
// head, is what decides where no entry of a list does.
func linkCheck(name string, o options, data string, shared map[string]*links) (runner, error) {
	ssl, cloak := o.flag("ssl"), o.flag("cloak")
	key := fmt.Sprint(ssl, cloak, data)
	k, ok := shared[key]
	if !ok {
		k = &links{list: phish.List{Options: phish.Options{SSL: ssl, Cloak: cloak}}}
		kind := ""
		for i, line := range strings.Split(data, "\n") {
			if file, is := strings.CutPrefix(line, "# "); is {
				kind = extension(file)
			} else if line != "" {
				if err := k.list.Add(kind, line, i+1); err != nil {
					return nil, err
				}
			}
		}
		shared[key] = k
	}
	if !slices.Contains(k.list.Names(), name) {
		return nil, ErrText
	}
	return func(l *Layer) ([]showcause.Match, map[int]int, bool) {
		if rule.Target(l.Parent.Target()) != rule.Mail || l.Source.Size() == 0 {
			return nil, nil, true
		}
		switch rule.Target(l.Kind.Target()) {
		case rule.HTML, rule.ASCII:
		default:
			return nil, nil, true
		}
		if k.layer != l {
			k.run(l)
		}
		if f := k.judge[name]; f != nil {
			return f.matches, f.counts, k.whole
		}
		return nil, nil, k.whole
	}, nil
}

// run judges the links of a part of a mail: of a page its own, of a text its addresses too.
// The matches of a link are where it leads and what it shows.
func (k *links) run(l *Layer) {
	k.layer, k.judge, k.whole = l, map[string]*found{}, true
	n := min(l.Source.Size(), maxPage)
	b, err := bound.ReadAt(l.Source, 0, n, maxPage)
	if err != nil || int64(len(b)) < n || n < l.Source.Size() || !l.Work(n/4) {
		k.whole = false
	}
	all := phish.Links(b)
	if l.Kind != filetype.HTML {
		all = append(all, phish.Addresses(b)...)
	}
	for i := range all {
		link := &all[i]
		if !l.Work(k.list.Cost(link)) {
			k.whole = false
			return
		}
		name, entry := k.list.Judge(link)
		if name == "" {
			continue
		}
		f := k.judge[name]
		if f == nil {
			f = &found{}
			k.judge[name] = f
		}
		for _, p := range []phish.Place{link.RealAt, link.ShownAt} {
			if p.Length > 0 {
				f.add(max(entry, 0), [2]int64{p.Offset, p.Length})
			}
		}
	}
}
