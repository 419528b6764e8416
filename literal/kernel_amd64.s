#include "textflag.h"

// Offsets in vectors.
#define A 0
#define B 32
#define C 64
#define ONES 96
#define FIVE 128
#define OR 160
#define LOW 192
#define HIGH 224
#define SALT 256
#define ORDER 288
#define SHIFT 320
#define FRONT0 352
#define FRONT1 384
#define BACK 416
#define D 448
#define E 480
#define WINDOW 512
#define WSHIFT 544

// PASS: from 8 hashes before their last step in Y0, whether the filter at R8
// passes them: lanes of Y0. C is in Y13, ones in Y12, 31 in Y11, the shift in X8.
#define PASS \
	VPSRLD $15, Y0, Y1; \
	VPXOR Y0, Y1, Y0; \
	VPMULLD Y13, Y0, Y1; \
	VPSRLD X8, Y1, Y1; \
	VPCMPEQD Y2, Y2, Y2; \
	VPGATHERDD Y2, (R8)(Y1*4), Y3; \
	VPSRLD $27, Y0, Y2; \
	VPAND Y11, Y0, Y4; \
	VPSLLVD Y2, Y12, Y2; \
	VPSLLVD Y4, Y12, Y4; \
	VPOR Y2, Y4, Y2; \
	VPAND Y2, Y3, Y3; \
	VPCMPEQD Y2, Y3, Y0

// PROBE: from the low and the high halves of 8 grams in Y0 and Y1, a byte at DI.
#define PROBE \
	VPOR Y9, Y0, Y0; \
	VPOR Y9, Y1, Y1; \
	VPAND Y7, Y0, Y0; \
	VPAND Y10, Y1, Y1; \
	VPMULLD Y15, Y0, Y0; \
	VPMULLD Y14, Y1, Y1; \
	VPADDD Y6, Y0, Y0; \
	VPADDD Y0, Y1, Y0; \
	PASS; \
	VMOVMSKPS Y0, AX; \
	MOVB AX, (DI)

// PROBELOW: PROBE of grams of 4 bytes and less, whose low halves are in Y0.
#define PROBELOW \
	VPOR Y9, Y0, Y0; \
	VPAND Y7, Y0, Y0; \
	VPMULLD Y15, Y0, Y0; \
	VPADDD Y6, Y0, Y0; \
	PASS; \
	VMOVMSKPS Y0, AX; \
	MOVB AX, (DI)

#define START \
	MOVQ p+0(FP), SI; \
	MOVQ groups+8(FP), CX; \
	MOVQ filter+16(FP), R8; \
	MOVQ v+24(FP), R9; \
	MOVQ out+32(FP), DI; \
	VMOVDQU A(R9), Y15; \
	VMOVDQU B(R9), Y14; \
	VMOVDQU C(R9), Y13; \
	VMOVDQU ONES(R9), Y12; \
	VMOVDQU FIVE(R9), Y11; \
	VMOVDQU HIGH(R9), Y10; \
	VMOVDQU OR(R9), Y9; \
	VMOVDQU LOW(R9), Y7; \
	VMOVDQU SALT(R9), Y6; \
	VMOVDQU ORDER(R9), Y5; \
	VMOVQ SHIFT(R9), X8

#define NEXT(bytes) \
	ADDQ $bytes, SI; \
	INCQ DI; \
	DECQ CX; \
	JNZ loop; \
	VZEROUPPER; \
	RET

// func probe1(p *byte, groups int, filter *uint32, v *vectors, out *byte)
TEXT ·probe1(SB), NOSPLIT, $0-40
	START
loop:
	VMOVDQU (SI), X0
	VMOVDQU 4(SI), X1
	VINSERTI128 $1, 4(SI), Y0, Y0
	VINSERTI128 $1, 8(SI), Y1, Y1
	VPSHUFB Y5, Y0, Y0
	VPSHUFB Y5, Y1, Y1
	PROBE
	NEXT(8)

// func fits(p *byte, places *uint32, n int, checks *fit, count int, out *byte)
TEXT ·fits(SB), NOSPLIT, $0-48
	MOVQ p+0(FP), SI
	MOVQ places+8(FP), BX
	MOVQ n+16(FP), CX
	MOVQ checks+24(FP), R8
	MOVQ count+32(FP), R9
	MOVQ out+40(FP), DI
place:
	MOVL (BX), R11
	VPBROADCASTD (SI)(R11*1), Y0
	VPXOR Y1, Y1, Y1
	MOVQ R8, R10
	MOVQ R9, R12
next:
	VPAND 32(R10), Y0, Y2
	VPCMPEQD (R10), Y2, Y2
	VPOR Y2, Y1, Y1
	ADDQ $64, R10
	DECQ R12
	JNZ next
	VMOVMSKPS Y1, AX
	MOVB AX, (DI)
	ADDQ $4, BX
	INCQ DI
	DECQ CX
	JNZ place
	VZEROUPPER
	RET

// func xorNext(dst, src *byte, n int)
TEXT ·xorNext(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
next:
	VMOVDQU (SI), Y0
	VPXOR 1(SI), Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $32, CX
	JNZ next
	VZEROUPPER
	RET

// func probe2(p *byte, groups int, filter *uint32, v *vectors, out *byte)
TEXT ·probe2(SB), NOSPLIT, $0-40
	START
loop:
	VMOVDQU (SI), X0
	VMOVDQU 4(SI), X1
	VINSERTI128 $1, 8(SI), Y0, Y0
	VINSERTI128 $1, 12(SI), Y1, Y1
	VPSHUFB Y5, Y0, Y0
	VPSHUFB Y5, Y1, Y1
	PROBE
	NEXT(16)

// func probe1low(p *byte, groups int, filter *uint32, v *vectors, out *byte)
TEXT ·probe1low(SB), NOSPLIT, $0-40
	START
loop:
	VMOVDQU (SI), X0
	VINSERTI128 $1, 4(SI), Y0, Y0
	VPSHUFB Y5, Y0, Y0
	PROBELOW
	NEXT(8)

// func probe2low(p *byte, groups int, filter *uint32, v *vectors, out *byte)
TEXT ·probe2low(SB), NOSPLIT, $0-40
	START
loop:
	VMOVDQU (SI), X0
	VINSERTI128 $1, 8(SI), Y0, Y0
	VPSHUFB Y5, Y0, Y0
	PROBELOW
	NEXT(16)

// func probe4low(p *byte, groups int, filter *uint32, v *vectors, out *byte)
TEXT ·probe4low(SB), NOSPLIT, $0-40
	START
loop:
	VMOVDQU (SI), Y0
	PROBELOW
	NEXT(32)

// func probe4(p *byte, groups int, filter *uint32, v *vectors, out *byte)
TEXT ·probe4(SB), NOSPLIT, $0-40
	START
loop:
	VMOVDQU (SI), Y0
	VMOVDQU 4(SI), Y1
	PROBE
	NEXT(32)

// func probe8(p *byte, groups int, filter *uint32, v *vectors, out *byte)
TEXT ·probe8(SB), NOSPLIT, $0-40
	START
loop:
	VMOVDQU (SI), X2
	VMOVDQU 16(SI), X3
	VINSERTI128 $1, 32(SI), Y2, Y2
	VINSERTI128 $1, 48(SI), Y3, Y3
	VSHUFPS $0x88, Y3, Y2, Y0
	VSHUFPS $0xDD, Y3, Y2, Y1
	PROBE
	NEXT(64)

// func probe16(p *byte, groups int, filter *uint32, v *vectors, out *byte)
TEXT ·probe16(SB), NOSPLIT, $0-40
	START
loop:
	VMOVQ (SI), X2
	VMOVQ 32(SI), X3
	VMOVQ 64(SI), X0
	VMOVQ 96(SI), X1
	VMOVHPS 16(SI), X2, X2
	VMOVHPS 48(SI), X3, X3
	VMOVHPS 80(SI), X0, X0
	VMOVHPS 112(SI), X1, X1
	VINSERTI128 $1, X0, Y2, Y2
	VINSERTI128 $1, X1, Y3, Y3
	VSHUFPS $0x88, Y3, Y2, Y0
	VSHUFPS $0xDD, Y3, Y2, Y1
	PROBE
	NEXT(128)

// func look(p *byte, places *uint32, n int, windows *uint32, v *vectors, first, last int, out *byte)
TEXT ·look(SB), NOSPLIT, $0-64
	MOVQ p+0(FP), SI
	MOVQ places+8(FP), BX
	MOVQ n+16(FP), CX
	MOVQ windows+24(FP), R8
	MOVQ v+32(FP), R9
	ADDQ first+40(FP), SI
	MOVQ last+48(FP), R10
	MOVQ out+56(FP), DI
	VMOVDQU A(R9), Y15
	VMOVDQU B(R9), Y14
	VMOVDQU C(R9), Y13
	VMOVDQU ONES(R9), Y12
	VMOVDQU FIVE(R9), Y11
	VMOVDQU D(R9), Y10
	VMOVDQU E(R9), Y9
	VMOVQ WSHIFT(R9), X8
	VMOVDQU WINDOW(R9), Y7
	VMOVDQU OR(R9), Y6
	VMOVDQU BACK(R9), Y5
loop:
	MOVL (BX), R11
	ADDQ SI, R11
	VMOVDQU (R11), X0
	VMOVDQU 4(R11), X1
	VINSERTI128 $1, 4(R11), Y0, Y0
	VINSERTI128 $1, 8(R11), Y1, Y1
	ADDQ R10, R11
	VMOVDQU (R11), X2
	VMOVDQU 4(R11), X3
	VINSERTI128 $1, 4(R11), Y2, Y2
	VINSERTI128 $1, 8(R11), Y3, Y3
	VPSHUFB Y7, Y0, Y0
	VPSHUFB Y7, Y1, Y1
	VPSHUFB Y7, Y2, Y2
	VPSHUFB Y7, Y3, Y3
	VPOR Y6, Y0, Y0
	VPOR Y6, Y1, Y1
	VPOR Y6, Y2, Y2
	VPOR Y6, Y3, Y3
	VPAND FRONT0(R9), Y0, Y0
	VPAND FRONT1(R9), Y1, Y1
	VPAND Y5, Y2, Y2
	VPAND Y5, Y3, Y3
	VPMULLD Y15, Y0, Y0
	VPMULLD Y14, Y1, Y1
	VPMULLD Y10, Y2, Y2
	VPMULLD Y9, Y3, Y3
	VPADDD Y0, Y1, Y0
	VPADDD Y2, Y3, Y2
	VPADDD Y0, Y2, Y0
	PASS
	VMOVMSKPS Y0, AX
	MOVB AX, (DI)
	ADDQ $4, BX
	INCQ DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// HALVES: of 32 bytes at off(SI), the low halves in Y8 and the high in Y9.
#define HALVES(off) \
	VMOVDQU off(SI), Y8; \
	VPSRLW $4, Y8, Y9; \
	VPAND Y15, Y8, Y8; \
	VPAND Y15, Y9, Y9

// NIBBLES: Y15 is 15 in every byte, Y14 zero.
#define NIBBLES \
	MOVL $0x0f0f0f0f, AX; \
	VMOVD AX, X15; \
	VPBROADCASTD X15, Y15; \
	VPXOR Y14, Y14, Y14

// EMIT: the places whose buckets in Y10 are not zero, to DI.
#define EMIT \
	VPCMPEQB Y10, Y14, Y10; \
	VPMOVMSKB Y10, AX; \
	NOTL AX; \
	MOVL AX, (DI); \
	ADDQ $32, SI; \
	ADDQ $4, DI; \
	DECQ CX; \
	JNZ loop; \
	VZEROUPPER; \
	RET

// func short(p *byte, groups int, v *shortVectors, out *byte)
TEXT ·short(SB), NOSPLIT, $0-32
	MOVQ p+0(FP), SI
	MOVQ groups+8(FP), CX
	MOVQ v+16(FP), R9
	MOVQ out+24(FP), DI
	VMOVDQU (R9), Y0
	VMOVDQU 32(R9), Y1
	VMOVDQU 64(R9), Y2
	VMOVDQU 96(R9), Y3
	VMOVDQU 128(R9), Y4
	VMOVDQU 160(R9), Y5
	VMOVDQU 192(R9), Y6
	VMOVDQU 224(R9), Y7
	NIBBLES
loop:
	HALVES(0)
	VPSHUFB Y8, Y0, Y10
	VPSHUFB Y9, Y1, Y11
	HALVES(1)
	VPSHUFB Y8, Y2, Y12
	VPSHUFB Y9, Y3, Y13
	VPAND Y10, Y11, Y10
	VPAND Y12, Y13, Y12
	VPAND Y10, Y12, Y10
	HALVES(2)
	VPSHUFB Y8, Y4, Y11
	VPSHUFB Y9, Y5, Y12
	VPAND Y11, Y12, Y11
	HALVES(3)
	VPSHUFB Y8, Y6, Y12
	VPSHUFB Y9, Y7, Y13
	VPAND Y12, Y13, Y12
	VPAND Y11, Y12, Y11
	VPAND Y10, Y11, Y10
	EMIT

// TWICE: ands the buckets of place k, of which the halves are in Y8 and Y9, to
// those in Y10 (the first 8) and Y11.
#define TWICE(k) \
	VMOVDQU (k*64)(R9), Y0; \
	VMOVDQU (k*64+32)(R9), Y1; \
	VMOVDQU (k*64+256)(R9), Y2; \
	VMOVDQU (k*64+288)(R9), Y3; \
	VPSHUFB Y8, Y0, Y0; \
	VPSHUFB Y9, Y1, Y1; \
	VPSHUFB Y8, Y2, Y2; \
	VPSHUFB Y9, Y3, Y3; \
	VPAND Y0, Y10, Y10; \
	VPAND Y2, Y11, Y11; \
	VPAND Y1, Y10, Y10; \
	VPAND Y3, Y11, Y11

// func shortWide(p *byte, groups int, v *shortVectors, out *byte)
TEXT ·shortWide(SB), NOSPLIT, $0-32
	MOVQ p+0(FP), SI
	MOVQ groups+8(FP), CX
	MOVQ v+16(FP), R9
	MOVQ out+24(FP), DI
	NIBBLES
loop:
	VPCMPEQB Y10, Y10, Y10
	VPCMPEQB Y11, Y11, Y11
	HALVES(0)
	TWICE(0)
	HALVES(1)
	TWICE(1)
	HALVES(2)
	TWICE(2)
	HALVES(3)
	TWICE(3)
	VPOR Y10, Y11, Y10
	EMIT
