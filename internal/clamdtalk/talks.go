package clamdtalk

import (
	"encoding/binary"
	"strings"
	"time"
)

// chunk is one chunk of INSTREAM; end ends a stream.
func chunk(b string) string { return string(binary.BigEndian.AppendUint32(nil, uint32(len(b)))) + b }

func length(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

const end = "\x00\x00\x00\x00"

func one(name, send string) Talk { return Talk{Name: name, Steps: []Step{{Send: send}}} }

func tcp(t Talk) Talk { t.TCP = true; return t }

func steps(name string, s ...Step) Talk { return Talk{Name: name, Steps: s} }

func pieces(name string, sends ...string) Talk {
	t := Talk{Name: name}
	for _, s := range sends {
		t.Steps = append(t.Steps, Step{Send: s})
	}
	return t
}

func fd(send string, files ...string) Step { return Step{Send: send, Files: files} }

func slow(t Talk) Talk { t.Wait = 5 * time.Second; return t }

func anyOrder(t Talk) Talk { t.Unordered = true; return t }

// ours notes what Showcause answers otherwise.
func ours(t Talk, closed bool, bytes, why string) Talk {
	if t.Unordered {
		bytes = ordered(bytes)
	}
	t.Ours, t.Why = &Reply{bytes, closed}, why
	return t
}

// Talks returns all conversations.
func Talks() []Talk {
	var out []Talk
	for _, part := range [][]Talk{framing(), commands(), paths(), streams(), descriptors(), sessions(), timeouts()} {
		out = append(out, part...)
	}
	return out
}

func framing() []Talk {
	return []Talk{
		one(`PING\n`, "PING\n"),
		one(`PING`, "PING"),
		one(`PING\r\n`, "PING\r\n"),
		one(`PING\r`, "PING\r"),
		one(`PING\r\n\r\n`, "PING\r\n\r\n"),
		one(`nPING\n`, "nPING\n"),
		one(`nPING\r\n`, "nPING\r\n"),
		one(`nPING\r\r\n`, "nPING\r\r\n"),
		one(`zPING\0`, "zPING\x00"),
		one(`zPING\n\0`, "zPING\n\x00"),
		one(`zPING\r\0`, "zPING\r\x00"),
		one(`zPING without NUL`, "zPING\n"),
		one(`nPING twice`, "nPING\nnPING\n"),
		one(`PING twice`, "PING\nPING\n"),
		pieces(`nPING in pieces`, "n", "PI", "NG", "\n"),
		pieces(`PING in pieces`, "PI", "NG\n"),
		one(`lower case`, "nping\n"),
		one(`garbage`, "nFOO\n"),
		one(`garbage z`, "zFOO\x00"),
		one(`garbage old`, "\xff\xfe\x00\x01"),
		one(`NUL`, "\x00"),
		one(`trailing`, "nPING x\n"),
		one(`trailing letter`, "nPINGX\n"),
		one(`leading space`, "n PING\n"),
		one(`no argument`, "nSCAN\n"),
		one(`empty argument`, "nSCAN \n"),
		one(`GET`, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		one(`empty line`, "\n"),
		one(`empty n`, "n\n"),
		one(`empty z`, "z\x00"),
		one(`long command n`, "n"+strings.Repeat("A", 5000)+"\n"),
		one(`long command old`, strings.Repeat("A", 5000)+"\n"),
		one(`long unended n`, "n"+strings.Repeat("A", 5000)),
		one(`longest path`, "nSCAN /"+strings.Repeat("a", 4095)+"\n"),
		one(`NUL in n`, "nPING\x00x\n"),
		one(`newline in z`, "zSCAN /scan/no\nsuch\x00"),
		steps(`half closed`, Step{Send: "zPING\x00", Shut: true}),
		steps(`half closed unended`, Step{Send: "zPING", Shut: true}),
		steps(`half closed at once`, Step{Shut: true}),
		steps(`half closed SCAN`, Step{Send: "zSCAN /scan/e.txt\x00", Shut: true}),
	}
}

func commands() []Talk {
	return []Talk{
		one(`VERSION\n`, "VERSION\n"),
		one(`zVERSION`, "zVERSION\x00"),
		ours(one(`nVERSIONCOMMANDS`, "nVERSIONCOMMANDS\n"), true, theirs+additional+"\n", whyOurs),
		ours(one(`zVERSIONCOMMANDS`, "zVERSIONCOMMANDS\x00"), true, theirs+additional+"\x00", whyOurs),
		one(`VERSIONCOMMANDS old`, "VERSIONCOMMANDS\n"),
		one(`STATS z`, "zSTATS\x00"),
		one(`STATS n`, "nSTATS\n"),
		one(`STATS old`, "STATS\n"),
		one(`END z`, "zEND\x00"),
		one(`END old`, "END\n"),
		one(`DETSTATS`, "zDETSTATS\x00"),
		one(`DETSTATSCLEAR`, "nDETSTATSCLEAR\n"),
		one(`DETSTATS old`, "DETSTATS\n"),
		one(`SELFCHECK`, "zSELFCHECK\x00"),
		one(`STREAM`, "STREAM\n"),
		one(`SESSION`, "SESSION\n"),
		one(`RAWSCAN`, "RAWSCAN /scan/e.txt\n"),
		one(`IDSESSION old`, "IDSESSION\n"),
		one(`INSTREAM old`, "INSTREAM\n"),
		one(`ALLMATCHSCAN old`, "ALLMATCHSCAN /scan/d/b\n"),
		one(`RELOAD z`, "zRELOAD\x00"),
		one(`RELOAD old`, "RELOAD\n"),
		{Name: `SHUTDOWN`, Steps: []Step{{Send: "zSHUTDOWN\x00"}}, Last: true},
	}
}

// Reasons for what is answered otherwise.
const (
	whyOK      = "clamd says OK of what it did not read"
	whyShift   = "clamd takes the byte behind a carriage return and line end for part of what follows"
	whyForge   = "clamd writes the line end of a name as it is, so that a name can be a reply"
	whyRace    = "clamd scans all the same, and answers behind the error"
	whyAtOnce  = "clamd says nothing until more is sent, or the time is over"
	whyCut     = "clamdscan --stream sends so many bytes of what is longer, and no word of the rest"
	whyOurs    = "the list has the commands that clamd does not have"
	link       = ": Symbolic link not followed ERROR"
	special    = ": Not supported file type ERROR"
	theirs     = "ClamAV 1.4.6| COMMANDS: SCAN QUIT RELOAD PING CONTSCAN VERSIONCOMMANDS VERSION END SHUTDOWN MULTISCAN FILDES STATS IDSESSION INSTREAM DETSTATSCLEAR DETSTATS ALLMATCHSCAN"
	additional = " SHOWCAUSE-SCAN SHOWCAUSE-FILDES SHOWCAUSE-INSTREAM SHOWCAUSE-STATUS"
)

func paths() []Talk {
	var out []Talk
	for _, cmd := range []string{"SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN"} {
		for _, path := range []string{
			"/scan/e.txt", "/scan/d", "/scan/d/", "/scan/d//", "/scan/lone", "/scan/lone/", "/scan/lone//", "/scan/d/b", "/scan/d/x", "/scan/d/x/c", "/scan/empty", "/scan/none",
			"/scan/e.txt/", "/scan/link", "/scan/dirlink", "/scan/dirlink/a", "/scan/dirlink/", "/scan/d/../e.txt", "/scan/./d/x/c", "/scan/pipe", "/dev/null", "/dev", "/scan/bare",
			"/scan/out", "/scan/out/e", "/scan/deep", "/scan/deep/1/2", "/scan/deep15", "/scan/deep16", "/scan/blank end ", "/scan/hole", "e.txt", ".", "", " /scan/e.txt", "/scan/some", "/proc/self/status", "/proc/self/fd",
		} {
			t := one(cmd+" "+path, "z"+cmd+" "+path+"\x00")
			folder := strings.TrimRight(path, "/")
			several := folder == "/scan/d" || folder == "/scan/some"
			if several && (cmd == "SCAN" || cmd == "ALLMATCHSCAN") {
				continue // which of two is first is the file system's affair: /scan/lone has one
			}
			if several || path == "." || cmd == "MULTISCAN" {
				t = anyOrder(t)
			}
			if path == "." || path == "/dev" || path == "/proc/self/fd" {
				continue
			}
			t.Wait = time.Second
			if says := map[string]string{
				"/scan/link": link, "/scan/dirlink": link, "/scan/dirlink/": link, "/scan/pipe": special, "/dev/null": special,
				"/proc/self/status": special,
			}[path]; says != "" {
				t = ours(t, true, strings.TrimSuffix(path, "/")+says+"\x00", whyOK)
			}
			if below := map[string]string{"/scan/deep": "", "/scan/deep/1/2": "/17/18", "/scan/deep16": ""}[path]; strings.HasPrefix(path, "/scan/deep") && path != "/scan/deep15" {
				top := strings.TrimSuffix(path, "/1/2")
				t = ours(t, true, top+"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"+below+": Directory recursion limit reached ERROR\x00", whyOK)
			}
			out = append(out, t)
		}
	}
	out = append(out,
		one(`SCAN old`, "SCAN /scan/e.txt\n"),
		one(`SCAN old without end`, "SCAN /scan/e.txt"),
		one(`SCAN old crlf`, "SCAN /scan/e.txt\r\n"),
		one(`SCAN old two blanks`, "SCAN  /scan/e.txt\n"),
		one(`SCAN n`, "nSCAN /scan/e.txt\n"),
		ours(anyOrder(one(`SCAN n crlf`, "nSCAN /scan/e.txt\r\n")), true, "/scan/e.txt: Win.Test.EICAR_HDB-1.UNOFFICIAL FOUND\n", whyShift),
		one(`SCAN n blank end`, "nSCAN /scan/blank end \n"),
		one(`SCAN tab`, "nSCAN\t/scan/e.txt\n"),
		one(`SCAN without blank`, "nSCANx/scan/e.txt\n"),
		one(`CONTSCAN old without end`, "CONTSCAN /scan/d/b"),
		one(`MULTISCAN old without end`, "MULTISCAN /scan/e.txt"),
		one(`CONTSCAN forged z`, "zCONTSCAN /scan/forge\x00"),
		ours(one(`CONTSCAN forged n`, "nCONTSCAN /scan/forge\n"), true, "/scan/forge/e: OK\\nnext: Win.Test.EICAR_HDB-1.UNOFFICIAL FOUND\n", whyForge),
		one(`SCAN name with line end z`, "zSCAN /scan/name\nwith\x00"),
		anyOrder(one(`SCAN name with line end n`, "nSCAN /scan/name\nwith\n")),
		tcp(one(`SCAN tcp`, "zSCAN /scan/e.txt\x00")),
	)
	return out
}

func streams() []Talk {
	const mb = 1 << 20
	return []Talk{
		one(`INSTREAM eicar z`, "zINSTREAM\x00"+chunk(EICAR)+end),
		one(`INSTREAM eicar n`, "nINSTREAM\n"+chunk(EICAR)+end),
		ours(one(`INSTREAM eicar r n`, "nINSTREAM\r\n"+chunk(EICAR)+end), true, "stream: Win.Test.EICAR_HDB-1.UNOFFICIAL FOUND\n", whyShift),
		tcp(one(`INSTREAM tcp`, "zINSTREAM\x00"+chunk(EICAR)+end)),
		one(`INSTREAM clean`, "zINSTREAM\x00"+chunk("hello")+end),
		one(`INSTREAM both rules`, "zINSTREAM\x00"+chunk("AAAABBBB")+end),
		one(`INSTREAM empty`, "zINSTREAM\x00"+end),
		one(`INSTREAM two chunks`, "zINSTREAM\x00"+chunk(EICAR[:30])+chunk(EICAR[30:])+end),
		one(`INSTREAM bytes`, "zINSTREAM\x00"+func() (s string) {
			for i := range len(EICAR) {
				s += chunk(EICAR[i : i+1])
			}
			return s
		}()+end),
		pieces(`INSTREAM in pieces`, "zIN", "STREAM\x00", "\x00\x00", "\x00D"+EICAR[:10], EICAR[10:], "\x00\x00\x00", "\x00"),
		one(`INSTREAM trailing`, "zINSTREAM x\x00"+chunk("hello")+end),
		one(`INSTREAM too big`, "zINSTREAM\x00"+length(2*mb)+"xxxxxxxxxx"),
		one(`INSTREAM biggest`, "zINSTREAM\x00"+length(1<<32-1)+"xxxxxxxxxx"),
		one(`INSTREAM too big in two`, "zINSTREAM\x00"+chunk(strings.Repeat("x", 600000))+chunk(strings.Repeat("y", 600000))+end),
		ours(one(`INSTREAM exactly the limit`, "zINSTREAM\x00"+chunk(strings.Repeat("x", mb))+end), true, "stream: Not read whole: limit.size ERROR\x00", whyCut),
		one(`INSTREAM the limit and one`, "zINSTREAM\x00"+chunk(strings.Repeat("x", mb))+chunk("x")+end),
		one(`INSTREAM one chunk of the limit and one`, "zINSTREAM\x00"+length(mb+1)),
		steps(`INSTREAM cut off`, Step{Send: "zINSTREAM\x00" + length(20) + "xxxxxxxxxx", Shut: true}),
		steps(`INSTREAM cut off between`, Step{Send: "zINSTREAM\x00" + chunk("xxxxxxxxxx"), Shut: true}),
		steps(`INSTREAM cut off in a length`, Step{Send: "zINSTREAM\x00" + chunk("xxxxxxxxxx") + "\x00\x00", Shut: true}),
		steps(`INSTREAM cut off at once`, Step{Send: "zINSTREAM\x00", Shut: true}),
		steps(`INSTREAM half closed behind`, Step{Send: "zINSTREAM\x00" + chunk(EICAR) + end, Shut: true}),
		one(`INSTREAM more behind`, "zINSTREAM\x00"+chunk(EICAR)+end+"zPING\x00"),
		pieces(`INSTREAM more behind, later`, "zINSTREAM\x00"+chunk("hello")+end, "zPING\x00"),
	}
}

func descriptors() []Talk {
	const e, c = "/scan/e.txt", "/scan/d/x/c"
	return []Talk{
		steps(`FILDES z`, Step{Send: "zFILDES\x00"}, fd("x", e)),
		steps(`FILDES n`, Step{Send: "nFILDES\n"}, fd("x", e)),
		steps(`FILDES old`, Step{Send: "FILDES\n"}, fd("x", e)),
		steps(`FILDES old without end`, Step{Send: "FILDES"}, fd("x", e)),
		steps(`FILDES clean`, Step{Send: "zFILDES\x00"}, fd("\x00", c)),
		steps(`FILDES in one`, fd("zFILDES\x00x", e)),
		steps(`FILDES in one, n`, fd("nFILDES\nx", e)),
		steps(`FILDES in one, old`, fd("FILDES\nx", e)),
		steps(`FILDES without byte`, fd("zFILDES\x00", e)),
		steps(`FILDES byte later`, fd("zFILDES\x00", e), Step{Send: "x"}),
		steps(`FILDES cut`, Step{Send: "zFIL"}, Step{Send: "DES\x00"}, fd("x", e)),
		steps(`FILDES cut, with the end`, Step{Send: "zFILDES"}, fd("\x00x", e)),
		steps(`FILDES cut, with the first half`, fd("zFIL", e), Step{Send: "DES\x00x"}),
		anyOrder(steps(`FILDES many bytes`, Step{Send: "zFILDES\x00"}, fd("xyz", e))),
		one(`FILDES none`, "zFILDES\x00x"),
		one(`FILDES waiting`, "zFILDES\x00"),
		pieces(`FILDES none, later`, "zFILDES\x00", "x"),
		tcp(one(`FILDES tcp`, "zFILDES\x00x")),
		steps(`FILDES two`, Step{Send: "zFILDES\x00"}, fd("x", e, c)),
		steps(`FILDES folder`, Step{Send: "zFILDES\x00"}, fd("x", "/scan/d")),
		steps(`FILDES device`, Step{Send: "zFILDES\x00"}, fd("x", "/dev/null")),
		steps(`FILDES pipe`, Step{Send: "zFILDES\x00"}, fd("x", "/scan/pipe")),
		steps(`FILDES empty`, Step{Send: "zFILDES\x00"}, fd("x", "/scan/empty")),
		steps(`descriptor without FILDES`, fd("zPING\x00", e)),
		steps(`descriptor before FILDES`, fd("x", e), Step{Send: "zFILDES\x00x"}),
		steps(`descriptor in INSTREAM`, Step{Send: "zINSTREAM\x00"}, fd(chunk("hello")+end, e)),
		ours(anyOrder(steps(`descriptor with SCAN`, fd("zSCAN /scan/d/x/c\x00", e))), true, "PROTOCOL ERROR: ancillary data sent without FILDES. ERROR\x00Error processing command. ERROR\x00", whyRace),
		steps(`FILDES session`, Step{Send: "zIDSESSION\x00zFILDES\x00"}, fd("x", e), Step{Send: "zEND\x00"}),
		anyOrder(steps(`FILDES session two`, Step{Send: "zIDSESSION\x00"}, fd("zFILDES\x00x", e), fd("zFILDES\x00x", c), Step{Send: "zEND\x00"})),
		anyOrder(steps(`FILDES session at once`, Step{Send: "nIDSESSION\n"}, Step{Send: "nFILDES\n"}, fd("\x00", e), Step{Send: "nFILDES\n"}, fd("\x00", c), Step{Send: "nEND\n"})),
		anyOrder(steps(`FILDES session behind PING`, Step{Send: "zIDSESSION\x00"}, fd("zPING\x00zFILDES\x00x", e), Step{Send: "zEND\x00"})),
		one(`FILDES session none`, "zIDSESSION\x00zFILDES\x00xzPING\x00"),
	}
}

func sessions() []Talk {
	return []Talk{
		one(`session`, "zIDSESSION\x00zPING\x00zVERSION\x00zEND\x00"),
		ours(one(`session n`, "nIDSESSION\nnPING\nnVERSIONCOMMANDS\nnEND\n"), true, "1: PONG\n2: "+theirs+additional+"\n", whyOurs),
		one(`session mixed`, "nIDSESSION\nzPING\x00nPING\nnEND\n"),
		anyOrder(one(`session INSTREAM twice`, "zIDSESSION\x00zINSTREAM\x00"+chunk(EICAR)+end+"zINSTREAM\x00"+chunk("ok")+end+"zEND\x00")),
		anyOrder(one(`session INSTREAM between`, "zIDSESSION\x00zPING\x00nINSTREAM\n"+chunk(EICAR)+end+"zPING\x00zEND\x00")),
		one(`session INSTREAM too big`, "zIDSESSION\x00zPING\x00zINSTREAM\x00"+length(2<<20)),
		anyOrder(one(`session SCAN`, "zIDSESSION\x00zSCAN /scan/e.txt\x00zSCAN /scan/d/x/c\x00zEND\x00")),
		anyOrder(one(`session SCAN folder`, "zIDSESSION\x00zSCAN /scan/d\x00zEND\x00")),
		ours(anyOrder(one(`session SCAN wrong`, "zIDSESSION\x00zSCAN /scan/none\x00zSCAN /dev/null\x00zEND\x00")), true, "1: /scan/none: File path check failure: No such file or directory. ERROR\x002: /dev/null"+special+"\x00", whyOK),
		one(`session STATS`, "zIDSESSION\x00zSTATS\x00zEND\x00"),
		ours(one(`session old`, "zIDSESSION\x00PING\n"), true, "1: Only nCMDS\\n and zCMDS\\0 are accepted inside IDSESSION. ERROR\x001: Error processing command. ERROR\x00", whyAtOnce),
		pieces(`session old later`, "zIDSESSION\x00", "PING\n"),
		pieces(`session old then more`, "zIDSESSION\x00PING\n", "zPING\x00"),
		pieces(`session old behind PING`, "zIDSESSION\x00zPING\x00", "PING\n"),
		one(`session CONTSCAN`, "zIDSESSION\x00zCONTSCAN /scan/d\x00"),
		one(`session MULTISCAN`, "zIDSESSION\x00zMULTISCAN /scan/d\x00"),
		one(`session ALLMATCHSCAN`, "zIDSESSION\x00zALLMATCHSCAN /scan/d\x00"),
		one(`session RELOAD`, "zIDSESSION\x00zRELOAD\x00"),
		one(`session SHUTDOWN`, "zIDSESSION\x00zSHUTDOWN\x00"),
		one(`session IDSESSION`, "zIDSESSION\x00zIDSESSION\x00"),
		one(`session DETSTATS`, "zIDSESSION\x00zDETSTATS\x00"),
		one(`session unknown`, "zIDSESSION\x00zFOO\x00zPING\x00"),
		one(`session unknown behind`, "zIDSESSION\x00zPING\x00zFOO\x00zPING\x00"),
		one(`session empty`, "zIDSESSION\x00zEND\x00"),
		one(`session behind END`, "zIDSESSION\x00zEND\x00zPING\x00"),
		steps(`session half closed`, Step{Send: "zIDSESSION\x00zPING\x00", Shut: true}),
		tcp(one(`session tcp`, "zIDSESSION\x00zPING\x00zEND\x00")),
	}
}

func timeouts() []Talk {
	return []Talk{
		slow(steps(`time: nothing sent`)),
		slow(one(`time: half a command`, "zPI")),
		slow(one(`time: session`, "zIDSESSION\x00")),
		slow(one(`time: session behind PING`, "nIDSESSION\nnPING\n")),
		slow(one(`time: INSTREAM`, "zINSTREAM\x00")),
		slow(one(`time: INSTREAM in a chunk`, "zINSTREAM\x00"+length(20)+"xxxx")),
		slow(one(`time: FILDES`, "zFILDES\x00")),
	}
}
