// Package inventorycmd is the command inventory: what software is in targets, as text,
// JSON, CycloneDX or SPDX.
package inventorycmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/inspect"
	"github.com/showcause/showcause/product/sbom"
	"github.com/showcause/showcause/product/survey"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/rules/products"
)

// Host is what the command needs of the program that it is a part of.
type Host struct {
	Version string
	// Scratch opens a temporary file that is gone when it is closed.
	Scratch func() (*os.File, error)
	// Size is the value of a flag: bytes.
	Size func(*int64) pflag.Value
	// Exit is the error that ends the program with a code and without a message.
	Exit func(code int) error
}

// exitUnread is the exit code after an error, and where something was not reached.
const exitUnread = 2

type options struct {
	Host
	format     string
	identities []string
	rules      []string
	roots      []string
	jail       string
	survey     survey.Options
}

// Command is the command "inventory".
func (h Host) Command() *cobra.Command {
	o := options{Host: h}
	c := &cobra.Command{
		Use:   "inventory [flags] TARGET...",
		Short: "Show what software is on a host, in a root, image, package or any file",
		Long: `Show what software is in each TARGET: / is this host, with what runs; a folder is a root, a
mounted one or one for chroot; a file is an image of a disk or container, a package, an archive or a program.

Packages are read from the databases of dpkg, rpm, apk, snap, flatpak, Homebrew, winget and MSI, from registry
hives and property lists, without the system that they are of; programs by their version resources and signers. Everything
inside archives and images is looked at as well. Products that the identities know (docs/format/identity.md) are
named first, with the reason. A text that only names a product counts nowhere.

Nothing is ever "absent": what was not reached is listed, and the exit code tells.

Exit code: 0 everything was reached; 2 an error, or something was not reached.`,
		Example: `  showcause inventory /
  showcause inventory /mnt/root --exclude /srv/mail --cache /var/cache/showcause
  showcause inventory disk.qcow2 --format json | jq '.coverage.files'
  showcause inventory image.tar --format cyclonedx > bom.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("inventory: name at least one target: /, a folder, or a file")
			}
			return nil
		},
		RunE: o.run,
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.format, "format", "text", "text; json: an object a target; cyclonedx, spdx: a document (1.6, 2.3) for one target")
	f.StringArrayVar(&o.identities, "identities", nil, "a file of identities besides those that ship; may be given more than once")
	f.StringArrayVar(&o.rules, "rules", nil, "YARA rules that are tried on programs, for components in others; may be given more than once")
	f.StringArrayVar(&o.roots, "roots", nil, "certificates (PEM) of roots that signers of programs may lead to, besides this system's; may be given more than once")
	f.StringArrayVar(&o.survey.Exclude, "exclude", nil, "a file or folder of a tree that is left out, from its root, / first; may be given more than once")
	f.StringVar(&o.survey.Cache, "cache", "", "keep in this folder what files held: one that did not change is not read again")
	f.BoolVar(&o.survey.NoProcesses, "no-processes", false, "of this host, leave out what runs")
	f.Var(h.Size(&o.survey.Limits.ScanSize), "max-scansize", "bytes that are unpacked from one file (default 4G)")
	f.Var(h.Size(&o.survey.Limits.Objects), "max-files", "layers inside one file (default 100000)")
	f.Var(h.Size(&o.survey.Limits.Work), "max-work", "steps of parsing for one file (default 4000000000)")
	f.StringVar(&o.jail, "jail", "on", "on: files are read by processes that the kernel has locked in; off: by this process")
	return c
}

// Load returns the identities that ship, and those in files.
func Load(files []string) (*product.Set, error) {
	set, err := product.Load(products.Files())
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err == nil {
			err = set.Add(filepath.Base(name), text)
		}
		if err != nil {
			return nil, fmt.Errorf("identities: %w", err)
		}
	}
	return set, nil
}

// here has a request done by this process.
func here(_ context.Context, request []byte, f *os.File, part func([]byte) error) error {
	return survey.Here(request, f, part)
}

func (o *options) prepare(c *cobra.Command) (print printer, err error) {
	if print = printers[o.format]; print == nil {
		return nil, fmt.Errorf("flag --format: %q is not one of text, json, cyclonedx, spdx", o.format)
	}
	switch o.jail {
	case "on":
		if err := jail.Available(); err != nil {
			return nil, fmt.Errorf("jail: the kernel cannot lock the process that reads files: %w; --jail=off reads without", err)
		}
		if err := jail.Broker(); err != nil {
			return nil, fmt.Errorf("jail: %w", err)
		}
	case answer.JailOff:
		fmt.Fprintln(c.ErrOrStderr(), "showcause: without the jail: this process reads the files itself")
		o.survey.Run = here
	default:
		return nil, fmt.Errorf("flag --jail: %q is not one of on, off", o.jail)
	}
	if len(o.rules) > 0 {
		if o.survey.Rules, err = rules.Compile(o.rules, rules.Options{}); err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
	}
	for _, name := range o.roots {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("roots: %w", err)
		}
		o.survey.Roots = append(append(o.survey.Roots, b...), '\n')
	}
	o.survey.Scratch, o.survey.Engine = o.Scratch, o.Version
	return print, nil
}

func (o *options) run(c *cobra.Command, args []string) error {
	print, err := o.prepare(c)
	if err != nil {
		return err
	}
	if len(args) > 1 && (o.format == "cyclonedx" || o.format == "spdx") {
		return fmt.Errorf("flag --format: %s is for one target", o.format)
	}
	set, err := Load(o.identities)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(c.OutOrStdout(), 64<<10)
	whole := true
	for _, target := range args {
		inv, err := survey.Run(c.Context(), target, o.survey)
		if err != nil {
			return fmt.Errorf("%s: %w", showcause.Escape(target), err)
		}
		whole = whole && inv.Coverage.Whole()
		if err = print(out, inv, set); err == nil {
			err = out.Flush()
		}
		if err != nil {
			return fmt.Errorf("output: %w", err)
		}
	}
	if !whole {
		return o.Exit(exitUnread)
	}
	return nil
}

// printer writes an inventory.
type printer func(w io.Writer, inv *product.Inventory, set *product.Set) error

var printers = map[string]printer{
	"text":      printText,
	"json":      func(w io.Writer, inv *product.Inventory, _ *product.Set) error { return json.NewEncoder(w).Encode(inv) },
	"cyclonedx": func(w io.Writer, inv *product.Inventory, _ *product.Set) error { return sbom.CycloneDX(w, inv) },
	"spdx":      func(w io.Writer, inv *product.Inventory, _ *product.Set) error { return sbom.SPDX(w, inv) },
}

// sources are the names of readers whose records are packages.
func sources() []string {
	var out []string
	for _, r := range inspect.Readers() {
		out = append(out, r.Name)
	}
	return append(out, "folder", "process")
}
