package engine

import "strings"

// x86Names are the instructions that a program is told of by number: ClamAV's enum
// X86OPS. Some follow each other as the forms for 32 and for 16 bits do.
var x86Names = strings.Fields(`
	invalid aaa aad aam aas add adc and arpl bound bsf bsr bswap bt btc btr bts call cdq cwd cwde cbw clc cld cli
	clts cmc cmovo cmovno cmovc cmovnc cmovz cmovnz cmovbe cmova cmovs cmovns cmovp cmovnp cmovl cmovge cmovle
	cmovg cmp cmpsd cmpsw cmpsb cmpxchg cmpxchg8b cpuid daa das dec div enter fwait hlt idiv imul inc in insd
	insw insb int int3 into invd invlpg iret jo jno jc jnc jz jnz jbe ja js jns jp jnp jl jge jle jg jmp lahf lar
	lds les lfs lgs lea leave lgdt lidt lldt prefix_lock lodsd lodsw lodsb loop loope loopne jecxz lsl lss ltr
	mov movsd movsw movsb movsx movzx mul neg nop not or out outsd outsw outsb push pushad pusha pushfd pushf pop
	popad popfd popf rcl rcr rdmsr rdpmc rdtsc prefix_repe prefix_repne retf retn rol ror rsm sahf sar sbb scasd
	scasw scasb seto setno setc setnc setz setnz setbe seta sets setns setp setnp setl setge setle setg sgdt sidt
	shl shld shr shrd sldt stosd stosw stosb str stc std sti sub syscall sysenter sysexit sysret test ud2 verr
	verrw wbinvd wrmsr xadd xchg xlat xor prefix_opsize prefix_addrsize prefix_segment 2byte fpu f2xm1 fabs fadd
	faddp fbld fbstp fchs fclex fcmovb fcmovbe fcmove fcmovnb fcmovnbe fcmovne fcmovnu fcmovu fcom fcomi fcomip
	fcomp fcompp fcos fdecstp fdiv fdivp fdivr fdivrp ffree fiadd ficom ficomp fidiv fidivr fild fimul fincstp
	finit fist fistp fisttp fisub fisubr fld fld1 fldcw fldenv fldl2e fldl2t fldlg2 fldln2 fldpi fldz fmul fmulp
	fnop fpatan fprem fprem1 fptan frndint frstor fscale fsin fsincos fsqrt fsave fst fstcw fstenv fstp fstsw
	fsub fsubp fsubr fsubrp ftst fucom fucomi fucomip fucomp fucompp fxam fxch fxtract fyl2x fyl2xp1`)

// x86Numbers are the numbers of these names.
var x86Numbers = func() map[string]uint16 {
	m := map[string]uint16{}
	for i, n := range x86Names {
		m[n] = uint16(i)
	}
	return m
}()

// x86Table are opcodes as ClamAV's disassembler takes them. A
// row is the first and the last opcode, what the first operand is and its size, the same of the
// second, and the instructions' names, of which the last stands for all that follow.
//
//	r     a register, by the opcode's lowest bits; r0, r1, r2, r3, r6 a given one; s0 to s5 a segment
//	eg ge gm es se rc rd cr dr  what a ModRM byte says, in that order; gm is memory
//	x m   a ModRM byte of whose three bits the instruction follows: see x86Groups; m is memory
//	i j o one immediate, relative or absolute
//	1     the number 1
//	b h w d v f  sizes: byte, high byte, word, doubleword, by the prefix, far
const x86Table = `
	06 07 s0w - push pop
	0e 0e s1w - push
	16 17 s2w - push pop
	1e 1f s3w - push pop
	27 27 - - daa
	2f 2f - - das
	37 37 - - aaa
	3f 3f - - aas
	40 47 rv - inc
	48 4f rv - dec
	50 57 rv - push
	58 5f rv - pop
	60 61 -v - pushad popad
	62 62 gmv - bound
	63 63 egw - arpl
	68 68 iv - push
	69 69 gev iv imul
	6a 6a ib - push
	6b 6b gev ib imul
	6c 6c - - insb
	6d 6d -v - insd
	6e 6e - - outsb
	6f 6f -v - outsd
	70 7f jb - jo jno jc jnc jz jnz jbe ja js jns jp jnp jl jge jle jg
	80 80 xb ib group1
	81 81 xv iv group1
	82 82 xb ib group1
	83 83 xv ib group1
	84 84 egb - test
	85 85 egv - test
	86 86 egb - xchg
	87 87 egv - xchg
	88 88 egb - mov
	89 89 egv - mov
	8a 8a geb - mov
	8b 8b gev - mov
	8c 8c esw - mov
	8d 8d gmv - lea
	8e 8e sew - mov
	8f 8f xv - group0
	90 90 - - nop
	91 97 rv r0v xchg
	98 99 -v - cwde cdq
	9a 9a if - call
	9b 9b - - fwait
	9c 9d -v - pushfd popfd
	9e 9f - - sahf lahf
	a0 a0 r0b ob mov
	a1 a1 r0v ov mov
	a2 a2 ob r0b mov
	a3 a3 ov r0v mov
	a4 a4 - - movsb
	a5 a5 -v - movsd
	a6 a6 - - cmpsb
	a7 a7 -v - cmpsd
	a8 a8 r0b ib test
	a9 a9 r0v iv test
	aa aa - - stosb
	ab ab -v - stosd
	ac ac - - lodsb
	ad ad -v - lodsd
	ae ae - - scasb
	af af -v - scasd
	b0 b3 rb ib mov
	b4 b7 rh ib mov
	b8 bf rv iv mov
	c0 c0 xb ib group2
	c1 c1 xv ib group2
	c2 c2 iw - retn
	c3 c3 - - retn
	c4 c5 gmv - les lds
	c6 c6 xb ib group5
	c7 c7 xv iv group5
	c8 c8 iw ib enter
	c9 c9 - - leave
	ca ca iw - retf
	cb cb - - retf
	cc cc - - int3
	cd cd ib - int
	ce cf - - into iret
	d0 d0 xb 1 group2
	d1 d1 xv 1 group2
	d2 d2 xb r1b group2
	d3 d3 xv r1b group2
	d4 d5 ib - aam aad
	d7 d7 - - xlat
	e0 e3 jb - loopne loope loop jecxz
	e4 e4 r0b ib in
	e5 e5 r0v ib in
	e6 e6 ib r0b out
	e7 e7 ib r0v out
	e8 e9 jv - call jmp
	ea ea if - jmp
	eb eb jb - jmp
	ec ec r0b r2w in
	ed ed r0v r2w in
	ee ee r2w r0b out
	ef ef r2w r0v out
	f0 f0 - - prefix_lock
	f2 f5 - - prefix_repne prefix_repe hlt cmc
	f6 f6 xb ib group6
	f7 f7 xv iv group6
	f8 fd - - clc stc cli sti cld std
	fe fe xb - group3
	ff ff xv - group4
	0f00 0f00 xw - group7
	0f01 0f01 mb - group26
	0f02 0f03 gev - lar lsl
	0f05 0f09 - - syscall clts sysret invd wbinvd
	0f0b 0f0b - - ud2
	0f20 0f20 rcd - mov
	0f21 0f21 rdd - mov
	0f22 0f22 crd - mov
	0f23 0f23 drd - mov
	0f30 0f35 - - wrmsr rdtsc rdmsr rdpmc sysenter sysexit
	0f40 0f4f gev - cmovo cmovno cmovc cmovnc cmovz cmovnz cmovbe cmova cmovs cmovns cmovp cmovnp cmovl cmovge cmovle cmovg
	0f80 0f8f jv - jo jno jc jnc jz jnz jbe ja js jns jp jnp jl jge jle jg
	0f90 0f9f xb - seto setno setc setnc setz setno setbe seta sets setns setp setnp setl setge setle setg
	0fa0 0fa1 s4w - push pop
	0fa2 0fa2 - - cpuid
	0fa3 0fa3 egv - bt
	0fa4 0fa4 egv ib shld
	0fa5 0fa5 egv r1b shld
	0fa8 0fa9 s5w - push pop
	0faa 0faa - - rsm
	0fab 0fab egv - bts
	0fac 0fac egv ib shrd
	0fad 0fad egv r1b shrd
	0faf 0faf gev - imul
	0fb0 0fb0 egb - cmpxchg
	0fb1 0fb1 egv - cmpxchg
	0fb2 0fb2 gmv - lss
	0fb3 0fb3 egv - btr
	0fb4 0fb5 gmv - lfs lgs
	0fb6 0fb6 geb - movzx
	0fb7 0fb7 gew - movzx
	0fba 0fba xv ib group24
	0fbb 0fbb egv - btc
	0fbc 0fbd gev - bsf bsr
	0fbe 0fbe geb - movsx
	0fbf 0fbf gew - movsx
	0fc0 0fc0 egb - xadd
	0fc1 0fc1 egv - xadd
	0fc7 0fc7 md - group25
	0fc8 0fcf rd - bswap`

// x86Groups are the instructions of a group by three bits of the ModRM byte, some with
// what is added to the size of the operand.
const x86Groups = `
	group0 pop
	group1 add or adc sbb and sub xor cmp
	group2 rol ror rcl rcr shl shr - sar
	group3 inc dec
	group4 inc dec call call+1 jmp jmp+1 push
	group5 mov
	group6 test - not neg mul imul div idiv
	group7 sldt str lldt ltr verr verrw
	group24 - - - - bt bts btr btc
	group25 - cmpxchg8b+2
	group26 sgdt+3 sidt+3 lgdt+3 lidt+3 - - - invlpg`

// x87Memory are instructions of the FPU on memory, by the opcode from d8 on and three
// bits of the ModRM byte: name and size.
const x87Memory = `
	fadd2 fmul2 fcom2 fcomp2 fsub2 fsubr2 fdiv2 fdivr2
	fld2 - fst2 fstp2 fldenv6 fldcw1 fstenv6 fstcw1
	fiadd2 fimul2 ficom2 ficomp2 fisub2 fisubr2 fidiv2 fidivr2
	fild2 fisttp2 fist2 fistp2 - fld5 - fstp5
	fadd4 fmul4 fcom4 fcomp4 fsub4 fsubr4 fdiv4 fdivr4
	fld4 fisttp4 fst4 fstp4 frstor6 - fsave6 fstsw1
	fiadd1 fimul1 ficom1 ficomp1 fisub1 fisubr1 fidiv1 fidivr1
	fild1 fisttp1 fist1 fistp1 fbld5 fild4 fbstp5 fistp4`

// x87Stack are those on registers, by opcode and eight at a time: one for all eight, with
// its operands (0: st(0), st(i); 1: st(i); 2: st(i), st(0)), or a list of eight without.
const x87Stack = `
	fadd:0 fmul:0 fcom:0 fcomp:0 fsub:0 fsubr:0 fdiv:0 fdivr:0
	fld:0 fxch:0 fnop,-,-,-,-,-,-,- - fchs,fabs,-,-,ftst,fxam,-,- fld1,fldl2t,fldl2e,fldpi,fldlg2,fldln2,fldz:0,- f2xm1,fyl2x,fptan,fpatan,fxtract,fprem1,fdecstp,fincstp fprem,fyl2xp1,fsqrt,fsincos,frndint,fscale,fsin,fcos
	fcmovb:0 fcmove:0 fcmovbe:0 fcmovu:0 - -,fucompp,-,-,-,-,-,- - -
	fcmovnb:0 fcmovne:0 fcmovnbe:0 fcmovnu:0 -,-,fclex,finit,-,-,-,- fucomi:0 fcomi:0 -
	fadd:2 fmul:2 - - fsubr:2 fsub:2 fdivr:2 fdiv:2
	ffree:1 - fst:1 fstp:1 fucom:2 fucomp:2 - -
	faddp:2 fmulp:2 - -,fcompp,-,-,-,-,-,- fsubrp:2 fsubp:2 fdivrp:2 fdivp:2
	- - - - -,fstsw,-,-,-,-,-,- fucomip:0 fcomip:0 -`
