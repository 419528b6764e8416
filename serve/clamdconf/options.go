package clamdconf

import "slices"

// Kind is what an option's value is.
type Kind uint8

// The kinds. clamd.conf(5) has their names in capitals, Text as STRING.
const (
	Bool Kind = iota
	Number
	Size
	Text
)

// Fate is what becomes of an option here.
type Fate uint8

// The fates.
const (
	Honoured      Fate = iota
	NotApplicable      // it has no place here; Why says what is so instead
	Removed            // ClamAV itself passes over it
)

// String returns the words that notes have for it.
func (f Fate) String() string {
	return [...]string{"honoured", "not applicable", "ClamAV passes over it"}[min(f, Removed)]
}

// Option is what is known of one.
type Option struct {
	Name    string
	Kind    Kind
	Many    bool     // it may be given several times
	Words   []string // what a Text may be; empty: anything
	Default string   // as ClamAV has it; "": not set
	Since   string   // the release of ClamAV that brought it, if that is after 1.4
	Fate    Fate
	Why     string // why it does not apply; of an honoured one, how it is meant here
}

// Options returns all of ClamAV 1.4 and 1.5 in the order of clamd.conf(5).
func Options() []Option { return slices.Clone(table) }

// Reasons that several options share.
const (
	whyParse    = "every format is looked into: what a setting keeps shut would be unread, and no file with it would be clean"
	whyCounted  = "there is no bound of this kind: steps are counted for each file, and what is over the bound is named"
	whyOnAccess = "clamonacc reads it, not the daemon; clamonacc works with this service"
	whyBytecode = "every program is interpreted, signed or not, and its steps are counted, not its time"
	whyCompiled = "where the service compiles the rules; a compiled database has what showcause rules compile was told"
	whyRules    = "it is settled when rules are compiled: showcause rules compile"
	whyTemp     = "there are no temporary files that anybody could name"
	whyJSON     = "records have it: showcause show, and the command SHOWCAUSE-SCAN"
	whyDev      = "it is for those who develop ClamAV"
	whyRemoved  = "it has no effect since ClamAV 0.104 or longer"
	whyPrelude  = "ClamAV of Debian is built without Prelude too; use the log or the metrics"
)

func yes(name, why string) Option { return Option{Name: name, Default: "yes", Why: why} }
func off(name, why string) Option { return Option{Name: name, Why: why} }

func no(o Option, why string) Option {
	o.Fate, o.Why = NotApplicable, why
	return o
}

func number(name, def string) Option { return Option{Name: name, Kind: Number, Default: def} }
func size(name, def string) Option   { return Option{Name: name, Kind: Size, Default: def} }
func text(name, def string) Option   { return Option{Name: name, Kind: Text, Default: def} }

func many(o Option) Option {
	o.Many = true
	return o
}

func why(o Option, w string) Option {
	o.Why = w
	return o
}

func since(release string, o Option) Option {
	o.Since = release
	return o
}

func removed(names ...string) (out []Option) {
	for _, n := range names {
		out = append(out, Option{Name: n, Kind: Text, Many: true, Fate: Removed, Why: whyRemoved})
	}
	return out
}

// table is in the order of `clamconf`, what came with 1.5 behind what it belongs to, and
// what ClamAV passes over last. Names, kinds and defaults are those that clamd 1.4.6 and
// its clamconf show (TestAgainstClamconf), of 1.5 those of its NEWS.md and clamd.conf(5).
var table = slices.Concat([]Option{
	off("AlertExceedsMax", "what is over a limit is found, as Heuristics.Limits.Exceeded.*; without it, it is an error, never clean"),
	why(number("CacheSize", "65536"), "400 bytes of memory each, if it is given; answers are kept by the SHA-256 of the bytes, the rules and the limits"),
	no(off("PreludeEnable", ""), whyPrelude),
	no(text("PreludeAnalyzerName", ""), whyPrelude),
	text("LogFile", ""),
	no(off("LogFileUnlock", ""), "the log file is never locked"),
	why(size("LogFileMaxSize", "1048576"), "a log above it is put aside as NAME-20261121_234501.log"),
	off("LogTime", ""),
	off("LogClean", ""),
	off("LogSyslog", ""),
	why(text("LogFacility", "LOG_LOCAL6"), "with LogSyslog; one that syslog(3) does not have is an error"),
	off("LogVerbose", ""),
	no(off("LogRotate", ""), "a log above LogFileMaxSize is always put aside, by clamd too"),
	off("ExtendedDetectionInfo", "with the SHA-256 in place of the MD5"),
	text("PidFile", ""),
	text("TemporaryDirectory", ""),
	text("DatabaseDirectory", "/var/lib/clamav"),
	no(off("OfficialDatabaseOnly", ""), "every database of the folder counts; --db main.cvd --db daily.cvd names those that are to"),
	why(number("FailIfCvdOlderThan", ""), "at a reload, too: the rules before stay"),
	text("LocalSocket", ""),
	text("LocalSocketGroup", ""),
	text("LocalSocketMode", ""),
	yes("FixStaleSocket", ""),
	number("TCPSocket", ""),
	many(text("TCPAddr", "")),
	no(number("MaxConnectionQueueLength", "200"), "the kernel's greatest length is used (net.core.somaxconn)"),
	size("StreamMaxLength", "104857600"),
	no(number("StreamMinPort", "1024"), "the command STREAM is gone, from clamd too"),
	no(number("StreamMaxPort", "2048"), "the command STREAM is gone, from clamd too"),
	why(number("MaxThreads", "10"), "the greatest number of readers; more than there are processors are not started"),
	number("ReadTimeout", "120"),
	number("CommandReadTimeout", "30"),
	why(number("SendBufTimeout", "500"), "milliseconds that a client may leave a reply unread, 5 s at least"),
	why(number("MaxQueue", "100"), "requests that wait, but for those that are being read"),
	no(number("IdleTimeout", "30"), "it is about clamd's threads: readers stay"),
	why(many(text("ExcludePath", "")), "regular expressions of RE2, whose language has POSIX' within it but for back-references; held against the path as it is asked for, and without // and .. too, but not against where links lead: no wall"),
	number("MaxDirectoryRecursion", "15"),
	off("FollowDirectorySymlinks", ""),
	off("FollowFileSymlinks", ""),
	yes("CrossFilesystems", ""),
	number("SelfCheck", "600"),
	no(yes("ConcurrentDatabaseReload", ""), "rules are always exchanged without a pause and without twice the memory"),
	off("DisableCache", ""),
	why(text("VirusEvent", ""), "by a process that is started before the lock; four commands at a time, a minute each; %v has no character that a shell could take for more, %f is not filled in"),
	no(off("ExitOnOOM", ""), "memory is bounded; a reader that has no more ends its own file as incomplete"),
	yes("AllowAllMatchScan", ""),
	since("1.5", yes("EnableReloadCommand", "")),
	since("1.5", yes("EnableShutdownCommand", "")),
	since("1.5", yes("EnableStatsCommand", "")),
	since("1.5", yes("EnableVersionCommand", "")),
	no(off("Foreground", ""), "it always stays in the foreground, where service managers want it"),
	off("Debug", "as LogVerbose"),
	no(off("LeaveTemporaryFiles", ""), whyTemp),
	no(off("GenerateMetadataJson", ""), whyJSON),
	since("1.5", no(yes("JsonStoreHTMLURIs", ""), whyJSON)),
	since("1.5", no(yes("JsonStorePDFURIs", ""), whyJSON)),
	since("1.5", no(off("JsonStoreExtraHashes", ""), whyJSON)),
	text("User", ""),
	yes("Bytecode", whyCompiled),
	no(Option{Name: "BytecodeSecurity", Kind: Text, Words: []string{"TrustSigned", "Paranoid"}, Default: "TrustSigned"}, whyBytecode),
	no(number("BytecodeTimeout", "10000"), whyBytecode),
	off("BytecodeUnsigned", whyCompiled),
	no(Option{Name: "BytecodeMode", Kind: Text, Words: []string{"Auto", "ForceJIT", "ForceInterpreter", "Test"}, Default: "Auto"}, whyBytecode),
	off("DetectPUA", "where the service compiles the rules; a compiled database has what showcause rules compile --pua gave it"),
	why(many(text("ExcludePUA", "")), "with DetectPUA; each category counts, wherever it stands between two points of a name"),
	why(many(text("IncludePUA", "")), "with DetectPUA, as ExcludePUA, but not together with it"),
	no(yes("ScanPE", ""), whyParse),
	no(yes("ScanELF", ""), whyParse),
	no(yes("ScanMail", ""), whyParse),
	no(off("ScanPartialMessages", ""), "the parts of a message in several mails are each scanned as they come"),
	yes("PhishingSignatures", whyCompiled),
	yes("PhishingScanURLs", whyCompiled),
	yes("HeuristicAlerts", whyCompiled),
	off("HeuristicScanPrecedence", "of several names, which is told first; a file is always scanned to its end"),
	off("StructuredDataDetection", whyCompiled),
	number("StructuredMinCreditCardCount", "3"),
	number("StructuredMinSSNCount", "3"),
	yes("StructuredSSNFormatNormal", ""),
	off("StructuredSSNFormatStripped", ""),
	no(yes("ScanHTML", ""), whyParse),
	no(yes("ScanOLE2", ""), whyParse),
	off("AlertBrokenExecutables", whyCompiled),
	no(off("AlertBrokenMedia", ""), "what is broken is an error: corrupt"),
	off("AlertEncrypted", "what is encrypted is found, as Heuristics.Encrypted*; without it, it is an error, never clean"),
	off("StructuredCCOnly", ""),
	off("AlertEncryptedArchive", "as AlertEncrypted"),
	off("AlertEncryptedDoc", "as AlertEncrypted"),
	off("AlertOLE2Macros", whyCompiled),
	off("AlertPhishingSSLMismatch", whyCompiled),
	off("AlertPhishingCloak", whyCompiled),
	off("AlertPartitionIntersection", "of MBR and GPT, not of APM; "+whyCompiled),
	no(yes("ScanPDF", ""), whyParse),
	no(yes("ScanSWF", ""), whyParse),
	no(yes("ScanXMLDOCS", ""), whyParse),
	no(yes("ScanHWP3", ""), whyParse),
	no(yes("ScanOneNote", ""), whyParse),
	no(yes("ScanArchive", ""), whyParse),
	no(yes("ScanImage", ""), whyParse),
	no(yes("ScanImageFuzzyHash", ""), whyParse),
	no(off("ForceToDisk", ""), whyTemp),
	why(number("MaxScanTime", ""), "milliseconds until a request is given up, as an error; work is bounded by steps besides"),
	size("MaxScanSize", "419430400"),
	size("MaxFileSize", "104857600"),
	number("MaxRecursion", "17"),
	number("MaxFiles", "10000"),
	no(size("MaxEmbeddedPE", "41943040"), whyCounted),
	no(size("MaxHTMLNormalize", "41943040"), whyCounted),
	no(size("MaxHTMLNoTags", "8388608"), whyCounted),
	no(size("MaxScriptNormalize", "20971520"), whyCounted),
	no(size("MaxZipTypeRcg", "1048576"), whyCounted),
	no(number("MaxPartitions", "50"), whyCounted),
	no(number("MaxIconsPE", "100"), whyCounted),
	no(number("MaxRecHWP3", "16"), whyCounted),
	no(number("PCREMatchLimit", "100000"), whyCounted),
	no(number("PCRERecMatchLimit", "2000"), whyCounted),
	no(size("PCREMaxFileSize", "104857600"), whyCounted),
	no(many(text("OnAccessMountPath", "")), whyOnAccess),
	no(many(text("OnAccessIncludePath", "")), whyOnAccess),
	no(many(text("OnAccessExcludePath", "")), whyOnAccess),
	no(off("OnAccessExcludeRootUID", ""), whyOnAccess),
	no(many(number("OnAccessExcludeUID", "")), whyOnAccess),
	no(many(text("OnAccessExcludeUname", "")), whyOnAccess),
	no(size("OnAccessMaxFileSize", "5242880"), whyOnAccess),
	no(off("OnAccessDisableDDD", ""), whyOnAccess),
	no(off("OnAccessPrevention", ""), whyOnAccess),
	no(off("OnAccessExtraScanning", ""), whyOnAccess),
	no(number("OnAccessCurlTimeout", "5000"), whyOnAccess),
	no(number("OnAccessMaxThreads", "5"), whyOnAccess),
	no(number("OnAccessRetryAttempts", ""), whyOnAccess),
	no(off("OnAccessDenyOnError", ""), whyOnAccess),
	no(off("DevACOnly", ""), whyDev),
	no(number("DevACDepth", ""), whyDev),
	no(off("DevPerformance", ""), whyDev),
	no(off("DevLiblog", ""), whyDev),
	no(off("DisableCertCheck", ""), "certificates of programs make nothing clean that rules find"),
	since("1.5", why(text("CVDCertsDirectory", ""), whyCompiled)),
	since("1.5", no(off("FIPSCryptoHashLimits", ""), "MD5 and SHA-1 are computed for rules that name a file by them, and prove nothing else")),
	yes("AlgorithmicDetection", "the old name of HeuristicAlerts"),
	off("BlockMax", "the old name of AlertExceedsMax"),
	off("PhishingAlwaysBlockSSLMismatch", "the old name of AlertPhishingSSLMismatch"),
	off("PhishingAlwaysBlockCloak", "the old name of AlertPhishingCloak"),
	off("PartitionIntersection", "the old name of AlertPartitionIntersection"),
	off("OLE2BlockMacros", "the old name of AlertOLE2Macros"),
	off("ArchiveBlockEncrypted", "the old name of AlertEncrypted"),
}, removed("AllowSupplementaryGroups", "ArchiveBlockMax", "ArchiveLimitMemoryUsage", "ArchiveMaxCompressionRatio", "ArchiveMaxFiles",
	"ArchiveMaxRecursion", "ArchiveMaxScanSize", "DetectBrokenExecutables", "MailFollowURLs", "MailMaxRecursion", "ScanOnAccess"))
