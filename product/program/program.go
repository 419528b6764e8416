// Package program reads what programs say of themselves and who signed them: PE files,
// Mach-O files, ELF files, Windows installers, extensions as they are sent.
package program

import (
	"hash"
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause/binary/authenticode"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/binary/codesign"
	"github.com/showcause/showcause/binary/crx"
	"github.com/showcause/showcause/binary/macho"
	"github.com/showcause/showcause/binary/msi"
	"github.com/showcause/showcause/binary/pe"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// Readers are the readers of this package.
func Readers() []look.Reader {
	return []look.Reader{
		{Name: "pe", Method: "version resources and signers of PE files", Match: func(f *look.File) bool { return f.Magic("MZ") }, Read: readPE},
		{Name: "macho", Method: "signers of Mach-O files", Match: IsMachO, Read: readMachO},
		{Name: "elf", Method: "names, notes of packages and Go modules of ELF files", Match: func(f *look.File) bool { return f.Magic("\x7fELF") }, Read: readELF},
		{Name: "msi-signer", Method: "signers of .msi installers", Match: func(f *look.File) bool { return f.Magic("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") }, Read: readMSI},
		{Name: "crx", Method: "ids of extensions as they are sent", Match: func(f *look.File) bool { return f.Magic("Cr24") }, Read: readCRX},
	}
}

func readPE(f *look.File, o *look.Out) {
	p, ok := pe.Parse(f.Source, pe.Options{Work: o.Work})
	if !ok {
		return // a program of DOS, or something that only begins so
	}
	facts := look.Facts("file", f.Base())
	pairs := p.Version()
	for _, w := range []struct {
		kind product.Kind
		key  string
	}{{product.Company, "CompanyName"}, {product.Program, "ProductName"}, {product.Original, "OriginalFilename"}, {product.Version, "ProductVersion"}} {
		facts = append(facts, values(o, pairs, w.key, w.kind)...)
	}
	if strings.HasSuffix(f.Lower, ".sys") {
		facts = append(facts, product.Fact{Kind: product.Driver, Value: strings.TrimSuffix(f.Base(), path.Ext(f.Base()))})
	}
	var table [][]byte
	var off, size int64
	for _, c := range p.Certificates() {
		if c.Type == 2 {
			table = append(table, c.Data)
			if size == 0 {
				off, size = c.Offset, int64(len(c.Data))
			}
		}
	}
	list, cut := authenticode.Parse(table, authenticode.Options{File: p.Digest, Work: o.Work})
	facts = append(facts, signers(o, list, off, size)...)
	o.Add(product.Observation{Platform: product.Windows, Facts: facts})
	if cut || p.Err() != nil {
		o.Short(true)
	}
}

// maxValues is how many values of one key of a version resource are taken.
const maxValues = 100

// values are what a version resource says of a key in each of its languages, the last first: Windows shows the one of its user.
func values(o *look.Out, pairs []pe.Pair, key string, kind product.Kind) (out []product.Fact) {
	for _, p := range slices.Backward(pairs) {
		f := product.Fact{Kind: kind, Value: p.Value}
		switch {
		case !strings.EqualFold(p.Key, key), slices.ContainsFunc(out, func(g product.Fact) bool { return g.Value == f.Value }):
		case len(out) == maxValues:
			o.Short(true)
			return out
		default:
			out = append(out, f)
		}
	}
	return out
}

// signers are the names of who signed: the organisation, and the common name where that is another.
func signers(o *look.Out, list []authenticode.Signature, off, size int64) (out []product.Fact) {
	for _, s := range list {
		if s.Signer == nil || len(s.Signer.Chain) == 0 {
			continue
		}
		var chain []string
		var der [][]byte
		for _, c := range s.Signer.Chain {
			chain, der = append(chain, look.Text(c.Subject)), append(der, c.DER())
		}
		f := product.Fact{Kind: product.Signer, Verified: s.Verified, Trusted: s.Verified && trust(o, der), Chain: chain, Offset: off, Length: size}
		out = append(out, names(part(chain[0], "O"), part(chain[0], "CN"), f)...)
	}
	return out
}

func names(org, common string, f product.Fact) (out []product.Fact) {
	for _, n := range []string{org, common} {
		if n != "" && (len(out) == 0 || out[0].Value != n) {
			f.Value = n
			out = append(out, f)
		}
	}
	return out
}

func trust(o *look.Out, chain [][]byte) bool { return o.Trust != nil && o.Work(1000) && o.Trust(chain) }

// part is a part of a name that is written "/C=..../O=....".
func part(name, key string) string {
	_, v, ok := strings.Cut(name, "/"+key+"=")
	if !ok {
		return ""
	}
	for i := 0; i < len(v); i++ { // up to the next part; a name may have a slash in it
		if v[i] != '/' {
			continue
		}
		if k, _, ok := strings.Cut(v[i+1:], "="); ok && k != "" && strings.Trim(k, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.") == "" {
			return v[:i]
		}
	}
	return v
}

// IsMachO tells whether a file begins as Mach-O files do.
func IsMachO(f *look.File) bool {
	if f.Magic("\xca\xfe\xba\xbe", "\xca\xfe\xba\xbf") { // Java classes begin so, too: their next number is above 44
		return len(f.Head) >= 8 && f.Head[4] == 0 && f.Head[5] == 0 && f.Head[6] == 0 && f.Head[7] < 40
	}
	return f.Magic("\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", "\xfe\xed\xfa\xcf", "\xfe\xed\xfa\xce")
}

func readMachO(f *look.File, o *look.Out) {
	m := macho.Parse(f.Source, macho.Options{X: true, Work: o.Work})
	if m == nil {
		return
	}
	facts := look.Facts("file", f.Base())
	list, short := codesign.Parse(f.Source, m, o.Work)
	done := map[string]bool{}
	for _, s := range list {
		if s == nil {
			continue
		}
		key := strings.Join([]string{s.Identifier, s.Team, s.Signer, s.Organization}, "\x00")
		if done[key] && s.Verified {
			continue
		}
		done[key] = true
		if s.Identifier != "" {
			facts = append(facts, product.Fact{Kind: product.BundleID, Value: s.Identifier, Offset: s.Offset, Length: s.Length})
		}
		by := product.Fact{Kind: product.TeamID, Value: s.Team, Verified: s.Verified, Trusted: s.Verified && trust(o, s.Certificates), Chain: s.Chain, Offset: s.Offset, Length: s.Length}
		if s.Team != "" {
			facts = append(facts, by)
		}
		by.Kind = product.Signer
		facts = append(facts, names(s.Organization, s.Signer, by)...)
	}
	o.Add(product.Observation{Platform: product.MacOS, Facts: facts})
	o.Short(short || m.Short())
}

func readMSI(f *look.File, o *look.Out) {
	db := cfb.Open(f.Source, o.Work)
	if !db.OK {
		return
	}
	b, cut := msi.Signature(db)
	if cut {
		o.Short(true)
	}
	if b == nil {
		return
	}
	list, cut := authenticode.Parse([][]byte{b}, authenticode.Options{File: func(h hash.Hash) bool { return msi.Digest(db, h) }, Work: o.Work})
	o.Add(product.Observation{Platform: product.Windows, Class: product.Installer, Facts: signers(o, list, 0, 0)})
	o.Short(cut)
}

func readCRX(f *look.File, o *look.Out) {
	c := crx.Parse(f.Source, o.Work)
	if !c.OK {
		return
	}
	var title, version string
	if m := c.Manifest; m != nil {
		if c.LocalName != nil {
			title = *c.LocalName
		} else if m.Name != nil {
			title = *m.Name
		}
		if m.Version != nil {
			version = *m.Version
		}
	}
	o.Add(product.Observation{Platform: product.Chrome, Class: product.Installer, Facts: look.Facts("extension", c.ID, "title", title, "version", version)})
	o.Short(c.Short())
}
