//! Finding out which service a stream belongs to.

use headwater_model::Labels;

/// The label that names the service.
pub const SERVICE_NAME: &str = "service_name";
/// Its value where nothing names one.
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// The stream with `service_name`, taken from the first of `candidates` that it has. Streams that
/// have the label, and tenants without candidates, are left alone.
pub fn with_service_name(stream: &Labels, candidates: &[String]) -> Labels {
    if candidates.is_empty() || stream.has(SERVICE_NAME) {
        return stream.clone();
    }
    let name = candidates
        .iter()
        .find_map(|candidate| stream.get(candidate))
        .unwrap_or(UNKNOWN_SERVICE);
    let mut builder = stream.to_builder();
    builder.set(SERVICE_NAME, name);
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    #[test]
    fn the_best_label_names_the_service() {
        let candidates = Limits::default().discover_service_name;
        for (pairs, wanted) in [
            (vec![("job", "j"), ("app", "a")], Some("a")),
            (vec![("service_name", "mine"), ("app", "a")], Some("mine")),
            (vec![("x", "y")], Some(UNKNOWN_SERVICE)),
        ] {
            assert_eq!(
                with_service_name(&Labels::from_pairs(pairs), &candidates).get(SERVICE_NAME),
                wanted
            );
        }
        assert!(!with_service_name(&Labels::empty(), &[]).has(SERVICE_NAME));
    }
}
