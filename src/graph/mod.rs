//! A checked program lowered to a DAG of steps over machines.
