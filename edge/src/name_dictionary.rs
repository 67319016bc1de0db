//! Builds and reads the name dictionaries of the WIT contracts.

wheeltapper_domain::contract_dictionary!(crate::components::wit::types::Dictionary);
