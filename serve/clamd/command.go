package clamd

import (
	"bytes"
	"strings"
)

// A verb is what a command asks for.
type verb uint8

const (
	unknown verb = iota
	scan
	shutdown
	reload
	ping
	contscan
	versionCommands
	version
	end
	multiscan
	fildes
	stats
	idsession
	instream
	detstats
	allmatchscan
	ourScan
	ourFildes
	ourInstream
	ourStatus
)

// commands are in clamd's order, which VERSIONCOMMANDS shows and prefixes need; ours follow.
var commands = [...]struct {
	name string
	verb verb
	arg  bool // needs an argument; the others take none
	old  bool // may be sent without n or z
	ids  bool // allowed in a session
}{
	{"SCAN", scan, true, true, true},
	{"QUIT", shutdown, false, true, false},
	{"RELOAD", reload, false, true, false},
	{"PING", ping, false, true, true},
	{"CONTSCAN", contscan, true, true, false},
	{"VERSIONCOMMANDS", versionCommands, false, false, true},
	{"VERSION", version, false, true, true},
	{"END", end, false, false, true},
	{"SHUTDOWN", shutdown, false, true, false},
	{"MULTISCAN", multiscan, true, true, false},
	{"FILDES", fildes, false, true, true},
	{"STATS", stats, false, false, true},
	{"IDSESSION", idsession, false, false, false},
	{"INSTREAM", instream, false, false, true},
	{"DETSTATSCLEAR", detstats, false, true, false},
	{"DETSTATS", detstats, false, true, false},
	{"ALLMATCHSCAN", allmatchscan, true, false, false},
}

// ours are commands that clamd does not have. Their arguments are options (extra.go).
var ours = [...]struct {
	name string
	verb verb
}{
	{"SHOWCAUSE-SCAN", ourScan},
	{"SHOWCAUSE-FILDES", ourFildes},
	{"SHOWCAUSE-INSTREAM", ourInstream},
	{"SHOWCAUSE-STATUS", ourStatus},
}

// command is one that was read.
type command struct {
	verb verb
	name string // as the table has it
	arg  string
	term byte // ends it and its replies
	old  bool // came without n or z
	ids  bool // is allowed in a session
	len  int  // bytes of it, with what ends it
}

// maxCommand is the greatest length of a command in bytes, with its prefix and what ends
// it: PATH_MAX and 8, as clamd has it.
const maxCommand = 4096 + 8

// parse looks for a command at the start of what was received. It needs more
// bytes if ok is false, unless they are maxCommand already. Without n or z, all that there is,
// which is one packet, is the command.
func parse(b []byte) (c command, ok bool) {
	if len(b) == 0 {
		return c, false
	}
	text, full := b, b[:min(len(b), maxCommand)]
	switch b[0] {
	case 'z', 'n':
		if b[0] == 'n' {
			c.term = '\n'
		}
		i := bytes.IndexByte(full, c.term)
		if i < 0 {
			return c, false
		}
		text, c.len = b[1:i], i+1
		if c.term == '\n' {
			text = bytes.TrimRight(text, "\r\n")
		}
	default:
		c.old, c.term, c.len = true, '\n', len(full)
		text = full
		if i := bytes.IndexByte(full, '\n'); i >= 0 {
			text, c.len = full[:i], i+1
		}
		text = bytes.TrimRight(text, "\r\n")
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		text = text[:i] // clamd has it as a C string
	}
	c.verb, c.name, c.arg, c.ids = lookup(string(text), c.old)
	return c, true
}

// lookup finds what a command asks for. As with clamd, one byte of any kind stands between a
// command and its argument.
func lookup(text string, old bool) (verb, string, string, bool) {
	for i := range commands {
		c := &commands[i]
		rest, ok := strings.CutPrefix(text, c.name)
		switch {
		case !ok:
			continue
		case old && !c.old, c.arg != (rest != ""):
			return unknown, "", "", false
		case c.arg:
			rest = rest[1:]
		}
		return c.verb, c.name, rest, c.ids
	}
	name, rest, _ := strings.Cut(text, " ")
	for i := range ours {
		if name == ours[i].name && !old {
			return ours[i].verb, name, rest, true
		}
	}
	return unknown, "", "", false
}
