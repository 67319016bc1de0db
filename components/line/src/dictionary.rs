//! Builds and reads the contracts' dictionaries of names.

wheeltapper_domain::contract_dictionary!(crate::contracts::types::Dictionary);
