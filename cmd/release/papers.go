package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/gowebpki/jcs"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/internal/release"
	"github.com/showcause/showcause/translog"
)

const (
	repository = "https://github.com/showcause/showcause"
	buildType  = repository + "/blob/main/docs/verify.md"
)

// sbom names every module that is linked into the programs, and the Go release
// whose standard library is.
func (b *builder) sbom(ts []target, dir string) ([]byte, error) {
	linked := map[debug.Module][]string{} // in which programs
	for _, t := range ts {
		info, err := buildinfo.ReadFile(filepath.Join(dir, t.file()))
		if err != nil {
			return nil, err
		}
		if info.GoVersion != b.golang {
			return nil, fmt.Errorf("%s was built by %s, not %s", t.file(), info.GoVersion, b.golang)
		}
		b.version = info.Main.Version
		for _, m := range append(info.Deps, &debug.Module{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}) {
			if m.Replace != nil {
				return nil, fmt.Errorf("%s: module %s is replaced", t.file(), m.Path)
			}
			linked[*m] = append(linked[*m], t.file())
		}
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = ""
	main := cdx.Component{Type: cdx.ComponentTypeApplication, Name: "showcause", Version: b.version, BOMRef: "showcause", PackageURL: "pkg:golang/github.com/showcause/showcause@" + b.version}
	bom.Metadata = &cdx.Metadata{Component: &main}
	var parts []cdx.Component
	var refs []string
	for _, m := range slices.SortedFunc(maps.Keys(linked), func(x, y debug.Module) int { return strings.Compare(x.Path+"@"+x.Version, y.Path+"@"+y.Version) }) {
		purl := "pkg:golang/" + m.Path + "@" + m.Version
		c := cdx.Component{Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, BOMRef: purl, PackageURL: purl}
		props := []cdx.Property{{Name: "showcause:linked-into", Value: strings.Join(linked[m], " ")}}
		if m.Sum != "" {
			props = append(props, cdx.Property{Name: "showcause:go.sum", Value: m.Sum})
		}
		c.Properties = &props
		parts, refs = append(parts, c), append(refs, purl)
	}
	bom.Components = &parts
	bom.Dependencies = &[]cdx.Dependency{{Ref: "showcause", Dependencies: &refs}}
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// provenance is the statement, in canonical JSON. It says no time and no place, so
// that whoever builds the same writes the same.
func (b *builder) provenance(sums map[string]string) ([]byte, error) {
	var s release.Statement
	s.Type, s.PredicateType = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		s.Subject = append(s.Subject, release.Subject{Name: name, Digest: map[string]string{"sha256": sums[name]}})
	}
	d := &s.Predicate.BuildDefinition
	d.BuildType = buildType
	d.ExternalParameters = map[string]string{"repository": repository, "revision": b.commit, "version": b.version, "go": b.golang}
	d.InternalParameters = fixed(b.golang)
	d.InternalParameters["flags"] = strings.Join(flags(), " ")
	d.ResolvedDependencies = []release.Dependency{
		{URI: "git+" + repository + "@" + b.commit, Digest: map[string]string{"gitCommit": b.commit}},
		{URI: "pkg:golang/toolchain@" + b.golang},
	}
	s.Predicate.RunDetails.Builder.ID = repository + "/tree/main/cmd/release"
	raw, err := json.Marshal(&s)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(raw)
}

// signer reads a private key.
func signer(file string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	keys, err := evidence.ParseKeys(b)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", file, err)
	}
	for _, k := range keys {
		if e := k.Ed25519(); e != nil {
			return e, nil
		}
	}
	return nil, fmt.Errorf("key %s: no Ed25519 key", file)
}

// sign signs the list and the provenance.
func (b *builder) sign(dir string, list []byte) error {
	if b.o.key == "" {
		fmt.Fprintln(b.w, "not signed: no -key")
		return nil
	}
	key, err := signer(b.o.key)
	if err != nil {
		return err
	}
	if err := write(dir, release.Signature, ed25519.Sign(key, list)); err != nil {
		return err
	}
	statement, err := os.ReadFile(filepath.Join(dir, release.Provenance))
	if err != nil {
		return err
	}
	text, err := release.Attest(key, statement)
	if err != nil {
		return err
	}
	return write(dir, release.Envelope, text)
}

// enter enters the list in the log.
func (b *builder) enter(dir string, list []byte) (err error) {
	if b.o.log == "" {
		fmt.Fprintln(b.w, "not logged: no -log")
		return nil
	}
	key, err := signer(b.o.logKey)
	if err != nil {
		return err
	}
	o := translog.Options{Public: key.Public().(ed25519.PublicKey), Key: key, Create: true}
	if b.o.witnesses != "" {
		if o.Policy, err = os.ReadFile(b.o.witnesses); err != nil {
			return err
		}
	}
	l, err := translog.Open(b.o.log, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	digest := sha256.Sum256(list)
	index, found, err := l.Find(digest)
	if err == nil && !found {
		index, err = l.Append([]translog.Digest{digest})
	}
	if err != nil {
		return err
	}
	proof, err := l.Prove(index)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.w, "log entry %d\n", index)
	return write(dir, release.Proof, proof)
}
