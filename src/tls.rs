//! Certificates and keys into rustls configurations: placeholder until the module lands.
