//! Cortex-M: SysTick gives 1000 ticks a second. QEMU gives the microbit one too, though the real nRF51 has none.
use core::cell::Cell;

use cortex_m::peripheral::syst::SystClkSource;
use critical_section::Mutex;

pub use cortex_m_rt::entry;

/// The core's clock in QEMU: mps2-an385 (thumbv7m), microbit (thumbv6m).
const CORE_HZ: u32 = if cfg!(target_has_atomic = "32") { 25_000_000 } else { 16_000_000 };

static TICKS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// Starts the tick.
pub fn start_clock() {
    let mut syst = cortex_m::Peripherals::take().unwrap().SYST;
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(CORE_HZ / 1_000 - 1);
    syst.clear_current();
    syst.enable_counter();
    syst.enable_interrupt();
}

/// Ticks since the start.
pub fn now() -> u64 {
    critical_section::with(|cs| TICKS.borrow(cs).get())
}

/// How many instructions `f` takes, less than a tick; it runs with interrupts off. QEMU takes 8 ns for each.
pub fn instructions(f: impl FnOnce()) -> u32 {
    const PERIOD: u32 = CORE_HZ / 1_000;
    let begin = cortex_m::peripheral::SYST::get_current();
    f();
    // It counts down, and begins again.
    let took = (begin + PERIOD - cortex_m::peripheral::SYST::get_current()) % PERIOD;
    took * 125 / (CORE_HZ / 1_000_000)
}

/// Sleeps until an interrupt is pending, with interrupts off; it is served when they are on again.
pub fn wait_for_interrupt() {
    cortex_m::asm::wfi();
}

#[cortex_m_rt::exception]
fn SysTick() {
    let now = critical_section::with(|cs| {
        TICKS.borrow(cs).set(TICKS.borrow(cs).get() + 1);
        TICKS.borrow(cs).get()
    });
    crate::tick(now);
}

// Without these two a fault would loop for ever and only the time-out would end the run.
#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    semihosting::eprintln!("fault at pc={:#010x}", frame.pc());
    semihosting::process::exit(99)
}

#[cortex_m_rt::exception]
unsafe fn DefaultHandler(irqn: i16) {
    semihosting::eprintln!("unexpected interrupt {irqn}");
    semihosting::process::exit(98)
}
