//! The DAG and facts about the inventory.
