//! The guide: what the parts are for, in chapters. The pages of the items say what each does.
//!
//! 1. [Why bounded?](why_bounded)
//! 2. [Which order?](which_order)
//! 3. [Deadlines](deadlines)
//! 4. [Cancellation](cancellation)
//! 5. [Leaks](leaks)
//! 6. [Migrating](migrating) from `tokio::sync::Semaphore`, `buffer_unordered` and `tokio::time::timeout`
//! 7. [On bare metal](bare_metal)
//!
//! This module is there for the documentation alone, and empty in a build.

#[doc = include_str!("guide/why_bounded.md")]
pub mod why_bounded {}
#[doc = include_str!("guide/which_order.md")]
pub mod which_order {}
#[doc = include_str!("guide/deadlines.md")]
pub mod deadlines {}
#[doc = include_str!("guide/cancellation.md")]
pub mod cancellation {}
#[doc = include_str!("guide/leaks.md")]
pub mod leaks {}
#[doc = include_str!("guide/migrating.md")]
pub mod migrating {}
#[doc = include_str!("guide/bare_metal.md")]
pub mod bare_metal {}
