//! Tests against real servers and clients; `tests/run.sh` installs what they need.
