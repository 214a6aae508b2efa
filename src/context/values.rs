//! What contexts carry: a chain of values, found by their types.

use core::any::Any;

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use super::owned::OwnedValues;

/// A context's own value, if it has one, and the way up to more.
#[derive(Clone, Copy)]
pub(super) struct Values<'p> {
    own: Option<&'p (dyn Any + Sync)>,
    above: Above<'p>,
}

#[derive(Clone, Copy)]
enum Above<'p> {
    Nothing,
    Borrowed(&'p Values<'p>),
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    Owned(&'p OwnedValues),
}

// === impl Values ===

impl<'p> Values<'p> {
    pub(super) const NONE: Self = Self { own: None, above: Above::Nothing };

    /// Those of an owned context.
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub(super) const fn of_owned(values: &'p OwnedValues) -> Self {
        Self { own: None, above: Above::Owned(values) }
    }

    /// Those of a child without a value.
    pub(super) fn below(&self) -> Values<'_> {
        // A context without a value of its own is passed by.
        let above = if self.own.is_some() { Above::Borrowed(self) } else { self.above };
        Values { own: None, above }
    }

    /// Those of a child with a value.
    pub(super) fn with<'a>(&'a self, value: &'a (dyn Any + Sync)) -> Values<'a> {
        Values { own: Some(value), ..self.below() }
    }

    /// The nearest value of this type.
    pub(super) fn get<V: Any>(&self) -> Option<&'p V> {
        let mut values = *self;
        loop {
            if let Some(value) = values.own.and_then(|own| (own as &dyn Any).downcast_ref()) {
                return Some(value);
            }
            match values.above {
                Above::Nothing => return None,
                Above::Borrowed(above) => values = *above,
                #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
                Above::Owned(above) => return above.get(),
            }
        }
    }
}
