//! The models, once for each of the queue's two ways.
#![allow(clippy::duplicate_mod, reason = "that is the point")]

// The path is that of the folder which a module in here is looked for in.
#[path = "."]
mod usual {
    pub(super) type Lock = crate::sync::DefaultLock;

    mod model;
}

#[path = "."]
mod cheap {
    pub(super) type Lock = crate::sync::model::CheapLock;

    mod model;
}
