//! QEMU's RISC-V `virt` board: the 10 MHz counter of the CLINT gives 1000 ticks a second.
use core::cell::Cell;

use critical_section::Mutex;
use riscv::interrupt::{Exception, Interrupt};

pub use riscv_rt::entry;

const MTIMECMP: *mut u32 = 0x0200_4000 as *mut u32;
const MTIME: *const u32 = 0x0200_BFF8 as *const u32;
const PER_TICK: u64 = 10_000_000 / 1_000;

static TICKS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

fn mtime() -> u64 {
    loop {
        // SAFETY: the counter of the `virt` board is at this address.
        let (high, low, again) =
            unsafe { (MTIME.add(1).read_volatile(), MTIME.read_volatile(), MTIME.add(1).read_volatile()) };
        if high == again {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

fn set_compare(at: u64) {
    // SAFETY: as above. The high half is put out of reach first, so that none of the steps is in the past.
    unsafe {
        MTIMECMP.add(1).write_volatile(u32::MAX);
        MTIMECMP.write_volatile(at as u32);
        MTIMECMP.add(1).write_volatile((at >> 32) as u32);
    }
}

/// Starts the tick.
pub fn start_clock() {
    set_compare(mtime() + PER_TICK);
    // SAFETY: the handlers are in place.
    unsafe {
        riscv::register::mie::set_mtimer();
        riscv::interrupt::enable();
    }
}

/// Ticks since the start.
pub fn now() -> u64 {
    critical_section::with(|cs| TICKS.borrow(cs).get())
}

/// How many instructions `f` takes; it runs with interrupts off. QEMU takes 8 ns for each, and counts those.
pub fn instructions(f: impl FnOnce()) -> u32 {
    let begin = riscv::register::mcycle::read() as u32;
    f();
    (riscv::register::mcycle::read() as u32).wrapping_sub(begin) / 8
}

/// Sleeps until an interrupt is pending, with interrupts off; it is served when they are on again.
pub fn wait_for_interrupt() {
    riscv::asm::wfi();
}

#[riscv_rt::core_interrupt(Interrupt::MachineTimer)]
fn machine_timer() {
    set_compare(mtime() + PER_TICK);
    let now = critical_section::with(|cs| {
        TICKS.borrow(cs).set(TICKS.borrow(cs).get() + 1);
        TICKS.borrow(cs).get()
    });
    crate::tick(now);
}

#[unsafe(export_name = "ExceptionHandler")]
fn exception(_frame: &riscv_rt::TrapFrame) -> ! {
    semihosting::eprintln!(
        "fault at pc={:#010x}: {:?}",
        riscv::register::mepc::read(),
        riscv::register::mcause::read().cause().try_into::<Interrupt, Exception>()
    );
    semihosting::process::exit(99)
}
