//! Krypton Core: the sovereign vault of one region.
