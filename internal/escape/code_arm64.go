//go:build linux

package escape

import "golang.org/x/sys/unix"

const statat = unix.SYS_FSTATAT

// lowMap is for 32-bit calls, which are not made here.
const lowMap = 0

const elfMachine = uint16(183) // EM_AARCH64

// tinyCode is write(1, landed, len); exit(9). With onlyRoot it writes only if it runs as root.
func tinyCode(_ uint64, onlyRoot bool) []byte {
	var c []byte
	if onlyRoot {
		c = words32(
			0xd28015e8, // mov x8, SYS_geteuid (175)
			0xd4000001, // svc 0
			0xb50000c0, // cbnz x0, end (24 bytes on)
		)
	}
	c = append(c, words32(
		0xd2800808,                        // mov x8, SYS_write (64)
		0xd2800020,                        // mov x0, 1
		0x100000c1,                        // adr x1, text (24 bytes on)
		0xd2800002|uint32(len(Landed))<<5, // mov x2, len
		0xd4000001,                        // svc 0
		0xd2800ba8,                        // end: mov x8, SYS_exit (93)
		0xd2800120,                        // mov x0, 9
		0xd4000001,                        // svc 0
	)...)
	return append(c, Landed...)
}

func words32(w ...uint32) []byte {
	var b []byte
	for _, v := range w {
		b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	return b
}

// codeFork makes the call whose number and arguments X0 points to; a child or
// new thread ends at once with code 7.
func codeFork() []byte {
	return words32(
		0xaa0003e9, // mov x9, x0
		0xf9400128, // ldr x8, [x9]
		0xf9400520, // ldr x0, [x9, 8]
		0xf9400921, // ldr x1, [x9, 16]
		0xf9400d22, // ldr x2, [x9, 24]
		0xf9401123, // ldr x3, [x9, 32]
		0xf9401524, // ldr x4, [x9, 40]
		0xf9401925, // ldr x5, [x9, 48]
		0xd4000001, // svc 0
		0xb4000040, // cbz x0, child
		0xd65f03c0, // ret
		0xd28000e0, // child: mov x0, 7
		0xd2800ba8, // mov x8, SYS_exit
		0xd4000001, // svc 0
	)
}

// code42 returns 42.
func code42() []byte { return words32(0xd2800540, 0xd65f03c0) }

// archAttempts has none here: arm64 has neither a second call gate nor the old calls.
func archAttempts() []Attempt {
	var all []Attempt
	for _, a := range []Attempt{
		{Number: 22, Name: "x32-socket", What: "a call number with the x32 bit"},
		{Number: 23, Name: "int80-socket", What: "a call through int 0x80"},
	} {
		a.Skip = "amd64 only: arm64 has no such calls"
		all = append(all, a)
	}
	return all
}
