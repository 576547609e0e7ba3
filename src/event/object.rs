//! An opened object: fields, and what helps to find one.
//!
//! In: fields in their order. Out: the field of a name, if it is where it was put; mostly it is. Promises: what is
//! found here is the field; what is not found may still be there, except where [`Object::lacks`] says so. On failure:
//! the batch looks through all fields.

use super::names::{Places, Present};
use super::{Field, Key};

/// Fields, and which names of the configuration they may have: most look-ups ask for what is not there.
pub(super) struct Object {
    pub(super) fields: Vec<Field>,
    pub(super) present: Present,
    pub(super) places: Places,
}

impl Object {
    /// Adds a field that the object does not have yet.
    #[inline]
    pub(super) fn push(&mut self, field: Field) {
        self.present = self.present.with(field.key);
        self.places.put(field.key, self.fields.len());
        self.fields.push(field);
    }

    /// Whether the field at a place has a key.
    #[inline]
    pub(super) fn has_at(&self, place: usize, key: Key) -> bool {
        self.fields.get(place).is_some_and(|field| field.key == key)
    }

    /// The field of a name of the configuration, if it is where it was put.
    #[inline]
    pub(super) fn guessed(&self, key: Key) -> Option<&Field> {
        self.fields.get(self.places.guess(key.number()?)).filter(|field| field.key == key)
    }

    /// As [`Object::guessed`], to be changed.
    #[inline]
    pub(super) fn guessed_mut(&mut self, key: Key) -> Option<&mut Field> {
        self.fields.get_mut(self.places.guess(key.number()?)).filter(|field| field.key == key)
    }

    /// Whether there is no field of this name, as far as can be told at once.
    #[inline]
    pub(super) fn lacks(&self, key: Key) -> bool {
        key.number().is_some() && !self.present.may_have(key)
    }
}
