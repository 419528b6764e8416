//go:build linux && (amd64 || arm64)

package escape

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	rw   = unix.PROT_READ | unix.PROT_WRITE
	rx   = unix.PROT_READ | unix.PROT_EXEC
	anon = unix.MAP_PRIVATE | unix.MAP_ANON
)

// memoryAttempts get code to run, or use memory as a channel: 24, 29, 40, 43, 48, 57.
func memoryAttempts() []Attempt {
	code := func(g *ground) error {
		p, err := codePage(code42())
		g.pages["code"] = p
		return err
	}
	all := []Attempt{
		{Number: 24, Name: "mmap-exec", What: "executable memory", try: func(g *ground) error {
			return g.call(unix.SYS_MMAP, 0, 4096, rx, anon, minus1, 0)
		}},
		{Number: 24, Name: "mmap-rwx", What: "memory that is writable and executable, with code put in and run", try: func(g *ground) error {
			addr, err := g.sys(unix.SYS_MMAP, 0, 4096, rw|rx, anon, minus1, 0)
			if err != nil {
				return err
			}
			p := mapped(addr)
			copy(p, code42())
			return ran(p)
		}},
		{Number: 24, Name: "mmap-exec-high", What: "the same, with bits set in the upper half of the protection", try: func(g *ground) error {
			addr, err := g.sys(unix.SYS_MMAP, 0, 4096, 1<<32|rw|rx, anon, minus1, 0)
			if err != nil {
				return err
			}
			p := mapped(addr)
			copy(p, code42())
			return ran(p)
		}},
		{Number: 24, Name: "mmap-exec-scratch", What: "code put into the scratch file, mapped executable and run", try: func(g *ground) error {
			if err := g.call(unix.SYS_PWRITE64, 5, g.bytes(code42()), 16, 0); err != nil {
				return err
			}
			addr, err := g.sys(unix.SYS_MMAP, 0, 4096, rx, unix.MAP_PRIVATE, 5, 0)
			if err != nil {
				return err
			}
			return ran(mapped(addr))
		}, Needs: "a temporary folder that is not mounted noexec"},
		{Number: 24, Name: "mmap-exec-passed", What: "a scanned file mapped executable", Give: PassedFile, try: func(g *ground) error {
			return g.call(unix.SYS_MMAP, 0, 4096, rx, unix.MAP_PRIVATE, uintptr(g.passed), 0)
		}, Needs: "a folder that is not mounted noexec"},
		{Number: 24, Name: "mprotect-exec", What: "memory with code in it made executable, and run", before: code, try: func(g *ground) error {
			if err := g.call(unix.SYS_MPROTECT, g.pages["code"].address(), 4096, rx); err != nil {
				return err
			}
			return ran(g.pages["code"])
		}},
		{Number: 24, Name: "mprotect-text", What: "the program's own code made writable", before: executable("text", code42), try: func(g *ground) error {
			p := g.pages["text"]
			if err := g.call(unix.SYS_MPROTECT, p.address(), 4096, rw|rx); err != nil {
				return err
			}
			p[0] = code42()[0]
			return ran(p)
		}},
		{Number: 24, Name: "pkey_mprotect-exec", What: "the same by pkey_mprotect", before: code, try: func(g *ground) error {
			if err := g.call(unix.SYS_PKEY_MPROTECT, g.pages["code"].address(), 4096, rx, minus1); err != nil {
				return err
			}
			return ran(g.pages["code"])
		}},
		{Number: 24, Name: "mmap-passed", What: "a scanned file mapped: truncated under the reader, it is SIGBUS", Give: PassedFile, try: func(g *ground) error {
			return g.call(unix.SYS_MMAP, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE, uintptr(g.passed), 0)
		}},
		{Number: 24, Name: "mmap-shared-rules", What: "the rule database mapped shared, to be felt by other readers", try: func(g *ground) error {
			return g.call(unix.SYS_MMAP, 0, 4096, unix.PROT_READ, unix.MAP_SHARED, 4, 0)
		}},
		{Number: 24, Name: "mmap-shared-anon", What: "shared anonymous memory", try: func(g *ground) error {
			return g.call(unix.SYS_MMAP, 0, 4096, rw, unix.MAP_SHARED|unix.MAP_ANON, minus1, 0)
		}},
		{Number: 43, Name: "mremap-exec", What: "executable memory moved to another place by mremap, and run", before: executable("text", code42), try: func(g *ground) error {
			addr, err := g.sys(unix.SYS_MREMAP, g.pages["text"].address(), 4096, 8192, unix.MREMAP_MAYMOVE)
			if err != nil {
				return err
			}
			return ran(mapped(addr))
		}},
		plain(29, "userfaultfd", "page faults handled by the reader", unix.SYS_USERFAULTFD, fixed(unix.O_CLOEXEC|1)),
		{Number: 30, Name: "memfd_create", What: "a file in memory", try: func(g *ground) error {
			return g.call(unix.SYS_MEMFD_CREATE, g.str("x"), 0)
		}},
		{Number: 30, Name: "add-seals", What: "seals put on a file in memory", before: func(g *ground) error {
			fd, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
			return g.own("mem", fd, err)
		}, try: func(g *ground) error {
			return g.call(unix.SYS_FCNTL, g.fd("mem"), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
		}},
		plain(30, "get-seals", "the seals of the rule database", unix.SYS_FCNTL, fixed(4, unix.F_GET_SEALS, 0)),
		plain(40, "memfd_secret", "memory that the kernel itself cannot read", unix.SYS_MEMFD_SECRET, fixed(0), unix.ENOSYS),
		{Number: 48, Name: "futex-shared", What: "waiting for another reader on the shared rule database", through: []unix.Errno{unix.EAGAIN, unix.ETIMEDOUT}, before: func(g *ground) error {
			m, err := unix.Mmap(4, 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
			g.pages["shared"] = m
			return err
		}, try: func(g *ground) error {
			return g.call(unix.SYS_FUTEX, g.pages["shared"].address(), 0, 0, g.words(0, 0), 0, 0)
		}},
	}
	return append(all, adviceAttempts()...)
}

// adviceAttempts are calls on memory that a reader has no use for: 48, 57.
func adviceAttempts() []Attempt {
	fresh := func(g *ground) error {
		p, err := codePage(nil)
		g.pages["fresh"] = p
		return err
	}
	on := func(number int, name, what string, nr uintptr, more ...uintptr) Attempt {
		return Attempt{Number: number, Name: name, What: what, before: fresh, try: func(g *ground) error {
			return g.call(nr, append([]uintptr{g.pages["fresh"].address(), 4096}, more...)...)
		}}
	}
	futex := func(name, what string, op uintptr, through ...unix.Errno) Attempt {
		return Attempt{Number: 48, Name: name, What: what, through: through, try: func(g *ground) error {
			return g.call(unix.SYS_FUTEX, g.ints(0, 0), op, 1, 0, 0, 0)
		}}
	}
	const private = 128
	wipe := on(48, "madvise-wipeonfork", "MADV_WIPEONFORK", unix.SYS_MADVISE, unix.MADV_WIPEONFORK)
	return []Attempt{
		on(48, "madvise-hwpoison", "a page of the machine marked broken", unix.SYS_MADVISE, unix.MADV_HWPOISON).need("CAP_SYS_ADMIN, and a kernel with memory failure handling").lets(unix.EINVAL),
		on(48, "madvise-mergeable", "pages offered for merging with those of others: timing tells what they hold", unix.SYS_MADVISE, unix.MADV_MERGEABLE).lets(unix.EINVAL),
		wipe,
		on(48, "madvise-cold", "pages marked cold", unix.SYS_MADVISE, unix.MADV_COLD),
		futex("futex-lock-pi", "a futex with priority inheritance", 6|private),
		futex("futex-requeue", "FUTEX_REQUEUE", 3|private),
		on(57, "mlock", "memory locked", unix.SYS_MLOCK).answers(unix.ENOMEM),
		on(57, "mlock2", "memory locked on fault", unix.SYS_MLOCK2, 1).answers(unix.ENOMEM),
		plain(57, "mlockall", "all future memory locked", unix.SYS_MLOCKALL, fixed(unix.MCL_FUTURE)).answers(unix.ENOMEM).need("RLIMIT_MEMLOCK above 0 or CAP_IPC_LOCK"),
		on(57, "msync", "msync", unix.SYS_MSYNC, unix.MS_ASYNC),
		{Number: 57, Name: "mincore", What: "which pages of the rule database are in memory: a channel between readers", before: fresh, try: func(g *ground) error {
			return g.call(unix.SYS_MINCORE, g.pages["fresh"].address(), 4096, g.mem(16))
		}},
		{Number: 57, Name: "remap_file_pages", What: "remap_file_pages", before: fresh, through: []unix.Errno{unix.EINVAL}, try: func(g *ground) error {
			return g.call(unix.SYS_REMAP_FILE_PAGES, g.pages["fresh"].address(), 4096, 0, 0, 0)
		}},
		plain(57, "set_mempolicy", "the memory policy", unix.SYS_SET_MEMPOLICY, fixed(0, 0, 0), unix.ENOSYS),
		plain(57, "mbind", "the memory policy of a range", unix.SYS_MBIND, fixed(0, 0, 0, 0, 0, 0), unix.ENOSYS),
		plain(57, "migrate_pages", "pages moved to another node", unix.SYS_MIGRATE_PAGES, fixed(0, 0, 0, 0), unix.ENOSYS, unix.EINVAL),
		plain(57, "move_pages", "pages moved one by one", unix.SYS_MOVE_PAGES, fixed(0, 0, 0, 0, 0, 0), unix.ENOSYS, unix.ENODEV),
		plain(57, "membarrier", "a memory barrier on all processors", unix.SYS_MEMBARRIER, fixed(0, 0)),
		plain(57, "pkey_alloc", "a memory protection key", unix.SYS_PKEY_ALLOC, fixed(0, 0), unix.ENOSPC, unix.EINVAL, unix.ENOSYS),
		{Number: 57, Name: "brk", What: "the old heap grown", try: func(g *ground) error {
			now, err := g.sys(unix.SYS_BRK, 0)
			if err != nil {
				return err
			}
			end, err := g.sys(unix.SYS_BRK, now+4096)
			if err == nil && end != now+4096 {
				return fmt.Errorf("brk stays")
			}
			return err
		}},
		{Number: 57, Name: "readahead", What: "the page cache filled: seen by others", Give: PassedFile, try: func(g *ground) error {
			return g.call(unix.SYS_READAHEAD, uintptr(g.passed), 0, 4096)
		}},
		{Number: 57, Name: "fadvise64", What: "the page cache emptied: seen by others", Give: PassedFile, try: func(g *ground) error {
			return g.call(unix.SYS_FADVISE64, uintptr(g.passed), 0, 4096, unix.FADV_DONTNEED)
		}},
		{Number: 57, Name: "cachestat", What: "what of a scanned file is in memory", Give: PassedFile, through: []unix.Errno{unix.ENOSYS}, try: func(g *ground) error {
			return g.call(unix.SYS_CACHESTAT, uintptr(g.passed), g.words(0, 4096), g.mem(64), 0)
		}},
		{Number: 57, Name: "sync_file_range", What: "a scanned file written back", Give: PassedRW, try: func(g *ground) error {
			return g.call(unix.SYS_SYNC_FILE_RANGE, uintptr(g.passed), 0, 4096, 2)
		}},
		plain(57, "fsync-fd5", "fsync of the scratch file", unix.SYS_FSYNC, fixed(5)),
		plain(57, "syncfs-fd4", "a file system written back", unix.SYS_SYNCFS, fixed(4)),
	}
}

// lets adds answers of a kernel that was reached.
func (a Attempt) lets(through ...unix.Errno) Attempt { a.through = through; return a }
