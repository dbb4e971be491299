//! Reading shell text: in which context each interpolated value stands, and putting constants there.
