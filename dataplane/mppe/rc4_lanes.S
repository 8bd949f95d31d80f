// SPDX-License-Identifier: BSD-3-Clause
//
// RC4 for several independent streams at once, x86-64 with AVX. The instructions of one stream wait
// for each other; those of six keep the store port busy, and that is the limit: two stores an octet.
// docs/performance.md says how fast, and what else was tried.
//
// A stream has a table of 256 octets, 256-aligned, and the tables of a group are consecutive. Two
// registers a stream are pointers whose low octet is the index: J = table | j, and T = table | the
// octet to look up. The low octet wraps by itself and no address needs an index register.
// The look-up of a stream waits until just before that stream's next step: its address is then known
// long before, and the load does not wait behind the stores of the other streams.
// i moves by one instruction a step for all streams; a displacement that grows was slower on Zen 5.
//
// System V calling convention; the result is always kCleanStack of kernels.hpp. Nothing of a key is
// left in registers on return but j and octets of the tables, which the callers wipe.

#define STRIDE 1600  // kStreamStride of kernels.hpp

        .intel_syntax noprefix
        .text

.macro ENTER
.irp register, rbx, rbp, r12, r13, r14, r15
        PUSH_8  \register
        .cfi_rel_offset \register, 0
.endr
.endm

.macro LEAVE
.irp register, r15, r14, r13, r12, rbp, rbx
        POP_8   \register
        .cfi_restore \register
.endr
        mov     rax, -1  // kCleanStack
        ret
.endm

.macro PUSH_8 register
        push    \register
        .cfi_adjust_cfa_offset 8
.endm

.macro POP_8 register
        pop     \register
        .cfi_adjust_cfa_offset -8
.endm

#include "dataplane/mppe/assembly.inc"

// ---- A macro for each stream, with the stream's number, an argument and its registers.

.macro EACH lanes, what, with=none
        \what   0, \with, rbx, bl, r8, r8b
.if \lanes > 1
        \what   1, \with, rcx, cl, r9, r9b
.endif
.if \lanes > 2
        \what   2, \with, rdx, dl, r10, r10b
.endif
.if \lanes > 3
        \what   3, \with, rsi, sil, r11, r11b
.endif
.if \lanes > 4
        \what   4, \with, rdi, dil, r12, r12b
.endif
.if \lanes > 5
        \what   5, \with, rbp, bpl, r13, r13b
.endif
.endm

// ---- Key set-up.
// std::uintptr_t pns_rc4_set_keys_N(std::uint8_t* tables, const std::byte* keys)
// keys: 16 octets a stream, one after the other; a key of 8 is there twice.
// r14: tables | n · r15: keys · J: rbx rcx rdx rsi rdi rbp

.macro KEY_STEP lane, n, J, Jb, T, Tb
        movzx   eax, byte ptr [r14 + 256 * \lane + \n]
        add     \Jb, byte ptr [r15 + 16 * \lane + \n]
        add     \Jb, al
        movzx   r8d, byte ptr [\J]
        mov     byte ptr [\J], al
        mov     byte ptr [r14 + 256 * \lane + \n], r8b
.endm

.macro STORE_PART lane, part, J, Jb, T, Tb
        vmovdqa ymmword ptr [r14 + 256 * \lane + \part], ymm0
.endm

.macro IDENTITY lanes
        lea     rax, [rip + identity]
.irp part, 0, 32, 64, 96, 128, 160, 192, 224
        vmovdqa ymm0, ymmword ptr [rax + \part]
        EACH     \lanes, STORE_PART, \part
.endr
        vzeroupper
.endm

.macro KEY_SET_UP lanes
        ENTER
        mov     r14, rdi
        mov     r15, rsi
        IDENTITY \lanes
        mov     rbx, r14
        lea     rcx, [r14 + 256]
        lea     rdx, [r14 + 512]
        lea     rsi, [r14 + 768]
        lea     rdi, [r14 + 1024]
        lea     rbp, [r14 + 1280]
        .balign 32
1:
.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        EACH     \lanes, KEY_STEP, \n
.endr
        add     r14b, 16
        jnz     1b
.endm

.macro SET_KEYS lanes
BEGIN pns_rc4_set_keys_\lanes
        KEY_SET_UP \lanes
        LEAVE
END pns_rc4_set_keys_\lanes
.endm

        SET_KEYS 1
        SET_KEYS 2
        SET_KEYS 3
        SET_KEYS 4
        SET_KEYS 5
        SET_KEYS 6

// ---- Key streams that began together: one i for all.
// std::uintptr_t pns_rc4_generate_N(std::uint8_t* tables, std::uint8_t* j, std::byte* out, std::size_t blocks,
//                         std::size_t i)
// blocks: of 16 octets, at least one. i: octets made so far, modulo 256, a multiple of 16.
// j: one octet a stream, taken and given back. out: STRIDE apart.
// r14: tables | i · r15: out · J: rbx rcx rdx rsi rdi rbp · T: r8 to r13 · [rsp]: end of out · [rsp + 8]: j

.macro STEP lane, k, J, Jb, T, Tb
.if \k > 0
        vpinsrb xmm\lane, xmm\lane, byte ptr [\T], \k - 1
.endif
        movzx   eax, byte ptr [r14 + 256 * \lane]
        add     \Jb, al
        mov     \Tb, byte ptr [\J]
        mov     byte ptr [\J], al
        mov     byte ptr [r14 + 256 * \lane], \Tb
        add     \Tb, al
.endm

.macro LAST lane, out, J, Jb, T, Tb
        vpinsrb xmm\lane, xmm\lane, byte ptr [\T], 15
        vmovdqu xmmword ptr [\out + STRIDE * \lane], xmm\lane
.endm

.macro LOAD_J lane, none, J, Jb, T, Tb
        lea     \T, [r14 + 256 * \lane]
        movzx   \J, byte ptr [rax + \lane]
        add     \J, \T
.endm

.macro STORE_J lane, none, J, Jb, T, Tb
        mov     byte ptr [rax + \lane], \Jb
.endm

.macro GENERATE lanes
BEGIN pns_rc4_generate_\lanes
        ENTER
        mov     rax, rsi
        mov     r14, rdi
        mov     r15, rdx
        shl     rcx, 4
        add     rcx, rdx
        PUSH_8  rax
        PUSH_8  rcx
        PUSH_8  r8
        EACH     \lanes, LOAD_J
        POP_8   rax
        add     r14b, al
        .balign 32
1:
.irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        inc     r14b
        EACH     \lanes, STEP, \k
.endr
        EACH     \lanes, LAST, r15
        add     r15, 16
        cmp     r15, qword ptr [rsp]
        jb      1b
        POP_8   rax
        POP_8   rax
        EACH     \lanes, STORE_J
        LEAVE
END pns_rc4_generate_\lanes
.endm

        GENERATE 1
        GENERATE 2
        GENERATE 3
        GENERATE 4
        GENERATE 5
        GENERATE 6

// ---- Key set-up, and the first 16 octets of each stream over its key.
// std::uintptr_t pns_rc4_change_keys_N(std::uint8_t* tables, std::byte* keys)
// The registers are those of the two above.

.macro FROM_START lane, none, J, Jb, T, Tb
        xor     \Jb, \Jb
        lea     \T, [r14 + 256 * \lane]
.endm

.macro OVER_KEY lane, none, J, Jb, T, Tb
        vpinsrb xmm\lane, xmm\lane, byte ptr [\T], 15
        vpxor   xmm\lane, xmm\lane, xmmword ptr [r15 + 16 * \lane]
        vmovdqu xmmword ptr [r15 + 16 * \lane], xmm\lane
.endm

.macro CHANGE_KEYS lanes
BEGIN pns_rc4_change_keys_\lanes
        KEY_SET_UP \lanes
        EACH     \lanes, FROM_START
.irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        inc     r14b
        EACH     \lanes, STEP, \k
.endr
        EACH     \lanes, OVER_KEY
        vzeroall
        LEAVE
END pns_rc4_change_keys_\lanes
.endm

        CHANGE_KEYS 1
        CHANGE_KEYS 2
        CHANGE_KEYS 3
        CHANGE_KEYS 4
        CHANGE_KEYS 5
        CHANGE_KEYS 6

// ---- Key streams that go on from where they are: an i for each.
// std::uintptr_t pns_rc4_go_on_N(std::uint8_t* tables, std::uint8_t* ij, std::byte* out, std::size_t octets)
// ij: i of four streams, then j of four streams, taken and given back. octets: any number.
// P = table | i: r12 to r15 · J: rbx rcx rdx rsi · T: r8 to r11 · rdi: out · rbp: octets left · [rsp]: ij

.macro EACH_OWN lanes, what, with=none
        \what   0, \with, r12, r12b, rbx, bl, r8, r8b
.if \lanes > 1
        \what   1, \with, r13, r13b, rcx, cl, r9, r9b
.endif
.if \lanes > 2
        \what   2, \with, r14, r14b, rdx, dl, r10, r10b
.endif
.if \lanes > 3
        \what   3, \with, r15, r15b, rsi, sil, r11, r11b
.endif
.endm

.macro OWN_STEP lane, k, P, Pb, J, Jb, T, Tb
.if \k > 0
        vpinsrb xmm\lane, xmm\lane, byte ptr [\T], \k - 1
.endif
        inc     \Pb
        movzx   eax, byte ptr [\P]
        add     \Jb, al
        mov     \Tb, byte ptr [\J]
        mov     byte ptr [\J], al
        mov     byte ptr [\P], \Tb
        add     \Tb, al
.endm

.macro ONE lane, none, P, Pb, J, Jb, T, Tb
        movzx   eax, byte ptr [\T]
        mov     byte ptr [rdi + STRIDE * \lane], al
.endm

.macro LOAD_IJ lane, none, P, Pb, J, Jb, T, Tb
        lea     \T, [rdi + 256 * \lane]
        movzx   \P, byte ptr [rax + \lane]
        movzx   \J, byte ptr [rax + 4 + \lane]
        add     \P, \T
        add     \J, \T
.endm

.macro STORE_IJ lane, none, P, Pb, J, Jb, T, Tb
        mov     byte ptr [rax + \lane], \Pb
        mov     byte ptr [rax + 4 + \lane], \Jb
.endm

.macro GO_ON lanes
BEGIN pns_rc4_go_on_\lanes
        ENTER
        PUSH_8  rsi
        mov     rax, rsi
        mov     rbp, rcx
        PUSH_8  rdx
        EACH_OWN \lanes, LOAD_IJ
        POP_8   rdi
        sub     rbp, 16
        jb      2f
        .balign 32
1:
.irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        EACH_OWN \lanes, OWN_STEP, \k
.endr
        EACH     \lanes, LAST, rdi
        add     rdi, 16
        sub     rbp, 16
        jae     1b
2:
        add     rbp, 16
        jz      4f
3:
        EACH_OWN \lanes, OWN_STEP, 0
        EACH_OWN \lanes, ONE
        inc     rdi
        dec     rbp
        jnz     3b
4:
        POP_8   rax
        EACH_OWN \lanes, STORE_IJ
        LEAVE
END pns_rc4_go_on_\lanes
.endm

        GO_ON   1
        GO_ON   2
        GO_ON   3
        GO_ON   4

        .section .rodata
        .balign 64
identity:
        .set    octet, 0
.rept 256
        .byte   octet
        .set    octet, octet + 1
.endr

        .section .note.GNU-stack, "", @progbits
