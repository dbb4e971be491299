//! Session, property collector, tasks, finder, virtual machines, guest operations, transfers.
