//! Models of tokens.
