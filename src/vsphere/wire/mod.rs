//! SOAP envelopes, hand-written vim25 types (only those used), and faults.
