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
// System V calling convention. Nothing of a key is left in registers on return but j and octets of
// the tables, which the callers wipe.

#define STRIDE 1600  // kStreamStride of kernels.hpp

        .intel_syntax noprefix
        .text

.macro ENTER
        push    rbx
        push    rbp
        push    r12
        push    r13
        push    r14
        push    r15
.endm

.macro LEAVE
        pop     r15
        pop     r14
        pop     r13
        pop     r12
        pop     rbp
        pop     rbx
        ret
.endm

.macro BEGIN name
        .globl  \name
        .hidden \name
        .type   \name, @function
        .balign 64
\name:
        .cfi_startproc
.endm

.macro END name
        .cfi_endproc
        .size   \name, . - \name
.endm

// ---- Key set-up.
// void pns_rc4_set_keys_N(std::uint8_t* tables, const std::byte* keys)
// keys: 16 octets a stream, one after the other; a key of 8 is there twice.
// r14: tables | n · r15: keys · J: rbx rcx rdx rsi rdi rbp

.macro KEY_STEP lane, n, J, Jb
        movzx   eax, byte ptr [r14 + 256 * \lane + \n]
        add     \Jb, byte ptr [r15 + 16 * \lane + \n]
        add     \Jb, al
        movzx   r8d, byte ptr [\J]
        mov     byte ptr [\J], al
        mov     byte ptr [r14 + 256 * \lane + \n], r8b
.endm

.macro KEY_STEPS lanes, n
        KEY_STEP 0, \n, rbx, bl
.if \lanes > 1
        KEY_STEP 1, \n, rcx, cl
.endif
.if \lanes > 2
        KEY_STEP 2, \n, rdx, dl
.endif
.if \lanes > 3
        KEY_STEP 3, \n, rsi, sil
.endif
.if \lanes > 4
        KEY_STEP 4, \n, rdi, dil
.endif
.if \lanes > 5
        KEY_STEP 5, \n, rbp, bpl
.endif
.endm

.macro IDENTITY lanes
        lea     rax, [rip + identity]
.irp part, 0, 32, 64, 96, 128, 160, 192, 224
        vmovdqa ymm0, ymmword ptr [rax + \part]
        vmovdqa ymmword ptr [r14 + \part], ymm0
.if \lanes > 1
        vmovdqa ymmword ptr [r14 + 256 + \part], ymm0
.endif
.if \lanes > 2
        vmovdqa ymmword ptr [r14 + 512 + \part], ymm0
.endif
.if \lanes > 3
        vmovdqa ymmword ptr [r14 + 768 + \part], ymm0
.endif
.if \lanes > 4
        vmovdqa ymmword ptr [r14 + 1024 + \part], ymm0
.endif
.if \lanes > 5
        vmovdqa ymmword ptr [r14 + 1280 + \part], ymm0
.endif
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
        KEY_STEPS \lanes, \n
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
// void pns_rc4_generate_N(std::uint8_t* tables, std::uint8_t* j, std::byte* out, std::size_t blocks,
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

.macro STEPS lanes, k
        STEP 0, \k, rbx, bl, r8, r8b
.if \lanes > 1
        STEP 1, \k, rcx, cl, r9, r9b
.endif
.if \lanes > 2
        STEP 2, \k, rdx, dl, r10, r10b
.endif
.if \lanes > 3
        STEP 3, \k, rsi, sil, r11, r11b
.endif
.if \lanes > 4
        STEP 4, \k, rdi, dil, r12, r12b
.endif
.if \lanes > 5
        STEP 5, \k, rbp, bpl, r13, r13b
.endif
.endm

.macro LAST lane, out, T
        vpinsrb xmm\lane, xmm\lane, byte ptr [\T], 15
        vmovdqu xmmword ptr [\out + STRIDE * \lane], xmm\lane
.endm

.macro LASTS lanes, out
        LAST    0, \out, r8
.if \lanes > 1
        LAST    1, \out, r9
.endif
.if \lanes > 2
        LAST    2, \out, r10
.endif
.if \lanes > 3
        LAST    3, \out, r11
.endif
.if \lanes > 4
        LAST    4, \out, r12
.endif
.if \lanes > 5
        LAST    5, \out, r13
.endif
.endm

.macro LOAD_J lane, J, T
        lea     \T, [r14 + 256 * \lane]
        movzx   \J, byte ptr [rax + \lane]
        add     \J, \T
.endm

.macro STORE_J lane, Jb
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
        push    rax
        push    rcx
        push    r8
        LOAD_J  0, rbx, r8
.if \lanes > 1
        LOAD_J  1, rcx, r9
.endif
.if \lanes > 2
        LOAD_J  2, rdx, r10
.endif
.if \lanes > 3
        LOAD_J  3, rsi, r11
.endif
.if \lanes > 4
        LOAD_J  4, rdi, r12
.endif
.if \lanes > 5
        LOAD_J  5, rbp, r13
.endif
        pop     rax
        add     r14b, al
        .balign 32
1:
.irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        inc     r14b
        STEPS   \lanes, \k
.endr
        LASTS   \lanes, r15
        add     r15, 16
        cmp     r15, qword ptr [rsp]
        jb      1b
        pop     rax
        pop     rax
        STORE_J 0, bl
.if \lanes > 1
        STORE_J 1, cl
.endif
.if \lanes > 2
        STORE_J 2, dl
.endif
.if \lanes > 3
        STORE_J 3, sil
.endif
.if \lanes > 4
        STORE_J 4, dil
.endif
.if \lanes > 5
        STORE_J 5, bpl
.endif
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
// void pns_rc4_change_keys_N(std::uint8_t* tables, std::byte* keys)
// The registers are those of the two above.

.macro FROM_START lane, Jb, T
        xor     \Jb, \Jb
        lea     \T, [r14 + 256 * \lane]
.endm

.macro OVER_KEY lane, T
        vpinsrb xmm\lane, xmm\lane, byte ptr [\T], 15
        vpxor   xmm\lane, xmm\lane, xmmword ptr [r15 + 16 * \lane]
        vmovdqu xmmword ptr [r15 + 16 * \lane], xmm\lane
.endm

.macro CHANGE_KEYS lanes
BEGIN pns_rc4_change_keys_\lanes
        KEY_SET_UP \lanes
        FROM_START 0, bl, r8
.if \lanes > 1
        FROM_START 1, cl, r9
.endif
.if \lanes > 2
        FROM_START 2, dl, r10
.endif
.if \lanes > 3
        FROM_START 3, sil, r11
.endif
.if \lanes > 4
        FROM_START 4, dil, r12
.endif
.if \lanes > 5
        FROM_START 5, bpl, r13
.endif
.irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        inc     r14b
        STEPS   \lanes, \k
.endr
        OVER_KEY 0, r8
.if \lanes > 1
        OVER_KEY 1, r9
.endif
.if \lanes > 2
        OVER_KEY 2, r10
.endif
.if \lanes > 3
        OVER_KEY 3, r11
.endif
.if \lanes > 4
        OVER_KEY 4, r12
.endif
.if \lanes > 5
        OVER_KEY 5, r13
.endif
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
// void pns_rc4_go_on_N(std::uint8_t* tables, std::uint8_t* ij, std::byte* out, std::size_t octets)
// ij: i of four streams, then j of four streams, taken and given back. octets: any number.
// P = table | i: r12 to r15 · J: rbx rcx rdx rsi · T: r8 to r11 · rdi: out · rbp: octets left · [rsp]: ij

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

.macro OWN_STEPS lanes, k
        OWN_STEP 0, \k, r12, r12b, rbx, bl, r8, r8b
.if \lanes > 1
        OWN_STEP 1, \k, r13, r13b, rcx, cl, r9, r9b
.endif
.if \lanes > 2
        OWN_STEP 2, \k, r14, r14b, rdx, dl, r10, r10b
.endif
.if \lanes > 3
        OWN_STEP 3, \k, r15, r15b, rsi, sil, r11, r11b
.endif
.endm

.macro ONE lane, T
        movzx   eax, byte ptr [\T]
        mov     byte ptr [rdi + STRIDE * \lane], al
.endm

.macro LOAD_IJ lane, P, J, T
        lea     \T, [rdi + 256 * \lane]
        movzx   \P, byte ptr [rax + \lane]
        movzx   \J, byte ptr [rax + 4 + \lane]
        add     \P, \T
        add     \J, \T
.endm

.macro STORE_IJ lane, Pb, Jb
        mov     byte ptr [rax + \lane], \Pb
        mov     byte ptr [rax + 4 + \lane], \Jb
.endm

.macro GO_ON lanes
BEGIN pns_rc4_go_on_\lanes
        ENTER
        push    rsi
        mov     rax, rsi
        mov     rbp, rcx
        push    rdx
        LOAD_IJ 0, r12, rbx, r8
.if \lanes > 1
        LOAD_IJ 1, r13, rcx, r9
.endif
.if \lanes > 2
        LOAD_IJ 2, r14, rdx, r10
.endif
.if \lanes > 3
        LOAD_IJ 3, r15, rsi, r11
.endif
        pop     rdi
        sub     rbp, 16
        jb      2f
        .balign 32
1:
.irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        OWN_STEPS \lanes, \k
.endr
        LASTS   \lanes, rdi
        add     rdi, 16
        sub     rbp, 16
        jae     1b
2:
        add     rbp, 16
        jz      4f
3:
        OWN_STEPS \lanes, 0
        ONE     0, r8
.if \lanes > 1
        ONE     1, r9
.endif
.if \lanes > 2
        ONE     2, r10
.endif
.if \lanes > 3
        ONE     3, r11
.endif
        inc     rdi
        dec     rbp
        jnz     3b
4:
        pop     rax
        STORE_IJ 0, r12b, bl
.if \lanes > 1
        STORE_IJ 1, r13b, cl
.endif
.if \lanes > 2
        STORE_IJ 2, r14b, dl
.endif
.if \lanes > 3
        STORE_IJ 3, r15b, sil
.endif
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
