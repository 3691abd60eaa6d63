//! [`clear`]: nothing of a key stays in the processor's wide registers.
//!
//! A cipher leaves keys in vector registers, where they stay until somebody else needs the register. Code that follows may then store
//! them without knowing: a compiler that copies a value of which a part was never written copies whatever the register holds.
#![expect(
    unsafe_code,
    reason = "only assembly reaches registers, and only a check beforehand tells that a processor has them"
)]

/// Overwrites all vector registers. On processors other than x86-64 and 64-bit ARM, does nothing.
pub fn clear() {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has the instructions.
        unsafe { clear_512() };
    } else if std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the processor has the instructions.
        unsafe { clear_256() };
    } else {
        clear_128();
    }
    #[cfg(target_arch = "aarch64")]
    clear_128();
}

/// The registers that all processors of the kind have, declared as overwritten, which is all that the compiler needs to know.
#[cfg(target_arch = "x86_64")]
macro_rules! first_sixteen {
    ($($line:literal),*) => {
        std::arch::asm!(
            $($line),*,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            options(nomem, nostack, preserves_flags)
        )
    };
}

#[cfg(target_arch = "x86_64")]
fn clear_128() {
    // SAFETY: every processor of the kind has these instructions; each changes a register that is declared.
    unsafe {
        first_sixteen!(
            "xorps xmm0, xmm0",
            "xorps xmm1, xmm1",
            "xorps xmm2, xmm2",
            "xorps xmm3, xmm3",
            "xorps xmm4, xmm4",
            "xorps xmm5, xmm5",
            "xorps xmm6, xmm6",
            "xorps xmm7, xmm7",
            "xorps xmm8, xmm8",
            "xorps xmm9, xmm9",
            "xorps xmm10, xmm10",
            "xorps xmm11, xmm11",
            "xorps xmm12, xmm12",
            "xorps xmm13, xmm13",
            "xorps xmm14, xmm14",
            "xorps xmm15, xmm15"
        );
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn clear_256() {
    // SAFETY: the caller knows that the processor has this instruction; the registers it changes are declared.
    unsafe { first_sixteen!("vzeroall") };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn clear_512() {
    // SAFETY: the caller knows that the processor has these instructions; the registers they change are declared.
    unsafe {
        first_sixteen!("vzeroall");
        std::arch::asm!(
            "vpxord zmm16, zmm16, zmm16",
            "vpxord zmm17, zmm17, zmm17",
            "vpxord zmm18, zmm18, zmm18",
            "vpxord zmm19, zmm19, zmm19",
            "vpxord zmm20, zmm20, zmm20",
            "vpxord zmm21, zmm21, zmm21",
            "vpxord zmm22, zmm22, zmm22",
            "vpxord zmm23, zmm23, zmm23",
            "vpxord zmm24, zmm24, zmm24",
            "vpxord zmm25, zmm25, zmm25",
            "vpxord zmm26, zmm26, zmm26",
            "vpxord zmm27, zmm27, zmm27",
            "vpxord zmm28, zmm28, zmm28",
            "vpxord zmm29, zmm29, zmm29",
            "vpxord zmm30, zmm30, zmm30",
            "vpxord zmm31, zmm31, zmm31",
            out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
            out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
            out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _,
            out("zmm28") _, out("zmm29") _, out("zmm30") _, out("zmm31") _,
            options(nomem, nostack, preserves_flags)
        );
    }
}

#[cfg(target_arch = "aarch64")]
fn clear_128() {
    // SAFETY: every processor of the kind has these instructions; each changes a register that is declared.
    unsafe {
        std::arch::asm!(
            "movi v0.2d, #0", "movi v1.2d, #0", "movi v2.2d, #0", "movi v3.2d, #0",
            "movi v4.2d, #0", "movi v5.2d, #0", "movi v6.2d, #0", "movi v7.2d, #0",
            "movi v8.2d, #0", "movi v9.2d, #0", "movi v10.2d, #0", "movi v11.2d, #0",
            "movi v12.2d, #0", "movi v13.2d, #0", "movi v14.2d, #0", "movi v15.2d, #0",
            "movi v16.2d, #0", "movi v17.2d, #0", "movi v18.2d, #0", "movi v19.2d, #0",
            "movi v20.2d, #0", "movi v21.2d, #0", "movi v22.2d, #0", "movi v23.2d, #0",
            "movi v24.2d, #0", "movi v25.2d, #0", "movi v26.2d, #0", "movi v27.2d, #0",
            "movi v28.2d, #0", "movi v29.2d, #0", "movi v30.2d, #0", "movi v31.2d, #0",
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nomem, nostack, preserves_flags)
        );
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn what_a_cipher_left_in_a_register_is_gone() {
        let mut left = [1_u128; 2];
        // SAFETY: the processor has these registers; they are declared, and the memory is ours.
        unsafe {
            std::arch::asm!("movdqu xmm3, [{}]", in(reg) &raw const left, out("xmm3") _);
            clear();
            std::arch::asm!("movdqu [{}], xmm3", in(reg) &raw mut left);
        }
        assert_eq!(left, [0, 1]);
    }
}
