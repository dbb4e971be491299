//! Running scripts in guests: Unix now, Windows later.
