//go:build linux

package escape

import "golang.org/x/sys/unix"

// lowMap puts the arena below 4 GiB, so that 32-bit calls can point into it.
const lowMap = unix.MAP_32BIT

const elfMachine = uint16(62) // EM_X86_64

// tinyCode is write(1, landed, len); exit(9), placed at address at. With onlyRoot it writes only if it runs as root.
func tinyCode(at uint64, onlyRoot bool) []byte {
	var c []byte
	if onlyRoot {
		c = []byte{
			0xb8, 107, 0, 0, 0, // mov eax, SYS_geteuid
			0x0f, 0x05, // syscall
			0x85, 0xc0, // test eax, eax
			0x75, 22, // jnz end
		}
	}
	text := uint32(at) + uint32(len(c)) + 34
	c = append(
		c,
		0xb8, 1, 0, 0, 0, // mov eax, SYS_write
		0xbf, 1, 0, 0, 0, // mov edi, 1
		0xbe, byte(text), byte(text>>8), byte(text>>16), byte(text>>24), // mov esi, text
		0xba, byte(len(Landed)), 0, 0, 0, // mov edx, len
		0x0f, 0x05, // syscall
		0xbf, 9, 0, 0, 0, // end: mov edi, 9
		0xb8, 60, 0, 0, 0, // mov eax, SYS_exit
		0x0f, 0x05,
	)
	return append(c, Landed...)
}

// Machine code, called with one pointer in RAX (Go's internal convention, in
// which all registers but SP, BP, R14 and X15 are the caller's to save). It
// points to seven words: the number of a call and its arguments.

// codeSyscall makes the call by `syscall`.
func codeSyscall() []byte {
	return append(loadArgs(), 0x0f, 0x05, 0xc3)
}

// codeFork makes the call by `syscall`; a child or new thread, for which it
// gives 0, ends at once with code 7 and touches no stack.
func codeFork() []byte {
	return append(
		loadArgs(),
		0x0f, 0x05, // syscall
		0x48, 0x85, 0xc0, // test rax, rax
		0x74, 0x01, // jz child
		0xc3,                // ret
		0xbf, 0x07, 0, 0, 0, // child: mov edi, 7
		0xb8, 60, 0, 0, 0, // mov eax, SYS_exit
		0x0f, 0x05,
	)
}

func loadArgs() []byte {
	return []byte{
		0x48, 0x8b, 0x78, 0x08, // mov rdi, [rax+8]
		0x48, 0x8b, 0x70, 0x10, // mov rsi, [rax+16]
		0x48, 0x8b, 0x50, 0x18, // mov rdx, [rax+24]
		0x4c, 0x8b, 0x50, 0x20, // mov r10, [rax+32]
		0x4c, 0x8b, 0x40, 0x28, // mov r8, [rax+40]
		0x4c, 0x8b, 0x48, 0x30, // mov r9, [rax+48]
		0x48, 0x8b, 0x00, // mov rax, [rax]
	}
}

// codeInt80 makes the call by `int 0x80`, the 32-bit gate.
func codeInt80() []byte {
	return []byte{
		0x48, 0x8b, 0x58, 0x08, // mov rbx, [rax+8]
		0x48, 0x8b, 0x48, 0x10, // mov rcx, [rax+16]
		0x48, 0x8b, 0x50, 0x18, // mov rdx, [rax+24]
		0x48, 0x8b, 0x70, 0x20, // mov rsi, [rax+32]
		0x48, 0x8b, 0x78, 0x28, // mov rdi, [rax+40]
		0x48, 0x8b, 0x00, // mov rax, [rax]
		0xcd, 0x80, // int 0x80
		0x48, 0x63, 0xc0, // movsxd rax, eax
		0xc3,
	}
}

// code42 returns 42.
func code42() []byte { return []byte{0xb8, 42, 0, 0, 0, 0xc3} }
