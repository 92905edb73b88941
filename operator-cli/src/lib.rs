//! krypton: the operator's command line.
