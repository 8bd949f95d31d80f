// SPDX-License-Identifier: BSD-3-Clause
//
// RC4 for several independent streams at once with table entries of 32 bit, x86-64 with AVX2 and
// BMI1. On some CPUs a store of one octet is far dearer than one of four or eight (Zen 3: 1.8
// cycles beside 1.0); there this is what rc4_lanes.S is elsewhere. docs/performance.md compares.
//
// Tables outside have 256 octets, as in rc4_lanes.S. The functions expand them into a frame of
// their own on the stack, and pack them again when a stream goes on. Two streams are a pair and
// share rows of 8 octets: entry e of the first at 8e, that of the second at 8e + 4. S[i] of both is
// written by one store of 8 octets. The stream without a partner has rows of its own.
//
// Six streams take fifteen registers, and rsp is the base of the frame: nothing lies below it, so a
// signal may come at any time. The caller's rsp is in the frame, and the canonical frame address is
// found there.
//
// System V calling convention, with one thing added: rax is the lowest address of the frame, which
// holds keys and tables on return. Callers hand the lowest of all to pns_rc4_clear_stack().

#define STRIDE 1600  // kStreamStride of kernels.hpp
#define PAIR 2112    // of a frame; pairs must not lie 4,096 apart
#define GAP 256      // left between a frame and the caller: of the stack of who clears, nothing is older

        .intel_syntax noprefix
        .text

#include "dataplane/mppe/assembly.inc"

.macro PUSH_REGISTERS
.irp register, rbx, rbp, r12, r13, r14, r15
        push    \register
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset \register, 0
.endr
.endm

// Slots behind the tables of a frame, from its offset `slots` on.
#define KEYS 0        // 16 octets a stream
#define SAVED 96      // the caller's rsp
#define OUT 104
#define OUT_END 112
#define INDICES 120
#define TABLES 128
#define GOES_ON 136
#define SLOTS 192

// CFA = [rsp + slots + SAVED] + 56: DW_CFA_def_cfa_expression of breg7, deref, plus_uconst.
.macro ENTER_FRAME slots
        PUSH_REGISTERS
        mov     rax, rsp
        .cfi_def_cfa rax, 56
        sub     rsp, \slots + SLOTS + GAP
        and     rsp, -64
        mov     qword ptr [rsp + \slots + SAVED], rax
        .cfi_escape 0x0f, 6, 0x77, ((\slots + SAVED) & 0x7f) | 0x80, (\slots + SAVED) >> 7, 0x06, 0x23, 56
.endm

.macro LEAVE_FRAME slots
        .cfi_remember_state
        mov     rax, rsp
        mov     rsp, qword ptr [rsp + \slots + SAVED]
        .cfi_def_cfa rsp, 56
.irp register, r15, r14, r13, r12, rbp, rbx
        pop     \register
        .cfi_adjust_cfa_offset -8
        .cfi_restore \register
.endr
        ret
        .cfi_restore_state
.endm

// ---- Pairs. A macro for each stream, with the stream's number, an argument, its place in a frame
// and its registers: J is j, T is x and then the entry to look up.

.macro EACH lanes, what, with=none
        \what   0, \with, 0, rbx, bl, r8, r8d, r8b
.if \lanes > 1
        \what   1, \with, 4, rcx, cl, r9, r9d, r9b
.endif
.if \lanes > 2
        \what   2, \with, PAIR, rdx, dl, r10, r10d, r10b
.endif
.if \lanes > 3
        \what   3, \with, PAIR+4, rsi, sil, r11, r11d, r11b
.endif
.if \lanes > 4
        \what   4, \with, 2*PAIR, rdi, dil, r12, r12d, r12b
.endif
.if \lanes > 5
        \what   5, \with, 2*PAIR+4, rbp, bpl, r13, r13d, r13b
.endif
.endm

// The exchange of S[i] and S[j] for all streams. r14: row of i, without `at`. sum: 1 leaves the entry
// to look up in T, which a set-up has no use for.
.macro SWAP_ALL lanes, at, sum
.if \lanes == 2
        SWAP_BESIDE 0, \at, \sum, rbx, r8d, r8b, rcx, r9d, r9b
.else
        SWAP_PAIR 0, \at, \sum, rbx, r8d, r8b, rcx, r9d, r9b
.if \lanes == 3
        SWAP    PAIR, \at, \sum, rdx, r10d, r10b
.else
        SWAP_PAIR PAIR, \at, \sum, rdx, r10d, r10b, rsi, r11d, r11b
.endif
.if \lanes == 5
        SWAP    2*PAIR, \at, \sum, rdi, r12d, r12b
.elseif \lanes == 6
        SWAP_PAIR 2*PAIR, \at, \sum, rdi, r12d, r12b, rbp, r13d, r13b
.endif
.endif
.endm

.macro SWAP place, at, sum, J, Td, Tb
        mov     eax, dword ptr [rsp + 8 * \J + \place]
        mov     dword ptr [rsp + 8 * \J + \place], \Td
        mov     dword ptr [r14 + \at + \place], eax
.if \sum
        add     \Tb, al
.endif
.endm

.macro SWAP_BOTH place, sum, Ja, Tad, Tab, Jb, Tbd, Tbb
        mov     eax, dword ptr [rsp + 8 * \Ja + \place]
        mov     dword ptr [rsp + 8 * \Ja + \place], \Tad
        mov     r15d, dword ptr [rsp + 8 * \Jb + \place + 4]
        mov     dword ptr [rsp + 8 * \Jb + \place + 4], \Tbd
.if \sum
        add     \Tab, al
        add     \Tbb, r15b
.endif
.endm

// Two streams wait for the shift and the union: two stores then, next to each other.
.macro SWAP_BESIDE place, at, sum, Ja, Tad, Tab, Jb, Tbd, Tbb
        SWAP_BOTH \place, \sum, \Ja, \Tad, \Tab, \Jb, \Tbd, \Tbb
        mov     dword ptr [r14 + \at + \place], eax
        mov     dword ptr [r14 + \at + \place + 4], r15d
.endm

.macro SWAP_PAIR place, at, sum, Ja, Tad, Tab, Jb, Tbd, Tbb
        SWAP_BOTH \place, \sum, \Ja, \Tad, \Tab, \Jb, \Tbd, \Tbb
        shl     r15, 32
        or      r15, rax
        mov     qword ptr [r14 + \at + \place], r15
.endm

// Tables of 256 octets at rdi to pairs. Uses rax and vectors.
.macro EXPAND_PAIR pair, lanes
        vmovdqa xmm1, xmmword ptr [rdi + rax + 512 * \pair]
.if \lanes == 2 * \pair + 1
        vpxor   xmm0, xmm0, xmm0
        vpunpckhbw xmm2, xmm1, xmm0
        vpunpcklbw xmm1, xmm1, xmm0
.else
        vpunpckhbw xmm2, xmm1, xmmword ptr [rdi + rax + 512 * \pair + 256]
        vpunpcklbw xmm1, xmm1, xmmword ptr [rdi + rax + 512 * \pair + 256]
.endif
        vpmovzxbd ymm3, xmm1
        vpsrldq xmm1, xmm1, 8
        vpmovzxbd ymm4, xmm2
        vpsrldq xmm2, xmm2, 8
        vpmovzxbd ymm1, xmm1
        vpmovzxbd ymm2, xmm2
        vmovdqa ymmword ptr [rsp + 8 * rax + PAIR * \pair], ymm3
        vmovdqa ymmword ptr [rsp + 8 * rax + PAIR * \pair + 32], ymm1
        vmovdqa ymmword ptr [rsp + 8 * rax + PAIR * \pair + 64], ymm4
        vmovdqa ymmword ptr [rsp + 8 * rax + PAIR * \pair + 96], ymm2
.endm

.macro EXPAND lanes
        xor     eax, eax
        .balign 16
8:
        EXPAND_PAIR 0, \lanes
.if \lanes > 2
        EXPAND_PAIR 1, \lanes
.endif
.if \lanes > 4
        EXPAND_PAIR 2, \lanes
.endif
        add     eax, 16
        cmp     eax, 256
        jne     8b
        vzeroupper
.endm

// Back again. Uses rax, rdi and vectors, and leaves the vectors empty.
.macro PACK_PAIR pair, lanes
        vmovdqa ymm0, ymmword ptr [rsp + 8 * rax + PAIR * \pair]
        vmovdqa ymm1, ymmword ptr [rsp + 8 * rax + PAIR * \pair + 64]
        vpackusdw ymm0, ymm0, ymmword ptr [rsp + 8 * rax + PAIR * \pair + 32]
        vpackusdw ymm1, ymm1, ymmword ptr [rsp + 8 * rax + PAIR * \pair + 96]
        vpackuswb ymm0, ymm0, ymm1
        vpermd  ymm0, ymm6, ymm0
        vpshufb ymm0, ymm0, ymm7
        vpermq  ymm0, ymm0, 0xd8
        vmovdqa xmmword ptr [rdi + rax + 512 * \pair], xmm0
.if \lanes != 2 * \pair + 1
        vextracti128 xmmword ptr [rdi + rax + 512 * \pair + 256], ymm0, 1
.endif
.endm

.macro PACK lanes, slots
        mov     rdi, qword ptr [rsp + \slots + TABLES]
        vmovdqa ymm6, ymmword ptr [rip + quarters]
        vmovdqa ymm7, ymmword ptr [rip + apart]
        xor     eax, eax
        .balign 16
9:
        PACK_PAIR 0, \lanes
.if \lanes > 2
        PACK_PAIR 1, \lanes
.endif
.if \lanes > 4
        PACK_PAIR 2, \lanes
.endif
        add     eax, 16
        cmp     eax, 256
        jne     9b
.endm

.macro NO_J lane, none, place, J, Jb, T, Td, Tb
        xor     \J, \J
.endm

// ---- Key set-up, as in rc4_lanes.S.
// std::uintptr_t pns_rc4_words_set_keys_N(std::uint8_t* tables, const std::byte* keys)
// r14: row of i · J: rbx rcx rdx rsi rdi rbp · T: r8 to r13 · rax r15: of use for the moment

.macro COPY_KEY lane, slots, place, J, Jb, T, Td, Tb
        vmovdqu xmm2, xmmword ptr [rsi + 16 * \lane]
        vmovdqa xmmword ptr [rsp + \slots + KEYS + 16 * \lane], xmm2
.endm

.macro KEY_X lane, n, place, J, Jb, T, Td, Tb
        mov     \Td, dword ptr [r14 + 8 * \n + \place]
        add     \Jb, byte ptr [rsp + slots + KEYS + 16 * \lane + \n]
        add     \Jb, \Tb
.endm

.macro STORE_IDENTITY lanes, at
        vmovdqa ymmword ptr [rax + \at], ymm0
.if \lanes > 2
        vmovdqa ymmword ptr [rax + PAIR + \at], ymm0
.endif
.if \lanes > 4
        vmovdqa ymmword ptr [rax + 2*PAIR + \at], ymm0
.endif
        vpaddd  ymm0, ymm0, ymm1
.endm

.macro KEY_SET_UP lanes
        .set    slots, PAIR * ((\lanes + 1) / 2)
        mov     qword ptr [rsp + slots + TABLES], rdi
        mov     qword ptr [rsp + slots + OUT], rsi
        EACH    \lanes, COPY_KEY, slots
        vmovdqa ymm0, ymmword ptr [rip + first_rows]
        vmovdqa ymm1, ymmword ptr [rip + four_on]
        mov     rax, rsp
        lea     r14, [rsp + 2048]
7:
        STORE_IDENTITY \lanes, 0
        STORE_IDENTITY \lanes, 32
        STORE_IDENTITY \lanes, 64
        STORE_IDENTITY \lanes, 96
        add     rax, 128
        cmp     rax, r14
        jne     7b
        vzeroupper
        EACH    \lanes, NO_J
        mov     r14, rsp
        .balign 32
1:
.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        EACH    \lanes, KEY_X, \n
        SWAP_ALL \lanes, 8*\n, 0
.endr
        add     r14, 128
        lea     rax, [rsp + 2048]
        cmp     r14, rax
        jne     1b
.endm

.macro SET_KEYS lanes
        .set    slots, PAIR * ((\lanes + 1) / 2)
BEGIN pns_rc4_words_set_keys_\lanes
        ENTER_FRAME slots
        KEY_SET_UP \lanes
        PACK    \lanes, slots
        vzeroall
        LEAVE_FRAME slots
END pns_rc4_words_set_keys_\lanes
.endm

        SET_KEYS 2
        SET_KEYS 3
        SET_KEYS 4
        SET_KEYS 5
        SET_KEYS 6

// ---- Key streams that began together: one i for all.
// std::uintptr_t pns_rc4_words_generate_N(std::uint8_t* tables, std::uint8_t* j, std::byte* out,
//                                         std::size_t blocks, std::size_t i, bool goes_on)
// As in rc4_lanes.S; without goes_on the tables are worth nothing afterwards.

.macro LOOK_UP lane, k, place, J, Jb, T, Td, Tb
        vpinsrb xmm\lane, xmm\lane, byte ptr [rsp + 8 * \T + \place], \k
.endm

.macro STEP_X lane, k, place, J, Jb, T, Td, Tb
.if \k > 0
        LOOK_UP \lane, \k-1, \place, \J, \Jb, \T, \Td, \Tb
.endif
        mov     \Td, dword ptr [r14 + at + \place]
        add     \Jb, \Tb
.endm

.macro OUTPUT lane, out, place, J, Jb, T, Td, Tb
        LOOK_UP \lane, 15, \place, \J, \Jb, \T, \Td, \Tb
        vmovdqu xmmword ptr [\out + STRIDE * \lane], xmm\lane
.endm

.macro LOAD_J lane, none, place, J, Jb, T, Td, Tb
        movzx   \J, byte ptr [rax + \lane]
.endm

.macro STORE_J lane, none, place, J, Jb, T, Td, Tb
        mov     byte ptr [rax + \lane], \Jb
.endm

.macro GENERATE lanes
        .set    slots, PAIR * ((\lanes + 1) / 2)
BEGIN pns_rc4_words_generate_\lanes
        ENTER_FRAME slots
        mov     qword ptr [rsp + slots + TABLES], rdi
        mov     qword ptr [rsp + slots + INDICES], rsi
        mov     qword ptr [rsp + slots + OUT], rdx
        shl     rcx, 4
        add     rcx, rdx
        mov     qword ptr [rsp + slots + OUT_END], rcx
        mov     byte ptr [rsp + slots + GOES_ON], r9b
        EXPAND  \lanes
        movzx   r8d, r8b
        lea     r14, [rsp + 8 * r8]
        mov     rax, qword ptr [rsp + slots + INDICES]
        EACH    \lanes, LOAD_J
        .balign 32
1:
.irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
        .set    at, 8 * (\k + 1)
        EACH    \lanes, STEP_X, \k
        SWAP_ALL \lanes, at, 1
.endr
        sub     r14, rsp
        add     r14d, 128
        and     r14d, 2047
        add     r14, rsp
        .set    at, 0
        EACH    \lanes, STEP_X, 15
        SWAP_ALL \lanes, at, 1
        mov     rax, qword ptr [rsp + slots + OUT]
        EACH    \lanes, OUTPUT, rax
        add     rax, 16
        mov     qword ptr [rsp + slots + OUT], rax
        cmp     rax, qword ptr [rsp + slots + OUT_END]
        jb      1b
        mov     rax, qword ptr [rsp + slots + INDICES]
        EACH    \lanes, STORE_J
        cmp     byte ptr [rsp + slots + GOES_ON], 0
        je      2f
        PACK    \lanes, slots
2:
        vzeroall
        LEAVE_FRAME slots
END pns_rc4_words_generate_\lanes
.endm

        GENERATE 2
        GENERATE 3
        GENERATE 4
        GENERATE 5
        GENERATE 6

// ---- Key set-up, and the first 16 octets of each stream over its key. No table is given back.
// std::uintptr_t pns_rc4_words_change_keys_N(std::uint8_t* tables, std::byte* keys)

.macro OVER_KEY lane, slots, place, J, Jb, T, Td, Tb
        LOOK_UP \lane, 15, \place, \J, \Jb, \T, \Td, \Tb
        vpxor   xmm\lane, xmm\lane, xmmword ptr [rsp + \slots + KEYS + 16 * \lane]
        vmovdqu xmmword ptr [rax + 16 * \lane], xmm\lane
.endm

.macro CHANGE_KEYS lanes
        .set    slots, PAIR * ((\lanes + 1) / 2)
BEGIN pns_rc4_words_change_keys_\lanes
        ENTER_FRAME slots
        KEY_SET_UP \lanes
        mov     r14, rsp
        EACH    \lanes, NO_J
.irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        .set    at, 8 * (\k + 1)
        EACH    \lanes, STEP_X, \k
        SWAP_ALL \lanes, at, 1
.endr
        mov     rax, qword ptr [rsp + slots + OUT]
        EACH    \lanes, OVER_KEY, slots
        vzeroall
        LEAVE_FRAME slots
END pns_rc4_words_change_keys_\lanes
.endm

        CHANGE_KEYS 2
        CHANGE_KEYS 3
        CHANGE_KEYS 4
        CHANGE_KEYS 5
        CHANGE_KEYS 6

// ---- One stream alone. What it waits for is its own next x: they are loaded ahead of the stores
// that could change them, and loaded again when one did, once in 128 steps. That branch depends on
// the key, as every look-up of RC4 does.
// Table: entry e at 4e; four words behind it may be read, and are not used.
// rbx: j · r8 to r11: the next x · r12: i of the block · r14: its entry · r15: that of the next block

#define LONE_TABLE 1088

.macro LONE_EXPAND
        xor     eax, eax
        .balign 16
8:
.irp at, 0, 8, 16, 24
        vpmovzxbd ymm0, qword ptr [rdi + rax + \at]
        vmovdqa ymmword ptr [rsp + 4 * rax + 4 * \at], ymm0
.endr
        add     eax, 32
        cmp     eax, 256
        jne     8b
        vzeroupper
.endm

.macro PACK_TABLE place, to
        vmovdqa ymm0, ymmword ptr [rsp + 4 * rax + \place]
        vmovdqa ymm1, ymmword ptr [rsp + 4 * rax + \place + 64]
        vpackusdw ymm0, ymm0, ymmword ptr [rsp + 4 * rax + \place + 32]
        vpackusdw ymm1, ymm1, ymmword ptr [rsp + 4 * rax + \place + 96]
        vpackuswb ymm0, ymm0, ymm1
        vpermd  ymm0, ymm6, ymm0
        vmovdqa ymmword ptr [rdi + rax + \to], ymm0
.endm

.macro LONE_PACK
        mov     rdi, qword ptr [rsp + LONE_TABLE + TABLES]
        vmovdqa ymm6, ymmword ptr [rip + quarters]
        xor     eax, eax
9:
        PACK_TABLE 0, 0
        add     eax, 32
        cmp     eax, 256
        jne     9b
.endm

// A macro for each of 16 steps, with the name of the function, the number of the step, its x and the
// next three.
.macro LONE_KEY_EACH what, name
        \what   \name, 0, r8d, r8b, r9d, r10d, r11d
        \what   \name, 1, r9d, r9b, r10d, r11d, r8d
        \what   \name, 2, r10d, r10b, r11d, r8d, r9d
        \what   \name, 3, r11d, r11b, r8d, r9d, r10d
        \what   \name, 4, r8d, r8b, r9d, r10d, r11d
        \what   \name, 5, r9d, r9b, r10d, r11d, r8d
        \what   \name, 6, r10d, r10b, r11d, r8d, r9d
        \what   \name, 7, r11d, r11b, r8d, r9d, r10d
        \what   \name, 8, r8d, r8b, r9d, r10d, r11d
        \what   \name, 9, r9d, r9b, r10d, r11d, r8d
        \what   \name, 10, r10d, r10b, r11d, r8d, r9d
        \what   \name, 11, r11d, r11b, r8d, r9d, r10d
        \what   \name, 12, r8d, r8b, r9d, r10d, r11d
        \what   \name, 13, r9d, r9b, r10d, r11d, r8d
        \what   \name, 14, r10d, r10b, r11d, r8d, r9d
        \what   \name, 15, r11d, r11b, r8d, r9d, r10d
.endm

// Four ahead. The load hangs on j by an addend that is always 0: it cannot go ahead of a store that
// it would have to wait for, and with four in hand waiting costs nothing.
.macro LONE_KEY_STEP name, n, X, Xb, next1, next2, next3
        add     bl, byte ptr [rsp + LONE_TABLE + KEYS + \n]
        add     bl, \Xb
        mov     ecx, dword ptr [rsp + 4 * rbx]
        mov     dword ptr [rsp + 4 * rbx], \X
        mov     dword ptr [r14 + 4 * \n], ecx
        andn    ecx, ebx, r13d
        mov     \X, dword ptr [r14 + rcx + 4 * \n + 16]
        lea     ecx, [rbx - \n - 1]
        sub     cl, r12b
        cmp     cl, 3
        jb      .Lkey_fix_\name\()_\n
.Lkey_on_\name\()_\n:
.endm

.macro LONE_KEY_FIX name, n, X, Xb, next1, next2, next3
.Lkey_fix_\name\()_\n:
        mov     \next1, dword ptr [r14 + 4 * \n + 4]
        mov     \next2, dword ptr [r14 + 4 * \n + 8]
        mov     \next3, dword ptr [r14 + 4 * \n + 12]
        jmp     .Lkey_on_\name\()_\n
.endm

.macro LONE_KEY_SET_UP name
        mov     qword ptr [rsp + LONE_TABLE + TABLES], rdi
        mov     qword ptr [rsp + LONE_TABLE + OUT], rsi
        vmovdqu xmm0, xmmword ptr [rsi]
        vmovdqa xmmword ptr [rsp + LONE_TABLE + KEYS], xmm0
        vmovdqa ymm0, ymmword ptr [rip + first_words]
        vmovdqa ymm1, ymmword ptr [rip + eight_on]
        mov     rax, rsp
        lea     r14, [rsp + 1024]
7:
.irp at, 0, 32, 64, 96
        vmovdqa ymmword ptr [rax + \at], ymm0
        vpaddd  ymm0, ymm0, ymm1
.endr
        add     rax, 128
        cmp     rax, r14
        jne     7b
        vzeroupper
        xor     ebx, ebx
        xor     r12d, r12d
        xor     r13d, r13d
        mov     r14, rsp
        xor     r8d, r8d
        mov     r9d, 1
        mov     r10d, 2
        mov     r11d, 3
        .balign 32
1:
        LONE_KEY_EACH LONE_KEY_STEP, \name
        add     r14, 64
        add     r12b, 16
        jnz     1b
.endm

// Two ahead. xmm0: the key stream.
.macro LONE_EACH what, name
        \what   \name, 0, r8d, r8b, r9d
        \what   \name, 1, r9d, r9b, r8d
        \what   \name, 2, r8d, r8b, r9d
        \what   \name, 3, r9d, r9b, r8d
        \what   \name, 4, r8d, r8b, r9d
        \what   \name, 5, r9d, r9b, r8d
        \what   \name, 6, r8d, r8b, r9d
        \what   \name, 7, r9d, r9b, r8d
        \what   \name, 8, r8d, r8b, r9d
        \what   \name, 9, r9d, r9b, r8d
        \what   \name, 10, r8d, r8b, r9d
        \what   \name, 11, r9d, r9b, r8d
        \what   \name, 12, r8d, r8b, r9d
        \what   \name, 13, r9d, r9b, r8d
        \what   \name, 14, r8d, r8b, r9d
        \what   \name, 15, r9d, r9b, r8d
.endm

// The entry `at` behind the one that the block begins after.
.macro LONE_LOAD X, at
.if (\at) < 16
        mov     \X, dword ptr [r14 + 4 * (\at)]
.else
        mov     \X, dword ptr [r15 + 4 * (\at) - 64]
.endif
.endm

.macro LONE_STEP name, k, X, Xb, next
        add     bl, \Xb
        mov     eax, \X
        LONE_LOAD \X, \k+3
        mov     edx, dword ptr [rsp + 4 * rbx]
        mov     dword ptr [rsp + 4 * rbx], eax
.if \k < 15
        mov     dword ptr [r14 + 4 * \k + 4], edx
.else
        mov     dword ptr [r15], edx
.endif
        add     dl, al
        lea     ecx, [rbx - \k - 2]
        sub     cl, r12b
        cmp     cl, 2
        jb      .Lfix_\name\()_\k
.Lon_\name\()_\k:
        vpinsrb xmm0, xmm0, byte ptr [rsp + 4 * rdx], \k
.endm

.macro LONE_FIX name, k, X, Xb, next
.Lfix_\name\()_\k:
        LONE_LOAD \next, \k+2
        LONE_LOAD \X, \k+3
        jmp     .Lon_\name\()_\k
.endm

BEGIN pns_rc4_words_set_keys_1
        ENTER_FRAME LONE_TABLE
        LONE_KEY_SET_UP set_keys
        LONE_PACK
        vzeroall
        LEAVE_FRAME LONE_TABLE
        LONE_KEY_EACH LONE_KEY_FIX, set_keys
END pns_rc4_words_set_keys_1

BEGIN pns_rc4_words_change_keys_1
        ENTER_FRAME LONE_TABLE
        LONE_KEY_SET_UP change_keys
        xor     ebx, ebx
        mov     r14, rsp
        lea     r15, [rsp + 64]
        mov     r8d, dword ptr [r14 + 4]
        mov     r9d, dword ptr [r14 + 8]
        LONE_EACH LONE_STEP, change_keys
        mov     rax, qword ptr [rsp + LONE_TABLE + OUT]
        vpxor   xmm0, xmm0, xmmword ptr [rsp + LONE_TABLE + KEYS]
        vmovdqu xmmword ptr [rax], xmm0
        vzeroall
        LEAVE_FRAME LONE_TABLE
        LONE_KEY_EACH LONE_KEY_FIX, change_keys
        LONE_EACH LONE_FIX, change_keys
END pns_rc4_words_change_keys_1

BEGIN pns_rc4_words_generate_1
        ENTER_FRAME LONE_TABLE
        mov     qword ptr [rsp + LONE_TABLE + TABLES], rdi
        mov     qword ptr [rsp + LONE_TABLE + INDICES], rsi
        mov     byte ptr [rsp + LONE_TABLE + GOES_ON], r9b
        LONE_EXPAND
        movzx   ebx, byte ptr [rsi]
        movzx   r12d, r8b
        lea     r14, [rsp + 4 * r12]
        lea     r15d, [4 * r12 + 64]
        and     r15d, 1023
        add     r15, rsp
        mov     rdi, rdx
        shl     rcx, 4
        lea     rsi, [rdx + rcx]
        mov     r8d, dword ptr [r14 + 4]
        mov     r9d, dword ptr [r14 + 8]
        .balign 32
1:
        LONE_EACH LONE_STEP, generate
        vmovdqu xmmword ptr [rdi], xmm0
        add     rdi, 16
        add     r12b, 16
        mov     r14, r15
        lea     r15d, [4 * r12 + 64]
        and     r15d, 1023
        add     r15, rsp
        cmp     rdi, rsi
        jb      1b
        mov     rax, qword ptr [rsp + LONE_TABLE + INDICES]
        mov     byte ptr [rax], bl
        cmp     byte ptr [rsp + LONE_TABLE + GOES_ON], 0
        je      2f
        LONE_PACK
2:
        vzeroall
        LEAVE_FRAME LONE_TABLE
        LONE_EACH LONE_FIX, generate
END pns_rc4_words_generate_1

// ---- Key streams that go on from where they are: an i for each.
// std::uintptr_t pns_rc4_words_go_on_N(std::uint8_t* tables, std::uint8_t* ij, std::byte* out,
//                                      std::size_t octets)
// As in rc4_lanes.S. First the one stream, as above but with i in r12 and i + 2 in r13.
// rdi: out · rbp: octets left

.macro LONE_OWN_STEP name, k, X, Xb, next
        add     bl, \Xb
        mov     eax, \X
        inc     r13b
        mov     \X, dword ptr [rsp + 4 * r13]
        mov     edx, dword ptr [rsp + 4 * rbx]
        mov     dword ptr [rsp + 4 * rbx], eax
        inc     r12b
        mov     dword ptr [rsp + 4 * r12], edx
        add     dl, al
        mov     ecx, r13d
        sub     cl, bl
        cmp     cl, 2
        jb      .Lfix_\name\()_\k
.Lon_\name\()_\k:
.endm

.macro LONE_OWN_FIX name, k, X, Xb, next
.Lfix_\name\()_\k:
        lea     ecx, [r12 + 1]
        movzx   ecx, cl
        mov     \next, dword ptr [rsp + 4 * rcx]
        mov     \X, dword ptr [rsp + 4 * r13]
        jmp     .Lon_\name\()_\k
.endm

.macro LONE_OWN_OCTET name, k, X, Xb, next
        LONE_OWN_STEP \name, \k, \X, \Xb, \next
        vpinsrb xmm0, xmm0, byte ptr [rsp + 4 * rdx], \k
.endm

BEGIN pns_rc4_words_go_on_1
        ENTER_FRAME LONE_TABLE
        mov     qword ptr [rsp + LONE_TABLE + TABLES], rdi
        mov     qword ptr [rsp + LONE_TABLE + INDICES], rsi
        LONE_EXPAND
        movzx   r12d, byte ptr [rsi]
        movzx   ebx, byte ptr [rsi + 4]
        mov     rdi, rdx
        mov     rbp, rcx
        lea     ecx, [r12 + 1]
        movzx   ecx, cl
        mov     r8d, dword ptr [rsp + 4 * rcx]
        lea     r13d, [r12 + 2]
        movzx   r13d, r13b
        mov     r9d, dword ptr [rsp + 4 * r13]
        sub     rbp, 16
        jb      2f
        .balign 32
1:
        LONE_EACH LONE_OWN_OCTET, go_on
        vmovdqu xmmword ptr [rdi], xmm0
        add     rdi, 16
        sub     rbp, 16
        jae     1b
2:
        add     rbp, 16
        jz      4f
3:
        LONE_OWN_STEP go_on_rest, 0, r8d, r8b, r9d
        movzx   eax, byte ptr [rsp + 4 * rdx]
        mov     byte ptr [rdi], al
        xchg    r8d, r9d
        inc     rdi
        dec     rbp
        jnz     3b
4:
        mov     rax, qword ptr [rsp + LONE_TABLE + INDICES]
        mov     byte ptr [rax], r12b
        mov     byte ptr [rax + 4], bl
        LONE_PACK
        vzeroall
        LEAVE_FRAME LONE_TABLE
        LONE_EACH LONE_OWN_FIX, go_on
        LONE_OWN_FIX go_on_rest, 0, r8d, r8b, r9d
END pns_rc4_words_go_on_1

// Two to four: a table each, with entry e at 4e, as every stream has an i of its own.
// i: r12 to r15 · J: rbx rcx rdx rsi · T: r8 to r11

#define OWN_TABLE 1088

.macro EACH_OWN lanes, what, with=none
        \what   0, \with, 0, r12, r12b, rbx, bl, r8, r8d, r8b
        \what   1, \with, OWN_TABLE, r13, r13b, rcx, cl, r9, r9d, r9b
.if \lanes > 2
        \what   2, \with, 2*OWN_TABLE, r14, r14b, rdx, dl, r10, r10d, r10b
.endif
.if \lanes > 3
        \what   3, \with, 3*OWN_TABLE, r15, r15b, rsi, sil, r11, r11d, r11b
.endif
.endm

.macro OWN_EXPAND lane, none, place, I, Ib, J, Jb, T, Td, Tb
        vpmovzxbd ymm0, qword ptr [rdi + rax + 256 * \lane]
        vpmovzxbd ymm1, qword ptr [rdi + rax + 256 * \lane + 8]
        vmovdqa ymmword ptr [rsp + 4 * rax + \place], ymm0
        vmovdqa ymmword ptr [rsp + 4 * rax + \place + 32], ymm1
.endm

.macro OWN_PACK lane, none, place, I, Ib, J, Jb, T, Td, Tb
        PACK_TABLE \place, 256*\lane
.endm

.macro OWN_LOOK_UP lane, k, place, I, Ib, J, Jb, T, Td, Tb
        vpinsrb xmm\lane, xmm\lane, byte ptr [rsp + 4 * \T + \place], \k
.endm

.macro OWN_STEP lane, k, place, I, Ib, J, Jb, T, Td, Tb
.if \k > 0
        vpinsrb xmm\lane, xmm\lane, byte ptr [rsp + 4 * \T + \place], \k - 1
.endif
        inc     \Ib
        mov     \Td, dword ptr [rsp + 4 * \I + \place]
        add     \Jb, \Tb
        mov     eax, dword ptr [rsp + 4 * \J + \place]
        mov     dword ptr [rsp + 4 * \J + \place], \Td
        mov     dword ptr [rsp + 4 * \I + \place], eax
        add     \Tb, al
.endm

.macro OWN_LAST lane, none, place, I, Ib, J, Jb, T, Td, Tb
        vpinsrb xmm\lane, xmm\lane, byte ptr [rsp + 4 * \T + \place], 15
        vmovdqu xmmword ptr [rdi + STRIDE * \lane], xmm\lane
.endm

.macro OWN_ONE lane, none, place, I, Ib, J, Jb, T, Td, Tb
        movzx   eax, byte ptr [rsp + 4 * \T + \place]
        mov     byte ptr [rdi + STRIDE * \lane], al
.endm

.macro OWN_LOAD lane, none, place, I, Ib, J, Jb, T, Td, Tb
        movzx   \I, byte ptr [rax + \lane]
        movzx   \J, byte ptr [rax + 4 + \lane]
.endm

.macro OWN_STORE lane, none, place, I, Ib, J, Jb, T, Td, Tb
        mov     byte ptr [rax + \lane], \Ib
        mov     byte ptr [rax + 4 + \lane], \Jb
.endm

.macro GO_ON lanes
        .set    slots, OWN_TABLE * \lanes
BEGIN pns_rc4_words_go_on_\lanes
        ENTER_FRAME slots
        mov     qword ptr [rsp + slots + TABLES], rdi
        mov     qword ptr [rsp + slots + INDICES], rsi
        xor     eax, eax
8:
        EACH_OWN \lanes, OWN_EXPAND
        add     eax, 16
        cmp     eax, 256
        jne     8b
        vzeroupper
        mov     rdi, rdx
        mov     rbp, rcx
        mov     rax, rsi
        EACH_OWN \lanes, OWN_LOAD
        sub     rbp, 16
        jb      2f
        .balign 32
1:
.irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        EACH_OWN \lanes, OWN_STEP, \k
.endr
        EACH_OWN \lanes, OWN_LAST
        add     rdi, 16
        sub     rbp, 16
        jae     1b
2:
        add     rbp, 16
        jz      4f
3:
        EACH_OWN \lanes, OWN_STEP, 0
        EACH_OWN \lanes, OWN_ONE
        inc     rdi
        dec     rbp
        jnz     3b
4:
        mov     rax, qword ptr [rsp + slots + INDICES]
        EACH_OWN \lanes, OWN_STORE
        mov     rdi, qword ptr [rsp + slots + TABLES]
        vmovdqa ymm6, ymmword ptr [rip + quarters]
        xor     eax, eax
9:
        EACH_OWN \lanes, OWN_PACK
        add     eax, 32
        cmp     eax, 256
        jne     9b
        vzeroall
        LEAVE_FRAME slots
END pns_rc4_words_go_on_\lanes
.endm

        GO_ON   2
        GO_ON   3
        GO_ON   4

// ---- void pns_rc4_clear_stack(std::uintptr_t low)
// Zeros from `low`, what a function above returned, up to where the stack ends now. It is called
// from where they were, or nearer to main().
BEGIN pns_rc4_clear_stack
        mov     rax, rsp
        .cfi_def_cfa rax, 8
        lea     rdx, [rax - 64]
        cmp     rdi, rdx
        ja      2f
        mov     rsp, rdi
        vpxor   xmm0, xmm0, xmm0
        mov     rcx, rdi
1:
        vmovdqa ymmword ptr [rcx], ymm0
        vmovdqa ymmword ptr [rcx + 32], ymm0
        add     rcx, 64
        cmp     rcx, rdx
        jbe     1b
        vzeroupper
        mov     rsp, rax
2:
        .cfi_def_cfa rsp, 8
        ret
END pns_rc4_clear_stack

        .section .rodata
        .balign 64
first_rows:
        .long   0, 0, 1, 1, 2, 2, 3, 3
four_on:
        .long   4, 4, 4, 4, 4, 4, 4, 4
first_words:
        .long   0, 1, 2, 3, 4, 5, 6, 7
eight_on:
        .long   8, 8, 8, 8, 8, 8, 8, 8
quarters:  // what vpackusdw and vpackuswb leave in halves
        .long   0, 4, 1, 5, 2, 6, 3, 7
apart:  // of each half: the octets of one stream, then those of the other
        .byte   0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15
        .byte   0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15

        .section .note.GNU-stack, "", @progbits
