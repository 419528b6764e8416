package update

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause/update/signed"
)

//go:embed sources.json
var shipped []byte

// Source is where rules come from.
type Source struct {
	Name    string `json:"name"` // letters, digits and hyphens
	Kind    string `json:"kind"` // clamav, signed, files, archive or folder
	About   string `json:"about"`
	Licence string `json:"licence"` // its name
	Terms   string `json:"terms"`   // what it asks, in a sentence or two
	Default bool   `json:"default"` // on unless it is turned off

	URLs []string `json:"urls,omitempty"` // of files and archives; of a folder its path
	Max  int64    `json:"max,omitempty"`  // longest file, bytes; 0: 1 GiB

	// Of ClamAV's databases.
	Mirrors   []string `json:"mirrors,omitempty"`
	DNS       string   `json:"dns,omitempty"` // the name whose text tells the versions
	Databases []string `json:"databases,omitempty"`
	Whole     bool     `json:"whole,omitempty"` // no .cdiff files: always the whole database

	Site *signed.Site `json:"site,omitempty"` // of signed releases, whose URL is that of the site's folder
}

// Sources returns those that ship with Showcause.
func Sources() ([]Source, error) { return ParseSources(shipped) }

// ParseSources reads a list of sources as JSON.
func ParseSources(b []byte) ([]Source, error) {
	var all []Source
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("sources: %w", err)
	}
	seen := map[string]bool{}
	for i := range all {
		s := &all[i]
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("source %q: %w", s.Name, err)
		}
		if seen[s.Name] {
			return nil, fmt.Errorf("source %q: there are two", s.Name)
		}
		seen[s.Name] = true
	}
	return all, nil
}

// check refuses what cannot be used.
func (s *Source) check() error {
	if !plain(s.Name) || strings.Contains(s.Name, ".") {
		return fmt.Errorf("a name is of letters, digits and hyphens")
	}
	if s.Licence == "" || s.Terms == "" {
		return fmt.Errorf("no licence is named")
	}
	switch s.Kind {
	case "clamav":
		if len(s.Mirrors) == 0 || len(s.Databases) == 0 {
			return fmt.Errorf("no mirror or no database")
		}
		if slices.ContainsFunc(s.Databases, func(d string) bool { return !plain(d) || strings.ContainsAny(d, ".-") }) {
			return fmt.Errorf("a database is named by letters and digits")
		}
	case "signed":
		if s.Site == nil || len(s.URLs) != 1 {
			return fmt.Errorf("no site, or not one URL")
		}
	case "files", "archive", "folder":
		if len(s.URLs) == 0 {
			return fmt.Errorf("no URL")
		}
		seen := map[string]bool{}
		for _, u := range s.URLs {
			if n := nameOf(u); s.Kind == "files" && (!plain(n) || seen[n]) {
				return fmt.Errorf("%s does not end with a file's name, or with one that is there twice", u)
			}
			seen[nameOf(u)] = true
		}
	default:
		return fmt.Errorf("no kind %q", s.Kind)
	}
	return nil
}

// all are the URLs by whose beginnings a source is asked.
func (s *Source) all() []string { return slices.Concat(s.Mirrors, s.URLs) }

// nameOf is the last part of a URL's path.
func nameOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return path.Base(u.Path)
}

// plain allows the names of files that are put into a folder.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 128 && s[0] != '.' && s[0] != '-'
}
