//! The wire: what is written is read back, what servers really send is understood, and nothing hostile does harm.

mod documents;
mod messages;
mod properties;
