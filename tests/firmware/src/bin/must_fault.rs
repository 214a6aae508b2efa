//! An instruction that the processor does not have. The harness has to see a failure, and not a loop.
#![no_std]
#![no_main]

#[firmware::entry]
fn main() -> ! {
    // Not a wild pointer: some boards of QEMU let those pass.
    // SAFETY: it only traps.
    unsafe {
        #[cfg(target_arch = "arm")]
        core::arch::asm!("udf #0");
        #[cfg(target_arch = "riscv32")]
        core::arch::asm!("unimp");
    }
    firmware::pass()
}
