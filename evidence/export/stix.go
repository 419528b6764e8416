package export

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/showcause/showcause/evidence"
)

// STIX 2.1 (OASIS Standard, 2021): of each finding the file, an indicator that
// is the rule, a sighting of it with the observed file, and the analysis; of each other
// record a note, on the sighting that it is about, on the files that were not read whole,
// or on who says so. The ids are
// UUIDs version 5, so that the same record gives the same objects.

// scoNamespace is that of the ids of observables (STIX 2.1, section 2.9), and
// ownNamespace that of the other objects made here.
const (
	scoNamespace = "00abedb4aa42466c9c01fed23315a9b7"
	ownNamespace = "5d0b1f3e6c7a4e0f9a3b2c1d4e5f6071"
)

type stixObject map[string]any

func stixID(kind, namespace, name string) string {
	ns, _ := hex.DecodeString(namespace)
	sum := sha1.Sum(append(ns, name...)) // RFC 9562, section 5.5
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%s--%x-%x-%x-%x-%x", kind, sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func writeSTIX(w io.Writer, records []*evidence.Sealed) error {
	objects, seen, all := []stixObject{}, map[string]bool{}, ""
	add := func(o stixObject) string {
		id := o["id"].(string)
		if !seen[id] {
			seen[id] = true
			objects = append(objects, o)
		}
		return id
	}
	rules := ruleNames(records)
	for _, r := range records {
		all += r.Record().Name()
		switch s := r.Statement(); s.Kind {
		case evidence.Finding:
			stixFinding(r, s, add)
		case evidence.Scan:
			stixCoverage(r, s, add)
		default:
			stixSaid(r, s, rules, add)
		}
	}
	bundle := stixObject{"type": "bundle", "id": stixID("bundle", ownNamespace, all)}
	if len(objects) > 0 {
		bundle["objects"] = objects
	}
	return indented(w, bundle)
}

func stixTime(s *evidence.Statement) string { return s.Time.Observed[:19] + ".000Z" }

func stixNew(kind, name, at string) stixObject {
	return stixObject{"type": kind, "spec_version": "2.1", "id": stixID(kind, ownNamespace, name), "created": at, "modified": at}
}

// stixSigner is one object for all records of a key.
func stixSigner(r *evidence.Sealed) stixObject {
	key := r.Signer().ID()
	who := stixNew("identity", "key "+key, "2026-01-01T00:00:00.000Z")
	who["name"], who["identity_class"] = "Showcause, key "+key, "system"
	return who
}

func stixRefs(r *evidence.Sealed) []stixObject {
	return []stixObject{{"source_name": "showcause record", "external_id": r.Record().Name()}}
}

// stixNote is a note of a record, on objects of the bundle.
func stixNote(r *evidence.Sealed, name, creator, abstract, content string, on []string) stixObject {
	n := stixNew("note", name, stixTime(r.Statement()))
	n["created_by_ref"], n["abstract"], n["content"] = creator, abstract, content
	n["object_refs"], n["external_references"] = on, stixRefs(r)
	return n
}

// stixSaid is what was said of a finding, or done because of it: a note on its
// sighting, and on who says so where the finding is not among the records.
func stixSaid(r *evidence.Sealed, s *evidence.Statement, rules map[string]string, add func(stixObject) string) {
	creator := add(stixSigner(r))
	finding, what, reason := said(s)
	on := creator
	if rules[finding] != "" {
		on = stixID("sighting", ownNamespace, finding)
	}
	content := what + " (finding " + finding + ")"
	if reason != "" {
		content += ": " + reason
	}
	add(stixNote(r, r.Record().Name(), creator, what, content, []string{on}))
}

// stixCoverage is what a scan looked at: a note on the scan, and one on each file that
// has gaps or could not be read.
func stixCoverage(r *evidence.Sealed, s *evidence.Statement, add func(stixObject) string) {
	creator := add(stixSigner(r))
	v, name := s.Coverage, r.Record().Name()
	abstract := "scan: " + s.Verdict
	if !v.Complete {
		abstract += ", not all of it was read"
	}
	content := fmt.Sprintf("scan %s: %s, complete %t, %d files, %d layers, %d bytes", s.Context.Scan, s.Verdict, v.Complete, v.Files, v.Objects, v.Bytes)
	for _, k := range slices.Sorted(maps.Keys(v.Verdicts)) {
		content += fmt.Sprintf("; files %s: %d", k, v.Verdicts[k])
	}
	if l := listed(codes(gapsOf(s))); l != "" {
		content += "; gaps: " + l
	}
	add(stixNote(r, name, creator, abstract, content, []string{creator}))
	for i := range v.Inputs {
		in, path := &v.Inputs[i], ""
		if i < len(s.Context.Paths) {
			path = s.Context.Paths[i].Text
		}
		f := stixFile(in.Digest, path, in.Size)
		if f == nil {
			continue // counted above
		}
		why := "not read"
		if len(in.Gaps) > 0 {
			why = listed(codes(in.Gaps))
		}
		add(stixNote(r, fmt.Sprintf("%s input %d", name, i), creator, in.Verdict, in.Verdict+": "+why, []string{add(f)}))
	}
}

func stixFinding(r *evidence.Sealed, s *evidence.Statement, add func(stixObject) string) {
	at := stixTime(s)
	object := func(kind, name string) stixObject { return stixNew(kind, name, at) }
	creator := add(stixSigner(r))
	name, refs := r.Record().Name(), stixRefs(r)
	var file string
	if f := stixFile(s.Subject, s.Context.Path.Text, s.Input.Size); f != nil {
		file = add(f)
	}

	rule := s.Rules.Rule
	ind := object("indicator", "rule "+rule.Digest+" "+s.Time.Observed)
	ind["created_by_ref"], ind["name"], ind["valid_from"] = creator, rule.Name, at
	ind["pattern_type"], ind["pattern"] = rule.Language, rule.Text
	if rule.Text == "" {
		ind["pattern"] = "sha256:" + rule.Digest
	}
	ind["external_references"] = []stixObject{{"source_name": "rule", "description": "SHA-256 of the rule's text", "external_id": rule.Digest}}
	indicator := add(ind)

	sight := object("sighting", name)
	sight["created_by_ref"], sight["sighting_of_ref"], sight["count"] = creator, indicator, 1
	sight["first_seen"], sight["last_seen"] = at, at
	sight["where_sighted_refs"], sight["external_references"] = []string{creator}, refs
	if file != "" {
		obs := object("observed-data", name)
		obs["created_by_ref"], obs["first_observed"], obs["last_observed"] = creator, at, at
		obs["number_observed"], obs["object_refs"] = 1, []string{file}
		sight["observed_data_refs"] = []string{add(obs)}
	}
	add(sight)

	an := object("malware-analysis", name)
	an["created_by_ref"], an["product"], an["version"] = creator, "showcause", s.Engine.Version
	an["analysis_definition_version"], an["analysis_ended"] = s.Rules.Database, at
	an["result"], an["result_name"], an["external_references"] = "malicious", rule.Name, refs
	if !rule.Alarms() {
		an["result"] = "unknown"
	}
	if file != "" {
		an["sample_ref"] = file
	}
	add(an)
}

// stixFile is a file, nil if neither its digest nor its name is shown.
func stixFile(subject evidence.Digests, path string, size int64) stixObject {
	f := stixObject{"type": "file", "spec_version": "2.1"}
	if size >= 0 {
		f["size"] = size
	}
	id := map[string]any{}
	if d := subject.SHA256; d != "" {
		h := map[string]string{"SHA-256": d}
		if subject.SHA1 != "" {
			h["SHA-1"] = subject.SHA1
		}
		if subject.MD5 != "" {
			h["MD5"] = subject.MD5
		}
		f["hashes"] = h
		// One digest goes into the id (section 2.9): MD5 before SHA-1 before SHA-256.
		for _, k := range []string{"MD5", "SHA-1", "SHA-256"} {
			if h[k] != "" {
				id["hashes"] = map[string]string{k: h[k]}
				break
			}
		}
	}
	if path != "" {
		f["name"] = path
		id["name"] = path
	}
	if len(id) == 0 {
		return nil
	}
	b, err := json.Marshal(id) // ASCII names in order: canonical, but for what json escapes in a path
	if err != nil {
		return nil
	}
	f["id"] = stixID("file", scoNamespace, string(b))
	return f
}
