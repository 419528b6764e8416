// Package sbom writes an inventory as a bill of materials: CycloneDX 1.6 and SPDX 2.3, both
// as JSON. What each component rests on stands with it; that something was not reached makes the whole incomplete.
//
// Sources: OWASP, CycloneDX 1.6 (ECMA-424); SPDX Specification 2.3; package-url, PURL specification.
package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/product"
)

// component is an observation that is software with a name.
type component struct {
	*product.Observation
	id, name, version, maker, purl string
}

// components are those of an inventory, in its order. Folders, services, remnants, mentions and programs that say nothing of
// themselves are none.
func components(inv *product.Inventory) (out []component) {
	for i := range inv.Observations {
		o := &inv.Observations[i]
		if o.Class == product.Mention || o.Class == product.Remnant {
			continue
		}
		c := component{Observation: o, id: fmt.Sprintf("component-%d", len(out)+1), version: o.Get(product.Version), maker: first(o, product.Publisher, product.Company)}
		c.name = first(o, product.Package, product.Extension, product.Program, product.BundleID, product.Title)
		if c.maker == "" {
			c.maker = signer(o)
		}
		if c.name == "" {
			continue
		}
		c.purl = purl(inv, c)
		out = append(out, c)
	}
	return out
}

func first(o *product.Observation, kinds ...product.Kind) string {
	for _, k := range kinds {
		if v := o.Get(k); v != "" {
			return v
		}
	}
	return ""
}

// signer is who signed a program, where the signature holds.
func signer(o *product.Observation) string {
	for _, f := range o.Facts {
		if f.Kind == product.Signer && f.Verified {
			return f.Value
		}
	}
	return ""
}

// program tells whether the evidence is the component itself, and not a record of it.
func (c component) program() bool {
	return slices.Contains([]string{"pe", "macho", "elf", "crx", "msi", "msi-signer"}, c.Source)
}

// purl is the package URL of a component, "" where there is no type for it.
func purl(inv *product.Inventory, c component) string {
	space, plain := inv.System.Name, c.Get(product.Package)
	if plain == "" {
		return ""
	}
	kind := ""
	switch c.Platform {
	case product.Deb:
		kind, space = "deb", or(space, "debian")
	case product.RPM:
		kind, space = "rpm", or(space, "redhat")
	case product.APK:
		kind, space = "apk", or(space, "alpine")
	default:
		return ""
	}
	p := "pkg:" + kind + "/" + escape(lower(space)) + "/" + escape(plain)
	if c.version != "" {
		p += "@" + escape(c.version)
	}
	return p
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func lower(s string) string { return strings.ToLower(s) }

// escape is a part of a package URL.
func escape(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-_~:", c) >= 0 {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

// digest names an inventory by its content.
func digest(inv *product.Inventory) (string, error) {
	b, err := json.Marshal(inv)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), err
}

// CycloneDX writes an inventory as CycloneDX 1.6.
func CycloneDX(w io.Writer, inv *product.Inventory) error {
	id, err := digest(inv)
	if err != nil {
		return err
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + id[:8] + "-" + id[8:12] + "-8" + id[13:16] + "-8" + id[17:20] + "-" + id[20:32]
	bom.Metadata = &cdx.Metadata{
		Timestamp: inv.Coverage.Ended.UTC().Format(time.RFC3339),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "showcause", Version: inv.Coverage.Engine}}},
		Component: &cdx.Component{BOMRef: "target", Type: targetType(inv), Name: or(showcause.Escape(inv.Target), "target")},
	}
	list := []cdx.Component{}
	refs := []cdx.BOMReference{"target"}
	for _, c := range components(inv) {
		list = append(list, cyclone(c))
		refs = append(refs, cdx.BOMReference(c.id))
	}
	bom.Components = &list
	whole := cdx.CompositionAggregateUnknown // everything was reached; that it knows all that is software it does not claim
	if !inv.Coverage.Whole() {
		whole = cdx.CompositionAggregateIncomplete
	}
	bom.Compositions = &[]cdx.Composition{{Aggregate: whole, Assemblies: &refs}}
	e := cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON)
	e.SetPretty(true)
	return e.EncodeVersion(bom, cdx.SpecVersion1_6)
}

func targetType(inv *product.Inventory) cdx.ComponentType {
	switch inv.Kind {
	case "host", "root":
		return cdx.ComponentTypeOS
	case "image":
		return cdx.ComponentTypeContainer
	}
	return cdx.ComponentTypeFile
}

func cyclone(c component) cdx.Component {
	out := cdx.Component{
		BOMRef: c.id, Type: cdx.ComponentTypeApplication, Name: c.name, Version: c.version, Publisher: c.maker, PackageURL: c.purl,
		Properties: &[]cdx.Property{{Name: "showcause:class", Value: string(c.Class)}, {Name: "showcause:source", Value: c.Source}},
	}
	add := func(name, value string) {
		if value != "" {
			*out.Properties = append(*out.Properties, cdx.Property{Name: name, Value: value})
		}
	}
	if sum := c.Evidence.SHA256; sum != (showcause.SHA256{}) {
		if c.program() {
			out.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sum.String()}}
		}
		add("showcause:evidence:sha256", sum.String())
	}
	add("showcause:evidence:record", showcause.Escape(c.Evidence.Record))
	if c.Evidence.Length > 0 {
		add("showcause:evidence:bytes", fmt.Sprintf("%d+%d", c.Evidence.Offset, c.Evidence.Length))
	}
	for _, f := range c.Facts {
		if (f.Kind == product.Signer || f.Kind == product.TeamID) && f.Verified {
			add("showcause:verified-"+string(f.Kind), f.Value)
		}
	}
	out.Evidence = &cdx.Evidence{Occurrences: &[]cdx.EvidenceOccurrence{{Location: c.Place.String()}}}
	return out
}

// The parts of an SPDX document that are written (SPDX Specification 2.3, clauses 6, 7 and 11).
type spdxDocument struct {
	Version       string         `json:"spdxVersion"`
	License       string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      spdxCreation   `json:"creationInfo"`
	Comment       string         `json:"comment,omitempty"`
	Packages      []spdxPackage  `json:"packages"`
	Relationships []spdxRelation `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID        string         `json:"SPDXID"`
	Name      string         `json:"name"`
	Version   string         `json:"versionInfo,omitempty"`
	Supplier  string         `json:"supplier,omitempty"`
	Download  string         `json:"downloadLocation"`
	Analyzed  bool           `json:"filesAnalyzed"`
	Concluded string         `json:"licenseConcluded"`
	Declared  string         `json:"licenseDeclared"`
	Copyright string         `json:"copyrightText"`
	Checksums []spdxChecksum `json:"checksums,omitempty"`
	Refs      []spdxRef      `json:"externalRefs,omitempty"`
	Info      string         `json:"sourceInfo,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelation struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

const noAssertion = "NOASSERTION"

var notTool = regexp.MustCompile(`[^A-Za-z0-9.+-]+`)

// SPDX writes an inventory as SPDX 2.3.
func SPDX(w io.Writer, inv *product.Inventory) error {
	id, err := digest(inv)
	if err != nil {
		return err
	}
	name := or(showcause.Escape(inv.Target), "target")
	d := spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: name, Namespace: "urn:showcause:inventory:" + id,
		Creation: spdxCreation{inv.Coverage.Ended.UTC().Format(time.RFC3339), []string{"Tool: showcause-" + or(strings.Trim(notTool.ReplaceAllString(inv.Coverage.Engine, "-"), "-"), "unknown")}},
		Packages: []spdxPackage{{
			ID: "SPDXRef-target", Name: name, Download: noAssertion, Concluded: noAssertion, Declared: noAssertion, Copyright: noAssertion,
		}},
		Relationships: []spdxRelation{{"SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-target"}},
	}
	if !inv.Coverage.Whole() {
		d.Comment = fmt.Sprintf("Not complete: %d files and %d places were not reached.", inv.Coverage.Files.Unread, int64(len(inv.Coverage.Gaps))+inv.Coverage.More)
	}
	for _, c := range components(inv) {
		p := spdxPackage{
			ID: "SPDXRef-" + c.id, Name: c.name, Version: c.version, Download: noAssertion, Concluded: noAssertion, Declared: noAssertion, Copyright: noAssertion,
			Info: fmt.Sprintf("%s; seen by %s in %s; evidence SHA-256 %s, %s", c.Class, c.Source, c.Place, c.Evidence.SHA256, showcause.Escape(c.Evidence.Record)),
		}
		if maker := strings.TrimSpace(strings.NewReplacer("(", " ", ")", " ", "\n", " ").Replace(c.maker)); maker != "" {
			p.Supplier = "Organization: " + maker
		}
		if c.program() && c.Evidence.SHA256 != (showcause.SHA256{}) {
			p.Checksums = []spdxChecksum{{"SHA256", c.Evidence.SHA256.String()}}
		}
		if c.purl != "" {
			p.Refs = []spdxRef{{"PACKAGE-MANAGER", "purl", c.purl}}
		}
		d.Packages = append(d.Packages, p)
		d.Relationships = append(d.Relationships, spdxRelation{"SPDXRef-target", "CONTAINS", p.ID})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d)
}
