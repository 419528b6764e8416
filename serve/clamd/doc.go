// Package clamd is the front door for clients of clamd: its protocol as clamd 1.4.6
// speaks it, byte for byte but for what docs/clamd.md lists with reasons, and a few
// commands more that give what clamd's cannot: records, and options of one scan.
//
// One connection is one goroutine, which reads commands and does them; in a session
// (IDSESSION) each scan has one of its own, so that replies come when they are ready. A
// connection that waits holds no buffer. When there are too many connections, the client
// that has most loses the one that said nothing for longest: others are served.
package clamd
