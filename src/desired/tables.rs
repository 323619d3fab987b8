//! The tables of `slots.toml` with variables whose values are templates.

use crate::spec::{Spec, VariableSpec};

/// The table of variables that every file can use.
pub(super) const ENV_TABLE: &str = "env";

/// All of them, [`ENV_TABLE`] first.
pub(super) fn tables(spec: &Spec) -> impl Iterator<Item = (String, &Vec<VariableSpec>)> {
    let services = spec.compose.iter().flat_map(|compose| &compose.environment);
    let services = services.map(|(service, variables)| (environment_table(service), variables));
    std::iter::once((ENV_TABLE.to_owned(), &spec.env)).chain(services)
}

/// The table of a service's further variables.
pub(super) fn environment_table(service: &str) -> String {
    format!("services.{service}.environment")
}

/// The name of a variable's value among the templates.
pub(super) fn template_name(table: &str, variable: &VariableSpec) -> String {
    format!("[{table}] {}", variable.name.get_ref())
}
