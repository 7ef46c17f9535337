//! "Did you mean": the nearest known name.

/// The candidate nearest to a misspelt name, if one is near enough to be meant.
pub fn did_you_mean<'c>(given: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let length = given.chars().count();
    // A name of one letter is one letter away from every other.
    let limit = (length / 3).clamp(1, 3).min(length.saturating_sub(1));
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(given, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= limit && *distance < given.chars().count() && *candidate != given
        })
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_within_reach_is_suggested() {
        assert_eq!(did_you_mean("nmae", ["name", "namespace"]), Some("name"));
        assert_eq!(
            did_you_mean("instnace_type", ["instance_type", "ami"]),
            Some("instance_type")
        );
        assert_eq!(did_you_mean("x", ["quite_different"]), None);
        assert_eq!(did_you_mean("triggers", ["input"]), None);
        assert_eq!(did_you_mean("z", ["x"]), None);
    }
}
