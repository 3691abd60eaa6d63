//! Keys and ciphertexts (crypto.md): pure, no input or output.
