//! The scheduler and what it does at each step, as a stream of events.
