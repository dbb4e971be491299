//! Views of a build; they only consume events.
