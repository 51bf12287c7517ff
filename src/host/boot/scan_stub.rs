use super::BootSystem;
impl BootSystem {
    /// (replaced at the merge)
    pub fn scan(_root: &crate::root::Root) -> BootSystem {
        BootSystem::default()
    }
}
