package windows

const nt = "ntdll"

// functions are the functions that are known, by name.
func functions() map[string]api {
	return map[string]api{
		unhandled:      {args: -4, value: 1, in: "-"}, // it leaves exceptions to others
		"LoadLibraryA": {args: 1, do: loadLibrary(false)}, "LoadLibraryW": {args: 1, do: loadLibrary(true)},
		"LoadLibraryExA": {args: 3, do: loadLibrary(false)}, "LoadLibraryExW": {args: 3, do: loadLibrary(true)},
		"FreeLibrary":      {args: 1, value: one},
		"GetModuleHandleA": {args: 1, do: moduleHandle(false)}, "GetModuleHandleW": {args: 1, do: moduleHandle(true)},
		"GetModuleFileNameA": {args: 3, do: moduleFile(false)}, "GetModuleFileNameW": {args: 3, do: moduleFile(true)},
		"GetProcAddress":            {args: 2, do: func(p *process, a []uint64) uint64 { return p.procedure(a[0], a[1]) }},
		"DisableThreadLibraryCalls": {args: 1, value: one},

		"VirtualAlloc":     {args: 4, do: virtualAlloc},
		"VirtualAllocEx":   {args: 5, do: func(p *process, a []uint64) uint64 { return own(p, a, virtualAlloc) }},
		"VirtualFree":      {args: 3, do: virtualFree},
		"VirtualFreeEx":    {args: 4, do: func(p *process, a []uint64) uint64 { return own(p, a, virtualFree) }},
		"VirtualProtect":   {args: 4, do: virtualProtect},
		"VirtualProtectEx": {args: 5, do: func(p *process, a []uint64) uint64 { return own(p, a, virtualProtect) }},
		"VirtualQuery":     {args: 3, do: virtualQuery},
		"VirtualLock":      {args: 2, value: one}, "VirtualUnlock": {args: 2, value: one},
		"FlushInstructionCache": {args: 3, value: one},
		"IsBadReadPtr":          {args: 2, do: func(p *process, a []uint64) uint64 { return bad(p, a[0]) }},
		"IsBadWritePtr":         {args: 2, do: func(p *process, a []uint64) uint64 { return bad(p, a[0]) }},
		"IsBadCodePtr":          {args: 1, do: func(p *process, a []uint64) uint64 { return bad(p, a[0]) }},

		"GlobalAlloc": {args: 2, do: func(p *process, a []uint64) uint64 { return p.alloc(a[1]) }}, "LocalAlloc": {args: 2, do: func(p *process, a []uint64) uint64 { return p.alloc(a[1]) }},
		"GlobalFree": {args: 1}, "LocalFree": {args: 1},
		"GlobalLock": {args: 1, do: first}, "LocalLock": {args: 1, do: first}, "GlobalHandle": {args: 1, do: first},
		"GlobalUnlock": {args: 1}, "LocalUnlock": {args: 1},
		"HeapCreate": {args: 3, do: func(p *process, _ []uint64) uint64 { return p.heapAt }}, "HeapDestroy": {args: 1, value: one},
		"GetProcessHeap": {do: func(p *process, _ []uint64) uint64 { return p.heapAt }},
		"HeapAlloc":      {args: 3, do: func(p *process, a []uint64) uint64 { return p.alloc(a[2]) }},
		"HeapReAlloc":    {args: 4, do: func(p *process, a []uint64) uint64 { return realloc(p, a[2], a[3]) }},
		"HeapFree":       {args: 3, value: one},
		"HeapSize":       {args: 3, do: func(p *process, a []uint64) uint64 { return p.blocks[a[2]] }},

		"ExitProcess": {args: 1, do: exits}, "ExitThread": {args: 1, do: exits}, "TerminateProcess": {args: 2, do: exits}, "FatalAppExitA": {args: 2, do: exits},
		"IsDebuggerPresent":          {},
		"CheckRemoteDebuggerPresent": {args: 2, do: func(p *process, a []uint64) uint64 { p.put32(a[1], 0); return one }},
		"OutputDebugStringA":         {args: 1}, "OutputDebugStringW": {args: 1},
		"GetTickCount":              {do: func(p *process, _ []uint64) uint64 { return p.milliseconds() }},
		"GetTickCount64":            {do: func(p *process, _ []uint64) uint64 { return p.milliseconds() }},
		"QueryPerformanceCounter":   {args: 1, do: counter},
		"QueryPerformanceFrequency": {args: 1, do: func(p *process, a []uint64) uint64 { p.put32(a[0], 4_000_000); p.put32(a[0]+4, 0); return one }},
		"GetSystemTimeAsFileTime":   {args: 1, do: fileTime},
		"GetSystemTime":             {args: 1, do: systemTime}, "GetLocalTime": {args: 1, do: systemTime},
		"Sleep": {args: 1, do: func(p *process, _ []uint64) uint64 { p.c.Steps += 1 << 16; return 0 }}, "SleepEx": {args: 2},
		"GetVersion":    {value: 0x1db10106},
		"GetVersionExA": {args: 1, do: version}, "GetVersionExW": {args: 1, do: version},
		"GetSystemInfo":     {args: 1, do: systemInfo},
		"GetCurrentProcess": {value: pseudo}, "GetCurrentThread": {value: minusOne - 1},
		"GetCurrentProcessId": {value: processID}, "GetCurrentThreadId": {value: threadID},
		"GetLastError": {do: func(p *process, _ []uint64) uint64 { return uint64(p.word32(p.teb + p.lastError())) }},
		"SetLastError": {args: 1, do: func(p *process, a []uint64) uint64 { p.put32(p.teb+p.lastError(), uint32(a[0])); return 0 }},
		"SetErrorMode": {args: 1}, "CloseHandle": {args: 1, value: one},
		"CreateMutexA": {args: 3, value: 0x44}, "CreateMutexW": {args: 3, value: 0x44}, "ReleaseMutex": {args: 1, value: one}, "OpenMutexA": {args: 3},
		"CreateFileA": {args: 7, do: createFile(false)}, "CreateFileW": {args: 7, do: createFile(true)},
		"GetFileSize": {args: 2, do: fileSize}, "ReadFile": {args: 5, do: readFile}, "SetFilePointer": {args: 4, do: setFilePointer},
		"CreateFileMappingA": {args: 6, do: fileMapping}, "CreateFileMappingW": {args: 6, do: fileMapping},
		"MapViewOfFile": {args: 5, do: mapView}, "UnmapViewOfFile": {args: 1, do: unmapView},
		"DeviceIoControl": {args: 8}, "GetThreadContext": {args: 2}, "SetThreadContext": {args: 2},
		"GetCommandLineA": {do: func(p *process, _ []uint64) uint64 {
			at := p.alloc(64)
			p.m.Write(at, append([]byte(programPath), 0))
			return at
		}},

		"SetUnhandledExceptionFilter":    {args: 1, do: func(p *process, a []uint64) uint64 { old := p.filter; p.filter = a[0]; return old }},
		"UnhandledExceptionFilter":       {args: 1},
		"AddVectoredExceptionHandler":    {args: 2, do: addVectored},
		"RtlAddVectoredExceptionHandler": {args: 2, do: addVectored, in: nt},
		"RemoveVectoredExceptionHandler": {args: 1, do: removeVectored},
		"RaiseException":                 {args: 4, do: raiseException},

		"InitializeCriticalSection": {args: 1}, "InitializeCriticalSectionAndSpinCount": {args: 2, value: one}, "EnterCriticalSection": {args: 1}, "LeaveCriticalSection": {args: 1}, "DeleteCriticalSection": {args: 1},
		"TlsAlloc":    {do: func(p *process, _ []uint64) uint64 { p.tlsUsed++; return uint64(p.tlsUsed - 1) }},
		"TlsGetValue": {args: 1, do: func(p *process, a []uint64) uint64 { return *tlsSlot(p, a[0]) }},
		"TlsSetValue": {args: 2, do: func(p *process, a []uint64) uint64 { *tlsSlot(p, a[0]) = a[1]; return one }}, "TlsFree": {args: 1, value: one},
		"InterlockedExchange":    {args: 2, do: interlocked(func(old, v uint64) (uint64, uint64) { return v, old })},
		"InterlockedIncrement":   {args: 1, do: interlocked(func(old, _ uint64) (uint64, uint64) { return old + 1, old + 1 })},
		"InterlockedDecrement":   {args: 1, do: interlocked(func(old, _ uint64) (uint64, uint64) { return old - 1, old - 1 })},
		"InterlockedExchangeAdd": {args: 2, do: interlocked(func(old, v uint64) (uint64, uint64) { return old + v, old })},

		"lstrlenA": {args: 1, do: func(p *process, a []uint64) uint64 { return uint64(len(p.text(a[0]))) }},
		"lstrcpyA": {args: 2, do: copyText},
		"lstrcatA": {args: 2, do: func(p *process, a []uint64) uint64 {
			return copyText(p, []uint64{a[0] + uint64(len(p.text(a[0]))), a[1]})
		}},
		"lstrcmpA": {args: 2, do: compareText(false)}, "lstrcmpiA": {args: 2, do: compareText(true)},

		"RtlMoveMemory":             {args: 3, do: func(p *process, a []uint64) uint64 { return p.move(a[0], a[1], a[2]) }, in: "kernel32 ntdll"},
		"RtlCopyMemory":             {args: 3, do: func(p *process, a []uint64) uint64 { return p.move(a[0], a[1], a[2]) }, in: nt},
		"RtlZeroMemory":             {args: 2, do: func(p *process, a []uint64) uint64 { return p.fill(a[0], a[1], 0) }, in: "kernel32 ntdll"},
		"RtlFillMemory":             {args: 3, do: func(p *process, a []uint64) uint64 { return p.fill(a[0], a[1], byte(a[2])) }, in: "kernel32 ntdll"},
		"memcpy":                    {args: -3, do: func(p *process, a []uint64) uint64 { return p.move(a[0], a[1], a[2]) }, in: nt},
		"memmove":                   {args: -3, do: func(p *process, a []uint64) uint64 { return p.move(a[0], a[1], a[2]) }, in: nt},
		"memset":                    {args: -3, do: func(p *process, a []uint64) uint64 { return p.fill(a[0], a[2], byte(a[1])) }, in: nt},
		"RtlAllocateHeap":           {args: 3, do: func(p *process, a []uint64) uint64 { return p.alloc(a[2]) }, in: nt},
		"RtlFreeHeap":               {args: 3, value: one, in: nt},
		"NtAllocateVirtualMemory":   {args: 6, do: ntAllocate, in: nt},
		"ZwAllocateVirtualMemory":   {args: 6, do: ntAllocate, in: nt},
		"NtFreeVirtualMemory":       {args: 4, in: nt},
		"NtProtectVirtualMemory":    {args: 5, do: ntProtect, in: nt},
		"ZwProtectVirtualMemory":    {args: 5, do: ntProtect, in: nt},
		"NtQueryInformationProcess": {args: 5, do: queryProcess, in: nt},
		"ZwQueryInformationProcess": {args: 5, do: queryProcess, in: nt},
		"NtSetInformationThread":    {args: 4, in: nt},
		"ZwSetInformationThread":    {args: 4, in: nt},
		"NtClose":                   {args: 1, value: 0xc0000008, in: nt},
		"NtTerminateProcess":        {args: 2, do: exits, in: nt},
		"LdrLoadDll":                {args: 4, do: ldrLoad, in: nt},
		"LdrGetProcedureAddress":    {args: 4, do: ldrProcedure, in: nt},
		"LdrGetDllHandle":           {args: 4, do: ldrLoad, in: nt},

		"FindWindowA": {args: 2, in: "user32"}, "FindWindowW": {args: 2, in: "user32"}, "GetForegroundWindow": {in: "user32", value: 0x10010},
		"GetCursorPos": {args: 1, value: one, in: "user32"}, "BlockInput": {args: 1, value: one, in: "user32"},
	}
}

// exported are names that libraries have besides those of functions: what looks for
// its functions by sums of their names finds them, and ends when it calls them.
const exported = `CreateProcessA CreateProcessW CreateThread CreateRemoteThread WriteFile SetEndOfFile
	OpenFileMappingA WaitForSingleObject WaitForMultipleObjects GetTempPathA GetTempPathW GetTempFileNameA
	DeleteFileA DeleteFileW MoveFileA CopyFileA GetStartupInfoA GetStartupInfoW CreateToolhelp32Snapshot Process32First Process32Next Module32First Module32Next Thread32First Thread32Next
	OpenProcess OpenThread ReadProcessMemory WriteProcessMemory ResumeThread SuspendThread SetThreadPriority GetThreadPriority GetPriorityClass SetPriorityClass
	GetCurrentDirectoryA SetCurrentDirectoryA lstrcpynA lstrcpyW lstrlenW lstrcatW MultiByteToWideChar WideCharToMultiByte GetStdHandle SetStdHandle WriteConsoleA AllocConsole FreeConsole
	GetEnvironmentVariableA GetEnvironmentStringsA GetEnvironmentStringsW SetEvent ResetEvent CreateEventA OpenEventA DuplicateHandle FindFirstFileA FindNextFileA FindClose
	FindResourceA FindResourceW FindResourceExA LoadResource LockResource SizeofResource FreeResource EnumResourceNamesA RtlUnwind GetSystemDirectoryA GetSystemDirectoryW GetWindowsDirectoryA
	WinExec _lopen _lread _lwrite _lclose _hread GlobalMemoryStatus GetDriveTypeA GetVolumeInformationA GetComputerNameA SwitchToThread QueueUserAPC DebugBreak DebugActiveProcess
	ContinueDebugEvent WaitForDebugEvent GetExitCodeProcess GetExitCodeThread TerminateThread GetFileAttributesA SetFileAttributesA CreateDirectoryA RemoveDirectoryA GetFullPathNameA
	GetACP GetOEMCP GetCPInfo GetLocaleInfoA GetUserDefaultLCID LCMapStringA GetStringTypeA CompareStringA HeapValidate GlobalReAlloc LocalReAlloc GlobalSize GetProcessTimes GetSystemTimeAdjustment
	GetThreadLocale GetProcessVersion GetBinaryTypeA GetLongPathNameA GetShortPathNameA GetPrivateProfileStringA WritePrivateProfileStringA GetProfileStringA ExpandEnvironmentStringsA
	InterlockedCompareExchange IsProcessorFeaturePresent EncodePointer DecodePointer GetNativeSystemInfo IsWow64Process GetProcessId CreateSemaphoreA ReleaseSemaphore`

func first(_ *process, a []uint64) uint64 { return a[0] }

// own does for this process what a function does that is given one.
func own(p *process, a []uint64, f func(*process, []uint64) uint64) uint64 {
	if int32(a[0]) != -1 {
		return 0
	}
	return f(p, a[1:])
}

func bad(p *process, addr uint64) uint64 {
	if p.m.UseOf(addr) == 0 {
		return one
	}
	return 0
}

func (p *process) lastError() uint64 {
	if p.word == 8 {
		return 0x68
	}
	return 0x34
}

// ldrLoad takes a UNICODE_STRING and writes the module's base.
func ldrLoad(p *process, a []uint64) uint64 {
	m := p.library(p.wide(p.pointer(a[2] + uint64(p.word))))
	if m == nil {
		return 0xc0000135
	}
	p.put(a[3], m.base)
	return 0
}

func ldrProcedure(p *process, a []uint64) uint64 {
	at := uint64(0)
	if m := p.moduleAt(a[0]); m != nil && a[1] != 0 {
		at = p.function(m, p.text(p.pointer(a[1]+uint64(p.word))))
	} else if m != nil {
		at = p.function(m, ordinal(uint16(a[2])))
	}
	if at == 0 {
		return 0xc0000139
	}
	p.put(a[3], at)
	return 0
}
