//! The contract test kit: what every resource type must do, run against its fake or the real system.
