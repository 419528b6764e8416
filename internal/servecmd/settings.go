package servecmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/serve"
	"github.com/showcause/showcause/serve/clamd"
	"github.com/showcause/showcause/serve/clamdconf"
	"github.com/showcause/showcause/serve/queue"
)

// settings are what the service is told: by flags, by clamd.conf, or by nobody.
type settings struct {
	config string
	file   *clamdconf.File // an empty one where none is named
	given  *pflag.FlagSet
	rows   []row

	listen       []serve.Listen
	db           []string
	chosen       rules.Options // which rules there are, of those that are text
	policy       queue.Policy
	limits       showcause.Limits
	clamd        clamd.Options
	log          serve.LogOptions
	notes        []string
	user         string
	pidFile      string
	tempDir      string
	control      string
	metrics      string
	api          apiSettings
	proxy        proxySettings
	store        storing
	event        string
	selfCheck    time.Duration
	soak         serve.Soak
	scanTime     time.Duration
	oldest       time.Duration // of ClamAV's rules; 0 is no bound
	drain        time.Duration
	readers      int
	recycle      int
	queue        int
	memory       int64
	spool        int64
	cache        int64
	readerMemory int64
}

// row is a setting that counts, for --print-config.
type row struct{ name, value, from string }

// flags declares them. Their defaults are not pflag's, so that what is not given shows.
func (s *settings) flags(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVarP(&s.config, "config", "c", "", "clamd.conf: its options count where no flag says otherwise")
	f.StringArray("socket", nil, "path of a socket for clamd's protocol (repeatable; LocalSocket)")
	f.String("socket-mode", "", "mode of --socket, octal (LocalSocketMode; default 666)")
	f.String("socket-group", "", "group of --socket (LocalSocketGroup)")
	f.StringArray("tcp", nil, "host:port for clamd's protocol (repeatable; TCPSocket, TCPAddr)")
	f.StringArrayP("db", "d", nil, "rules: a compiled database, or ClamAV database files or folders (repeatable; DatabaseDirectory; default: the built-in rules)")
	f.Bool("unsigned", false, "take ClamAV's containers (.cvd, .cld) without a signature that holds")
	f.String("certs", "", "hold detached signatures of containers (.sign) against the certificates in this folder (CVDCertsDirectory)")
	f.String("incomplete", "error", "what is answered where nothing was found and not all was read: error, found, ok")
	f.StringSlice("accept", nil, "reasons for which what is not read is answered as if nothing were in it, such as encrypted,unsupported")
	f.Int("readers", 0, "processes that read files (MaxThreads, no more than processors; default one a processor)")
	f.Int("recycle", 0, "files that one of them reads before another takes its place (default 10000)")
	f.Int("max-queue", 0, "requests that wait for their turn (MaxQueue; default 1000)")
	f.String("max-memory", "", "bytes of memory of a process that reads files (default 1G)")
	f.String("receive-memory", "", "bytes of what is received that are held in memory (default 32M)")
	f.String("receive-disk", "", "and in files (default 16G)")
	f.String("cache", "", "bytes of answers that are kept; 0 keeps none (DisableCache; default 16M)")
	f.String("stream-max-length", "", "bytes of one stream of clamd's protocol (StreamMaxLength; default 100M)")
	f.String("max-filesize", "", "bytes of one file that are read, inside an archive too (MaxFileSize; default 4G inside, no bound outside)")
	f.String("max-scansize", "", "bytes that are unpacked from one file (MaxScanSize; default 4G)")
	f.Int("max-files", 0, "files inside one file (MaxFiles; default 100000)")
	f.Int("max-recursion", 0, "archives in archives (MaxRecursion; default 32)")
	f.Duration("max-scantime", 0, "time for one request, from its arrival (MaxScanTime; default 5 minutes and a second for each 4 MiB of a file)")
	f.String("user", "", "user to become, once sockets are open (User)")
	f.String("pid-file", "", "file for the process number (PidFile)")
	f.String("temp-dir", "", "folder of unnamed temporary files (TemporaryDirectory)")
	f.String("log-file", "", "log, in place of standard error (LogFile)")
	f.String("log-format", "", "text, json, journald, clamd (default text, or clamd for a file)")
	f.Bool("log-clean", false, "log what nothing was found in, too (LogClean)")
	f.Bool("log-verbose", false, "log more (LogVerbose)")
	f.DurationVar(&s.soak.Time, "soak", 24*time.Hour, "watch rules that come while the service runs for so long, and go back to those before if they are out of bounds; 0: do not")
	f.IntVar(&s.soak.Crashes, "soak-crashes", 5, "inputs on which readers die within that time that are within bounds")
	f.IntVar(&s.soak.Share, "soak-hits", 50, "percent of inputs with findings that are within bounds")
	f.Duration("self-check", 0, "how often changes of the rules' files are looked for; 0 never (SelfCheck; default 10m)")
	f.String("store", "", "folder of the records of what is found; off for none (default $SHOWCAUSE_STORE, or /var/lib/showcause, with -USER behind it where another user is become)")
	f.String("control", "", "path of the socket that showcause status and top ask; off for none (default /run/showcause/control.sock, or beside --socket)")
	f.String("metrics", "", "host:port, or path of a socket, that answers GET /metrics for Prometheus")
	s.api.flags(f)
	s.proxy.flags(f)
	f.Duration("drain", time.Minute, "how long requests under way may take after SIGTERM")
}

// source is where a setting may come from: a flag, an option of clamd.conf, or neither.
type source struct{ flag, option string }

// from says which of the two it is; "" if neither.
func (s *settings) from(src source) string {
	switch {
	case src.flag != "" && s.given.Changed(src.flag):
		return "--" + src.flag
	case src.option != "" && s.file.Given(src.option) > 0:
		return s.file.Place(src.option)
	}
	return ""
}

// row notes a setting. A place that is "" is the default.
func (s *settings) row(name string, value any, from string) {
	if from == "" {
		from = "default"
	}
	s.rows = append(s.rows, row{name, fmt.Sprint(value), from})
}

func (s *settings) text(src source, def string) string {
	v, from := def, s.from(src)
	switch {
	case strings.HasPrefix(from, "--"):
		v, _ = s.given.GetString(src.flag)
	case from != "":
		v = s.file.Text(src.option)
	}
	s.row(src.flag, v, from)
	return v
}

func (s *settings) yes(src source) (v bool) {
	from := s.from(src)
	switch {
	case strings.HasPrefix(from, "--"):
		v, _ = s.given.GetBool(src.flag)
	case from != "":
		v = s.file.Bool(src.option)
	}
	s.row(src.flag, v, from)
	return v
}

// bytes is a size. An option's "no limit" is a flag's 0, which is the default of what
// has no bound.
func (s *settings) bytes(src source, def int64) (int64, error) {
	v, from := def, s.from(src)
	switch {
	case strings.HasPrefix(from, "--"):
		text, _ := s.given.GetString(src.flag)
		var err error
		if v, err = parseBytes(text); err != nil {
			return 0, fmt.Errorf("flag --%s: %w", src.flag, err)
		}
	case from != "":
		v = s.file.Size(src.option)
	}
	s.row(src.flag, v, from)
	return v, nil
}

func parseBytes(text string) (int64, error) {
	digits, shift := text, 0
	if n := len(text); n > 0 {
		if i := strings.IndexByte("KMGT", strings.ToUpper(text)[n-1]); i >= 0 {
			digits, shift = text[:n-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, errors.New("want a number of bytes such as 4096, 25M or 1G")
	}
	return n << shift, nil
}

func (s *settings) number(src source, def int) int {
	v, from := def, s.from(src)
	switch {
	case strings.HasPrefix(from, "--"):
		v, _ = s.given.GetInt(src.flag)
	case from != "":
		v = s.file.Number(src.option)
	}
	s.row(src.flag, v, from)
	return v
}

func (s *settings) time(src source, def, unit time.Duration) time.Duration {
	v, from := def, s.from(src)
	switch {
	case strings.HasPrefix(from, "--"):
		v, _ = s.given.GetDuration(src.flag)
	case from != "":
		v = time.Duration(s.file.Number(src.option)) * unit
	}
	s.row(src.flag, v, from)
	return v
}

// resolve works out what counts.
func (s *settings) resolve(f *pflag.FlagSet) (err error) {
	s.given = f
	if s.config != "" {
		s.file, err = clamdconf.Read(s.config)
	} else {
		s.file, err = clamdconf.Parse("defaults", strings.NewReader(""))
	}
	if err != nil {
		return err
	}
	if s.clamd, err = clamd.FromConf(s.file); err != nil {
		return err
	}
	for _, n := range s.file.Notes() {
		s.notes = append(s.notes, fmt.Sprintf("%s:%d: %s: %s", s.file.Name(), n.Line, n.Option, n.Text))
	}
	for _, step := range []func() error{s.doors, s.verdicts, s.bounds, s.rest, s.apiDoor, s.proxyDoors, s.virusEvent} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// doors are the sockets. A flag takes the place of the option of the same kind alone.
func (s *settings) doors() error {
	mode, err := parseMode(s.text(source{"socket-mode", "LocalSocketMode"}, ""))
	if err != nil {
		return err
	}
	group := s.text(source{"socket-group", "LocalSocketGroup"}, "")
	local := func(path, from string) {
		s.row("socket", path, from)
		s.listen = append(s.listen, serve.Listen{
			Door: "clamd", Network: "unix", Address: path, Mode: mode, Group: group, Keep: !s.file.Bool("FixStaleSocket"), From: from,
		})
	}
	tcp := func(address, from string) {
		s.row("tcp", address, from)
		s.listen = append(s.listen, serve.Listen{Door: "clamd", Network: "tcp", Address: address, From: from})
	}
	if s.given.Changed("socket") {
		paths, _ := s.given.GetStringArray("socket")
		for _, p := range paths {
			local(p, "--socket")
		}
	} else if path := s.file.Text("LocalSocket"); path != "" {
		local(path, s.file.Place("LocalSocket"))
	}
	if s.given.Changed("tcp") {
		addresses, _ := s.given.GetStringArray("tcp")
		for _, a := range addresses {
			if _, _, err := net.SplitHostPort(a); err != nil {
				return fmt.Errorf("flag --tcp: %w", err)
			}
			tcp(a, "--tcp")
		}
		return nil
	}
	if s.file.Given("TCPSocket") == 0 {
		return nil
	}
	port, hosts := strconv.Itoa(s.file.Number("TCPSocket")), s.file.Texts("TCPAddr")
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	for _, h := range hosts {
		tcp(net.JoinHostPort(h, port), s.file.Place("TCPSocket"))
	}
	return nil
}

func parseMode(text string) (fs.FileMode, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || n > 0o777 || n == 0 {
		return 0, fmt.Errorf("mode of the socket: %q is not octal, 1 to 777", text)
	}
	return fs.FileMode(n), nil
}

// verdicts are how reports are answered.
func (s *settings) verdicts() error {
	switch word := s.text(source{flag: "incomplete"}, "error"); word {
	case "error":
	case "found":
		s.policy.Incomplete = queue.IncompleteFound
	case "ok":
		s.policy.Incomplete = queue.IncompleteOK
	default:
		return fmt.Errorf("flag --incomplete: %q is not one of error, found, ok", word)
	}
	s.policy.Accept, _ = s.given.GetStringSlice("accept")
	for _, a := range s.policy.Accept {
		head, _, _ := strings.Cut(a, ".")
		switch showcause.Code(head) {
		case "limit", showcause.Encrypted, showcause.Unsupported, showcause.Corrupt, showcause.Changed, showcause.Unreadable, showcause.Crash:
		default:
			return fmt.Errorf("flag --accept: %q is no reason for which something is not read: limit, encrypted, unsupported, corrupt, changed, unreadable, crash, each narrowed after a dot", a)
		}
	}
	s.row("accept", strings.Join(s.policy.Accept, ","), s.from(source{flag: "accept"}))
	s.policy.AlertExceedsMax = s.either("alert-exceeds-max", "AlertExceedsMax", "BlockMax")
	s.policy.AlertEncrypted = s.either("alert-encrypted", "AlertEncrypted", "AlertEncryptedArchive", "AlertEncryptedDoc", "ArchiveBlockEncrypted")
	return nil
}

// either is true if one of clamd's options is.
func (s *settings) either(name string, options ...string) bool {
	for _, o := range options {
		if s.file.Bool(o) {
			s.row(name, true, s.file.Place(o))
			return true
		}
	}
	s.row(name, false, s.from(source{option: options[0]}))
	return false
}

// bounds are what one file may cost, and all of them. ClamAV's own defaults of limits
// count only where clamd.conf has them: what is over a limit is an error here.
func (s *settings) bounds() (err error) {
	size := func(to *int64, src source, def int64) {
		if err == nil {
			*to, err = s.bytes(src, def)
		}
	}
	size(&s.limits.FileSize, source{"max-filesize", "MaxFileSize"}, 0)
	size(&s.limits.ScanSize, source{"max-scansize", "MaxScanSize"}, 0)
	size(&s.clamd.StreamMaxLength, source{"stream-max-length", "StreamMaxLength"}, s.file.Size("StreamMaxLength"))
	size(&s.readerMemory, source{flag: "max-memory"}, 1<<30)
	size(&s.memory, source{flag: "receive-memory"}, 32<<20)
	size(&s.spool, source{flag: "receive-disk"}, 16<<30)
	size(&s.cache, source{flag: "cache"}, s.cached())
	if err != nil {
		return err
	}
	if s.cache == 0 {
		s.cache = -1
	}
	if s.readerMemory < 64<<20 {
		return fmt.Errorf("flag --max-memory: want at least 64M, have %d bytes", s.readerMemory)
	}
	s.limits.Objects = int64(s.number(source{"max-files", "MaxFiles"}, 0))
	s.limits.Depth = s.number(source{"max-recursion", "MaxRecursion"}, 0)
	s.scanTime = s.time(source{"max-scantime", "MaxScanTime"}, 0, time.Millisecond)
	s.readers = s.number(source{"readers", "MaxThreads"}, runtime.NumCPU())
	if !s.given.Changed("readers") {
		s.readers = min(s.readers, runtime.NumCPU())
	}
	s.recycle = s.number(source{flag: "recycle"}, 0)
	s.queue = s.number(source{"max-queue", "MaxQueue"}, 1000)
	if s.readers < 1 || s.recycle < 0 || s.queue < 1 {
		return errors.New("flags --readers, --max-queue: want at least 1; --recycle: at least 0")
	}
	return nil
}

// answerBytes is what an answer that is kept takes, about.
const answerBytes = 400

// cached is what clamd.conf has for the cache, in bytes. clamd's default of 65,536 entries
// counts only where the file has it: here it is memory that is bounded.
func (s *settings) cached() int64 {
	switch n := s.file.Number("CacheSize"); {
	case s.file.Bool("DisableCache"):
		return 0
	case s.file.Given("CacheSize") > 0 && n > 0:
		return int64(n) * answerBytes
	}
	return 16 << 20
}

// logging is where the log goes. clamd's bound of its file counts for the file that
// clamd.conf names, whether that says it or not.
func (s *settings) logging() {
	l := &s.log
	*l = serve.LogOptions{
		File: s.text(source{"log-file", "LogFile"}, ""), Format: s.text(source{flag: "log-format"}, ""), Clean: s.yes(source{"log-clean", "LogClean"}),
		Verbose: s.yes(source{"log-verbose", "LogVerbose"}) || s.file.Bool("Debug"), Time: s.file.Bool("LogTime"), Extended: s.file.Bool("ExtendedDetectionInfo"),
		Syslog: s.file.Bool("LogSyslog"),
	}
	if l.Syslog {
		l.Facility = s.file.Text("LogFacility")
	}
	if s.file.Given("LogFileMaxSize") > 0 || s.file.Given("LogFile") > 0 && !s.given.Changed("log-file") {
		if n := s.file.Size("LogFileMaxSize"); n < math.MaxInt64 && l.File != "" {
			l.MaxBytes = n
		}
	}
	for _, x := range [...]struct {
		name, option string
		value        any
	}{
		{"log-time", "LogTime", l.Time},
		{"log-extended", "ExtendedDetectionInfo", l.Extended},
		{"log-max-size", "LogFileMaxSize", l.MaxBytes},
		{"log-syslog", "LogSyslog", l.Syslog},
		{"log-facility", "LogFacility", l.Facility},
		{"debug", "Debug", s.file.Bool("Debug")},
	} {
		s.row(x.name, x.value, s.from(source{option: x.option}))
	}
}

// rest are all others.
func (s *settings) rest() error {
	from := ""
	switch {
	case s.given.Changed("db"):
		s.db, _ = s.given.GetStringArray("db")
		from = "--db"
	case s.config != "":
		dir := s.file.Text("DatabaseDirectory")
		from = s.file.Place("DatabaseDirectory")
		if _, err := os.Stat(dir); err == nil || s.file.Given("DatabaseDirectory") > 0 {
			s.db = []string{dir}
		}
	}
	name := strings.Join(s.db, ", ")
	if name == "" {
		name = "the built-in rules"
	}
	s.row("db", name, from)
	if err := s.choose(); err != nil {
		return err
	}
	s.selfCheck = s.time(source{"self-check", "SelfCheck"}, 10*time.Minute, time.Second)
	s.user = s.text(source{"user", "User"}, "")
	s.pidFile = s.text(source{"pid-file", "PidFile"}, "")
	s.tempDir = s.text(source{"temp-dir", "TemporaryDirectory"}, "")
	if s.control = s.text(source{flag: "control"}, s.defaultControl()); s.control == "off" {
		s.control = ""
	}
	s.metrics = s.text(source{flag: "metrics"}, "")
	s.drain = s.time(source{flag: "drain"}, time.Minute, 0)
	s.oldest = time.Duration(s.file.Number("FailIfCvdOlderThan")) * 24 * time.Hour
	s.row("fail-if-older-than", s.oldest, s.from(source{option: "FailIfCvdOlderThan"}))
	s.logging()
	if s.user == "root" && os.Geteuid() == 0 {
		s.user = ""
	}
	return nil
}

// choose says which rules there are, where this service compiles them: signatures of possibly
// unwanted applications, programs, heuristics.
func (s *settings) choose() error {
	o := &s.chosen
	*o = rules.Options{PUA: s.file.Bool("DetectPUA"), NoBytecode: !s.file.Bool("Bytecode"), BytecodeUnsigned: s.file.Bool("BytecodeUnsigned")}
	only, except := s.file.Texts("IncludePUA"), s.file.Texts("ExcludePUA")
	if len(only) > 0 && len(except) > 0 {
		return fmt.Errorf("%s: option IncludePUA: not together with ExcludePUA (%s)", s.file.Place("IncludePUA"), s.file.Place("ExcludePUA"))
	}
	if o.PUA {
		o.PUAOnly, o.PUAExcept = only, except
	}
	s.row("pua", o.PUA, s.from(source{option: "DetectPUA"}))
	s.row("pua-only", strings.Join(only, ","), s.from(source{option: "IncludePUA"}))
	s.row("pua-except", strings.Join(except, ","), s.from(source{option: "ExcludePUA"}))
	s.row("bytecode", !o.NoBytecode, s.from(source{option: "Bytecode"}))
	s.row("bytecode-unsigned", o.BytecodeUnsigned, s.from(source{option: "BytecodeUnsigned"}))
	o.Unsigned, _ = s.given.GetBool("unsigned")
	s.row("unsigned", o.Unsigned, s.from(source{flag: "unsigned"}))
	o.Certs = s.text(source{"certs", "CVDCertsDirectory"}, "")
	s.heuristics(&o.Heuristics)
	why := s.settled()
	for _, name := range []string{
		"DetectPUA", "BytecodeUnsigned", "CVDCertsDirectory", "AlertOLE2Macros", "OLE2BlockMacros", "AlertBrokenExecutables", "AlertPartitionIntersection", "PartitionIntersection", "AlertPhishingSSLMismatch",
		"PhishingAlwaysBlockSSLMismatch", "AlertPhishingCloak", "PhishingAlwaysBlockCloak", "StructuredDataDetection",
	} {
		beside := len(s.db) == 0 && name != "DetectPUA" // heuristics are there beside the built-in rules, too
		if why != "" && !beside && s.file.Given(name) > 0 {
			s.notes = append(s.notes, s.file.Place(name)+": "+name+": without effect: "+why)
		}
	}
	return nil
}

// heuristics are ClamAV's own, beside its signatures.
func (s *settings) heuristics(h *heuristic.Options) {
	is := func(to *bool, name string, options ...string) { *to = s.either(name, options...) }
	is(&h.PhishingSSL, "alert-phishing-ssl", "AlertPhishingSSLMismatch", "PhishingAlwaysBlockSSLMismatch")
	is(&h.PhishingCloak, "alert-phishing-cloak", "AlertPhishingCloak", "PhishingAlwaysBlockCloak")
	is(&h.EncryptedArchives, "alert-encrypted-archive", "AlertEncryptedArchive", "AlertEncrypted", "ArchiveBlockEncrypted")
	is(&h.EncryptedDocuments, "alert-encrypted-doc", "AlertEncryptedDoc", "AlertEncrypted", "ArchiveBlockEncrypted")
	is(&h.Macros, "alert-macros", "AlertOLE2Macros", "OLE2BlockMacros")
	is(&h.BrokenPrograms, "alert-broken", "AlertBrokenExecutables")
	is(&h.Partitions, "alert-partition-intersection", "AlertPartitionIntersection", "PartitionIntersection")
	is(&h.Structured, "detect-structured", "StructuredDataDetection")
	is(&h.CreditOnly, "structured-credit-only", "StructuredCCOnly")
	is(&s.policy.HeuristicsFirst, "heuristic-scan-precedence", "HeuristicScanPrecedence")
	h.CardCount, h.SSNCount = s.file.Number("StructuredMinCreditCardCount"), s.file.Number("StructuredMinSSNCount")
	normal, stripped := s.file.Bool("StructuredSSNFormatNormal"), s.file.Bool("StructuredSSNFormatStripped")
	h.SSNBoth, h.SSNStripped, h.NoSSN = normal && stripped, stripped, !normal && !stripped
	h.Off = !s.file.Bool("HeuristicAlerts") || !s.file.Bool("AlgorithmicDetection")
	h.NoLinks = !s.file.Bool("PhishingSignatures") || !s.file.Bool("PhishingScanURLs")
	for _, r := range []struct {
		name, option string
		value        any
	}{
		{"structured-cc-count", "StructuredMinCreditCardCount", h.CardCount},
		{"structured-ssn-count", "StructuredMinSSNCount", h.SSNCount},
		{"structured-ssn-normal", "StructuredSSNFormatNormal", normal},
		{"structured-ssn-stripped", "StructuredSSNFormatStripped", stripped},
		{"heuristic-alerts", "HeuristicAlerts", !h.Off},
		{"phishing-scan-urls", "PhishingScanURLs", !h.NoLinks},
	} {
		s.row(r.name, r.value, s.from(source{option: r.option}))
	}
}

// settled says why no option changes which rules there are; "" where one does.
func (s *settings) settled() string {
	if len(s.db) == 0 {
		return "the built-in rules have none of possibly unwanted applications"
	}
	if len(s.db) == 1 && rules.IsCompiled(s.db[0]) {
		return s.db[0] + " is compiled already: showcause rules compile --pua"
	}
	return ""
}

// defaultControl is where the control socket is if nobody says: where status and top look
// for it, or else beside the socket of clamd's protocol.
func (s *settings) defaultControl() string {
	for _, dir := range []string{filepath.Dir(DefaultControl), filepath.Dir(filepath.Dir(DefaultControl))} {
		if _, err := os.Stat(dir); err == nil {
			if unix.Access(dir, unix.W_OK) == nil {
				return DefaultControl
			}
			break
		}
	}
	for _, l := range s.listen {
		if l.Network == "unix" {
			return l.Address + ".control"
		}
	}
	return ""
}

// unset notes the flags of which nothing was: doors that there are none of, and the like.
func (s *settings) unset() {
	s.given.VisitAll(func(f *pflag.Flag) {
		switch f.Name {
		case "config", "print-config", "help":
			return
		}
		if !slices.ContainsFunc(s.rows, func(r row) bool { return r.name == f.Name }) {
			s.row(f.Name, strings.Trim(f.Value.String(), "[]"), s.from(source{flag: f.Name}))
		}
	})
}

// print shows what counts, and what has no place here.
func (s *settings) print(w io.Writer) error {
	var b strings.Builder
	s.unset()
	for _, r := range s.rows {
		v := r.value
		if v == "" {
			v = "(none)"
		}
		fmt.Fprintf(&b, "%-18s %-40s # %s\n", r.name, showcause.Escape(v), showcause.Escape(r.from))
	}
	b.WriteString("\n# clamd.conf: what is honoured\n")
	for _, o := range s.file.Settings() {
		if o.Fate != clamdconf.Honoured {
			continue
		}
		v := strings.Join(o.Values, ", ")
		if v == "" {
			v = "(not set)"
		}
		fmt.Fprintf(&b, "%-28s %-30s # %s\n", o.Name, showcause.Escape(v), showcause.Escape(o.Place))
	}
	if len(s.notes) > 0 {
		b.WriteString("\n# what has no place here\n")
		for _, n := range s.notes {
			fmt.Fprintf(&b, "# %s\n", showcause.Escape(n))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
